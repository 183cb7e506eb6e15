"""Contact sheets: up to a dozen pairs of pictures on one PNG file, so that a model compares them in one call.

A recorded reply is found by the hash of what was shown, so a sheet must come out the same everywhere: the letters are
drawn from a table and not by a library whose fonts change, and pictures are enlarged by OpenCV's bit-exact method.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from robot_learn.errors import UserError

Crop = tuple[float, float, float, float]  # left, top, right, bottom as shares of the picture

MAX_PAIRS = 12

# Five columns by seven rows, one number a row, the highest bit on the left.
_GLYPHS = {
    "0": (14, 17, 19, 21, 25, 17, 14),
    "1": (4, 12, 4, 4, 4, 4, 14),
    "2": (14, 17, 1, 2, 4, 8, 31),
    "3": (31, 2, 4, 2, 1, 17, 14),
    "4": (2, 6, 10, 18, 31, 2, 2),
    "5": (31, 16, 30, 1, 1, 17, 14),
    "6": (6, 8, 16, 30, 17, 17, 14),
    "7": (31, 1, 2, 4, 8, 8, 8),
    "8": (14, 17, 17, 14, 17, 17, 14),
    "9": (14, 17, 17, 15, 1, 2, 12),
    "a": (0, 0, 14, 1, 15, 17, 15),
    "b": (16, 16, 30, 17, 17, 17, 30),
}
_GLYPH_ROWS, _GLYPH_COLUMNS = 7, 5
_LETTER_SCALE = 3  # pixels a dot
_HEADING = 30  # pixels above a picture for its name
_GAP = 6  # pixels between the pictures of a pair
_MARGIN = 20  # pixels between pairs and around the sheet
_PAPER, _INK = 255, 0


@dataclass(frozen=True)
class Look:
    """How pictures are shown."""

    size: int = 200  # pixels of the longer side; ten pairs then take 1.1 million pixels, about what models look at
    crop: Crop | None = None  # the part that is shown, e.g. (0.25, 0.2, 0.75, 0.7); None: all of it

    def __post_init__(self) -> None:
        if not 32 <= self.size <= 1024:
            raise UserError(f"size of pictures: wanted 32 to 1024 pixels, came {self.size}")
        if self.crop is not None:
            left, top, right, bottom = self.crop
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                raise UserError(f"crop: wanted left, top, right, bottom as rising shares from 0 to 1, came {self.crop}")

    @property
    def text(self) -> str:
        """For the name of a teacher."""
        part = "" if self.crop is None else ",crop=" + "/".join(f"{share:g}" for share in self.crop)
        return f"size={self.size}{part}"

    def picture(self, segment: np.ndarray) -> np.ndarray:
        """What stands for a segment's pictures (L, height, width, 3) uint8: the last one, cropped and scaled.

        Raises:
            UserError: these are no pictures.
        """
        if segment.ndim != 4 or segment.shape[-1] != 3 or segment.dtype != np.uint8 or not len(segment):
            raise UserError(
                f"pictures: wanted (L, height, width, 3) uint8, came {segment.shape} of type {segment.dtype}"
            )
        picture = segment[-1]
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
            _write(paper, f"{index + 1}{'ab'[side]}", top, at)
            paper[top + _HEADING : top + _HEADING + height, at : at + width] = picture
    return paper


def png(picture: np.ndarray, effort: int = 9) -> bytes:
    """A picture (height, width, 3) uint8 as a PNG file, each row written as the difference to the one above.

    What a model is shown is written with the effort 9, always: recordings are found by the bytes.
    """
    height, width = picture.shape[:2]
    rows = np.vstack([np.zeros((1, width * 3), dtype=np.uint8), picture.reshape(height, width * 3)])
    filtered = np.full((height, 1 + width * 3), 2, dtype=np.uint8)  # 2: PNG's filter "up"
    filtered[:, 1:] = rows[1:] - rows[:-1]
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, red green blue
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), effort)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _cropped(picture: np.ndarray, crop: Crop) -> np.ndarray:
    height, width = picture.shape[:2]
    left, right = (round(share * width) for share in (crop[0], crop[2]))
    top, bottom = (round(share * height) for share in (crop[1], crop[3]))
    return picture[top : max(bottom, top + 1), left : max(right, left + 1)]


def _write(paper: np.ndarray, text: str, top: int, left: int) -> None:
    """Draw a name in the heading of a picture."""
    weights = 1 << np.arange(_GLYPH_COLUMNS - 1, -1, -1)
    for number, letter in enumerate(text):
        dots = (np.array(_GLYPHS[letter])[:, None] & weights) > 0
        large = np.kron(dots, np.ones((_LETTER_SCALE, _LETTER_SCALE))) > 0
        at = left + number * (_GLYPH_COLUMNS + 1) * _LETTER_SCALE
        under = top + (_HEADING - _GLYPH_ROWS * _LETTER_SCALE) // 2
        paper[under : under + large.shape[0], at : at + large.shape[1]][large] = _INK
