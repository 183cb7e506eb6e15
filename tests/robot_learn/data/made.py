"""Small datasets of the plane: a point that drifts where its action says."""

from __future__ import annotations

import numpy as np

from robot_learn.data.dataset import Dataset
from robot_learn.data.store import assemble
from robot_learn.data.trajectory import Trajectory


def episode(
    steps: int, rng: np.random.Generator, *, images: int | None = None, source: str = "random", acts: bool = True
) -> Trajectory:
    """A walk of a point; the action is the move. The last step is terminal, in half of the lengths."""
    actions = rng.uniform(-1.0, 1.0, (steps, 2)).astype(np.float32)
    places = np.concatenate([np.zeros((1, 2)), np.cumsum(actions, axis=0)]).astype(np.float32)
    terminated = np.zeros(steps, dtype=bool)
    terminated[-1] = steps % 2 == 0
    pictures = None
    if images is not None:
        pictures = np.full((steps + 1, images, images, 3), 220, dtype=np.uint8)
        for picture, (x, y) in zip(pictures, np.clip(places / 8.0 + 0.5, 0.0, 0.8), strict=True):
            row, column = int(y * images), int(x * images)
            picture[row : row + images // 4, column : column + images // 4] = 60
    return Trajectory(
        observations=places,
        actions=actions if acts else None,
        rewards=-np.linalg.norm(places[1:], axis=1).astype(np.float32),
        terminated=terminated,
        success=np.linalg.norm(places[1:], axis=1) < 0.5,
        images=pictures,
        source=source,
        seed=int(rng.integers(1000)),
    )


def episodes(
    lengths: tuple[int, ...] = (5, 8, 3), *, images: int | None = None, seed: int = 0, acts: bool = True
) -> list[Trajectory]:
    rng = np.random.default_rng(seed)
    sources = ("random", "expert")
    return [
        episode(steps, rng, images=images, source=sources[number % 2], acts=acts)
        for number, steps in enumerate(lengths)
    ]


def dataset(
    lengths: tuple[int, ...] = (5, 8, 3), *, images: int | None = None, seed: int = 0, acts: bool = True
) -> Dataset:
    return assemble(episodes(lengths, images=images, seed=seed, acts=acts), "toy/point", {})


def assert_same(first: Dataset, second: Dataset, *, images: bool = True) -> None:
    for name in ("lengths", "observations", "actions", "rewards", "terminated", "success", "features", "sources"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)
    if images:
        np.testing.assert_array_equal(np.asarray(first.images), np.asarray(second.images))
