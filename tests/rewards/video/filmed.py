"""Small films that are drawn here, whose motion is known."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from rewards.video.clip import Clip

SIZE = (96, 128)  # height, width


def ground(seed: int = 0) -> np.ndarray:
    """A picture with corners to follow."""
    rng = np.random.default_rng(seed)
    small = rng.integers(60, 200, (SIZE[0] // 8 + 8, SIZE[1] // 8 + 8, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(small, (SIZE[1] + 64, SIZE[0] + 64), interpolation=cv2.INTER_NEAREST))


def disc(places: np.ndarray, fps: float = 30.0, shake: np.ndarray | None = None) -> Clip:
    """A white disc at places (T, 2) [pixels] over a ground that stands still, or shakes by (T, 2) whole pixels."""
    off = np.zeros((len(places), 2), dtype=int) if shake is None else shake
    scene = ground()
    frames = []
    for (x, y), (dx, dy) in zip(places, off, strict=True):
        frame = scene[32 + dy : 32 + dy + SIZE[0], 32 + dx : 32 + dx + SIZE[1]].copy()
        cv2.circle(frame, (round(x) - dx, round(y) - dy), 12, (255, 255, 255), -1)
        frames.append(frame)
    return Clip(np.array(frames), fps, "drawn")


def bobbing(period: float, seconds: float = 4.0, fps: float = 30.0, phase: float = 0.0) -> Clip:
    """The disc goes up and down."""
    times = np.arange(round(seconds * fps)) / fps
    height = 48 - 24 * np.sin(2 * np.pi * (times / period + phase))
    return disc(np.stack([np.full_like(times, 64.0), height], axis=1), fps)


def carried(period: float, seconds: float = 4.0, fps: float = 30.0) -> Clip:
    """The disc goes up and down, filmed by a camera that goes along: the ground runs through and never comes back."""
    rng = np.random.default_rng(1)
    small = rng.integers(60, 200, (SIZE[0] // 8, 200, 3)).astype(np.uint8)
    strip = cv2.resize(small, (1600, SIZE[0]), interpolation=cv2.INTER_NEAREST)
    frames = []
    for step in range(round(seconds * fps)):
        frame = strip[:, 3 * step : 3 * step + SIZE[1]].copy()
        height = 48 - 24 * np.sin(2 * np.pi * step / fps / period)
        cv2.circle(frame, (64, round(height)), 16, (255, 255, 255), -1)
        frames.append(frame)
    return Clip(np.array(frames), fps, "drawn")


def write(clip: Clip, path: Path) -> Path:
    """As a video file."""
    height, width = clip.frames.shape[1:3]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), clip.fps, (width, height))
    for frame in clip.frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return path
