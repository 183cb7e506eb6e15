"""Pass water: move a full cup along the table to a goal without spilling; whoever hurries, spills."""

from __future__ import annotations

import numpy as np

from robot_learn.scene import Field, Scene, Schema
from robot_learn.types import ActionComponent, Task
from sims.env import Values
from sims.mujoco_task import Memory, MujocoTask, View
from sims.rendering import Camera
from sims.soft import water
from sims.soft.stage import CONTROL_DT, count_up
from sims.soft.water import (
    ACCELERATION,
    BASE,
    DROP_RADIUS,
    RIM,
    SPEED,
    TIMESTEP,
    TRACK,
    cup_speed,
    cup_x,
    drops,
    goal_x,
    inside,
    share_inside,
)

NEAR = 0.02  # [m] success: the cup is so close to the goal,
SLOW = 0.03  # [m/s] no faster than this,
SHARE = 0.95  # and holds at least this share of the water,
HOLD = 10  # for this number of steps (0.5 s)


def mean_over(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Mean of values (N, n) where chosen, (N,); 0 where nothing is chosen."""
    return np.asarray((values * chosen).sum(axis=1) / np.maximum(chosen.sum(axis=1), 1))


def read(view: View) -> Values:
    x, positions, velocities = cup_x(view), drops(view), drops(view, "qvel")
    held = inside(positions, x)
    share = held.mean(axis=1)
    heights = np.where(held, positions[..., 2] + DROP_RADIUS, 2 * BASE)
    return {
        "cup.x": x,
        "cup.velocity": cup_speed(view),
        "goal.x": goal_x(view),
        "water.inside": share,
        "water.spilled": 1.0 - share,
        "water.offset": mean_over(positions[..., 0] - x[:, None], held),
        "water.velocity": mean_over(velocities[..., 0], held),
        "water.level": heights.max(axis=1),
    }


def arrived(offset: np.ndarray, velocity: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Is a cup so far from its goal [m], so fast [m/s] and so full done right now? (N,) bool."""
    return np.asarray((np.abs(offset) <= NEAR) & (np.abs(velocity) <= SLOW) & (share >= SHARE))


def begin(view: View) -> Memory:
    return {"arrived": np.zeros(view.num_worlds, dtype=np.int64)}


def update(view: View) -> Memory:
    now = arrived(cup_x(view) - goal_x(view), cup_speed(view), share_inside(view))
    return {"arrived": count_up(view.memory["arrived"], now)}


def success(view: View) -> np.ndarray:
    return np.asarray(view.memory["arrived"] >= HOLD)


def expert_reward(view: View, actions: np.ndarray) -> np.ndarray:
    """To the goal, at a speed that falls with the distance, with all the water."""
    offset, velocity = cup_x(view) - goal_x(view), cup_speed(view)
    share = share_inside(view)
    excess = np.maximum(np.abs(velocity) - np.sqrt(2.0 * np.abs(offset)), 0.0)
    done = arrived(offset, velocity, share)
    cost = 3.0 * (1.0 - share) + 0.02 * np.square(actions[:, 0])
    return np.asarray(1.0 - np.abs(offset) - excess + done - cost)


def scripted(scene: Scene, observations: np.ndarray) -> np.ndarray:
    """Speed up gently, and brake so gently that the cup stops at the goal."""
    gentle, ahead = 0.8, scene["goal.x"] - scene["cup.x"]  # [m/s2], [m]
    wanted = np.sign(ahead) * np.minimum(0.45, np.sqrt(1.6 * np.abs(ahead)))
    wanted = np.where(np.abs(ahead) < 0.05, 3.0 * ahead, wanted)  # linear at the end, so that it does not chatter
    change = np.clip((wanted - scene["cup.velocity"]) / CONTROL_DT, -gentle, gentle)
    return np.asarray(change[:, None] / ACCELERATION)


PASS_WATER = MujocoTask(
    task=Task(
        name="soft/pass-water",
        instruction="Move the cup of water to the goal without spilling.",
        schema=Schema(
            (
                Field("cup.x", (), "m", "world", "where the middle of the cup is; it only moves along x"),
                Field("cup.velocity", (), "m/s", "world", "velocity of the cup along +x"),
                Field("goal.x", (), "m", "world", "where the middle of the cup is to come to rest"),
                Field("water.inside", (), "1", "", "share of the water that is in the cup, from 0 to 1"),
                Field(
                    "water.spilled",
                    (),
                    "1",
                    "",
                    "share of the water that is not in the cup, in the air or on the table",
                ),
                Field(
                    "water.offset",
                    (),
                    "m",
                    "cup",
                    "how far along +x the water in the cup has heaped up: its mean x from the cup's middle; about 0 "
                    "when level",
                ),
                Field("water.velocity", (), "m/s", "world", "mean velocity of the water in the cup along +x"),
                Field(
                    "water.level",
                    (),
                    "m",
                    "world",
                    f"height of the highest water in the cup above the table; the rim is at {RIM}, and the full cup is "
                    "heaped to between 0.07 and 0.1 even at rest",
                ),
            )
        ),
        action=(
            ActionComponent(
                "cup_acceleration",
                -1.0,
                1.0,
                f"acceleration of the cup along +x in units of {ACCELERATION} m/s2; its speed is at most {SPEED} m/s, "
                f"and it stops at the ends of its way, x = -{TRACK} and {TRACK}",
            ),
        ),
        max_episode_steps=120,
        control_dt=CONTROL_DT,
    ),
    model=water.model,
    frame_skip=round(CONTROL_DT / TIMESTEP),
    start=water.start,
    read=read,
    success=success,
    expert_reward=expert_reward,
    cameras={
        "front": Camera((0.0, 0.0, 0.02), 1.3, 90, -38),
        "top": Camera((0.0, 0.0, 0.0), 1.3, 90, -89.9),
    },
    drive=water.drive,
    begin=begin,
    update=update,
    kept=("qpos", "qvel", "mocap_pos"),
)
