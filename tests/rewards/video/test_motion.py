"""What moves is measured: periods in seconds, directions, frames that tell the motion, points that are followed."""

from __future__ import annotations

import numpy as np
import pytest

from rewards.video.motion import choose_frames, measure, phase_anchor, tracks
from robot_learn.errors import UserError
from tests.rewards.video import filmed


@pytest.mark.parametrize("period", [0.4, 0.8, 1.3])
def test_a_period_is_found_to_a_frame(period: float) -> None:
    found = measure(filmed.bobbing(period)).period
    assert found == pytest.approx(period, abs=1 / 30)


@pytest.mark.parametrize("period", [0.4, 0.8])
def test_a_period_is_found_though_the_ground_never_looks_the_same_again(period: float) -> None:
    assert measure(filmed.carried(period)).period == pytest.approx(period, abs=1 / 30)


def test_a_ground_that_runs_through_is_no_rhythm() -> None:
    assert measure(filmed.carried(1e6)).period is None


def test_a_motion_that_does_not_come_back_has_no_period() -> None:
    count = 60
    fall = np.stack([np.linspace(20, 100, count), 10 + 70 * np.linspace(0, 1, count) ** 2], axis=1)
    assert measure(filmed.disc(fall)).period is None


def test_flow_upwards_is_positive_and_its_size_is_in_picture_heights_a_second() -> None:
    count, speed = 30, 0.5  # heights a second
    height = 80 - speed * filmed.SIZE[0] * np.arange(count) / 30
    motion = measure(filmed.disc(np.stack([np.full(count, 64.0), height], axis=1)))
    assert (motion.upward > 0).all()
    assert np.median(motion.upward) == pytest.approx(speed, rel=0.35)


def test_two_clips_of_one_gait_are_shown_in_the_same_phases() -> None:
    first, second = filmed.bobbing(0.8), filmed.bobbing(0.8, phase=0.3)
    shown = [clip.frames[choose_frames(measure(clip), 8)].astype(float) for clip in (first, second)]
    apart = np.abs(shown[0] - shown[1]).mean()
    unaligned = np.abs(first.frames[:16:2].astype(float) - second.frames[:16:2]).mean()
    assert apart < 0.6 * unaligned  # frames are whole: what is left is half a frame's motion


def test_frames_of_a_motion_without_period_gather_where_it_is() -> None:
    still, burst = np.full(60, 20.0), np.linspace(20, 100, 10)
    places = np.concatenate([still, burst, np.full(60, 100.0)])
    motion = measure(filmed.disc(np.stack([places, np.full_like(places, 48.0)], axis=1)))
    chosen = choose_frames(motion, 10)
    assert (chosen[0], chosen[-1]) == (0, 129)
    assert ((chosen >= 59) & (chosen <= 70)).sum() >= 5


def test_chosen_frames_rise_and_there_are_as_many_as_asked() -> None:
    motion = measure(filmed.bobbing(0.8, seconds=1.0))
    for count in (2, 8, 30):
        chosen = choose_frames(motion, count)
        assert len(chosen) == count
        assert (np.diff(chosen) > 0).all()
    with pytest.raises(UserError, match="wanted 2 to 30"):
        choose_frames(motion, 31)


def test_of_a_quick_gait_more_strides_are_shown_instead_of_frames_twice() -> None:
    motion = measure(filmed.bobbing(0.2))  # six frames a stride
    assert motion.period == pytest.approx(0.2, abs=1 / 30)
    chosen = choose_frames(motion, 12)
    assert (np.diff(chosen) > 0).all()
    assert chosen[-1] - chosen[0] < 18


def test_the_anchor_is_where_it_goes_up_fastest() -> None:
    motion = measure(filmed.bobbing(1.0))  # height is a sine, so it rises fastest at whole periods
    anchor = phase_anchor(motion)
    assert min(anchor % 30, 30 - anchor % 30) <= 3
    assert 40 <= anchor <= 80, "of 120 frames, in the middle"


def test_points_are_followed_and_the_one_that_moves_most_comes_first() -> None:
    clip = filmed.bobbing(1.0, seconds=1.0)
    paths = tracks(clip)
    assert paths.shape[1:] == (30, 2)
    moved = np.ptp(paths, axis=1).sum(axis=1)
    assert (np.diff(moved) <= 1e-9).all()
    assert moved[-1] < 0.02, "the ground stands still"
