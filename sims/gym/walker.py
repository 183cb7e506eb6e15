"""Gymnasium's Walker2d (v5), equal to the upstream environment step for step; success is ours and is measured.

Model, time steps, observations, terminations and the expert reward are upstream's. Of its two legs upstream leaves the
right one without a name; in pictures the left one is purple.
"""

from __future__ import annotations

import mujoco
import numpy as np

from robot_learn.scene import Field, Schema
from robot_learn.types import Task
from sims.env import Values
from sims.gym.bodies import CAMERAS, Forward, model, radius, torques
from sims.mujoco_task import MujocoTask, View, refresh_poses

DISTANCE = 5.0  # [m] forward, upright, within 8 s: an average of 0.63 m/s
CONTACT = 0.02  # [m] at most under a foot that counts as being on the floor
CONTROL_DT = 0.008  # [s]
FORWARD = Forward(CONTROL_DT)
FRAME_SKIP = 4
LEGS = ("right_leg", "left_leg")
FEET = {"right_leg": "foot_geom", "left_leg": "foot_left_geom"}
POINTS = {
    f"{leg} {end}": (foot, (x, 0.0, 0.1)) for leg, foot in FEET.items() for end, x in (("heel", -0.2), ("toe", 0.0))
}
KEPT = ("qpos", "qvel", "site_xpos")

ACTION = torques("right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle")
_JOINTS = {
    "hip": ("torso", "hip joint, from -2.6 (thigh swung back) to 0 (in line with the torso)"),
    "knee": ("thigh", "knee joint, from -2.6 (shin folded back) to 0 (straight)"),
    "ankle": ("shin", "ankle joint, from -0.79 (toe down) to 0.79 (toe up)"),
}


def _leg(leg: str) -> tuple[Field, ...]:
    """The fields of one leg."""
    name = leg.replace("_", " ")
    contact = f"1 where the foot of the {name} is on the floor (at most {CONTACT:g} m above it), else 0"
    height = f"height of the lowest point of the foot of the {name} above the floor"
    return (
        *(Field(f"{leg}.{joint}_angle", (), "rad", *told) for joint, told in _JOINTS.items()),
        *(
            Field(f"{leg}.{joint}_velocity", (), "rad/s", frame, f"rate of the {joint} joint")
            for joint, (frame, _) in _JOINTS.items()
        ),
        Field(f"{leg}.foot_height", (), "m", "world", height),
        Field(f"{leg}.foot_ahead", (), "m", "world", "how far ahead of the torso's centre, along +x, the heel is"),
        Field(f"{leg}.foot_contact", (), "1", "world", contact),
    )


SCHEMA = Schema(
    (
        Field("torso.x", (), "m", "world", "how far along +x (forward) the torso's centre is"),
        Field("torso.height", (), "m", "world", "height of the torso's centre; 1.21 standing upright on straight legs"),
        Field("torso.pitch", (), "rad", "world", "lean of the torso; 0 upright, positive leans forward"),
        Field("torso.x_velocity", (), "m/s", "world", "forward velocity of the torso"),
        Field("torso.z_velocity", (), "m/s", "world", "upward velocity of the torso"),
        Field("torso.pitch_velocity", (), "rad/s", "world", "rate of the lean"),
        *_leg("right_leg"),
        *_leg("left_leg"),
    )
)


def _start(model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
    data.qpos[:] += rng.uniform(-5e-3, 5e-3, model.nq)
    data.qvel[:] = rng.uniform(-5e-3, 5e-3, model.nv)


def foot_height(view: View, leg: str) -> np.ndarray:
    """Of the foot's lowest point above the floor, (N,) [m]."""
    ends = [view.site(f"{leg} {end}")[:, 2] for end in ("heel", "toe")]
    return np.asarray(np.minimum(*ends) - radius(view.model, FEET[leg]))


def read(view: View) -> Values:
    """Every field of `SCHEMA`."""
    qpos, qvel = view["qpos"], view["qvel"]
    found = {f"torso.{name}": qpos[:, i] for i, name in enumerate(("x", "height", "pitch"))}
    found |= {f"torso.{name}_velocity": qvel[:, i] for i, name in enumerate(("x", "z", "pitch"))}
    for index, name in enumerate(f"{leg}.{joint}" for leg in LEGS for joint in _JOINTS):
        found[f"{name}_angle"], found[f"{name}_velocity"] = qpos[:, 3 + index], qvel[:, 3 + index]
    for leg in LEGS:
        height = foot_height(view, leg)
        found[f"{leg}.foot_height"] = height
        found[f"{leg}.foot_ahead"] = view.site(f"{leg} heel")[:, 0] - qpos[:, 0]
        found[f"{leg}.foot_contact"] = (height <= CONTACT).astype(np.float64)
    return found


def observe(view: View) -> np.ndarray:
    """Upstream's observation, (N, 17)."""
    return np.concatenate([view["qpos"][:, 1:], np.clip(view["qvel"], -10, 10)], axis=1)


def healthy(view: View) -> np.ndarray:
    """Upstream's: neither fallen nor thrown up nor bent over, (N,)."""
    height, pitch = view["qpos"][:, 1], view["qpos"][:, 2]
    return np.asarray((height > 0.8) & (height < 2.0) & (np.abs(pitch) < 1.0))


def _success(view: View) -> np.ndarray:
    return healthy(view) & (FORWARD.way(view) >= DISTANCE)


def _expert_reward(view: View, actions: np.ndarray) -> np.ndarray:
    return np.asarray(FORWARD.velocity(view) + healthy(view) - 1e-3 * np.sum(np.square(actions), axis=1))


WALK = MujocoTask(
    task=Task(
        name="mujoco/walker",
        instruction="Make the two-legged robot walk forward as fast as it can without falling.",
        schema=SCHEMA,
        action=ACTION,
        max_episode_steps=1000,
        control_dt=CONTROL_DT,
    ),
    model=model("walker2d_v5", POINTS),
    frame_skip=FRAME_SKIP,
    start=_start,
    read=read,
    success=_success,
    expert_reward=_expert_reward,
    cameras=CAMERAS,
    finish=refresh_poses,
    terminated=lambda view: ~healthy(view),
    observe=observe,
    obs_dim=17,
    begin=FORWARD.begin,
    update=FORWARD.update,
    kept=KEPT,
    clip_actions=False,  # upstream passes them on, and MuJoCo clips
)
