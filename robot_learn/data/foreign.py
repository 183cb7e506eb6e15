"""Minari datasets that others made, read as episodes of numbers.

What a dataset keeps as a dictionary or tuple becomes one row: parts in alphabetical order of their paths ("a/b" before
"a/c"), each flat; a discrete part is one-hot. A part that is a picture becomes the episode's pictures. Success is
`infos["success"]` or `infos["is_success"]`, where there is one, and else false.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from robot_learn.data.trajectory import Trajectory
from robot_learn.errors import UserError

SUCCESS = ("success", "is_success")
_DAMAGED = (OSError, KeyError, ValueError, TypeError, AttributeError, AssertionError, IndexError, EOFError)


def read(folder: Path, metadata: Mapping[str, Any]) -> Iterator[Trajectory]:
    """The episodes of a dataset in `folder`, which holds its metadata.json.

    Raises:
        UserError: it is damaged, or no continuous policy can learn from it; the message names file, episode and key.
    """
    from minari.dataset.minari_storage import MinariStorage

    try:
        storage = MinariStorage.read(folder)
        count = int(storage.total_episodes)
    except ImportError as error:
        raise UserError(f"{folder}: {error}") from error
    except (*_DAMAGED, NotImplementedError) as error:
        raise UserError(f"{folder} is no dataset that Minari can read: {error}") from error
    if not isinstance(storage.action_space, spaces.Box):
        raise UserError(f"{folder}: actions are {storage.action_space}; wanted a Box, of continuous actions")
    for number in range(count):
        where = f"{folder}, episode {number}"
        try:
            (stored,) = storage.get_episodes([number])
        except _DAMAGED as error:
            raise UserError(f"{where} cannot be read: {type(error).__name__}: {error}") from error
        episode = _episode(stored, storage.observation_space, where)
        episode.check(where)
        yield episode


def _episode(stored: Mapping[str, Any], space: spaces.Space[Any], where: str) -> Trajectory:
    parts = list(_parts(space, stored["observations"], "observations", where))
    pictures = [values for _, values, is_picture in parts if is_picture]
    numbers = [values for _, values, is_picture in parts if not is_picture]
    rewards = np.asarray(stored["rewards"], dtype=np.float32)
    steps = len(rewards)
    if len(pictures) > 1:
        named = ", ".join(name for name, _, is_picture in parts if is_picture)
        raise UserError(f"{where}: wanted pictures of one camera, there are {len(pictures)}: {named}")
    observations = np.concatenate(numbers, axis=1) if numbers else np.zeros((steps + 1, 0), dtype=np.float32)
    actions = np.asarray(stored["actions"], dtype=np.float32).reshape(steps, -1)
    return Trajectory(
        observations=observations,
        actions=None if actions.shape[1] == 0 else actions,
        rewards=rewards,
        terminated=np.asarray(stored["terminations"], dtype=bool),
        success=_success(stored.get("infos") or {}, steps, where),
        images=pictures[0] if pictures else None,
    )


def _parts(space: spaces.Space[Any], values: Any, path: str, where: str) -> Iterator[tuple[str, np.ndarray, bool]]:
    """The leaves of an observation: path, rows, and whether it is a picture (rows, height, width, 3)."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        inside: dict[Any, spaces.Space[Any]] = (
            dict(space.spaces) if isinstance(space, spaces.Dict) else dict(enumerate(space.spaces))
        )
        for key in sorted(inside, key=str):
            try:
                below = values[key]
            except (KeyError, IndexError, TypeError) as error:
                raise UserError(f"{where}: there is no {path}/{key}") from error
            yield from _parts(inside[key], below, f"{path}/{key}", where)
    elif isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) == 3 and space.shape[-1] == 3:
        yield path, np.asarray(values, dtype=np.uint8), True
    elif isinstance(space, spaces.Box):
        rows = np.asarray(values, dtype=np.float32)
        yield path, rows.reshape(len(rows), -1), False
    elif isinstance(space, spaces.Discrete):
        yield path, np.eye(int(space.n), dtype=np.float32)[np.asarray(values).ravel() - int(space.start)], False
    else:
        wanted = "Box, Discrete, or dictionaries and tuples of them"
        raise UserError(f"{where}: {path} is {json.dumps(str(space))}; wanted {wanted}")


def _success(infos: Mapping[str, Any], steps: int, where: str) -> np.ndarray:
    for name in SUCCESS:
        if name in infos:
            found = np.asarray(infos[name]).reshape(-1).astype(bool)
            if len(found) not in (steps, steps + 1):
                raise UserError(f"{where}: infos/{name} has {len(found)} rows, wanted {steps} or {steps + 1}")
            return found[-steps:]  # with one a frame, the first is that of the reset
    return np.zeros(steps, dtype=bool)
