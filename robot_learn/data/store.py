"""Datasets on disk are Minari's: any of them loads here, and ours open with plain `minari`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robot_learn.data import foreign, trajectory
from robot_learn.data.dataset import Dataset
from robot_learn.data.layout import MAIN, METADATA, OURS, PENDING, find, metadata, opened
from robot_learn.data.manifest import describe
from robot_learn.data.pictures import StoredPictures
from robot_learn.data.trajectory import Trajectory
from robot_learn.data.writer import DatasetWriter
from robot_learn.errors import UserError

__all__ = ["IN_MEMORY", "DatasetWriter", "assemble", "find", "load", "manifest", "metadata", "save", "trajectories"]

IN_MEMORY = 2**30  # bytes: pictures of a smaller dataset are read at once, those of a larger one when looked at


def load(name: str | Path, root: Path | str | None = None, *, in_memory: int = IN_MEMORY) -> Dataset:
    """A dataset by its name, or by the path of its folder.

    Pictures of `in_memory` bytes or less are read at once; of more, `images` is a `StoredPictures`.

    Raises:
        UserError: there is none, or it is damaged; the message names file, key, episode and step.
    """
    folder = find(str(name), root)
    told = metadata(folder)
    if OURS not in told:
        return assemble(list(foreign.read(folder, told)), str(told.get("dataset_id", name)), {})
    episodes, images = _read(folder, in_memory)
    ours = told[OURS]
    try:
        return assemble(episodes, str(ours["task"]), ours, images)
    except (KeyError, TypeError) as error:
        raise UserError(f"{folder / METADATA}: {OURS!r} wants a task: {error}") from error


def manifest(name: str | Path, root: Path | str | None = None) -> dict[str, Any]:
    """What is told of one of our datasets, "episodes" among it, without reading them; empty for those of others.

    Raises:
        UserError: there is none, or it is damaged.
    """
    told = metadata(find(str(name), root))
    return {"episodes": told.get("total_episodes", 0), **told.get(OURS, {})}


def _read(folder: Path, in_memory: int) -> tuple[list[Trajectory], Any]:
    file = folder / MAIN
    waiting = len(list((folder / PENDING).glob("*.hdf5"))) if (folder / PENDING).is_dir() else 0
    if not file.exists() and (waiting or metadata(folder).get("total_episodes") == 0):
        raise UserError(
            f"{folder}: {waiting} episodes wait to be joined; the same command again goes on and joins them"
        )
    with opened(file) as stored:
        count = len(stored)
        if count == 0:
            raise UserError(f"{file} holds no episodes")
        try:
            groups = [stored[f"episode_{number}"] for number in range(count)]
        except KeyError as error:
            raise UserError(f"{file}: wanted episode_0 to episode_{count - 1}: {error}") from error
        episodes = [trajectory.read(group, f"{file}, episode {number}") for number, group in enumerate(groups)]
        with_images = ["infos/images" in group for group in groups]
    if not all(with_images):
        if any(with_images):
            raise UserError(f"{file}, episode {with_images.index(False)}: there is no 'infos/images', others have them")
        return episodes, None
    keys = [f"episode_{number}/infos/images" for number in range(count)]
    pictures = StoredPictures(file, keys, np.array([len(episode) for episode in episodes]))
    return episodes, pictures[:] if pictures.nbytes <= in_memory else pictures


def assemble(episodes: list[Trajectory], task: str, manifest: Mapping[str, Any], images: Any = None) -> Dataset:
    """Episodes laid end to end; `images` of all frames, or those that the episodes carry.

    Raises:
        UserError: the episodes do not fit together; the message names key and episode.
    """

    def joined(name: str) -> Any:
        values = [getattr(episode, name) for episode in episodes]
        for number, value in enumerate(values):
            came, wanted = (None if v is None else v.shape[1:] for v in (value, values[0]))
            if came != wanted:
                raise UserError(f"dataset of {task}: {name} of episode {number} are {came}, of episode 0 {wanted}")
        return None if values[0] is None else np.concatenate(values)

    sources = [episode.source for episode in episodes]
    return Dataset(
        task=task,
        lengths=np.array([len(episode) for episode in episodes], dtype=np.int64),
        images=joined("images") if images is None else images,
        sources=np.array(sources) if any(sources) else None,
        manifest=manifest,
        **{name: joined(name) for name in ("observations", "actions", "rewards", "terminated", "success", "features")},
    )


def trajectories(dataset: Dataset) -> Iterator[Trajectory]:
    """The episodes of a dataset, one by one."""
    for number, (start, length) in enumerate(zip(dataset.starts, dataset.lengths, strict=True)):
        steps, frames = slice(start, start + length), slice(start + number, start + number + length + 1)
        yield Trajectory(
            observations=dataset.observations[frames],
            actions=None if dataset.actions is None else dataset.actions[steps],
            rewards=dataset.rewards[steps],
            terminated=dataset.terminated[steps],
            success=dataset.success[steps],
            images=None if dataset.images is None else dataset.images[frames],
            features=None if dataset.features is None else dataset.features[frames],
            source="" if dataset.sources is None else str(dataset.sources[number]),
        )


def save(dataset: Dataset, name: str, root: Path | str | None = None) -> Path:
    """Write a dataset under a new name; its folder comes back.

    Raises:
        UserError: the name is taken.
    """
    with DatasetWriter(name, root, task=dataset.task) as writer:
        if writer.num_episodes:
            raise UserError(f"dataset {name!r} is there already, in {writer.folder}")
        for episode in trajectories(dataset):
            writer.add(episode)
        writer.manifest |= {**dataset.manifest, **describe(dataset)}
    return writer.folder
