"""The quadrotor: its motion against the equations, what counts as through the gate and in the tube, its controllers."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.spatial.transform import Rotation

import sims
from sims.uav import gate, tube, vehicle


def equations(time: float, state: np.ndarray, thrusts: np.ndarray) -> np.ndarray:
    """Time derivative (13,) of position, velocity, quaternion (w, x, y, z) and body rates."""
    velocity, quaternion, rates = state[3:6], state[6:10], state[10:]
    w, x, y, z = quaternion
    up = np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])
    f1, f2, f3, f4 = thrusts
    arm, drag = vehicle.SPAN / 2, vehicle.DRAG_RATIO
    torque = np.array([arm * (f4 - f2), arm * (f3 - f1), drag * (f1 - f2 + f3 - f4)])
    p, q, r = rates
    spin = 0.5 * np.array([[0, -p, -q, -r], [p, 0, r, -q], [q, -r, 0, p], [r, q, -p, 0]]) @ quaternion
    acceleration = up * thrusts.sum() / vehicle.MASS - [0, 0, vehicle.GRAVITY]
    turning = (torque - np.cross(rates, vehicle.INERTIA * rates)) / vehicle.INERTIA
    return np.concatenate([velocity, acceleration, spin, turning])


@pytest.mark.parametrize(("substeps", "error"), [(vehicle.FRAME_SKIP, 1e-3), (20 * vehicle.FRAME_SKIP, 5e-6)])
def test_mujoco_moves_it_as_the_equations_of_a_rigid_body_say(substeps: int, error: float) -> None:
    rng = np.random.default_rng(0)
    model = gate.model()
    model.opt.timestep = vehicle.CONTROL_DT / substeps
    data = mujoco.MjData(model)
    quaternion = rng.normal(size=4)
    start = np.concatenate([rng.normal(size=6), quaternion / np.linalg.norm(quaternion), rng.normal(size=3)])
    data.qpos[:], data.qvel[:] = np.append(start[:3], start[6:10]), np.append(start[3:6], start[10:])
    expected = start
    for action in rng.uniform(-1, 1, (10, 4)):  # a second of flight
        vehicle.drive(model, data, action)
        mujoco.mj_step(model, data, substeps)
        span, thrusts = (0.0, vehicle.CONTROL_DT), data.ctrl.copy()
        solved = solve_ivp(equations, span, expected, args=(thrusts,), rtol=1e-10, atol=1e-10)
        expected = solved.y[:, -1]
        now = np.concatenate([data.qpos[:3], data.qvel[:3], data.qpos[3:], data.qvel[3:]])
        np.testing.assert_allclose(now, expected, rtol=0, atol=error)


def test_the_mixer_gives_the_force_and_the_torques_of_the_model() -> None:
    model = gate.model()
    data = mujoco.MjData(model)
    thrusts = np.array([0.1, 0.25, 0.4, 0.15])
    data.ctrl[:] = thrusts
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(data.qfrc_actuator[2:], vehicle.MIXER @ thrusts, atol=1e-12)
    np.testing.assert_allclose(data.qfrc_actuator[:2], 0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("action", "axis", "sign"),
    [((-1, 0, 1, 0), 0, 1), ((0, -1, 0, 1), 1, -1), ((1, 1, 1, 1), 2, 1), ((-1, -1, -1, -1), 2, -1)],
)
def test_forward_is_plus_x_right_is_minus_y_and_up_is_plus_z(action: tuple[int, ...], axis: int, sign: int) -> None:
    env = sims.make("uav/gate", 2)
    env.reset(seed=[0, 0])
    for _ in range(6):
        env.step(np.array([np.multiply(0.1, action), np.zeros(4)]))
    moved, idle = env.scene.drone.position
    assert sign * (moved - idle)[axis] > 0.05
    env.close()


def test_the_scene_tells_the_attitude_as_scipy_would() -> None:
    quaternions = np.random.default_rng(1).normal(size=(20, 4))
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    expected = Rotation.from_quat(quaternions, scalar_first=True).as_matrix()
    np.testing.assert_allclose(vehicle.rotation(quaternions), expected, atol=1e-12)


class Flown:
    """A view of drones that are somewhere, to judge by hand."""

    def __init__(self, positions: Any, memory: dict[str, np.ndarray], target: Any = (19.0, 5.0, 9.0)) -> None:
        self.memory, self.num_worlds = memory, len(positions)
        self._arrays = {"qpos": np.pad(np.array(positions, float), ((0, 0), (0, 4))), "qvel": np.zeros((1, 6))}
        self._arrays["mocap_pos"] = np.tile(np.array(target), (self.num_worlds, 1, 1))

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]


def path(*positions: tuple[float, float, float]) -> dict[str, np.ndarray]:
    """The memory of the gate's task after flying from point to point."""
    memory = gate.begin(Flown([positions[0]], {}))  # type: ignore[arg-type]
    for position in positions[1:]:
        memory = gate.update(Flown([position], memory))  # type: ignore[arg-type]
    return memory


def test_only_the_opening_leads_through_the_wall() -> None:
    through = path((9.5, 5.0, 4.7), (10.5, 5.0, 4.7))
    assert through["passed"][0]
    assert not through["crashed"][0]
    for y, z in ((5.0, 5.5), (5.0, 3.9), (3.4, 4.7), (6.6, 4.7)):
        blocked = path((9.5, y, z), (10.5, y, z))
        assert not blocked["passed"][0]
        assert blocked["crashed"][0]


def test_the_point_where_the_path_meets_the_wall_decides() -> None:
    # A quarter of the way up the drone is at z = 5.25, inside; both ends of the step are not between the rims.
    assert path((9.75, 5.0, 5.0), (10.75, 5.0, 6.0))["passed"][0]
    assert path((9.25, 5.0, 5.0), (10.25, 5.0, 6.0))["crashed"][0]


def test_who_comes_back_has_not_passed_and_a_crash_is_for_good() -> None:
    assert not path((9.5, 5, 4.7), (10.5, 5, 4.7), (9.5, 5, 4.7))["passed"][0]
    assert path((9.5, 5, 4.7), (10.5, 5, 4.7), (9.5, 5, 4.7), (10.5, 5, 4.7))["passed"][0]
    assert path((9.5, 5, 7.0), (10.5, 5, 7.0), (10.6, 5, 7.0))["crashed"][0]


def test_the_way_around_the_wall_is_closed() -> None:
    for outside in ((5, -1.1, 5), (5, 11.1, 5), (5, 5, 11.1), (5, 5, -0.1), (-2.1, 5, 5), (22.1, 5, 5)):
        assert path((5, 5, 5), outside)["crashed"][0]


def test_the_target_counts_only_with_the_gate_behind() -> None:
    near = [(19.0, 5.0, 8.6)]
    for passed, crashed, wanted in ((True, False, True), (False, False, False), (True, True, False)):
        memory = {"passed": np.array([passed]), "crashed": np.array([crashed])}
        assert gate.success(Flown(near, memory))[0] == wanted  # type: ignore[arg-type]
    memory = {"passed": np.array([True]), "crashed": np.array([False])}
    assert not gate.success(Flown([(19.0, 5.0, 8.4)], memory))[0]  # type: ignore[arg-type]


def test_the_nearest_point_of_the_tube_is_that_of_a_dense_search() -> None:
    positions = np.random.default_rng(2).uniform([0, 1, 1], [20, 9, 9], (50, 3))
    point, direction, progress = tube.nearest(positions)
    dense = tube.along(np.linspace(0.0, tube.LENGTH, 20_000))
    expected = np.linalg.norm(positions[:, None] - dense, axis=2).min(axis=1)
    np.testing.assert_allclose(np.linalg.norm(positions - point, axis=1), expected, atol=1e-5)
    np.testing.assert_allclose(tube.along(progress), point, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(direction, axis=1), 1.0)


def test_leaving_the_tube_is_for_good() -> None:
    inside, outside = tube.KNOTS[40], tube.KNOTS[40] + [0.0, 0.0, 1.2]
    memory = tube.begin(Flown([inside], {}))  # type: ignore[arg-type]
    assert not memory["left"][0]
    memory = tube.update(Flown([outside], memory))  # type: ignore[arg-type]
    assert memory["left"][0]
    memory = tube.update(Flown([tube.KNOTS[-1]], memory))  # type: ignore[arg-type]
    assert memory["left"][0]
    assert not tube.success(Flown([tube.KNOTS[-1]], memory))[0]  # type: ignore[arg-type]


def test_the_end_of_the_tube_is_success() -> None:
    memory = {"left": np.array([False])}
    assert tube.success(Flown([tube.KNOTS[-1]], memory))[0]  # type: ignore[arg-type]
    assert not tube.success(Flown([tube.KNOTS[-5]], memory))[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["uav/gate", "uav/tube"])
def test_the_scripted_flight_arrives_from_every_start_and_chance_never_does(name: str) -> None:
    worlds, rng = 20, np.random.default_rng(0)
    flown = {"scripted": np.zeros(worlds, bool), "idle": np.zeros(worlds, bool), "random": np.zeros(worlds, bool)}
    for kind, succeeded in flown.items():
        env = sims.make(name, worlds)
        observations, _ = env.reset(seed=0)
        controller = sims.scripted(name, worlds)
        alive = np.ones(worlds, bool)
        for _ in range(env.task.max_episode_steps):
            actions = {
                "scripted": controller(env.scene, observations),
                "idle": np.zeros((worlds, 4)),
                "random": rng.uniform(-1, 1, (worlds, 4)),
            }[kind]
            observations, _, terminated, truncated, info = env.step(actions)
            succeeded |= info["success"] & alive
            alive &= ~(terminated | truncated)
        env.close()
    assert flown["scripted"].all()
    assert not flown["idle"].any()
    assert not flown["random"].any()
