"""Of each body with legs: which fields of its scene tell its motion, and how well it does what its task asks.

The first is what a critic is told of a rollout; the second only measures results, and no model ever sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from rewards.video.signals import Track
from robot_learn.errors import unknown
from robot_learn.rollouts import Rollouts
from robot_learn.types import Task

CONTACT = 0.02  # [m] at most under a foot that counts as being on the floor
Values = Mapping[str, np.ndarray]  # fields of the scene over one or more episodes, (..., *shape)


@dataclass(frozen=True)
class Body:
    """How to read a body's motion from its scene."""

    position: Callable[[Values], np.ndarray]  # (..., 3) [m] of the torso
    tilt: Callable[[Values], np.ndarray]  # (...) [rad], forward is positive; may jump by whole turns
    joints: tuple[str, ...]  # fields of angles
    feet: tuple[str, ...]  # their names
    foot_heights: Callable[[Values], np.ndarray]  # (..., F) [m] of the lowest point of each


def in_plane(values: Values) -> np.ndarray:
    """Place of a torso that moves in a plane, (..., 3)."""
    x, z = values["torso.x"], values["torso.height"]
    return np.stack([x, np.zeros_like(x), z], axis=-1)


def nose_down(values: Values) -> np.ndarray:
    """Turn about the body's own sideways axis from level, (...) [rad], of a torso's quaternion (w, x, y, z)."""
    w, x, y, z = np.moveaxis(values["torso.quaternion"], -1, 0)
    ahead, upward = 2 * (x * z - w * y), 1 - 2 * (x * x + y * y)  # of the vertical, in the torso's frame
    return np.asarray(np.arctan2(-ahead, upward))


def hopper_foot(values: Values) -> np.ndarray:
    """Height of the lowest point of the hopper's foot, (..., 1), from the lengths of its limbs; 0 on the floor."""
    height, lean = values["torso.height"], values["torso.pitch"]
    thigh = lean - values["thigh.angle"]
    shin = thigh - values["leg.angle"]
    sole = shin - values["foot.angle"]
    ankle = height - 0.2 * np.cos(lean) - 0.45 * np.cos(thigh) - 0.5 * np.cos(shin)
    # Heel and toe lie 0.26 m behind the front end of a capsule of radius 0.06 and length 0.39, a half of it each way.
    ends = np.stack([ankle + reach * -np.sin(sole) for reach in (-0.13, 0.26)], axis=-1)
    return np.asarray(ends.min(axis=-1, keepdims=True) - 0.06)


_ANT_FEET = ("front left", "back left", "back right", "front right")
_SIDES = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) / np.sqrt(2.0)  # of the legs, outward from the torso


def ant_feet(values: Values) -> np.ndarray:
    """Heights of the lowest points of the ant's feet, (..., 4), from the lengths of its limbs; 0 on the floor."""
    hip, bend = values["legs.hip_angles"], values["legs.ankle_angles"] * [1, -1, -1, 1]
    cos, sin = np.cos(hip), np.sin(hip)
    outward = np.stack([cos * _SIDES[:, 0] - sin * _SIDES[:, 1], sin * _SIDES[:, 0] + cos * _SIDES[:, 1]], axis=-1)
    reach = np.sqrt(0.08) + np.sqrt(0.32) * np.cos(bend)
    flat = np.sqrt(0.08) * _SIDES + reach[..., None] * outward
    w, x, y, z = np.moveaxis(values["torso.quaternion"][..., None, :], -1, 0)
    tilted = 2 * (x * z - w * y) * flat[..., 0] + 2 * (y * z + w * x) * flat[..., 1]
    below = (1 - 2 * (x * x + y * y)) * np.sqrt(0.32) * np.sin(bend)
    return np.asarray(values["torso.position"][..., 2:] + tilted - below - 0.08)


def _told(*names: str) -> Callable[[Values], np.ndarray]:
    """Heights that the scene tells, one field a foot."""
    return lambda values: np.stack([values[name] for name in names], axis=-1)


def _flat(*legs: str, joints: tuple[str, ...]) -> Body:
    """A body in a plane that tells the height of the foot of each of its legs."""
    return Body(
        in_plane,
        lambda values: values["torso.pitch"],
        tuple(f"{leg}.{joint}_angle" for leg in legs for joint in joints),
        tuple(leg.removesuffix("_leg") + " foot" for leg in legs),
        _told(*(f"{leg}.foot_height" for leg in legs)),
    )


_SIDED = ("right", "left")
_HOPPER = ("thigh.angle", "leg.angle", "foot.angle")
_ANT = Body(
    lambda values: values["torso.position"],
    nose_down,
    ("legs.hip_angles", "legs.ankle_angles"),
    tuple(f"{foot} foot" for foot in _ANT_FEET),
    ant_feet,
)
_ANT_THAT_TELLS = replace(_ANT, foot_heights=lambda values: values["legs.foot_heights"])
_FLIPPING = Body(
    in_plane,
    lambda values: values["torso.turned"],
    _HOPPER,
    ("foot",),
    lambda values: np.minimum(values["foot.heel_height"], values["foot.toe_height"])[..., None],
)
_HUMANOID = Body(
    lambda values: values["torso.position"],
    nose_down,
    (
        *(f"waist.{joint}_angle" for joint in ("turn", "bend", "lean")),
        *(f"{side}_leg.{joint}_angle" for side in _SIDED for joint in ("hip_spread", "hip_turn", "hip_swing", "knee")),
        *(f"{side}_arm.angles" for side in _SIDED),
    ),
    tuple(f"{side} foot" for side in _SIDED),
    _told(*(f"{side}_leg.foot_height" for side in _SIDED)),
)
_WALKER = _flat("right_leg", "left_leg", joints=("hip", "knee", "ankle"))
BODIES = {
    "mujoco/ant": _ANT,
    "mujoco/ant-jump": _ANT_THAT_TELLS,
    "mujoco/ant-lie-down": _ANT_THAT_TELLS,
    "mujoco/ant-wave-leg": _ANT_THAT_TELLS,
    "mujoco/hopper": Body(in_plane, lambda values: values["torso.pitch"], _HOPPER, ("foot",), hopper_foot),
    "mujoco/hopper-front-flip": _FLIPPING,
    "mujoco/hopper-back-flip": _FLIPPING,
    "mujoco/half-cheetah": _flat("back_leg", "front_leg", joints=("thigh", "shin", "foot")),
    "mujoco/walker": _WALKER,
    "mujoco/walker-hop": _WALKER,
    "mujoco/humanoid": _HUMANOID,
}


def body_of(task: Task) -> Body:
    """How to read a task's scene.

    Raises:
        UserError: its robot has no legs that are known.
    """
    if task.name not in BODIES:
        raise unknown("task of a body with legs", task.name, list(BODIES))
    return BODIES[task.name]


def tracks(rollouts: Rollouts, task: Task) -> list[Track]:
    """The motion of each episode up to its end; one that stopped early, or ends upside down, ended by a fall."""
    body = body_of(task)
    return [_track(task, body, rollouts, episode) for episode in range(rollouts.num_episodes)]


def _track(task: Task, body: Body, rollouts: Rollouts, episode: int) -> Track:
    moments = int(rollouts.running[:, episode].sum()) + 1
    values = {name: whole[:moments, episode] for name, whole in rollouts.values.items()}
    tilt = np.unwrap(body.tilt(values))
    return Track(
        dt=task.control_dt,
        position=body.position(values),
        tilt=tilt,
        joints=np.concatenate([values[name].reshape(moments, -1) for name in body.joints], axis=1),
        feet=body.foot_heights(values) <= CONTACT,
        names=body.feet,
        ended=bool(not rollouts.running[-1, episode] or np.cos(tilt[-1]) < 0.0),
    )
