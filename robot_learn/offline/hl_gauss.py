"""HL-Gauss: a value is learned as a histogram, by cross-entropy with a Gaussian around the target.

Imani and White, "Improving regression performance with distributional losses" (ICML 2018); Farebrother et al., "Stop
regressing: training value functions via classification" (ICML 2024, section 3.1), whose sigma is used: .75 bin widths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from robot_learn.errors import UserError

SIGMA = 0.75  # bin widths
MARGIN = 5.0  # sigmas beyond the smallest and the largest value: what the histogram cuts off weighs below 6e-7


@dataclass(frozen=True)
class HlGauss:
    """A histogram over [low, high]. Values are (...), logits (..., bins)."""

    low: float  # the left edge of the first bin
    high: float  # the right edge of the last one
    bins: int = 101

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high and self.bins >= 2):
            raise UserError(f"histogram: wanted finite low < high and 2 bins or more, came {self}")

    @classmethod
    def covering(cls, smallest: float, largest: float, bins: int = 101) -> HlGauss:
        """The histogram that gives every value from `smallest` to `largest` back without bias from its ends."""
        free = bins - 2 * MARGIN * SIGMA
        if free < 1:
            raise UserError(f"histogram: wanted at least {math.ceil(1 + 2 * MARGIN * SIGMA)} bins, came {bins}")
        # Bins must stay wide against the rounding of values in float32, also where all values are the same.
        width = max(largest - smallest, 0.01 * max(abs(smallest), abs(largest)), 1e-6) / free
        return cls(smallest - MARGIN * SIGMA * width, largest + MARGIN * SIGMA * width, bins)

    @property
    def width(self) -> float:
        return (self.high - self.low) / self.bins

    def edges(self, like: Tensor) -> Tensor:
        """(bins + 1,) on the device and in the precision of a tensor."""
        return torch.linspace(self.low, self.high, self.bins + 1, device=like.device, dtype=like.dtype)

    def centres(self, like: Tensor) -> Tensor:
        """(bins,)"""
        edges = self.edges(like)
        return (edges[1:] + edges[:-1]) / 2

    def probabilities(self, values: Tensor) -> Tensor:
        """(..., bins): the mass in each bin of a Gaussian around each value, cut to the support and scaled to 1.

        A value beyond the support counts as the nearer end of it, where the mass could vanish altogether.
        """
        values = values.clamp(self.low, self.high).unsqueeze(-1)
        scale = SIGMA * self.width * math.sqrt(2.0)
        below = torch.erf((self.edges(values) - values) / scale)  # (..., bins + 1)
        return (below[..., 1:] - below[..., :-1]) / (below[..., -1:] - below[..., :1])

    def value(self, logits: Tensor) -> Tensor:
        """(...): the mean of the histogram."""
        return logits.softmax(-1) @ self.centres(logits)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(...): the cross-entropy between target and histogram; its gradient by the logits is softmax - target."""
        return -(self.probabilities(targets) * logits.log_softmax(-1)).sum(-1)


def value_bounds(rewards: Tensor, terminated: Tensor, gamma: float) -> tuple[float, float]:
    """The smallest and the largest discounted sum that can be made of rewards (..., M), of one at the least."""
    smallest, largest = float(rewards.min()), float(rewards.max())
    if bool(terminated.any()):
        # The extremes are one step, or steps for ever.
        return min(smallest, smallest / (1 - gamma)), max(largest, largest / (1 - gamma))
    return smallest / (1 - gamma), largest / (1 - gamma)
