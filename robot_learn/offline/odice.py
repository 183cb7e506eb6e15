"""ODICE: a value of states alone, whose gradient through the next state is kept from undoing the one through the state.

Mao et al., "ODICE: revealing the mystery of distribution correction estimation via orthogonal-gradient update" (ICLR
2024). The dual of offline RL regularised by an f-divergence is

    min_V  (1 - lambda) E[V(s)] + lambda E[f*(r + gamma V(s') - V(s))],

f that of Pearson's chi^2 in its positive part: f*(x) = x + x^2 / 4 for x > -2, else -1. Its gradient has a part through
V(s) (forward) and one through V(s') (backward), which often point against each other; the backward part is projected to
be orthogonal to the forward part. The policy is cloned with weights max(0, r + gamma V(s') - V(s)), as in the paper's
code: the exact (f')^-1 would be near 1 wherever rewards are small. f* has a scale of its own, so rewards are scaled.
Against the paper: the policy is 256 wide, not 1024, and its weight decay is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from robot_learn.offline.learner import Batches, Critic, check_at_least, check_share
from robot_learn.offline.networks import StackedMlp, seeded
from robot_learn.offline.reward_scale import reward_factors
from robot_learn.offline.stacks import Moving, Stacked
from robot_learn.offline.tensors import Tensors
from robot_learn.offline.updates import NETWORKS, GaussianActor, Losses, descend, follow, gather, target_of
from robot_learn.policy import MlpPolicy

MAX_WEIGHT = 100.0  # of one step in the cloning, as in IQL


@dataclass(frozen=True)
class OdiceConfig:
    """Settings of ODICE, the paper's for locomotion."""

    trade_off: float = 0.6  # lambda: weight of the Bellman residuals against small values; from .5, more is greedier
    backward: float = 1.0  # eta: weight of the projected gradient through the next state
    return_range: float = 1000.0  # rewards are scaled so that the returns of the data's episodes span it
    gamma: float = 0.99
    polyak: float = 0.005
    learning_rate: float = 2e-4
    batch_size: int = 256
    hidden_layers: int = 2
    hidden_size: int = 256

    def __post_init__(self) -> None:
        check_share(self, "trade_off", "gamma", "polyak")
        check_at_least(self, 0.0, "backward", "return_range", "learning_rate", "hidden_layers")
        check_at_least(self, 1, "batch_size", "hidden_size")


class OdiceStack:
    """ODICE for S seeds."""

    def __init__(self, tensors: Tensors, config: OdiceConfig, seeds: Sequence[int]) -> None:
        self.updates = 0
        self._tensors, self._config = tensors, config
        factors = reward_factors(tensors.rewards, tensors.lengths, "returns")
        self._scale = factors * (config.return_range / float(tensors.lengths.max()))  # (S, 1)
        hidden, generators = [config.hidden_size] * config.hidden_layers, seeded(seeds, NETWORKS)
        self._actor = GaussianActor(tensors, hidden, generators)
        sizes = (tensors.obs_dim, *hidden, 1)
        self._value = StackedMlp(sizes, generators, members=2, layer_norm=True, device=tensors.device)
        self._target = target_of(self._value)
        self._actor_step = torch.optim.Adam(self._actor.parameters(), config.learning_rate)
        self._value_step = torch.optim.Adam(self._value.parameters(), config.learning_rate)
        self.moving = Moving(
            {"actor": self._actor, "value": self._value, "target": self._target},
            {"actor": self._actor_step, "value": self._value_step},
            [Batches(seeds, tensors.num_steps, config.batch_size)],
        )

    def update(self, rows: Tensor) -> Losses:
        """One step of V, its target and the policy."""
        config, batch = self._config, gather(self._tensors, rows)
        reward, carry = (self._scale * batch.rewards).unsqueeze(1), (config.gamma * batch.continues).unsqueeze(1)
        value = self._value(batch.observations).squeeze(-1)  # (S, 2, B)
        next_value = self._value(batch.next_observations).squeeze(-1)
        with torch.no_grad():  # the smaller of the two, for both
            target = self._target(batch.observations).squeeze(-1).amin(1, keepdim=True)
            next_target = self._target(batch.next_observations).squeeze(-1).amin(1, keepdim=True)
        residual = reward + carry * next_target - value  # (S, 2, B); its gradient is the forward one
        through_next = reward + carry * next_value - target  # its gradient is the backward one

        parameters = list(self._value.parameters())
        forward_loss = config.trade_off * conjugate(residual).mean((1, 2))
        backward_loss = config.trade_off * config.backward * conjugate(through_next).mean((1, 2))
        linear_loss = (1.0 - config.trade_off) * value.mean((1, 2))
        forward = torch.autograd.grad(forward_loss.sum(), parameters, retain_graph=True)
        backward = torch.autograd.grad(backward_loss.sum(), parameters)
        linear = torch.autograd.grad(linear_loss.sum(), parameters)
        projected = orthogonal_part(backward, forward, self._value.seeds)
        for parameter, *parts in zip(parameters, linear, forward, projected, strict=True):
            parameter.grad = torch.stack(parts).sum(0)
        self._value_step.step()
        follow(self._target, self._value, config.polyak)

        weight = residual.detach().amax(1).clamp(0.0, MAX_WEIGHT)  # the largest residual is that of the smaller V
        actor_loss = -(weight * self._actor.log_prob(batch.observations, batch.actions)).mean(1)
        descend(self._actor_step, actor_loss)
        self.updates += 1
        return {"value": linear_loss + forward_loss, "actor": actor_loss, "weight": weight.mean(1)}

    def policies(self) -> list[MlpPolicy]:
        """One a seed."""
        return self._actor.policies(self._tensors)

    def critics(self) -> list[Critic]:
        """None: V values states, not actions."""
        return []


class Odice(Stacked):
    """ODICE, many seeds at once."""

    Config = OdiceConfig
    make = OdiceStack


def conjugate(residual: Tensor) -> Tensor:
    """f*(x) = max over w >= 0 of w x - f(w), with f(w) = (w - 1)^2; the best w is max(0, 1 + x / 2)."""
    weight = (1.0 + residual / 2.0).clamp(min=0.0)
    return residual * weight - (weight - 1.0).square()


def orthogonal_part(vectors: Sequence[Tensor], fixed: Sequence[Tensor], seeds: int) -> list[Tensor]:
    """What is left of a gradient without its part along another one, for each seed by itself.

    Both come in pieces, one a parameter, whose first axis has the same number of rows for each seed.
    """
    whole = torch.cat([piece.reshape(seeds, -1) for piece in vectors], 1)  # (S, all its numbers)
    along = torch.cat([piece.reshape(seeds, -1) for piece in fixed], 1)
    # Seed by seed, because a sum over one row of many may be rounded otherwise than a sum over the only one.
    shares = [
        torch.dot(row, line) / torch.dot(line, line).clamp(min=1e-10)
        for row, line in zip(whole.double(), along.double(), strict=True)
    ]
    left = whole - torch.stack(shares).to(whole).unsqueeze(1) * along
    pieces = torch.split(left, [piece.numel() // seeds for piece in vectors], 1)
    return [piece.reshape(vector.shape) for piece, vector in zip(pieces, vectors, strict=True)]
