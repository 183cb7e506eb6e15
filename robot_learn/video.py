"""Videos of episodes that play in any browser, at the speed of the robot."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from robot_learn.errors import UserError
from robot_learn.evaluation import Trace

SUCCESS_COLOUR = (46, 160, 90)  # border of frames from the first success on
HOLD_SECONDS = 0.7  # of the last frame of each episode


def frame_timing(control_dt: float, *, fps: float = 30.0, speed: float = 1.0) -> tuple[int, float]:
    """Steps between two frames, and the frame rate at which these play at `speed` times the robot's own pace."""
    stride = max(1, round(speed / (control_dt * fps)))
    return stride, speed / (control_dt * stride)


def write_video(path: Path, frames: Iterable[np.ndarray], fps: float) -> None:
    """H.264 in mp4 from frames (H, W, 3) uint8; appears whole or not at all.

    Odd sizes lose their last row or column, which the format cannot hold.

    Raises:
        UserError: there is no frame, or frames differ in size or type.
    """
    import imageio_ffmpeg

    rest = iter(frames)
    first = next(rest, None)
    if first is None:
        raise UserError(f"no frames for {path}: record at least one episode")
    shape = first.shape
    height, width = shape[0] // 2 * 2, shape[1] // 2 * 2
    part = path.with_name("." + path.name)  # ends in .mp4, which tells ffmpeg the format
    writer = imageio_ffmpeg.write_frames(
        str(part),
        (width, height),
        fps=fps,
        codec="libx264",
        pix_fmt_out="yuv420p",  # the one that every browser decodes
        macro_block_size=2,
        quality=None,
        ffmpeg_log_level="error",
        output_params=["-crf", "23", "-movflags", "+faststart"],
    )
    writer.send(None)
    try:
        for frame in chain([first], rest):
            if frame.shape != shape or frame.dtype != np.uint8:
                raise UserError(f"wanted frames {shape} uint8, got {frame.shape} {frame.dtype}")
            writer.send(np.ascontiguousarray(frame[:height, :width]))
        writer.close()
        os.replace(part, path)
    finally:
        writer.close()
        part.unlink(missing_ok=True)


def episode_frames(trace: Trace, fps: float) -> list[np.ndarray]:
    """The frames of one episode, with a green border from its first success on, and the last one held."""
    success = trace.success_step
    frames = [
        frame if success is None or step < success else with_border(frame)
        for frame, step in zip(trace.frames, trace.frame_steps, strict=True)
    ]
    if frames and success is not None:
        frames[-1] = with_border(trace.frames[-1])  # a success at the very last step has no later frame
    return frames + frames[-1:] * round(HOLD_SECONDS * fps)


def with_border(frame: np.ndarray, colour: Sequence[int] = SUCCESS_COLOUR) -> np.ndarray:
    """A copy of a frame (H, W, 3) with a border."""
    marked = frame.copy()
    width = max(2, min(frame.shape[:2]) // 60)
    for edge in (np.s_[:width], np.s_[-width:], np.s_[:, :width], np.s_[:, -width:]):
        marked[edge] = colour
    return marked
