"""Networks of E members as one stack: each layer is one batched product, whatever the number of members.

A member draws its weights from a generator of its own, so it is the same whoever stands beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch.nn import functional

from robot_learn.errors import UserError

Output = Literal["tanh", "linear", "sigmoid", "nonpositive"]
KERNELS, STRIDES, CHANNELS = (5, 3, 3, 3), (3, 2, 2, 2), (16, 32, 64, 128)  # RL-VLM-F's reward network on pictures
AT_ONCE = 256  # frames that go through a network together: few, so that what lies between layers stays in the cache
SMALLEST_PICTURE = 16  # [px] so that something is left after four strides
_OUTPUTS = {
    "tanh": torch.tanh,
    "linear": lambda x: x,
    "sigmoid": torch.sigmoid,
    "nonpositive": lambda x: -functional.softplus(x),  # an advantage: no action is better than the best one
}


@dataclass(frozen=True, eq=False)
class Network:
    """E members from inputs to (outputs,) numbers each; parameters have the members first."""

    convolutions: tuple[tuple[torch.Tensor, torch.Tensor], ...]  # (E, out, in, k, k), (E, out); none for vectors
    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]  # (E, in, out), (E, 1, out)
    mean: torch.Tensor  # (width,) of vectors, by which they are standardised
    deviation: torch.Tensor  # (width,)
    output: Output

    @property
    def members(self) -> int:
        return len(self.layers[0][0])

    @property
    def parameters(self) -> list[torch.Tensor]:
        return [tensor for pair in (*self.convolutions, *self.layers) for tensor in pair]

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Outputs (E, B, outputs) from vectors (E, B, width) or pictures (E, B, height, width, 3) uint8.

        Inputs with 1 member are the same for all of them.
        """
        hidden = self._pictures(inputs) if self.convolutions else (inputs - self.mean) / self.deviation
        hidden = hidden.expand(self.members, -1, -1)
        for weight, bias in self.layers[:-1]:
            hidden = functional.leaky_relu(torch.baddbmm(bias, hidden, weight))
        weight, bias = self.layers[-1]
        return _OUTPUTS[self.output](torch.baddbmm(bias, hidden, weight))  # type: ignore[no-any-return,no-untyped-call]

    def _pictures(self, pictures: torch.Tensor) -> torch.Tensor:
        """Features (E, B, width): the members are the groups of one convolution."""
        pictures = pictures.expand(self.members, -1, -1, -1, -1)
        _, batch, height, width, _ = pictures.shape
        hidden = pictures.permute(1, 0, 4, 2, 3).reshape(batch, self.members * 3, height, width)
        hidden = hidden.to(torch.float32) / 127.5 - 1.0
        for (weight, bias), stride in zip(self.convolutions, STRIDES, strict=True):
            hidden = functional.conv2d(
                hidden, weight.flatten(0, 1), bias.flatten(), stride, weight.shape[-1] // 2, groups=self.members
            )
            hidden = functional.leaky_relu(hidden)
        return hidden.reshape(batch, self.members, -1).transpose(0, 1)

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything, to be saved."""
        found = {"mean": self.mean, "deviation": self.deviation}
        for kind, pairs in (("convolution", self.convolutions), ("layer", self.layers)):
            for index, (weight, bias) in enumerate(pairs):
                found |= {f"{kind}{index}/weight": weight, f"{kind}{index}/bias": bias}
        return {name: value.detach().numpy().copy() for name, value in found.items()} | {
            "output": np.asarray(self.output)
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Network:
        """The inverse of `arrays`."""

        def pairs(kind: str) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
            count = sum(name.startswith(kind) and name.endswith("/weight") for name in arrays)
            return tuple(
                (torch.from_numpy(arrays[f"{kind}{i}/weight"]), torch.from_numpy(arrays[f"{kind}{i}/bias"]))
                for i in range(count)
            )

        output = str(arrays["output"])
        if output not in _OUTPUTS:
            raise UserError(f"a reward model with the output {output!r}: allowed are {', '.join(_OUTPUTS)}")
        mean, deviation = torch.from_numpy(arrays["mean"]), torch.from_numpy(arrays["deviation"])
        return cls(pairs("convolution"), pairs("layer"), mean, deviation, output)  # type: ignore[arg-type]


def network(
    frames: np.ndarray,
    hidden: Sequence[int],
    generators: Sequence[torch.Generator],
    *,
    output: Output,
    outputs: int = 1,
    extra: int = 0,
) -> Network:
    """A fresh network for frames (F, width) or (F, height, width, 3), one member a generator.

    `extra` numbers stand beside a vector's own, e.g. a latent; they are not standardised. Weights and biases are
    uniform within 1 / sqrt(inputs), PyTorch's own way.
    """
    convolutions: list[tuple[torch.Tensor, torch.Tensor]] = []
    if frames.ndim == 4:
        if min(frames.shape[1:3]) < SMALLEST_PICTURE:
            raise UserError(f"pictures of {frames.shape[1:3]}: wanted {SMALLEST_PICTURE} pixels or more a side")
        shape, channels = list(frames.shape[1:3]), 3
        for kernel, stride, wanted in zip(KERNELS, STRIDES, CHANNELS, strict=True):
            fan_in = channels * kernel * kernel
            convolutions.append(
                (
                    _uniform((wanted, channels, kernel, kernel), fan_in, generators),
                    _uniform((wanted,), fan_in, generators),
                )
            )
            shape, channels = [(size + 2 * (kernel // 2) - kernel) // stride + 1 for size in shape], wanted
        width, mean, deviation = channels * shape[0] * shape[1], torch.zeros(0), torch.ones(0)
    else:
        width = frames.shape[1] + extra
        mean, deviation = standardisation(frames)
        mean = torch.cat([mean, torch.zeros(extra)])
        deviation = torch.cat([deviation, torch.ones(extra)])
    layers = []
    for fan_in, fan_out in zip((width, *hidden), (*hidden, outputs), strict=True):
        layers.append((_uniform((fan_in, fan_out), fan_in, generators), _uniform((1, fan_out), fan_in, generators)))
    made = Network(tuple(convolutions), tuple(layers), mean, deviation, output)
    for parameter in made.parameters:
        parameter.requires_grad_()
    return made


def standardisation(frames: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation (width,) of vectors; a quantity that never changes is left at its size."""
    mean, deviation = frames.mean(axis=0, dtype=np.float64), frames.std(axis=0, dtype=np.float64)
    deviation = np.where(deviation < 1e-6, 1.0, deviation)
    return torch.from_numpy(mean.astype(np.float32)), torch.from_numpy(deviation.astype(np.float32))


def generators_of(seeds: Sequence[int], members: int) -> list[torch.Generator]:
    """One generator for each member of each seed, seed by seed."""
    words = [np.random.SeedSequence([seed, member]).generate_state(1)[0] for seed in seeds for member in range(members)]
    return [torch.Generator().manual_seed(int(word)) for word in words]


def _uniform(shape: tuple[int, ...], fan_in: int, generators: Sequence[torch.Generator]) -> torch.Tensor:
    bound = 1.0 / math.sqrt(fan_in)
    return torch.stack([torch.rand(shape, generator=generator) * (2 * bound) - bound for generator in generators])


def evaluate(made: Network, frames: np.ndarray, which: np.ndarray | None = None) -> np.ndarray:
    """(E, F, outputs) float32: a network on all frames, or on some rows of them, a few at a time."""
    if frames.ndim not in (2, 4) or (frames.ndim == 2) == bool(made.convolutions):
        wanted = "(F, height, width, 3) uint8" if made.convolutions else "(F, width)"
        raise UserError(f"frames: this reward model wants {wanted}, came {frames.shape}")
    if frames.ndim == 2 and frames.shape[1] != len(made.mean):
        raise UserError(f"frames: this reward model wants {len(made.mean)} numbers a frame, came {frames.shape[1]}")
    count = len(frames) if which is None else len(which)
    # One piece of memory for all: small arrays that are kept between large ones that are not would leave holes.
    found = np.empty((made.members, count, made.layers[-1][0].shape[2]), dtype=np.float32)
    with torch.no_grad():
        for first in range(0, count, AT_ONCE):
            here = slice(first, first + AT_ONCE)
            inputs = torch.from_numpy(np.ascontiguousarray(frames[here if which is None else which[here]]))
            found[:, here] = made(inputs[None] if made.convolutions else inputs[None].to(torch.float32)).numpy()
    return found
