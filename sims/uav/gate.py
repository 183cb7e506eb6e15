"""`uav/gate`: through the opening of a wall to a target on its far side."""

from __future__ import annotations

import mujoco
import numpy as np

from robot_learn.scene import Field, Schema
from robot_learn.types import Task
from sims.env import Values
from sims.mujoco_task import Memory, MujocoTask, View
from sims.rendering import Camera
from sims.uav import vehicle

WALL_X = 10.0  # [m] the plane of the wall
OPENING = np.array([[3.5, 6.5], [4.0, 5.4]])  # [m] y, z of the opening
TARGET_X, TARGET_YS, TARGET_Z = 19.0, (1.0, 5.0, 9.0), 9.0  # [m]
START_X, START_YS, START_Z = 0.0, (4.0, 6.0), 5.0  # [m]
CENTRE = np.array([WALL_X, *OPENING.mean(axis=1)])

TASK = Task(
    name="uav/gate",
    instruction="Fly the drone through the opening in the wall to the target behind it.",
    schema=Schema(
        (
            *vehicle.FIELDS,
            Field("gate.position", (3,), "m", "world", "centre of the opening; the wall is the plane of its x"),
            Field("gate.size", (2,), "m", "world", "width of the opening along y and its height along z"),
            Field("gate.passed", (), "1", "", "1 while the drone is behind the wall, having come through the opening"),
            Field("target.position", (3,), "m", "world", "where to fly to, behind the wall"),
        )
    ),
    action=vehicle.ACTION,
    max_episode_steps=200,
    control_dt=vehicle.CONTROL_DT,
)


def model() -> mujoco.MjModel:
    """The drone before a wall that fills the volume but for the opening, which has an orange rim."""
    made = vehicle.spec()
    (left, right), (low, high) = OPENING
    (_, _), (y0, y1), (z0, z1) = vehicle.VOLUME
    panels = (((y0, left), (z0, z1)), ((right, y1), (z0, z1)), ((left, right), (z0, low)), ((left, right), (high, z1)))
    for (ya, yb), (za, zb) in panels:
        _box(made, (ya, yb), (za, zb), 0.05, (0.75, 0.76, 0.8, 0.45))
    rim = 0.12  # [m] wide, on the wall
    rims = (
        ((left - rim, left), (low - rim, high + rim)),
        ((right, right + rim), (low - rim, high + rim)),
        ((left, right), (low - rim, low)),
        ((left, right), (high, high + rim)),
    )
    for (ya, yb), (za, zb) in rims:
        _box(made, (ya, yb), (za, zb), 0.12, (1.0, 0.5, 0.05, 1))
    return made.compile()


def _box(
    made: mujoco.MjSpec, ys: tuple[float, float], zs: tuple[float, float], half_x: float, rgba: tuple[float, ...]
) -> None:
    middle, half = (WALL_X, np.mean(ys), np.mean(zs)), (half_x, (ys[1] - ys[0]) / 2, (zs[1] - zs[0]) / 2)
    vehicle.drawn(made.worldbody, mujoco.mjtGeom.mjGEOM_BOX, pos=middle, size=half, rgba=rgba)


def start(model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
    position = np.array([START_X, rng.uniform(*START_YS), START_Z])
    vehicle.place(data, position, np.array([TARGET_X, rng.choice(TARGET_YS), TARGET_Z]), rng)


def begin(view: View) -> Memory:
    return {
        "position": view["qpos"][:, :3].copy(),
        "passed": np.zeros(view.num_worlds, dtype=bool),
        "crashed": np.zeros(view.num_worlds, dtype=bool),
    }


def update(view: View) -> Memory:
    """Where the step's straight line meets the plane of the wall decides: through the opening, or into the wall."""
    before, now = view.memory["position"], view["qpos"][:, :3]
    crossed = (before[:, 0] < WALL_X) != (now[:, 0] < WALL_X)
    ahead = np.where(crossed, now[:, 0] - before[:, 0], 1.0)
    share = np.where(crossed, (WALL_X - before[:, 0]) / ahead, 0.0)
    where = (before + share[:, None] * (now - before))[:, 1:]
    through = ((where > OPENING[:, 0]) & (where < OPENING[:, 1])).all(axis=1)
    crashed = view.memory["crashed"] | (crossed & ~through) | vehicle.outside(now)
    passed = np.where(crossed & through, now[:, 0] >= WALL_X, view.memory["passed"])  # and back again does not count
    return {"position": now.copy(), "passed": passed, "crashed": crashed}


def read(view: View) -> Values:
    worlds = view.num_worlds
    return vehicle.read(view) | {
        "gate.position": np.tile(CENTRE, (worlds, 1)),
        "gate.size": np.tile(np.ptp(OPENING, axis=1), (worlds, 1)),
        "gate.passed": view.memory["passed"].astype(np.float64),
        "target.position": view["mocap_pos"][:, 0].copy(),
    }


def observe(view: View) -> np.ndarray:
    """(N, 22): the flight, and the ways to the gate and to the target."""
    position, target = view["qpos"][:, :3], view["mocap_pos"][:, 0]
    passed = view.memory["passed"][:, None].astype(np.float64)
    return np.concatenate([vehicle.motion(view), CENTRE - position, target - position, passed], axis=1)


def terminated(view: View) -> np.ndarray:
    return view.memory["crashed"].copy()


def success(view: View) -> np.ndarray:
    """Through the gate and now within `REACHED` of the target."""
    distance = np.linalg.norm(view["mocap_pos"][:, 0] - view["qpos"][:, :3], axis=1)
    return np.asarray(view.memory["passed"] & ~view.memory["crashed"] & (distance < vehicle.REACHED))


def expert_reward(view: View, actions: np.ndarray) -> np.ndarray:
    """Fly towards the gate, lined up with it the more the nearer, then to the target, level and without turning."""
    position, passed = view["qpos"][:, :3], view.memory["passed"]
    beyond = CENTRE + np.array([1.5, 0.0, 0.0])  # so that a drone does not stop in the gate
    goal = np.where(passed[:, None], view["mocap_pos"][:, 0], beyond)
    apart = np.linalg.norm((position - CENTRE)[:, 1:], axis=1)
    near = np.exp(-np.abs(position[:, 0] - WALL_X) / 3.0)
    lined_up = np.where(passed, 0.0, -near * np.minimum(apart, 3.0))
    near = 1.0 - np.minimum(np.linalg.norm(goal - position, axis=1), 12.0) / 12.0
    bonus = 1.5 * passed + 5.0 * success(view) - 10.0 * view.memory["crashed"]
    return np.asarray(vehicle.flight_reward(view, goal) + near + 0.5 * lined_up + bonus)


GATE = MujocoTask(
    task=TASK,
    model=model,
    frame_skip=vehicle.FRAME_SKIP,
    start=start,
    read=read,
    success=success,
    expert_reward=expert_reward,
    cameras={
        "behind": Camera((9.5, 5.0, 5.0), 21.0, 30, -20),
        "side": Camera((9.5, 5.0, 5.0), 24.0, 90, -10),
        "chase": Camera((3.0, 0.0, 5.5), 10.0, 12, -14, follow="drone"),
    },
    drive=vehicle.drive,
    finish=vehicle.settled,
    terminated=terminated,
    observe=observe,
    obs_dim=22,
    begin=begin,
    update=update,
    kept=("qpos", "qvel", "mocap_pos"),
)
