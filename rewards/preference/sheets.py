"""Contact sheets: up to a dozen pairs of pictures on one PNG file, so that a model compares them in one call.

A recorded reply is found by the hash of what was shown, so a sheet must come out the same everywhere: the letters are
drawn from a table and not by a library whose fonts change, and pictures are enlarged by OpenCV's bit-exact method.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from rewards.lettering import write
from robot_learn.errors import UserError

Crop = tuple[float, float, float, float]  # left, top, right, bottom as shares of the picture

MAX_PAIRS = 12

_HEADING = 30  # pixels above a picture for its name
_GAP = 6  # pixels between the pictures of a pair
_MARGIN = 20  # pixels between pairs and around the sheet
_PAPER = 255


@dataclass(frozen=True)
class Look:
    """How pictures are shown."""

    size: int = 200  # pixels of the longer side; ten pairs then take 1.1 million pixels, about what models look at
    crop: Crop | None = None  # the part that is shown, e.g. (0.25, 0.2, 0.75, 0.7); None: all of it
    views: int = 1  # of one moment that lie beside each other in a picture; size and crop are of each

    def __post_init__(self) -> None:
        if not 32 <= self.size <= 1024:
            raise UserError(f"size of pictures: wanted 32 to 1024 pixels, came {self.size}")
        if self.views < 1:
            raise UserError(f"views in a picture: wanted 1 or more, came {self.views}")
        if self.crop is not None:
            left, top, right, bottom = self.crop
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                raise UserError(f"crop: wanted left, top, right, bottom as rising shares from 0 to 1, came {self.crop}")

    @property
    def text(self) -> str:
        """For the name of a teacher."""
        part = "" if self.crop is None else ",crop=" + "/".join(f"{share:g}" for share in self.crop)
        views = "" if self.views == 1 else f",views={self.views}"
        return f"size={self.size}{part}{views}"

    def picture(self, segment: np.ndarray) -> np.ndarray:
        """What stands for a segment's pictures (L, height, width, 3) uint8: the last one, cropped and scaled.

        Raises:
            UserError: these are no pictures, or they are not as wide as their views together.
        """
        if segment.ndim != 4 or segment.shape[-1] != 3 or segment.dtype != np.uint8 or not len(segment):
            raise UserError(
                f"pictures: wanted (L, height, width, 3) uint8, came {segment.shape} of type {segment.dtype}"
            )
        if segment.shape[2] % self.views:
            raise UserError(f"pictures: wanted {self.views} views beside each other, came {segment.shape[2]} pixels")
        return np.concatenate([self._view(part) for part in np.split(segment[-1], self.views, axis=1)], axis=1)

    def _view(self, picture: np.ndarray) -> np.ndarray:
        if self.crop is not None:
            picture = _cropped(picture, self.crop)
        height, width = picture.shape[:2]
        scale = self.size / max(height, width)
        wanted = (max(1, round(width * scale)), max(1, round(height * scale)))
        # The exact method makes no average of what is shrunk, so it serves to enlarge only.
        method = cv2.INTER_LINEAR_EXACT if scale > 1 else cv2.INTER_AREA
        return np.ascontiguousarray(cv2.resize(picture, wanted, interpolation=method), dtype=np.uint8)


def sheet(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Pairs of pictures (height, width, 3) uint8, all of one shape, on one sheet (H, W, 3): "1a 1b", "2a 2b" ...

    Two pairs stand beside each other where there are more than three.

    Raises:
        UserError: none or too many pairs, or pictures of different shapes.
    """
    shapes = {picture.shape for pair in pairs for picture in pair}
    if not 1 <= len(pairs) <= MAX_PAIRS or len(shapes) != 1:
        raise UserError(
            f"contact sheet: wanted 1 to {MAX_PAIRS} pairs of pictures of one shape, "
            f"came {len(pairs)} pairs of shapes {sorted(shapes)}"
        )
    height, width = shapes.pop()[:2]
    across = 2 if len(pairs) > 3 else 1
    down = -(-len(pairs) // across)
    cell_height, cell_width = _HEADING + height + _MARGIN, 2 * width + _GAP + _MARGIN
    shape = (_MARGIN + down * cell_height, _MARGIN + across * cell_width, 3)
    paper = np.full(shape, _PAPER, dtype=np.uint8)
    for index, pair in enumerate(pairs):
        top, left = _MARGIN + index // across * cell_height, _MARGIN + index % across * cell_width
        for side, picture in enumerate(pair):
            at = left + side * (width + _GAP)
            write(paper, f"{index + 1}{'ab'[side]}", top, at, height=_HEADING)
            paper[top + _HEADING : top + _HEADING + height, at : at + width] = picture
    return paper


def _cropped(picture: np.ndarray, crop: Crop) -> np.ndarray:
    height, width = picture.shape[:2]
    left, right = (round(share * width) for share in (crop[0], crop[2]))
    top, bottom = (round(share * height) for share in (crop[1], crop[3]))
    return picture[top : max(bottom, top + 1), left : max(right, left + 1)]
