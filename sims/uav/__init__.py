"""A quadrotor: through a gate, along a tube."""

from __future__ import annotations

from robot_learn.errors import unknown
from robot_learn.types import Task
from sims.mujoco_task import MujocoTask, MujocoTaskWorlds
from sims.uav.gate import GATE
from sims.uav.scripted import scripted as scripted
from sims.uav.tube import TUBE

TASKS = {"gate": GATE, "tube": TUBE}


def _definition(name: str) -> MujocoTask:
    if name not in TASKS:
        raise unknown("task", f"uav/{name}", [f"uav/{known}" for known in TASKS])
    return TASKS[name]


def task(name: str) -> Task:
    """The task `uav/<name>`."""
    return _definition(name).task


def make(name: str, num_worlds: int, *, threads: int | None = None) -> MujocoTaskWorlds:
    """Worlds of the task `uav/<name>`."""
    return MujocoTaskWorlds(_definition(name), num_worlds, threads=threads)
