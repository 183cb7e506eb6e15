"""A MuJoCo task of our own: a model and a few functions of the batched state; the worlds around them are the same.

`MujocoTask` says what a task is, `MujocoTaskWorlds` runs N worlds of it. Functions of one world (`start`, `drive`,
`finish`) act on MuJoCo's model and data; functions of all worlds (`read`, `success` and so on) get a `View` and
return arrays with the batch axis first.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import mujoco
import numpy as np

from robot_learn.types import Task
from sims.env import Values
from sims.mujoco_worlds import MujocoWorlds, thread_count
from sims.rendering import Camera

Memory = dict[str, np.ndarray]  # what an episode must remember of itself, each (N, ...)
Put = Callable[[mujoco.MjModel, mujoco.MjData], None]
POSES = ("qpos", "qvel", "xpos", "xquat", "site_xpos")


class View:
    """All worlds after the last step, to read: arrays are (N, ...) and must not be written to."""

    def __init__(self, engine: MujocoWorlds, memory: Memory) -> None:
        self._engine, self.memory = engine, memory
        self.model = engine.models[0]  # names and sizes; what worlds differ in must not be read from it
        self.num_worlds = engine.num_worlds

    def __getitem__(self, name: str) -> np.ndarray:
        """`data.<name>` of all worlds, one of the arrays that the task keeps."""
        return self._engine.gather(name)

    def position(self, body: str) -> np.ndarray:
        """Origin of a body's frame, (N, 3) [m], world frame."""
        return self["xpos"][:, self.model.body(body).id]

    def quaternion(self, body: str) -> np.ndarray:
        """Orientation of a body (w, x, y, z), (N, 4), world frame."""
        return self["xquat"][:, self.model.body(body).id]

    def site(self, name: str) -> np.ndarray:
        """Position of a site, (N, 3) [m], world frame."""
        return self["site_xpos"][:, self.model.site(name).id]

    def joint(self, name: str) -> np.ndarray:
        """Position of a hinge or slide joint, (N,) [rad or m]."""
        return self["qpos"][:, self.model.joint(name).qposadr[0]]

    def joint_velocity(self, name: str) -> np.ndarray:
        """Velocity of a hinge or slide joint, (N,) [rad/s or m/s]."""
        return self["qvel"][:, self.model.joint(name).dofadr[0]]


def set_controls(model: mujoco.MjModel, data: mujoco.MjData, action: np.ndarray) -> None:
    """An action is what the actuators get."""
    data.ctrl[:] = action


def refresh_poses(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Bring positions up to the state after the last substep; a step leaves them one substep behind."""
    mujoco.mj_kinematics(model, data)


def never(view: View) -> np.ndarray:
    """(N,) False."""
    return np.zeros(view.num_worlds, dtype=bool)


def nothing(view: View) -> Memory:
    """No memory."""
    return {}


def tell_all(task: Task, values: Values) -> np.ndarray:
    """Every field of the scene, flat, in the schema's order: (N, obs_dim)."""
    count = len(values[task.schema.names[0]])
    return np.concatenate([values[name].reshape(count, -1) for name in task.schema.names], axis=1)


@dataclass(frozen=True)
class MujocoTask:
    """One task, told by its model and its functions."""

    task: Task
    model: Callable[[], mujoco.MjModel]
    frame_skip: int  # substeps of the model's time step in one control step
    start: Callable[[mujoco.MjModel, mujoco.MjData, np.random.Generator], None]  # place one world, reset just before
    read: Callable[[View], Values]  # every field of the schema
    success: Callable[[View], np.ndarray]  # (N,) bool
    expert_reward: Callable[[View, np.ndarray], np.ndarray]  # (N,) from a view and actions (N, act_dim)
    cameras: Mapping[str, Camera]  # the first is what `render` shows unless asked otherwise
    drive: Callable[[mujoco.MjModel, mujoco.MjData, np.ndarray], None] = set_controls  # before the substeps
    finish: Callable[[mujoco.MjModel, mujoco.MjData], None] = refresh_poses  # after the substeps
    terminated: Callable[[View], np.ndarray] = never  # (N,) bool
    observe: Callable[[View], np.ndarray] | None = None  # (N, obs_dim); by default every field of the scene
    obs_dim: int | None = None  # of `observe`; by default the size of the scene
    begin: Callable[[View], Memory] = nothing  # the memory at a reset
    update: Callable[[View], Memory] | None = None  # the memory after a step; `view.memory` is that before it
    kept: tuple[str, ...] = POSES  # arrays of MjData that the functions read
    placed: tuple[str, ...] = ()  # arrays of MjModel that `start` may change
    observation_space: gymnasium.spaces.Box | None = None  # by default unbounded float64
    action_space: gymnasium.spaces.Box | None = None  # by default the bounds of `task.action`, float32
    clip_actions: bool = True  # to those bounds, before anything sees them
    extra: Mapping[str, Any] = field(default_factory=dict)  # e.g. what a benchmark must know


class MujocoTaskWorlds:
    """N worlds of a `MujocoTask`; see `sims.env.Worlds`."""

    def __init__(self, definition: MujocoTask, num_worlds: int, *, threads: int | None = None) -> None:
        self.task, self.definition, self.num_worlds = definition.task, definition, num_worlds
        model = definition.model()
        models = [model, *(copy.copy(model) for _ in range(thread_count(num_worlds, threads) - 1))]
        self._engine = MujocoWorlds(models, num_worlds, kept=definition.kept, placed=definition.placed)
        self._memory: Memory = {}
        low, high = np.array([[part.low, part.high] for part in self.task.action], dtype=np.float32).T
        self.action_space = definition.action_space or gymnasium.spaces.Box(low, high, dtype=np.float32)
        size = definition.obs_dim or sum(int(np.prod(entry.shape)) for entry in self.task.schema)
        self.observation_space: gymnasium.spaces.Box = definition.observation_space or gymnasium.spaces.Box(
            -np.inf,
            np.inf,
            (size,),
            np.float64,
        )
        self.cameras = tuple(definition.cameras)

    @property
    def view(self) -> View:
        return View(self._engine, self._memory)

    @property
    def settable(self) -> tuple[str, ...]:
        return self._engine.settable

    def set_parameters(self, index: int, factors: Mapping[str, float]) -> None:
        self._engine.set_parameters(index, factors)

    def reset(self, indices: Sequence[int], rngs: Sequence[np.random.Generator]) -> None:
        rng_of = dict(zip(indices, rngs, strict=True))

        def start(seat: int, index: int) -> None:
            model, data = self._engine.models[seat], self._engine.datas[seat]
            mujoco.mj_resetData(model, data)
            self.definition.start(model, data, rng_of[index])
            mujoco.mj_forward(model, data)
            self.definition.finish(model, data)

        chosen = list(indices)
        self._engine.run(start, chosen, places=bool(self.definition.placed))
        fresh = self.definition.begin(self.view)
        for name, rows in fresh.items():
            kept = self._memory.get(name)
            self._memory[name] = rows.copy() if kept is None else kept.copy()
            self._memory[name][chosen] = rows[chosen]

    def place(self, index: int, put: Put, *, fresh: bool = False) -> None:
        """Put one world where `put` writes that it is, as it was measured elsewhere; no time passes.

        With `fresh` an episode begins there: what it remembers of itself begins anew.
        """

        def write(seat: int, _: int) -> None:
            model, data = self._engine.models[seat], self._engine.datas[seat]
            put(model, data)
            self.definition.finish(model, data)

        self._engine.run(write, [index])
        remembered = self.definition.begin if fresh else self.definition.update
        for name, rows in ({} if remembered is None else remembered(self.view)).items():
            kept = self._memory.get(name, rows).copy()
            kept[index] = rows[index]
            self._memory = self._memory | {name: kept}

    def step(self, actions: np.ndarray) -> None:
        if self.definition.clip_actions:
            actions = np.clip(actions, self.action_space.low, self.action_space.high)
        drive, finish, skip = self.definition.drive, self.definition.finish, self.definition.frame_skip

        def advance(seat: int, index: int) -> None:
            model, data = self._engine.models[seat], self._engine.datas[seat]
            drive(model, data, actions[index])
            mujoco.mj_step(model, data, skip)
            finish(model, data)

        self._engine.run(advance)
        if self.definition.update is not None:
            self._memory = self.definition.update(self.view)

    def observe(self) -> np.ndarray:
        if self.definition.observe is not None:
            return self.definition.observe(self.view)
        return tell_all(self.task, self.definition.read(self.view))

    def read(self) -> Values:
        return self.definition.read(self.view)

    def success(self) -> np.ndarray:
        return self.definition.success(self.view)

    def terminated(self) -> np.ndarray:
        return self.definition.terminated(self.view)

    def expert_reward(self, actions: np.ndarray) -> np.ndarray:
        return self.definition.expert_reward(self.view, actions)

    def snapshot(self, index: int) -> Any:
        return self._engine.snapshot(index), {name: rows[index].copy() for name, rows in self._memory.items()}

    def restore(self, index: int, snapshot: Any) -> None:
        world, remembered = snapshot
        self._engine.restore(index, world)
        if not self._memory:
            self._memory = self.definition.begin(self.view)
        self._memory = {name: rows.copy() for name, rows in self._memory.items()}
        for name, value in remembered.items():
            self._memory[name][index] = value

    def render(self, index: int, width: int, height: int, camera: str | None = None) -> np.ndarray:
        return self._engine.picture(index, self._view_of(camera), width, height)

    def pictures(
        self, width: int, height: int, camera: str | None = None, indices: Sequence[int] | None = None
    ) -> np.ndarray:
        return self._engine.pictures(self._view_of(camera), width, height, indices)

    def _view_of(self, camera: str | None) -> Camera:
        return self.definition.cameras[camera or self.cameras[0]]

    def close(self) -> None:
        self._engine.close()
