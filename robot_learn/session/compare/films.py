"""Short films of segments, made in the background before anybody asks for them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from robot_learn.errors import UserError
from robot_learn.session.background import Work
from robot_learn.types import Segment

SIZE = 320  # [px] of the longer side, where pictures are smaller or are taken anew
SECONDS = 2.0  # of a segment, where nobody says how long
UNKNOWN_DT = 0.1  # [s] between two steps, of a task that is none of ours
SHORTEST = 0.8  # [s]: a film of fewer is slowed down, or nobody sees anything


def file_name(segment: Segment) -> str:
    return f"{segment.episode}-{segment.start}-{segment.length}.mp4"


def digest(path: Path) -> str:
    """sha256 of a film, by which a label says what was shown."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def control_dt(task: str) -> float:
    """[s] between two steps of a dataset's task."""
    import sims

    try:
        return sims.task(task).control_dt
    except UserError:
        return UNKNOWN_DT


def film_maker(dataset_name: str, root: str | None, folder: Path, size: int, film_anew: bool) -> Work:
    """Films the segments that it is asked for into `folder`, and yields each one's file name.

    Episodes without pictures are run again in the simulator and filmed there.
    """
    from robot_learn.data.store import load
    from robot_learn.preferences.film import film

    dataset = load(dataset_name, root, in_memory=0)
    dt = control_dt(dataset.task)
    again = film_anew or dataset.images is None

    def work(segments: Sequence[Segment]) -> Iterator[str]:
        missing = [segment for segment in segments if not (folder / file_name(segment)).exists()]
        folder.mkdir(parents=True, exist_ok=True)
        source = dataset
        if again and missing:
            frames = [int(frame) for segment in missing for frame in dataset.frames_of(segment)]
            source = film(dataset, frames, size)
        for segment in segments:
            if segment in missing:
                pictures = np.asarray(source.images[source.frames_of(segment)])  # type: ignore[index]
                write_film(folder / file_name(segment), pictures, dt, size)
            yield file_name(segment)

    return work


def write_film(path: Path, pictures: np.ndarray, dt: float, size: int = SIZE) -> None:
    """An mp4 of pictures (L, height, width, 3) uint8, `dt` seconds from one to the next, at the robot's own pace.

    The last picture always comes, whatever the frame rate leaves out.
    """
    from robot_learn.video import frame_timing, write_video

    stride, fps = frame_timing(dt)
    shown = list(range(0, len(pictures), stride))
    shown += [len(pictures) - 1] if shown[-1] != len(pictures) - 1 else []
    fps = min(fps, max(1.0, len(shown) / SHORTEST))
    write_video(path, [_enlarged(pictures[index], size) for index in shown], fps)


def _enlarged(picture: np.ndarray, size: int) -> np.ndarray:
    import cv2

    height, width = picture.shape[:2]
    scale = size / max(height, width)
    if scale <= 1.0:
        return picture
    shape = (round(width * scale), round(height * scale))
    return np.asarray(cv2.resize(picture, shape, interpolation=cv2.INTER_LINEAR))
