"""Figures of motions that were made with known ones."""

from __future__ import annotations

import numpy as np
import pytest

from rewards.video.motion import measure
from rewards.video.signals import Track, differences, foot_phases, period_of, signals, table, video_rows
from robot_learn.errors import UserError
from tests.rewards.video import filmed

DT = 0.02


def walk(period: float = 0.5, speed: float = 1.5, seconds: float = 6.0, late: tuple[float, ...] = (0.0, 0.5)) -> Track:
    """A biped whose feet are down for 60 % of a stride, the second so late after the first."""
    times = np.arange(0.0, seconds, DT)
    position = np.stack([speed * times, 0 * times, 1.0 + 0.05 * np.sin(4 * np.pi * times / period)], axis=1)
    strides = times[:, None] / period - np.array(late)
    joints = 0.4 * np.sin(2 * np.pi * strides)
    down = np.mod(strides, 1.0) < 0.6
    return Track(DT, position, 0.1 * np.sin(times), joints, down, ("left", "right", "third")[: len(late)])


def test_a_walk_is_told_by_its_speed_stride_and_feet() -> None:
    found = signals(walk())
    assert found.speed == pytest.approx(1.5)
    assert found.period == pytest.approx(0.5, abs=DT)
    assert found.regularity > 0.95
    assert found.duty == pytest.approx({"left": 0.6, "right": 0.6}, abs=0.02)
    assert found.phase == pytest.approx({"left": 0.0, "right": 0.5}, abs=0.03)
    assert found.flight == pytest.approx(0.0)
    assert found.rise == pytest.approx(0.05, abs=0.002)


@pytest.mark.parametrize("late", [0.1, 0.25, 0.7])
def test_phases_of_feet_are_measured_to_a_few_hundredths(late: float) -> None:
    track = walk(late=(0.0, late, 0.5))
    assert track.feet is not None
    np.testing.assert_allclose(foot_phases(track.feet, 0.5, DT), [0.0, late, 0.5], atol=0.04)


def test_a_foot_that_never_comes_down_has_no_phase() -> None:
    track = walk()
    assert track.feet is not None
    lame = np.column_stack([track.feet[:, 0], np.zeros(len(track.feet), dtype=bool)])
    assert np.isnan(foot_phases(lame, 0.5, DT)[1])


@pytest.mark.parametrize("period", [0.2, 0.5, 1.1, 2.4])
def test_a_period_is_found_whatever_its_overtones(period: float) -> None:
    times = np.arange(0.0, 6.0, DT)
    turn = 2 * np.pi * times / period
    values = np.stack([np.sin(turn) + 0.6 * np.sin(2 * turn), 0.3 * np.cos(3 * turn)], axis=1)
    assert period_of(values, DT)[0] == pytest.approx(period, abs=1.1 * DT)


def test_noise_a_drift_and_stillness_have_no_period() -> None:
    rng = np.random.default_rng(0)
    assert period_of(rng.normal(size=(300, 3)), DT)[0] is None
    assert period_of(np.linspace(0, 1, 300)[:, None], DT)[0] is None
    assert period_of(np.ones((300, 2)), DT) == (None, 0.0)


def test_a_flip_is_counted_in_turns_and_a_fall_is_told() -> None:
    times = np.arange(0.0, 1.0, DT)
    position = np.stack([0 * times, 0 * times, 1.2 + times * (1 - times)], axis=1)
    flip = Track(DT, position, -2 * np.pi * times / times[-1], 0.1 * times[:, None], ended=True)
    found = signals(flip)
    assert found.turns == pytest.approx(-1.0)
    assert found.rise == pytest.approx(0.25, abs=0.01)
    assert "ended by a fall" in table(found)
    assert "-1.00 whole turns" in table(found)
    assert found.flight is None


def test_the_table_tells_the_rhythm_and_the_feet() -> None:
    text = table(signals(walk()))
    assert "repeats itself every 0.50 s" in text
    assert "right on the ground 60% of the time" in text


def test_of_two_films_the_same_is_told_in_the_same_units() -> None:
    still, carried = (video_rows(measure(clip), "film") for clip in (filmed.bobbing(0.8), filmed.carried(0.8)))
    assert still[0] == "film: repeats itself every 0.80 s"
    assert still[-1] == "film: the ground stands still in the picture"
    # Three pixels of 96 a frame, at 30 frames a second.
    assert carried[-1].startswith("film: the ground goes by to the left at 0.9")
    assert carried[-1].endswith("go to the right")


def test_changes_are_told_from_round_to_round() -> None:
    assert differences(signals(walk(speed=2.0)), signals(walk(speed=1.0)))[0] == "forward speed: 1.00 to 2.00 m/s"


def test_a_motion_of_arrays_that_do_not_fit_is_refused() -> None:
    track = walk()
    with pytest.raises(UserError, match="wanted 2 or more moments"):
        Track(DT, track.position, track.tilt[1:], track.joints)
    with pytest.raises(UserError, match="2 feet with 0 names"):
        Track(DT, track.position, track.tilt, track.joints, track.feet)
