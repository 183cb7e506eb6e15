"""The ant lies down: from standing onto legs stretched out flat, the right way up, and stays so.

Its torso then hangs 0.12 m above the floor, as low as the stops of its ankles let it come without turning over. Left
alone it does not get there within an episode: its feet hold by friction, so that it sinks a few centimetres.
"""

from __future__ import annotations

import numpy as np

from robot_learn.scene import Schema
from robot_learn.types import Task
from sims.gym import ant, ant_stance
from sims.gym.bodies import counted
from sims.mujoco_task import Memory, MujocoTask, View

LOW = 0.40  # [m] at most, the height of the torso's centre
LEVEL = 0.95  # at least, the upward part of the torso's axis: within 18 degrees
SPEED = 0.1  # [m/s] at most, of the torso
RATE = 0.5  # [rad/s] at most, of every joint and of the torso
HELD = 1.0  # [s] for so long without a break


def _lies(view: View) -> np.ndarray:
    qvel = view["qvel"]
    still = (np.linalg.norm(qvel[:, 0:3], axis=1) <= SPEED) & (np.abs(qvel[:, 3:]).max(axis=1) <= RATE)
    return np.asarray((view["qpos"][:, 2] <= LOW) & (ant_stance.up(view)[:, 2] >= LEVEL) & still)


def _begin(view: View) -> Memory:
    return {"lain": np.zeros(view.num_worlds)}


def _update(view: View) -> Memory:
    return {"lain": counted(_lies(view), view.memory["lain"])}


def _success(view: View) -> np.ndarray:
    return np.asarray(view.memory["lain"] * ant.CONTROL_DT >= HELD)


def _expert_reward(view: View, actions: np.ndarray) -> np.ndarray:
    low = 1.0 - np.tanh(8.0 * np.clip(view["qpos"][:, 2] - 0.37, 0.0, None))
    level = np.clip(ant_stance.up(view)[:, 2], 0.0, 1.0)
    motion = np.mean(np.square(np.clip(view["qvel"], -5.0, 5.0)), axis=1)
    effort = np.mean(np.square(np.clip(actions, -1.0, 1.0)), axis=1)
    return np.asarray(low * level + low * np.exp(-4.0 * motion) + 2.0 * _lies(view) - 0.1 * effort)


LIE_DOWN = MujocoTask(
    task=Task(
        name="mujoco/ant-lie-down",
        instruction="Make the four-legged robot lie down.",
        schema=Schema(ant_stance.FIELDS),
        action=ant.ACTION,
        max_episode_steps=100,
        control_dt=ant.CONTROL_DT,
    ),
    model=ant_stance.BODY,
    frame_skip=ant.FRAME_SKIP,
    start=ant_stance.start,
    read=ant_stance.read,
    success=_success,
    expert_reward=_expert_reward,
    cameras=ant_stance.CAMERAS,
    terminated=ant_stance.overturned,
    begin=_begin,
    update=_update,
    kept=ant_stance.KEPT,
)
