"""Pictures of moments that nobody filmed: episodes are run again from their seeds, and looked at where it is asked.

A labelling asks about a thousand moments of a dataset that has a hundred thousand. Simulating them all again takes
seconds, drawing them all takes many minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np

import sims
from robot_learn.data.dataset import Dataset
from robot_learn.data.manifest import GENERATOR
from robot_learn.errors import UserError

WORLDS = 25  # at once
SAME = 1e-4  # how far an observation may be from the stored one, in parts of its own size or of 1


class Filmed:
    """Pictures of some frames of a dataset, under the numbers that they have there."""

    def __init__(self, num_frames: int, frames: np.ndarray, pictures: np.ndarray) -> None:
        self.shape = (num_frames, *pictures.shape[1:])
        self.dtype = pictures.dtype
        self._row = dict(zip(frames.tolist(), range(len(frames)), strict=True))
        self._pictures = pictures

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, frames: Any) -> np.ndarray:
        """One picture, or those of several frames.

        Raises:
            UserError: one of them was not filmed.
        """
        asked = np.atleast_1d(np.asarray(frames))
        missing = [int(frame) for frame in asked if int(frame) not in self._row]
        if missing:
            raise UserError(f"there is no picture of frame {missing[0]}: it was not filmed")
        found = self._pictures[[self._row[int(frame)] for frame in asked]]
        return np.asarray(found if np.ndim(frames) else found[0])


def film(
    dataset: Dataset,
    frames: Iterable[int],
    size: int,
    *,
    camera: str | None = None,
    on_episode: Callable[[int, int], None] = lambda done, total: None,
) -> Dataset:
    """The dataset with pictures (size, size, 3) uint8 of the frames named, from the task's first camera by default.

    Several cameras, "side+corner", give their pictures beside each other, (size, cameras * size, 3).

    Args:
        on_episode: called with the number of episodes that were run again, and of all that will be.

    Raises:
        UserError: the dataset was not made by `robot-learn collect`, or its episodes do not happen again here.
    """
    manifest, wanted = dataset.manifest, np.unique(np.fromiter(frames, dtype=np.int64))
    first = (manifest.get("seeds") or {}).get("first")
    if manifest.get("generator") != GENERATOR or first is None or dataset.actions is None:
        raise UserError(f"dataset of {dataset.task}: only what `robot-learn collect` made can be run again and filmed")
    episode_of = np.searchsorted(dataset.starts + np.arange(dataset.num_episodes), wanted, side="right") - 1
    episodes = np.unique(episode_of)
    with closing(sims.make(dataset.task, WORLDS, autoreset=False)) as env:
        views = (camera or env.worlds.cameras[0]).split("+")
        pictures = np.zeros((len(wanted), size, len(views) * size, 3), dtype=np.uint8)
        for begin in range(0, len(episodes), WORLDS):
            on_episode(begin, len(episodes))
            _run_again(env, dataset, int(first), episodes[begin : begin + WORLDS], wanted, pictures, views)
    on_episode(len(episodes), len(episodes))
    images: Any = Filmed(len(dataset.observations), wanted, pictures)
    return replace(dataset, images=images)


def _run_again(
    env: sims.BatchEnv,
    dataset: Dataset,
    first_seed: int,
    episodes: np.ndarray,
    wanted: np.ndarray,
    pictures: np.ndarray,
    views: Sequence[str],
) -> None:
    """A world an episode; one whose episode is over stands where it ended, and is not looked at."""
    assert dataset.actions is not None
    filled = np.resize(episodes, env.num_envs)
    observed, _ = env.reset(seed=[first_seed + int(episode) for episode in filled])
    lengths, starts = dataset.lengths[filled], dataset.starts[filled]
    size = pictures.shape[1]
    for step in range(int(lengths.max()) + 1):
        here = (starts + filled + step)[: len(episodes)]  # the frame of each episode
        running = (step <= lengths)[: len(episodes)]
        _check(observed[: len(episodes)][running], dataset.observations[here[running]], dataset, filled[0], step)
        rows = np.searchsorted(wanted, here)
        seen = np.flatnonzero(running & (wanted[np.minimum(rows, len(wanted) - 1)] == here))
        if len(seen):
            shown = [env.worlds.pictures(size, size, view, seen.tolist()) for view in views]
            pictures[rows[seen]] = np.concatenate(shown, axis=2)
        if step == lengths.max():
            return
        # The worlds, not the environment: it has no clock, and an episode that was cut short is none of its business.
        env.worlds.step(dataset.actions[starts + np.minimum(step, lengths - 1)])
        observed = env.worlds.observe()


def _check(now: np.ndarray, then: np.ndarray, dataset: Dataset, episode: int, step: int) -> None:
    off = np.abs(now - then) / np.maximum(1.0, np.abs(then))
    if off.size and off.max() > SAME:
        raise UserError(
            f"dataset of {dataset.task}: run again, its episodes from {episode} on differ by {off.max():.2g} at step "
            f"{step}; another version of the simulator recorded them: collect them anew, or with --images"
        )
