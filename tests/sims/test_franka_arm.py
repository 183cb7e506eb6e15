"""The arm against independent answers: kinematics in plain numpy, published gravity torques, energy, its own limits."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from robot_learn.errors import UserError
from robot_learn.franka import ARMS, FR3, HOME
from robot_learn.inverse_kinematics import within
from sims.franka import looks
from sims.franka.arm import JOINTS, THING_BITS, build

# What the controllers report at HOME with the hand on [Nm].
GRAVITY = {"fer": (0.0, -3.99, -0.64, 22.02, 0.63, 2.28, 0.0), "fr3": (0.0, -3.93, -0.64, 22.41, 0.79, 2.17, 0.0)}


def model(arm: str = "fr3", **options: object) -> tuple[mujoco.MjModel, mujoco.MjData]:
    compiled = build(arm, visuals=False, **options).compile()  # type: ignore[arg-type]
    return compiled, mujoco.MjData(compiled)


def random_positions(arm: str, count: int) -> np.ndarray:
    known = ARMS[arm]
    return np.random.default_rng(0).uniform(known.lower, known.upper, (count, 7))


def flange_by_hand(q: np.ndarray) -> np.ndarray:
    """T_base_flange from the table of Denavit-Hartenberg parameters in Franka's manual, typed in again here."""
    T = np.eye(4)
    for a, d, alpha, theta in [
        (0, 0.333, 0, q[0]),
        (0, 0, -np.pi / 2, q[1]),
        (0, 0.316, np.pi / 2, q[2]),
        (0.0825, 0, np.pi / 2, q[3]),
        (-0.0825, 0.384, -np.pi / 2, q[4]),
        (0, 0, np.pi / 2, q[5]),
        (0.088, 0, np.pi / 2, q[6]),
        (0, 0.107, 0, 0),
    ]:
        c, s, ca, sa = np.cos(theta), np.sin(theta), np.cos(alpha), np.sin(alpha)
        T = T @ [[c, -s, 0, a], [s * ca, c * ca, -sa, -d * sa], [s * sa, c * sa, ca, d * ca], [0, 0, 0, 1]]
    return T


@pytest.mark.parametrize("arm", ARMS)
def test_the_flange_is_where_the_denavit_hartenberg_table_puts_it(arm: str) -> None:
    compiled, data = model(arm)
    for q in random_positions(arm, 20):
        data.qpos[:7] = q
        mujoco.mj_kinematics(compiled, data)
        T = flange_by_hand(q)
        np.testing.assert_allclose(data.site("flange").xpos, T[:3, 3], atol=1e-9)
        np.testing.assert_allclose(data.site("flange").xmat.reshape(3, 3), T[:3, :3], atol=1e-9)


def test_at_home_the_flange_is_at_its_published_place_and_points_down() -> None:
    compiled, data = model()
    data.qpos[:7] = HOME
    mujoco.mj_kinematics(compiled, data)
    np.testing.assert_allclose(data.site("flange").xpos, [0.3069, 0.0, 0.5903], atol=5e-5)
    np.testing.assert_allclose(data.site("flange").xmat.reshape(3, 3)[:, 2], [0, 0, -1], atol=1e-9)
    np.testing.assert_allclose(data.site("tcp").xpos, [0.3069, 0.0, 0.5903 - 0.1034], atol=5e-5)


@pytest.mark.parametrize("arm", ARMS)
def test_gravity_torques_at_home_are_those_that_the_controllers_report(arm: str) -> None:
    compiled, data = model(arm)
    data.qpos[:7] = HOME
    mujoco.mj_forward(compiled, data)
    np.testing.assert_allclose(data.qfrc_bias[:7], GRAVITY[arm], atol=0.01)
    np.testing.assert_allclose(data.qfrc_gravcomp[:7], data.qfrc_bias[:7], atol=1e-9)


@pytest.mark.parametrize("arm", ARMS)
def test_gravity_torque_is_the_slope_of_the_potential_energy(arm: str) -> None:
    compiled, data = model(arm)
    compiled.opt.enableflags |= mujoco.mjtEnableBit.mjENBL_ENERGY

    def energy(q: np.ndarray) -> float:
        data.qpos[:7], data.qvel[:] = q, 0.0
        mujoco.mj_forward(compiled, data)
        return float(data.energy[0])

    for q in random_positions(arm, 3):
        slope = [(energy(q + step) - energy(q - step)) / 2e-6 for step in 1e-6 * np.eye(7)]
        energy(q)
        np.testing.assert_allclose(data.qfrc_bias[:7], slope, atol=1e-6)


@pytest.mark.parametrize("arm", ARMS)
def test_the_mass_matrix_is_symmetric_and_its_kinetic_energy_is_that_of_the_moving_links(arm: str) -> None:
    compiled, data = model(arm)
    compiled.opt.enableflags |= mujoco.mjtEnableBit.mjENBL_ENERGY
    rng = np.random.default_rng(1)
    for q in random_positions(arm, 3):
        data.qpos[:7], data.qvel[:7] = q, rng.uniform(-1, 1, 7)
        mujoco.mj_forward(compiled, data)
        M = np.zeros((compiled.nv, compiled.nv))
        mujoco.mj_fullM(compiled, M, data.qM)
        np.testing.assert_allclose(M, M.T)
        assert np.linalg.eigvalsh(M).min() > 0
        moving = sum(kinetic_energy(compiled, data, body) for body in range(compiled.nbody))
        rotors = 0.5 * np.sum(compiled.dof_armature * data.qvel**2)
        assert 0.5 * data.qvel @ M @ data.qvel == pytest.approx(moving + rotors, rel=1e-9)


def kinetic_energy(compiled: mujoco.MjModel, data: mujoco.MjData, body: int) -> float:
    """Of one body [J], from the velocity of its centre of mass, found by a Jacobian."""
    jacp, jacr = np.zeros((2, 3, compiled.nv))
    mujoco.mj_jacBodyCom(compiled, data, jacp, jacr, body)
    speed, turn = jacp @ data.qvel, data.ximat[body].reshape(3, 3).T @ jacr @ data.qvel
    return float(0.5 * compiled.body_mass[body] * speed @ speed + 0.5 * turn @ (compiled.body_inertia[body] * turn))


@pytest.mark.parametrize("arm", ARMS)
def test_each_link_has_the_mass_and_inertia_that_are_published(arm: str) -> None:
    compiled, _ = model(arm)
    for i, link in enumerate(ARMS[arm].links):
        body = compiled.body(f"link{i + 1}")
        xx, yy, zz, xy, xz, yz = link.tensor
        moments = np.linalg.eigvalsh([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        assert body.mass[0] == pytest.approx(link.mass)
        np.testing.assert_allclose(body.ipos, link.centre)
        np.testing.assert_allclose(np.sort(body.inertia), moments, rtol=1e-6)
        assert moments[0] > 0
        assert moments[2] <= moments[0] + moments[1]  # or no solid body has them


@pytest.mark.parametrize("arm", ARMS)
def test_joint_ranges_and_torques_are_the_arms_own(arm: str) -> None:
    compiled, data = model(arm, actuators="torque")
    known = ARMS[arm]
    for i, joint in enumerate(JOINTS):
        np.testing.assert_array_equal(compiled.joint(joint).range, [known.lower[i], known.upper[i]])
    data.ctrl[:7] = 1000.0
    mujoco.mj_forward(compiled, data)
    np.testing.assert_allclose(data.qfrc_actuator[:7], known.torque)


def test_in_torque_mode_the_arm_holds_still_and_without_compensation_it_falls() -> None:
    for carries_itself in (True, False):
        compiled, data = model(actuators="torque", carries_itself=carries_itself)
        data.qpos[:7] = HOME
        mujoco.mj_step(compiled, data, 500)
        moved = np.abs(data.qpos[:7] - HOME).max()
        assert moved < 1e-3 if carries_itself else moved > 0.1


def test_in_velocity_mode_the_joints_follow_and_never_pass_their_range() -> None:
    compiled, data = model()
    data.qpos[:7] = HOME
    wanted = np.array([0.5, -0.3, 0.4, 0.6, -0.5, 0.7, -1.0])
    data.ctrl[:7] = wanted
    mujoco.mj_step(compiled, data, 100)
    np.testing.assert_allclose(data.qvel[:7], wanted, atol=0.02)
    mujoco.mj_step(compiled, data, 5000)
    assert np.all(data.qpos[:7] <= FR3.upper + 0.01)
    assert np.all(data.qpos[:7] >= FR3.lower - 0.01)


def test_in_position_mode_the_joints_go_where_they_are_told() -> None:
    compiled, data = model(actuators="position")
    data.qpos[:7] = HOME
    target = np.array(HOME) + 0.1
    data.ctrl[:7] = target
    mujoco.mj_step(compiled, data, 1500)
    np.testing.assert_allclose(data.qpos[:7], target, atol=1e-3)


def test_the_fingers_move_alike_and_open_as_far_as_they_are_told() -> None:
    compiled, data = model()
    data.qpos[:7] = HOME
    for opening in (0.08, 0.03, 0.0):
        data.ctrl[7] = opening
        mujoco.mj_step(compiled, data, 1000)
        assert data.qpos[7] + data.qpos[8] == pytest.approx(opening, abs=1e-3)
        assert data.qpos[7] == pytest.approx(data.qpos[8], abs=1e-3)


def test_the_grip_never_presses_harder_than_70_newton() -> None:
    spec = build("fr3", visuals=False)
    box = spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=[0.3069, 0.0, 0.4869], size=[0.01, 0.02, 0.01])
    box.contype, box.conaffinity = THING_BITS
    compiled = spec.compile()
    data = mujoco.MjData(compiled)
    data.qpos[:7], data.qpos[7:9], data.ctrl[7] = HOME, 0.025, 0.0
    mujoco.mj_step(compiled, data, 1000)
    assert data.qpos[7] == pytest.approx(0.02, abs=2e-3)  # it holds a block of 4 cm
    assert 30 < abs(data.actuator("gripper").force[0]) <= 70


@pytest.mark.parametrize("arm", ARMS)
def test_at_the_bounds_of_velocity_an_arm_can_brake_before_its_range_ends(arm: str) -> None:
    known = ARMS[arm]
    for q in random_positions(arm, 50):
        low, high = known.velocity_bounds(q)
        assert np.all((-known.velocity <= low) & (low <= 0) & (high >= 0) & (high <= known.velocity))
        if known.braking is not None:
            assert np.all(high**2 <= 2 * known.braking * (known.upper - q) + 1e-9)
            assert np.all(low**2 <= 2 * known.braking * (q - known.lower) + 1e-9)


def test_a_twist_is_done_exactly_where_no_joint_is_at_its_bounds_and_by_the_others_where_one_is() -> None:
    rng = np.random.default_rng(0)
    J, twist, idle = rng.normal(size=(6, 7)), 0.1 * rng.normal(size=6), np.zeros(7)
    free, tight = np.full(7, 10.0), np.full(7, 10.0)
    rates = within(J, twist, idle, 1e-10 * np.eye(6), -free, free)
    np.testing.assert_allclose(J @ rates, twist, atol=1e-7)
    largest = int(np.argmax(np.abs(rates)))
    tight[largest] = 0.9 * abs(rates[largest])
    bounded = within(J, twist, idle, 1e-10 * np.eye(6), -tight, tight)
    assert abs(bounded[largest]) == pytest.approx(tight[largest])
    np.testing.assert_allclose(J @ bounded, twist, atol=1e-6)


def test_an_unknown_arm_or_kind_of_actuators_is_named_with_what_there_is() -> None:
    with pytest.raises(UserError, match="fer, fr3"):
        build("ur5")
    with pytest.raises(UserError, match="position, torque, velocity"):
        build("fr3", actuators="pneumatic")


def test_without_a_hand_there_are_seven_degrees_of_freedom() -> None:
    compiled, _ = model(hand=False)
    assert (compiled.nq, compiled.nv, compiled.nu) == (7, 7, 7)


def test_what_is_seen_is_never_felt() -> None:
    bare, dressed = build("fr3", visuals=False).compile(), build("fr3").compile()
    np.testing.assert_allclose(dressed.body_mass, bare.body_mass)
    np.testing.assert_allclose(dressed.body_inertia, bare.body_inertia)
    seen = dressed.geom_group == 2
    assert seen.any()
    assert not dressed.geom_contype[seen].any()
    assert not dressed.geom_conaffinity[seen].any()


def test_without_the_meshes_each_link_is_seen_as_what_collides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "_mesh_folder", lambda: None)
    compiled = build("fr3").compile()
    assert compiled.nmesh == 0
    seen, felt = (np.flatnonzero(compiled.geom_group == group) for group in (2, 3))
    for name in ("geom_bodyid", "geom_type", "geom_size", "geom_pos", "geom_quat"):
        order_of = getattr(compiled, name)
        np.testing.assert_allclose(order_of[seen], order_of[felt], atol=1e-12)
