"""Implicit Q-learning (Kostrikov, Nair and Levine, ICLR 2022), many seeds at once, as fast as the machine allows.

Three regressions, none of which asks what an action outside the data is worth. With T the slow copy of the two Q, and
A = min(T_1, T_2)(s, a) - V(s):

    V    E[|expectile - 1(A < 0)| A^2]                                              (eq. 5)
    Q_i  E[(Q_i(s, a) - r - gamma V(s'))^2], without V(s') where the task ended     (eq. 6)
    pi   -E[min(e^{inverse_temperature A}, 100) log pi(a | s)]                      (eq. 7)

They have no parameters in common, and each sees the others as they were before the update, so they are one pass
forward, one backward and one step of Adam. (In the authors' code the actor and Q see V a moment later.) The policy is
a Gaussian with the same deviation in all states and tanh on its mean alone.

On a CPU a few seeds are one batch and take turns with the others, which keeps their numbers in the cache; on a GPU all
are one, and the updates of a turn are captured as one graph.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from robot_learn.errors import UserError, unknown
from robot_learn.offline.critics import MlpCritic
from robot_learn.offline.flat import FlatNetworks, reduced_products
from robot_learn.offline.hl_gauss import HlGauss, value_bounds
from robot_learn.offline.learner import Batches, Critic, check_at_least, check_seeds, check_share, check_stacks, stacks
from robot_learn.offline.networks import drawn, export_policies, seeded
from robot_learn.offline.reward_scale import SCALES, episode_chances, reward_factors
from robot_learn.offline.tensors import Tensors
from robot_learn.offline.updates import LOG_STD_RANGE, NETWORKS
from robot_learn.policy import MlpPolicy

ACTOR, VALUE, Q, TARGET = 0, 1, slice(2, 4), slice(4, 6)  # of the six networks of a seed
TRAINED = 4  # the first four
TURN = 100  # updates of a batch of seeds before it is the next one's turn
# Of the last layers' first matrices. The authors' sqrt(2) makes the first actions and values wild, and unlearning them
# costs hundreds of updates.
LAST_GAIN = 0.1
LOSSES = ("value", "q", "actor")


@dataclass(frozen=True)
class IqlConfig:
    """Settings of IQL, the paper's for locomotion."""

    total_updates: int = 1_000_000  # after which the actor's learning rate has decayed to zero, by a cosine
    expectile: float = 0.7
    inverse_temperature: float = 3.0
    largest_weight: float = 100.0
    gamma: float = 0.99
    polyak: float = 0.005
    learning_rate: float = 3e-4
    decay_actor: bool = True
    batch_size: int = 256
    hidden_layers: int = 2
    hidden_size: int = 256
    reward_scale: Literal["returns", "deviation", "none"] = "returns"  # see `reward_factors`
    episode_weight: float = 0.0  # above 0: better episodes are looked at more often, see `episode_chances`
    bins: int = 0  # above 0: Q as histograms of so many bins (HL-Gauss)
    precision: Literal["float32", "reduced"] = "float32"  # see `reduced_products`

    def __post_init__(self) -> None:
        check_at_least(self, 1, "total_updates", "batch_size", "hidden_layers", "hidden_size")
        check_at_least(self, 0.0, "inverse_temperature", "largest_weight", "learning_rate", "episode_weight", "bins")
        check_share(self, "polyak", "gamma")
        if not 0.0 < self.expectile < 1.0:
            raise UserError(f"expectile is {self.expectile}: wanted between 0 and 1")
        if self.gamma == 1.0 and self.bins:
            raise UserError("gamma is 1: histograms want values that are bounded, so gamma below 1")
        if self.reward_scale not in SCALES:
            raise unknown("reward scale", self.reward_scale, SCALES)
        if self.precision not in ("float32", "reduced"):
            raise unknown("precision", self.precision, ("float32", "reduced"))


class Iql:
    """IQL, S seeds at once."""

    Config: ClassVar[type] = IqlConfig

    def __init__(self, tensors: Tensors, config: IqlConfig, seeds: Sequence[int]) -> None:
        self.seeds, self.updates = check_seeds(seeds, tensors), 0
        self._tensors, self._config = tensors, config
        rewards = tensors.rewards_of(len(self.seeds))
        self._stacks = [
            _Stack(tensors, config, self.seeds[group], rewards[group])
            for group in stacks(len(self.seeds), tensors.device)
        ]

    def train(self, updates: int) -> dict[str, np.ndarray]:
        """So many updates more; losses by name, (S,) each, as means over them."""
        for stack in self._stacks:
            stack.losses.zero_()
        with torch.no_grad(), reduced_products(self._config.precision == "reduced"):
            for first in range(0, updates, TURN):
                for stack in self._stacks:
                    stack.turn(min(TURN, updates - first), self.updates + first)
        self.updates += updates
        losses = torch.cat([stack.losses for stack in self._stacks], dim=1).cpu().numpy() / max(updates, 1)
        return dict(zip(LOSSES, losses, strict=True))

    def policies(self) -> list[MlpPolicy]:
        """One a seed."""
        return [policy for stack in self._stacks for policy in stack.policies()]

    def critics(self) -> list[Critic]:
        """One a seed: the smaller of its two Q."""
        return [critic for stack in self._stacks for critic in stack.critics()]

    def state(self) -> dict[str, Any]:
        """All that the rest of the training depends on."""
        return {"updates": self.updates, "stacks": [stack.state() for stack in self._stacks]}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        check_stacks(len(state["stacks"]), len(self._stacks))
        self.updates = state["updates"]
        for stack, stored in zip(self._stacks, state["stacks"], strict=True):
            stack.load_state(stored)


class _Stack:
    """The seeds that are trained as one batch."""

    def __init__(self, tensors: Tensors, config: IqlConfig, seeds: Sequence[int], rewards: Tensor) -> None:
        self._tensors, self._config, self._seeds = tensors, config, len(seeds)
        self._rewards = rewards * reward_factors(rewards, tensors.lengths, config.reward_scale)  # (S, M)
        self._continues = 1.0 - tensors.terminated.float()  # (M,)
        self._histograms = [  # one a seed, or none
            HlGauss.covering(*value_bounds(row, tensors.terminated, config.gamma), config.bins)
            for row in (self._rewards if config.bins else ())
        ]
        chances = None
        if config.episode_weight:
            chances = (episode_chances(rewards, tensors.lengths, config.episode_weight), tensors.lengths)
        self._batches = Batches(seeds, tensors.num_steps, config.batch_size, chances)
        self._networks = self._drawn(seeds)
        values, gradients = self._networks.values, self._networks.gradients
        self._rate = torch.tensor(config.learning_rate, device=tensors.device)  # the actor's, which decays
        self._optimiser = torch.optim.Adam(
            [
                {"params": [_parameter(values[:1], gradients[:1])], "lr": self._rate},
                {"params": [_parameter(values[1:TRAINED], gradients[1:])], "lr": config.learning_rate},
            ],
            fused=True,
            capturable=tensors.device.type == "cuda",
        )
        shape = (len(seeds), config.batch_size)
        width = self._networks.sizes[0]
        self._next_inputs = torch.zeros(*shape, width, device=tensors.device)  # s', 0: V has no use for an action
        self.losses = torch.zeros(len(LOSSES), len(seeds), dtype=torch.float64, device=tensors.device)  # sums
        self._sums = torch.zeros(len(LOSSES), *shape, device=tensors.device)  # of this turn, a batch's steps apart
        self._graph: torch.cuda.CUDAGraph | None = None
        self._captured = (self._rate, self._rate)  # rows and rates that the graph reads

    def _drawn(self, seeds: Sequence[int]) -> FlatNetworks:
        """Orthogonal matrices; all networks take (s, a), those that must not see a have zeros there."""
        tensors, config = self._tensors, self._config
        hidden = [config.hidden_size] * config.hidden_layers
        widths = (tensors.act_dim, 1, config.bins or 1, config.bins or 1)  # of the outputs of actor, V, Q1, Q2
        inputs = (tensors.obs_dim, tensors.obs_dim, *(tensors.obs_dim + tensors.act_dim,) * 2)
        networks = FlatNetworks(
            (inputs[-1], *hidden, max(widths)),
            networks=TRAINED + 2,
            trained=TRAINED,
            seeds=len(seeds),
            batch_size=config.batch_size,
            extra=tensors.act_dim,
            device=tensors.device,
        )
        for seed, generator in enumerate(seeded(seeds, NETWORKS)):
            for network in range(TRAINED):
                sizes = (inputs[network], *hidden, widths[network])
                for weight, matrix in zip(networks.weights, drawn(sizes, generator, LAST_GAIN), strict=True):
                    weight[network, seed, : len(matrix), : matrix.shape[1]] = matrix
        networks.values[TARGET] = networks.values[Q]
        return networks

    def turn(self, updates: int, done: int) -> None:
        """So many updates, after `done` of them."""
        config = self._config
        rates = torch.full((updates,), config.learning_rate, dtype=torch.float64)
        if config.decay_actor:
            share = (done + torch.arange(updates)).clamp(max=config.total_updates) / config.total_updates
            rates *= 0.5 * (1.0 + torch.cos(math.pi * share))
        rows = self._batches.draw(updates).to(self._tensors.device)
        rates = rates.to(self._rate)
        if rows.is_cuda and updates == TURN:
            self._replay(rows, rates)
        else:
            self._updates(rows, rates)
        self.losses += self._sums.sum(2, dtype=torch.float64) / config.batch_size
        self._sums.zero_()

    def _updates(self, rows: Tensor, rates: Tensor) -> None:
        """One update for each of `rows` (updates, S, N), with the actor's learning rate in `rates` (updates,)."""
        for row, rate in zip(rows, rates, strict=True):
            self._rate.copy_(rate)
            self._update(row)

    def _replay(self, rows: Tensor, rates: Tensor) -> None:
        """The same as one CUDA graph, captured at first: no call leaves the CPU between two updates."""
        if self._graph is None:
            kept, self._captured = self.state(), (rows.clone(), rates.clone())
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):  # libraries set themselves up at their first call, which must not be captured
                self._updates(rows[:3], rates[:3])
            torch.cuda.current_stream().wait_stream(side)
            self.load_state(kept)
            self._sums.zero_()
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._updates(*self._captured)
        for mine, given in zip(self._captured, (rows, rates), strict=True):
            mine.copy_(given)
        self._graph.replay()

    def _update(self, rows: Tensor) -> None:
        """Equations 5 to 7 and the step of T, on the steps `rows` (S, N) of the data."""
        config, networks = self._config, self._networks
        self._look_at(rows)
        out = networks.forward()  # (6, S, N, width)
        next_value = networks.forward_one(VALUE, self._next_inputs)[..., 0]
        wanted = self._rewards.gather(1, rows) + config.gamma * self._continues[rows] * next_value
        advantage = torch.minimum(*self._values(out[TARGET])) - out[VALUE, ..., 0]  # (S, N)
        self._value_loss(advantage)
        self._q_loss(out[Q], wanted)
        self._actor_loss(out[ACTOR, ..., : self._tensors.act_dim], advantage)
        networks.backward()
        networks.weight_gradients[0][:2, :, self._tensors.obs_dim :] = 0.0  # actor and V do not see the action
        self._optimiser.step()
        networks.values[TARGET].lerp_(networks.values[Q], config.polyak)

    def _look_at(self, rows: Tensor) -> None:
        """Put the observations, actions and next observations of steps (S, N) where the networks read them."""
        tensors = self._tensors
        steps = rows.flatten()
        before = tensors.before.index_select(0, steps)
        inputs, obs_dim = self._networks.inputs.flatten(0, 1), tensors.obs_dim
        inputs[:, :obs_dim] = tensors.frames.index_select(0, before)
        inputs[:, obs_dim:] = tensors.actions.index_select(0, steps)
        self._next_inputs.flatten(0, 1)[:, :obs_dim] = tensors.frames.index_select(0, before + 1)

    def _values(self, out: Tensor) -> Tensor:
        """(2, S, N, width) of Q networks to (2, S, N)."""
        if not self._histograms:
            return out[..., 0]
        return torch.stack([h.value(seed) for h, seed in zip(self._histograms, out.unbind(1), strict=True)], dim=1)

    def _value_loss(self, advantage: Tensor) -> None:
        weight = torch.where(advantage < 0.0, 1.0 - self._config.expectile, self._config.expectile)
        weighted = weight * advantage
        self._networks.out_gradients[VALUE, ..., 0] = weighted * (-2.0 / weighted.shape[1])
        self._sums[0].addcmul_(weighted, advantage)

    def _q_loss(self, out: Tensor, wanted: Tensor) -> None:
        """`out` (2, S, N, width), `wanted` (S, N)."""
        count = wanted.shape[1]
        if not self._histograms:
            error = out[..., 0] - wanted
            self._networks.out_gradients[Q, ..., 0] = error * (2.0 / count)
            self._sums[1] += error.square_().sum(0)
            return
        target = torch.stack([h.probabilities(row) for h, row in zip(self._histograms, wanted, strict=True)])
        self._networks.out_gradients[Q, ..., : self._config.bins] = (out.softmax(-1) - target) / count
        self._sums[1] -= (target * out.log_softmax(-1)).sum((0, -1))

    def _actor_loss(self, out: Tensor, advantage: Tensor) -> None:
        """`out` (S, N, act_dim) before the tanh."""
        config, act_dim = self._config, self._tensors.act_dim
        log_std = self._networks.extra[ACTOR].clamp(*LOG_STD_RANGE).unsqueeze(1)  # (S, 1, act_dim)
        mean = torch.tanh(out)
        whitened = (self._networks.inputs[..., -act_dim:] - mean) * torch.exp(-log_std)
        squared = whitened.square()
        log_prob = (-0.5 * squared - log_std).sum(-1) - act_dim * 0.5 * math.log(2.0 * math.pi)
        weight = torch.exp(config.inverse_temperature * advantage).clamp(max=config.largest_weight)
        self._sums[2].addcmul_(weight, log_prob, value=-1.0)
        weight = (weight / weight.shape[1]).unsqueeze(-1)
        slope = 1.0 - mean.square()
        self._networks.out_gradients[ACTOR, ..., :act_dim] = -weight * whitened * torch.exp(-log_std) * slope
        self._networks.extra_gradients[ACTOR] = (weight * (1.0 - squared)).sum(1)
        free = self._networks.extra[ACTOR] == log_std.squeeze(1)  # a deviation at its bound is held there
        self._networks.extra_gradients[ACTOR] *= free

    def policies(self) -> list[MlpPolicy]:
        """One a seed."""
        networks, act_dim = self._networks, self._tensors.act_dim
        weights = [weight[ACTOR] for weight in networks.weights]
        weights[0], weights[-1] = weights[0][:, : self._tensors.obs_dim], weights[-1][..., :act_dim]
        biases = [bias[ACTOR] for bias in networks.biases]
        biases[-1] = biases[-1][..., :act_dim]
        return export_policies(self._tensors, weights, biases, networks.extra[ACTOR].clamp(*LOG_STD_RANGE))

    def critics(self) -> list[Critic]:
        """One a seed."""
        tensors, networks, width = self._tensors, self._networks, self._config.bins or 1
        centres = [_numbers(histogram.centres(torch.zeros(()))) for histogram in self._histograms]
        weights = [_numbers(weight[Q].transpose(0, 1)) for weight in networks.weights]  # (S, 2, in, out)
        biases = [_numbers(bias[Q].transpose(0, 1)) for bias in networks.biases]
        weights[-1], biases[-1] = weights[-1][..., :width], biases[-1][..., :width]
        return [
            MlpCritic(
                obs_mean=tensors.obs_mean,
                obs_scale=tensors.obs_scale,
                low=tensors.low,
                high=tensors.high,
                weights=tuple(weight[seed] for weight in weights),
                biases=tuple(bias[seed] for bias in biases),
                gains=(),
                shifts=(),
                centres=centres[seed] if centres else np.zeros(0, np.float32),
            )
            for seed in range(self._seeds)
        ]

    def state(self) -> dict[str, Any]:
        """A copy of all that changes."""
        return copy.deepcopy(
            {
                "values": self._networks.values,
                "optimiser": self._optimiser.state_dict(),
                "batches": self._batches.state(),
            }
        )

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Put a copy back."""
        state = copy.deepcopy(dict(state))
        self._networks.values.copy_(state["values"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._rate = self._optimiser.param_groups[0]["lr"]
        self._graph = None  # it writes to the memory of before
        self._batches.load_state(state["batches"])


def _parameter(values: Tensor, gradient: Tensor) -> torch.nn.Parameter:
    """A piece of memory as an optimiser wants it."""
    parameter = torch.nn.Parameter(values)
    parameter.grad = gradient
    return parameter


def _numbers(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().copy()
