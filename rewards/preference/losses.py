"""What a label costs a reward model, and what is done against labels that lie.

Everything takes the logit of P(second preferred), any shape, with labels of the same shape, and returns a loss of that
shape. A pair with its segments swapped and its label turned round costs the same.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch.nn import functional

from robot_learn.errors import UserError

Loss = Literal["cross-entropy", "mae", "confusion"]


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Bradley-Terry's likelihood (Christiano et al., 2017, eq. 1); a tie counts half for each side."""
    return functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")


def mae(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Bounded: |p - label|, twice, the sum over both classes (Ghosh et al., AAAI 2017, on symmetric losses).

    A wrong label costs at most 2 however sure the model is, so that wrong labels cannot outvote many right ones. With
    hard labels that are flipped alike, the minimiser is that of clean labels.
    """
    return 2.0 * (torch.sigmoid(logits) - labels).abs()


def confused(logits: torch.Tensor, labels: torch.Tensor, confusion: torch.Tensor) -> torch.Tensor:
    """Forward correction (Patrini et al., CVPR 2017): the likelihood of what a source says, not of what is true.

    Args:
        confusion: (..., 2, 2), broadcast over the pairs: [true, said] = P(said | true), first before second.
    """
    true_second = torch.sigmoid(logits)
    says_second = (1.0 - true_second) * confusion[..., 0, 1] + true_second * confusion[..., 1, 1]
    says_second = says_second.clamp(1e-6, 1.0 - 1e-6)
    return -(labels * says_second.log() + (1.0 - labels) * (1.0 - says_second).log())


def smoothed(labels: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Labels drawn towards a tie: 0 leaves them, 1 makes ties of them."""
    return labels + smoothing * (0.5 - labels)


def symmetric_confusion(error: torch.Tensor) -> torch.Tensor:
    """(..., 2, 2): a source that names the wrong one with probability `error`, whichever it is."""
    return torch.stack([torch.stack([1.0 - error, error], -1), torch.stack([error, 1.0 - error], -1)], -2)


def check_confusion(confusion: np.ndarray, num_sources: int) -> np.ndarray:
    """(sources, 2, 2) float32 that is a confusion of each source and better than a coin.

    A table of first, tie, second (sources, 3, 3), as gold pairs give it, is reduced to what was said of pairs that
    have a better one, and where it was not a tie.

    Raises:
        UserError: the shape is another, a row is no distribution, or a source tells nothing.
    """
    confusion = np.asarray(confusion, dtype=np.float64)
    if confusion.shape[1:] == (3, 3):
        confusion = confusion[:, ::2, ::2]
        confusion = confusion / np.maximum(confusion.sum(axis=2, keepdims=True), 1e-12)
    if confusion.shape != (num_sources, 2, 2):
        raise UserError(f"confusion: wanted the shape ({num_sources}, 2, 2), came {confusion.shape}")
    for source, rows in enumerate(confusion):
        if not (np.isfinite(rows).all() and (rows >= 0).all() and np.allclose(rows.sum(axis=1), 1.0, atol=1e-6)):
            raise UserError(f"confusion of source {source}: wanted two rows that each sum to 1, came {rows.tolist()}")
        if rows[0, 0] + rows[1, 1] <= 1.0:
            raise UserError(f"confusion of source {source}: it is no better than a coin, {rows.tolist()}")
    return confusion.astype(np.float32)
