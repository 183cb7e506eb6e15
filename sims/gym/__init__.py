"""Family "mujoco": behaviours of the bodies that Gymnasium's MuJoCo environments (v5) come with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import mujoco
import numpy as np

from robot_learn.errors import UserError, unknown
from robot_learn.registry import load
from robot_learn.scene import Scene
from robot_learn.types import Task
from sims.gym.menagerie import dressed, names
from sims.mujoco_task import MujocoTask, MujocoTaskWorlds

TASKS = {
    "hopper": "sims.gym.hopper:RUN",
    "ant": "sims.gym.ant:RUN",
    "hopper-front-flip": "sims.gym.hopper_flip:FRONT",
    "hopper-back-flip": "sims.gym.hopper_flip:BACK",
    "ant-lie-down": "sims.gym.ant_lie_down:LIE_DOWN",
    "ant-wave-leg": "sims.gym.ant_wave_leg:WAVE",
    "ant-jump": "sims.gym.ant_jump:JUMP",
    "half-cheetah": "sims.gym.half_cheetah:RUN",
    "walker": "sims.gym.walker:WALK",
    "walker-hop": "sims.gym.walker_hop:HOP",
    "humanoid": "sims.gym.humanoid:WALK",
    "cart-pole": "sims.gym.cart_pole:BALANCE",
}
SCRIPTED = {
    "cart-pole": "sims.gym.cart_pole:balance",
    "ant-jump": "sims.gym.ant_jump:jump",
    "half-cheetah": "sims.gym.half_cheetah:run",
}


def _definition(name: str) -> MujocoTask:
    if name not in TASKS:
        raise unknown("task", f"mujoco/{name}", [f"mujoco/{known}" for known in TASKS])
    found: MujocoTask = load(TASKS, name, kind="task")
    return found


def task(name: str) -> Task:
    """The task `mujoco/<name>`."""
    return _definition(name).task


def variants(name: str) -> tuple[str, ...]:
    """The other bodies that the task `mujoco/<name>` can be done with."""
    return names(_definition(name))


def make(
    name: str, num_worlds: int, *, threads: int | None = None, exact: bool = True, variant: str | None = None
) -> MujocoTaskWorlds:
    """Worlds of the task `mujoco/<name>`, with `variant` on another body that does the same.

    With `exact=False` they integrate by Euler's semi-implicit method instead of upstream's fourth-order Runge-Kutta:
    nearly the same motion with a quarter of the work, which is what a planner wants to imagine.
    """
    definition = _definition(name)
    if variant is not None:
        definition = dressed(definition, variant)
    if not exact:
        definition = replace(definition, model=partial(_quick, definition.model))
    return MujocoTaskWorlds(definition, num_worlds, threads=threads)


def _quick(model: Callable[[], mujoco.MjModel]) -> mujoco.MjModel:
    made = model()
    made.opt.integrator = mujoco.mjtIntegrator.mjINT_EULER
    return made


def scripted(name: str, num_worlds: int) -> Callable[[Scene, np.ndarray], np.ndarray]:
    """A hand-written controller of the task `mujoco/<name>`, where there is one.

    Raises:
        UserError: there is none; the bodies with legs are for learning.
    """
    task(name)
    if name not in SCRIPTED:
        raise UserError(f"no scripted controller for 'mujoco/{name}'; there are: {', '.join(SCRIPTED)}")
    controller: Callable[[Scene, np.ndarray], np.ndarray] = load(SCRIPTED, name, kind="controller")
    return controller
