"""Pairs for teachers: a blue square on a grey ground that should go to the right, the farther the more it is paid."""

from __future__ import annotations

import numpy as np

from rewards.preference.query import Query
from robot_learn.types import Segment

SIZE = 64
INSTRUCTION = "Move the square to the right."


def picture(at: float, size: int = SIZE) -> np.ndarray:
    """(size, size, 3) with the square at a share of the way."""
    found = np.full((size, size, 3), 120, dtype=np.uint8)
    left = round(at * (size - size // 8))
    found[size // 2 : size // 2 + size // 8, left : left + size // 8] = (20, 40, 230)
    return found


def query(first: float, second: float, *, number: int = 0, steps: int = 1) -> Query:
    """A query about two places of the square, at which it stays for all steps of the segments."""
    places = (first, second)
    return Query(
        Segment(number, 0, steps),
        Segment(number, 10, steps),
        INSTRUCTION,
        pictures=tuple(np.stack([picture(at)] * steps) for at in places),  # type: ignore[arg-type]
        rewards=tuple(np.full(steps, at) for at in places),  # type: ignore[arg-type]
        advantages=tuple(np.full(steps, at - 1.0) for at in places),  # type: ignore[arg-type]
    )


def queries(count: int, seed: int = 0) -> list[Query]:
    places = np.random.default_rng(seed).random((count, 2))
    return [query(*pair, number=number) for number, pair in enumerate(places)]
