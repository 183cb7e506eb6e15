"""N MuJoCo worlds in one process, each with a model and data of its own, stepped by threads.

MuJoCo releases the interpreter lock while it steps, so plain threads fill all cores. Each world keeps its own `MjData`:
solver warm starts, contacts and external forces carry over from step to step exactly as in a single environment, which
`mujoco.rollout` (which starts every call from a bare state) cannot do, at the same speed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import mujoco
import numpy as np

STATE = int(mujoco.mjtState.mjSTATE_INTEGRATION)  # everything that the next step depends on, warm start included


class MujocoWorlds:
    """The engine under a batch: models, datas, threads, and reads of one array of all worlds at once."""

    def __init__(self, models: Sequence[mujoco.MjModel], *, threads: int | None = None) -> None:
        self.models = list(models)
        self.datas = [mujoco.MjData(model) for model in self.models]
        self.num_worlds = len(self.models)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
        self.threads = max(1, min(threads or cores, self.num_worlds))
        self._pool = ThreadPoolExecutor(self.threads) if self.threads > 1 else None
        self._chunks = [list(map(int, chunk)) for chunk in np.array_split(np.arange(self.num_worlds), self.threads)]
        self._views: dict[str, list[np.ndarray]] = {}

    def run(self, work: Callable[[Sequence[int]], None]) -> None:
        """Call `work` with every world's index, split over the threads; an error in one is raised here."""
        self.run_chunks(work, self._chunks)

    def run_some(self, work: Callable[[Sequence[int]], None], indices: Sequence[int]) -> None:
        """As `run`, for some worlds only."""
        self.run_chunks(work, [list(map(int, chunk)) for chunk in np.array_split(np.asarray(indices), self.threads)])

    def run_chunks(self, work: Callable[[Sequence[int]], None], chunks: Sequence[Sequence[int]]) -> None:
        if self._pool is None:
            for chunk in chunks:
                work(chunk)
        else:
            list(self._pool.map(work, chunks))

    def views(self, name: str) -> list[np.ndarray]:
        """`data.<name>` of every world, as arrays that stay bound to the simulation's memory."""
        if name not in self._views:
            self._views[name] = [getattr(data, name) for data in self.datas]
        return self._views[name]

    def gather(self, name: str) -> np.ndarray:
        """`data.<name>` of all worlds, (N, ...), a copy."""
        views = self.views(name)
        joined = np.concatenate(views) if self.num_worlds > 1 else views[0].copy()
        return joined.reshape(self.num_worlds, *views[0].shape)

    def get_state(self, index: int) -> np.ndarray:
        """The full integration state of one world, with its solver's warm start."""
        state = np.empty(mujoco.mj_stateSize(self.models[index], STATE))
        mujoco.mj_getState(self.models[index], self.datas[index], state, STATE)
        return state

    def set_state(self, index: int, state: np.ndarray) -> None:
        """Put a world where `get_state` found it, and bring positions, sites and velocities up to date with it."""
        model, data = self.models[index], self.datas[index]
        mujoco.mj_setState(model, data, state, STATE)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_comVel(model, data)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()


def joint_addresses(model: mujoco.MjModel, name: str) -> tuple[int, int]:
    """Where a joint's first coordinate lies in qpos and in qvel."""
    joint: Any = model.joint(name)
    return int(model.jnt_qposadr[joint.id]), int(model.jnt_dofadr[joint.id])
