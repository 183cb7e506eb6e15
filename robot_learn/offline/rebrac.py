"""TD3+BC and ReBRAC: a deterministic actor climbs a critic, and stays near the actions of the data.

TD3+BC: Fujimoto and Gu, "A minimalist approach to offline reinforcement learning" (NeurIPS 2021). ReBRAC: Tarasov et
al., "Revisiting the minimalist approach to offline reinforcement learning" (NeurIPS 2023), which gives actor and critic
a penalty each, normalises the critic's layers, deepens the networks and enlarges the batch. Matrices begin as in the
other learners (see `StackedMlp`), not as in either paper, and the layer norm stands before the ReLU, not after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from robot_learn.errors import UserError
from robot_learn.offline.critics import MlpCritic, export_critics
from robot_learn.offline.hl_gauss import HlGauss, value_bounds
from robot_learn.offline.learner import Batches, check_at_least, check_share
from robot_learn.offline.networks import StackedMlp, export_policies, seeded
from robot_learn.offline.stacks import Moving, Stacked
from robot_learn.offline.tensors import Tensors
from robot_learn.offline.updates import NETWORKS, NOISE, Batch, Losses, descend, follow, gather, normal, target_of
from robot_learn.policy import MlpPolicy


@dataclass(frozen=True)
class RebracConfig:
    """Settings of ReBRAC. Its paper chooses the two penalties for each dataset, from .001 to .1 and from 0 to .5."""

    actor_penalty: float = 0.1  # times |pi(s) - a|^2 in the actor's loss, where Q counts with mean size 1
    critic_penalty: float = 0.01  # times |pi(s') - a'|^2, off the value of the next state
    actor_value: Literal["smallest", "first"] = "smallest"  # which critic the actor climbs
    layer_norm: bool = True  # in the critics
    gamma: float = 0.99
    polyak: float = 0.005
    policy_noise: float = 0.2  # deviation of the noise on the target's action
    noise_clip: float = 0.5
    actor_every: int = 2  # updates of the critics
    learning_rate: float = 1e-3
    batch_size: int = 1024
    hidden_layers: int = 3
    hidden_size: int = 256
    bins: int = 0  # 0: values by squared error; else HL-Gauss, 101 in its paper

    def __post_init__(self) -> None:
        check_at_least(self, 0.0, "actor_penalty", "critic_penalty", "policy_noise", "noise_clip", "learning_rate")
        check_at_least(self, 0, "hidden_layers", "bins")
        check_at_least(self, 1, "actor_every", "batch_size", "hidden_size")
        check_share(self, "gamma", "polyak")
        if self.actor_value not in ("smallest", "first"):
            raise UserError(f"actor_value is {self.actor_value!r}: wanted 'smallest' or 'first'")
        if self.bins and self.gamma == 1.0:
            raise UserError("gamma is 1: a histogram of values needs bounds, wanted below 1, or bins 0")


class RebracStack:
    """ReBRAC for S seeds."""

    def __init__(self, tensors: Tensors, config: RebracConfig, seeds: Sequence[int]) -> None:
        self.updates = 0
        self._tensors, self._config = tensors, config
        self._histograms = [histogram_of(row, tensors, config) for row in tensors.rewards] if config.bins else []
        hidden, generators = [config.hidden_size] * config.hidden_layers, seeded(seeds, NETWORKS)
        self._actor = StackedMlp((tensors.obs_dim, *hidden, tensors.act_dim), generators, device=tensors.device)
        self._critic = StackedMlp(
            (tensors.obs_dim + tensors.act_dim, *hidden, max(1, config.bins)),
            generators,
            members=2,
            layer_norm=config.layer_norm,
            device=tensors.device,
        )
        self._target_actor, self._target_critic = target_of(self._actor), target_of(self._critic)
        self._actor_step = torch.optim.Adam(self._actor.parameters(), config.learning_rate)
        self._critic_step = torch.optim.Adam(self._critic.parameters(), config.learning_rate)
        self._noise = seeded(seeds, NOISE)
        self._has_next = torch.as_tensor(has_next(tensors.lengths), device=tensors.device)  # (M,)
        self.moving = Moving(
            {
                "actor": self._actor,
                "critic": self._critic,
                "target_actor": self._target_actor,
                "target_critic": self._target_critic,
            },
            {"actor": self._actor_step, "critic": self._critic_step},
            [Batches(seeds, tensors.num_steps, config.batch_size)],
            self._noise,
        )

    def update(self, rows: Tensor) -> Losses:
        """One step of the critics and, every so often, one of the actor and the targets."""
        config, batch = self._config, gather(self._tensors, rows)
        out = self._critic(torch.cat([batch.observations, batch.actions], -1))  # (S, 2, B, 1 or bins)
        losses = {"critic": self._regression(out, self._backup(batch).unsqueeze(1)).mean(-1).sum(1)}
        descend(self._critic_step, losses["critic"])
        if self.updates % config.actor_every == config.actor_every - 1:
            losses |= self._improve(batch)
            follow(self._target_actor, self._actor, config.polyak)
            follow(self._target_critic, self._critic, config.polyak)
        self.updates += 1
        return losses

    @torch.no_grad()
    def _backup(self, batch: Batch) -> Tensor:
        """(S, B): r + gamma (min_i Q'_i(s', a) - beta_2 |a - a'|^2), a = pi'(s') + clipped noise."""
        config, next_rows = self._config, (batch.rows + 1).clamp(max=self._tensors.num_steps - 1)
        noise = config.policy_noise * normal(self._noise, batch.actions.shape[1:], batch.actions)
        action = torch.tanh(self._target_actor(batch.next_observations))
        action = (action + noise.clamp(-config.noise_clip, config.noise_clip)).clamp(-1.0, 1.0)
        value = self._values(self._target_critic, batch.next_observations, action).amin(1)
        # The last step of an episode that was cut off has a next state, whose action nobody knows.
        penalty = (action - self._tensors.actions[next_rows]).square().sum(-1) * self._has_next[batch.rows]
        return batch.rewards + config.gamma * batch.continues * (value - config.critic_penalty * penalty)

    def _improve(self, batch: Batch) -> Losses:
        """Descend beta_1 |pi(s) - a|^2 - Q(s, pi(s)) / mean|Q|, whose denominator counts as a constant."""
        action = torch.tanh(self._actor(batch.observations))
        values = self._values(self._critic, batch.observations, action)  # (S, 2, B)
        value = values.amin(1) if self._config.actor_value == "smallest" else values[:, 0]
        scale = value.detach().abs().mean(1, keepdim=True).clamp(min=1e-8)
        distance = (action - self._anchor(batch, action.detach())).square().sum(-1)
        loss = (self._config.actor_penalty * distance - value / scale).mean(1)
        descend(self._actor_step, loss)
        return {"actor": loss, "distance": distance.mean(1), "value": value.mean(1)}

    def _anchor(self, batch: Batch, action: Tensor) -> Tensor:
        """(S, B, act_dim): the actions to stay near to."""
        return batch.actions

    def _values(self, critic: torch.nn.Module, observations: Tensor, actions: Tensor) -> Tensor:
        """(S, 2, B)"""
        out: Tensor = critic(torch.cat([observations, actions], -1))
        if not self._histograms:
            return out.squeeze(-1)
        return torch.stack([histogram.value(seed) for histogram, seed in zip(self._histograms, out, strict=True)])

    def _regression(self, out: Tensor, target: Tensor) -> Tensor:
        """(S, 2, B): how far the critics' outputs (S, 2, B, 1 or bins) are from the target (S, 1, B)."""
        if not self._histograms:
            return (out.squeeze(-1) - target).square()
        return torch.stack([h.loss(*seed) for h, *seed in zip(self._histograms, out, target, strict=True)])

    def policies(self) -> list[MlpPolicy]:
        """One a seed; the actor draws nothing, so neither do they."""
        return export_policies(self._tensors, list(self._actor.weights), list(self._actor.biases))

    def critics(self) -> list[MlpCritic]:
        """One a seed: the smaller Q."""
        return export_critics(self._tensors, self._critic, self._histograms)


class Rebrac(Stacked):
    """ReBRAC, many seeds at once."""

    Config = RebracConfig
    make = RebracStack


@dataclass(frozen=True)
class Td3BcConfig:
    """Settings of TD3+BC."""

    alpha: float = 2.5  # weight of the critic against imitation
    gamma: float = 0.99
    polyak: float = 0.005
    policy_noise: float = 0.2
    noise_clip: float = 0.5
    actor_every: int = 2
    learning_rate: float = 3e-4
    batch_size: int = 256
    hidden_layers: int = 2
    hidden_size: int = 256
    bins: int = 0  # 0: values by squared error; else HL-Gauss

    def __post_init__(self) -> None:
        if not self.alpha > 0.0:
            raise UserError(f"alpha is {self.alpha}: wanted above 0")
        self.as_rebrac(1)

    def as_rebrac(self, act_dim: int) -> RebracConfig:
        """TD3+BC's loss, mean_d (pi - a)_d^2 - alpha Q / mean|Q|, is alpha times ReBRAC's with a penalty of
        1 / (alpha act_dim); Adam takes the same step down both."""
        shared = {name: value for name, value in vars(self).items() if name in RebracConfig.__dataclass_fields__}
        penalty = 1.0 / (self.alpha * act_dim)
        return RebracConfig(penalty, critic_penalty=0.0, actor_value="first", layer_norm=False, **shared)


class Td3BcStack(RebracStack):
    """TD3+BC for S seeds."""

    def __init__(self, tensors: Tensors, config: Td3BcConfig, seeds: Sequence[int]) -> None:
        super().__init__(tensors, config.as_rebrac(tensors.act_dim), seeds)


class Td3Bc(Stacked):
    """TD3+BC, many seeds at once."""

    Config = Td3BcConfig
    make = Td3BcStack


def has_next(lengths: np.ndarray) -> np.ndarray:
    """(M,) bool: whether another step of the same episode follows."""
    follows = np.ones(int(np.sum(lengths)), dtype=bool)
    follows[np.cumsum(lengths) - 1] = False
    return follows


def histogram_of(rewards: Tensor, tensors: Tensors, config: RebracConfig) -> HlGauss:
    """Over all values that the backups can reach from rewards (M,), less the largest penalty each time."""
    low, high = value_bounds(rewards, tensors.terminated, config.gamma)
    penalty = config.critic_penalty * 4.0 * tensors.act_dim * config.gamma / (1.0 - config.gamma)
    return HlGauss.covering(low - penalty, high, config.bins)
