"""Rewards on a scale that means something: the probability of being preferred over a frame drawn from the data.

A Bradley-Terry reward is known only up to a shift, and its size says how sure the labels were, not how good a frame
is. r(s) = E_{s'} P(s preferred over s') (the expected win rate of self-play preference optimisation, Swamy et al., ICML
2024) lies in [0, 1], keeps the order of frames, and is the same whatever constant was added to the scores.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit
from scipy.stats import rankdata

from robot_learn.errors import UserError

REFERENCES = 2048  # frames to win against, where there are more


def win_rate(scores: np.ndarray, reference: np.ndarray, inverse_temperature: float | np.ndarray = 1.0) -> np.ndarray:
    """(S, F) in [0, 1] from scores (S, F) and those of reference frames (S, R), row by row.

    Args:
        inverse_temperature: of the preferences, P = sigmoid(beta (r - r')); one, or (S,).
    """
    _check(scores, reference)
    beta = np.broadcast_to(np.asarray(inverse_temperature, dtype=np.float64), (len(scores),))
    rows = []
    for row, against, factor in zip(scores, reference, beta, strict=True):
        # The mean of R sigmoids is smooth and rises, so a fine grid of it is read off in place of R products a frame.
        low, high = min(row.min(), against.min()), max(row.max(), against.max())
        steps = int(np.clip(np.ceil(50.0 * factor * (high - low)), 64, 20_000))
        grid = np.linspace(low, high, steps + 1)
        won = np.array([expit(factor * (point - against)).mean() for point in grid])
        rows.append(np.interp(row, grid, won))
    return np.asarray(rows, dtype=np.float32)


def rarity(scores: np.ndarray) -> np.ndarray:
    """(S, F) how many tenfolds of the frames are no better: 1 for the best tenth's last, 2 for the best hundredth's.

    A win rate saturates where it matters in data of chance: next to the goal one beats nearly every frame, at the goal
    every one. This is minus the decimal logarithm of the share of frames that are better, those of equal score counted
    by half. It depends on the order of the scores alone, which is all that comparisons tell, and steps from common to
    rare are paid alike wherever they are.
    """
    _check(scores, scores)
    frames = scores.shape[1]
    return np.asarray(-np.log10((frames + 0.5 - rankdata(scores, axis=1)) / frames), dtype=np.float32)


def _check(scores: np.ndarray, reference: np.ndarray) -> None:
    if scores.ndim != 2 or reference.ndim != 2 or len(scores) != len(reference) or reference.shape[1] == 0:
        raise UserError(f"win rate: wanted scores (S, F) and (S, R), came {scores.shape} and {reference.shape}")


def references(count: int, seed: int = 0) -> np.ndarray:
    """Indices of frames to win against, out of `count`: all, or a draw of them."""
    if count <= REFERENCES:
        return np.arange(count)
    return np.sort(np.random.default_rng([seed, count]).choice(count, REFERENCES, replace=False))
