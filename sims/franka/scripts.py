"""Scripted controllers: from the scene alone, phase by phase, for N worlds at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from robot_learn.scene import Scene
from sims.franka.twist import SPEED

Controller = Callable[[Scene, np.ndarray], np.ndarray]
Phases = Callable[[Scene, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

_GAIN = 4.0  # [1/s] of the distance that is left


def toward(position: np.ndarray, target: np.ndarray, limit: float = 1.0) -> np.ndarray:
    """Velocities, as shares of the largest, (N, 3), that bring positions (N, 3) [m] to targets."""
    share = _GAIN * (target - position) / SPEED
    largest = np.max(np.abs(share), axis=1, keepdims=True)
    return np.asarray(share * np.minimum(1.0, limit / np.maximum(largest, 1e-9)))


def to_action(velocity: np.ndarray, *others: np.ndarray) -> np.ndarray:
    """Actions (N, act_dim) from velocity shares (N, 3) and columns (N,)."""
    columns = [np.broadcast_to(other, len(velocity))[:, None] for other in others]
    actions: np.ndarray = np.concatenate([velocity, *columns], axis=1).clip(-1.0, 1.0).astype(np.float32)
    return actions


class Phased:
    """A controller that goes through numbered phases; a world that has just been reset starts at phase 0.

    Args:
        act: gives actions (N, act_dim) and the next phases (N,) from the scene, the phases (N,) that the worlds are in
            and for how many steps each has been in its own (N,).
        num_worlds: N.
    """

    def __init__(self, act: Phases, num_worlds: int) -> None:
        self._act = act
        self._phase, self._since = np.zeros(num_worlds, dtype=int), np.zeros(num_worlds, dtype=int)

    def __call__(self, scene: Scene, observations: np.ndarray) -> np.ndarray:
        fresh = np.asarray(scene.steps) == 0
        self._phase[fresh] = self._since[fresh] = 0
        action, following = self._act(scene, self._phase, self._since)
        self._since = np.where(following == self._phase, self._since + 1, 0)
        self._phase = following
        return action
