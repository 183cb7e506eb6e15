"""Keys, pads and gamepads of a page as a hand, and the hand on its way to the arm's process."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from hardware.inputs import Hand
from hardware.inputs.remote import Remote
from robot_learn.session.drive.delays import Delays
from robot_learn.session.drive.hand import MOVES, OPEN, STEP, TRIED, Latch, hand_of
from robot_learn.session.drive.link import HandLine


def test_each_key_moves_one_axis_and_its_counterpart_the_other_way() -> None:
    for name, (axis, sign) in MOVES.items():
        twist = hand_of([name], (), 0.0).twist
        assert twist[axis] == sign * STEP
        assert np.count_nonzero(twist) == 1
    pairs = [("forward", "back"), ("left", "right"), ("up", "down"), ("turn left", "turn right")]
    assert all(not hand_of(pair, (), 0.0).twist.any() for pair in pairs)


def test_a_stick_in_its_dead_zone_moves_nothing_and_one_at_its_end_moves_fully() -> None:
    assert not hand_of([], (0.1, -0.1, 0.1, 0.1), 0.0).twist.any()
    twist = hand_of([], (0.0, -1.0, 0.0, 1.0), 0.0).twist
    np.testing.assert_allclose(twist, [1.0, 0, -1.0, 0, 0, 0])  # pushed away: forward; pulled: down


def test_a_key_and_a_stick_together_stay_within_bounds() -> None:
    assert np.abs(hand_of(["forward"], (0.0, -1.0), 0.0).twist).max() == 1.0


def test_the_switch_is_held_by_its_key_a_shoulder_button_or_the_latch_and_by_no_other() -> None:
    assert not hand_of(["forward", "pad 0"], (), 0.0).dead_man
    assert hand_of(["switch"], (), 0.0).dead_man
    assert hand_of(["pad 5"], (), 0.0).dead_man
    assert hand_of([], (), 0.0, latched=True).dead_man


def settled(line: HandLine, remote: Remote, hand: Hand, seconds: float = 0.5) -> Hand:
    """What the other side reads after a while of both talking."""
    until = time.monotonic() + seconds
    while True:
        line.send(hand)
        time.sleep(0.01)
        told = remote.read(time.monotonic())
        if np.allclose(told.twist, hand.twist) and told.age < 1.0 and time.monotonic() > until:
            return told
        if time.monotonic() > until + 5.0:
            return told


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("h") / "h"


def test_a_hand_arrives_as_it_was_and_its_age_is_that_of_the_whole_way(path: Path) -> None:
    with Remote(path) as remote:
        line = HandLine(path, remote.token)
        twist = np.array([0.5, 0, 0, 0, 0, 0])
        told = settled(line, remote, Hand(twist, 0.04, True, frozenset(("x",)), age=0.0))
        assert (told.dead_man, told.opening) == (True, 0.04)
        old = settled(line, remote, Hand(twist, None, True, age=0.2))
        assert old.age >= 0.2
        line.close()


def test_a_hand_that_grows_older_at_the_page_grows_older_at_the_arm_though_lines_keep_coming(path: Path) -> None:
    with Remote(path) as remote:
        line = HandLine(path, remote.token)
        settled(line, remote, Hand(np.zeros(6), None, True, age=0.0))
        gone_since = time.monotonic()
        ages = []
        while (gone := time.monotonic() - gone_since) < 0.4:
            line.send(Hand(np.zeros(6), None, True, age=gone))
            time.sleep(0.02)
            ages.append((time.monotonic() - gone_since, remote.read(time.monotonic()).age))
        assert all(age >= since - 0.05 for since, age in ages)
        assert ages[-1][1] > 0.3
        line.close()


def test_the_delay_counts_from_the_key_to_the_first_command_that_moves_its_way(tmp_path: Path) -> None:
    delays = Delays(tmp_path / "session" / "timings.jsonl")
    begun = time.monotonic()
    delays.pressed(hand_of(["left"], (), 0.0), ("left",), begun)
    delays.saw({"driver": "policy", "acted": begun + 0.01, "action": [0.0, 1.0, 0.0]})
    delays.saw({"driver": "person", "acted": begun - 0.01, "action": [0.0, 1.0, 0.0]})  # of before
    delays.saw({"driver": "person", "acted": begun + 0.02, "action": [0.0, -1.0, 0.0]})  # the other way
    assert delays.median is None
    delays.saw({"driver": "person", "acted": begun + 0.03, "action": [0.0, 0.24, 0.0]})
    assert delays.median == pytest.approx(0.03)
    assert delays.did == ["left"]
    assert json.loads((tmp_path / "session" / "timings.jsonl").read_text()) == {"key_to_command": pytest.approx(0.03)}


def test_a_latch_is_seen_open_first_and_again_where_holding_it_counts_for_nothing() -> None:
    latch = Latch()
    latch.set(True)
    held = {t / 100: latch.held(100.0 + t / 100, counts=False) for t in range(200)}
    assert not any(so for t, so in held.items() if t < OPEN - 0.005)
    assert all(so for t, so in held.items() if OPEN + 0.01 < t < OPEN + TRIED)
    assert [so for t, so in held.items() if t > OPEN + TRIED + 0.02][:10] == [False] * 10
    latch.set(False)
    assert not latch.held(110.5, counts=True)


def test_a_latch_that_counts_stays_held() -> None:
    latch = Latch()
    latch.set(True)
    latch.held(100.0, counts=False)
    assert all(latch.held(100.2 + t, counts=True) for t in range(100))
    latch.set(True)  # again, e.g. going on after a hold
    assert latch.held(201.0, counts=True)
