"""The independent answer: upstream's own environments, stepped one by one, and its scripted policies."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from gymnasium.utils.seeding import np_random
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.policies import ENV_POLICY_MAP

from sims.env import BatchEnv

METAWORLD = tuple(name.removesuffix("-v3") for name in ALL_V3_ENVIRONMENTS)


def metaworld(name: str) -> Any:
    """A fresh environment of upstream's, goal in the observation, placement still to be drawn."""
    env = ALL_V3_ENVIRONMENTS[f"{name}-v3"]()
    env._set_task_called = env.seeded_rand_vec = True
    env._partially_observable = env._freeze_rand_vec = False
    del env.sawyer_observation_space  # cached for a hidden goal
    return env


def placed(name: str, generator: np.random.Generator) -> Any:
    """A fresh environment of upstream's with the placement that the generator draws next."""
    drawing, env = metaworld(name), metaworld(name)
    drawing._np_random = generator
    drawing.reset_model()
    env._last_rand_vec, env._freeze_rand_vec = drawing._last_rand_vec.copy(), True
    return env


def generators(seed: int, number: int) -> list[np.random.Generator]:
    return [np_random(seed + i)[0] for i in range(number)]


def move(env: BatchEnv, index: int, coordinate: int, by: float) -> None:
    """Push one coordinate of one world by hand, between two steps."""
    engine = env.worlds._engine  # type: ignore[attr-defined]

    def push(seat: int, world: int) -> None:
        engine.datas[seat].qpos[coordinate] += by

    engine.run(push, [index])


class Scripted:
    """Upstream's hand-written policy of a task for a batch, disturbed by noise and by random steps."""

    def __init__(self, name: str, noise: float = 0.0, seed: int = 0) -> None:
        self._policy, self._noise, self._rng = ENV_POLICY_MAP[f"{name}-v3"](), noise, np.random.default_rng(seed)
        self._steps = 0

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """Actions (N, 4) float32."""
        self._steps += 1
        shape = (len(observations), 4)
        if self._noise and self._steps % 25 == 0:
            return self._rng.uniform(-1, 1, shape).astype(np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a command will be clipped
            actions = np.stack([self._policy.get_action(row) for row in observations])
        return (actions + self._noise * self._rng.normal(size=shape)).astype(np.float32)
