"""How far a source can be believed: its answers to gold pairs, whose answer is known, and accuracy by difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rewards.preference.calibration import wilson
from robot_learn.errors import UserError

ANSWERS = ("first", "tie", "second")


@dataclass(frozen=True)
class Noise:
    """What a source said of gold pairs."""

    counts: tuple[tuple[int, ...], ...]  # 3 x 3: [truth, said], both in the order first, tie, second
    abstained: int = 0

    @property
    def decided(self) -> int:
        """Pairs that have a better segment, and of which the source named one."""
        return sum(self.counts[t][s] for t in (0, 2) for s in (0, 2))

    @property
    def accuracy(self) -> float | None:
        """Share of the decided pairs in which it named the better one; None without any."""
        right = self.counts[0][0] + self.counts[2][2]
        return right / self.decided if self.decided else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the accuracy (Wilson)."""
        return None if self.accuracy is None else wilson(self.accuracy, self.decided)

    def confusion(self, prior: float = 1.0) -> np.ndarray:
        """(3, 3) P(said | truth), rows first, tie, second, as the reward models' confusion loss takes it.

        `prior` pseudo-counts in every cell keep a source that was never seen to err from being taken for infallible.
        """
        counts = np.array(self.counts, dtype=np.float64) + prior
        return np.asarray(counts / counts.sum(axis=1, keepdims=True))

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"accuracy": self.accuracy, "interval": self.interval, "decided": self.decided}


def noise(said: Sequence[float | None], truth: Sequence[float], *, even: float = 0.1) -> Noise:
    """Compare labels, P(second preferred) or None, with the true ones.

    Labels within `even` of 0.5 are ties.

    Raises:
        UserError: there are not as many of one as of the other.
    """
    if len(said) != len(truth):
        raise UserError(f"gold pairs: came {len(said)} answers to {len(truth)} pairs")
    counts = np.zeros((3, 3), dtype=int)
    abstained = 0
    for answer, right in zip(said, truth, strict=True):
        if answer is None:
            abstained += 1
        else:
            counts[_side(right, even), _side(answer, even)] += 1
    return Noise(tuple(tuple(int(n) for n in row) for row in counts), abstained)


@dataclass(frozen=True)
class Bin:
    """Pairs of about the same true difference."""

    low: float  # smallest and largest difference in it
    high: float
    pairs: int
    right: int  # the better one was named
    wrong: int
    ties: int
    abstained: int

    @property
    def accuracy(self) -> float | None:
        """Of the pairs in which one was named; None without any."""
        named = self.right + self.wrong
        return self.right / named if named else None

    @property
    def accuracy_of_all(self) -> float:
        """A tie counts half and so does an abstention: what a learner sees who must take every label."""
        return (self.right + 0.5 * (self.ties + self.abstained)) / self.pairs

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"accuracy": self.accuracy, "accuracy_of_all": self.accuracy_of_all}


def accuracy_by_difference(
    said: Sequence[float | None], differences: np.ndarray, *, bins: int = 10, even: float = 0.1
) -> list[Bin]:
    """Accuracy in equally full bins of the true difference, smallest first; true ties are left out.

    Args:
        differences: (n,) true return of the second segment less that of the first.
    """
    differences = np.asarray(differences, dtype=np.float64)
    if len(said) != len(differences):
        raise UserError(f"accuracy: came {len(said)} answers and {len(differences)} differences")
    told = np.flatnonzero(differences != 0)
    order = told[np.argsort(np.abs(differences[told]), kind="stable")]
    found = []
    for rows in np.array_split(order, min(bins, max(1, len(order)))):
        if not len(rows):
            continue
        answers = [said[row] for row in rows]
        sides = np.array([1 if answer is None else _side(answer, even) for answer in answers])
        silent = np.array([answer is None for answer in answers])
        better = np.where(differences[rows] > 0, 2, 0)
        sizes = np.abs(differences[rows])
        found.append(
            Bin(
                low=float(sizes.min()),
                high=float(sizes.max()),
                pairs=len(rows),
                right=int(((sides == better) & ~silent).sum()),
                wrong=int(((sides == 2 - better) & ~silent).sum()),
                ties=int(((sides == 1) & ~silent).sum()),
                abstained=int(silent.sum()),
            )
        )
    return found


def _side(label: float, even: float) -> int:
    """0 first, 1 tie, 2 second."""
    return 1 if abs(label - 0.5) <= even else (2 if label > 0.5 else 0)
