"""Teachers who know the truth and may err in known ways: B-Pref's, with regret and a measured accuracy added.

B-Pref (Lee et al., NeurIPS 2021, section 4) prefers the segment of larger return with
P(second) = sigmoid(beta (R(second) - R(first))), R(segment) = sum_t gamma^(L - 1 - t) r_t, and adds mistakes, skipping
and ties. Knox et al. (TMLR 2024) put the sum of the advantages, minus the regret, in the place of the return.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy.special import expit

from rewards.preference.query import Answer, Query
from robot_learn.errors import UserError, unknown

# Accuracy of GPT-4V's and Gemini's labels in RL-VLM-F (figure 5), on pairs of the smallest and of the largest true
# difference. Between the two the accuracy is taken to rise evenly.
MEASURED_ACCURACY = {"drawer": (0.42, 0.80), "soccer": (0.45, 1.0), "sweep": (0.25, 0.78), "rope": (0.28, 0.69)}

KINDS: dict[str, dict[str, Any]] = {
    "oracle": {},
    "noisy": {"beta": 1.0},
    "mistaken": {"mistake": 0.1},
    "myopic": {"gamma": 0.9},
    "skipping": {"skip": 0.1},
    "equal": {"equal": 0.1},
    "regret": {"by": "regret"},
}


@dataclass(frozen=True)
class Simulated:
    """Compares by the true rewards (or advantages). The defaults are the oracle.

    What it says of a pair depends on the pair and on `seed` alone, not on when or in which company it is asked.
    """

    beta: float = math.inf  # of the Boltzmann choice; inf always takes the better one
    mistake: float = 0.0  # probability of saying the opposite
    gamma: float = 1.0  # weight of a step against the next one; below 1 the end of a segment counts most
    skip: float = 0.0  # says nothing when both returns are below this share of `mean_return`
    equal: float = 0.0  # a tie when they differ by less than this share of `mean_return`
    mean_return: float = 1.0  # of a segment: R_avg L / T in B-Pref's equations
    by: Literal["return", "regret"] = "return"
    accuracy: tuple[float, ...] = ()  # probability of the right answer in each bin of the difference, smallest first
    edges: tuple[float, ...] = ()  # of the bins, rising, one less than there are bins
    seed: int = 0

    def __post_init__(self) -> None:
        shares = {"mistake": self.mistake, "gamma": self.gamma, **{f"accuracy[{i}]": a for i, a in self._curve()}}
        for name, value in shares.items():
            if not 0.0 <= value <= 1.0:
                raise UserError(f"simulated teacher: {name} is {value}, wanted 0 to 1")
        for name in ("beta", "skip", "equal", "seed"):
            if not getattr(self, name) >= 0:
                raise UserError(f"simulated teacher: {name} is {getattr(self, name)}, wanted 0 or more")
        if self.by not in ("return", "regret"):
            raise unknown("measure of a simulated teacher", self.by, ("return", "regret"))
        if self.accuracy and (len(self.edges) != len(self.accuracy) - 1 or list(self.edges) != sorted(self.edges)):
            raise UserError(
                f"simulated teacher: {len(self.accuracy)} accuracies want {len(self.accuracy) - 1} rising edges, "
                f"came {self.edges}"
            )

    def _curve(self) -> Iterator[tuple[int, float]]:
        yield from enumerate(self.accuracy)

    @property
    def name(self) -> str:
        defaults = Simulated()
        fields = ("beta", "mistake", "gamma", "skip", "equal", "by")
        told = [
            f"{field}={getattr(self, field)}" for field in fields if getattr(self, field) != getattr(defaults, field)
        ]
        if self.skip or self.equal:
            told.append(f"mean_return={self.mean_return:g}")
        if self.accuracy:  # in short: the edges are many long numbers
            digest = hashlib.sha256(repr((self.accuracy, self.edges)).encode()).hexdigest()[:8]
            told.append(f"accuracy={min(self.accuracy):g}..{max(self.accuracy):g},bins={digest}")
        seed = [f"seed={self.seed}"] if self._draws else []
        return "simulated:" + (",".join(told + seed) or "oracle")

    @property
    def batch(self) -> int:
        return 1

    @property
    def _draws(self) -> bool:
        return math.isfinite(self.beta) or self.mistake > 0 or bool(self.accuracy)

    def answers(self, queries: Sequence[Query]) -> Iterator[Answer]:
        """One answer a query.

        Raises:
            UserError: a query hides the truth.
        """
        for query in queries:
            yield Answer(self._label(query))

    def _label(self, query: Query) -> float | None:
        first, second = self.worth(query)
        difference = second - first
        if self.skip and max(first, second) < self.skip * self.mean_return:
            return None
        if difference == 0 or abs(difference) < self.equal * abs(self.mean_return):
            return 0.5
        rng = _of_pair(query, self.seed)
        chance, slip = rng.random(2)  # both are drawn whatever is used, so that settings can be compared
        if self.accuracy:
            bin_ = int(np.searchsorted(self.edges, abs(difference), side="right"))
            right = float(chance < self.accuracy[bin_])
            prefers_second = right if difference > 0 else 1.0 - right
        elif math.isinf(self.beta):
            prefers_second = float(difference > 0)
        else:
            prefers_second = float(chance < expit(self.beta * difference))
        return 1.0 - prefers_second if slip < self.mistake else prefers_second

    def worth(self, query: Query) -> tuple[float, float]:
        """What this teacher compares, of both segments: the discounted return, or the sum of advantages.

        Raises:
            UserError: the query hides it.
        """
        values, what = (query.advantages, "advantages") if self.by == "regret" else (query.rewards, "rewards")
        if values is None:
            raise UserError(f"a simulated teacher wants the true {what} of the segments, and this query has none")
        first, second = (self._sum(np.asarray(value, dtype=np.float64)) for value in values)
        return first, second

    def _sum(self, rewards: np.ndarray) -> float:
        weights = self.gamma ** np.arange(len(rewards) - 1, -1, -1.0)
        return float(weights @ rewards)


def with_curve(ends: tuple[float, float], differences: np.ndarray, *, bins: int = 10, seed: int = 0) -> Simulated:
    """A teacher as accurate as `ends` says on the closest and on the clearest of `bins` equally full bins.

    `differences` (n,) are of the returns of pairs as they will be asked; the bins are their quantiles.
    """
    edges = np.quantile(np.abs(differences), np.linspace(0, 1, bins + 1)[1:-1])
    accuracy = np.linspace(ends[0], ends[1], bins)
    return Simulated(accuracy=tuple(map(float, accuracy)), edges=tuple(map(float, edges)), seed=seed)


def of_kind(kind: str, *, mean_return: float = 1.0, seed: int = 0) -> Simulated:
    """One of B-Pref's teachers by name, with B-Pref's setting or with another one: "mistaken", "mistaken:0.3".

    Raises:
        UserError: there is none of that name, or its setting is not a number in its range.
    """
    name, colon, value = kind.partition(":")
    if name not in KINDS:
        raise unknown("kind of simulated teacher", name, KINDS)
    changed, numbered = dict(KINDS[name]), [known for known, of_it in KINDS.items() if of_it and "by" not in of_it]
    if colon:
        try:
            if name not in numbered:
                raise ValueError(name)
            changed = dict.fromkeys(changed, float(value))
        except ValueError:
            wanted = f"wanted NAME, or NAME:NUMBER for {', '.join(numbered)}"
            raise UserError(f"simulated teacher {kind!r}: {wanted}") from None
    return replace(Simulated(**changed), mean_return=mean_return, seed=seed)


def _of_pair(query: Query, seed: int) -> np.random.Generator:
    parts = (query.first, query.second)
    return np.random.default_rng([seed, *(n for part in parts for n in (part.episode, part.start, part.length))])
