"""CPL: a policy straight from preferences, with neither a reward model nor reinforcement learning.

Hejna et al., "Contrastive preference learning" (ICLR 2024). People prefer the segment with the smaller regret; under
maximum entropy the advantage is the policy's own log-probability, A*(s, a) = alpha log pi*(a | s), so comparisons are
explained by the policy directly. First it clones the segments' behaviour, then it learns from the comparisons.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from robot_learn.data.dataset import Dataset
from robot_learn.errors import UserError
from robot_learn.offline.learner import Batches, Critic, check_at_least, check_share
from robot_learn.offline.networks import StackedMlp, export_policies, seeded
from robot_learn.offline.stacks import Moving, Stacked
from robot_learn.offline.tensors import Pairs, Tensors
from robot_learn.offline.updates import NETWORKS, NOISE, Losses, descend
from robot_learn.policy import MlpPolicy
from robot_learn.types import Preference

LOG_STD = -0.5 * math.log(2.0)  # log pi = -|a - mu|^2 up to a constant is a Gaussian of variance 1/2


@dataclass(frozen=True)
class CplConfig:
    """Settings of CPL, the paper's for MetaWorld from states."""

    total_updates: int = 500_000
    cloning_share: float = 0.4  # of them, at first: imitation alone
    alpha: float = 0.1  # advantage = alpha log pi
    contrast: float = 0.5  # lambda: weight of the segment that was not preferred; 1 is no bias to the data
    cloning: float = 0.0  # weight of imitation beside the comparisons
    dropout: float = 0.25
    learning_rate: float = 1e-4
    batch_size: int = 96  # comparisons
    hidden_layers: int = 2
    hidden_size: int = 512

    @property
    def cloning_updates(self) -> int:
        return round(self.cloning_share * self.total_updates)

    def __post_init__(self) -> None:
        check_at_least(self, 0.0, "alpha", "cloning", "learning_rate", "hidden_layers")
        check_at_least(self, 1, "total_updates", "batch_size", "hidden_size")
        check_share(self, "cloning_share")
        if not 0.0 < self.contrast <= 1.0:
            raise UserError(f"contrast is {self.contrast}: wanted above 0, up to 1")
        if not 0.0 <= self.dropout < 1.0:
            raise UserError(f"dropout is {self.dropout}: wanted from 0, below 1")


class CplStack:
    """Contrastive preference learning for S seeds."""

    def __init__(self, tensors: Tensors, config: CplConfig, seeds: Sequence[int]) -> None:
        self.updates = 0
        self._tensors, self._config, self._pairs = tensors, config, compared(tensors)
        hidden = [config.hidden_size] * config.hidden_layers
        sizes = (tensors.obs_dim, *hidden, tensors.act_dim)
        self._actor = StackedMlp(sizes, seeded(seeds, NETWORKS), device=tensors.device)
        self._optimiser = self._fresh_optimiser()
        self._noise = seeded(seeds, NOISE)
        batches = [Batches(seeds, len(self._pairs.labels), config.batch_size)]
        self.moving = Moving({"actor": self._actor}, {"actor": self._optimiser}, batches, self._noise)

    def _fresh_optimiser(self) -> torch.optim.Adam:
        return torch.optim.Adam(self._actor.parameters(), self._config.learning_rate)

    def update(self, chosen: Tensor) -> Losses:
        """One step on the comparisons with these numbers (S, B)."""
        config, chosen = self._config, chosen.to(self._tensors.device)
        if self.updates == config.cloning_updates and self.updates:
            self._optimiser.load_state_dict(self._fresh_optimiser().state_dict())
        log_prob = self._log_prob(self._pairs.steps[chosen])  # (S, B, 2, L)
        advantages, labels = config.alpha * log_prob.sum(-1), self._pairs.labels[chosen]  # (S, B, 2), (S, B)
        cloning = -log_prob.flatten(1).mean(1)
        contrast = contrastive_loss(advantages, labels, config.contrast)
        contrast = weighted_mean(contrast, self._pairs.weights[chosen])
        only_clones = self.updates < config.cloning_updates
        descend(self._optimiser, cloning if only_clones else contrast + config.cloning * cloning)
        self.updates += 1
        return {"cloning": cloning, "contrast": contrast, "agreement": agreement(advantages.detach(), labels)}

    def _log_prob(self, steps: Tensor) -> Tensor:
        """(S, B, 2, L): -|a - mu(s)|^2 of steps (S, B, 2, L), up to a constant the log-density of the policy."""
        flat = steps.flatten(1)
        observations = self._tensors.frames[self._tensors.before[flat]]
        mean = torch.tanh(self._actor(observations, self._dropout()))
        return -(mean - self._tensors.actions[flat]).square().sum(-1).reshape(steps.shape)

    def _dropout(self) -> Callable[[Tensor], Tensor] | None:
        """What the hidden layers go through, each seed by its own dice."""
        keep = 1.0 - self._config.dropout

        def drop(hidden: Tensor) -> Tensor:
            drawn = [torch.rand(hidden.shape[1:], generator=generator) for generator in self._noise]
            return hidden * ((torch.stack(drawn) < keep).to(hidden) / keep)

        return drop if keep < 1.0 else None

    def policies(self) -> list[MlpPolicy]:
        """One a seed, with the noise that CPL's log-probability speaks of: deviation .71 in a range of [-1, 1]."""
        log_std = torch.full((self._actor.seeds, self._tensors.act_dim), LOG_STD)
        return export_policies(self._tensors, list(self._actor.weights), list(self._actor.biases), log_std)

    def critics(self) -> list[Critic]:
        """None: there are no values."""
        return []


class Cpl(Stacked):
    """Contrastive preference learning, many seeds at once. Its data needs comparisons: see `with_preferences`."""

    Config = CplConfig
    make = CplStack


def contrastive_loss(advantages: Tensor, labels: Tensor, contrast: float) -> Tensor:
    """-log [e^{A+} / (e^{A+} + e^{lambda A-})], for each order as far as the label goes.

    Args:
        advantages: (..., 2) of the first and the second segment.
        labels: (...) P(second preferred).
        contrast: lambda.
    """
    first, second = advantages[..., 0], advantages[..., 1]
    if_second = torch.nn.functional.softplus(contrast * first - second)
    if_first = torch.nn.functional.softplus(contrast * second - first)
    return labels * if_second + (1.0 - labels) * if_first


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """(S,) from (S, B); nothing where all weights are 0."""
    return (values * weights).sum(1) / weights.sum(1).clamp(min=1e-8)


def agreement(advantages: Tensor, labels: Tensor) -> Tensor:
    """(S,): how often advantages (S, B, 2) order the segments as their labels (S, B) do; a tie is never right."""
    signs = torch.sign(advantages[..., 1] - advantages[..., 0]) * torch.sign(labels - 0.5)
    return (signs > 0).float().mean(1)


def compared(tensors: Tensors) -> Pairs:
    """The comparisons that a dataset comes with.

    Raises:
        UserError: it has none.
    """
    if tensors.pairs is None or not len(tensors.pairs.labels):
        raise UserError(f"cpl learns from comparisons, and the data of {tensors.task} has none: label some pairs first")
    return tensors.pairs


def with_preferences(tensors: Tensors, dataset: Dataset, preferences: Sequence[Preference]) -> Tensors:
    """The tensors of a dataset with what teachers said about its segments.

    Raises:
        UserError: a segment is not in the dataset, or segments differ in length; the preference is named by its number.
    """
    if not preferences:
        raise UserError(f"preferences over {dataset.task}: wanted at least one, came none")
    length, rows = preferences[0].first.length, []
    for number, preference in enumerate(preferences):
        if {preference.first.length, preference.second.length} != {length}:
            raise UserError(
                f"preference {number}: wanted segments of {length} steps as in the first, came {preference}"
            )
        try:
            rows.append([dataset.steps_of(preference.first), dataset.steps_of(preference.second)])
        except UserError as error:
            raise UserError(f"preference {number}: {error}") from None
    labels = np.array([preference.label for preference in preferences], np.float32)
    weights = np.array([preference.confidence for preference in preferences], np.float32)
    return tensors.with_pairs(np.array(rows, np.int64), labels, weights)
