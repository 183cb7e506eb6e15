"""Straighten a rope that lies crumpled on the table, by the two grippers that hold its ends."""

from __future__ import annotations

from functools import partial

import numpy as np

from robot_learn.scene import Field, Scene, Schema
from robot_learn.types import Task
from sims.env import Values
from sims.mujoco_task import Memory, MujocoTask, View
from sims.rendering import Camera
from sims.soft import rope
from sims.soft.rope import LENGTH, LINKS, RADIUS, TIMESTEP, bend, end_distance, nodes
from sims.soft.stage import CONTROL_DT, GRIPPER_STEP, count_up, gripper_action, move_grippers, point_address

END_SHARE = 0.95  # success: the ends are so far apart, as a share of the length,
BEND = 0.02  # [m] no part of the rope is farther from the line between them,
HOLD = 5  # and so it stays for this number of steps (0.25 s)


def straight(points: np.ndarray) -> np.ndarray:
    """Is a rope with these points straight right now? (N,) bool."""
    return (end_distance(points) >= END_SHARE * LENGTH) & (bend(points) <= BEND)


def read(view: View) -> Values:
    points = nodes(view)
    return {
        "rope.points": points[:, :: LINKS // 6].copy(),
        "rope.end_distance": end_distance(points),
        "rope.bend": bend(points),
        "grippers.left_position": view["qpos"][:, point_address(view.model, "left")],
        "grippers.right_position": view["qpos"][:, point_address(view.model, "right")],
        "grippers.left_velocity": view["qvel"][:, point_address(view.model, "left", velocity=True)],
        "grippers.right_velocity": view["qvel"][:, point_address(view.model, "right", velocity=True)],
    }


def begin(view: View) -> Memory:
    return {"straight": np.zeros(view.num_worlds, dtype=np.int64)}


def update(view: View) -> Memory:
    return {"straight": count_up(view.memory["straight"], straight(nodes(view)))}


def success(view: View) -> np.ndarray:
    return np.asarray(view.memory["straight"] >= HOLD)


def expert_reward(view: View, actions: np.ndarray) -> np.ndarray:
    """Ends apart, nothing beside the line, and a premium for straight; each about 1 at best."""
    points = nodes(view)
    apart, beside = end_distance(points) / LENGTH, bend(points) / LENGTH
    return np.asarray(apart - 2.0 * beside + straight(points) - 0.01 * np.square(actions).sum(axis=1))


def scripted(scene: Scene, observations: np.ndarray) -> np.ndarray:
    """Pull the grippers apart, a little farther than the rope is long, so that it is taut, and low over the table."""
    left, right = scene["grippers.left_position"], scene["grippers.right_position"]
    line = right - left
    line[:, 2] = 0.0
    half = 0.52 * LENGTH * line / np.linalg.norm(line, axis=1, keepdims=True)
    middle = 0.5 * (left + right)
    middle[:, :2] *= 0.9  # towards the table's middle, where there is room to both sides
    middle[:, 2] = RADIUS
    wanted = np.concatenate([middle - half - left, middle + half - right], axis=1)
    return np.clip(wanted / GRIPPER_STEP, -1.0, 1.0)


STRAIGHTEN_ROPE = MujocoTask(
    task=Task(
        name="soft/straighten-rope",
        instruction="Straighten the rope.",
        schema=Schema(
            (
                Field(
                    "rope.points",
                    (7, 3),
                    "m",
                    "world",
                    f"seven points evenly along the rope, which is {LENGTH:.2f} m long, from its left end (row 0) to "
                    f"its right end (row 6); z is {RADIUS} where it lies on the table",
                ),
                Field(
                    "rope.end_distance",
                    (),
                    "m",
                    "",
                    f"straight distance between the rope's ends; {LENGTH:.2f} when it is fully stretched",
                ),
                Field(
                    "rope.bend",
                    (),
                    "m",
                    "",
                    "largest distance of any part of the rope from the straight line through its ends; 0 when straight",
                ),
                Field(
                    "grippers.left_position", (3,), "m", "world", "the left gripper, which holds the rope's left end"
                ),
                Field(
                    "grippers.right_position", (3,), "m", "world", "the right gripper, which holds the rope's right end"
                ),
                Field("grippers.left_velocity", (3,), "m/s", "world", "velocity of the left gripper"),
                Field("grippers.right_velocity", (3,), "m/s", "world", "velocity of the right gripper"),
            )
        ),
        action=gripper_action("left", "right"),
        max_episode_steps=100,
        control_dt=CONTROL_DT,
    ),
    model=rope.model,
    frame_skip=round(CONTROL_DT / TIMESTEP),
    start=rope.start,
    read=read,
    success=success,
    expert_reward=expert_reward,
    cameras={
        "front": Camera((0.0, 0.0, 0.0), 1.1, 90, -55),
        "top": Camera((0.0, 0.0, 0.0), 1.1, 90, -89.9),
    },
    drive=partial(move_grippers, span=1.03 * LENGTH),
    begin=begin,
    update=update,
)
