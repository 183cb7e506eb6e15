"""Networks of one shape in one piece of memory, with their gradients written out by hand.

Small networks are bound by calls and by memory as much as by arithmetic. Here all networks of all seeds are one row of
numbers: one step of an optimiser moves them together, a target follows in one call, and a layer of all of them is one
batched product into a buffer that is there already.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

ALIGNED = 16  # numbers: the widest register of a CPU


class FlatNetworks:
    """G networks of each of S seeds, with ReLU between the layers; the first `trained` of the G get gradients.

    `values` is (G, S, P), network after network, so that any run of networks is one piece of memory, and `gradients`
    (trained, S, P). `weights`, `biases` and `extra` are views of `values`, (G, S, ...); so are those of the gradients.
    What goes in is written to `inputs`, what comes back from the outputs to `out_gradients`.
    """

    def __init__(
        self,
        sizes: Sequence[int],  # (in, hidden, ..., out)
        *,
        networks: int,
        trained: int,
        seeds: int,
        batch_size: int,
        extra: int = 0,  # numbers of each network beside its layers
        device: torch.device | str = "cpu",
    ) -> None:
        self.sizes, self._extra, self._shape = tuple(sizes), extra, (networks, seeds)
        count = sum(a * b + b for a, b in pairwise(sizes)) + extra
        width = math.ceil(count / ALIGNED) * ALIGNED
        self.values = torch.zeros(networks, seeds, width, device=device)
        self.gradients = torch.zeros(trained, seeds, width, device=device)
        self.weights, self.biases, self.extra = self._views(self.values)
        self.weight_gradients, self.bias_gradients, self.extra_gradients = self._views(self.gradients)

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(*shape, device=device)

        self.inputs = zeros(seeds, batch_size, sizes[0])
        self.out_gradients = zeros(trained, seeds, batch_size, sizes[-1])
        self._outputs = [zeros(networks * seeds, batch_size, size) for size in sizes[1:]]
        self._outputs_of_one = [zeros(seeds, batch_size, size) for size in sizes[1:]]
        self._deltas = [zeros(trained * seeds, batch_size, size) for size in sizes[1:-1]]
        # One seed's networks read the same memory; of several seeds bmm wants a copy for each network.
        self._repeated = (
            self.inputs.expand(networks, -1, -1) if seeds == 1 else zeros(*self._shape, *self.inputs.shape[1:])
        )
        # Views are made once: a hundred of them would cost as much as a product.
        self._forward = [(w.flatten(0, 1), b.flatten(0, 1)) for w, b in zip(self.weights, self.biases, strict=True)]
        self._backward = self._plan(trained)

    def _views(self, flat: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
        weights, biases, start = [], [], 0
        for a, b in pairwise(self.sizes):
            weights.append(flat[..., start : start + a * b].view(*flat.shape[:2], a, b))
            biases.append(flat[..., start + a * b : start + a * b + b].unsqueeze(-2))
            start += a * b + b
        return weights, biases, flat[..., start : start + self._extra]

    def _plan(self, trained: int) -> list[tuple[Tensor, ...]]:
        """Of each layer, the last one first: input transposed, gradients of weight and bias, weight transposed."""
        count = trained * self._shape[1]
        layers: list[tuple[Tensor, ...]] = []
        for layer in reversed(range(len(self.weights))):
            before = self._outputs[layer - 1] if layer else self._repeated.view(-1, *self.inputs.shape[1:])
            weight = self.weights[layer][:trained].flatten(0, 1)
            gradients = self.weight_gradients[layer].flatten(0, 1), self.bias_gradients[layer].flatten(0, 1)
            layers.append((before[:count].transpose(1, 2), *gradients, weight.transpose(1, 2)))
        return layers

    def forward(self) -> Tensor:
        """All networks on the inputs (S, N, in) of their seed: (G, S, N, out), valid until the next call."""
        if self._shape[1] > 1:
            self._repeated.copy_(self.inputs.expand_as(self._repeated))
        inputs = self._repeated.view(-1, *self.inputs.shape[1:])
        return self._through(inputs, self._forward, self._outputs).view(*self._shape, -1, self.sizes[-1])

    def forward_one(self, network: int, inputs: Tensor) -> Tensor:
        """One network of each seed on (S, N, in): (S, N, out), valid until the next call; nothing to go back from."""
        layers = [(weight[network], bias[network]) for weight, bias in zip(self.weights, self.biases, strict=True)]
        return self._through(inputs, layers, self._outputs_of_one)

    @staticmethod
    def _through(inputs: Tensor, layers: Sequence[tuple[Tensor, Tensor]], outputs: Sequence[Tensor]) -> Tensor:
        for (weight, bias), out in zip(layers, outputs, strict=True):
            torch.bmm(inputs, weight, out=out).add_(bias)  # on a CPU faster than baddbmm
            inputs = out if out is outputs[-1] else out.relu_()
        return inputs

    def backward(self) -> None:
        """Fill the gradients from `out_gradients`, which are of the outputs of the last `forward`."""
        delta = self.out_gradients.flatten(0, 1)
        hidden = [*reversed(self._deltas)]
        for layer, (before, weight_gradient, bias_gradient, weight) in enumerate(self._backward):
            torch.bmm(before, delta, out=weight_gradient)
            torch.sum(delta, 1, keepdim=True, out=bias_gradient)
            if layer < len(hidden):
                torch.bmm(delta, weight, out=hidden[layer])
                # Where a ReLU gave nothing, nothing goes back.
                delta = torch.ops.aten.threshold_backward.grad_input(
                    hidden[layer], before.transpose(1, 2), 0.0, grad_input=hidden[layer]
                )


_PLACES: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)  # type: ignore[attr-defined]
_lock, _users, _before = threading.Lock(), [0], ["", ""]


def _has_units() -> bool:
    """Whether anything here multiplies rounded numbers faster."""
    known = torch.cpu.get_capabilities()
    return torch.cuda.is_available() or any(known.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))


@contextmanager
def reduced_products(wanted: bool) -> Iterator[None]:
    """Multiply matrices of numbers rounded to TF32 on a GPU, or to bfloat16 on a CPU; sums stay in float32.

    A CPU without units for it is left to compute in float32: asked for bfloat16 it would give the same numbers, later.
    The setting is the process's, so it holds from the first thread that wants it to the last.
    """
    if not wanted or not _has_units():
        yield
        return
    with _lock:
        _users[0] += 1
        if _users[0] == 1:
            _before[:] = [place.fp32_precision for place in _PLACES]
            for place, precision in zip(_PLACES, ("tf32", "bf16"), strict=True):
                place.fp32_precision = precision
    try:
        yield
    finally:
        with _lock:
            _users[0] -= 1
            if _users[0] == 0:
                for place, precision in zip(_PLACES, _before, strict=True):
                    place.fp32_precision = precision
