"""A Franka FR3 on a table: five tasks that a real arm can be given too, steered by the velocity of its fingertips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import mujoco

from robot_learn.errors import UserError, unknown
from robot_learn.registry import load
from robot_learn.types import Task
from sims.franka.scripts import Controller
from sims.franka.twist import TwistControl
from sims.mujoco_task import MujocoTask, MujocoTaskWorlds

TASKS = {name: f"sims.franka.{name.replace('-', '_')}" for name in ("reach", "push", "pick-cube", "pour", "drawer")}


def _from_module(name: str, attribute: str) -> object:
    if name not in TASKS:
        raise unknown("task", f"franka/{name}", [f"franka/{known}" for known in TASKS])
    return load({name: f"{TASKS[name]}:{attribute}"}, name, kind="Franka task")


def definition(name: str) -> MujocoTask:
    """What the task `franka/<name>` is."""
    found = _from_module(name, "DEFINITION")
    assert isinstance(found, MujocoTask)
    return found


def dressed(name: str, dress: Callable[[mujoco.MjSpec], None]) -> MujocoTask:
    """The task with more to look at in its world: what `dress` adds must move nothing and touch nothing.

    Raises:
        UserError: the task's world cannot be added to.
    """
    task = definition(name)
    try:
        make = _from_module(name, "spec")
    except UserError:
        raise UserError(f"nothing can be added to the world of franka/{name}") from None

    def model() -> mujoco.MjModel:
        spec = make()  # type: ignore[operator]
        dress(spec)
        compiled: mujoco.MjModel = spec.compile()
        return compiled

    return replace(task, model=model)


def control(name: str) -> TwistControl:
    """What the actions of `franka/<name>` mean, and the posture that its episodes begin near."""
    found = _from_module(name, "CONTROL")
    assert isinstance(found, TwistControl)
    return found


def task(name: str) -> Task:
    """The task `franka/<name>`."""
    return definition(name).task


def make(name: str, num_worlds: int, *, threads: int | None = None) -> MujocoTaskWorlds:
    """Worlds of the task `franka/<name>`."""
    return MujocoTaskWorlds(definition(name), num_worlds, threads=threads)


def scripted(name: str, num_worlds: int) -> Controller:
    """A controller that does the task, written by hand from what the scene tells."""
    controller: Controller = _from_module(name, "script")(num_worlds)  # type: ignore[operator]
    return controller
