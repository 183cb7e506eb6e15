"""SURF (Park et al., ICLR 2022): pairs that nobody was asked about teach, too, where the model is sure of them.

Two additions to a reward model's loss: pseudo-labels above a confidence, and temporal crops, which show both segments
of a pair shorter, each from a moment of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from robot_learn.errors import UserError


@dataclass(frozen=True)
class SurfConfig:
    confidence: float = 0.95  # of a pseudo-label that is believed
    weight: float = 1.0  # of the loss on pseudo-labels
    unlabelled_ratio: int = 4  # unlabelled pairs in a batch for each labelled one
    shortest_crop: float = 0.75  # of a segment's length, 45 of 60 steps; 1 never crops

    def __post_init__(self) -> None:
        if not (0.5 <= self.confidence < 1.0 and self.weight >= 0.0 and self.unlabelled_ratio >= 1):
            raise UserError(f"SURF: wanted confidence in [0.5, 1), weight from 0 and a ratio from 1, came {self}")
        if not 0.0 < self.shortest_crop <= 1.0:
            raise UserError(f"SURF: wanted shortest_crop above 0, at most 1, came {self.shortest_crop}")


def pseudo_labels(logits: torch.Tensor, config: SurfConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Which pairs the model is sure of (1 or 0), and what it says of them (1: second), both as floats."""
    probability = torch.sigmoid(logits)
    sure = torch.maximum(probability, 1.0 - probability) > config.confidence
    return sure.to(logits.dtype), (probability > 0.5).to(logits.dtype)


class Crop:
    """One member's crops, from its own generator."""

    def __init__(self, rng: np.random.Generator, config: SurfConfig) -> None:
        self._rng, self._config = rng, config

    def __call__(self, segments: np.ndarray) -> np.ndarray:
        """Pairs (B, 2, L) at their whole length, with a part of each repeated in place of what is cut off.

        The length of a crop is drawn for a pair, so that its segments stay equally long, and each begins where it
        likes. What is cut off is filled by the crop's own frames in turn, so that a batch stays one block and the
        returns of both sides keep their size.
        """
        batch, _, length = segments.shape
        shortest = max(1, int(np.ceil(self._config.shortest_crop * length)))
        kept = self._rng.integers(shortest, length + 1, size=(batch, 1))
        start = np.floor(self._rng.random((batch, 2)) * (length - kept + 1)).astype(np.int64)
        at = start[..., None] + np.arange(length) % kept[..., None]
        return np.take_along_axis(segments, at, axis=2)
