"""Who acts while data are collected: a policy or script, and how often chance acts in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from robot_learn.errors import UserError
from robot_learn.scene import Scene
from robot_learn.types import Policy

# Actions (N, act_dim) of N worlds from the number of steps done, the scene and the observations (N, obs_dim).
Actor = Callable[[int, Scene, np.ndarray], np.ndarray]
_STREAM = 0x5EED  # the noise of an episode is another stream than its start


def nobody(step: int, scene: Scene, observations: np.ndarray) -> np.ndarray:
    """The actor of episodes that are random throughout.

    Raises:
        UserError: it was asked to act.
    """
    raise UserError("there is nobody to act: this task has no scripted controller, so name a trained policy by --run")


def scripted(controller: Callable[[Scene, np.ndarray], np.ndarray]) -> Actor:
    """A hand-written controller."""
    return lambda step, scene, observations: controller(scene, observations)


class FromPolicy:
    """A trained policy; it chooses its most likely action, so that what is random is known."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._state: Any = None

    def __call__(self, step: int, scene: Scene, observations: np.ndarray) -> np.ndarray:
        start = np.full(len(observations), step == 0)
        state = None if step == 0 else self._state
        actions, self._state = self._policy.predict(observations, state, start, deterministic=True)
        return np.asarray(actions)


class Disturbed:
    """An actor whom chance replaces for a share of the steps: stretches of one random action each.

    Whether a world is in a stretch is a Markov chain whose stationary share is `epsilon` and whose stretches last
    `hold` steps on average; with `hold` 1 these are independent steps, as in epsilon-random policies. At 1 all is
    random. `noise` is added to what the actor does. Every world draws from a generator of its own, always equally
    much, so an episode is the same whatever runs beside it.

    Args:
        actor: who acts otherwise.
        low, high: (act_dim,) the range of the actions; random ones are uniform in it.
        epsilon: (N,) share of random steps, 0 to 1.
        seeds: (N,) of each world's episode.
        hold: mean length of a stretch in steps, 1 or more.
        noise: standard deviation, in half ranges.
    """

    def __init__(
        self,
        actor: Actor,
        low: np.ndarray,
        high: np.ndarray,
        epsilon: np.ndarray,
        seeds: Sequence[int],
        *,
        hold: float = 1.0,
        noise: float = 0.0,
    ) -> None:
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise UserError(f"random actions: wanted bounded actions, came a range of {low} to {high}")
        if hold < 1 or noise < 0 or np.any((epsilon < 0) | (epsilon > 1)):
            raise UserError(f"wanted hold from 1, noise from 0 and epsilon in [0, 1], came {hold}, {noise}, {epsilon}")
        self._actor, self._low, self._high = actor, low, high
        self._epsilon, self._hold, self._noise = np.asarray(epsilon, dtype=np.float64), hold, noise
        self._rngs = [np.random.default_rng([seed, _STREAM]) for seed in seeds]
        self._random = np.zeros(len(self._rngs), dtype=bool)
        self._drawn = np.zeros((len(self._rngs), len(low)))
        self.intended = self._drawn.astype(np.float32)  # (N, act_dim) what the actor would have done without chance

    def __call__(self, step: int, scene: Scene, observations: np.ndarray) -> np.ndarray:
        chance = np.array([rng.random(2) for rng in self._rngs])
        uniform = np.array([rng.uniform(self._low, self._high) for rng in self._rngs])
        normal = np.array([rng.standard_normal(len(self._low)) for rng in self._rngs])
        ends = (chance[:, 0] < 1.0 / self._hold) | ~self._random
        stays = self._random & ~ends
        self._random = stays | (ends & (chance[:, 1] < self._begin(step)))
        self._drawn = np.where((self._random & ends)[:, None], uniform, self._drawn)
        if (self._epsilon >= 1.0).all():  # not: if all are random just now, for scripts keep track of their phases
            self.intended = self._drawn.astype(np.float32)
            return self.intended
        half, meant = 0.5 * (self._high - self._low), self._actor(step, scene, observations)
        self.intended = np.clip(meant, self._low, self._high).astype(np.float32)
        wanted = meant + self._noise * half * normal
        actions = np.where(self._random[:, None], self._drawn, wanted)
        return np.clip(actions, self._low, self._high).astype(np.float32)

    def _begin(self, step: int) -> np.ndarray:
        """(N,) the chance that a step outside of stretches, or at the end of one, begins one."""
        if step == 0:
            return self._epsilon
        # Stationarity: epsilon (1 - begin) / hold = (1 - epsilon) begin, as a stretch may follow another at once.
        leaves = self._epsilon / self._hold
        return leaves / np.maximum(leaves + 1.0 - self._epsilon, 1e-12)
