"""Letters and PNG files that come out the same everywhere.

A recorded reply is found by the hash of what was shown. So letters are drawn from a table and not by a library whose
fonts change, and files are written by hand but for zlib.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

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
    "s": (0, 0, 15, 16, 14, 1, 30),
    ".": (0, 0, 0, 0, 0, 12, 12),
    " ": (0, 0, 0, 0, 0, 0, 0),
}
_GLYPH_ROWS, _GLYPH_COLUMNS = 7, 5
_INK = 0


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


def write(paper: np.ndarray, text: str, top: int, left: int, *, height: int, scale: int = 3) -> None:
    """Draw text on paper (H, W, 3), dots of `scale` pixels, in the middle of a band of that height."""
    weights = 1 << np.arange(_GLYPH_COLUMNS - 1, -1, -1)
    for number, letter in enumerate(text):
        dots = (np.array(_GLYPHS[letter])[:, None] & weights) > 0
        large = np.kron(dots, np.ones((scale, scale))) > 0
        at = left + number * (_GLYPH_COLUMNS + 1) * scale
        under = top + (height - _GLYPH_ROWS * scale) // 2
        paper[under : under + large.shape[0], at : at + large.shape[1]][large] = _INK
