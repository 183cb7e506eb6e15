"""Pictures are written as they are, and letters as their table says."""

from __future__ import annotations

import cv2
import numpy as np

from rewards.lettering import png, write


def test_a_png_file_holds_every_pixel_as_opencv_reads_it() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    read = cv2.imdecode(np.frombuffer(png(picture), np.uint8), cv2.IMREAD_COLOR)
    assert read is not None
    assert np.array_equal(cv2.cvtColor(read, cv2.COLOR_BGR2RGB), picture)


def test_letters_are_drawn_dot_by_dot_in_the_middle_of_their_band() -> None:
    paper = np.full((20, 30, 3), 255, dtype=np.uint8)
    write(paper, "1.", 0, 2, height=20, scale=2)
    ink = paper[..., 0] == 0
    assert ink[:, :2].sum() == 0
    rows = np.flatnonzero(ink.any(axis=1))
    assert (rows[0], rows[-1]) == (3, 16), "seven dots of two pixels, three pixels above and below"
    assert ink.sum() == 4 * (sum(number.bit_count() for number in (4, 12, 4, 4, 4, 4, 14)) + 4)
