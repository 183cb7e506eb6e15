"""What every arm does that is told to move, and to stop: safe on a real one."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from hardware.arm import SHAPES, Applied, Arm, ArmError, Command, Mode, Observation
from hardware.kinematics import Kinematics
from robot_learn.franka import parameters
from tests.hardware.conformance.conftest import PERIOD, Rig, follow, turn


def command(arm: Arm, values: np.ndarray, mode: str = "joint_velocity") -> Applied:
    return arm.command(Command(mode, values, arm.observe().received))  # type: ignore[arg-type]


def test_it_tells_what_it_is(arm: Arm) -> None:
    assert isinstance(arm, Arm)
    spec = arm.spec
    assert set(spec.modes) == set(SHAPES)
    assert np.array_equal(spec.parameters.upper, parameters(spec.name).upper)
    assert spec.tick == 0.001
    assert spec.versions


def test_an_observation_is_whole_and_true_to_itself(arm: Arm) -> None:
    first = arm.observe()
    arm.wait(0.01)
    seen = arm.observe()
    assert seen.state == "idle"
    assert not seen.errors
    for name in ("q", "dq", "q_commanded", "torques", "external_torques", "external_wrench"):
        values = getattr(seen, name)
        assert values.shape == (6 if name == "external_wrench" else 7,), name
        assert np.isfinite(values).all(), name
    assert seen.sequence >= first.sequence
    assert seen.time - first.time == pytest.approx(0.001 * (seen.sequence - first.sequence), abs=1e-9)
    assert np.abs(seen.q_commanded - seen.q).max() < 0.01
    kinematics = Kinematics()
    kinematics.place(seen.q)
    assert np.allclose(seen.T_base_ee, kinematics.T_base_ee(), atol=1e-4)
    # Weight pulls the elbow down, in every posture that a test begins in.
    assert 10 < seen.torques[3] < 40


def parts(arm: Arm, mode: Mode, values: Callable[[Observation], Any]) -> list[tuple[Observation, Observation]]:
    """Before and after each of six parts of a motion that is up to speed.

    How soon it begins is the client's own affair, and where the machine makes setpoints wait, that is one part's speed
    and not the median of all.
    """
    return list(pairwise(follow(arm, mode, values, 0.1) for _ in range(8)))[1:]


def test_joint_velocities_turn_the_joint_that_they_name(arm: Arm) -> None:
    arm.start()
    seen = parts(arm, "joint_velocity", turn(6, 0.2))
    arm.stop()
    assert seen[-1][1].state == "moving"
    assert seen[-1][1].success_rate > 0.9
    # By the arm's clock, which may run on while setpoints change.
    assert np.median([(b.q[6] - a.q[6]) / (b.time - a.time) for a, b in seen]) == pytest.approx(0.2, abs=0.03)
    assert np.abs(np.delete(seen[-1][1].q - seen[0][0].q, 6)).max() < 2e-3


def test_the_clock_goes_on_whatever_the_lengths_of_the_waits(arm: Arm) -> None:
    """Setpoints that come every 10 ms turn more than was asked for; that is no debt of the next wait."""
    arm.start()
    for milliseconds in (36, 4, 1, 3, 17, 2, 9, 1):
        before = arm.observe()
        arm.command(Command("joint_velocity", np.zeros(7), before.received))
        arm.wait(0.001 * milliseconds)
        assert arm.observe().time - before.time >= 0.001 * milliseconds - 1e-6
    arm.stop()


def test_a_joint_target_is_reached_and_not_overshot(arm: Arm) -> None:
    target = arm.observe().q + np.array([0, 0, 0, 0.03, 0, 0.03, -0.03])
    arm.start()
    seen = [follow(arm, "joint_position", lambda _: target, 0.12) for _ in range(6)]
    arm.stop()
    assert np.abs(seen[-1].q_commanded - target).max() < 2e-3
    assert max(observation.q_commanded[3] for observation in seen) < target[3] + 5e-4


def test_a_twist_moves_the_hand_along_the_base_axes(arm: Arm) -> None:
    arm.start()
    seen = parts(arm, "twist", lambda _: np.array([0, 0, 0.04, 0, 0, 0]))
    arm.stop()
    speeds = [(b.T_base_ee[2, 3] - a.T_base_ee[2, 3]) / (b.time - a.time) for a, b in seen]
    assert np.median(speeds) == pytest.approx(0.04, abs=0.008)
    before, after = seen[0][0].T_base_ee, seen[-1][1].T_base_ee
    assert np.abs(after[:2, 3] - before[:2, 3]).max() < 2e-3
    assert np.abs(after[:3, :3] - before[:3, :3]).max() < 0.01


def test_a_pose_is_reached(arm: Arm) -> None:
    target = arm.observe().T_base_ee
    target[:3, 3] += (0.01, 0.0, 0.01)
    arm.start()
    after = follow(arm, "pose", lambda _: target, 0.8).T_base_ee
    arm.stop()
    assert np.linalg.norm(after[:3, 3] - target[:3, 3]) < 3e-3
    assert np.abs(after[:3, :3] - target[:3, :3]).max() < 0.01


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_a_stop_brings_it_to_rest_and_it_may_start_again(rig: Rig, kind: str) -> None:
    arm = rig.arm
    arm.start()
    follow(arm, "joint_velocity", turn(6, 0.2), 0.16)
    arm.stop(kind)  # type: ignore[arg-type]
    arm.stop(kind)  # type: ignore[arg-type]
    arm.wait(0.05)
    stopped = arm.observe()
    assert stopped.state == "idle"
    assert not stopped.errors
    assert rig.speed() < 0.02
    with pytest.raises(ArmError, match="start it first"):
        command(arm, np.zeros(7))
    arm.start()
    assert follow(arm, "joint_velocity", turn(6, -0.2), 0.16).q[6] < stopped.q[6] - 0.005
    arm.stop()


def test_it_comes_to_rest_and_ends_the_motion_when_its_commander_falls_silent(rig: Rig) -> None:
    arm = rig.arm
    arm.start()
    last, seen = follow(arm, "joint_velocity", turn(6, 0.2), 0.16), list[Observation]()
    while not seen or (seen[-1].state == "moving" and len(seen) < 60):
        arm.wait(0.01)
        seen.append(arm.observe())
    # At rest after 2.5 periods, and at an end after ten and no sooner, all by the arm's clock.
    assert seen[-1].state == "idle"
    assert seen[-1].time - last.time > 0.15
    assert all(np.abs(each.dq).max() < 0.02 for each in seen if each.time - last.time > 0.18 or each.state == "idle")
    with pytest.raises(ArmError, match="no command came") as raised:
        command(arm, np.zeros(7))
    assert raised.value.recoverable
    arm.start()
    arm.stop()


def _far(seen: Observation) -> np.ndarray:
    pose = seen.T_base_ee.copy()
    pose[0, 3] += 0.5
    return pose


def test_what_makes_no_sense_is_refused_and_says_why(arm: Arm) -> None:
    arm.start()
    seen = arm.observe()
    fresh = seen.received
    refused = {
        "not finite": Command("joint_velocity", np.full(7, np.nan), fresh),
        "stale": Command("joint_velocity", np.zeros(7), fresh - 1.0),
        "future": Command("joint_velocity", np.zeros(7), fresh + 10.0),
        "from its target": Command("pose", _far(seen), fresh),
    }
    for reason, wanted in refused.items():
        assert reason in arm.command(wanted).refused
    arm.wait(PERIOD)
    after = arm.observe()
    assert np.abs(after.q - seen.q).max() < 1e-3
    assert command(arm, np.zeros(7)).refused == ""
    arm.stop()


def test_too_much_is_cut_to_what_the_envelope_allows(arm: Arm) -> None:
    seen = arm.observe()
    arm.start()
    applied = command(arm, 100 * np.eye(7)[6])
    assert applied.limited
    assert applied.dq[6] <= 0.5 * arm.spec.parameters.velocity[6] + 1e-9
    arm.stop("hard")
    assert np.abs(arm.observe().q - seen.q).max() < 0.05


def test_the_gripper_goes_where_it_is_wanted_and_nobody_waits_for_it(arm: Arm) -> None:
    if not arm.spec.gripper:
        pytest.skip("this arm has no gripper")
    arm.start()

    def want(opening: float, periods: int) -> list[float]:
        found = []
        for _ in range(periods):
            seen = arm.observe()
            begun = time.monotonic()
            applied = arm.command(Command("joint_velocity", np.zeros(7), seen.received, opening))
            assert time.monotonic() - begun < 0.5
            assert applied.opening == opening
            arm.wait(PERIOD)
            gripper = arm.observe().gripper
            assert gripper is not None
            found.append(gripper.opening)
            if abs(gripper.opening - opening) < 0.004:
                break
        return found

    assert want(0.025, 60)[-1] == pytest.approx(0.025, abs=0.004)
    assert want(0.01, 60)[-1] == pytest.approx(0.01, abs=0.004)
    arm.stop()


def test_leaving_it_stops_it_whatever_was_raised(fresh_rig: Rig) -> None:
    def stumble() -> None:
        with fresh_rig.arm as arm:
            arm.start()
            follow(arm, "joint_velocity", turn(6, 0.2), 0.12)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stumble()
    assert fresh_rig.speed() < 0.02
    fresh_rig.arm.close()
