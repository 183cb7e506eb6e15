"""Clips are read whole and in time, and what shows no motion is refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from rewards.video.clip import Clip, check_clip, read_clip, stabilise
from robot_learn.errors import UserError
from tests.rewards.video import filmed


def test_a_file_gives_its_frames_at_its_rate(tmp_path: Path) -> None:
    drawn = filmed.bobbing(1.0, seconds=2.0, fps=25.0)
    clip = read_clip(filmed.write(drawn, tmp_path / "a.mp4"))
    assert (len(clip.frames), clip.fps) == (50, 25.0)
    assert np.abs(clip.frames.astype(float) - drawn.frames).mean() < 12  # the codec loses some


def test_a_folder_of_pictures_is_the_same_as_their_film(tmp_path: Path) -> None:
    drawn = filmed.bobbing(1.0, seconds=1.0)
    for index, frame in enumerate(drawn.frames):
        cv2.imwrite(str(tmp_path / f"{index:03d}.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    clip = read_clip(tmp_path, fps=30.0)
    np.testing.assert_array_equal(clip.frames, drawn.frames)
    with pytest.raises(UserError, match="how fast they follow"):
        read_clip(tmp_path)


def test_a_part_is_cut_out_by_time_and_slow_motion_is_played_at_its_true_speed(tmp_path: Path) -> None:
    path = filmed.write(filmed.bobbing(1.0, seconds=4.0), tmp_path / "a.mp4")
    clip = read_clip(path, start=1.0, end=2.5)
    assert (len(clip.frames), clip.seconds) == (45, 1.5)
    slow = read_clip(path, speed=0.25)
    assert slow.fps == 120.0, "what took four seconds in the film took one in life"


def test_a_quick_film_is_thinned_to_what_is_kept(tmp_path: Path) -> None:
    clip = read_clip(filmed.write(filmed.bobbing(1.0, seconds=2.0, fps=60.0), tmp_path / "a.mp4"))
    assert clip.fps == 30.0
    assert len(clip.frames) == 60


def test_a_film_is_thinned_evenly(tmp_path: Path) -> None:
    rising = filmed.disc(np.stack([np.full(50, 64.0), np.linspace(80, 20, 50)], axis=1), fps=31.25)
    assert read_clip(filmed.write(rising, tmp_path / "a.mp4")).fps == pytest.approx(31.25, rel=1e-3)
    quick = filmed.disc(np.stack([np.full(150, 64.0), np.linspace(80, 20, 150)], axis=1), fps=75.0)
    clip = read_clip(filmed.write(quick, tmp_path / "b.mp4"))
    assert (len(clip.frames), clip.fps) == (75, 37.5)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("nothing", "no such file"),
        ("text", "OpenCV cannot read it"),
        ("empty folder", "holds no pictures"),
        ("short", "wanted at least 8 frames and 0.5 s"),
        ("still", "nothing moves in it"),
    ],
)
def test_what_is_no_video_of_a_motion_is_refused(made: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    if made == "text":
        path.write_text("no video")
    elif made == "empty folder":
        path.mkdir()
    elif made == "short":
        filmed.write(filmed.bobbing(0.2, seconds=0.3), path)
    elif made == "still":
        filmed.write(filmed.disc(np.full((60, 2), 50.0)), path)
    with pytest.raises(UserError, match=message):
        read_clip(path)


def test_a_time_outside_is_named(tmp_path: Path) -> None:
    path = filmed.write(filmed.bobbing(1.0, seconds=2.0), tmp_path / "a.mp4")
    with pytest.raises(UserError, match=r"it has 2\.00 s"):
        read_clip(path, start=5.0)
    with pytest.raises(UserError, match="0 <= start < end"):
        read_clip(path, start=2.0, end=1.0)


def test_a_leap_and_a_long_rest_after_it_is_a_motion(tmp_path: Path) -> None:
    leap = 48 - 30 * np.sin(np.linspace(0, np.pi, 15))
    places = np.concatenate([leap, np.full(75, 48.0)])
    clip = filmed.disc(np.stack([np.full_like(places, 64.0), places], axis=1))
    assert len(read_clip(filmed.write(clip, tmp_path / "a.mp4")).frames) == 90


def test_noise_of_a_camera_is_no_motion_and_a_small_body_is() -> None:
    rng = np.random.default_rng(0)
    still = filmed.disc(np.full((60, 2), 50.0))
    noisy = np.clip(np.round(still.frames + rng.normal(0, 1.0, still.frames.shape)), 0, 255).astype(np.uint8)
    with pytest.raises(UserError, match="nothing moves"):
        check_clip(Clip(noisy, 30.0))
    check_clip(filmed.bobbing(1.0))


def test_shaking_is_taken_out_and_a_slow_pan_stays() -> None:
    rng = np.random.default_rng(1)
    count = 60
    pan = np.stack([np.arange(count) // 4, np.zeros(count, dtype=int)], axis=1)
    shake = rng.integers(-3, 4, (count, 2))
    places = np.stack([np.linspace(40, 90, count), np.full(count, 48.0)], axis=1)
    held = stabilise(filmed.disc(places, shake=pan + shake))
    wanted = filmed.disc(places, shake=pan).frames
    inner = (slice(None), slice(12, -12), slice(12, -12))

    def jitter(frames: np.ndarray) -> float:
        grey = frames[inner].mean(axis=-1)
        return float(np.abs(np.diff(grey, axis=0)).mean())

    assert jitter(held.frames) < 0.6 * jitter(filmed.disc(places, shake=pan + shake).frames)
    assert jitter(held.frames) > 0.5 * jitter(wanted), "the pan is still there"
