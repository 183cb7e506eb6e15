"""Writing a dataset episode by episode, so that nothing that was recorded is ever lost.

    datasets/metaworld/drawer-open/random-v0/data/
        metadata.json     Minari's, and under "robot_learn" the manifest
        main_data.hdf5    the episodes; success, pictures and features lie under `infos`
        pending/          episodes that were recorded and not yet joined to the others
        lock              held by whoever adds episodes

An episode is a small file of its own until the writer is closed. So whatever kills a collection, all episodes that had
ended are still there, and the file of those before is never open for writing.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import gymnasium
import h5py
import numpy as np

from robot_learn.data import trajectory
from robot_learn.data.layout import LOCK, MAIN, METADATA, OURS, PENDING, data_root, full_name, metadata, opened
from robot_learn.data.trajectory import Trajectory
from robot_learn.errors import UserError
from robot_learn.runs import alone, atomic_write

_PATIENCE = 5.0  # [s] that a process which was killed may take to be gone


class DatasetWriter:
    """Adds episodes to a dataset as they end; a context manager that joins them when it is left, however it is left.

    Opening a dataset that is there goes on with it. `manifest` may be changed until the end; `settings`, which every
    session must share, may not.
    """

    def __init__(
        self,
        name: str,
        root: Path | str | None = None,
        *,
        task: str,
        settings: Mapping[str, Any] | None = None,
        action_space: gymnasium.spaces.Box | None = None,
    ) -> None:
        self.name, self._action_space = full_name(name), action_space
        self.folder = data_root(root) / self.name / "data"
        self.manifest: dict[str, Any] = {"task": task, "settings": json.loads(json.dumps(dict(settings or {})))}
        self._joined = 0
        self._widths: dict[str, tuple[int, ...]] | None = None  # of the first episode
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write to {self.folder}: {error.strerror}") from error
        busy = f"another process adds to {self.folder} at this moment: wait for it, end it, or choose another name"
        with ExitStack() as stack:
            stack.enter_context(alone(self.folder / LOCK, busy, wait=_PATIENCE))
            self._open()
            self._held = stack.pop_all()

    def _open(self) -> None:
        """Find what is there already, and go on with it."""
        if (self.folder / METADATA).exists():
            self._go_on()
        (self.folder / PENDING).mkdir(exist_ok=True)
        waiting = sorted(int(path.stem) for path in (self.folder / PENDING).glob("*.hdf5"))
        fresh = [number for number in waiting if number >= self._joined]
        if fresh != list(range(self._joined, self._joined + len(fresh))):
            raise UserError(f"{self.folder / PENDING}: episodes are missing between {self._joined} and {fresh[-1]}")
        self.num_episodes = self._joined + len(fresh)
        if self.num_episodes and self._widths is None:
            with opened(self.folder / PENDING / f"{fresh[0]:08d}.hdf5") as one:
                self._widths = trajectory.widths(one["episode"])
        self._write_metadata()

    def _go_on(self) -> None:
        stored = metadata(self.folder).get(OURS)
        if stored is None:
            raise UserError(f"{self.folder} is a dataset of others: choose another name")
        begun = {"task": stored.get("task")} | stored.get("settings", {})
        now = {"task": self.manifest["task"]} | self.manifest["settings"]
        differing = sorted(key for key in {*begun, *now} if begun.get(key) != now.get(key))
        if differing:
            listed = "; ".join(f"{key} was {begun.get(key)!r}, now {now.get(key)!r}" for key in differing)
            raise UserError(f"{self.folder} was begun with other settings: {listed}; choose another name")
        self.manifest = stored
        if (self.folder / MAIN).exists():
            with opened(self.folder / MAIN) as main:
                self._joined = len(main)
                self._widths = trajectory.widths(main["episode_0"])

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, episode: Trajectory) -> None:
        """Append one episode; when this returns, it is on disk.

        Raises:
            UserError: a value is not finite or has another shape than in the first; what was added before stays.
        """
        number = self.num_episodes
        episode.check(f"{self.name}, episode {number}")
        path = self.folder / PENDING / f"{number:08d}.hdf5"
        part = path.with_suffix(".part")
        with h5py.File(part, "w") as file:
            group = file.create_group("episode")
            trajectory.write(group, episode, number)
            came = trajectory.widths(group)
        if self._widths not in (None, came):
            part.unlink()
            raise UserError(f"{self.name}, episode {number}: rows are {came}, of the first episode {self._widths}")
        self._widths = came
        _sync(part)
        os.replace(part, path)
        self.num_episodes += 1

    def close(self) -> None:
        """Join the episodes that wait to the others."""
        pending = self.folder / PENDING
        main, part = self.folder / MAIN, self.folder / f"{MAIN}.part"
        if self.num_episodes > self._joined:
            if main.exists():
                shutil.copyfile(main, part)
            with h5py.File(part, "a" if main.exists() else "w", track_order=True) as joined:
                for number in range(self._joined, self.num_episodes):
                    with opened(pending / f"{number:08d}.hdf5") as one:
                        one.copy("episode", joined, name=f"episode_{number}")
            _sync(part)
            os.replace(part, main)
            self._joined = self.num_episodes
        self._write_metadata()
        for path in pending.glob("*.hdf5"):
            if int(path.stem) < self._joined:
                path.unlink()
        with suppress(OSError):  # something else lies there
            pending.rmdir()
        self._held.close()

    def tell(self, **said: Any) -> None:
        """Put something into the manifest, on disk at once."""
        self.manifest |= json.loads(json.dumps(said))
        self._write_metadata()

    def _write_metadata(self) -> None:
        """metadata.json as Minari wants it."""
        from minari import __version__ as minari_version
        from minari.serialization import serialize_space

        stored = metadata(self.folder) if (self.folder / METADATA).exists() else {}
        spaces, steps = {}, 0
        if (self.folder / MAIN).exists():
            with opened(self.folder / MAIN) as main:
                obs_dim, act_dim = (main[f"episode_0/{key}"].shape[1] for key in ("observations", "actions"))
                steps = sum(int(main[f"episode_{number}"].attrs["total_steps"]) for number in range(len(main)))
            spaces["observation_space"] = serialize_space(gymnasium.spaces.Box(-np.inf, np.inf, (obs_dim,), np.float32))
            actions = self._action_space or gymnasium.spaces.Box(-np.inf, np.inf, (act_dim,), np.float32)
            if act_dim == 0 or actions.shape != (act_dim,):
                actions = gymnasium.spaces.Box(-np.inf, np.inf, (act_dim,), np.float32)
            spaces["action_space"] = serialize_space(actions)
        told = {
            "dataset_id": self.name,
            "minari_version": minari_version,
            "data_format": "hdf5",
            "jpeg_encoding": False,
            "author": ["robot-learn"],
            "algorithm_name": str(self.manifest.get("grade", "unknown")),
            "description": f"Episodes of {self.manifest['task']}.",
            "total_episodes": self._joined,
            "total_steps": steps,
            "dataset_size": round((self.folder / MAIN).stat().st_size / 1e6, 1) if spaces else 0.0,
        }
        with atomic_write(self.folder / METADATA) as file:
            text = json.dumps(stored | told | spaces | {OURS: self.manifest}, indent=2, ensure_ascii=False)
            file.write(text.encode("utf-8"))


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
