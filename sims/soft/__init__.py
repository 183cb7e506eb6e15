"""Soft things on a table: a rope to straighten, a cloth to fold, a cup of water to carry."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from robot_learn.errors import unknown
from robot_learn.scene import Scene
from robot_learn.types import Task
from sims.mujoco_task import MujocoTask, MujocoTaskWorlds
from sims.soft import fold_cloth, pass_water, straighten_rope

Controller = Callable[[Scene, np.ndarray], np.ndarray]

TASKS: dict[str, tuple[MujocoTask, Controller]] = {
    "straighten-rope": (straighten_rope.STRAIGHTEN_ROPE, straighten_rope.scripted),
    "fold-cloth": (fold_cloth.FOLD_CLOTH, fold_cloth.scripted),
    "pass-water": (pass_water.PASS_WATER, pass_water.scripted),
}


def _known(name: str) -> tuple[MujocoTask, Controller]:
    if name not in TASKS:
        raise unknown("task", f"soft/{name}", [f"soft/{known}" for known in TASKS])
    return TASKS[name]


def task(name: str) -> Task:
    """The task `soft/<name>`."""
    return _known(name)[0].task


def make(name: str, num_worlds: int, *, threads: int | None = None) -> MujocoTaskWorlds:
    """Worlds of the task `soft/<name>`."""
    return MujocoTaskWorlds(_known(name)[0], num_worlds, threads=threads)


def scripted(name: str, num_worlds: int) -> Controller:
    """A controller of `soft/<name>`: actions (N, act_dim) from the scene alone, without memory."""
    return _known(name)[1]
