"""Weights of a reward's terms, fitted to episodes whose outcome is known, without any training.

URDP searches weights by Bayesian optimisation, with trainings behind its evaluations. But a reward is linear in its
weights, so what can be asked of episodes, that successes are paid more than failures, is a convex program.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rewards.probed import Episodes
from robot_learn.errors import UserError
from robot_learn.rollouts import Scored
from robot_learn.types import Task

MOST = 8.0  # weights stay between 1/8 and 8
MARGIN = 0.5  # by which a success shall be paid more, in the typical difference that one term makes
HARDEST = 0.2  # of the pairs: those that are ordered worst, whose shortfall counts
RIDGE = 0.02  # price of weights that are not 1
BLOCKS = 4  # of the way to success, one after the other
LEAST_GAIN = 0.02  # shares of pairs, together: what is less is no reason to change a reward
MOST_LOST = 0.005  # share of the pairs that are ordered by what it pays to stay

Status = Literal["fitted", "in order", "no help", "no pairs", "no terms"]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Differences in pay that ought to be positive: `offset + differences @ weights`."""

    name: str  # "stay", "return" or "progress"
    offset: np.ndarray  # (P,) what no term accounts for
    differences: np.ndarray  # (P, K) by term

    @property
    def scale(self) -> float:
        """The typical difference that a term makes: the median over the terms that make any."""
        made = np.sqrt(np.mean(np.square(self.differences), axis=0))
        made = made[made > 1e-3 * max(made.max(initial=0.0), 1e-300)]
        return float(np.median(made)) if made.size else 1.0

    def margins(self, weights: np.ndarray) -> np.ndarray:
        """(P,): the differences, in units of `scale`."""
        return np.asarray((self.offset + self.differences @ weights) / self.scale)


@dataclass(frozen=True)
class Order:
    """How well a reward tells success from failure."""

    ordered: float  # share of the pairs of a success and a failure in which the success is paid more, to stay
    by_return: float  # the same, of the discounted returns
    progress: float  # share of steps forward, on the way to success, that are paid more than the one before
    margin: float  # of the hardest pairs, in the typical difference that one term makes

    @property
    def fine(self) -> bool:
        return min(self.ordered, self.progress) >= 0.99 and self.by_return >= 0.95


@dataclass(frozen=True)
class Fit:
    """What came out; weights are all 1 where nothing helps, and `status` says why."""

    weights: Mapping[str, float]
    before: Order
    after: Order
    status: Status


def fit_weights(scored: Sequence[Scored], task: Task) -> Fit:
    """Positive weights, near 1 in their logarithm, by which successes are paid more than failures, and the way more
    the nearer it comes.

    Minimises, over w in [1/8, 8], a hinge of the hardest pairs of each kind, and a ridge that is symmetric in log w:
    sum over kinds of mean_hardest(max(0, MARGIN - margin(w))) + RIDGE * sum over terms of (w + 1/w - 2).
    """
    episodes = Episodes.of(scored, task)
    names = tuple(episodes.terms)
    kinds = pairs_of(episodes)
    ones = np.ones(len(names))
    before = _order(kinds, ones)
    if not names or not kinds:
        return Fit(dict.fromkeys(names, 1.0), before, before, "no pairs" if names else "no terms")
    if shortfall(kinds, ones) < 1e-9:
        return Fit(dict.fromkeys(names, 1.0), before, before, "in order")
    weights = _rounded(solve(kinds, len(names)))
    after = _order(kinds, weights)
    if not _better(before, after):
        return Fit(dict.fromkeys(names, 1.0), before, before, "in order" if before.fine else "no help")
    return Fit(dict(zip(names, weights.tolist(), strict=True)), before, after, "fitted")


def _better(before: Order, after: Order) -> bool:
    """What is gained is worth a change, and success does not lose."""
    gained = after.ordered - before.ordered
    others = after.by_return - before.by_return + after.progress - before.progress
    return gained + others >= LEAST_GAIN and gained >= -MOST_LOST


def pairs_of(episodes: Episodes) -> list[Pairs]:
    """What ought to be positive in these episodes; [] where nothing can be compared."""
    found: list[Pairs] = []
    won = episodes.won
    parts = [episodes.rewards - sum(episodes.terms.values(), np.zeros_like(episodes.rewards)), *episodes.terms.values()]
    columns = [replace(episodes, rewards=part) for part in parts]
    if won.any() and not won.all():
        if episodes.pays_to_stay:
            found.append(_pairs("stay", np.stack([each.stay for each in columns], axis=1), won))
        found.append(_pairs("return", np.stack([each.returns for each in columns], axis=1), won))
    ways = _ways(episodes)
    if ways and episodes.pays_to_stay:
        rows = np.concatenate([_rises(parts, column, end) for column, end in ways])
        found.append(Pairs("progress", rows[:, 0], rows[:, 1:]))
    return found


def _pairs(name: str, paid: np.ndarray, won: np.ndarray) -> Pairs:
    """Every success with every failure, from what each part of the reward pays (N, 1 + K)."""
    rows = (paid[won][:, None] - paid[~won][None]).reshape(-1, paid.shape[1])
    return Pairs(name, rows[:, 0], rows[:, 1:])


def _ways(episodes: Episodes) -> list[tuple[int, int]]:
    """(column, steps up to success) of the scripted successes, or of all where no script succeeds."""
    good = episodes.won & episodes.of_source("scripted")
    columns = np.flatnonzero(good if good.any() else episodes.won)
    ends = [(int(column), int(np.argmax(episodes.success[:, column])) + 1) for column in columns]
    return [(column, end) for column, end in ends if end >= 2 * BLOCKS]


def _rises(parts: Sequence[np.ndarray], column: int, end: int) -> np.ndarray:
    """(BLOCKS - 1, 1 + K): how much more each part of the reward pays in a block of the way than in the one before."""
    blocks = np.array_split(np.stack([part[:end, column] for part in parts], axis=1), BLOCKS)
    return np.diff([block.mean(axis=0) for block in blocks], axis=0)


def shortfall(kinds: Sequence[Pairs], weights: np.ndarray) -> float:
    """What the hardest pairs of each kind lack."""
    total = 0.0
    for pairs in kinds:
        lacking = np.sort(np.maximum(0.0, MARGIN - pairs.margins(weights)))
        total += float(lacking[-_hardest(pairs) :].mean())
    return total


def objective(kinds: Sequence[Pairs], weights: np.ndarray) -> float:
    """What `solve` minimises."""
    return shortfall(kinds, weights) + RIDGE * float(np.sum(weights + 1.0 / weights - 2.0))


def solve(kinds: Sequence[Pairs], count: int) -> np.ndarray:
    """The weights (K,) that minimise `objective`, by a conic solver."""
    import cvxpy

    cp: Any = cvxpy  # its own types do not know its functions
    weights = cp.Variable(count)
    terms = [RIDGE * cp.sum(weights + cp.inv_pos(weights) - 2.0)]
    for pairs in kinds:
        margins = (pairs.offset + pairs.differences @ weights) / pairs.scale
        hardest = _hardest(pairs)
        terms.append(cp.sum_largest(cp.pos(MARGIN - margins), hardest) / hardest)
    problem = cp.Problem(cp.Minimize(sum(terms)), [weights >= 1.0 / MOST, weights <= MOST])
    problem.solve(solver=cp.CLARABEL)
    if weights.value is None:
        raise RuntimeError(f"the weights could not be fitted: {problem.status}")
    return np.asarray(np.clip(weights.value, 1.0 / MOST, MOST))


def _hardest(pairs: Pairs) -> int:
    return max(1, round(HARDEST * len(pairs.offset)))


def _rounded(weights: np.ndarray) -> np.ndarray:
    """To three figures: what a person reads is what is trained with."""
    return np.array([float(f"{weight:.3g}") for weight in weights])


def _order(kinds: Sequence[Pairs], weights: np.ndarray) -> Order:
    margins = {pairs.name: pairs.margins(weights) for pairs in kinds}
    judge = margins.get("stay", margins.get("return"))

    def share(values: np.ndarray | None) -> float:
        return 1.0 if values is None else float(np.mean(values > 0.0))

    hardest = 0.0 if judge is None else float(np.sort(judge)[: max(1, round(HARDEST * len(judge)))].mean())
    return Order(share(judge), share(margins.get("return")), share(margins.get("progress")), hardest)


def weighed(scored: Scored, weights: Mapping[str, float]) -> Scored:
    """Scored again, as if the program had these weights inside its terms."""
    extra = [(weights[name] - 1.0) * term for name, term in scored.terms.items()]
    terms = {name: weights[name] * term for name, term in scored.terms.items()}
    return replace(scored, rewards=scored.rewards + sum(extra, np.zeros_like(scored.rewards)), terms=terms)


def read_weights(path: Path) -> dict[str, float]:
    """Weights by term from a JSON file: a table of numbers, or any table with such a one under "weights".

    Raises:
        UserError: there is no such file, or it holds no such table.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"weights {str(path)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"weights {str(path)!r} are not JSON: {error}") from error
    found = found.get("weights", found) if isinstance(found, dict) else found
    if not (isinstance(found, dict) and all(type(value) in (int, float) for value in found.values())):
        raise UserError(
            f"weights {str(path)!r}: wanted a table of numbers by term, such as {{'reach': 2, 'lift': 0.5}}"
        )
    return {name: float(value) for name, value in found.items()}
