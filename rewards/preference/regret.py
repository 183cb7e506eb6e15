"""Preferences as regret: people prefer the segment whose actions were closer to the best ones (Knox et al., TMLR 2024).

P(second preferred) = sigmoid(regret(first) - regret(second)), and the stochastic regret of a segment is the sum of
-A*(s, a). So what is learned is an advantage of states *and* actions, at most 0 as the advantage of a best action is.
It may be used as a reward: the policy that is best under A* is best (Knox et al., AAAI 2024).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rewards.preference.bradley_terry import BradleyTerry
from rewards.preference.calibration import Calibration
from rewards.preference.comparisons import Comparisons
from rewards.preference.pair_loss import BradleyTerryConfig
from robot_learn.errors import UserError


def step_rows(states: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """(M, width + act_dim) float32: what a regret model calls its frames, the state before a step and its action."""
    if states.ndim != 2 or actions.ndim != 2 or len(states) != len(actions):
        raise UserError(
            f"regret: wanted states (M, width) and actions (M, act_dim), came {states.shape} and {actions.shape}"
        )
    return np.concatenate([states, actions], axis=1, dtype=np.float32)


def regret(advantages: np.ndarray) -> np.ndarray:
    """(...,) of advantages (..., L) along a segment."""
    return np.asarray(-np.sum(advantages, axis=-1))


@dataclass(frozen=True, eq=False)
class Regret:
    """A* of states and actions, as S ensembles."""

    advantage: BradleyTerry

    @classmethod
    def fit(
        cls,
        frames: np.ndarray,
        comparisons: Comparisons,
        config: BradleyTerryConfig | None = None,
        seeds: Sequence[int] = (0,),
        **more: Any,
    ) -> Regret:
        """Learn from rows of `step_rows` and pairs of segments of them; the rest is as `BradleyTerry.fit` takes it."""
        if frames.ndim != 2:
            raise UserError(f"regret: wanted rows of states and actions, came frames of shape {frames.shape}")
        config = replace(config or BradleyTerryConfig(), output="nonpositive")
        return cls(BradleyTerry.fit(frames, comparisons, config, seeds, **more))

    @property
    def calibrations(self) -> tuple[Calibration, ...]:
        return self.advantage.calibrations

    def rewards(self, frames: np.ndarray) -> np.ndarray:
        """(S, M) float32: A* of the rows of `step_rows`, at most 0."""
        return self.advantage.rewards(frames)

    def arrays(self) -> dict[str, np.ndarray]:
        return self.advantage.arrays()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Regret:
        return cls(BradleyTerry.from_arrays(arrays))
