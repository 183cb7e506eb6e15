"""A policy shows what it does, for somebody to compare: episodes with pictures and with the simulator's reward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import sims
from robot_learn.data.dataset import Dataset
from robot_learn.data.recording import record
from robot_learn.data.store import assemble
from robot_learn.scene import Array, Scene
from robot_learn.types import Policy


class _Watched:
    """The simulator's own reward, and the pictures after each step, before any world is reset."""

    term_names = ("truth",)

    def __init__(self, env: sims.BatchEnv, size: int, camera: str | None) -> None:
        self._env, self._size, self._camera = env, size, camera
        self._pictures: np.ndarray | None = None

    def evaluate(self, scene: Scene, action: Array) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
        if self._size:
            self._pictures = self._look()
        paid = np.asarray(self._env.worlds.expert_reward(action), dtype=np.float64)
        return paid, {"truth": paid}

    def __call__(self, scene: Scene, action: Array) -> np.ndarray:
        return self.evaluate(scene, action)[0]

    def watch(self, running: np.ndarray) -> np.ndarray:
        """The pictures after the last step; at an episode's start, now."""
        pictures, self._pictures = self._pictures, None
        return self._look() if pictures is None else pictures

    def _look(self) -> np.ndarray:
        return np.asarray(self._env.pictures(self._size, self._size, self._camera))


def act(
    task: str,
    policy: Policy | None,
    *,
    episodes: int,
    first_seed: int,
    picture_size: int = 0,
    camera: str | None = None,
) -> Dataset:
    """Episodes of a policy that explores as in training, or of random actions, from worlds of their own.

    `rewards` are the simulator's own, for simulated teachers and to judge by.
    """
    env = sims.make(task, episodes)
    watched = _Watched(env, picture_size, camera)
    env.reward = watched
    space = env.single_action_space
    rng = np.random.default_rng(first_seed)

    def actor(step: int, scene: Scene, observations: np.ndarray) -> np.ndarray:
        if policy is not None:
            return np.asarray(policy.predict(observations, deterministic=False)[0])
        return rng.uniform(space.low, space.high, (episodes, *space.shape)).astype(np.float32)

    source = "random" if policy is None else "policy"
    seeds = [first_seed + number for number in range(episodes)]
    try:
        watch: Any = watched.watch if picture_size else None
        recorded = record(env, actor, seeds, [source] * episodes, watch)
    finally:
        env.close()
    settings = {"camera": camera, "picture_size": picture_size, "first_seed": first_seed}
    return assemble(recorded, task, {"task": task, "settings": settings})
