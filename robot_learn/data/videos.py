"""Plain videos as episodes that were only watched: pictures, and neither states, actions nor rewards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from robot_learn.data.trajectory import Trajectory
from robot_learn.errors import UserError

SUFFIXES = (".mp4", ".mov", ".webm", ".mkv", ".avi")


def files(folder: Path) -> list[Path]:
    """The videos in a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def episodes(folder: Path, *, size: int = 128, stride: int = 1) -> Iterator[Trajectory]:
    """Every video in a folder as an episode, of pictures `size` pixels square, every `stride`-th frame.

    Raises:
        UserError: there is no video, or one cannot be decoded or is shorter than two frames.
    """
    import cv2
    import imageio_ffmpeg

    found = files(folder)
    if not found:
        raise UserError(f"{folder} holds no videos ({', '.join(SUFFIXES)})")
    for path in found:
        pictures = []
        try:
            stream = imageio_ffmpeg.read_frames(str(path), pix_fmt="rgb24")
            width, height = next(stream)["size"]
            for number, raw in enumerate(stream):
                if number % stride == 0:
                    picture = np.frombuffer(raw, dtype=np.uint8).reshape(height, width, 3)
                    pictures.append(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA))
        except (OSError, RuntimeError, StopIteration, KeyError, IndexError) as error:
            raise UserError(f"{path} cannot be decoded: {error}") from error
        if len(pictures) < 2:
            raise UserError(f"{path}: wanted two pictures or more, came {len(pictures)}")
        steps = len(pictures) - 1
        nothing = np.zeros(steps, dtype=bool)
        yield Trajectory(
            observations=np.zeros((steps + 1, 0), dtype=np.float32),
            actions=None,
            rewards=np.zeros(steps, dtype=np.float32),
            terminated=nothing,
            success=nothing,
            images=np.stack(pictures),
            source=path.name,
        )
