"""Gymnasium's Hopper (v5), equal to the upstream environment step for step; success is ours and is measured.

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

DISTANCE = 5.0  # [m] forward, upright, within 8 s: an average of 0.63 m/s
CONTROL_DT = 0.008  # [s]
FORWARD = Forward(CONTROL_DT)
FRAME_SKIP = 4

ACTION = torques("hip", "knee", "ankle")
JOINTS = (
    Field("thigh.angle", (), "rad", "torso", "hip joint, from -2.6 (bent) to 0 (straight)"),
    Field("leg.angle", (), "rad", "thigh", "knee joint, from -2.6 (bent) to 0 (straight)"),
    Field("foot.angle", (), "rad", "leg", "ankle joint, from -0.79 to 0.79"),
    Field("thigh.angular_velocity", (), "rad/s", "torso", "rate of the hip joint"),
    Field("leg.angular_velocity", (), "rad/s", "thigh", "rate of the knee joint"),
    Field("foot.angular_velocity", (), "rad/s", "leg", "rate of the ankle joint"),
)
TASK = Task(
    name="mujoco/hopper",
    instruction="Make the one-legged robot hop forward as fast as it can without falling.",
    schema=Schema(
        (
            Field("torso.x", (), "m", "world", "how far along +x (forward) the torso is"),
            Field("torso.height", (), "m", "world", "height of the torso's centre; 1.25 when standing upright"),
            Field("torso.pitch", (), "rad", "world", "lean of the torso; 0 upright, positive leans forward"),
            Field("torso.x_velocity", (), "m/s", "world", "forward velocity of the torso"),
            Field("torso.z_velocity", (), "m/s", "world", "upward velocity of the torso"),
            Field("torso.pitch_velocity", (), "rad/s", "world", "rate of the lean"),
            *JOINTS,
        )
    ),
    action=ACTION,
    max_episode_steps=1000,
    control_dt=CONTROL_DT,
)


def start(model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
    """Upright, 4 cm above the floor, off by upstream's noise."""
    data.qpos[:] += rng.uniform(-5e-3, 5e-3, model.nq)
    data.qvel[:] = rng.uniform(-5e-3, 5e-3, model.nv)


def joints(view: View) -> Values:
    """The three joints, angles and rates, each (N,)."""
    names = ("thigh", "leg", "foot")
    angles = {f"{name}.angle": view["qpos"][:, 3 + i] for i, name in enumerate(names)}
    return angles | {f"{name}.angular_velocity": view["qvel"][:, 3 + i] for i, name in enumerate(names)}


def _read(view: View) -> Values:
    qpos, qvel = view["qpos"], view["qvel"]
    places = {f"torso.{name}": qpos[:, i] for i, name in enumerate(("x", "height", "pitch"))}
    return places | {f"torso.{name}_velocity": qvel[:, i] for i, name in enumerate(("x", "z", "pitch"))} | joints(view)


def _observe(view: View) -> np.ndarray:
    return np.concatenate([view["qpos"][:, 1:], np.clip(view["qvel"], -10, 10)], axis=1)


def _healthy(view: View) -> np.ndarray:
    qpos = view["qpos"]
    rest = np.concatenate([qpos[:, 2:], view["qvel"]], axis=1)
    in_range = np.all((rest > -100) & (rest < 100), axis=1)
    return np.asarray(in_range & (qpos[:, 1] > 0.7) & (np.abs(qpos[:, 2]) < 0.2))


def _success(view: View) -> np.ndarray:
    return _healthy(view) & (FORWARD.way(view) >= DISTANCE)


def _expert_reward(view: View, actions: np.ndarray) -> np.ndarray:
    return np.asarray(FORWARD.velocity(view) + _healthy(view) - 1e-3 * np.sum(np.square(actions), axis=1))


def _nothing_more(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """All that is read is up to date after a step."""


RUN = MujocoTask(
    task=TASK,
    model=model("hopper"),
    frame_skip=FRAME_SKIP,
    start=start,
    read=_read,
    success=_success,
    expert_reward=_expert_reward,
    cameras=CAMERAS,
    finish=_nothing_more,
    terminated=lambda view: ~_healthy(view),
    observe=_observe,
    obs_dim=11,
    begin=FORWARD.begin,
    update=FORWARD.update,
    kept=("qpos", "qvel"),
    clip_actions=False,  # upstream passes them on, and MuJoCo clips
)
