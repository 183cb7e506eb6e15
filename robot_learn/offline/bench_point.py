"""The synthetic task of `robot-learn bench iql`: as wide as drawer-open, and measured in a blink."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from robot_learn.data.dataset import Dataset

OBS_DIM, ACT_DIM, STEPS, SPEED = 39, 4, 20, 0.2
EPISODES = 5000  # of data

Act = Callable[[np.ndarray], np.ndarray]


def point_episodes(act: Act, episodes: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A point in four dimensions that is to come to its goal, among 31 columns that mean nothing.

    Observations (STEPS + 1, N, 39), actions (STEPS, N, 4) in [-1, 1] and rewards (STEPS, N), minus the distance.
    """
    state = np.concatenate(
        [rng.uniform(-1.0, 1.0, (episodes, 8)), rng.standard_normal((episodes, OBS_DIM - 8))], axis=1
    )
    observations, actions, rewards = [state], [], []
    for _ in range(STEPS):
        actions.append(np.clip(act(observations[-1].astype(np.float32)), -1.0, 1.0))
        state = observations[-1].copy()
        state[:, :4] += SPEED * actions[-1]
        observations.append(state)
        rewards.append(-np.linalg.norm(state[:, :4] - state[:, 4:8], axis=1))
    return np.array(observations), np.array(actions), np.array(rewards)


def straight(observations: np.ndarray) -> np.ndarray:
    """The best actions."""
    return np.asarray((observations[:, 4:8] - observations[:, :4]) / SPEED)


def mixed_data(episodes: int = EPISODES, seed: int = 0) -> Dataset:
    """One episode in five goes to the goal, unsteadily; the others wander."""
    rng = np.random.default_rng(seed)
    good = rng.random(episodes) < 0.2

    def act(observations: np.ndarray) -> np.ndarray:
        noise = rng.standard_normal((len(observations), ACT_DIM))
        return np.where(good[:, None], straight(observations) + 0.3 * noise, noise)

    observations, actions, rewards = point_episodes(act, episodes, rng)

    def rows(values: np.ndarray) -> np.ndarray:
        return np.swapaxes(values, 0, 1).reshape(-1, *values.shape[2:])

    nothing = np.zeros(episodes * STEPS, dtype=bool)
    return Dataset(
        task="bench/point",
        lengths=np.full(episodes, STEPS),
        observations=rows(observations).astype(np.float32),
        actions=rows(actions).astype(np.float32),
        rewards=rows(rewards).astype(np.float32),
        terminated=nothing,
        success=nothing,
    )


def score(act: Act, episodes: int = 500) -> float:
    """The mean return on episodes that no data comes from: 0 is a random policy's, 100 the best one's."""

    def mean_return(act: Act) -> float:
        return float(point_episodes(act, episodes, np.random.default_rng([2**30, 0]))[2].sum(0).mean())

    noise = np.random.default_rng([2**30, 1])
    low = mean_return(lambda observations: noise.uniform(-1.0, 1.0, (len(observations), ACT_DIM)))
    return 100.0 * (mean_return(act) - low) / (mean_return(straight) - low)
