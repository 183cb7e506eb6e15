"""`franka/push`: push a cube over the table to a mark, with closed fingers."""

from __future__ import annotations

import mujoco
import numpy as np

from robot_learn.scene import Field, Scene, Schema
from robot_learn.types import Task
from sims.env import Values
from sims.franka import world
from sims.franka.scripts import Controller, Phased, to_action, toward
from sims.franka.twist import POINTING_DOWN, TwistControl, drive
from sims.mujoco_task import MujocoTask, View

LOW_READY = (0.0, 0.0321, 0.0, -2.5653, 0.0, 2.5973, 0.7854)  # [rad] hand down, fingertips at (0.45, 0, 0.15)
HALF = 0.025  # [m] half the cube's edge
CLOSE = 0.025  # [m] the cube's centre is no further from the mark's at success
STILL = 0.05  # [m/s] and no faster
STARTS = ((0.42, -0.18), (0.56, 0.18))  # [m] corners of the rectangle that the cube starts in
GOALS = ((0.38, -0.24), (0.60, 0.24))
FAR = 0.12  # [m] the mark is at least this far from the cube's start

CONTROL = TwistControl(LOW_READY, (0.26, -0.34, 0.015), (0.68, 0.34, 0.35), world.CONTROL_DT, POINTING_DOWN)
TASK = Task(
    name="franka/push",
    instruction="Push the cube over the table to the green mark.",
    schema=Schema(
        (
            *world.ARM_FIELDS,
            Field(
                "cube.position", (3,), "m", "world", "centre of the cube, whose edge is 0.05; z is 0.025 on the table"
            ),
            Field("cube.quaternion", (4,), "1", "world", "orientation of the cube (w, x, y, z)"),
            Field("cube.velocity", (3,), "m/s", "world", "velocity of the cube's centre"),
            Field(
                "goal.position", (3,), "m", "world", "where the cube's centre shall be; x 0.38 to 0.60, y -0.24 to 0.24"
            ),
        )
    ),
    action=CONTROL.components(),
    max_episode_steps=200,
    control_dt=world.CONTROL_DT,
)


def spec() -> mujoco.MjSpec:
    """The world before it is compiled, for whoever adds to it."""
    spec = world.table_world()
    world.add_box(spec, "cube", (HALF, HALF, HALF), 0.15, [0.85, 0.25, 0.2, 1])
    world.add_goal(spec, 0.035, flat=True)
    return spec


def _model() -> mujoco.MjModel:
    return spec().compile()


def _start(model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
    world.pose_arm(data, LOW_READY, rng)
    start, angle = rng.uniform(*STARTS), rng.uniform(-np.pi / 4, np.pi / 4)
    world.place_box(data, start, HALF, angle)
    goal = rng.uniform(*GOALS)
    while np.linalg.norm(goal - start) < FAR:
        goal = rng.uniform(*GOALS)
    data.mocap_pos[0] = [*goal, 0.0]


def _goal(view: View) -> np.ndarray:
    return np.asarray(view.position("goal") + np.array([0.0, 0.0, HALF]))


def _read(view: View) -> Values:
    return world.read_arm(view) | world.read_box(view, "cube") | {"goal.position": _goal(view)}


def _distance(view: View) -> np.ndarray:
    return np.asarray(np.linalg.norm(_goal(view) - view.position("cube"), axis=1))


def _success(view: View) -> np.ndarray:
    speed = np.linalg.norm(world.box_velocity(view, "cube"), axis=1)
    return np.asarray((_distance(view) <= CLOSE) & (speed <= STILL))


def _observe(view: View) -> np.ndarray:
    arm, cube, goal = world.read_arm(view), view.position("cube"), _goal(view)
    angle = 4 * world.yaw(view.quaternion("cube"))  # a cube looks the same after a quarter turn
    turned = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    relative = [5 * (cube - arm["robot.tcp_position"]), 5 * (goal - cube)]
    return np.concatenate([*arm.values(), cube, world.box_velocity(view, "cube"), turned, *relative], axis=1)


def _expert_reward(view: View, actions: np.ndarray) -> np.ndarray:
    cube, goal, tcp = view.position("cube"), _goal(view), view.site("tcp")
    way = goal - cube
    distance = np.linalg.norm(way, axis=1)
    behind = cube - way / np.maximum(distance, 1e-6)[:, None] * 0.045
    reach = np.linalg.norm(behind - tcp, axis=1)
    near = 1 - np.tanh(5 * distance) + 0.5 * (1 - np.tanh(30 * distance))
    return np.asarray(1.5 * (1 - np.tanh(8 * reach)) + 2 * near + _success(view))


DEFINITION = MujocoTask(
    task=TASK,
    model=_model,
    frame_skip=world.FRAME_SKIP,
    start=_start,
    read=_read,
    success=_success,
    expert_reward=_expert_reward,
    cameras=world.CAMERAS,
    drive=drive(CONTROL),
    finish=world.settle,
    observe=_observe,
    kept=world.KEPT,
    observation_space=world.numbers(38),
)


def _act(scene: Scene, phase: np.ndarray, since: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """0: above the place behind the cube. 1: down. 2: push. 3: up, and again if the cube has slipped aside."""
    tcp, cube = scene.robot.tcp_position, scene.cube.position
    way = (scene.goal.position - cube)[:, :2]
    distance = np.linalg.norm(way, axis=1)
    along = way / np.maximum(distance, 1e-6)[:, None]
    offset = (tcp - cube)[:, :2]
    aside = np.linalg.norm(offset - np.sum(offset * along, axis=1, keepdims=True) * along, axis=1)
    behind = np.concatenate([cube[:, :2] - 0.065 * along, np.full((len(tcp), 1), 0.02)], axis=1)
    above = behind + np.array([0.0, 0.0, 0.055])
    onward = along * np.clip(6 * distance, 0.12, 0.6)[:, None]
    push = np.concatenate([onward, 8 * (0.02 - tcp[:, 2:])], axis=1)
    lift = np.where(tcp[:, 2:] < 0.075, np.array([0.0, 0.0, 0.5]), 0.0)
    velocity = np.select(
        [(phase == k)[:, None] for k in range(4)], [toward(tcp, above), toward(tcp, behind, 0.6), push, lift]
    )
    arrived = np.linalg.norm(np.where((phase == 0)[:, None], above, behind) - tcp, axis=1) < 0.015
    following = np.where((phase < 2) & arrived, phase + 1, phase)
    following = np.where((phase == 2) & ((aside > 0.025) | (distance < 0.012)), 3, following)
    following = np.where((phase == 3) & (tcp[:, 2] > 0.065) & (distance > 0.02), 0, following)
    return to_action(velocity), following


def script(num_worlds: int) -> Controller:
    """Push from behind, again and again until the cube lies on the mark."""
    return Phased(_act, num_worlds)
