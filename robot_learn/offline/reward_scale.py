"""Rewards of any origin on one scale, so that the same settings do for all of them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

SCALES = ("returns", "deviation", "none")


def reward_factors(rewards: Tensor, lengths: np.ndarray, scale: str) -> Tensor:
    """(S, 1): what the rewards (S, M) of each seed are multiplied by.

    "returns" makes the worst and the best episode differ by one for each step of the longest, as the paper's 1000 /
    (best - worst) does on tasks of 1000 steps; "deviation" divides by the standard deviation. Constant ones stay.
    """
    if scale == "none":
        return torch.ones_like(rewards[:, :1])
    if scale == "deviation":
        spread, wanted = rewards.double().std(1, correction=0), 1.0
    else:
        totals = _totals(rewards, lengths)
        spread, wanted = totals.amax(1) - totals.amin(1), float(lengths.max())
    tiny = spread < 1e-6 * rewards.double().abs().amax(1).clamp(min=1e-6)
    return torch.where(tiny, 1.0, wanted / spread).float().unsqueeze(1)


def episode_chances(rewards: Tensor, lengths: np.ndarray, weight: float) -> np.ndarray:
    """(S, E) how likely a step of each episode is looked at: e^weight times as likely in the best as in the worst.

    Return weighting of Hong et al., "Harnessing mixed offline reinforcement learning datasets via trajectory weighting"
    (ICLR 2023, eq. 5; theirs is a weight of 10). Where all returns are equal, so are the chances of all steps.
    """
    totals = _totals(rewards, lengths).cpu().numpy()
    low, spread = totals.min(axis=1, keepdims=True), np.ptp(totals, axis=1, keepdims=True)
    share = (totals - low) / np.where(spread > 1e-6 * np.abs(totals).max(axis=1, keepdims=True), spread, np.inf)
    chances = lengths * np.exp(weight * share)
    return np.asarray(chances / chances.sum(axis=1, keepdims=True))


def _totals(rewards: Tensor, lengths: np.ndarray) -> Tensor:
    """(S, E) float64: the return of each episode."""
    totals = rewards.new_zeros(len(rewards), len(lengths), dtype=torch.float64)
    episode_of = torch.as_tensor(np.repeat(np.arange(len(lengths)), lengths), device=rewards.device)
    return totals.index_add_(1, episode_of, rewards.double())
