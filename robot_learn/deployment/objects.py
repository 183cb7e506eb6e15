"""Where the things are that a task is about: from a simulator, from a file, or from any camera that tells poses.

A pose source is asked at every step: `poses(time)` gives what it knows at the time of the arm's observation, by the
name that the thing has in the task's model. That time is of the host's monotonic clock, which cameras have too, unless
the arm is a simulated one whose clock stands between steps: then it is the arm's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import mujoco
import numpy as np

from robot_learn.errors import UserError
from sims.franka.arm import JOINTS

_OF_THE_ARM = (*JOINTS, "left_finger", "right_finger")


class Sighting(Protocol):
    """What a source says of one thing. Cameras have their own class for it; this is what is read of it."""

    @property
    def T_base_object(self) -> np.ndarray: ...  # noqa: N802  (4, 4) at the time that was asked for

    @property
    def age(self) -> float: ...  # [s] since it was seen

    @property
    def confidence(self) -> float: ...  # 0 to 1


Poses = Mapping[str, Sighting]


class ObjectPoses(Protocol):
    """A source of poses."""

    def poses(self, time: float) -> Poses:
        """What is known at a time [s] of the bridge's clock, by name."""
        ...


@dataclass(frozen=True, eq=False)
class Seen:
    """A sighting of ours."""

    T_base_object: np.ndarray  # (4, 4)
    age: float = 0.0  # [s] since it was seen: how much to trust it
    confidence: float = 1.0
    velocity: np.ndarray | None = None  # (6,) [m/s, rad/s] along the base's axes; None: not known


class Together:
    """Several sources as one; the later ones win where two know the same thing."""

    def __init__(self, *sources: ObjectPoses) -> None:
        self._sources = sources

    def poses(self, time: float) -> Poses:
        found: dict[str, Sighting] = {}
        for source in self._sources:
            found |= source.poses(time)
        return found


class Fixed:
    """Poses that do not change, e.g. a goal that somebody has measured.

    Raises:
        UserError: a pose is none.
    """

    def __init__(self, poses: Mapping[str, np.ndarray]) -> None:
        for name, pose in poses.items():
            if np.shape(pose) != (4, 4) or not np.isfinite(pose).all():
                raise UserError(f"pose of {name!r}: wanted (4, 4) finite numbers, came shape {np.shape(pose)}")
        self._poses = {name: Seen(np.array(pose, dtype=np.float64)) for name, pose in poses.items()}

    @classmethod
    def read(cls, path: Path) -> Fixed:
        """From a JSON file: {"goal": {"position": [0.5, 0, 0.2], "quaternion": [1, 0, 0, 0]}}.

        Positions are in metres, from the arm's base; quaternions (w, x, y, z) may be left out.

        Raises:
            UserError: the file cannot be read, or a key or number in it is wrong.
        """
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"poses {path}: cannot be read: {error}") from error
        if not isinstance(told, dict):
            raise UserError(f"poses {path}: wanted an object of names, came {type(told).__name__}")
        return cls({name: _pose(f"{path}, {name!r}", entry) for name, entry in told.items()})

    def poses(self, time: float) -> Poses:
        return self._poses


def _pose(where: str, entry: Any) -> np.ndarray:
    if not isinstance(entry, dict) or "position" not in entry or entry.keys() - {"position", "quaternion"}:
        raise UserError(f"poses {where}: wanted 'position' and, if it is turned, 'quaternion', came {entry!r}")
    try:
        position = np.array(entry["position"], dtype=np.float64)
        quaternion = np.array(entry.get("quaternion", [1, 0, 0, 0]), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"poses {where}: {error}") from error
    if position.shape != (3,) or not np.isfinite(position).all():
        raise UserError(f"poses {where}: position: wanted 3 numbers [m], came {entry['position']!r}")
    if quaternion.shape != (4,) or not abs(np.linalg.norm(quaternion) - 1.0) < 1e-3:
        raise UserError(f"poses {where}: quaternion: wanted 4 numbers of length 1, came {entry['quaternion']!r}")
    return pose_of(position, quaternion)


def pose_of(position: np.ndarray, quat_wxyz: np.ndarray) -> np.ndarray:
    """A pose (4, 4) from a position (3,) [m] and an orientation (4,) (w, x, y, z)."""
    pose, rotation = np.eye(4), np.empty(9)
    mujoco.mju_quat2Mat(rotation, quat_wxyz / np.linalg.norm(quat_wxyz))
    pose[:3, :3], pose[:3, 3] = rotation.reshape(3, 3), position
    return pose


def movable(model: mujoco.MjModel) -> dict[str, tuple[str, int]]:
    """The things of a task's model that stand somewhere else in each episode, by name: ("mocap" | "free", index).

    The index is that of the mocap body, or of the free joint.

    Raises:
        UserError: something moves in a joint, e.g. a drawer: poses do not tell how far.
    """
    joints = {model.joint(number).name: model.jnt_type[number] for number in range(model.njnt)}
    others = [name for name, kind in joints.items() if kind != mujoco.mjtJoint.mjJNT_FREE and name not in _OF_THE_ARM]
    if others:
        raise UserError(
            f"a task with the joint {others[0]!r} cannot be done on an arm yet: no source tells its position"
        )
    found: dict[str, tuple[str, int]] = {}
    for number in range(1, model.nbody):
        body = model.body(number)
        if body.mocapid[0] >= 0:
            found[body.name] = ("mocap", int(body.mocapid[0]))
        elif body.jntnum[0] == 1 and model.jnt_type[body.jntadr[0]] == mujoco.mjtJoint.mjJNT_FREE:
            found[body.name] = ("free", int(body.jntadr[0]))
    return found


class Truth:
    """What a simulator knows, of the world that its arm stands in: as exact as simulation itself.

    Args:
        between: calls a function when the data are at rest, where another thread steps them, and gives what it gave.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        between: Callable[[Callable[[], Poses]], Poses] = lambda read: read(),
    ) -> None:
        self._model, self._data, self._between, self._movable = model, data, between, movable(model)

    def poses(self, time: float) -> Poses:
        return self._between(self._read)

    def _read(self) -> Poses:
        return {name: self._seen(kind, index) for name, (kind, index) in self._movable.items()}

    def _seen(self, kind: str, index: int) -> Seen:
        # Body poses would be those before the last substep: coordinates are those after it.
        if kind == "mocap":
            return Seen(pose_of(self._data.mocap_pos[index], self._data.mocap_quat[index]), velocity=np.zeros(6))
        where, rate = self._model.jnt_qposadr[index], self._model.jnt_dofadr[index]
        pose = pose_of(self._data.qpos[where : where + 3], self._data.qpos[where + 3 : where + 7])
        velocity = np.array(self._data.qvel[rate : rate + 6])
        velocity[3:] = pose[:3, :3] @ velocity[3:]  # MuJoCo turns free bodies about their own axes
        return Seen(pose, velocity=velocity)
