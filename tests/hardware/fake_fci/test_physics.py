"""The arm in its world: what its sensors say against what is known, and that it moves as the tasks' own arm does."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from hardware.fake_fci.collisions import Collisions, SelfCollision
from hardware.fake_fci.control import Control
from hardware.fake_fci.kinematics import Skeleton, difference, moved
from hardware.fake_fci.motion import Reference
from hardware.fake_fci.physics import Physics
from robot_learn.errors import UserError
from robot_learn.franka import ARMS, FR3, HOME
from sims.franka import definition, physical, world
from sims.franka.arm import THING_BITS
from sims.franka.physical import physical_world, with_torques
from tests.hardware.fake_fci.conftest import table
from tests.hardware.fake_fci.test_motion import arm, command

# What the controllers report at HOME with the hand on [Nm].
GRAVITY = {"fer": (0.0, -3.99, -0.64, 22.02, 0.63, 2.28, 0.0), "fr3": (0.0, -3.93, -0.64, 22.41, 0.79, 2.17, 0.0)}


def hold(control: Control, ticks: int) -> None:
    for _ in range(ticks):
        control.advance(None)


@pytest.mark.parametrize("kind", ARMS)
def test_at_home_the_joints_carry_the_published_gravity_torques_and_nothing_is_felt(kind: str) -> None:
    control = arm(kind=kind)
    hold(control, 100)
    sensed = control.physics.sensed
    np.testing.assert_allclose(sensed.tau_J, GRAVITY[kind], atol=0.02)
    np.testing.assert_allclose(sensed.tau_ext, 0, atol=1e-9)
    np.testing.assert_allclose(sensed.q, HOME, atol=1e-6)


def test_the_hand_and_its_load_are_where_the_model_has_them() -> None:
    control = arm()
    tool, model, data = control.physics.tool, control.physics.model, control.physics.data
    np.testing.assert_allclose(control.physics.sensed.O_T_EE[:3, 3], data.site("tcp").xpos, atol=1e-12)
    np.testing.assert_allclose(control.physics.sensed.O_T_EE[:3, :3], data.site("tcp").xmat.reshape(3, 3), atol=1e-12)
    parts = [model.body(name).id for name in ("hand", "left_finger", "right_finger")]
    assert tool.mass == pytest.approx(model.body_mass[parts].sum())
    centre = model.body_mass[parts] @ data.xipos[parts] / tool.mass
    O_T_F = control.physics.skeleton.flange(data)
    np.testing.assert_allclose(O_T_F[:3, :3] @ tool.centre + O_T_F[:3, 3], centre, atol=1e-3)  # fingers open a little
    assert np.all(np.linalg.eigvalsh(tool.inertia) > 0)


@pytest.mark.parametrize("force", [(8.0, 0.0, 0.0), (0.0, -12.0, 0.0), (0.0, 0.0, -15.0), (5.0, 5.0, 5.0)])
def test_a_push_on_the_hand_is_felt_with_its_own_strength_and_the_sign_of_what_the_arm_does(
    force: tuple[float, float, float],
) -> None:
    control = arm()
    physics = control.physics
    physics.data.xfrc_applied[physics.model.body("hand").id, :3] = force
    physics.pushing = True
    hold(control, 400)
    felt = physics.sensed.O_F_ext
    np.testing.assert_allclose(felt[:3], -np.array(force), atol=0.05 * float(np.linalg.norm(force)))
    O_T_EE = physics.sensed.O_T_EE
    lever = physics.data.body("hand").xipos - O_T_EE[:3, 3]
    np.testing.assert_allclose(felt[3:], -np.cross(lever, force), atol=0.05)
    np.testing.assert_allclose(physics.sensed.K_F_ext[:3], O_T_EE[:3, :3].T @ felt[:3], atol=1e-12)
    J = physics.skeleton.jacobian(O_T_EE[:3, 3], physics.data)
    np.testing.assert_allclose(J.T @ felt, physics.sensed.tau_ext, atol=0.05)
    # The joints are springs: they give way by what presses on them.
    gave = physics.joint_stiffness * (control.reference.q - physics.sensed.q)
    np.testing.assert_allclose(gave, physics.sensed.tau_ext, atol=0.05)


def test_a_real_contact_presses_as_hard_as_is_felt() -> None:
    spec = world.table_world()
    wall = spec.worldbody.add_geom(name="wall", type=mujoco.mjtGeom.mjGEOM_BOX)
    wall.pos, wall.size = [0.3069, 0.0, 0.2185], [0.1, 0.1, 0.2185]
    wall.contype, wall.conaffinity = THING_BITS
    model = spec.compile()
    with_torques(model)
    data = mujoco.MjData(model)
    data.qpos[:7] = HOME
    control = Control(Physics(model, data, FR3))
    control.collisions.set(np.full(52, 100.0))
    physics = control.physics
    begin = control.reference.pose
    assert control.move("cartesian_velocity", "joint_impedance", lambda _: None) == "motion_started"
    for tick in range(900):
        control.advance(command(twist=-0.1 * np.sin(np.pi * tick / 899) ** 2 * np.eye(6)[2]))
    for _ in range(300):
        control.advance(command())
    assert control.errors == ()
    assert difference(begin, control.reference.pose)[2] == pytest.approx(-0.045, abs=1e-3)
    # The force of the contacts themselves, after one more step, against what is estimated from the joints.
    mujoco.mj_forward(model, data)
    pressed = np.zeros(3)
    for i in range(data.ncon):
        wrench = np.zeros(6)
        mujoco.mj_contactForce(model, data, i, wrench)
        sign = 1.0 if data.contact[i].geom2 == model.geom("wall").id else -1.0
        pressed += sign * data.contact[i].frame.reshape(3, 3).T @ wrench[:3]
    assert pressed[2] < -10.0  # the hand presses down on the wall
    np.testing.assert_allclose(physics.sensed.O_F_ext[:3], pressed, atol=0.05 * float(np.linalg.norm(pressed)))


def test_pressing_harder_than_allowed_is_a_reflex_at_the_threshold_and_the_arm_lets_go() -> None:
    control = arm()
    control.collisions.set(np.repeat([10.0, 40.0, 10.0, 40.0, 10.0, 20.0, 10.0, 20.0], [7] * 4 + [6] * 4))
    physics = control.physics
    outcomes: list[str] = []
    control.move("joint_velocity", "joint_impedance", outcomes.append)
    physics.pushing = True
    felt = 0.0
    for tick in range(400):
        physics.data.xfrc_applied[physics.model.body("hand").id, 2] = -0.1 * tick
        control.advance(command())
        if control.motion is None:
            break
        felt = abs(physics.sensed.O_F_ext[2])
        assert bool(control.collisions.cartesian_contact[2]) == (felt > 10.0)
    assert (outcomes, control.errors) == (["reflex"], ("cartesian_reflex",))
    assert felt == pytest.approx(20.0, abs=0.2)
    assert control.collisions.cartesian_collision.tolist() == [False, False, True, False, False, False]
    physics.data.xfrc_applied[:] = 0.0
    hold(control, 200)
    assert not control.collisions.cartesian_contact.any()
    assert control.collisions.cartesian_collision[2]  # it stays until it is cleared
    assert control.recover() == "success"
    assert not control.collisions.cartesian_collision.any()


def test_free_motion_feels_like_nothing_however_fast() -> None:
    control, worst = arm(), 0.0
    control.move("none", "external", lambda _: None)
    for tick in range(400):
        control.advance(command(tau=0.8 * np.sin(tick / 40) * np.array([1.0, 0, 1, 0, 0.3, 0.3, 0.3])))
        worst = max(worst, np.abs(control.physics.sensed.tau_ext).max())
    assert control.errors == ()
    assert np.abs(control.physics.sensed.dq).max() > 0.05
    assert worst < 1e-6


def test_a_load_that_is_told_is_carried_and_one_that_is_not_is_felt() -> None:
    control = arm()
    physics, tool = control.physics, control.physics.tool
    hand = physics.model.body("hand").id
    physics.data.xfrc_applied[hand, 2], physics.pushing = -9.81, True  # a kilogram that nobody told of
    hold(control, 500)
    assert np.abs(control.reference.q - physics.sensed.q).max() > 5e-4
    assert physics.sensed.O_F_ext[2] == pytest.approx(9.81, rel=0.05)
    flange = physics.skeleton.flange(physics.data)
    tool.load, tool.load_centre = 1.0, flange[:3, :3].T @ (physics.data.xipos[hand] - flange[:3, 3])
    hold(control, 500)
    assert np.abs(control.reference.q - physics.sensed.q).max() < 2e-5
    assert np.abs(physics.sensed.O_F_ext[:3]).max() < 0.05


def test_an_arm_that_comes_too_near_to_itself_is_stopped() -> None:
    folded = (0.0, 1.0, 0.0, -3.0, 0.0, 0.6, 0.0)
    for q, wanted in ((HOME, False), ((0.0, 0.0, 0.0, -2.0, 0.0, 2.0, 0.0), False), (folded, True)):
        model = table()
        data = mujoco.MjData(model)
        data.qpos[:7] = q
        mujoco.mj_forward(model, data)
        guard = SelfCollision(model)
        assert any(guard.near(data) for _ in range(8)) == wanted, q


def test_ordinary_postures_are_not_near_to_themselves() -> None:
    model = table()
    data, guard = mujoco.MjData(model), SelfCollision(model)
    rng = np.random.default_rng(0)
    for _ in range(100):
        data.qpos[:7] = np.array(HOME) + rng.uniform(-0.3, 0.3, 7)
        mujoco.mj_kinematics(model, data)
        assert not any(guard.near(data) for _ in range(8)), data.qpos[:7]


def test_joint_positions_for_a_pose_are_found_and_what_is_out_of_reach_is_none() -> None:
    skeleton, rng = Skeleton(table()), np.random.default_rng(0)
    for _ in range(20):
        q = np.array(HOME) + rng.uniform(-0.3, 0.3, 7)
        skeleton.move(q)
        goal = moved(skeleton.flange(), rng.uniform(-0.02, 0.02, 6))
        found = skeleton.reach(goal, q)
        assert found is not None
        skeleton.move(found)
        np.testing.assert_allclose(difference(skeleton.flange(), goal), 0, atol=1e-11)
        elbow = float(q[2] + 0.05)
        found = skeleton.reach(goal, q, elbow)
        assert found is not None
        assert found[2] == pytest.approx(elbow, abs=1e-11)
    goal[:3, 3] += 2.0
    assert skeleton.reach(goal, q) is None


def test_difference_and_motion_undo_each_other_also_for_large_turns() -> None:
    rng = np.random.default_rng(1)
    for size in (1e-8, 1e-3, 1.0, 3.0):
        motion = rng.uniform(-1, 1, 6)
        motion[3:] *= size / np.linalg.norm(motion[3:])
        T = moved(np.eye(4), rng.uniform(-1, 1, 6))
        np.testing.assert_allclose(difference(T, moved(T, motion)), motion, atol=1e-9)


def test_a_model_that_is_not_fit_is_refused_with_what_is_wanted() -> None:
    servos = definition("reach").model()
    with pytest.raises(UserError, match="torques, came servos"):
        Physics(servos, mujoco.MjData(servos), FR3)
    slow = table()
    slow.opt.timestep = 0.002
    with pytest.raises(UserError, match=r"time step of 0\.001 s, came 0\.002"):
        Physics(slow, mujoco.MjData(slow), FR3)
    box = mujoco.MjModel.from_xml_string(
        "<mujoco><worldbody><body><freejoint/><geom size='1'/></body></worldbody></mujoco>"
    )
    with pytest.raises(UserError, match="joint1"):
        Physics(box, mujoco.MjData(box), FR3)


@pytest.mark.parametrize("task", ["reach", "pick-cube"])
def test_joint_velocities_move_the_arm_as_they_do_in_the_tasks_own_world(task: str) -> None:
    """What a policy meets here is what it was trained in: the same joint velocities, 25 a second, for two seconds."""
    own = definition(task)
    model = own.model()
    trained = mujoco.MjData(model)
    own.start(model, trained, np.random.default_rng(3))
    mujoco.mj_forward(model, trained)
    there = physical_world(task)
    there.start(3)
    np.testing.assert_array_equal(there.data.qpos, trained.qpos)
    control = Control(Physics(there.model, there.data, FR3))
    control.move("joint_velocity", "joint_impedance", lambda _: None)
    worst, dq = 0.0, np.zeros(7)
    for step in range(50):
        wanted = 0.25 * np.sin(0.25 * step + np.arange(7)) * np.sin(np.pi * step / 50)
        trained.ctrl[:7] = wanted
        mujoco.mj_step(model, trained, own.frame_skip)
        for _ in range(40):  # the same, at an acceleration and a jerk that the controller takes
            dq = dq + np.clip(wanted - dq, -0.004, 0.004)
            control.advance(command(dq=dq))
        assert control.errors == ()
        worst = max(worst, np.abs(trained.qpos[:7] - there.data.qpos[:7]).max())
    assert worst < 0.01  # [rad], of movements of half a radian


def test_the_physical_world_tells_success_as_the_task_does() -> None:
    there = physical_world("pick-cube")
    there.start(5)
    assert not there.success()
    there.data.qpos[9:12] = there.data.mocap_pos[0]
    mujoco.mj_forward(there.model, there.data)
    assert there.success()
    assert set(there.read()) == set(definition("pick-cube").task.schema.names)
    again = physical.physical_world("pick-cube")
    again.start(5)
    there.start(5)
    np.testing.assert_array_equal(again.data.qpos, there.data.qpos)
    assert not physical_world().success()


def test_thresholds_that_make_no_sense_are_not_taken() -> None:
    collisions = Collisions()
    assert not collisions.set(np.full(52, -1.0))
    assert not collisions.set(np.full(52, np.nan))
    assert not collisions.set(np.r_[np.full(7, 20.0), np.full(45, 10.0)])
    assert collisions.upper_force.max() == 40.0


def test_a_reference_at_rest_has_no_derivatives() -> None:
    rest = Reference.at_rest(np.array(HOME), np.eye(4))
    assert not rest.dq.any()
    np.testing.assert_array_equal(rest.elbow, [[HOME[2], -1.0], [0, 0], [0, 0]])
