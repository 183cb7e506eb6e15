"""A video as pictures at an even rate: read from a file or a folder, trimmed, resampled, held still on request.

What carries no motion is refused here, before anybody is asked about it: a model describes a frozen or nearly empty
clip as readily as a real one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from robot_learn.errors import UserError

SHORTEST = 0.5  # [s]; models give shorter clips no frames and make a description up
LONGEST = 60.0  # [s] that are kept in memory
FEWEST = 8  # frames
USUAL = 30.0  # [frames/s] to which a faster film is thinned, as near as whole steps come
SIDE = 640  # pixels of the longer side that are kept
STILL = 0.002  # mean change of a picture's brightness between frames, as a share of the range, that is noise
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


@dataclass(frozen=True, eq=False)
class Clip:
    """Pictures at an even rate."""

    frames: np.ndarray  # (T, height, width, 3) uint8 RGB
    fps: float
    name: str = ""  # where it comes from, for messages

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or self.frames.shape[-1] != 3 or self.frames.dtype != np.uint8:
            raise UserError(
                f"video {self.name}: wanted frames (T, height, width, 3) uint8, came {self.frames.shape} of type "
                f"{self.frames.dtype}"
            )
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise UserError(f"video {self.name}: wanted frames per second above 0, came {self.fps}")

    @property
    def seconds(self) -> float:
        return len(self.frames) / self.fps

    def times(self) -> np.ndarray:
        """(T,) [s] of each frame from the first."""
        return np.arange(len(self.frames)) / self.fps

    def grey(self, side: int = 160) -> np.ndarray:
        """(T, height, width) uint8, scaled so that the longer side has that many pixels."""
        return np.array([cv2.cvtColor(_shrunk(frame, side), cv2.COLOR_RGB2GRAY) for frame in self.frames])


def read_clip(
    path: Path | str,
    *,
    start: float = 0.0,
    end: float | None = None,
    fps: float | None = None,
    speed: float = 1.0,
    stabilised: bool = False,
) -> Clip:
    """A video file that OpenCV reads, or a folder of pictures in the order of their names.

    Args:
        start, end: [s] the part that counts; by default all.
        fps: of a folder of pictures, where nothing tells it; of a file, in place of what it says of itself.
        speed: how much faster than life it plays: 0.25 for a slow motion by four.
        stabilised: take the camera's shaking out.

    Raises:
        UserError: it cannot be read, the part lies outside, or the clip is too short, too long or without motion.
    """
    path = Path(path)
    if not speed > 0:
        raise UserError(f"speed of the video: wanted above 0, came {speed}")
    rate, frames = _folder(path, fps) if path.is_dir() else _file(path, fps)
    clip = Clip(_part(frames, rate, start, end, path), rate / _step(rate) / speed, str(path))
    if stabilised:
        clip = stabilise(clip)
    check_clip(clip)
    return clip


def check_clip(clip: Clip) -> None:
    """Raises:
    UserError: too few frames or too little motion for anybody to say what moves.
    """
    if len(clip.frames) < FEWEST or clip.seconds < SHORTEST:
        raise UserError(
            f"video {clip.name}: {len(clip.frames)} frames in {clip.seconds:.2f} s; wanted at least {FEWEST} frames "
            f"and {SHORTEST} s"
        )
    # A leap and its landing last a moment, and for the rest of the clip the body may stand.
    change = float(np.quantile(changes(clip), 0.9))
    if change < STILL:
        raise UserError(
            f"video {clip.name}: nothing moves in it (its pictures change by {change:.2%} of their range from one to "
            f"the next, noise is up to {STILL:.1%}): there is no motion to learn"
        )


def changes(clip: Clip) -> np.ndarray:
    """(T - 1,) how much each picture differs from the one before, a share of the range: the mean of the tenth of the
    pixels that change most, so that a small body in a large scene counts, of blurred pictures, so that noise does not.
    """
    grey = np.array([cv2.GaussianBlur(frame.astype(np.float32) / 255.0, (0, 0), 2.0) for frame in clip.grey()])
    moved = np.abs(np.diff(grey, axis=0)).reshape(len(grey) - 1, -1)
    tenth = max(1, moved.shape[1] // 10)
    return np.asarray(np.partition(moved, -tenth, axis=1)[:, -tenth:].mean(axis=1))


def stabilise(clip: Clip, seconds: float = 1.0) -> Clip:
    """The same without the camera's shaking: its path, told from the background, is smoothed over so long.

    A camera that follows its subject goes on doing so; only what is quicker than that is taken out.
    """
    grey = clip.grey(320)
    scale = clip.frames.shape[2] / grey.shape[2]
    steps = np.array([_camera_step(a, b) for a, b in itertools.pairwise(grey)]).reshape(-1, 3)
    path = np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)])
    off = _smoothed(path, max(1, round(seconds * clip.fps))) - path  # (T, 3) dx, dy [pixels], turn [rad]
    height, width = clip.frames.shape[1:3]
    held = []
    for frame, (dx, dy, turn) in zip(clip.frames, off, strict=True):
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -np.degrees(turn), 1.0)
        matrix[:, 2] += np.array([dx, dy]) * scale
        held.append(cv2.warpAffine(frame, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE))
    return replace(clip, frames=np.array(held))


def _camera_step(before: np.ndarray, after: np.ndarray) -> tuple[float, float, float]:
    """How the background moves from one grey picture to the next: dx, dy [pixels] at the middle, turn [rad]."""
    corners = cv2.goodFeaturesToTrack(before, 200, 0.01, 8)
    if corners is None or len(corners) < 6:  # type: ignore[redundant-expr]
        return 0.0, 0.0, 0.0
    found, status, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, None)  # type: ignore[call-overload]
    kept = status.ravel() == 1
    if kept.sum() < 6:
        return 0.0, 0.0, 0.0
    # Most corners are the background's: what moves against it is an outlier.
    matrix, _ = cv2.estimateAffinePartial2D(corners[kept], found[kept], ransacReprojThreshold=1.0)
    if matrix is None:
        return 0.0, 0.0, 0.0
    middle = np.array([before.shape[1] / 2, before.shape[0] / 2])
    dx, dy = matrix[:, :2] @ middle + matrix[:, 2] - middle
    return float(dx), float(dy), float(np.arctan2(matrix[1, 0], matrix[0, 0]))


def _smoothed(path: np.ndarray, window: int) -> np.ndarray:
    """A moving average (T, 3), its ends continued as they are."""
    half = window // 2
    padded = np.pad(path, ((half, half), (0, 0)), mode="edge")
    kernel = np.ones(2 * half + 1) / (2 * half + 1)
    return np.stack([np.convolve(padded[:, column], kernel, "valid") for column in range(path.shape[1])], axis=1)


def _file(path: Path, fps: float | None) -> tuple[float, Iterator[np.ndarray]]:
    if not path.exists():
        raise UserError(f"video {path}: there is no such file or folder")
    capture = cv2.VideoCapture(str(path))
    told = capture.get(cv2.CAP_PROP_FPS)
    if not capture.isOpened():
        raise UserError(f"video {path}: OpenCV cannot read it; wanted a video file, e.g. .mp4, .avi, .mov, .gif")
    rate = fps if fps is not None else told
    if not (np.isfinite(rate) and 0 < rate <= 1000):
        raise UserError(f"video {path}: it says {told:g} frames per second; give the true rate")

    def frames() -> Iterator[np.ndarray]:
        try:
            while True:
                there, frame = capture.read()
                if not there:
                    return
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        finally:
            capture.release()

    return float(rate), frames()


def _folder(path: Path, fps: float | None) -> tuple[float, Iterator[np.ndarray]]:
    files = sorted(each for each in path.iterdir() if each.suffix.lower() in PICTURES)
    if not files:
        raise UserError(f"video {path}: the folder holds no pictures ({', '.join(PICTURES)})")
    if fps is None:
        raise UserError(f"video {path}: a folder of pictures does not tell how fast they follow each other; give fps")
    if not 0 < fps <= 1000:
        raise UserError(f"video {path}: wanted frames per second above 0, came {fps}")

    def frames() -> Iterator[np.ndarray]:
        for each in files:
            picture = cv2.imread(str(each))
            if picture is None:
                raise UserError(f"video {path}: {each.name} is no picture that OpenCV reads")
            yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)

    return float(fps), frames()


def _part(frames: Iterator[np.ndarray], rate: float, start: float, end: float | None, path: Path) -> np.ndarray:
    """The frames between two times, thinned; (T, height, width, 3)."""
    if not 0 <= start < (np.inf if end is None else end):
        raise UserError(f"video {path}: wanted 0 <= start < end, came {start} and {end}")
    step = _step(rate)
    kept: list[np.ndarray] = []
    following, last = 0, -1
    for index, frame in enumerate(frames):
        last, time = index, index / rate
        if end is not None and time >= end:
            break
        if time < start or index < following:
            continue
        following = index + step
        kept.append(_shrunk(frame, SIDE))
        if kept[0].shape != kept[-1].shape:
            raise UserError(f"video {path}: frame {index} is of another size than the first")
        if len(kept) > LONGEST * rate / step:
            raise UserError(f"video {path}: longer than {LONGEST:g} s; say which part counts (start, end)")
    if not kept:
        raise UserError(f"video {path}: no frames between {start:g} s and the end; it has {(last + 1) / rate:.2f} s")
    return np.array(kept)


def _step(rate: float) -> int:
    """Frames of the source from one that is kept to the next: as many each time, else the motion would seem to jerk."""
    return max(1, round(rate / USUAL))


def _shrunk(frame: np.ndarray, side: int) -> np.ndarray:
    """Scaled down so that the longer side has at most so many pixels."""
    height, width = frame.shape[:2]
    factor = side / max(height, width)
    if factor >= 1:
        return frame
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))
