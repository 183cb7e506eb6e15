"""What the updates of the offline learners are put together from."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from robot_learn.offline.networks import StackedMlp, export_policies
from robot_learn.offline.tensors import Tensors
from robot_learn.policy import MlpPolicy

# Streams of random numbers of a seed; which steps it looks at is stream 1, see `Batches`.
NETWORKS, NOISE, CHOICE = 2, 3, 4
LOG_STD_RANGE = (-5.0, 2.0)  # of a Gaussian policy, as in IQL's own code

Losses = dict[str, Tensor]  # (S,) each


@dataclass(frozen=True, eq=False)
class Batch:
    """B steps for each of S seeds."""

    rows: Tensor  # (S, B) int64 steps of the dataset
    observations: Tensor  # (S, B, obs_dim)
    actions: Tensor  # (S, B, act_dim)
    rewards: Tensor  # (S, B)
    next_observations: Tensor  # (S, B, obs_dim)
    continues: Tensor  # (S, B) 0 where the task ended, else 1


def gather(tensors: Tensors, rows: Tensor) -> Batch:
    """The steps with these numbers (S, B)."""
    rows = rows.to(tensors.device)
    before = tensors.before[rows]
    return Batch(
        rows=rows,
        observations=tensors.frames[before],
        actions=tensors.actions[rows],
        rewards=tensors.rewards_of(len(rows)).gather(1, rows),
        next_observations=tensors.frames[before + 1],
        continues=1.0 - tensors.terminated[rows].float(),
    )


def descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step down the losses (S,) of all seeds. Only the optimiser's own parameters get gradients."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss.sum(), parameters), strict=True):
        parameter.grad = gradient
    optimiser.step()


@torch.no_grad()
def follow(target: nn.Module, source: nn.Module, polyak: float) -> None:
    """Move every number of `target` by a share `polyak` of the way to `source`."""
    for slow, fast in zip(target.parameters(), source.parameters(), strict=True):
        slow.lerp_(fast, polyak)


def target_of(module: nn.Module) -> nn.Module:
    """A copy that is only ever moved by `follow`."""
    return copy.deepcopy(module).requires_grad_(False)


def normal(generators: Sequence[torch.Generator], shape: tuple[int, ...], like: Tensor) -> Tensor:
    """(S, *shape) standard normal numbers, each seed's from its own generator."""
    return torch.stack([torch.randn(shape, generator=generator) for generator in generators]).to(like.device)


class GaussianActor(nn.Module):
    """N(tanh(f(s)), diag(sigma^2)), sigma the same in all states: IQL's policy, which BC and ODICE share."""

    def __init__(self, tensors: Tensors, hidden: Sequence[int], generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.net = StackedMlp((tensors.obs_dim, *hidden, tensors.act_dim), generators, device=tensors.device)
        self.log_std = nn.Parameter(torch.zeros(len(generators), tensors.act_dim, device=tensors.device))

    def log_prob(self, observations: Tensor, actions: Tensor) -> Tensor:
        """(S, B): the log-density of actions (S, B, act_dim) at observations (S, B, obs_dim)."""
        log_std = self.log_std.clamp(*LOG_STD_RANGE).unsqueeze(1)
        whitened = (actions - torch.tanh(self.net(observations))) * torch.exp(-log_std)
        return (-0.5 * whitened.square() - log_std - 0.5 * float(np.log(2 * np.pi))).sum(-1)

    def policies(self, tensors: Tensors) -> list[MlpPolicy]:
        """One a seed."""
        log_std = self.log_std.clamp(*LOG_STD_RANGE)
        return export_policies(tensors, list(self.net.weights), list(self.net.biases), log_std)
