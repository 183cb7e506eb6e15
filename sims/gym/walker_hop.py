"""The walker travels forward on its right leg alone: its left foot is never on the floor.

It starts on its right leg, the left shin folded back. Where the left foot comes down nothing ends; the way only begins
anew there.
"""

from __future__ import annotations

import mujoco
import numpy as np

from robot_learn.types import Task
from sims.gym import walker
from sims.gym.bodies import CAMERAS
from sims.mujoco_task import Memory, MujocoTask, View, refresh_poses

DISTANCE = 2.0  # [m] forward, upright, since the left foot was last on the floor
FASTEST = 2.0  # [m/s] no more is paid for
LIFTED = 0.15  # [m] under the left foot, from which on no more is paid for
KNEE = -1.4  # [rad] of the left leg at the start


def _start(model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
    data.qpos[model.joint("leg_left_joint").qposadr[0]] = KNEE
    data.qpos[:] += rng.uniform(-5e-3, 5e-3, model.nq)
    data.qvel[:] = rng.uniform(-5e-3, 5e-3, model.nv)


def _begin(view: View) -> Memory:
    return walker.FORWARD.begin(view) | {"since_x": view["qpos"][:, 0]}


def _update(view: View) -> Memory:
    """`since_x` [m] is where the left foot was last down."""
    down = walker.foot_height(view, "left_leg") <= walker.CONTACT
    return walker.FORWARD.update(view) | {"since_x": np.where(down, view["qpos"][:, 0], view.memory["since_x"])}


def _success(view: View) -> np.ndarray:
    return np.asarray(walker.healthy(view) & (view["qpos"][:, 0] - view.memory["since_x"] >= DISTANCE))


def _expert_reward(view: View, actions: np.ndarray) -> np.ndarray:
    left = walker.foot_height(view, "left_leg")
    lifted = np.clip(left / LIFTED, 0.0, 1.0)
    forward = np.clip(walker.FORWARD.velocity(view), -FASTEST, FASTEST) * np.where(left > walker.CONTACT, 1.0, 0.0)
    upright = np.exp(-2.0 * np.square(view["qpos"][:, 2]))
    return np.asarray(forward + walker.healthy(view) * upright * lifted - 1e-3 * np.sum(np.square(actions), axis=1))


HOP = MujocoTask(
    task=Task(
        name="mujoco/walker-hop",
        instruction="Make the two-legged robot hop forward on its right leg; its left foot must never touch the floor.",
        schema=walker.SCHEMA,
        action=walker.ACTION,
        max_episode_steps=1000,
        control_dt=walker.CONTROL_DT,
    ),
    model=walker.WALK.model,
    frame_skip=walker.FRAME_SKIP,
    start=_start,
    read=walker.read,
    success=_success,
    expert_reward=_expert_reward,
    cameras=CAMERAS,
    finish=refresh_poses,
    terminated=lambda view: ~walker.healthy(view),
    observe=walker.observe,
    obs_dim=17,
    begin=_begin,
    update=_update,
    kept=walker.KEPT,
)
