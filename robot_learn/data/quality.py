"""How good a dataset is to learn from, in figures that need no learner.

Coverage: which share of a grid over the first principal components its states visit, and how evenly (as entropy), after
the state coverage that Schweighofer et al. ("A Dataset Perspective on Offline Reinforcement Learning", CoLLAs 2022)
relate to what can be learned. Action divergence and transition diversity after Belkhale, Cui and Sadigh ("Data Quality
in Imitation Learning", NeurIPS 2023): how much actions differ where states are alike, and how much the next states do.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from robot_learn.data.dataset import Dataset
from robot_learn.data.features import fit_components, with_features
from robot_learn.errors import UserError

COMPONENTS, BINS = 3, 12  # of the grid: 1,728 cells
NEIGHBOURS = 8
SAMPLES = 4000  # steps among which neighbours are sought
_CONSTANT = 1e-6  # deviation below which a number is no part of the state


@dataclass(frozen=True)
class Quality:
    """The figures, each with its direction."""

    coverage: float  # share of the grid's cells that are visited, 0 to 1
    entropy: float  # of the visits over all cells, 0 (one cell) to 1 (all alike)
    explained: float  # share of the states' variance that the grid's components hold
    action_divergence: float | None  # variance of actions among near states over their variance at large: 0 consistent
    transition_diversity: float  # variance of state changes among near states over their variance at large
    success_rate: float  # share of episodes that succeed at any step
    success_step: float | None  # median first step with success, counted from 1, where there is one
    return_mean: float
    return_std: float
    return_best_tenth: float  # mean of the best tenth of the episodes

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def quality(dataset: Dataset, *, samples: int = SAMPLES, seed: int = 0) -> Quality:
    """All figures; neighbours are those among `samples` steps drawn with `seed`.

    Where there are no numeric observations, features stand for them, and else principal components of the pictures.

    Raises:
        UserError: nothing tells one state from another.
    """
    states = standardised(_states(dataset))
    coverage, entropy, explained = occupancy(states)
    rng = np.random.default_rng(seed)
    if states.shape[1] == 0:
        raise UserError(f"dataset of {dataset.task}: no number of its states ever changes")
    steps = rng.permutation(dataset.num_steps)[:samples]
    before = states[dataset.frame_before[steps]]
    change = states[dataset.frame_after[steps]] - before
    others = neighbours(before, dataset.episode_of[steps])
    first = [
        int(np.flatnonzero(dataset.success[start : start + length])[0]) + 1
        for start, length, succeeded in zip(dataset.starts, dataset.lengths, dataset.succeeded, strict=True)
        if succeeded
    ]
    returns = np.sort(dataset.returns)
    return Quality(
        coverage=coverage,
        entropy=entropy,
        explained=explained,
        action_divergence=None if dataset.actions is None else divergence(dataset.actions[steps], others),
        transition_diversity=divergence(change, others),
        success_rate=float(dataset.succeeded.mean()),
        success_step=float(np.median(first)) if first else None,
        return_mean=float(returns.mean()),
        return_std=float(returns.std()),
        return_best_tenth=float(returns[-max(1, round(len(returns) / 10)) :].mean()),
    )


def _states(dataset: Dataset) -> np.ndarray:
    if dataset.observations.shape[1]:
        return dataset.observations
    if dataset.features is None:
        dataset = with_features(dataset, fit_components(dataset.images))
    assert dataset.features is not None
    return dataset.features


def standardised(observations: np.ndarray) -> np.ndarray:
    """(F, d): every number that varies, with mean 0 and deviation 1."""
    deviation = observations.std(axis=0, dtype=np.float64)
    varies = deviation > _CONSTANT
    kept = observations[:, varies].astype(np.float64)
    return np.asarray((kept - kept.mean(axis=0)) / deviation[varies])


def occupancy(states: np.ndarray) -> tuple[float, float, float]:
    """Share of visited cells, entropy of the visits in units of its maximum, and the explained variance.

    The grid spans 2 deviations to either side along each component; what lies beyond counts to the outermost cells.
    """
    if not states.any():
        return 1.0 / BINS**COMPONENTS, 0.0, 1.0
    _, scale, axes = np.linalg.svd(
        states if len(states) < 20_000 else states[:: len(states) // 20_000], full_matrices=False
    )
    count = min(COMPONENTS, len(axes))
    explained = float(np.square(scale[:count]).sum() / np.square(scale).sum())
    places = states @ axes[:count].T
    cells = np.floor((places / (4.0 * places.std(axis=0) + 1e-12) + 0.5) * BINS).clip(0, BINS - 1).astype(np.int64)
    visits = np.bincount(np.ravel_multi_index(tuple(cells.T), (BINS,) * count), minlength=BINS**count) / len(cells)
    share = visits[visits > 0]
    return float((visits > 0).mean()), float(-(share * np.log(share)).sum() / np.log(BINS**count)), explained


def neighbours(states: np.ndarray, episodes: np.ndarray) -> np.ndarray:
    """(n, NEIGHBOURS) indices of the nearest states of other episodes; -1 where there are fewer.

    Those of the same episode are near because they are next to each other in time, and say little.
    """
    count = min(len(states), 4 * NEIGHBOURS + 1)
    _, found = KDTree(states).query(states, k=count)
    found = np.reshape(found, (len(states), -1))
    foreign = episodes[found] != episodes[:, None]
    rank = np.cumsum(foreign, axis=1)
    chosen = np.full((len(states), NEIGHBOURS), -1)
    rows, columns = np.nonzero(foreign & (rank <= NEIGHBOURS))
    chosen[rows, rank[rows, columns] - 1] = found[rows, columns]
    return chosen


def divergence(values: np.ndarray, others: np.ndarray) -> float:
    """Mean variance of values (n, d) among neighbours (n, k), over the variance of all; 1: as different as any."""
    complete = (others >= 0).all(axis=1)
    total = float(values.var(axis=0, dtype=np.float64).sum())
    if not complete.any() or total == 0.0:
        return float("nan") if total else 0.0
    group = values[others[complete]].astype(np.float64)
    # The unbiased variance of k values; the mean of the dataset's own variance is over n, where it does not matter.
    return float(group.var(axis=1, ddof=1).sum(axis=1).mean() / total)
