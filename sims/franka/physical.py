"""The Franka tasks as a controller with torque motors meets them: at one millisecond, for a simulated real arm.

Scene, objects, starts and success are the tasks' own (`sims.franka.definition`); only what the seven controls mean is
another: torques [Nm] on top of what carries the arm's weight, where the tasks themselves take joint velocities.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import mujoco
import numpy as np

from sims.env import Values
from sims.franka import definition, world
from sims.franka.reach import READY
from sims.mujoco_task import Memory, MujocoTask, View
from sims.mujoco_worlds import MujocoWorlds

TICK = 0.001  # [s] of a real arm's controller


def alone(arm: str = "fr3") -> mujoco.MjModel:
    """An arm on an empty table, with torque motors, at `TICK`."""
    model = world.table_world(arm).compile()
    with_torques(model)
    return model


def with_torques(model: mujoco.MjModel) -> None:
    """Turn the arm's seven velocity servos into torque motors, in place."""
    model.opt.timestep = TICK
    model.actuator_gainprm[:7], model.actuator_biasprm[:7] = 0.0, 0.0
    model.actuator_gainprm[:7, 0] = 1.0
    model.actuator_biastype[:7] = mujoco.mjtBias.mjBIAS_NONE
    model.actuator_ctrlrange[:7] = model.actuator_forcerange[:7]


@dataclass(eq=False)
class PhysicalWorld:
    """One world of a task on torque motors; whoever steps `data` moves it.

    Its functions read `data` as a step has left it: call them between steps, after `mj_step1` or `mj_forward`.
    """

    model: mujoco.MjModel
    data: mujoco.MjData
    task: MujocoTask | None = None  # None: an empty table
    memory: Memory = field(default_factory=dict)

    @property
    def view(self) -> View:
        """The world as the task's own functions read it, as a batch of one."""
        return View(cast(MujocoWorlds, _Single(self.model, self.data)), self.memory)

    def start(self, seed: int) -> None:
        """Place arm and objects as the task does for a new episode."""
        mujoco.mj_resetData(self.model, self.data)
        if self.task is None:
            self.data.qpos[:7] = READY
            world.open_gripper(self.data)
        else:
            self.task.start(self.model, self.data, np.random.default_rng(seed))
        mujoco.mj_forward(self.model, self.data)
        self.memory = self.task.begin(self.view) if self.task is not None else {}

    def remember(self) -> None:
        """Call once a control step where the task remembers what has happened in the episode."""
        if self.task is not None and self.task.update is not None:
            self.memory = self.task.update(self.view)

    def success(self) -> bool:
        """What the task itself says; an empty table has no success."""
        return self.task is not None and bool(self.task.success(self.view)[0])

    def read(self) -> Values:
        """Every field of the task's scene, (1, ...)."""
        return {} if self.task is None else self.task.read(self.view)


class _Single:
    """What `View` asks of the engine under a batch, of one world."""

    num_worlds = 1

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self.models, self._data = [model], data

    def gather(self, name: str) -> np.ndarray:
        """`data.<name>`, (1, ...)."""
        return np.array(getattr(self._data, name))[None]


def physical_world(name: str | None = None, arm: str = "fr3") -> PhysicalWorld:
    """The task `franka/<name>`, or an arm on an empty table, at its start for seed 0."""
    if name is not None:
        return physical_world_of(definition(name))
    model = alone(arm)
    made = PhysicalWorld(model, mujoco.MjData(model))
    made.start(0)
    return made


def physical_world_of(task: MujocoTask) -> PhysicalWorld:
    """The same of a task that is at hand."""
    model = task.model()
    with_torques(model)
    made = PhysicalWorld(model, mujoco.MjData(model), task)
    made.start(0)
    return made
