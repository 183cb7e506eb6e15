"""An arm that a page watches: held, stopped, paced, and otherwise the arm that it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hardware.arm import Command, Observation
from robot_learn.deployment.loop import Pacing, run_episode
from robot_learn.deployment.outcome import StopError
from robot_learn.session.drive.arm import Attended, Orders
from tests.robot_learn.deployment.conftest import Stage, stage
from tests.robot_learn.deployment.stand_in import StandIn


@pytest.fixture
def reach() -> Stage:
    return stage("reach")


def attended(arm: StandIn, orders: Orders, **others: object) -> tuple[Attended, list[Observation]]:
    seen: list[Observation] = []
    return Attended(arm, orders, seen.append, paced=False, **others), seen  # type: ignore[arg-type]


def test_an_episode_is_the_same_with_and_without_somebody_who_watches(reach: Stage) -> None:
    pacing = Pacing(0.04, 30)
    alone = run_episode(reach.arm, reach.crew, pacing)
    again = stage("reach")
    watched, seen = attended(again.arm, Orders())
    outcome = run_episode(watched, again.crew, pacing)
    told = (outcome.reason, outcome.steps, outcome.success_step, outcome.overruns, outcome.limited)
    assert told == (alone.reason, alone.steps, alone.success_step, alone.overruns, alone.limited)
    np.testing.assert_allclose(  # the stand-in's clock is a sum, and rounds
        [command.values for command in reach.arm.commands],
        [command.values for command in again.arm.commands],
        atol=1e-9,
    )
    assert len(seen) >= 4 * outcome.steps  # every hundredth of a second


def test_a_hold_stands_still_and_its_time_does_not_count(reach: Stage) -> None:
    orders, held = Orders(), 0
    released = []

    def at_tenth(arm: StandIn) -> None:
        orders.hear("held", True)

    def pressed() -> bool:
        nonlocal held
        held += orders.held
        if held == 20:
            orders.hear("held", False)
            released.append(len(reach.arm.commands))
        return True

    reach.arm.at[10] = at_tenth
    watched, _ = attended(reach.arm, orders, pressed=pressed)
    outcome = run_episode(watched, replace(reach.crew, pressed=pressed), Pacing(0.04, 20))
    still = [command for command in reach.arm.commands if command.source == "hold"]
    assert len(still) >= 18
    assert not np.any([command.values for command in still])
    assert outcome.steps == 20
    assert outcome.seconds == pytest.approx(20 * 0.04)
    assert reach.arm.clock - 100.0 == pytest.approx(20 * 0.04 + 0.02 * len(still), abs=0.01)
    assert outcome.overruns == 0


def test_a_hold_goes_on_until_somebody_holds_the_switch_again() -> None:
    arm, orders = stage("reach").arm, Orders()
    presses = iter([False, False, False, True])
    watched, _ = attended(arm, orders, pressed=lambda: next(presses))
    watched.start()
    orders.hear("held", True)
    arm.at[1] = lambda _: orders.hear("held", False)  # let go on at once; but nobody holds the switch
    watched.wait(0.01)
    assert len(arm.commands) == 3


def test_a_simulated_arm_waits_for_whoever_let_go_and_a_real_one_does_not() -> None:
    for patient, commands in ((True, 2), (False, 0)):
        arm = stage("reach").arm
        presses = iter([False, False, False, True])
        watched, _ = attended(arm, Orders(), pressed=lambda presses=presses: next(presses), patient=patient)
        watched.start()
        watched.wait(0.01)
        assert len(arm.commands) == commands


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_stop_ends_the_episode_within_a_step_and_brakes_as_it_says(reach: Stage, kind: str) -> None:
    orders = Orders()
    reach.arm.at[5] = lambda _: orders.hear("stop", kind)
    watched, _ = attended(reach.arm, orders)
    outcome = run_episode(watched, reach.crew, Pacing(0.04, 30))
    assert (outcome.reason, outcome.steps) == ("person stopped", 5)
    assert reach.arm.stops == [kind]


def test_stop_ends_a_hold_and_forgets_what_was_to_come() -> None:
    arm, orders = stage("reach").arm, Orders()
    watched, _ = attended(arm, orders, pressed=lambda: True)
    watched.start()
    orders.hear("held", True)
    orders.hear("start", None)
    arm.at[3] = lambda _: orders.hear("stop", "soft")
    with pytest.raises(StopError, match="pressed on the page"):
        watched.wait(0.01)
    assert not orders.held
    assert orders.next() == ""


def test_the_page_that_is_closed_ends_the_motion() -> None:
    arm, orders = stage("reach").arm, Orders()
    watched, _ = attended(arm, orders)
    watched.start()
    orders.closed = True
    with pytest.raises(StopError) as stopped:
        watched.command(Command("joint_velocity", np.zeros(7), arm.now()))
    assert stopped.value.reason == "interrupted"


def test_simulated_time_passes_no_faster_than_time_does() -> None:
    arm = stage("reach").arm
    watched = Attended(arm, Orders(), lambda _: None, paced=True)
    watched.start()
    begun = time.monotonic()
    for _ in range(3):
        watched.wait(0.04)
    assert time.monotonic() - begun >= 0.118
    assert arm.clock == pytest.approx(100.12)


def test_speed_is_kept_within_bounds_and_unknown_orders_wait_in_turn() -> None:
    orders = Orders()
    for value, wanted in ((3.0, 1.0), (0.0, 0.05), (0.5, 0.5)):
        orders.hear("speed", value)
        assert orders.speed == wanted
    stops: list[str] = []
    halt: Callable[[str], None] = stops.append
    orders.halt = halt
    orders.hear("go", None)
    orders.hear("start", None)
    assert [orders.next(), orders.next(), orders.next()] == ["go", "start", ""]
    orders.hear("stop", "soft")
    assert stops == ["soft"]
