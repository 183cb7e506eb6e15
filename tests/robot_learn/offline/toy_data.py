"""Datasets without a simulator."""

from __future__ import annotations

import numpy as np

from robot_learn.data.dataset import Dataset


def random_dataset(
    *,
    episodes: int = 12,
    length: int = 10,
    obs_dim: int = 5,
    act_dim: int = 2,
    seed: int = 0,
    terminated_share: float = 0.0,
) -> Dataset:
    """Numbers that mean nothing, of the right shapes; actions fill [-1, 1]."""
    rng = np.random.default_rng(seed)
    steps = episodes * length
    terminated = np.zeros(steps, dtype=bool)
    terminated[length - 1 :: length] = rng.random(episodes) < terminated_share
    return Dataset(
        task="toy/point",
        lengths=np.full(episodes, length),
        observations=rng.normal(3.0, 2.0, (steps + episodes, obs_dim)).astype(np.float32),
        actions=rng.uniform(-1.0, 1.0, (steps, act_dim)).astype(np.float32),
        rewards=rng.normal(size=steps).astype(np.float32),
        terminated=terminated,
        success=terminated.copy(),
    )
