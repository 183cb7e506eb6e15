"""`franka/reach`: bring the fingertips to a point and keep them there."""

from __future__ import annotations

import mujoco
import numpy as np

from robot_learn.scene import Field, Scene, Schema
from robot_learn.types import Task
from sims.env import Values
from sims.franka import world
from sims.franka.scripts import Controller, to_action, toward
from sims.franka.twist import POINTING_DOWN, TwistControl, drive
from sims.mujoco_task import MujocoTask, View

READY = (0.0, -0.1848, 0.0, -2.4967, 0.0, 2.3119, 0.7854)  # [rad] hand down, fingertips at (0.45, 0, 0.25)
CLOSE = 0.02  # [m] from the goal is success,
STILL = 0.05  # [m/s] when the fingertips move no faster
GOALS = ((0.32, -0.28, 0.06), (0.62, 0.28, 0.42))  # [m] corners of the box that goals are drawn from
FAR = 0.10  # [m] a goal is at least this far from where the fingertips start

CONTROL = TwistControl(READY, (0.26, -0.34, 0.01), (0.67, 0.34, 0.48), world.CONTROL_DT, POINTING_DOWN)
TASK = Task(
    name="franka/reach",
    instruction="Bring the fingertips to the goal and hold them there.",
    schema=Schema(
        (
            *world.ARM_FIELDS,
            Field("goal.position", (3,), "m", "world", "where the fingertips shall be; x 0.32 to 0.62, z 0.06 to 0.42"),
        )
    ),
    action=CONTROL.components(),
    max_episode_steps=100,
    control_dt=world.CONTROL_DT,
)


def _model() -> mujoco.MjModel:
    spec = world.table_world()
    world.add_goal(spec, CLOSE, flat=False)
    return spec.compile()


def _start(model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
    world.pose_arm(data, READY, rng, spread=0.1)
    world.settle(model, data)
    tcp = data.site("tcp").xpos
    while True:
        data.mocap_pos[0] = rng.uniform(*GOALS)
        if np.linalg.norm(data.mocap_pos[0] - tcp) >= FAR:
            return


def _read(view: View) -> Values:
    return world.read_arm(view) | {"goal.position": view.position("goal")}


def _distance(view: View) -> np.ndarray:
    return np.asarray(np.linalg.norm(view.position("goal") - view.site("tcp"), axis=1))


def _success(view: View) -> np.ndarray:
    speed = np.linalg.norm(world.point_velocity(view, "hand", view.site("tcp")), axis=1)
    return np.asarray((_distance(view) <= CLOSE) & (speed <= STILL))


def _observe(view: View) -> np.ndarray:
    arm, goal = world.read_arm(view), view.position("goal")
    tcp = arm["robot.tcp_position"]
    return np.concatenate([*arm.values(), goal, 5 * (goal - tcp)], axis=1)


def _expert_reward(view: View, actions: np.ndarray) -> np.ndarray:
    distance = _distance(view)
    return np.asarray(1 - np.tanh(5 * distance) + 0.5 * (1 - np.tanh(30 * distance)) + 0.5 * _success(view))


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
    observation_space=world.numbers(30),
)


def script(num_worlds: int) -> Controller:
    """Straight to the goal."""

    def act(scene: Scene, observations: np.ndarray) -> np.ndarray:
        return to_action(toward(scene.robot.tcp_position, scene.goal.position))

    return act
