"""Which pairs to ask about, out of many candidates: plain functions from what is known of each to the ones chosen.

Uniform, disagreement, entropy and k-center are B-Pref's (Lee et al., NeurIPS 2021); information gain is the mutual
information of the answer and the ensemble's member (Houlsby et al., 2011; for preferences Biyik et al., CoRL 2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import entr, expit

from robot_learn.errors import UserError

SAMPLERS = {
    "uniform": "rewards.preference.pairs:uniform",
    "disagreement": "rewards.preference.pairs:disagreement",
    "entropy": "rewards.preference.pairs:entropy",
    "k-center": "rewards.preference.pairs:k_center",
    "information-gain": "rewards.preference.pairs:information_gain",
}


@dataclass(frozen=True, eq=False)
class Pool:
    """P candidates. A sampler reads what it needs; what is not known is None."""

    size: int  # P
    rewards: np.ndarray | None = None  # (K, P, 2) return of both segments by each member of an ensemble
    features: np.ndarray | None = None  # (P, F) of both segments together
    asked: np.ndarray | None = None  # (Q, F) features of the pairs that have been asked before

    def __post_init__(self) -> None:
        if self.rewards is not None and (self.rewards.ndim != 3 or self.rewards.shape[1:] != (self.size, 2)):
            raise UserError(f"candidates: wanted rewards (members, {self.size}, 2), came {self.rewards.shape}")
        if self.features is not None and (self.features.ndim != 2 or len(self.features) != self.size):
            raise UserError(f"candidates: wanted features ({self.size}, F), came {self.features.shape}")

    def probabilities(self) -> np.ndarray:
        """(K, P) what each member thinks, P(second preferred).

        Raises:
            UserError: there is no ensemble.
        """
        if self.rewards is None or len(self.rewards) < 2:
            raise UserError("this way of choosing pairs wants the rewards of an ensemble of 2 members or more")
        return np.asarray(expit(self.rewards[..., 1] - self.rewards[..., 0]))


def uniform(pool: Pool, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) candidates, all equally likely."""
    return np.asarray(rng.choice(pool.size, size=_bounded(pool, count), replace=False))


def disagreement(pool: Pool, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) those on which the members differ most: the deviation of their probabilities."""
    return _largest(pool.probabilities().std(axis=0), _bounded(pool, count), rng)


def entropy(pool: Pool, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) those of which the ensemble as a whole is least sure."""
    return _largest(_entropy(pool.probabilities().mean(axis=0)), _bounded(pool, count), rng)


def information_gain(pool: Pool, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) those whose answer tells most about which member is right: H(mean p) - mean H(p).

    Unlike entropy it passes over pairs that every member holds to be a tie.
    """
    return _largest(gain(pool.probabilities()), _bounded(pool, count), rng)


def gain(probabilities: np.ndarray) -> np.ndarray:
    """(P,) the mutual information [nats] of the answer and the member, from (K, P)."""
    return np.asarray(_entropy(probabilities.mean(axis=0)) - _entropy(probabilities).mean(axis=0))


def k_center(pool: Pool, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) those that leave no candidate far away: the farthest from all chosen so far, again and again.

    The greedy rule is within a factor of 2 of the smallest possible radius (Gonzalez, 1985).
    """
    if pool.features is None:
        raise UserError("k-center wants features of the candidates")
    count = _bounded(pool, count)
    chosen: list[int] = []
    if pool.asked is not None and len(pool.asked):
        distance = np.min([_distance(pool.features, one) for one in pool.asked], axis=0)
    else:
        distance = np.full(pool.size, np.inf)
    for _ in range(count):
        # Nothing is near anything yet: the first is drawn.
        farthest = int(rng.integers(pool.size)) if np.isinf(distance).all() else int(np.argmax(distance))
        chosen.append(farthest)
        distance = np.minimum(distance, _distance(pool.features, pool.features[farthest]))
        distance[chosen] = -1.0  # of several that look alike each is taken once
    return np.array(chosen, dtype=np.int64)


def visible_difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(P,) mean absolute difference of two batches of pictures (P, ..., 3) uint8, 0 to 255."""
    if first.shape != second.shape or first.dtype != np.uint8 or second.dtype != np.uint8:
        raise UserError(
            f"pictures: wanted two uint8 arrays of one shape, came {first.dtype} {first.shape} and "
            f"{second.dtype} {second.shape}"
        )
    difference = np.abs(first.astype(np.int16) - second)
    return np.asarray(difference.reshape(len(first), -1).mean(axis=1))


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    return np.asarray(entr(probabilities) + entr(1.0 - probabilities))


def _largest(scores: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """The indices of the largest scores, largest first; equal ones in an order that is drawn."""
    order = rng.permutation(len(scores))
    return np.asarray(order[np.argsort(-scores[order], kind="stable")][:count])


def _distance(features: np.ndarray, one: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(features - one, axis=1))


def _bounded(pool: Pool, count: int) -> int:
    if not 1 <= count <= pool.size:
        raise UserError(f"pairs: wanted 1 to {pool.size} (there are so many candidates), came {count}")
    return count
