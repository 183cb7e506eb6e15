"""Every system against its own equations written a second time, every game against the truth it is won with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import casadi as ca
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from controllers.systems import franka_joints, franka_pose, game, pendulum, quaternion, reacher, uav
from controllers.systems.system import telling_apart
from robot_learn.errors import UserError
from robot_learn.franka import FR3, HOME
from tests.controllers.drives import NAMES, controller, drive, truthful

ORIENTATION = {"uav-gate": 6, "uav-tube": 6, "franka-reach": 3, "franka-pour": 3}  # where a quaternion begins
EPISODES = [(name, episode) for name in NAMES for episode in range(game(name).targets)]

each_system = pytest.mark.parametrize("name", NAMES)


def somewhere(name: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A state and a control that no symmetry makes easy."""
    system = game(name).system
    state = game(name).start(rng, 0).state + rng.normal(0, 0.3, system.nx)
    low, high = np.maximum(system.control_low, -1.0), np.minimum(system.control_high, 1.0)
    return state if system.after is None else system.after(state), rng.uniform(low, high)


# --- The equations, a second time: scipy's rotations for quaternions, energies for the links.


def pendulum_step(x: np.ndarray, u: np.ndarray) -> np.ndarray:
    angle, speed = x
    gravity = -pendulum.MASS * 10.0 * (pendulum.LENGTH / 2) * np.sin(angle)  # at the rod's middle
    acceleration = 3 * (gravity + u[0] - 0.4 * speed) / (pendulum.MASS * pendulum.LENGTH**2)
    return np.array([angle + 0.02 * speed, speed + 0.02 * acceleration])


def links_energy(q: np.ndarray, speed: np.ndarray) -> float:
    """Kinetic energy [J] of two uniform rods; two Gauss points along each are exact for a quadratic."""
    turned = q[0], q[0] + q[1]
    elbow, end = (reacher.LENGTH * np.array([-np.sin(a), np.cos(a)]) for a in turned)
    total = 0.0
    for s in (1 + np.array([-1.0, 1.0]) / np.sqrt(3)) / 2:
        near, far = s * elbow * speed[0], elbow * speed[0] + s * end * speed.sum()
        total += reacher.MASS / 4 * (near @ near + far @ far)
    return float(total)


def links_mass(q: np.ndarray) -> np.ndarray:
    eye = np.eye(2)
    alone = [links_energy(q, axis) for axis in eye]
    both = links_energy(q, eye.sum(axis=0)) - sum(alone)
    return np.array([[2 * alone[0], both], [both, 2 * alone[1]]])


def reacher_step(x: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Lagrange's equations, the mass matrix differentiated by differences."""
    q, speed, h = x[:2], x[2:], 1e-5
    slopes = [(links_mass(q + h * axis) - links_mass(q - h * axis)) / (2 * h) for axis in np.eye(2)]
    moved = sum(slope * v for slope, v in zip(slopes, speed, strict=True)) @ speed
    pulled = np.array([speed @ slope @ speed / 2 for slope in slopes])
    after = speed + 0.1 * np.linalg.solve(links_mass(q), u - moved + pulled)
    return np.concatenate([q + 0.1 * after, after])


def turned(quat_wxyz: np.ndarray, omega: np.ndarray, *, in_world: bool) -> np.ndarray:
    """An Euler step of a quaternion, at length 1 again, is a turn by 2 atan(dt |omega| / 2) about omega."""
    half = 0.1 * np.linalg.norm(omega) / 2
    turn = Rotation.from_rotvec(2 * np.arctan(half) * omega / np.linalg.norm(omega))
    before = Rotation.from_quat(quat_wxyz, scalar_first=True)
    after = turn * before if in_world else before * turn
    found = after.as_quat(scalar_first=True)
    return found * np.sign(found @ quat_wxyz)


def quadrotor_step(x: np.ndarray, u: np.ndarray) -> np.ndarray:
    rotors = 0.6 * np.array([[1.0, 0, 0], [0, -1, 0], [-1, 0, 0], [0, 1, 0]])  # front, right, back, left
    thrusts = np.outer(u, [0.0, 0.0, 1.0])
    torque = np.cross(rotors, thrusts).sum(axis=0) + np.array([0, 0, u[0] - u[1] + u[2] - u[3]])
    lift = Rotation.from_quat(x[6:10], scalar_first=True).apply(thrusts.sum(axis=0))
    return np.concatenate(
        [
            x[:3] + 0.1 * x[3:6],
            x[3:6] + 0.1 * (lift / 0.1 - [0, 0, 9.8]),
            turned(x[6:10], x[10:], in_world=False),
            x[10:] + 0.1 * torque / 0.01,
        ]
    )


def pose_step(x: np.ndarray, u: np.ndarray) -> np.ndarray:
    return np.concatenate([x[:3] + 0.1 * u[:3], turned(x[3:], u[3:], in_world=True)])


STEPS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "pendulum": pendulum_step,
    "reacher": reacher_step,
    "uav-gate": quadrotor_step,
    "uav-tube": quadrotor_step,
    "franka-reach": pose_step,
    "franka-pour": pose_step,
    "franka-joints": lambda x, u: x + 0.1 * u,
}


@each_system
def test_a_step_is_that_of_the_equations_written_a_second_time(name: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        state, control = somewhere(name, rng)
        np.testing.assert_allclose(game(name).system.step(state, control), STEPS[name](state, control), atol=2e-8)


@each_system
def test_a_step_keeps_size_is_finite_repeats_itself_and_leaves_its_arguments_alone(name: str) -> None:
    system = game(name).system
    state, control = somewhere(name, np.random.default_rng(1))
    kept = state.copy(), control.copy()
    after = system.step(state, control)
    assert after.shape == (system.nx,)
    assert np.isfinite(after).all()
    np.testing.assert_array_equal(after, system.step(state, control))
    np.testing.assert_array_equal(state, kept[0])
    np.testing.assert_array_equal(control, kept[1])


@pytest.mark.parametrize("name", [name for name in NAMES if name in ORIENTATION])
def test_quaternions_stay_of_length_one(name: str) -> None:
    first = ORIENTATION[name]
    parts = truthful(name).states[:, first : first + 4]
    np.testing.assert_allclose(np.linalg.norm(parts, axis=1), 1.0, atol=1e-12)
    assert np.abs(np.diff(parts, axis=0)).max() > 1e-3  # they do turn


def test_a_step_keeps_the_bounds_of_controls() -> None:
    system = game("franka-joints").system
    state = franka_joints.REST
    np.testing.assert_allclose(system.step(state, np.full(7, 1e3)), state + 0.1 * system.control_high)
    np.testing.assert_allclose(system.step(state, np.full(7, -1e3)), state + 0.1 * system.control_low)


# --- What a system and a game promise.


@each_system
def test_sizes_agree(name: str) -> None:
    played, system = game(name), game(name).system
    x, u, target = ca.SX.sym("x", system.nx), ca.SX.sym("u", system.nu), ca.SX.sym("t", len(system.target))
    assert system.name == name
    assert system.dynamics(x, u).shape == (system.nx, 1)
    assert system.stage_cost(x, u, target).shape == system.terminal_cost(x, target).shape == (1, 1)
    assert system.features(x).shape == (system.r, 1)
    assert system.theta_low.shape == system.theta_high.shape == played.truth.shape == (system.r,)
    assert system.control_low.shape == system.control_high.shape == (system.nu,)
    assert (system.control_low < system.control_high).all()
    assert played.noise is None or played.noise.shape == (system.nx,)
    assert all(push.shape == (system.nu,) and push.any() for push in played.directions.values())


@each_system
def test_the_box_holds_the_truth_with_room_on_all_sides(name: str) -> None:
    system, truth = game(name).system, game(name).truth
    room = np.minimum(truth - system.theta_low, system.theta_high - truth) / (system.theta_high - system.theta_low)
    assert room.min() > 1e-3


@each_system
def test_starts_repeat_with_the_seed_differ_without_and_take_turns_at_the_targets(name: str) -> None:
    played, targets = game(name), game(name).targets
    starts = [played.start(np.random.default_rng(seed), 0) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(starts[0].state, starts[1].state)
    assert (starts[0].state != starts[2].state).any()
    rng = np.random.default_rng(5)
    turns = [played.start(rng, episode).target for episode in range(2 * targets)]
    assert len({tuple(target) for target in turns}) == targets
    np.testing.assert_array_equal(turns[:targets], turns[targets:])
    for episode in range(targets):
        start = played.start(rng, episode)
        assert start.state.shape == (played.system.nx,)
        assert start.target.shape == (len(played.system.target),)
        assert not played.reached(start.state, start.target)


@pytest.mark.parametrize(("name", "episode"), EPISODES)
def test_under_the_truth_every_episode_ends_well_and_no_plan_is_unsafe(name: str, episode: int) -> None:
    done = truthful(name, episode)
    assert done.reached
    assert game(name).passed(done.states)
    assert done.unsafe == 0
    assert {plan.status for plan in done.plans} == {"solved"}


@each_system
def test_under_the_middle_of_the_box_the_first_episode_does_not_end_well(name: str) -> None:
    """Neither is it over in half again the time that the truth takes."""
    played = dataclasses.replace(game(name), max_steps=3 * len(truthful(name).plans) // 2)
    middle = (played.system.theta_low + played.system.theta_high) / 2
    done = drive(played, controller(name), middle, 0, until_unsafe=True)
    assert done.unsafe or not done.reached or not played.passed(done.states)


def test_a_system_without_a_weight_for_each_step_or_with_nothing_safe_is_refused() -> None:
    with pytest.raises(UserError, match="40 step weights, wanted 41"):
        dataclasses.replace(pendulum.SYSTEM, weights=(1.0,) * 40)
    with pytest.raises(UserError, match="offset is 0"):
        dataclasses.replace(pendulum.SYSTEM, offset=0.0)


def test_an_unknown_system_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UserError, match="pendulum"):
        game("pendulm")


# --- What counts as passed is geometry.


def flight(*points: tuple[float, float, float]) -> np.ndarray:
    states = np.zeros((len(points), 13))
    states[:, :3] = points
    return states


@pytest.mark.parametrize(
    ("points", "good"),
    [
        ([(0, 5, 1), (9, 5, 4.7), (11, 5, 4.7)], True),
        ([(0, 5, 1), (9, 2, 4.7), (11, 2, 4.7)], False),  # beside the opening
        ([(0, 5, 1), (9, 5, 5.6), (11, 5, 5.6)], False),  # above it
        ([(0, 5, 1), (9, 3, 4.7), (11, 4.4, 4.7)], True),  # in it only at the wall itself
        ([(0, 5, 1), (9, 5, 4.7)], False),  # never there
        ([(0, 5, 1), (11, 5, 8.4), (9, 1, 4.7), (11, 5, 4.7)], False),  # back through the wall
    ],
)
def test_a_flight_passes_the_gate_where_it_crosses_the_wall_in_the_opening(
    points: list[tuple[float, float, float]], good: bool
) -> None:
    assert uav.through_the_gate(flight(*points)) is good


def test_a_rolled_hand_is_upright_turned_about_the_worlds_x_axis() -> None:
    angles = np.linspace(-4.0, 4.0, 15).reshape(3, 5)
    upright = Rotation.from_quat(franka_pose.UPRIGHT, scalar_first=True)
    found = franka_pose.rolled(angles)
    assert found.shape == (3, 5, 4)
    turned = Rotation.from_quat(found.reshape(-1, 4), scalar_first=True) * upright.inv()
    wanted = Rotation.from_rotvec(angles.reshape(-1, 1) * [1.0, 0.0, 0.0])
    np.testing.assert_allclose(turned.as_matrix(), wanted.as_matrix(), atol=1e-12)
    np.testing.assert_array_equal(franka_pose.rolled(0.7), franka_pose.rolled(np.array([0.7]))[0])


@pytest.mark.parametrize(
    ("x", "height", "roll", "good"),
    [
        (-0.15, 0.42, np.pi / 4, True),
        (-0.15, 0.42, np.pi / 4 + np.arccos(1 - 0.029), True),
        (-0.15, 0.42, np.pi / 4 - np.arccos(1 - 0.031), False),
        (-0.15, 0.36, np.pi / 4, False),
        (-0.15, 0.49, np.pi / 4, False),
        (-0.05, 0.42, np.pi / 4, False),
    ],
)
def test_a_hand_passes_the_slot_at_the_right_height_and_roll(x: float, height: float, roll: float, good: bool) -> None:
    orientation = Rotation.from_quat(franka_pose.UPRIGHT, scalar_first=True)
    orientation = Rotation.from_euler("x", roll) * orientation
    state = np.array([x, -0.5, height, *orientation.as_quat(scalar_first=True)])
    away = np.array([0.3, -0.5, 0.9, *franka_pose.UPRIGHT])
    assert franka_pose.REACH.passed(np.array([away, state, away])) is good


# --- The flights' truths, over all places and not only where the plans lead.


def felt(name: str, positions: np.ndarray) -> np.ndarray:
    """(n,) offset + features' theta_H of single states of the quadrotor."""
    x = ca.SX.sym("x", 13)
    features = ca.Function("features", [x], [game(name).system.features(x)])
    states = np.pad(positions, ((0, 0), (0, 10)))
    return np.asarray(game(name).system.offset + np.array(features(states.T)).T @ game(name).truth)


def test_the_tubes_truth_is_the_distance_from_its_axis() -> None:
    at = np.random.default_rng(6).uniform((0, 0, 0), (15, 10, 10), (100, 3))
    centre = np.stack([np.full(100, 5.0), 5.0 + 3.0 * at[:, 0] / 15], axis=1)
    share = ((at[:, 1:] - centre) ** 2).sum(axis=1) / 1.5**2
    np.testing.assert_allclose(felt("uav-tube", at), share - 1, atol=1e-9)


def test_the_gates_truth_tells_the_opening_from_the_wall() -> None:
    y, z = (part.ravel() for part in np.meshgrid(np.linspace(0, 10, 61), np.linspace(0, 10, 61)))
    g = felt("uav-gate", np.stack([np.full(y.size, 9.8), y, z], axis=1))
    depth = np.min([y - 3.5, 6.5 - y, z - 4.0, 5.4 - z], axis=0)
    assert (g[depth > 0.4] < 0).all()
    assert (g[depth < -0.1] > 0).all()


# --- Kinematics and rotations.


def test_the_arms_points_are_those_of_its_screws() -> None:
    """The product of exponentials over the joints' axes in the straight pose needs no Denavit-Hartenberg frames."""
    axes = np.array([[0, 0, 1], [0, 1, 0], [0, 0, 1], [0, -1, 0], [0, 0, 1], [0, -1, 0], [0, 0, -1]])
    through = np.array(
        [[0, 0, 0], [0, 0, 0.333], [0, 0, 0], [0.0825, 0, 0.649], [0, 0, 0], [0, 0, 1.033], [0.088, 0, 0]]
    )
    straight = {
        "elbow": ([0.0825, 0, 0.649], 4),
        "wrist": ([0, 0, 1.033], 6),
        "flange": ([0.088, 0, 0.926], 7),
        "hand": ([0.088, 0, 0.8226], 7),
    }
    q = ca.SX.sym("q", 7)
    found = {name: ca.Function(name, [q], [at]) for name, at in franka_joints.points(q).items()}
    assert found.keys() == straight.keys()
    rng = np.random.default_rng(2)
    for angles in rng.uniform(FR3.lower, FR3.upper, (20, 7)):
        for name, (point, joints) in straight.items():
            wanted = np.array(point, dtype=np.float64)
            for axis, origin, angle in reversed(list(zip(axes, through, angles, strict=True))[:joints]):
                wanted = origin + Rotation.from_rotvec(angle * axis).apply(wanted - origin)
            np.testing.assert_allclose(np.array(found[name](angles)).ravel(), wanted, atol=1e-12)


def test_the_arm_in_its_home_pose_has_the_hand_where_its_maker_says() -> None:
    np.testing.assert_allclose(franka_joints.hand(HOME)[0], [0.3069, 0.0, 0.4869], atol=1e-4)


def test_quaternions_agree_with_scipys_rotations() -> None:
    rng = np.random.default_rng(3)
    p, q = Rotation.random(2, rng=rng)
    left, right = (ca.DM(part.as_quat(scalar_first=True)) for part in (p, q))
    np.testing.assert_allclose(np.array(quaternion.rotation(left)), p.as_matrix(), atol=1e-12)
    product = Rotation.from_quat(np.array(quaternion.product(left, right)).ravel(), scalar_first=True)
    np.testing.assert_allclose(product.as_matrix(), (p * q).as_matrix(), atol=1e-12)
    np.testing.assert_allclose(float(quaternion.apart(left, right)), 1 - np.cos((p.inv() * q).magnitude()), atol=1e-12)
    longer = quaternion.apart(3.0 * left, 0.5 * right)
    np.testing.assert_allclose(float(longer), float(quaternion.apart(left, right)), atol=1e-12)  # Euler steps lengthen


# --- A theta that tells plans apart.


def test_the_theta_that_tells_apart_has_the_largest_margin() -> None:
    """In one number: g = -1 + phi theta, safe at phi = 1, unsafe at phi = 3; the margins meet at theta = 1/2."""
    phi, inside = np.array([[1.0], [3.0], [100.0]]), np.array([True, False, False])
    found = telling_apart(phi, inside, np.array([False, True, False]), -1.0, (np.full(1, -5.0), np.full(1, 5.0)))
    np.testing.assert_allclose(found, [0.5])


def test_where_no_theta_tells_apart_it_is_said() -> None:
    phi, inside = np.array([[1.0], [1.0]]), np.array([True, False])
    with pytest.raises(UserError, match="no theta"):
        telling_apart(phi, inside, ~inside, -1.0, (np.full(1, -5.0), np.full(1, 5.0)))
