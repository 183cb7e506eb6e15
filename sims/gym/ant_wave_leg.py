"""The ant waves its front right leg: raised, to and fro, while it stands on the other three.

With a leg off the floor the weight would rest on the line between its neighbours, so these must first be set forward
under the side that is left open.
"""

from __future__ import annotations

import numpy as np

from robot_learn.scene import Schema
from robot_learn.types import Task
from sims.gym import ant, ant_stance
from sims.mujoco_task import Memory, MujocoTask, View

LEG = 3  # of `ant.LEGS`: front right
# While it waves, without a break:
RAISED = 0.1  # [m] at least, under the waving foot
GROUNDED = 0.03  # [m] at most, under each of the others
LEVEL = 0.85  # at least, the upward part of the torso's axis: within 32 degrees
PLACE = 0.3  # [m] at most, of the torso's way from where it started
# A stroke is a turn of the leg's hip or of its ankle by so much one way; three swings to and fro are six strokes.
STROKE = 0.35  # [rad]
STROKES = 6


def _angles(view: View) -> np.ndarray:
    """Hip and ankle of the waving leg, (N, 2) [rad]."""
    return view["qpos"][:, [7 + 2 * LEG, 8 + 2 * LEG]]


def _posed(view: View) -> np.ndarray:
    """One leg up, three down, level and in place, (N,)."""
    heights, way = ant_stance.heights(view), view["qpos"][:, 0:2] - view.memory["start"]
    stands = (np.delete(heights, LEG, axis=1) <= GROUNDED).all(axis=1) & (ant_stance.up(view)[:, 2] >= LEVEL)
    return np.asarray((heights[:, LEG] >= RAISED) & stands & (np.linalg.norm(way, axis=1) <= PLACE))


def _begin(view: View) -> Memory:
    return {
        "start": view["qpos"][:, 0:2],
        "strokes": np.zeros((view.num_worlds, 2)),  # of hip and of ankle, so far
        "way": np.ones((view.num_worlds, 2)),  # that each goes: 1 up, -1 down
        "turn": _angles(view),  # [rad] the furthest that each has come that way
        "new": np.zeros(view.num_worlds),  # strokes in the last step
    }


def _update(view: View) -> Memory:
    """A stroke is counted, and the other way begins, when an angle has come back by `STROKE` from its furthest."""
    memory, angles = view.memory, _angles(view)
    furthest = np.where(memory["way"] > 0, np.maximum(memory["turn"], angles), np.minimum(memory["turn"], angles))
    turned = np.abs(angles - furthest) >= STROKE
    posed = _posed(view)[:, None]
    strokes = np.where(posed, memory["strokes"] + turned, 0.0)
    return {
        "start": memory["start"],
        "strokes": strokes,
        "way": np.where(turned, -memory["way"], memory["way"]),
        "turn": np.where(turned | ~posed, angles, furthest),
        "new": np.clip(strokes - memory["strokes"], 0.0, None).max(axis=1),
    }


def _success(view: View) -> np.ndarray:
    return np.asarray(view.memory["strokes"].max(axis=1) >= STROKES)


def _expert_reward(view: View, actions: np.ndarray) -> np.ndarray:
    heights, speed = ant_stance.heights(view), np.abs(view["qvel"][:, 6 + 2 * LEG])
    raised = np.clip(heights[:, LEG] / 0.15, 0.0, 1.0)
    grounded = np.mean(np.exp(-20.0 * np.clip(np.delete(heights, LEG, axis=1), 0.0, None)), axis=1)
    way = np.linalg.norm(view["qpos"][:, 0:2] - view.memory["start"], axis=1)
    stance = grounded * np.clip(ant_stance.up(view)[:, 2], 0.0, 1.0) * np.exp(-4.0 * np.square(way))
    effort = np.mean(np.square(np.clip(actions, -1.0, 1.0)), axis=1)
    waving = np.clip(speed / 2.0, 0.0, 1.0) * _posed(view)
    return np.asarray(stance * (0.5 + raised) + waving + 3.0 * view.memory["new"] - 0.1 * effort)


WAVE = MujocoTask(
    task=Task(
        name="mujoco/ant-wave-leg",
        instruction="Make the four-legged robot stand on three legs and wave its front right leg.",
        schema=Schema(ant_stance.FIELDS),
        action=ant.ACTION,
        max_episode_steps=200,
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
