"""The task's scene from what an arm and a camera tell: the model of simulation is put where they say that all is.

The scene's fields, the observation vector and the success are then read by the very functions that simulation reads
them with, so that a policy sees on the arm what it saw in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import mujoco
import numpy as np

from hardware.arm import Observation
from robot_learn.deployment.objects import ObjectPoses, Seen, Sighting, movable
from robot_learn.errors import UserError
from robot_learn.franka import FINGER_TRAVEL
from robot_learn.scene import Scene
from sims.mujoco_task import MujocoTask, MujocoTaskWorlds

Values = Mapping[str, np.ndarray]
_SMOOTHING = 0.1  # [s] over which velocities of things are estimated where their source does not tell them
_LOST = 1.0  # [s] a gap between two sightings that no velocity is made of


class LostError(Exception):
    """Something that the task is about has not been seen, or not for too long."""


@dataclass(frozen=True, eq=False)
class Belief:
    """What the robot takes its world to be, N = 1."""

    scene: Scene  # when the next command will take effect
    vector: np.ndarray  # (1, obs_dim) the policy's observation, of that time
    measured: Values  # the fields of the scene, each (1, ...), when they were measured
    success: bool  # of what was measured


class Bridge:
    """Makes beliefs of one episode after another; `begin` one before its first belief.

    Args:
        definition: of the task.
        source: of the poses of all things in the task's model that move by themselves or stand elsewhere each time.
        oldest: how old a sighting may be [s]; older ones are as good as none.
        surest: the confidence below which a sighting is none.
        arm_clock: the source's times are of the arm's clock, not of the host's.
    """

    def __init__(
        self,
        definition: MujocoTask,
        source: ObjectPoses,
        *,
        oldest: float = 0.5,
        surest: float = 0.2,
        arm_clock: bool = False,
    ) -> None:
        self.task, self._source = definition.task, source
        self._worlds = MujocoTaskWorlds(definition, 2, threads=1)  # as measured, and as predicted
        self._movable = movable(self._worlds.view.model)
        self._oldest, self._surest, self._arm_clock = oldest, surest, arm_clock
        self.begin()

    def begin(self) -> None:
        """A new episode: nothing of the last one is remembered."""
        self._steps = 0
        self._initial: Values = {}
        self._previous: Values = {}
        self._tracks: dict[str, Track] = {}

    def believe(self, observation: Observation, horizon: float = 0.0) -> Belief:
        """What was measured, and what will be `horizon` seconds later if all goes on as fast as it does.

        Raises:
            LostError: something has not been seen.
        """
        seen = self._look(observation.time if self._arm_clock else observation.received)
        fresh = self._steps == 0
        here = _Placement(self._movable, observation, seen, 0.0)
        there = _Placement(self._movable, observation, seen, horizon)
        self._worlds.place(0, here, fresh=fresh)
        self._worlds.place(1, there, fresh=fresh)
        read = self._worlds.read()
        measured, ahead = ({name: rows[i : i + 1] for name, rows in read.items()} for i in (0, 1))
        if fresh:
            self._initial = self._previous = ahead
        scene = Scene(
            self.task.schema,
            ahead,
            initial=self._initial,
            previous=self._previous,
            steps=np.array([self._steps]),
        )
        self._previous = ahead
        self._steps += 1
        return Belief(scene, self._worlds.observe()[1:], measured, bool(self._worlds.success()[0]))

    def _look(self, time: float) -> dict[str, Seen]:
        found = self._source.poses(time)
        usable = {}
        for name in self._movable:
            seen = found.get(name)
            if seen is None or not np.isfinite(seen.T_base_object).all():
                raise LostError(f"nothing tells where {name!r} is; known: {', '.join(sorted(found)) or 'nothing'}")
            if seen.age > self._oldest:
                raise LostError(f"{name!r} was last seen {seen.age:.2f} s ago, allowed are {self._oldest:g} s")
            if seen.confidence < self._surest:
                raise LostError(
                    f"{name!r} is seen with confidence {seen.confidence:.2f}, wanted {self._surest:g} or more"
                )
            usable[name] = self._tracks.setdefault(name, Track()).follow(seen, time)
        return usable

    @property
    def things(self) -> tuple[str, ...]:
        """What must be seen."""
        return tuple(self._movable)

    def close(self) -> None:
        self._worlds.close()


class Track:
    """The velocity of one thing, from how its pose changes, where its source does not tell it."""

    def __init__(self) -> None:
        self._last: tuple[float, np.ndarray] | None = None
        self._velocity = np.zeros(6)

    def follow(self, seen: Sighting, time: float) -> Seen:
        """The sighting with a velocity; `time` [s] is the arm's, when it was asked for."""
        told = getattr(seen, "velocity", None)
        if told is not None:
            return Seen(seen.T_base_object, seen.age, seen.confidence, np.asarray(told, dtype=np.float64))
        when, pose = time - seen.age, np.asarray(seen.T_base_object, dtype=np.float64)
        if self._last is None or not 0.0 <= when - self._last[0] <= _LOST:
            self._velocity = np.zeros(6)
        elif when > self._last[0]:
            passed = when - self._last[0]
            between = np.concatenate([pose[:3, 3] - self._last[1][:3, 3], _turned(self._last[1], pose)]) / passed
            self._velocity = self._velocity + (1 - np.exp(-passed / _SMOOTHING)) * (between - self._velocity)
        if self._last is None or when != self._last[0]:
            self._last = (when, pose)
        return Seen(pose, seen.age, seen.confidence, self._velocity)


def _turned(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The rotation vector (3,) [rad], base frame, that leads from one pose (4, 4) to another."""
    quaternion, vector = np.empty(4), np.empty(3)
    mujoco.mju_mat2Quat(quaternion, (after[:3, :3] @ before[:3, :3].T).ravel())
    mujoco.mju_quat2Vel(vector, quaternion, 1.0)
    return vector


@dataclass(frozen=True, eq=False)
class _Placement:
    """Writes into a model's data where everything is, or will be after `horizon` seconds at constant velocity."""

    movable: Mapping[str, tuple[str, int]]
    observation: Observation
    seen: Mapping[str, Seen]
    horizon: float  # [s]

    def __call__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        told = self.observation
        data.qpos[:7], data.qvel[:7] = told.q + self.horizon * told.dq, told.dq
        if told.gripper is not None and model.nq >= 9:
            data.qpos[7:9], data.qvel[7:9] = np.clip(told.gripper.opening / 2, 0.0, FINGER_TRAVEL), 0.0
        for name, (kind, index) in self.movable.items():
            self._put(model, data, self.seen[name], kind, index)

    def _put(self, model: mujoco.MjModel, data: mujoco.MjData, seen: Seen, kind: str, index: int) -> None:
        velocity = np.zeros(6) if seen.velocity is None else seen.velocity
        position, quaternion = seen.T_base_object[:3, 3] + self.horizon * velocity[:3], np.empty(4)
        mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(seen.T_base_object[:3, :3]).ravel())
        local = seen.T_base_object[:3, :3].T @ velocity[3:]
        mujoco.mju_quatIntegrate(quaternion, local, self.horizon)
        if kind == "mocap":
            data.mocap_pos[index], data.mocap_quat[index] = position, quaternion
            return
        where, rate = model.jnt_qposadr[index], model.jnt_dofadr[index]
        data.qpos[where : where + 3], data.qpos[where + 3 : where + 7] = position, quaternion
        data.qvel[rate : rate + 3], data.qvel[rate + 3 : rate + 6] = velocity[:3], local


def needs_gripper(definition: MujocoTask) -> bool:
    """Whether the task's actions open and close a gripper."""
    return any(part.name == "gripper" for part in definition.task.action)


def check_arm(definition: MujocoTask, observation: Observation) -> None:
    """An arm tells all that the task wants of it.

    Raises:
        UserError: the task grips and the arm has no gripper.
    """
    if needs_gripper(definition) and observation.gripper is None:
        raise UserError(f"{definition.task.name} grips, and this arm tells of no gripper: is it attached and homed?")
