"""What a reward pays for the probes of a task: the episodes side by side, and the figures that judge a reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from robot_learn.rollouts import Scored
from robot_learn.types import Task

TAIL = 0.1  # of an episode: its end
HARDEST = 0.1  # of the failures: those that are paid best


@dataclass(frozen=True, eq=False)
class Episodes:
    """All probes side by side, (T, N). What a deadline cut goes on as it was in its last steps."""

    task: Task
    source: np.ndarray  # (N,) str
    rewards: np.ndarray  # (T, N)
    terms: Mapping[str, np.ndarray]  # (T, N) each, with its weight in the total
    success: np.ndarray  # (T, N) bool, while the episode runs
    running: np.ndarray  # (T, N) bool

    @classmethod
    def of(cls, scored: Sequence[Scored], task: Task) -> Episodes:
        steps = task.max_episode_steps

        def side_by_side(arrays: Sequence[np.ndarray]) -> np.ndarray:
            longer = [np.concatenate([each, *[end(each)[None]] * (steps - len(each))]) for each in arrays]
            return np.concatenate(longer, axis=1)

        rollouts = [each.rollouts for each in scored]
        success = [each.success & each.running for each in rollouts]
        rewards = side_by_side([each.rewards for each in scored])
        terms = {name: side_by_side([each.terms[name] for each in scored]) for name in scored[0].terms}
        return cls(
            task,
            np.concatenate([[each.source] * each.num_episodes for each in rollouts]),
            rewards,
            _as_paid(terms, rewards),
            side_by_side([each.astype(np.float64) for each in success]) > 0.5,
            side_by_side([each.running.astype(np.float64) for each in rollouts]) > 0.5,
        )

    @cached_property
    def won(self) -> np.ndarray:
        """(N,) bool: success at some step."""
        return np.asarray(self.success.any(axis=0))

    @cached_property
    def returns(self) -> np.ndarray:
        """(N,) discounted as training does."""
        steps = len(self.rewards)
        return np.asarray(max(0.5, 1.0 - 4.0 / steps) ** np.arange(steps) @ self.rewards)

    @cached_property
    def stay(self) -> np.ndarray:
        """(N,) the mean pay of a step in success, or where there is none, of the episode's last steps."""
        times = self.success.sum(axis=0)
        in_success = np.where(self.success, self.rewards, 0.0).sum(axis=0) / np.maximum(times, 1)
        return np.where(self.won, in_success, end(self.rewards))

    @cached_property
    def pays_to_stay(self) -> bool:
        """Whether success goes on being paid, or only the way to it is."""
        on_the_way = np.abs(self.rewards[:, self.won][np.cumsum(self.success[:, self.won], axis=0) == 0])
        return bool(np.median(np.abs(self.stay[self.won])) > 0.1 * (on_the_way.mean() if on_the_way.size else 0.0))

    @cached_property
    def rise(self) -> dict[str, float]:
        """By term: how much more it pays in success than at the start; {} without a success."""
        if not self.won.any():
            return {}
        return {name: float(term[self.success].mean() - term[0].mean()) for name, term in self.terms.items()}

    def of_source(self, *sources: str) -> np.ndarray:
        return np.isin(self.source, sources)


def measure(episodes: Episodes) -> dict[str, float]:
    """The figures of a screening, each 1 at best; those that nothing speaks for are left out.

    rank: share of pairs of a success and one of the hardest failures in which the success is paid more. auc: share of
    all pairs in which it returns more, discounted. card: CARD's criterion. progress: rank correlation of reward and
    time in scripted episodes up to success. planned: share of planned episodes that succeed.
    """
    won = episodes.won
    found: dict[str, float] = {}
    if won.any() and not won.all():
        mean = episodes.rewards.mean(axis=0)
        paid = episodes.stay if episodes.pays_to_stay else mean
        hardest = paid[~won][paid[~won] >= np.quantile(paid[~won], 1.0 - HARDEST)]
        found["rank"] = auc(paid[won], hardest)
        found["auc"] = auc(episodes.returns[won], episodes.returns[~won])
        found["card"] = float((mean[won] > mean[~won].max()).mean())
    ways = [
        episodes.rewards[: np.argmax(episodes.success[:, column]) + 1, column]
        for column in np.flatnonzero(won & episodes.of_source("scripted"))
    ]
    rises = [rank_correlation(way, np.arange(len(way))) for way in ways if len(way) > 3]
    if rises:
        found["progress"] = float(np.mean(rises))
    planned = episodes.of_source("planned")
    if planned.any():
        found["planned"] = float(won[planned].mean())
    return found


def end(rewards: np.ndarray) -> np.ndarray:
    """(N,): the mean of an episode's last steps."""
    return np.asarray(rewards[-max(1, round(TAIL * len(rewards))) :].mean(axis=0))


def auc(high: np.ndarray, low: np.ndarray) -> float:
    """P(high > low) over all pairs, ties half: the area under the ROC curve."""
    above, equal = high[:, None] > low[None], high[:, None] == low[None]
    return float(above.mean() + 0.5 * equal.mean())


def _ranks(values: np.ndarray) -> np.ndarray:
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[where])


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's; 0 where one of the two does not change."""
    ranks = _ranks(one), _ranks(other)
    if np.ptp(ranks[0]) == 0.0 or np.ptp(ranks[1]) == 0.0:
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def _as_paid(terms: Mapping[str, np.ndarray], rewards: np.ndarray) -> Mapping[str, np.ndarray]:
    """Terms with the weights that they have in the total, where it is a weighted sum of them; else as they are."""
    if not terms or np.allclose(sum(terms.values()), rewards):
        return terms
    columns = np.stack([term.ravel() for term in terms.values()], axis=1)
    weights = np.linalg.lstsq(columns, rewards.ravel(), rcond=None)[0]
    if not np.allclose(columns @ weights, rewards.ravel()):
        return terms
    return {name: weight * term for weight, (name, term) in zip(weights, terms.items(), strict=True)}
