"""Gymnasium's Ant (v5), equal to the upstream environment step for step; success is ours and is measured.

Model, time steps, observations, terminations and the expert reward are upstream's.
"""

from __future__ import annotations

import mujoco
import numpy as np

from robot_learn.scene import Field, Schema
from robot_learn.types import Task
from sims.env import Values
from sims.gym.bodies import CAMERAS, Forward, model, torques
from sims.mujoco_task import MujocoTask, View

DISTANCE = 10.0  # [m] forward, upright, within 50 s: an average of 0.2 m/s
CONTROL_DT = 0.05  # [s]
FRAME_SKIP = 5

LEGS = "front left, back left, back right, front right"
ACTION = torques(
    "front right hip",
    "front right ankle",
    "front left hip",
    "front left ankle",
    "back left hip",
    "back left ankle",
    "back right hip",
    "back right ankle",
)
MOTIONS = (
    Field("torso.quaternion", (4,), "1", "world", "orientation of the torso (w, x, y, z)"),
    Field("torso.velocity", (3,), "m/s", "world", "velocity of the torso; the first number is forward"),
    Field("torso.angular_velocity", (3,), "rad/s", "torso", "angular velocity of the torso"),
    Field("legs.hip_angles", (4,), "rad", "torso", f"swing of each leg: {LEGS}; each -0.52 to 0.52"),
    Field("legs.ankle_angles", (4,), "rad", "leg", f"bend of each leg: {LEGS}; size 0.52 to 1.22"),
    Field("legs.hip_velocities", (4,), "rad/s", "torso", "rates of the hip angles"),
    Field("legs.ankle_velocities", (4,), "rad/s", "leg", "rates of the ankle angles"),
)
TASK = Task(
    name="mujoco/ant",
    instruction="Make the four-legged robot run forward, along +x, without falling.",
    schema=Schema(
        (
            Field("torso.position", (3,), "m", "world", "centre of the torso; z: 0.75 when dropped, 0.55 standing"),
            *MOTIONS,
        )
    ),
    action=ACTION,
    max_episode_steps=1000,
    control_dt=CONTROL_DT,
)


def _start(model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
    data.qpos[:] += rng.uniform(-0.1, 0.1, model.nq)
    data.qvel[:] = 0.1 * rng.standard_normal(model.nv)


# Upstream's joints come leg by leg, hip before ankle. Its names of the legs take +y for the front; ours take +x, the
# direction that it rewards: front left, back left, back right, front right.
def read(view: View) -> Values:
    """Torso and legs as `TASK` names them."""
    qpos, qvel = view["qpos"], view["qvel"]
    return {
        "torso.position": qpos[:, 0:3],
        # A reset's noise leaves it unnormalised in qpos, as upstream observes it; MuJoCo simulates the unit one.
        "torso.quaternion": qpos[:, 3:7] / np.linalg.norm(qpos[:, 3:7], axis=1, keepdims=True),
        "torso.velocity": qvel[:, 0:3],
        "torso.angular_velocity": qvel[:, 3:6],
        "legs.hip_angles": qpos[:, 7::2],
        "legs.ankle_angles": qpos[:, 8::2],
        "legs.hip_velocities": qvel[:, 6::2],
        "legs.ankle_velocities": qvel[:, 7::2],
    }


def _observe(view: View) -> np.ndarray:
    contact = np.clip(view["cfrc_ext"][:, 1:], -1.0, 1.0).reshape(view.num_worlds, -1)
    return np.concatenate([view["qpos"][:, 2:], view["qvel"], contact], axis=1)


def healthy(view: View) -> np.ndarray:
    """Upstream's: finite, and the torso neither on the ground nor thrown up, (N,)."""
    qpos = view["qpos"]
    finite = np.isfinite(qpos).all(axis=1) & np.isfinite(view["qvel"]).all(axis=1)
    return np.asarray(finite & (qpos[:, 2] >= 0.2) & (qpos[:, 2] <= 1.0))


def _torso_x(view: View) -> np.ndarray:
    return view["xpos"][:, 1, 0]  # a substep behind qpos, as upstream reads it


FORWARD = Forward(CONTROL_DT, _torso_x)


def _success(view: View) -> np.ndarray:
    return healthy(view) & (FORWARD.way(view) >= DISTANCE)


def _expert_reward(view: View, actions: np.ndarray) -> np.ndarray:
    contact = np.clip(view["cfrc_ext"], -1.0, 1.0)
    costs = 0.5 * np.sum(np.square(actions), axis=1) + 5e-4 * np.sum(np.square(contact), axis=(1, 2))
    return np.asarray(FORWARD.velocity(view) + healthy(view) - costs)


RUN = MujocoTask(
    task=TASK,
    model=model("ant"),
    frame_skip=FRAME_SKIP,
    start=_start,
    read=read,
    success=_success,
    expert_reward=_expert_reward,
    cameras=CAMERAS,
    finish=mujoco.mj_rnePostConstraint,  # contact forces, which are observed; positions stay as upstream has them
    terminated=lambda view: ~healthy(view),
    observe=_observe,
    obs_dim=105,
    begin=FORWARD.begin,
    update=FORWARD.update,
    kept=("qpos", "qvel", "xpos", "cfrc_ext"),
    clip_actions=False,  # upstream passes them on, and MuJoCo clips
)
