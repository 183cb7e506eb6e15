"""What a model is shown of a clip: its frames on one sheet, numbered and with the time of each, and a number to read.

Models describe pictures that never reached them. Each sheet carries a number of three digits that only who sees it can
tell, and a reply that does not repeat it is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from rewards.lettering import png, write
from robot_learn.errors import UserError

FRAMES = 12  # of a clip, that a sheet shows
ACROSS = 4
_HEADING, _GAP = 26, 8  # pixels above a frame, and between frames
_PAPER = 255


@dataclass(frozen=True, eq=False)
class Sheet:
    """One picture for a model."""

    picture: bytes  # PNG
    code: str  # the number that is written on it
    times: tuple[float, ...]  # [s] of each frame


def contact_sheet(frames: np.ndarray, times: Sequence[float], *, size: int = 224) -> Sheet:
    """Frames (K, height, width, 3) uint8 at their times [s], in rows of four, each `size` pixels on its longer side.

    Raises:
        UserError: no frames, or not as many times.
    """
    if frames.ndim != 4 or frames.dtype != np.uint8 or not 1 <= len(frames) == len(times):
        raise UserError(
            f"contact sheet: wanted frames (K, H, W, 3) uint8 and K times, came {frames.shape}, {len(times)}"
        )
    small = [_sized(frame, size) for frame in frames]
    height, width = small[0].shape[:2]
    code = _code(np.array(small))
    down = -(-len(small) // ACROSS)
    across = min(ACROSS, len(small))
    shape = (_HEADING + _GAP + down * (_HEADING + height + _GAP), _GAP + across * (width + _GAP), 3)
    paper = np.full(shape, _PAPER, dtype=np.uint8)
    write(paper, code, 0, _GAP, height=_HEADING + _GAP, scale=3)
    for index, (frame, time) in enumerate(zip(small, times, strict=True)):
        top = _HEADING + _GAP + index // ACROSS * (_HEADING + height + _GAP)
        left = _GAP + index % ACROSS * (width + _GAP)
        write(paper, f"{index + 1}  {time:.2f} s", top, left, height=_HEADING, scale=2)
        paper[top + _HEADING : top + _HEADING + height, left : left + width] = frame
    return Sheet(png(paper), code, tuple(float(time) for time in times))


def _sized(frame: np.ndarray, size: int) -> np.ndarray:
    height, width = frame.shape[:2]
    factor = size / max(height, width)
    wanted = (max(1, round(width * factor)), max(1, round(height * factor)))
    # As for sheets of pairs: shrinking by area and enlarging by the exact method come out the same everywhere.
    method = cv2.INTER_LINEAR_EXACT if factor > 1 else cv2.INTER_AREA
    return np.asarray(cv2.resize(frame, wanted, interpolation=method))


def _code(frames: np.ndarray) -> str:
    """Three digits that follow from what is shown, and from nothing that is said beside it."""
    return str(100 + int(hashlib.sha256(frames.tobytes()).hexdigest(), 16) % 900)
