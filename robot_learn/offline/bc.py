"""Behaviour cloning: do what the data does, or what the best tenth of its episodes does.

BC is maximum likelihood of the data's actions under a Gaussian policy. 10 % BC is the same on the episodes with the
highest returns, as a question of how far imitation of good episodes goes (Chen et al., "Decision transformer", NeurIPS
2021, section 5.1, which takes the best tenth of the steps).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from robot_learn.errors import UserError
from robot_learn.offline.learner import Batches, Critic, check_at_least
from robot_learn.offline.networks import seeded
from robot_learn.offline.stacks import Moving, Stacked
from robot_learn.offline.tensors import Tensors
from robot_learn.offline.updates import CHOICE, NETWORKS, GaussianActor, Losses, descend, gather
from robot_learn.policy import MlpPolicy


@dataclass(frozen=True)
class BcConfig:
    """Settings of behaviour cloning."""

    best_share: float = 1.0  # of the episodes, by return
    learning_rate: float = 3e-4
    batch_size: int = 256
    hidden_layers: int = 2
    hidden_size: int = 256

    def __post_init__(self) -> None:
        if not 0.0 < self.best_share <= 1.0:
            raise UserError(f"best_share is {self.best_share}: wanted above 0, up to 1")
        check_at_least(self, 0.0, "learning_rate", "hidden_layers")
        check_at_least(self, 1, "batch_size", "hidden_size")


@dataclass(frozen=True)
class Bc10Config(BcConfig):
    """Settings of 10 % BC."""

    best_share: float = 0.1


class BcStack:
    """Behaviour cloning for S seeds."""

    def __init__(self, tensors: Tensors, config: BcConfig, seeds: Sequence[int]) -> None:
        self.updates = 0
        self._tensors = tensors
        self.steps = [
            best_steps(tensors.lengths, rewards.cpu().numpy(), config.best_share, np.random.default_rng([seed, CHOICE]))
            for seed, rewards in zip(seeds, tensors.rewards, strict=True)
        ]
        self._actor = GaussianActor(tensors, [config.hidden_size] * config.hidden_layers, seeded(seeds, NETWORKS))
        self._optimiser = torch.optim.Adam(self._actor.parameters(), config.learning_rate)
        # The seeds may have chosen other episodes, so each has a stream of its own over its own steps.
        batches = [
            Batches([seed], len(steps), config.batch_size) for seed, steps in zip(seeds, self.steps, strict=True)
        ]
        self.moving = Moving({"actor": self._actor}, {"actor": self._optimiser}, batches)

    def update(self, drawn: Tensor) -> Losses:
        """Climb E[log pi(a | s)]; `drawn` (S, B) are numbers among each seed's steps."""
        rows = torch.stack([torch.from_numpy(steps)[row] for steps, row in zip(self.steps, drawn, strict=True)])
        batch = gather(self._tensors, rows)
        loss = -self._actor.log_prob(batch.observations, batch.actions).mean(1)
        descend(self._optimiser, loss)
        self.updates += 1
        return {"actor": loss}

    def policies(self) -> list[MlpPolicy]:
        """One a seed."""
        return self._actor.policies(self._tensors)

    def critics(self) -> list[Critic]:
        """None: imitation values nothing."""
        return []


class Bc(Stacked):
    """Behaviour cloning, many seeds at once."""

    Config = BcConfig
    make = BcStack


class Bc10(Stacked):
    """Behaviour cloning of the best tenth of the episodes."""

    Config = Bc10Config
    make = BcStack


def best_steps(lengths: np.ndarray, rewards: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """The steps of the best `share` of the episodes, at least one, by return; in the order of the data.

    Args:
        lengths: (E,) steps of each episode.
        rewards: (M,)
        share: of the number of episodes, rounded up.
        rng: draws among episodes with equal returns, whose order in the data may mean something.
    """
    ends = np.cumsum(lengths)
    returns = np.add.reduceat(rewards.astype(np.float64), ends - lengths)
    wanted = max(1, math.ceil(share * len(lengths) - 1e-9))  # .1 times 30 is a little more than 3
    ranked = np.lexsort((rng.permutation(len(lengths)), -returns))
    chosen = np.sort(ranked[:wanted])
    return np.concatenate([np.arange(ends[episode] - lengths[episode], ends[episode]) for episode in chosen])
