"""A dataset of a blue square that strays to the left and to the right and is paid for being on the right."""

from __future__ import annotations

import numpy as np

from robot_learn.data.dataset import Dataset

SIZE = 32


def picture(at: float) -> np.ndarray:
    found = np.full((SIZE, SIZE, 3), 120, dtype=np.uint8)
    left = round(at * (SIZE - 8))
    found[12:20, left : left + 8] = (20, 40, 230)
    return found


def dataset(episodes: int = 6, steps: int = 15, seed: int = 0, *, images: bool = True) -> Dataset:
    """Observations (frames, 1) are where the square is, 0 to 1, and so are the rewards."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(scale=0.15, size=(episodes, steps))
    walks = [np.clip(np.cumsum([0.5, *row]), 0.0, 1.0) for row in moves]
    places = np.concatenate(walks).astype(np.float32)
    return Dataset(
        task="toy/squares",
        lengths=np.full(episodes, steps),
        observations=places[:, None],
        actions=moves.reshape(-1, 1).astype(np.float32),
        rewards=np.concatenate([walk[1:] for walk in walks]).astype(np.float32),
        terminated=np.zeros(episodes * steps, dtype=bool),
        success=np.zeros(episodes * steps, dtype=bool),
        images=np.stack([picture(at) for at in places]) if images else None,
    )
