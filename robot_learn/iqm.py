"""The interquartile mean over training seeds, with an interval that says how far to trust it.

Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS 2021: with a handful of
seeds, the mean is one lucky seed's and the median throws most of them away. Resampling is stratified: seeds are drawn
task by task.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import trim_mean

from robot_learn.errors import UserError

RESAMPLES = 2000


@dataclass(frozen=True)
class Iqm:
    """An interquartile mean and its 95 % interval."""

    value: float
    low: float
    high: float
    runs: int  # numbers that it is of


def iqm(scores: np.ndarray, *, rng: np.random.Generator | None = None) -> Iqm:
    """Of scores (S,) of one task's seeds, or (S, T) of T tasks together.

    The interval is the bootstrap's, by percentiles; without `rng` it is drawn from a fixed seed.

    Raises:
        UserError: there are no scores, or one is not finite.
    """
    table = np.asarray(scores, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or table.size == 0 or not np.isfinite(table).all():
        raise UserError(f"interquartile mean: wanted finite scores (seeds,) or (seeds, tasks), came {scores!r}")
    rng = np.random.default_rng(0) if rng is None else rng
    drawn = rng.integers(len(table), size=(RESAMPLES, *table.shape))
    resampled = np.take_along_axis(table[None], drawn, axis=1).reshape(RESAMPLES, -1)
    low, high = np.percentile(trim_mean(resampled, 0.25, axis=1), [2.5, 97.5])
    return Iqm(float(trim_mean(table, 0.25, axis=None)), float(low), float(high), table.size)
