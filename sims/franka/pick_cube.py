"""`franka/pick-cube`: take a cube from the table and hold it at a point in the air."""

from __future__ import annotations

import mujoco
import numpy as np

from robot_learn.scene import Field, Scene, Schema
from robot_learn.types import Task
from sims.env import Values
from sims.franka import world
from sims.franka.reach import READY
from sims.franka.scripts import Controller, to_action, toward
from sims.franka.twist import POINTING_DOWN, TwistControl, drive
from sims.mujoco_task import MujocoTask, View

HALF = 0.02  # [m] half the cube's edge
CLOSE = 0.025  # [m] the cube's centre is no further from the goal at success
STILL = 0.05  # [m/s] and no faster
STARTS = ((0.38, -0.2), (0.58, 0.2))  # [m] corners of the rectangle that the cube starts in
GOALS = ((0.38, -0.2, 0.12), (0.58, 0.2, 0.32))  # [m] corners of the box that goals are drawn from
TURN = 0.4  # [rad] the cube's edges are at most so far from the hand's directions at the start

CONTROL = TwistControl(READY, (0.26, -0.34, 0.012), (0.67, 0.34, 0.45), world.CONTROL_DT, POINTING_DOWN, grips=True)
TASK = Task(
    name="franka/pick-cube",
    instruction="Pick up the cube and hold it still at the green goal in the air.",
    schema=Schema(
        (
            *world.ARM_FIELDS,
            world.GRIPPER_FIELD,
            Field(
                "cube.position", (3,), "m", "world", "centre of the cube, whose edge is 0.04; z is 0.02 on the table"
            ),
            Field("cube.quaternion", (4,), "1", "world", "orientation of the cube (w, x, y, z)"),
            Field("cube.velocity", (3,), "m/s", "world", "velocity of the cube's centre"),
            Field("goal.position", (3,), "m", "world", "where the cube's centre shall be held; z 0.12 to 0.32"),
        )
    ),
    action=CONTROL.components(),
    max_episode_steps=150,
    control_dt=world.CONTROL_DT,
)


def spec() -> mujoco.MjSpec:
    """The world before it is compiled, for whoever adds to it."""
    spec = world.table_world()
    world.add_box(spec, "cube", (HALF, HALF, HALF), 0.1, [0.85, 0.25, 0.2, 1])
    world.add_goal(spec, 0.02, flat=False)
    return spec


def _model() -> mujoco.MjModel:
    return spec().compile()


def _start(model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
    world.pose_arm(data, READY, rng)
    world.open_gripper(data)
    world.place_box(data, rng.uniform(*STARTS), HALF, rng.uniform(-TURN, TURN))
    data.mocap_pos[0] = rng.uniform(*GOALS)


def _read(view: View) -> Values:
    return (
        world.read_arm(view)
        | {"robot.gripper_opening": world.opening(view)}
        | world.read_box(view, "cube")
        | {"goal.position": view.position("goal")}
    )


def _distance(view: View) -> np.ndarray:
    return np.asarray(np.linalg.norm(view.position("goal") - view.position("cube"), axis=1))


def _success(view: View) -> np.ndarray:
    speed = np.linalg.norm(world.box_velocity(view, "cube"), axis=1)
    return np.asarray((_distance(view) <= CLOSE) & (speed <= STILL))


def _observe(view: View) -> np.ndarray:
    arm, cube, goal = world.read_arm(view), view.position("cube"), view.position("goal")
    angle = 4 * world.yaw(view.quaternion("cube"))  # a cube looks the same after a quarter turn
    turned = np.stack([np.cos(angle), np.sin(angle), 20 * world.opening(view)], axis=1)
    relative = [5 * (cube - arm["robot.tcp_position"]), 5 * (goal - cube)]
    return np.concatenate([*arm.values(), cube, world.box_velocity(view, "cube"), turned, *relative], axis=1)


def _expert_reward(view: View, actions: np.ndarray) -> np.ndarray:
    cube, tcp = view.position("cube"), view.site("tcp")
    reach, distance = np.linalg.norm(cube - tcp, axis=1), _distance(view)
    around = reach < 0.035
    shut = np.clip((0.08 - world.opening(view)) / 0.04, 0.0, 1.0)
    lifted = np.clip((cube[:, 2] - HALF) / 0.05, 0.0, 1.0) * around
    grasp = np.where(around, shut, 0.5 * (1 - shut))
    carry = lifted * (1 - np.tanh(5 * distance) + 0.5 * (1 - np.tanh(30 * distance)))
    return np.asarray((1 - np.tanh(5 * reach)) + 0.5 * grasp + lifted + 5 * carry + 2 * _success(view))


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
    observation_space=world.numbers(39),
)


def script(num_worlds: int) -> Controller:
    """Into a funnel above the cube, down in it, close, carry.

    From the scene alone: so it can be imitated, and begins again by itself where the cube is lost.
    """

    def act(scene: Scene, observations: np.ndarray) -> np.ndarray:
        tcp, cube, opening = scene.robot.tcp_position, scene.cube.position, scene.robot.gripper_opening
        near = np.linalg.norm(cube - tcp, axis=1)
        aside = np.linalg.norm((cube - tcp)[:, :2], axis=1)
        held = (near < 0.035) & (opening > 0.01) & (opening < 0.035)
        grasping = held | (near < 0.006) | ((near < 0.015) & (opening < 0.07))
        over = np.clip(6 * (aside - 0.006), 0.0, 0.07)  # [m] the funnel's height there
        approach = toward(tcp, cube + over[:, None] * [0.0, 0.0, 1.0], 0.7)
        carry = toward(tcp, tcp + (scene.goal.position - cube), 0.8)
        velocity = np.where(held[:, None], carry, np.where(grasping[:, None], 0.0, approach))
        return to_action(velocity, np.where(grasping, -1.0, 1.0))

    return act
