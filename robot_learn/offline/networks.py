"""Many small networks as one: the seeds of a run, and the members of an ensemble, side by side in batched products."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from robot_learn.offline.tensors import Tensors
from robot_learn.policy import MlpPolicy

GAIN = math.sqrt(2.0)  # of the orthogonal matrices of all layers, as in IQL's own code


def seeded(seeds: Sequence[int], stream: int) -> list[torch.Generator]:
    """A generator for each seed, on the CPU; another `stream` gives other numbers for the same seed."""
    states = [int(np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)[0] >> 1) for seed in seeds]
    return [torch.Generator().manual_seed(state) for state in states]


def orthogonal(rows: int, columns: int, generator: torch.Generator, gain: float) -> torch.Tensor:
    """A matrix whose smaller side is orthonormal, times the gain (Saxe et al., ICLR 2014)."""
    return nn.init.orthogonal_(torch.empty(rows, columns), gain, generator=generator)


def drawn(sizes: Sequence[int], generator: torch.Generator, last_gain: float = GAIN) -> list[torch.Tensor]:
    """The matrices (in, out) of one network whose layers have these widths, (in, hidden, ..., out)."""
    gains = [GAIN] * (len(sizes) - 2) + [last_gain]
    return [orthogonal(a, b, generator, gain) for (a, b), gain in zip(pairwise(sizes), gains, strict=True)]


class StackedMlp(nn.Module):
    """S seeds times K members of one multilayer perceptron with ReLU between its layers, none of them sharing a number.

    Matrices begin orthogonal, biases at zero. A network is drawn from its own seed's generator, member after member,
    layer after layer, so it is the same whatever others lie beside it.
    """

    def __init__(
        self,
        sizes: Sequence[int],  # (in, hidden, ..., out)
        generators: Sequence[torch.Generator],  # one a seed
        *,
        members: int = 1,
        layer_norm: bool = False,  # after every hidden layer, before its ReLU
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        self.seeds, self.members, self.sizes = len(generators), members, tuple(sizes)
        matrices = [drawn(sizes, generator) for generator in generators for _ in range(members)]
        count = len(matrices)
        self.weights = nn.ParameterList(torch.stack(layer).to(device) for layer in zip(*matrices, strict=True))
        self.biases = nn.ParameterList(torch.zeros(count, 1, out, device=device) for out in sizes[1:])
        hidden = sizes[1:-1] if layer_norm else ()
        self.gains = nn.ParameterList(torch.ones(count, 1, out, device=device) for out in hidden)
        self.shifts = nn.ParameterList(torch.zeros(count, 1, out, device=device) for out in hidden)

    def forward(
        self, inputs: torch.Tensor, dropout: Callable[[torch.Tensor], torch.Tensor] | None = None
    ) -> torch.Tensor:
        """(S, N, in) or (S, K, N, in) to (S, N, out), or (S, K, N, out) where there are several members.

        What leaves a hidden layer, (S * K, N, hidden), goes through `dropout` where one is given.
        """
        many = self.members > 1
        if many and inputs.dim() == 3:
            inputs = inputs.unsqueeze(1).expand(-1, self.members, -1, -1)
        hidden = inputs.reshape(self.seeds * self.members, *inputs.shape[-2:])
        last = len(self.weights) - 1
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            hidden = torch.baddbmm(bias, hidden, weight)
            if index < last and len(self.gains):
                hidden = nn.functional.layer_norm(hidden, hidden.shape[-1:]) * self.gains[index] + self.shifts[index]
            hidden = torch.relu(hidden) if index < last else hidden
            hidden = dropout(hidden) if dropout is not None and index < last else hidden
        return hidden.reshape(self.seeds, self.members, *hidden.shape[-2:]) if many else hidden


def export_policies(
    tensors: Tensors,
    weights: Sequence[torch.Tensor],  # each (S, in, out), the last one gives the mean of the action before its tanh
    biases: Sequence[torch.Tensor],  # each (S, 1, out) or (S, out)
    log_std: torch.Tensor | None = None,  # (S, act_dim) of the action in [-1, 1], around tanh(mean); None: no noise
) -> list[MlpPolicy]:
    """Each seed's actor as plain numbers: tanh on the mean alone, noise after it, clipped to the range."""
    return [_export(tensors, weights, biases, log_std, seed) for seed in range(len(weights[0]))]


def _export(
    tensors: Tensors,
    weights: Sequence[torch.Tensor],
    biases: Sequence[torch.Tensor],
    log_std: torch.Tensor | None,
    seed: int,
) -> MlpPolicy:
    matrices = tuple(_numbers(layer[seed]).T.copy() for layer in weights)
    offsets = tuple(_numbers(layer[seed]).reshape(-1) for layer in biases)
    nothing = np.zeros_like(matrices[-1])
    return MlpPolicy(
        obs_mean=tensors.obs_mean,
        obs_scale=tensors.obs_scale,
        obs_clip=np.asarray(np.inf),
        weights=matrices[:-1],
        biases=offsets[:-1],
        relu=np.asarray(True),
        mean_weight=matrices[-1],
        mean_bias=offsets[-1],
        log_std_weight=nothing,
        log_std_bias=np.full(tensors.act_dim, -np.inf, np.float32) if log_std is None else _numbers(log_std[seed]),
        state_noise=nothing,
        low=tensors.low,
        high=tensors.high,
        squash=np.asarray(True),
        noise_after_squash=np.asarray(True),
    )


def _numbers(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().copy()
