"""V-GPS: any policy that can be sampled acts better when a critic chooses among its samples.

Nakamoto et al., "Steering your generalists: improving robotic foundation models via value guidance" (CoRL 2024).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robot_learn.errors import UserError
from robot_learn.offline.learner import Critic
from robot_learn.types import Policy


@dataclass(frozen=True, eq=False)
class Steered:
    """`Steered(policy, critic)` is the policy, steered: it satisfies `robot_learn.types.Policy` itself.

    It draws `samples` actions and takes one with probability proportional to exp(inverse_temperature Q): the paper's
    softmax over Q / beta. Infinity takes the best one (beta 0), 0 any one: then it is the policy as it was. A policy
    that always draws the same action, such as TD3+BC's, leaves it nothing to choose from.
    """

    policy: Policy
    critic: Critic
    samples: int = 10  # 10 or 50 in the paper
    inverse_temperature: float = np.inf
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0), repr=False)

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise UserError(f"samples is {self.samples}: wanted at least 1")
        if not self.inverse_temperature >= 0.0:
            raise UserError(f"inverse_temperature is {self.inverse_temperature}: wanted 0 or more")

    def predict(
        self,
        observation: np.ndarray | dict[str, np.ndarray],
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """Actions (N, act_dim) for observations (N, obs_dim), or (act_dim,) for one (obs_dim,).

        What the policy proposes is always drawn; `deterministic` takes the best of it whatever the temperature.

        Raises:
            UserError: observations are no array, the policy keeps a memory, or a value is not a number.
        """
        if isinstance(observation, dict):
            raise UserError("steering wants observations as one array (N, obs_dim), came a dict")
        given = np.asarray(observation)
        rows = np.atleast_2d(given)
        repeated = np.repeat(rows, self.samples, axis=0)  # (N K, obs_dim)
        starts = None if episode_start is None else np.repeat(np.atleast_1d(episode_start), self.samples)
        actions, memory = self.policy.predict(repeated, episode_start=starts, deterministic=False)
        if memory is not None:
            raise UserError("a policy that remembers cannot be steered: its samples would share one memory")
        values = np.asarray(self.critic(repeated, actions)).reshape(len(rows), self.samples)
        bad = np.flatnonzero(np.isnan(values).any(1))
        if len(bad):
            raise UserError(f"the critic's value of an action at observation {bad[0]} is not a number")
        sharpness = np.inf if deterministic else self.inverse_temperature
        chosen = choose(values, sharpness, self.rng)
        best = actions.reshape(len(rows), self.samples, -1)[np.arange(len(rows)), chosen]
        return best.reshape(*given.shape[:-1], -1), state


def choose(values: np.ndarray, inverse_temperature: float, rng: np.random.Generator) -> np.ndarray:
    """(N,): one of K for each row of values (N, K), with probability proportional to exp(inverse_temperature value).

    Adding Gumbel noise and taking the largest draws from just that distribution, without any sum to overflow.
    """
    if np.isinf(inverse_temperature):
        return np.asarray(values.argmax(1))
    return np.asarray((inverse_temperature * values + rng.gumbel(size=values.shape)).argmax(1))
