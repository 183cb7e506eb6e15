"""One episode, as it is recorded and as Minari keeps it in HDF5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from robot_learn.errors import UserError

FRAMES_PER_CHUNK = 8  # neighbours look alike, and deflate sees that: 8 to 12 times smaller, 2 to 4 times one by one
COMPRESSION = {"compression": "gzip", "compression_opts": 4}


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One episode, time first: T actions and T + 1 observations."""

    observations: np.ndarray  # (T + 1, obs_dim) float32
    actions: np.ndarray | None  # (T, act_dim) float32; None: only watched
    rewards: np.ndarray  # (T,) float32
    terminated: np.ndarray  # (T,) bool
    success: np.ndarray  # (T,) bool, after each step
    images: np.ndarray | None = None  # (T + 1, height, width, 3) uint8
    features: np.ndarray | None = None  # (T + 1, F) float32
    source: str = ""  # who acted
    seed: int | None = None  # of the episode's start

    def __len__(self) -> int:
        return len(self.rewards)

    def check(self, where: str) -> None:
        """Everything has its shape and type and is finite.

        Raises:
            UserError: something has not; the message begins with `where` and names key and step.
        """
        steps = len(self.rewards)
        rows = dict.fromkeys(("actions", "rewards", "terminated", "success"), steps)
        rows |= dict.fromkeys(("observations", "images", "features"), steps + 1)
        dims = {"observations": 2, "actions": 2, "features": 2, "images": 4}
        if steps == 0:
            raise UserError(f"{where}: wanted 1 step or more, came none")
        for name, wanted in rows.items():
            value = getattr(self, name)
            if value is None:
                continue
            shape, ndim = np.shape(value), dims.get(name, 1)
            if len(shape) != ndim or shape[0] != wanted:
                raise UserError(f"{where}: {name} has the shape {shape}, wanted {wanted} rows and {ndim} axes")
            if name == "images" and (value.dtype != np.uint8 or shape[-1] != 3):
                raise UserError(f"{where}: images are {shape} {value.dtype}, wanted ({wanted}, height, width, 3) uint8")
            if name != "images" and not np.isfinite(value).all():
                step = int(np.argwhere(~np.isfinite(value))[0][0])
                raise UserError(f"{where}: {name} at step {step} is not finite: {value[step]}")


def write(group: h5py.Group, episode: Trajectory, number: int) -> None:
    """An episode into an empty group, in Minari's layout; what Minari has no name for lies under `infos`."""
    steps = len(episode)
    group.attrs["id"], group.attrs["total_steps"] = number, steps
    if episode.seed is not None:
        group.attrs["seed"] = episode.seed
    group.attrs["source"] = episode.source
    actions = np.zeros((steps, 0)) if episode.actions is None else episode.actions
    group["observations"] = np.asarray(episode.observations, dtype=np.float32)
    group["actions"] = np.asarray(actions, dtype=np.float32)
    group["rewards"] = np.asarray(episode.rewards, dtype=np.float32)
    group["terminations"] = np.asarray(episode.terminated, dtype=bool)
    truncated = np.zeros(steps, dtype=bool)
    truncated[-1] = not episode.terminated[-1]
    group["truncations"] = truncated
    infos = group.create_group("infos")
    infos["success"] = np.append(False, episode.success)  # one a frame, as all of Minari's infos
    if episode.features is not None:
        infos["features"] = np.asarray(episode.features, dtype=np.float32)
    if episode.images is not None:
        chunk = (min(FRAMES_PER_CHUNK, steps + 1), *episode.images.shape[1:])
        infos.create_dataset("images", data=episode.images, chunks=chunk, shuffle=False, **COMPRESSION)


def widths(group: h5py.Group) -> dict[str, tuple[int, ...]]:
    """What all episodes of a dataset share: the shape of a row of each key."""
    keys = ("observations", "actions", "infos/features", "infos/images")
    return {key: tuple(group[key].shape[1:]) for key in keys if key in group}


def read(group: h5py.Group, where: str) -> Trajectory:
    """What `write` wrote, without the images, which are read when somebody looks at them.

    Raises:
        UserError: something is missing, damaged or out of shape; `where` names file and episode.
    """

    def rows(name: str) -> Any:
        try:
            return group[name][()]
        except KeyError:
            raise UserError(f"{where}: there is no {name!r}; there are: {', '.join(sorted(group))}") from None
        except OSError as error:
            raise UserError(f"{where}: {name} cannot be read: {error}") from error

    actions = rows("actions")
    watched = actions.ndim == 2 and actions.shape[1] == 0
    episode = Trajectory(
        observations=rows("observations"),
        actions=None if watched else actions,
        rewards=rows("rewards"),
        terminated=rows("terminations"),
        success=rows("infos/success")[1:],
        features=rows("infos/features") if "infos/features" in group else None,
        source=str(group.attrs.get("source", "")),
        seed=None if "seed" not in group.attrs else int(group.attrs["seed"]),
    )
    episode.check(where)
    return episode
