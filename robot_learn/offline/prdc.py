"""PRDC: TD3 whose actor stays near the closest state-action pair of the data, not near the action of the same state.

Ran et al., "Policy regularization with dataset constraint for offline reinforcement learning" (ICML 2023): actions that
the data holds in slightly other states are allowed too, so that trajectories can be stitched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from robot_learn.errors import UserError
from robot_learn.offline.rebrac import Td3BcConfig, Td3BcStack
from robot_learn.offline.stacks import Stacked
from robot_learn.offline.tensors import Tensors
from robot_learn.offline.updates import Batch


@dataclass(frozen=True)
class PrdcConfig(Td3BcConfig):
    """Settings of PRDC: TD3's, alpha 2.5 and beta 2 as for the paper's hopper and walker."""

    beta: float = 2.0  # weight of the state against the action in the distance between pairs

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (np.isfinite(self.beta) and self.beta >= 0.0):
            raise UserError(f"beta is {self.beta}: wanted a number from 0")


class PrdcStack(Td3BcStack):
    """PRDC for S seeds: TD3+BC with another anchor."""

    def __init__(self, tensors: Tensors, config: PrdcConfig, seeds: Sequence[int]) -> None:
        super().__init__(tensors, config, seeds)
        self._beta = config.beta
        self._tree = KDTree(joined(tensors.frames[tensors.before], tensors.actions, config.beta))

    def _anchor(self, batch: Batch, action: Tensor) -> Tensor:
        """The action of the pair of the data that is closest to (beta s, pi(s))."""
        _, nearest = self._tree.query(joined(batch.observations, action, self._beta))
        return self._tensors.actions[torch.as_tensor(nearest, device=action.device)]


class Prdc(Stacked):
    """PRDC, many seeds at once."""

    Config = PrdcConfig
    make = PrdcStack


def joined(observations: Tensor, actions: Tensor, beta: float) -> np.ndarray:
    """(..., obs_dim + act_dim) float64: the points (beta s, a)."""
    return torch.cat([beta * observations, actions], -1).double().cpu().numpy()
