"""Fold a square cloth in half: two grippers hold the corners of one side and carry them onto the other two."""

from __future__ import annotations

from functools import partial

import numpy as np

from robot_learn.scene import Field, Scene, Schema
from robot_learn.types import Task
from sims.env import Values
from sims.mujoco_task import Memory, MujocoTask, View
from sims.rendering import Camera
from sims.soft import cloth
from sims.soft.cloth import FREE, GRID, HELD, LIFT, RADIUS, SIDE, TIMESTEP, halves_distance, targets, vertices
from sims.soft.stage import CONTROL_DT, GRIPPER_STEP, count_up, gripper_action, move_grippers

CORNER = 0.03  # [m] success: each held corner is so close to its target, and each other corner to its place,
FLAT = 0.03  # [m] nothing of the cloth is higher,
OVERLAP = 0.03  # [m] the halves lie on each other, on average over their points,
HOLD = 5  # and so it stays for this number of steps (0.25 s)


def folded(points: np.ndarray, goals: np.ndarray) -> np.ndarray:
    """Is a cloth with these points (N, GRID * GRID, 3) folded onto goals (N, 2, 3) right now? (N,) bool."""
    held = np.linalg.norm(points[:, HELD] - goals, axis=2).max(axis=1)
    free = np.linalg.norm((points[:, FREE] - goals)[..., :2], axis=2).max(axis=1)
    flat = points[..., 2].max(axis=1) <= FLAT
    return np.asarray((held <= CORNER) & (free <= CORNER) & flat & (halves_distance(points) <= OVERLAP))


def read(view: View) -> Values:
    points, velocities = vertices(view), view["qvel"].reshape(view.num_worlds, -1, 3)
    return {
        "cloth.held_corners": points[:, HELD],
        "cloth.free_corners": points[:, FREE],
        "cloth.middle": points[:, GRID * GRID // 2],
        "cloth.top": points[..., 2].max(axis=1),
        "cloth.halves_distance": halves_distance(points),
        "target.positions": targets(view),
        "grippers.velocities": velocities[:, HELD],
    }


def begin(view: View) -> Memory:
    return {"folded": np.zeros(view.num_worlds, dtype=np.int64)}


def update(view: View) -> Memory:
    return {"folded": count_up(view.memory["folded"], folded(vertices(view), targets(view)))}


def success(view: View) -> np.ndarray:
    return np.asarray(view.memory["folded"] >= HOLD)


def expert_reward(view: View, actions: np.ndarray) -> np.ndarray:
    """Held corners to their targets, halves onto each other, the rest left in place, and a premium for folded."""
    points, goals = vertices(view), targets(view)
    to_go = np.linalg.norm(points[:, HELD] - goals, axis=2).mean(axis=1) / SIDE
    dragged = np.linalg.norm((points[:, FREE] - goals)[..., :2], axis=2).mean(axis=1) / SIDE
    apart = halves_distance(points) / SIDE
    done = folded(points, goals)
    cost = 0.01 * np.square(actions).sum(axis=1)
    return np.asarray(1.0 - to_go - apart - 2.0 * dragged + done - cost)


def scripted(scene: Scene, observations: np.ndarray) -> np.ndarray:
    """Carry each held corner over the cloth on half a circle about the fold, from its first place to its target."""
    corners, goals = scene["cloth.held_corners"], scene["target.positions"]
    centre = 0.5 * (scene.initial["cloth.held_corners"] + goals)
    outward = scene.initial["cloth.held_corners"] - centre
    outward[..., 2] = 0.0
    radius = np.linalg.norm(outward, axis=-1, keepdims=True)
    outward /= radius
    height = corners[..., 2:] - goals[..., 2:]
    swept = np.arctan2(np.maximum(height, 0.0), np.sum((corners - centre) * outward, axis=-1, keepdims=True))
    ahead = np.minimum(swept + 0.15, np.pi)  # [rad]
    wanted = centre + radius * np.cos(ahead) * outward
    wanted[..., 2:] = goals[..., 2:] + 0.95 * radius * np.sin(ahead)  # a little slack, so that nothing is dragged
    step = (wanted - corners) / GRIPPER_STEP
    return np.asarray(np.clip(step.reshape(len(corners), -1), -1.0, 1.0))


FOLD_CLOTH = MujocoTask(
    task=Task(
        name="soft/fold-cloth",
        instruction="Fold the cloth in half.",
        schema=Schema(
            (
                Field(
                    "cloth.held_corners",
                    (2, 3),
                    "m",
                    "world",
                    f"the two corners that the grippers hold for good, left (row 0) and right (row 1); they are the "
                    f"gripper positions. The cloth is a square of side {SIDE} m; z is {RADIUS + LIFT:.3f} on the table",
                ),
                Field(
                    "cloth.free_corners",
                    (2, 3),
                    "m",
                    "world",
                    f"the corner across the cloth from each held one, in the same order; z is {RADIUS} on the table",
                ),
                Field(
                    "cloth.middle", (3,), "m", "world", "the middle of the cloth, which lies on the line of the fold"
                ),
                Field(
                    "cloth.top",
                    (),
                    "m",
                    "world",
                    f"height of the cloth's highest point above the table; about {RADIUS + LIFT:.3f} "
                    "when it lies flat, folded or not",
                ),
                Field(
                    "cloth.halves_distance",
                    (),
                    "m",
                    "",
                    "seen from above, the mean distance between points of the held half and the points of the other "
                    f"half that they lie on when it is folded; {SIDE * 0.625:.2f} when spread out, 0 when folded",
                ),
                Field(
                    "target.positions",
                    (2, 3),
                    "m",
                    "world",
                    "where the left (row 0) and the right (row 1) held corner belong in the folded cloth: on the "
                    "places where the free corners lay at the start",
                ),
                Field("grippers.velocities", (2, 3), "m/s", "world", "velocity of the left and of the right gripper"),
            )
        ),
        action=gripper_action("left", "right"),
        max_episode_steps=100,
        control_dt=CONTROL_DT,
    ),
    model=cloth.model,
    frame_skip=round(CONTROL_DT / TIMESTEP),
    start=cloth.start,
    read=read,
    success=success,
    expert_reward=expert_reward,
    cameras={
        "front": Camera((0.0, 0.0, 0.0), 0.85, 90, -50),
        "top": Camera((0.0, 0.0, 0.0), 0.85, 90, -89.9),
    },
    drive=partial(move_grippers, span=1.03 * SIDE),
    begin=begin,
    update=update,
    kept=("qpos", "qvel", "mocap_pos"),
)
