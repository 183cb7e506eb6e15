"""Any policy, made safe in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from controllers.safety_filter.result import Filtered, SafetyFilter
from robot_learn.types import Policy

Convert = Callable[[np.ndarray], np.ndarray]
Observation = np.ndarray | dict[str, np.ndarray]


def _same(array: np.ndarray) -> np.ndarray:
    return array


class SafePolicy:
    """A policy whose actions pass a filter: `SafePolicy(model, ReactiveFilter(system, limits))`.

    Args:
        state_of: the system's state (nx,) of one observation; by default the observation is the state.
        control_of: the physical control (nu,) that an action (act_dim,) stands for.
        action_of: and the action of a control; what it gives is what the environment gets.

    `last` holds what the filter said of each action of the last batch.
    """

    def __init__(
        self,
        policy: Policy,
        safety: SafetyFilter,
        *,
        state_of: Callable[[Any], np.ndarray] = _same,
        control_of: Convert = _same,
        action_of: Convert = _same,
    ) -> None:
        self.policy, self.safety = policy, safety
        self._state_of, self._control_of, self._action_of = state_of, control_of, action_of
        self.last: tuple[Filtered, ...] = ()

    def predict(
        self,
        observation: Observation,
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """Actions of the shape that the policy gives, each of them one that the filter lets pass."""
        actions, after = self.policy.predict(observation, state, episode_start, deterministic)
        actions = np.asarray(actions)
        for world in np.flatnonzero(np.atleast_1d(False if episode_start is None else episode_start)):
            self.safety.forget(int(world))
        if actions.ndim < 2:
            self.last = (self.safety.filter(self._state_of(observation), self._control_of(actions)),)
            return self._kept(actions, self.last[0]), after
        self.last = tuple(
            self.safety.filter(self._state_of(_one(observation, i)), self._control_of(action), i)
            for i, action in enumerate(actions)
        )
        kept = [self._kept(action, said) for action, said in zip(actions, self.last, strict=True)]
        return np.array(kept, dtype=actions.dtype), after

    def _kept(self, action: np.ndarray, said: Filtered) -> np.ndarray:
        # What was not changed goes through untouched, so that a conversion forth and back adds no rounding.
        return np.asarray(self._action_of(said.action), dtype=action.dtype) if said.changed else action


def _one(observation: Observation, i: int) -> Any:
    if isinstance(observation, dict):
        return {name: array[i] for name, array in observation.items()}
    return observation[i]
