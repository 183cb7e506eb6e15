"""The simulated arm by the `Arm` protocol: every mode, what stops it, what it feels, and its faults on order."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import pytest

from hardware.arm import Arm, ArmError, Command
from hardware.kinematics import forward
from hardware.limits import Envelope
from hardware.records import STATES
from hardware.simulated import Faults, SimulatedArm, connect
from robot_learn.errors import UserError
from robot_learn.franka import HOME
from sims.franka.arm import build

READY = np.array((0.0, -0.1848, 0.0, -2.4967, 0.0, 2.3119, 0.7854))


def world(actuators: str = "velocity", posture: Any = READY, **more: Any) -> tuple[mujoco.MjModel, mujoco.MjData]:
    spec = build("fr3", actuators=actuators, visuals=False, **more)
    spec.option.timestep = 0.001
    block = spec.worldbody.add_body(name="block", mocap=True, pos=[0.6, 0, -1])
    geom = block.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.05, 0.05, 0.05])
    geom.contype, geom.conaffinity = 1, 3
    model = spec.compile()
    data = mujoco.MjData(model)
    data.qpos[:7] = posture
    data.qpos[7:9] = 0.04
    data.ctrl[7] = 0.08
    mujoco.mj_forward(model, data)
    return model, data


def make(actuators: str = "velocity", **settings: Any) -> SimulatedArm:
    model, data = world(actuators)
    return SimulatedArm(model, data, **settings)


def command(arm: SimulatedArm, mode: Any, values: Any, seconds: float, **more: Any) -> Any:
    """The same command at 25 Hz for so long; the last answer."""
    for _ in range(round(seconds / 0.04)):
        applied = arm.command(Command(mode, np.asarray(values), arm.observe().received, **more))
        arm.wait(0.04)
    return applied


def test_it_is_an_arm() -> None:
    arm = make()
    assert isinstance(arm, Arm)
    assert arm.spec.modes == ("joint_velocity", "joint_position", "twist", "pose")
    seen = arm.observe()
    assert (seen.state, seen.errors, seen.success_rate, seen.sequence) == ("idle", (), 1.0, 0)
    np.testing.assert_allclose(seen.T_base_ee, forward(seen.q))
    np.testing.assert_allclose(seen.q_commanded, READY)
    assert seen.gripper is not None
    assert seen.gripper.opening == pytest.approx(0.08)


@pytest.mark.parametrize("actuators", ["velocity", "torque"])
def test_every_mode_reaches_its_goal(actuators: str) -> None:
    with make(actuators) as arm:
        arm.start()
        command(arm, "joint_velocity", 0.1 * np.ones(7), 0.8)
        # 0.8 s at 0.1 rad/s, less half of the 20 ms that it takes to get there and a filter's delay of 1.5 ms.
        np.testing.assert_allclose(arm.observe().q_commanded - READY, 0.1 * (0.8 - 0.01 - 0.0015), atol=1e-4)
        np.testing.assert_allclose(arm.observe().q - arm.observe().q_commanded, 0.0, atol=2e-3)
        command(arm, "joint_position", READY, 1.2)
        np.testing.assert_allclose(arm.observe().q, READY, atol=2e-3)
        before = arm.observe().T_base_ee
        command(arm, "twist", [0.0, 0.1, 0.0, 0.0, 0.0, 0.0], 0.8)
        moved = arm.observe().T_base_ee
        np.testing.assert_allclose(moved[:3, 3] - before[:3, 3], [0, 0.08, 0], atol=5e-3)
        np.testing.assert_allclose(moved[:3, :3], before[:3, :3], atol=0.01)
        command(arm, "pose", before, 1.4)
        np.testing.assert_allclose(arm.observe().T_base_ee, before, atol=3e-3)


def test_what_was_sent_and_what_limited_it_is_told() -> None:
    with make() as arm:
        arm.start()
        applied = command(arm, "joint_velocity", np.full(7, 0.05), 0.2)
        np.testing.assert_allclose(applied.dq, 0.05)
        assert applied.limited == ()
        applied = command(arm, "joint_velocity", np.full(7, 2.0), 0.08)
        assert applied.limited[0] == "joint velocity"
        assert "acceleration" in applied.limited
        assert (applied.dq < 1.0).all()
        refused = command(arm, "joint_velocity", np.full(7, np.nan), 0.04)
        assert (refused.refused, refused.opening) == ("not finite", None)


def test_time_passes_only_while_somebody_waits() -> None:
    arm = make()
    arm.start()
    for _ in range(3):
        arm.command(Command("joint_velocity", np.ones(7), arm.observe().received))
    assert arm.now() == 0.0
    for _ in range(10):
        arm.wait(0.0004)
    assert arm.observe().sequence == 4
    assert arm.now() == pytest.approx(0.004)


def test_two_arms_move_alike_to_the_bit() -> None:
    ends = []
    for _ in range(2):
        with make() as arm:
            arm.start()
            command(arm, "twist", [0.1, 0.1, -0.1, 0.3, 0.0, 0.2], 0.4)
            ends.append(arm.observe().q)
    assert (ends[0] == ends[1]).all()


# Ends.


def test_when_the_commander_is_gone_the_motion_ends_and_a_start_begins_anew() -> None:
    arm = make()
    arm.start()
    command(arm, "joint_velocity", np.full(7, 0.1), 0.2)
    arm.wait(0.2)
    assert np.abs(arm.observe().dq).max() < 1e-3
    assert arm.observe().state == "moving"
    arm.wait(0.21)
    assert arm.observe().state == "idle"
    with pytest.raises(ArmError, match="no command came for 10 periods") as raised:
        arm.command(Command("joint_velocity", np.zeros(7), arm.observe().received))
    assert raised.value.recoverable
    with pytest.raises(ArmError, match="start it first"):
        arm.command(Command("joint_velocity", np.zeros(7), arm.observe().received))
    arm.start()
    command(arm, "joint_velocity", np.full(7, 0.1), 0.04)


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_a_stop_ends_the_motion_at_any_time_also_twice(kind: Any) -> None:
    arm = make()
    arm.stop(kind)
    arm.start()
    command(arm, "joint_velocity", np.full(7, 0.2), 0.4)
    before = arm.now()
    arm.stop(kind)
    arm.stop(kind)
    assert arm.observe().state == "idle" or kind == "hard"
    assert arm.now() - before == pytest.approx(0.0 if kind == "hard" else 0.04, abs=0.015)
    arm.wait(0.15)
    assert arm.observe().state == "idle"
    assert np.abs(arm.observe().dq).max() < 1e-3


def test_leaving_it_stops_it_and_gives_the_gripper_its_force_back() -> None:
    model, data = world()
    arm = SimulatedArm(model, data)

    def fails() -> None:
        with arm:
            assert model.actuator_forcerange[7, 1] == 30.0
            arm.start()
            command(arm, "joint_velocity", np.full(7, 0.1), 0.2)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert arm.observe().state == "idle"
    assert model.actuator_forcerange[7, 1] == 70.0


def test_it_starts_where_its_world_was_put() -> None:
    model, data = world()
    arm = SimulatedArm(model, data)
    data.qpos[:7] = HOME
    mujoco.mj_forward(model, data)
    arm.start()
    np.testing.assert_allclose(arm.observe().q_commanded, HOME)


# Reflexes.


def push(arm: SimulatedArm, force: float) -> None:
    """From now on, at the hand, along y [N]."""
    hand = arm.body.model.body("hand").id
    arm.body.data.xfrc_applied[hand, 1] = force


def test_a_push_under_the_threshold_stops_nothing() -> None:
    arm = make()
    arm.start()
    push(arm, 27.0)
    command(arm, "joint_velocity", np.zeros(7), 0.2)
    assert arm.observe().state == "moving"


def test_a_push_over_the_threshold_stops_the_arm_and_a_person_recovers_it() -> None:
    arm = make()
    arm.start()
    push(arm, 33.0)
    with pytest.raises(ArmError) as raised:
        command(arm, "joint_velocity", np.zeros(7), 0.2)
    assert raised.value.errors == ("cartesian_reflex",)
    assert not raised.value.recoverable
    assert arm.observe().state == "reflex"
    push(arm, 0.0)
    with pytest.raises(ArmError, match="it is reflex"):
        arm.start()
    with pytest.raises(ArmError, match="a person must look first"):
        arm.recover()
    arm.recover(by_person=True)
    arm.start()
    command(arm, "joint_velocity", np.zeros(7), 0.08)


@pytest.mark.parametrize("actuators", ["velocity", "torque"])
def test_the_wrench_is_the_force_that_acts_on_the_hand(actuators: str) -> None:
    arm = make(actuators)
    arm.start()
    push(arm, 15.0)
    command(arm, "joint_velocity", np.zeros(7), 0.2)
    # Held at the hand's centre of mass, so that it turns, too; the force is what it is.
    np.testing.assert_allclose(arm.observe().external_wrench[:3], [0, 15.0, 0], atol=0.5)
    push(arm, 0.0)
    command(arm, "joint_velocity", np.zeros(7), 0.2)
    np.testing.assert_allclose(arm.observe().external_wrench, 0.0, atol=1e-6)


def test_a_hand_that_runs_into_a_block_stops() -> None:
    arm = make(envelope=Envelope(collision_force=20.0))
    arm.body.data.mocap_pos[0] = [0.45, 0.2, 0.2]
    arm.start()
    with pytest.raises(ArmError, match=r"cartesian_reflex|joint_reflex"):
        command(arm, "twist", [0.0, 0.2, 0.0, 0.0, 0.0, 0.0], 2.0)
    assert arm.observe().state == "reflex"
    assert 0.0 < arm.observe().T_base_ee[1, 3] < 0.16


def test_a_second_reflex_within_ten_seconds_wants_a_person() -> None:
    arm = make()
    for _ in range(2):
        arm.start()
        push(arm, 40.0)
        arm.wait(0.05)
        assert arm.observe().state == "reflex"
        push(arm, 0.0)
        arm._state, arm._errors = "idle", ()  # as if somebody cleared it at the arm, without a look
    with pytest.raises(ArmError, match="two reflexes"):
        arm.start()
    arm.recover(by_person=True)
    arm.start()


@pytest.mark.parametrize("joint_friction", [False, True])
def test_an_arm_that_touches_nothing_feels_nothing_while_it_moves(joint_friction: bool) -> None:
    arm = SimulatedArm(*world(joint_friction=joint_friction))
    arm.start()
    command(arm, "joint_velocity", np.full(7, 0.2), 0.4)
    np.testing.assert_allclose(arm.observe().external_torques, 0.0, atol=1e-9)


def test_a_user_stop_is_not_recovered_by_software() -> None:
    arm = make()
    arm.start()
    command(arm, "joint_velocity", np.full(7, 0.1), 0.2)
    arm.press_user_stop()
    with pytest.raises(ArmError, match="external activation device"):
        command(arm, "joint_velocity", np.full(7, 0.1), 0.04)
    with pytest.raises(ArmError):
        arm.recover(by_person=True)
    arm.release_user_stop()
    arm.start()


# Faults on order.


def test_lost_commands_are_bridged_and_twenty_in_a_row_stop_the_arm_once_recoverably() -> None:
    faults = Faults(lost=lambda tick: tick % 10 == 0)
    arm = make(faults=faults)
    arm.start()
    command(arm, "joint_velocity", np.full(7, 0.1), 0.4)
    assert arm.observe().success_rate == pytest.approx(0.9)
    for _ in range(2):
        faults.lost = lambda tick: True
        with pytest.raises(ArmError, match="communication_constraints_violation") as raised:
            command(arm, "joint_velocity", np.full(7, 0.1), 0.08)
        faults.lost = None
        if raised.value.recoverable:
            arm.recover()
            arm.start()
    with pytest.raises(ArmError, match="a person must look first"):
        arm.recover()


def test_observations_and_commands_come_as_late_as_was_ordered() -> None:
    arm = make(faults=Faults(observation_delay=0.03, command_delay=0.02))
    arm.start()
    arm.wait(0.1)
    seen = arm.observe()
    assert seen.time == pytest.approx(arm.now() - 0.03)
    assert seen.received == pytest.approx(arm.now())
    arm.command(Command("joint_velocity", np.full(7, 0.1), seen.received))
    arm.wait(0.02)
    assert np.abs(arm.body.dq).max() < 1e-6
    arm.wait(0.01)
    assert (arm.body.dq > 0.01).all()


def test_a_refusal_on_the_way_is_told_with_the_next_command() -> None:
    arm = make(faults=Faults(command_delay=0.01))
    arm.start()
    bad = Command("joint_velocity", np.full(7, np.nan), arm.observe().received)
    assert arm.command(bad).refused == ""
    arm.wait(0.02)
    assert arm.command(bad).refused == "not finite"


def test_something_may_happen_before_each_tick() -> None:
    seen: list[int] = []
    arm = make(faults=Faults(on_tick=seen.append))
    arm.wait(0.005)
    assert seen == [0, 1, 2, 3, 4]


# The gripper and the record.


def test_the_gripper_closes_on_command_and_tells_what_it_holds() -> None:
    arm = make()
    arm.start()
    assert command(arm, "joint_velocity", np.zeros(7), 0.6, opening=0.02).opening == 0.02
    held = arm.observe().gripper
    assert held is not None
    assert held.opening == pytest.approx(0.02, abs=2e-3)
    assert not held.grasped
    arm.body.data.mocap_pos[0] = [0.45, 0.0, 0.30]
    command(arm, "joint_velocity", np.zeros(7), 0.04)


def test_every_tick_is_recorded_once() -> None:
    arm = make()
    arm.start()
    command(arm, "joint_velocity", np.full(7, 0.1), 0.2)
    ticks = arm.ticks()
    assert list(ticks["sequence"]) == list(range(1, 201))
    np.testing.assert_allclose(np.diff(ticks["q_commanded"], axis=0), 0.001 * ticks["dq_sent"][1:], atol=1e-12)
    assert {STATES[index] for index in ticks["state"]} == {"moving"}
    assert ticks["following"].all()
    assert b"acceleration" in ticks["limited"][0]
    assert len(arm.ticks()) == 0


def test_a_heartbeat_may_be_required() -> None:
    arm = make(needs_heartbeat=True)
    arm.start()
    command(arm, "joint_velocity", np.full(7, 0.1), 0.6)
    assert np.abs(arm.observe().dq).max() < 1e-3
    arm.beat()
    applied = command(arm, "joint_velocity", np.full(7, 0.1), 0.2)
    assert "heartbeat" not in applied.limited
    assert arm.observe().dq.min() > 0.05


# Connecting.


def test_connect_wants_a_model_that_has_the_arm() -> None:
    model, data = world()
    assert connect("fr3", model=model, data=data).spec.address == "mujoco:fr3"
    np.testing.assert_allclose(connect("", model=model).observe().q, 0.0)
    with pytest.raises(UserError, match="wanted the setting model"):
        connect("fr3")
    with pytest.raises(UserError, match="no Franka arm named 'ur5'"):
        connect("ur5", model=model)
    with pytest.raises(UserError, match="needs a joint 'joint1'"):
        connect("fr3", model=mujoco.MjSpec().compile())
    with pytest.raises(UserError, match="velocity servos or torque motors"):
        connect("fr3", model=world("position")[0])
    model.opt.timestep = 0.004
    with pytest.raises(UserError, match=r"timestep is 0\.004 s"):
        connect("fr3", model=model)
