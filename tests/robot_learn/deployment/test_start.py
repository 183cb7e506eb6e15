"""A policy begins where its training began, and a person decides when."""

from __future__ import annotations

import io

import numpy as np
import pytest

from hardware.arm import ArmError
from hardware.inputs import Hand
from robot_learn.deployment import start, status
from robot_learn.deployment.loop import Pacing, run_episode
from robot_learn.deployment.pilot import Pilot, action_of
from robot_learn.errors import UserError
from sims import franka
from tests.robot_learn.deployment.conftest import Stage, stage
from tests.robot_learn.deployment.test_loop import run

CONTROL = franka.control("reach")


def test_every_start_of_training_is_a_place_to_start_from() -> None:
    for name in ("reach", "pick-cube"):
        for seed in range(8):
            here = stage(name, seed)
            start.require(here.arm.observe(), franka.control(name))


def test_elsewhere_it_refuses_with_the_distance_of_each_joint(reach: Stage) -> None:
    reach.data.qpos[:7] = CONTROL.posture
    reach.data.qpos[1] += 0.3
    reach.data.qpos[6] -= 0.2
    with pytest.raises(UserError, match=r"joint2 \+0.30, joint7 -0.20 rad .*allowed 0.15.*--go-to-start"):
        start.require(reach.arm.observe(), CONTROL)
    start.require(reach.arm.observe(), CONTROL, tolerance=0.31)


def test_numbers_that_are_none_are_no_place_to_start_from(reach: Stage) -> None:
    reach.data.qpos[3] = np.nan
    assert "joint4" in start.against(reach.arm.observe(), CONTROL)


def test_a_moving_arm_and_a_closed_gripper_are_no_start() -> None:
    here = stage("pick-cube")
    here.arm.opening, here.arm.dq = 0.01, np.full(7, 0.2)
    said = start.against(here.arm.observe(), franka.control("pick-cube"))
    assert "open by 0.010 m" in said
    assert "moving" in said


@pytest.mark.parametrize("speed", [1.0, 0.5])
def test_it_goes_to_the_start_straight_and_slowly(speed: float, reach: Stage) -> None:
    away = np.array([0.5, -0.3, 0.2, 0.4, -0.1, 0.3, -0.6])
    reach.data.qpos[:7] = np.array(CONTROL.posture) + away
    way = []
    wait = reach.arm.wait

    def noted(seconds: float) -> None:
        wait(seconds)
        way.append(reach.arm.observe().q - CONTROL.posture)

    reach.arm.wait = noted  # type: ignore[method-assign]
    assert start.go(reach.arm, CONTROL, speed=speed)
    assert np.abs(reach.arm.observe().q - CONTROL.posture).max() <= 0.01
    assert reach.arm.stops == ["soft"]
    rates = np.array([command.values for command in reach.arm.commands])
    assert np.abs(rates).max() == pytest.approx(start.SPEED * speed)
    along = np.array(way) @ away / (away @ away)
    np.testing.assert_allclose(np.array(way), along[:, None] * away, atol=1e-9)
    assert (np.diff(along) < 0).all()
    assert along[-1] > -1e-9, "it went past the start"
    assert {command.source for command in reach.arm.commands} == {"start"}


def test_the_way_to_the_start_opens_the_gripper_of_a_task_that_grips() -> None:
    here = stage("pick-cube")
    here.arm.opening = 0.0
    here.data.qpos[0] += 0.3
    start.go(here.arm, franka.control("pick-cube"))
    assert here.arm.opening == 0.08


def test_on_the_way_the_dead_man_switch_counts(reach: Stage) -> None:
    reach.data.qpos[0] += 0.5
    held = iter([True] * 5 + [False] * 9)
    assert not start.go(reach.arm, CONTROL, pressed=lambda: next(held))
    assert len(reach.arm.commands) == 5
    assert reach.arm.stops == ["soft"]


def test_an_arm_that_is_held_gives_up(reach: Stage) -> None:
    reach.data.qpos[0] += 0.5
    reach.arm.refuse = "held"
    with pytest.raises(ArmError, match=r"0\.\d+ rad are left"):
        start.go(reach.arm, CONTROL, seconds=2.0)
    assert reach.arm.stops == ["soft"]


def test_a_reflex_on_the_way_is_told(reach: Stage) -> None:
    reach.data.qpos[0] += 0.5
    reach.arm.at[3] = lambda arm: setattr(arm, "state", "reflex")
    with pytest.raises(ArmError, match="reflex"):
        start.go(reach.arm, CONTROL)


class Device:
    """An input whose hand tests set."""

    name, help = "test", "press"

    def __init__(self) -> None:
        self.hand = Hand(np.zeros(6))
        self.time = 0.0

    def clock(self) -> float:
        self.time += 0.04
        return self.time

    def read(self, now: float) -> Hand:
        return self.hand

    def close(self) -> None: ...

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *raised: object) -> None: ...


def test_a_pilot_must_be_seen_open_then_hold() -> None:
    device = Device()
    pilot = Pilot(device, CONTROL, clock=device.clock)
    device.hand = Hand(np.zeros(6), dead_man=True)
    assert not any(pilot.pressed() for _ in range(10))  # held from the beginning: jammed, or tied down
    device.hand = Hand(np.zeros(6))
    assert not any(pilot.pressed() for _ in range(3))
    device.hand = Hand(np.zeros(6), dead_man=True)
    assert [pilot.pressed() for _ in range(4)][-1]
    assert pilot.action() is None
    device.hand = Hand(np.zeros(6))
    assert not [pilot.pressed() for _ in range(12)][-1]


def test_a_deflected_hand_takes_over_as_an_action_of_the_task() -> None:
    device, control = Device(), franka.control("pick-cube")
    pilot = Pilot(device, control, clock=device.clock)
    for held in (False, False, True, True, True):
        device.hand = Hand(np.zeros(6), dead_man=held)
        pilot.pressed()
    pilot.sent(0.0)  # the policy has closed the gripper
    device.hand = Hand(np.array([0, 0, 1.0, 0, 0, 0]), dead_man=True)
    for _ in range(5):
        assert pilot.pressed()
    action = pilot.action()
    assert action is not None
    np.testing.assert_allclose(action, [0, 0, 0.1 / 0.25, -1.0])
    device.hand = Hand(np.array([0, 0, 1.0, 0, 0, 0]), opening=0.08, dead_man=True)
    pilot.pressed()
    np.testing.assert_allclose(np.asarray(pilot.action())[3], 1.0)


def test_a_hands_twist_is_the_same_velocity_as_an_action() -> None:
    hand = Hand(np.array([1.0, 1.0, 1.0, 1.0, 0, 0]))
    action = action_of(hand, franka.control("pour"), 0.04)
    np.testing.assert_allclose(0.25 * np.linalg.norm(action[:3]), 0.1)  # [m/s] of a full deflection
    assert action[3] == pytest.approx(0.5)  # [rad/s]


def test_the_switch_is_waited_for() -> None:
    answers = iter([False, False, True])
    slept: list[float] = []
    start.wait_until(lambda: next(answers), slept.append)
    assert slept == [0.02, 0.02]


def test_the_status_line_tells_what_matters(reach: Stage) -> None:
    reach.arm.limited = ("hand speed",)  # type: ignore[assignment]
    _, steps = run(reach)
    told = status.line(steps[-1], 100)
    for word in (f"{len(steps)}/100", "moving", "commands 100%", "latency", "limited by hand speed", "success"):
        assert word in told
    assert len(told) < 160


def test_a_log_gets_a_line_now_and_then_and_the_last(reach: Stage) -> None:
    out = io.StringIO()
    with status.status_display(100, out) as show:
        _, steps = run(reach)
        for step in steps:
            show(step)
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].split("/")[0].strip() == "1"
    assert lines[-1].split("/")[0].strip() == str(len(steps))
    assert run_episode(reach.arm, reach.crew, Pacing(0.04, 1)).steps == 1
