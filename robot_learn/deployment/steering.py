"""From a policy's actions to joint velocities, by the code of simulation, on a model of the arm alone.

A policy may also give chunks, several actions for the steps to come. They are played open-loop, the first k of each, or
averaged over all chunks that speak of the present step with weights exp(-m i), i = 0 for the oldest ("temporal
ensembling": Zhao, Kumar, Levine, Finn, "Learning Fine-Grained Bimanual Manipulation with Low-Cost Hardware", 2023).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from robot_learn.errors import UserError
from robot_learn.franka import FINGER_TRAVEL
from robot_learn.scene import Scene
from robot_learn.types import Policy
from sims.franka.arm import build
from sims.franka.twist import TwistControl, drive

# Actions (1, act_dim) or chunks of them (1, k, act_dim), from a scene and observations of one world.
Actor = Callable[[Scene, np.ndarray], np.ndarray]


class CommanderError(Exception):
    """Who acts has failed, or gave what is no action."""


class Steering:
    """Actions of a task to joint velocities [rad/s] and an opening [m]; `begin` at each episode.

    Args:
        control: what the actions mean.
        speed: factor of all joint velocities; 1 is as in simulation.
    """

    def __init__(self, control: TwistControl, *, speed: float = 1.0) -> None:
        if not (0.0 < speed <= 1.0):
            raise UserError(f"speed {speed:g}: wanted above 0, up to 1")
        self.control, self.speed = control, speed
        self._model = build(control.arm, actuators="velocity", visuals=False).compile()
        self._data = mujoco.MjData(self._model)
        self._drive = drive(control)
        self._parts = control.components()

    def begin(self) -> None:
        """From rest."""
        self._data.ctrl[:] = 0.0

    def sent(self, dq: np.ndarray) -> None:
        """Go on from joint velocities (7,) that somebody else has sent, e.g. a person who took over."""
        self._data.ctrl[:7] = dq / self.speed

    def velocities(self, q: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, float | None]:
        """Joint velocities (7,) [rad/s] and the wanted opening [m], None where the task does not grip.

        Args:
            q: (7,) [rad], where the joints will be when it takes effect.
            action: (act_dim,), clipped to its bounds as in simulation.

        Raises:
            CommanderError: the action has another size or is not finite.
        """
        wanted = len(self._parts)
        if action.shape != (wanted,) or not np.isfinite(action).all():
            raise CommanderError(f"wanted {wanted} finite numbers as an action, came {np.array2string(action)}")
        low, high = np.array([[part.low, part.high] for part in self._parts]).T
        bounded = np.clip(action, low, high)
        self._data.qpos[:7] = q
        self._drive(self._model, self._data, bounded)
        opening = FINGER_TRAVEL * (1.0 + float(bounded[-1])) if self.control.grips else None
        return self.speed * self._data.ctrl[:7].copy(), opening


@dataclass
class Chunks:
    """Plays an actor's actions step by step, one each step; `begin` at each episode.

    Args:
        actor: gives actions or chunks; it is asked when there is nothing left to play, or, ensembling, each step.
        first: how many actions of a chunk are played before the next is asked for; None: the whole chunk.
        ensemble: m in exp(-m i), at each step over all chunks that reach it; None plays open-loop.
    """

    actor: Actor
    first: int | None = None
    ensemble: float | None = None

    def __post_init__(self) -> None:
        if self.first is not None and self.first < 1:
            raise UserError(f"actions of a chunk: wanted 1 or more, came {self.first}")
        if self.ensemble is not None and (self.first is not None or not math.isfinite(self.ensemble)):
            raise UserError("temporal ensembling asks at each step: give a finite decay, and no number of actions")
        self.begin()

    def begin(self) -> None:
        self._queue: deque[np.ndarray] = deque()
        self._alive: list[deque[np.ndarray]] = []  # what is left of each chunk, oldest first

    def __call__(self, scene: Scene, vector: np.ndarray) -> np.ndarray:
        """The action (act_dim,) of this step.

        Raises:
            CommanderError: the actor raised something, or gave no action.
        """
        if self.ensemble is not None:
            self._alive = [rest for rest in self._alive if rest] + [deque(self._ask(scene, vector))]
            said = np.array([rest.popleft() for rest in self._alive])
            weights = np.exp(-self.ensemble * np.arange(len(said)))
            return np.asarray(weights @ said / weights.sum())
        if not self._queue:
            self._queue.extend(self._ask(scene, vector)[: self.first])
        return self._queue.popleft()

    def _ask(self, scene: Scene, vector: np.ndarray) -> np.ndarray:
        """A chunk (k, act_dim), k >= 1."""
        try:
            given = np.asarray(self.actor(scene, vector), dtype=np.float64)
        except Exception as error:
            raise CommanderError(f"{type(error).__name__}: {error}") from error
        if given.ndim not in (2, 3) or given.shape[0] != 1 or given.size == 0:
            raise CommanderError(f"wanted actions (1, act_dim) or (1, k, act_dim), came {given.shape}")
        chunk = given[0] if given.ndim == 3 else given
        if not np.isfinite(chunk).all():
            raise CommanderError("wanted finite actions, came NaN or infinity")
        return chunk


def from_policy(policy: Policy) -> Actor:
    """A policy as an actor, with its own memory where it has one."""
    memory: list[Any] = [None]

    def act(scene: Scene, vector: np.ndarray) -> np.ndarray:
        start = np.asarray(scene.steps) == 0
        state = None if start.all() else memory[0]
        actions, memory[0] = policy.predict(vector, state=state, episode_start=start, deterministic=True)
        return np.asarray(actions)

    return act
