"""What the ant's tasks on the spot share: it begins standing, and its feet and its upward direction are told."""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np

from robot_learn.scene import Field
from sims.env import Values
from sims.gym import ant
from sims.gym.bodies import model, radius
from sims.mujoco_task import View
from sims.rendering import Camera

# In the order of `ant.LEGS`: upstream's own names take +y for the front.
_SHINS = {
    "left_ankle_geom": (1, 1),
    "right_ankle_geom": (-1, 1),
    "third_ankle_geom": (-1, -1),
    "fourth_ankle_geom": (1, -1),
}
_FOOT = "left_ankle_geom"  # all four are as thick
FEET = ("front_left", "back_left", "back_right", "front_right")
POINTS = {foot: (shin, (0.4 * x, 0.4 * y, 0.0)) for foot, (shin, (x, y)) in zip(FEET, _SHINS.items(), strict=True)}
BODY = model("ant", POINTS)
CAMERAS = {
    "side": Camera((0.0, 0.0, 0.35), 3.2, 90, -20, follow="torso"),
    "front": Camera((0.0, 0.0, 0.35), 3.2, 180, -20, follow="torso"),
}
KEPT = ("qpos", "qvel", "site_xpos")

_CENTRE = "centre of the torso, a ball of radius 0.25; z 0.56 standing, 0.37 with its legs stretched out flat"
_UP = "unit vector along the torso's upward axis; (0, 0, 1) level, z below 0 upside down"
_BEND = f"bend of each leg, with signs +, -, -, + in this order: {ant.LEGS}; size 0.52 (stretched out) to 1.22 (steep)"
_HEIGHTS = "height of the lowest point of each foot above the floor, 0 where it touches: {}"
_TIPS = "centre of the tip of each foot, a ball of radius 0.08: {}"
FIELDS = (
    Field("torso.position", (3,), "m", "world", _CENTRE),
    Field("torso.up", (3,), "1", "world", _UP),
    *(replace(field, meaning=_BEND) if field.name == "legs.ankle_angles" else field for field in ant.MOTIONS),
    Field("legs.foot_heights", (4,), "m", "world", _HEIGHTS.format(ant.LEGS)),
    Field("legs.foot_positions", (4, 3), "m", "world", _TIPS.format(ant.LEGS)),
)


def start(model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
    """Standing on four bent legs, its feet on the floor, each joint a little off."""
    bend = np.array([1.0, -1.0, -1.0, 1.0])
    data.qpos[3:7] = 1.0, 0.0, 0.0, 0.0
    data.qpos[7::2] = rng.uniform(-0.1, 0.1, 4)
    data.qpos[8::2] = bend + rng.uniform(-0.1, 0.1, 4)
    data.qvel[:] = 0.05 * rng.standard_normal(model.nv)
    mujoco.mj_kinematics(model, data)
    data.qpos[2] -= data.site_xpos[:, 2].min() - radius(model, _FOOT)


def tips(view: View) -> np.ndarray:
    """Centres of the feet's tips, (N, 4, 3) [m], world frame."""
    return np.stack([view.site(foot) for foot in FEET], axis=1)


def heights(view: View) -> np.ndarray:
    """Of the feet's lowest points above the floor, (N, 4) [m]."""
    return np.asarray(tips(view)[:, :, 2] - radius(view.model, _FOOT))


def up(view: View) -> np.ndarray:
    """The torso's upward axis, (N, 3), world frame."""
    w, x, y, z = (view["qpos"][:, 3:7] / np.linalg.norm(view["qpos"][:, 3:7], axis=1, keepdims=True)).T
    return np.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], axis=1)


def read(view: View) -> Values:
    """All of `FIELDS`."""
    places = tips(view)
    mine = {"torso.up": up(view), "legs.foot_positions": places, "legs.foot_heights": heights(view)}
    return ant.read(view) | mine


def overturned(view: View) -> np.ndarray:
    """Thrown up, lost, or on its back, (N,)."""
    return np.asarray(~ant.healthy(view) | (up(view)[:, 2] < 0))
