"""The dead-man switch, and who drives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.inputs import GONE, Hand, gone
from hardware.inputs.dead_man import DeadMan, Times
from hardware.inputs.takeover import Driver, Takeover, Thresholds, command
from robot_learn.errors import UserError

DT = 0.01


def hand(held: bool = True, deflected: float = 0.0, age: float = 0.0) -> Hand:
    return Hand(np.array([deflected, 0, 0, 0, 0, 0]), dead_man=held, age=age)


def states(raw: list[bool | None], dt: float = DT) -> list[bool]:
    """What a switch makes of readings; None is a source that is gone."""
    switch = DeadMan()
    return [switch.update(gone() if value is None else hand(value), i * dt) for i, value in enumerate(raw)]


def test_a_press_counts_at_once_and_a_release_after_its_time() -> None:
    told = states([False] * 5 + [True] * 10 + [False] * 40)
    assert told.index(True) == 5 + 2  # 20 ms after the first reading that saw it
    last = len(told) - 1 - told[::-1].index(True)
    assert (last - 14) * DT == pytest.approx(0.3)  # the first open reading is number 15, at 0.3 s more it is let go
    assert not any(told[last + 1 :])


def test_a_contact_that_breaks_for_less_than_the_release_does_not_stop_the_arm() -> None:
    told = states([False] * 5 + [True] * 5 + [False] * 27 + [True] * 5 + [False] * 27 + [True] * 5)
    assert all(told[7:])


def test_sparks_neither_press_nor_hold() -> None:
    spark = [True] + [False] * 9
    assert not any(states([False] * 5 + spark * 10))
    told = states([False] * 5 + [True] * 5 + spark * 10)
    assert not any(told[5 + 5 + 31 :])


def test_what_is_held_when_the_source_appears_does_not_count_before_it_was_let_go() -> None:
    told = states([True] * 100 + [False] * 3 + [True] * 3)
    assert told == [False] * 105 + [True]


@pytest.mark.parametrize("lost", [gone(), hand(age=0.3), hand(age=5.0)])
def test_a_source_that_is_gone_lets_go_at_once_and_must_be_pressed_anew(lost: Hand) -> None:
    switch = DeadMan()
    for i in range(10):
        switch.update(hand(i >= 5), i * DT)
    assert switch.held
    assert not switch.update(lost, 0.1)
    assert not any(switch.update(hand(True), 0.1 + i * DT) for i in range(1, 100))


@pytest.mark.parametrize("jump", [-1.0, -0.001, 0.3, 60.0, math.nan])
def test_a_clock_that_jumps_or_readings_that_stop_let_go(jump: float) -> None:
    switch = DeadMan()
    for i in range(10):
        switch.update(hand(i >= 5), i * DT)
    assert switch.held
    assert not switch.update(hand(True), 0.09 + jump)
    assert not switch.held


@given(
    st.lists(
        st.tuples(st.sampled_from([True, False, None]), st.floats(-0.05, 0.5).map(lambda step: round(step, 6))),
        max_size=120,
    )
)
def test_it_is_never_held_unless_a_press_was_seen_within_the_last_release(
    steps: list[tuple[bool | None, float]],
) -> None:
    switch, now = DeadMan(), 100.0
    seen = -math.inf  # when it was last read as pressed
    for raw, dt in steps:
        now += dt
        held = switch.update(gone() if raw is None else hand(raw), now)
        seen = now if raw else seen
        if held:
            assert raw is not None
            assert 0 <= dt < 0.3
            assert now - seen < 0.3


def test_times_out_of_range_are_refused() -> None:
    for wrong in ({"release": 0.2}, {"release": 0.6}, {"press": 0.2}, {"heartbeat": 0.0}, {"heartbeat": math.nan}):
        with pytest.raises(UserError, match="dead-man switch: wanted"):
            Times(**wrong)


@pytest.mark.parametrize(
    ("twist", "more"),
    [(np.zeros(5), {}), (np.full(6, 1.01), {}), (np.full(6, np.nan), {}), (np.zeros(6), {"age": -1.0}),
     (np.zeros(6), {"age": math.nan}), (np.zeros(6), {"opening": -0.1}), (np.zeros(6), {"opening": math.inf})],
)  # fmt: skip
def test_a_hand_that_is_no_hand_is_refused(twist: np.ndarray, more: dict[str, float]) -> None:
    with pytest.raises(UserError, match="hand: wanted"):
        Hand(twist, **more)  # type: ignore[arg-type]


# --- Who drives.


def drive(takeover: Takeover, readings: list[Hand], start: float = 0.0) -> list[Driver]:
    return [takeover.update(reading, start + i * DT) for i, reading in enumerate(readings)]


def ready() -> Takeover:
    takeover = Takeover()
    assert drive(takeover, [hand(False)] * 5 + [hand()] * 5, -0.1)[-1] == "policy"
    return takeover


def test_nobody_drives_while_the_switch_is_open() -> None:
    assert set(drive(Takeover(), [hand(False, 1.0)] * 100)) == {"nobody"}


def test_a_clear_deflection_takes_over_after_its_time_and_rest_gives_back_after_its() -> None:
    told = drive(ready(), [hand()] * 5 + [hand(deflected=0.3)] * 20 + [hand()] * 60)
    assert told.index("person") == 5 + 6
    assert told[25 + 49] == "person"
    assert told[25 + 50] == "policy"


def test_a_hand_that_trembles_around_either_threshold_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    around = [hand(deflected=float(value)) for value in rng.uniform(0.11, 0.249, 300)]
    assert set(drive(ready(), around)) == {"policy"}
    takeover = ready()
    drive(takeover, [hand(deflected=0.5)] * 10)
    assert set(drive(takeover, around, 0.1)) == {"person"}
    across = [hand(deflected=0.5 if i % 8 else 0.0) for i in range(300)]  # through the middle now and then
    assert set(drive(takeover, across, 3.1)) == {"person"}
    assert takeover.taken == 1


def test_a_short_touch_does_not_take_over() -> None:
    assert set(drive(ready(), ([hand(deflected=1.0)] * 5 + [hand()] * 5) * 20)) == {"policy"}


def test_letting_go_stops_everybody_and_a_press_gives_the_policy_back_and_not_the_person() -> None:
    takeover = ready()
    drive(takeover, [hand(deflected=1.0)] * 20)
    assert takeover.driver == "person"
    assert drive(takeover, [hand(False, 1.0)] * 31, 0.2)[-1] == "nobody"
    # Pressed again with the stick still deflected: nothing jumps before it was at rest once.
    assert set(drive(takeover, [hand(deflected=1.0)] * 60, 0.51)) == {"nobody", "policy"}
    assert drive(takeover, [hand()] * 2 + [hand(deflected=1.0)] * 10, 1.11)[-1] == "person"


def test_a_source_that_is_gone_leaves_nobody_driving() -> None:
    takeover = ready()
    drive(takeover, [hand(deflected=1.0)] * 20)
    assert takeover.update(Hand(np.zeros(6), age=GONE), 0.2) == "nobody"


@pytest.mark.parametrize("wrong", [{"leave": 0.3}, {"enter": 1.1}, {"leave": 0.0}, {"quiet": -1.0}])
def test_thresholds_out_of_order_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match="takeover: wanted"):
        Thresholds(**wrong)


def test_a_command_of_the_hand_is_never_faster_than_a_full_deflection_of_one_axis() -> None:
    made = command(Hand(np.array([1, 1, 1, -1, 1, 0.0]), opening=0.08), 7.0, speed=0.1, turn_speed=0.5)
    assert np.linalg.norm(made.values[:3]) == pytest.approx(0.1)
    assert np.linalg.norm(made.values[3:]) == pytest.approx(0.5)
    assert (made.mode, made.made, made.opening, made.source) == ("twist", 7.0, 0.08, "person")
    half = command(Hand(np.array([0.5, 0, 0, 0, 0, 0])), 7.0, speed=0.1)
    np.testing.assert_allclose(half.values, [0.05, 0, 0, 0, 0, 0])
