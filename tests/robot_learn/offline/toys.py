"""Data of the point that must reach a goal: a share of the episodes goes there, the others wander about."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_learn.data.dataset import Dataset
from robot_learn.envs import VALIDATION_SEED0
from robot_learn.evaluation import Evaluation, evaluate
from robot_learn.offline.tensors import Tensors, to_tensors
from robot_learn.types import Policy, Preference, Segment
from tests.toy import PointEnv

LOW, HIGH = np.full(2, -1.0, np.float32), np.full(2, 1.0, np.float32)


def towards(observations: np.ndarray) -> np.ndarray:
    """The best action: straight to the goal, (N, 2)."""
    return np.clip(observations[:, 2:] / 0.2, -1.0, 1.0)


def point_data(episodes: int = 100, good: float = 0.2, seed: int = 0) -> Dataset:
    """Episodes of 20 steps; the first `good` of them go to the goal with noise of .3, the others draw uniformly."""
    env, rng = PointEnv(episodes), np.random.default_rng(seed)
    expert = np.arange(episodes) < round(good * episodes)
    seen, done, paid, won = [env.reset(seed=seed)[0]], [], [], []
    for _ in range(env.task.max_episode_steps):
        noise = rng.standard_normal((episodes, 2))
        wander = rng.uniform(-1.0, 1.0, (episodes, 2))
        done.append(np.where(expert[:, None], np.clip(towards(seen[-1]) + 0.3 * noise, -1.0, 1.0), wander))
        after, reward, _, truncated, info = env.step(done[-1])
        seen.append(np.where(truncated[:, None], info.get("final_obs", after), after))
        paid.append(reward)
        won.append(info["success"])
    steps = episodes * len(done)

    def rows(values: list[np.ndarray]) -> np.ndarray:
        return np.swapaxes(np.array(values), 0, 1).reshape(-1, *values[0].shape[1:])

    return Dataset(
        task=env.task.name,
        lengths=np.full(episodes, len(done)),
        observations=rows(seen).astype(np.float32),
        actions=rows(done).astype(np.float32),
        rewards=rows(paid).astype(np.float32),
        terminated=np.zeros(steps, dtype=bool),
        success=rows(won),
    )


def random_pairs(dataset: Dataset, count: int, length: int, seed: int = 0) -> list[Preference]:
    """Pairs of segments; the one that came nearer to the goal is preferred, as by somebody who judges by regret."""
    rng = np.random.default_rng(seed)
    distance = np.linalg.norm(dataset.observations[:, 2:], axis=1)  # (F,)
    progress = distance[dataset.frame_before] - distance[dataset.frame_after]

    def draw() -> Segment:
        episode = int(rng.integers(dataset.num_episodes))
        return Segment(episode, int(rng.integers(dataset.lengths[episode] - length + 1)), length)

    def worth(segment: Segment) -> float:
        return float(progress[dataset.steps_of(segment)].sum())

    drawn = [(draw(), draw()) for _ in range(count)]
    return [Preference(a, b, float(worth(b) > worth(a)), "truth") for a, b in drawn]


def point_tensors(dataset: Dataset) -> Tensors:
    return to_tensors(dataset, LOW, HIGH)


def success(policy: Policy, episodes: int = 50) -> Evaluation:
    """On worlds that no data comes from."""
    worlds: Any = PointEnv(25)
    return evaluate(worlds, policy, episodes=episodes, first_seed=VALIDATION_SEED0)[0]
