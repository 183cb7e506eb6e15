"""Episodes as they were seen, scene by scene, so that any reward can be scored on them afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from robot_learn.errors import UserError
from robot_learn.scene import Scene, Schema
from robot_learn.types import RewardFn

Source = Literal["scripted", "planned", "policy", "random", "still"]


@dataclass(frozen=True)
class Rollouts:
    """T steps of N episodes of one task, all of one source; what lies after an episode's end is marked, not cut."""

    schema: Schema
    source: Source  # who acted
    values: Mapping[str, np.ndarray]  # every field of the scene, (T + 1, N, *shape); the first row is the reset
    actions: np.ndarray  # (T, N, act_dim)
    success: np.ndarray  # (T, N) bool, after each step
    running: np.ndarray  # (T, N) bool: the step belongs to the episode

    def __post_init__(self) -> None:
        steps, episodes = self.success.shape
        wanted = {"actions": (steps, episodes), "running": (steps, episodes)}
        came = {"actions": self.actions.shape[:2], "running": self.running.shape}
        wanted |= dict.fromkeys(self.schema.names, (steps + 1, episodes))
        came |= {name: self.values[name].shape[:2] for name in self.schema.names if name in self.values}
        for name, shape in wanted.items():
            if came.get(name) != shape:
                raise UserError(f"rollouts: {name} begins with {came.get(name, 'nothing')}, wanted {shape}")

    @property
    def num_episodes(self) -> int:
        return int(self.success.shape[1])

    @property
    def succeeded(self) -> np.ndarray:
        """(N,) bool: at any step of the episode."""
        return np.asarray((self.success & self.running).any(axis=0))

    def score(self, reward: RewardFn) -> Scored:
        """What a reward would have paid for each step; 0 after an episode's end."""
        steps, episodes = self.success.shape

        def rows(values: np.ndarray) -> np.ndarray:
            return values.reshape(steps * episodes, *values.shape[2:])

        scene = Scene(
            self.schema,
            {name: rows(values[1:]) for name, values in self.values.items()},
            initial={
                name: rows(np.broadcast_to(values[:1], (steps, *values.shape[1:])))
                for name, values in self.values.items()
            },
            previous={name: rows(values[:-1]) for name, values in self.values.items()},
        )
        total, terms = reward.evaluate(scene, rows(self.actions))

        def back(values: np.ndarray) -> np.ndarray:
            return np.where(self.running, np.asarray(values, dtype=np.float64).reshape(steps, episodes), 0.0)

        return Scored(self, back(total), {name: back(term) for name, term in terms.items()})


@dataclass(frozen=True)
class Scored:
    """Rollouts and what one reward pays for them, (T, N) each."""

    rollouts: Rollouts
    rewards: np.ndarray
    terms: Mapping[str, np.ndarray]
