"""Pushes that were wrong: the plain set loses the truth at the first of them, for good; this one takes it back.

Every correction is held to be right with a probability only, so each theta has a posterior: that of the box, times
1 - p for each correction that it satisfies and p for each other one. So one searches with an unreliable guide, as by
probabilistic bisection (Horstein, IEEE Trans. Inf. Theory 9, 1963; Waeber, Frazier & Henderson, SIAM J. Control Optim.
51, 2013). Here it is carried by particles. They move along lines, on which the posterior is piecewise constant and is
drawn from exactly, and their votes tell how likely each correction is wrong. Those more likely wrong than right are set
aside, and the hypotheses of the others, with their centre and certificate, are what to act by. A correction that is set
aside comes back when later ones speak for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from controllers.alignment.ellipsoid import EmptyInteriorError, NotConvergedError
from controllers.alignment.hypotheses import Hypotheses
from robot_learn.errors import UserError

if TYPE_CHECKING:
    from controllers.alignment.cuts import Cut

SET_ASIDE = 0.5  # probability of being wrong above which a correction does not count


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What has been said, what of it is believed, and the hypotheses that this leaves. Every step returns a new one.

    Its numbers are random, but repeatable: a step's generator is made from `seed` and the number of steps so far.
    """

    hypotheses: Hypotheses  # of the corrections that are believed
    particles: np.ndarray  # (n, r) thetas of the posterior, of which every one counts the same
    error_rate: float  # p, the share of corrections that are expected to be wrong
    said: Mapping[int, tuple[Cut, ...]] = field(default_factory=dict)  # by the number of the correction
    times: Mapping[int, float] = field(default_factory=dict)  # how often it was said
    doubts: Mapping[int, float] = field(default_factory=dict)  # probability that it is wrong
    moves: int = 10  # of every particle in one step
    seed: int = 0
    steps: int = 0

    @classmethod
    def start(
        cls, low: np.ndarray, high: np.ndarray, *, error_rate: float = 0.1, count: int = 256, seed: int = 0
    ) -> Beliefs:
        """Before the first correction: every theta of the box is as likely as any other.

        Raises:
            UserError: the error rate is not between 0 and 1/2, or the box is none.
        """
        if not 0 < error_rate < 0.5:
            raise UserError(f"error rate: wanted a share above 0 and below .5, came {error_rate}")
        box = Hypotheses.box(low, high)
        particles = np.random.default_rng(seed).uniform(box.low, box.high, (count, box.size))
        return cls(box, particles, error_rate, moves=4 + box.size // 2, seed=seed)

    @property
    def set_aside(self) -> frozenset[int]:
        """The corrections that do not count at present."""
        return frozenset(self.said).difference(self.hypotheses.corrections.tolist())

    def add(self, cuts: Sequence[Cut], correction: int, times: float = 1.0) -> Beliefs:
        """After one more correction; all its cuts are right or wrong together.

        Args:
            correction: its number, which no other one has.
            times: how much it counts: more than 1 for what is surer than most, less for what is less so.
        """
        if not cuts:
            return self
        return self._step({**self.said, correction: tuple(cuts)}, {**self.times, correction: times})

    def confirm(self, correction: int) -> Beliefs:
        """After a correction was said once more, which is evidence as good as the first time.

        Raises:
            UserError: there is none of that number.
        """
        if correction not in self.said:
            raise UserError(f"no correction numbered {correction} to confirm; there are {sorted(self.said)}")
        return self._step(self.said, {**self.times, correction: self.times[correction] + 1.0})

    def without(self, corrections: Collection[int]) -> Beliefs:
        """As if these corrections had never been said."""
        return self._step({key: cuts for key, cuts in self.said.items() if key not in corrections}, self.times)

    def suspects(self, above: float = 0.2) -> list[int]:
        """The corrections that are worth being asked about again, the most doubtful first."""
        return sorted((key for key, doubt in self.doubts.items() if doubt > above), key=lambda key: -self.doubts[key])

    def _step(self, said: Mapping[int, tuple[Cut, ...]], times: Mapping[int, float]) -> Beliefs:
        rng = np.random.default_rng((self.seed, self.steps + 1))
        before, after = self._evidence(self.said, self.times), self._evidence(said, times)
        gained = after.log_likelihood(self.particles) - before.log_likelihood(self.particles)
        particles = _resampled(self.particles, gained, rng)
        particles = _moved(particles, after, self.hypotheses, self.moves, rng)
        wrong = after.wrong(particles)
        doubts = dict(zip(said, wrong.mean(axis=0).tolist(), strict=True))
        believed, inside = _believed(wrong, after, particles)
        kept = {key: cuts for (key, cuts), keep in zip(said.items(), believed, strict=True) if keep}
        return dataclasses.replace(
            self,
            hypotheses=_hypotheses(self.hypotheses, kept, inside),
            particles=particles,
            said=said,
            times=times,
            doubts=doubts,
            steps=self.steps + 1,
        )

    def _evidence(self, said: Mapping[int, tuple[Cut, ...]], times: Mapping[int, float]) -> _Evidence:
        weight = np.log(1 / self.error_rate - 1)
        cuts = [cut for each in said.values() for cut in each]
        size = self.particles.shape[1]
        first = np.cumsum([0, *map(len, said.values())])[:-1]
        return _Evidence(
            np.array([cut.normal for cut in cuts]).reshape(-1, size),
            np.array([cut.offset for cut in cuts]),
            first.astype(int),
            weight * np.array([times[key] for key in said]),
        )


@dataclass(frozen=True, eq=False)
class _Evidence:
    """All cuts, those of one correction side by side."""

    normals: np.ndarray  # (m, r)
    offsets: np.ndarray  # (m,)
    first: np.ndarray  # (c,) the first cut of each correction
    weights: np.ndarray  # (c,) log odds of each correction's being right

    def wrong(self, thetas: np.ndarray) -> np.ndarray:
        """(n, c) bool: which corrections each theta (n, r) contradicts."""
        if not len(self.first):
            return np.zeros((len(thetas), 0), dtype=bool)
        return np.logical_or.reduceat(thetas @ self.normals.T > self.offsets, self.first, axis=1)

    def log_likelihood(self, thetas: np.ndarray) -> np.ndarray:
        """(n,) up to a constant."""
        return np.asarray(-(self.wrong(thetas) @ self.weights))


def _resampled(particles: np.ndarray, log_weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Particles (n, r) drawn again in proportion to weights, evenly spread (systematic resampling)."""
    count = len(particles)
    weights = np.exp(log_weights - log_weights.max())
    edges = np.cumsum(weights / weights.sum())
    drawn = np.searchsorted(edges, (np.arange(count) + rng.random()) / count)
    return np.asarray(particles[np.minimum(drawn, count - 1)])


def _moved(
    particles: np.ndarray, evidence: _Evidence, box: Hypotheses, moves: int, rng: np.random.Generator
) -> np.ndarray:
    """Each particle (n, r) moved along random lines, by draws from the posterior on the line: Gibbs sampling."""
    count, size = particles.shape
    # Directions like the particles' own spread, with a little of the box's, for when they have all become one.
    spread = np.cov(particles.T).reshape(size, size) + 1e-12 * np.diag((box.high - box.low) ** 2)
    root = np.linalg.cholesky(spread)
    for _ in range(moves):
        towards = rng.standard_normal((count, size)) @ root.T
        with np.errstate(divide="ignore"):
            to_high, to_low = (box.high - particles) / towards, (box.low - particles) / towards
        least, most = np.minimum(to_high, to_low).max(axis=1), np.maximum(to_high, to_low).min(axis=1)
        lengths = _drawn_on_lines(particles, towards, least, most, evidence, rng)
        particles = np.clip(particles + lengths[:, None] * towards, box.low, box.high)
    return particles


def _drawn_on_lines(
    points: np.ndarray,
    towards: np.ndarray,
    least: np.ndarray,
    most: np.ndarray,
    evidence: _Evidence,
    rng: np.random.Generator,
) -> np.ndarray:
    """Lengths (n,) between least and most (n,), drawn from the posterior on the lines points + length towards.

    A correction holds on an interval of the line, so its log likelihood steps up where that begins and down where it
    ends. Between two steps all lengths are equally likely.
    """
    if not len(evidence.first):
        return np.asarray(least + rng.random(len(points)) * (most - least))
    closing = towards @ evidence.normals.T
    closing[closing == 0] = -np.finfo(float).tiny
    with np.errstate(over="ignore"):
        until = (evidence.offsets - points @ evidence.normals.T) / closing
    ends = np.minimum.reduceat(np.where(closing > 0, until, np.inf), evidence.first, axis=1)
    begins = np.maximum.reduceat(np.where(closing > 0, -np.inf, until), evidence.first, axis=1)
    begins = np.clip(begins, least[:, None], most[:, None])
    ends = np.clip(ends, begins, most[:, None])
    steps = np.concatenate([begins, ends], axis=1)
    order = np.argsort(steps, axis=1)
    edges = np.column_stack([least, np.take_along_axis(steps, order, axis=1), most])
    signed = np.concatenate([evidence.weights, -evidence.weights])
    level = np.column_stack([np.zeros(len(points)), np.cumsum(signed[order], axis=1)])
    masses = np.exp(level - level.max(axis=1, keepdims=True)) * np.diff(edges, axis=1)
    below = np.cumsum(masses, axis=1)
    chosen = (below < rng.random((len(points), 1)) * below[:, -1:]).sum(axis=1)
    low, high = (np.take_along_axis(edges, (chosen + side)[:, None], axis=1)[:, 0] for side in (0, 1))
    return np.asarray(low + rng.random(len(points)) * (high - low))


def _believed(wrong: np.ndarray, evidence: _Evidence, particles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which corrections (c,) to believe, and a theta (r,) that satisfies all of them."""
    believed = wrong.mean(axis=0) <= SET_ASIDE
    fits = ~(wrong & believed).any(axis=1)
    if fits.any():
        return believed, np.asarray(particles[fits].mean(axis=0))
    # Each is likely by itself, but nobody holds all of them to be right: go by the likeliest particle's opinion.
    best = int(np.argmax(evidence.log_likelihood(particles)))
    return ~wrong[best], np.asarray(particles[best])


def _hypotheses(before: Hypotheses, kept: Mapping[int, tuple[Cut, ...]], inside: np.ndarray) -> Hypotheses:
    """Those of the corrections kept; where only one has been added to those before, with the count of central cuts."""
    known = set(before.corrections.tolist())
    if known <= kept.keys() and len(kept) - len(known) <= 1:
        added = [key for key in kept if key not in known]
        try:
            return before.add(kept[added[0]], added[0]) if added else before
        except (EmptyInteriorError, NotConvergedError):
            pass  # cuts that miss the centre have left nothing, or next to nothing
    return Hypotheses.of(before.low, before.high, kept, start=inside)
