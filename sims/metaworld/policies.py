"""Upstream's hand-written policies, one a task, for a batch of worlds."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from metaworld.policies import ENV_POLICY_MAP

from robot_learn.scene import Scene


class Scripted:
    """A task's policy for N worlds; a function of the observation alone, but for a few that count steps."""

    def __init__(self, name: str, num_worlds: int) -> None:
        policies: Any = ENV_POLICY_MAP  # typed as the abstract class
        self._make = policies[f"{name}-v3"]
        self._policies = [self._make() for _ in range(num_worlds)]

    def __call__(self, scene: Scene, observations: np.ndarray) -> np.ndarray:
        """Actions (N, 4) float32 for observations (N, 39)."""
        for index in np.flatnonzero(scene.steps == 0):
            self._policies[index] = self._make()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a command will be clipped
            actions = [policy.get_action(row) for policy, row in zip(self._policies, observations, strict=True)]
        return np.stack(actions).astype(np.float32)
