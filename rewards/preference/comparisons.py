"""What reward models learn from: pairs of segments with labels, or segments with grades, as rows of plain arrays.

Frames are numbered through a whole dataset, and a segment is the frames that it shows. Labels follow the house rule:
label = P(second preferred), 0.5 is a tie.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from robot_learn.errors import UserError


@dataclass(frozen=True, eq=False)
class Comparisons:
    """P pairs of segments of L frames, each with what one source said about it."""

    segments: np.ndarray  # (P, 2, L) int64 rows of the frames
    labels: np.ndarray  # (P,) P(second preferred)
    sources: np.ndarray | None = None  # (P,) int64: who said so, a number from 0; None: one source
    confidence: np.ndarray | None = None  # (P,) in [0, 1], the weight of a pair; None: 1

    def __post_init__(self) -> None:
        if self.segments.ndim != 3 or self.segments.shape[1] != 2 or self.segments.size == 0:
            raise UserError(f"comparisons: wanted segments of shape (P, 2, L), came {self.segments.shape}")
        for name in ("labels", "sources", "confidence"):
            value = getattr(self, name)
            if value is not None and value.shape != (len(self),):
                raise UserError(f"comparisons: {name} has the shape {value.shape}, wanted ({len(self)},)")
        for name in ("labels", "confidence"):
            value = getattr(self, name)
            if value is not None and not ((value >= 0.0) & (value <= 1.0)).all():  # NaN is refused too
                row = int(np.flatnonzero(~((value >= 0.0) & (value <= 1.0)))[0])
                raise UserError(f"comparisons: {name}[{row}] is {value[row]}, wanted 0 to 1")
        if self.sources is not None and self.sources.min() < 0:
            row = int(np.argmin(self.sources))
            raise UserError(f"comparisons: sources[{row}] is {self.sources[row]}, wanted 0 or more")

    def __len__(self) -> int:
        return len(self.segments)

    @property
    def source_of(self) -> np.ndarray:
        """(P,) int64."""
        return np.zeros(len(self), dtype=np.int64) if self.sources is None else self.sources

    @property
    def weights(self) -> np.ndarray:
        """(P,) float32."""
        return np.ones(len(self), dtype=np.float32) if self.confidence is None else self.confidence.astype(np.float32)

    def rows(self, which: np.ndarray) -> Comparisons:
        """Some of the pairs, by a mask (P,) or by indices."""
        return replace(
            self,
            segments=self.segments[which],
            labels=self.labels[which],
            sources=None if self.sources is None else self.sources[which],
            confidence=None if self.confidence is None else self.confidence[which],
        )

    def swapped(self) -> Comparisons:
        """The same opinions with the segments in the other order."""
        return replace(self, segments=self.segments[:, ::-1], labels=1.0 - self.labels)


@dataclass(frozen=True, eq=False)
class Ratings:
    """P segments of L frames, each with a grade on a scale of `num_classes`, 0 the worst."""

    segments: np.ndarray  # (P, L) int64 rows of the frames
    classes: np.ndarray  # (P,) int64
    num_classes: int

    def __post_init__(self) -> None:
        if self.segments.ndim != 2 or self.segments.size == 0:
            raise UserError(f"ratings: wanted segments of shape (P, L), came {self.segments.shape}")
        if self.classes.shape != (len(self),):
            raise UserError(f"ratings: classes has the shape {self.classes.shape}, wanted ({len(self)},)")
        if self.num_classes < 2:
            raise UserError(f"ratings: wanted a scale of 2 classes or more, came {self.num_classes}")
        outside = (self.classes < 0) | (self.classes >= self.num_classes)
        if outside.any():
            row = int(np.flatnonzero(outside)[0])
            raise UserError(f"ratings: classes[{row}] is {self.classes[row]}, wanted 0 to {self.num_classes - 1}")

    def __len__(self) -> int:
        return len(self.segments)

    def rows(self, which: np.ndarray) -> Ratings:
        return replace(self, segments=self.segments[which], classes=self.classes[which])


def check_frames(frames: np.ndarray, segments: np.ndarray) -> None:
    """Every segment lies within the frames, and every frame that it shows is finite.

    Raises:
        UserError: with the first row that is wrong.
    """
    if not (frames.ndim == 2 or (frames.ndim == 4 and frames.dtype == np.uint8 and frames.shape[-1] == 3)):
        raise UserError(f"frames: wanted (F, width) numbers or (F, height, width, 3) uint8, came {frames.shape}")
    if segments.min() < 0 or segments.max() >= len(frames):
        row = int(np.argwhere((segments < 0) | (segments >= len(frames)))[0][0])
        raise UserError(f"segments[{row}] names frame {segments[row].max()}; there are {len(frames)} frames, from 0")
    if frames.ndim == 2:
        finite = np.isfinite(frames).all(axis=1)
        if not finite.all():
            raise UserError(f"frames[{int(np.flatnonzero(~finite)[0])}] is not finite")


def held_out(count: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices to learn from and to judge by: a share of `count` rows, at least 1, drawn once for all members."""
    if count < 2:
        raise UserError(f"a reward model wants 2 labels or more, one of them held out; came {count}")
    order = np.random.default_rng([seed, count]).permutation(count)
    judged = min(max(1, round(share * count)), count - 1)
    return np.sort(order[judged:]), np.sort(order[:judged])
