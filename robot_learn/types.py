"""What flows between the packages. The floor: numpy and the standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from robot_learn.errors import UserError
from robot_learn.scene import Array, Scene, Schema


@dataclass(frozen=True)
class ActionComponent:
    """One number of an action."""

    name: str  # "hand_dx"
    low: float
    high: float
    meaning: str  # one line, with the unit of what it commands


@dataclass(frozen=True)
class Task:
    """What is to be done, and in what world. Success is measured by the simulator and is no part of this."""

    name: str  # "metaworld/drawer-open"
    instruction: str  # "Open a drawer by its handle."
    schema: Schema
    action: tuple[ActionComponent, ...]
    max_episode_steps: int
    control_dt: float  # [s] between two actions

    @property
    def act_dim(self) -> int:
        return len(self.action)


@runtime_checkable
class RewardFn(Protocol):
    """A reward of a batch of worlds, after a step. Pure: the same scene and action give the same reward."""

    @property
    def term_names(self) -> tuple[str, ...]: ...

    def evaluate(self, scene: Scene, action: Array) -> tuple[Array, Mapping[str, Array]]:
        """The reward (N,) and its named terms, each (N,), from a scene of N worlds and actions (N, act_dim)."""
        ...

    def __call__(self, scene: Scene, action: Array) -> Array:
        """The reward (N,) alone."""
        ...


@dataclass(frozen=True)
class Segment:
    """Some steps of one episode of a dataset; what it shows are the frames after each of them."""

    episode: int
    start: int  # the first step, from 0
    length: int = 1  # steps; 1 is a single picture

    def __post_init__(self) -> None:
        if self.episode < 0 or self.start < 0 or self.length < 1:
            raise UserError(f"segment: wanted episode and start from 0 and 1 step or more, came {self}")


@dataclass(frozen=True)
class Preference:
    """What somebody thinks of two segments."""

    first: Segment
    second: Segment
    label: float  # P(second preferred); 0.5 is a tie
    source: str  # the teacher
    confidence: float = 1.0  # of the label, 0 to 1
    prompt_hash: str = ""  # of what a model was asked
    images: tuple[str, ...] = ()  # sha256 of the pictures that were shown

    def __post_init__(self) -> None:
        # A comparison with NaN is false, so this refuses it too.
        if not (0.0 <= self.label <= 1.0 and 0.0 <= self.confidence <= 1.0):
            raise UserError(f"preference: wanted label and confidence in [0, 1], came {self.label}, {self.confidence}")

    def swapped(self) -> Preference:
        """The same opinion with the segments in the other order."""
        return replace(self, first=self.second, second=self.first, label=1.0 - self.label, images=self.images[::-1])


@runtime_checkable
class Policy(Protocol):
    """Stable-Baselines3's `predict`; its models, IQL, MPC and MPPI all satisfy it."""

    def predict(
        self,
        observation: np.ndarray | dict[str, np.ndarray],
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """Actions (N, act_dim) for observations (N, obs_dim), and the recurrent state."""
        ...
