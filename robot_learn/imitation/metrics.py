"""How well each behaviour is done, as one number an episode: what results are reported in, and no model ever sees.

Times are those of the whole rollout, so that an episode which ends in a fall has lost what was left of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robot_learn.errors import unknown
from robot_learn.imitation.bodies import CONTACT, body_of
from robot_learn.rollouts import Rollouts
from robot_learn.types import Task
from sims.gym.ant_jump import GROUNDED, HIGHEST, LEVEL, SPEED, STOOD_FOR


@dataclass(frozen=True)
class Metric:
    """One number an episode; more is better."""

    meaning: str
    unit: str
    measure: Callable[[Rollouts, Task], np.ndarray]  # (N,)


def _steps(rollouts: Rollouts) -> np.ndarray:
    """Moments that belong to each episode, (T + 1, N) bool."""
    return np.concatenate([np.ones((1, rollouts.num_episodes), dtype=bool), rollouts.running])


def _strides(rollouts: Rollouts, task: Task) -> np.ndarray:
    """Way forward in each step that belongs to an episode, (T, N) [m]."""
    x = body_of(task).position(rollouts.values)[..., 0]
    return np.where(rollouts.running, np.diff(x, axis=0), 0.0)


def forward_speed(rollouts: Rollouts, task: Task) -> np.ndarray:
    """Mean forward speed, (N,) [m/s]; way made upside down does not count."""
    upright = np.cos(body_of(task).tilt(rollouts.values))[1:] > 0.0
    way = np.where(upright, _strides(rollouts, task), 0.0).sum(axis=0)
    return np.asarray(way / (len(rollouts.running) * task.control_dt))


def one_legged_speed(rollouts: Rollouts, task: Task) -> np.ndarray:
    """Mean forward speed, times how much less the left foot is down than the right one: 1 never, 0 as much, (N,)."""
    down = (body_of(task).foot_heights(rollouts.values) <= CONTACT) & _steps(rollouts)[..., None]
    right, left = np.moveaxis(down.sum(axis=0), -1, 0)
    share = np.clip(1.0 - left / np.maximum(right, 1), 0.0, 1.0) * (right > 0)
    return np.asarray(np.clip(forward_speed(rollouts, task), 0.0, None) * share)


def jump_height(rollouts: Rollouts, task: Task) -> np.ndarray:
    """The highest that the lowest foot came before the ant stood on all feet for a while, (N,) [m], up to `HIGHEST`."""
    heights = body_of(task).foot_heights(rollouts.values)
    speed = np.linalg.norm(rollouts.values["torso.velocity"], axis=-1)
    level = rollouts.values["torso.up"][..., 2] >= LEVEL
    stands = (heights.max(axis=-1) <= GROUNDED) & (speed <= SPEED) & level
    held = _held(stands & _steps(rollouts), round(STOOD_FOR / task.control_dt))
    found = np.zeros(rollouts.num_episodes)
    for episode in range(rollouts.num_episodes):
        moments = np.flatnonzero(held[:, episode])
        if len(moments):
            found[episode] = max(0.0, float(heights[: moments[-1] + 1, episode].min(axis=-1).max()))
    return np.asarray(np.minimum(found, HIGHEST))


def _held(holds: np.ndarray, steps: int) -> np.ndarray:
    """Where something has held for so many moments in a row, (T + 1, N) bool."""
    count, found = np.zeros(holds.shape[1]), []
    for row in holds:
        count = np.where(row, count + 1, 0)
        found.append(count >= steps)
    return np.array(found)


def back_flip(rollouts: Rollouts, task: Task) -> np.ndarray:
    """Half of it is the share of a whole backward turn that was made, the other half a landing that held, (N,)."""
    turned = np.where(_steps(rollouts), -rollouts.values["torso.turned"], 0.0).max(axis=0)
    return np.asarray(0.5 * np.clip(turned / (2 * np.pi), 0.0, 1.0) + 0.5 * rollouts.succeeded)


_SPEED = Metric("mean forward speed, the right way up", "m/s", forward_speed)
METRICS = {
    "mujoco/ant": _SPEED,
    "mujoco/hopper": _SPEED,
    "mujoco/half-cheetah": _SPEED,
    "mujoco/walker": _SPEED,
    "mujoco/humanoid": _SPEED,
    "mujoco/walker-hop": Metric("mean forward speed on the right leg alone", "m/s", one_legged_speed),
    "mujoco/ant-jump": Metric("height of the lowest foot in a jump that is landed", "m", jump_height),
    "mujoco/hopper-back-flip": Metric("share of a whole backward turn, and of a landing", "1", back_flip),
}


def metric(task: Task) -> Metric:
    """What a task's behaviour is measured by.

    Raises:
        UserError: nothing measures it.
    """
    if task.name not in METRICS:
        raise unknown("task with a metric", task.name, list(METRICS))
    return METRICS[task.name]
