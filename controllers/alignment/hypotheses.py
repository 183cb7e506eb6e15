"""What is still possible: the parameters theta that no correction has excluded, and how far that is from knowing.

The set is a box and cuts; its centre is that of the largest ellipsoid in it, `ellipsoid.py`. A set never changes: every
step returns a new one, so to undo is to keep the old one, or to leave a correction's rows away.

A ball of radius rho stands for all that is as good as the truth. Where the box's sides differ, theta is measured in
units of `scale`, which are as long as the sides and whose product is 1, so that volumes remain what they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln

from controllers.alignment.ellipsoid import (
    Ellipsoid,
    EmptyInteriorError,
    NotConvergedError,
    chebyshev,
    inscribed_ellipsoid,
)
from robot_learn.errors import UserError

if TYPE_CHECKING:
    from controllers.alignment.cuts import Cut

# A cut through the centre leaves at most this share of the ellipsoid's volume (Tarasov, Khachiyan & Erlikh, "The method
# of inscribed ellipsoids", Soviet Math. Dokl. 37, 1988), as a logarithm.
ELLIPSOID_SHRINKS = 0.171
CENTRAL = 1e-6  # in units of the ellipsoid's reach: so near the centre counts as through it
MARGIN = 1e-3  # of the enlarged ellipsoid, more than the tolerance that it was found with


@dataclass(frozen=True)
class Verdict:
    """Whether the corrections can still be explained by one theta, and if not, why."""

    misspecified: bool
    reason: str


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """The box low <= theta <= high, and the cuts normals theta <= offsets."""

    low: np.ndarray  # (r,)
    high: np.ndarray  # (r,)
    normals: np.ndarray  # (m, r), of length 1
    offsets: np.ndarray  # (m,)
    sources: tuple[str, ...]  # (m,) what each cut was made from: "push", "safe", "stop"
    corrections: np.ndarray  # (m,) whole numbers: the correction that a cut came from
    needed: np.ndarray  # (2 r + m,) bool: rows, the box's upper and lower sides first, not yet known to be redundant
    central: int = 0  # corrections so far with a cut through the centre or beyond it
    start: np.ndarray | None = None  # (r,) strictly inside, or None where none is known

    @classmethod
    def box(cls, low: np.ndarray, high: np.ndarray) -> Hypotheses:
        """All that is possible before the first correction.

        Raises:
            UserError: a side of the box is not positive and finite.
        """
        low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
        if low.ndim != 1 or low.shape != high.shape or not (np.isfinite(high - low) & (high > low)).all():
            raise UserError(f"box of hypotheses: wanted low < high, both of shape (r,), came {low} and {high}")
        size = len(low)
        none = np.zeros(0)
        needed = np.ones(2 * size, dtype=bool)
        return cls(low, high, np.zeros((0, size)), none, (), none.astype(int), needed, start=(low + high) / 2)

    @classmethod
    def of(
        cls,
        low: np.ndarray,
        high: np.ndarray,
        corrections: Mapping[int, Sequence[Cut]],
        start: np.ndarray | None = None,
    ) -> Hypotheses:
        """All corrections at once, by their numbers, with a point strictly inside where one is known."""
        each = [(cut, correction) for correction, cuts in corrections.items() for cut in cuts]
        box = cls.box(low, high)
        if not each:
            return box
        return dataclasses.replace(
            box,
            normals=np.array([cut.normal for cut, _ in each]),
            offsets=np.array([cut.offset for cut, _ in each]),
            sources=tuple(cut.source for cut, _ in each),
            corrections=np.array([correction for _, correction in each]),
            needed=np.ones(2 * box.size + len(each), dtype=bool),
            start=start,
        )

    def add(self, cuts: Sequence[Cut], correction: int) -> Hypotheses:
        """The set after one more correction.

        Raises:
            EmptyInteriorError: this set is empty already.
        """
        if not cuts:
            return self
        normals, offsets = np.array([cut.normal for cut in cuts]), np.array([cut.offset for cut in cuts])
        centre, reach = self.ellipsoid.centre, self.ellipsoid.reach(normals)
        depths = (normals @ centre - offsets) / reach
        return dataclasses.replace(
            self,
            normals=np.vstack([self.normals, normals]),
            offsets=np.append(self.offsets, offsets),
            sources=self.sources + tuple(cut.source for cut in cuts),
            corrections=np.append(self.corrections, np.full(len(cuts), correction)),
            needed=np.append(self._needed_now(), np.ones(len(cuts), dtype=bool)),
            central=self.central + bool(depths.max() > -CENTRAL),
            start=self._inside(normals, offsets, depths, reach),
        )

    def without(self, corrections: Collection[int]) -> Hypotheses:
        """The set as if these corrections had never come."""
        kept = ~np.isin(self.corrections, list(corrections))
        if kept.all():
            return self
        # The cuts that stay were made through other centres, so nothing is known of how much they take now.
        return dataclasses.replace(
            self,
            normals=self.normals[kept],
            offsets=self.offsets[kept],
            sources=tuple(source for source, keep in zip(self.sources, kept, strict=True) if keep),
            corrections=self.corrections[kept],
            needed=np.ones(2 * self.size + int(kept.sum()), dtype=bool),
            central=0,
        )

    @property
    def size(self) -> int:
        """The number of parameters, r."""
        return len(self.low)

    @property
    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Normals (2 r + m, r) and offsets of the box, upper sides first, and of the cuts."""
        eye = np.eye(self.size)
        return np.vstack([eye, -eye, self.normals]), np.concatenate([self.high, -self.low, self.offsets])

    @property
    def scale(self) -> np.ndarray:
        """(r,) the box's half sides over their geometric mean."""
        half = (self.high - self.low) / 2
        return np.asarray(half / np.exp(np.log(half).mean()))

    @cached_property
    def ellipsoid(self) -> Ellipsoid:
        """The largest one in the set.

        Raises:
            EmptyInteriorError: the set is empty.
            NotConvergedError: it is too thin for double precision.
        """
        normals, offsets = self.rows
        return inscribed_ellipsoid(normals[self.needed], offsets[self.needed], self.start)

    @property
    def centre(self) -> np.ndarray:
        """(r,) the theta to act by."""
        return self.ellipsoid.centre

    @property
    def log_volume(self) -> float:
        """Of the ellipsoid, in unit balls."""
        return self.ellipsoid.log_volume

    @cached_property
    def semi_axes(self) -> np.ndarray:
        """(r,) of the ellipsoid, rising, in units of `scale`."""
        return np.linalg.svd(self.ellipsoid.shape / self.scale[:, None], compute_uv=False)[::-1]

    @property
    def spread(self) -> np.ndarray:
        """(r,) how far the ellipsoid extends from its centre along each coordinate."""
        return np.asarray(np.linalg.norm(self.ellipsoid.shape, axis=1))

    @cached_property
    def radius(self) -> float:
        """Of the largest ball in the set, in units of `scale`; negative where the set is empty."""
        normals, offsets = self.rows
        return chebyshev(normals, offsets, np.linalg.norm(normals * self.scale, axis=1))[1]

    def holds_ball(self, rho: float) -> bool:
        """Whether a ball of radius rho, in units of `scale`, is in the set."""
        try:
            if self.semi_axes[0] >= rho:  # one around the centre is
                return True
        except (EmptyInteriorError, NotConvergedError):
            pass  # the largest ball is found all the same
        try:
            return self.radius >= rho
        except NotConvergedError:
            return False  # no linear programme finds room: there is none to speak of

    def contains(self, theta: np.ndarray, tolerance: float = 1e-9) -> np.ndarray:
        """Whether each theta (..., r) is in the set, up to a tolerance in shares of the box's longest side."""
        normals, offsets = self.rows
        room = tolerance * float((self.high - self.low).max())
        return np.asarray((theta @ normals.T <= offsets + room).all(axis=-1))

    def bound(self, rho: float) -> int:
        """The most corrections through the centre that can still come before no ball of radius rho is left.

        The smaller of two: every cut leaves at most 1 - 1/r of the set's volume, and .843 of the ellipsoid's. The
        set's volume now is not known, but is at most what is left of the box's, and r^r times the ellipsoid's.
        """
        size = self.size
        left = _log_box(self.low, self.high) + self.central * _log_share(size)
        return _most_cuts(size, min(left, self.log_volume + size * np.log(size)), self.log_volume, rho)

    def verdict(self, rho: float) -> Verdict:
        """Whether one theta can still explain all corrections, if each has left what is within rho of it."""
        half = (self.high - self.low) / 2
        most = _most_cuts(self.size, _log_box(self.low, self.high), float(np.log(half).sum()), rho)
        if self.central > most:
            return Verdict(
                True, f"{self.central} corrections are more than the {most} that any theta could have needed"
            )
        if not self.holds_ball(rho):
            return Verdict(True, f"no ball of radius {rho:g} is left")
        return Verdict(False, f"{self.bound(rho)} more corrections at most")

    def sample(self, count: int, rng: np.random.Generator, steps: int | None = None) -> np.ndarray:
        """Thetas (count, r), nearly uniform in the set: chains of hit-and-run that start uniform in the ellipsoid.

        Args:
            steps: of each chain; by default 10 + 2 r.
        """
        normals, offsets = self.rows
        normals, offsets = normals[self.needed], offsets[self.needed]
        rows = normals @ self.ellipsoid.shape  # in coordinates in which the ellipsoid is the unit ball
        room = offsets - normals @ self.centre
        points = rng.standard_normal((count, self.size))
        points *= (rng.random(count) ** (1 / self.size) / np.linalg.norm(points, axis=1))[:, None]
        left = room - points @ rows.T
        for _ in range(10 + 2 * self.size if steps is None else steps):
            towards = rng.standard_normal((count, self.size))
            closing = towards @ rows.T
            # How far each row is, forwards where it closes in and backwards where it recedes.
            until = left / np.where(closing == 0, 1e-300, closing)
            most = np.where(closing > 0, until, np.inf).min(axis=1)
            least = np.where(closing < 0, until, -np.inf).max(axis=1)
            lengths = least + rng.random(count) * (most - least)
            points += lengths[:, None] * towards
            left -= lengths[:, None] * closing
        return np.asarray(self.centre + points @ self.ellipsoid.shape)

    def agreement(self, cuts: Sequence[Cut], rng: np.random.Generator, count: int = 256) -> float:
        """The share of the set that all these cuts leave, from samples; one through the centre leaves about a half."""
        thetas = self.sample(count, rng)
        kept = [thetas @ cut.normal <= cut.offset for cut in cuts]
        return float(np.all(kept, axis=0).mean()) if kept else 1.0

    def _needed_now(self) -> np.ndarray:
        """`needed` without the rows that the ellipsoid r times as large does not reach: it contains the set (John)."""
        normals, offsets = self.rows
        ellipsoid = self.ellipsoid
        outside = normals @ ellipsoid.centre + self.size * (1 + MARGIN) * ellipsoid.reach(normals) < offsets
        return np.asarray(self.needed & ~outside)

    def _inside(
        self, normals: np.ndarray, offsets: np.ndarray, depths: np.ndarray, reach: np.ndarray
    ) -> np.ndarray | None:
        """A point of the ellipsoid that the new cuts (k, r) leave, midway to where the deepest leaves it; or None."""
        ellipsoid, deepest = self.ellipsoid, int(np.argmax(depths))
        depth = float(depths[deepest])
        if depth >= 1:
            return None
        back = (max(depth, -1.0) + 1) / 2
        towards = ellipsoid.shape @ (ellipsoid.shape @ normals[deepest]) / reach[deepest]
        point = np.asarray(ellipsoid.centre - back * towards)
        return point if (normals @ point < offsets).all() else None


def _log_box(low: np.ndarray, high: np.ndarray) -> float:
    """The logarithm of a box's volume in unit balls."""
    size = len(low)
    return float(np.log(high - low).sum() - (size / 2 * np.log(np.pi) - gammaln(size / 2 + 1)))


def _log_share(size: int) -> float:
    """The logarithm of the share of a set's volume that a cut through the centre leaves at most."""
    return float(np.log1p(-1.0 / size) if size > 1 else -np.log(2.0))


def _most_cuts(size: int, log_set: float, log_ellipsoid: float, rho: float) -> int:
    ball = size * np.log(rho)
    most = min((log_set - ball) / -_log_share(size), (log_ellipsoid - ball) / ELLIPSOID_SHRINKS)
    return max(0, int(np.ceil(most)))
