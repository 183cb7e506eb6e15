"""`franka/drawer`: open a drawer that stands on the table, with closed fingers hooked behind its handle."""

from __future__ import annotations

import mujoco
import numpy as np

from robot_learn.scene import Field, Scene, Schema
from robot_learn.types import Task
from sims.env import Values
from sims.franka import world
from sims.franka.arm import THING_BITS
from sims.franka.reach import READY
from sims.franka.scripts import Controller, Phased, to_action, toward
from sims.franka.twist import POINTING_DOWN, TwistControl, drive
from sims.mujoco_task import MujocoTask, View
from sims.rendering import Camera

OPEN = 0.12  # [m] of opening is success
TRAVEL = 0.18  # [m] the drawer opens no further
PLACES = ((0.60, -0.15), (0.68, 0.15))  # [m] corners of the rectangle that the middle of the shut front stands in
TURN = 0.2  # [rad] the drawer opens along -x, off by at most this
WIDTH, DEPTH, HEIGHT = 0.26, 0.24, 0.10  # [m] of the cabinet
HANDLE = (-0.05, 0.0, 0.078)  # [m] middle of the handle, from the foot of the shut front

_WOOD, _DARK, _METAL = [0.45, 0.32, 0.22, 1.0], [0.35, 0.24, 0.16, 1.0], [0.85, 0.7, 0.25, 1.0]

CONTROL = TwistControl(READY, (0.26, -0.30, 0.05), (0.70, 0.30, 0.45), world.CONTROL_DT, POINTING_DOWN)
TASK = Task(
    name="franka/drawer",
    instruction="Pull the drawer open by its handle.",
    schema=Schema(
        (
            *world.ARM_FIELDS,
            Field("drawer.opening", (), "m", "", "how far the drawer is pulled out; 0 shut, 0.18 fully open"),
            Field("drawer.opening_velocity", (), "m/s", "", "rate of the opening; positive while it opens"),
            Field(
                "drawer.handle_position",
                (3,),
                "m",
                "world",
                "middle of the handle, a level bar 0.12 long with 0.04 of room between it and the drawer's front",
            ),
            Field(
                "drawer.pull_direction",
                (3,),
                "1",
                "world",
                "unit vector that the drawer moves along as it opens, about -x",
            ),
        )
    ),
    action=CONTROL.components(),
    max_episode_steps=150,
    control_dt=world.CONTROL_DT,
)


def _panel(body: mujoco.MjsBody, centre: list[float], half: list[float], rgba: list[float]) -> None:
    geom = body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=centre, size=half, rgba=rgba, mass=0.1)
    geom.contype, geom.conaffinity = THING_BITS


def _bar(body: mujoco.MjsBody, start: list[float], end: list[float]) -> None:
    geom = body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=[*start, *end], size=[0.006, 0, 0], mass=0.02)
    geom.rgba, (geom.contype, geom.conaffinity) = _METAL, THING_BITS


def _model() -> mujoco.MjModel:
    spec = world.table_world()
    # Both bodies' frames stand on the table in the middle of the shut front, x into the cabinet.
    cabinet = spec.worldbody.add_body(name="cabinet", pos=[0.64, 0, 0])
    y, z = WIDTH / 2, HEIGHT / 2
    _panel(cabinet, [DEPTH / 2 + 0.01, 0, HEIGHT - 0.004], [DEPTH / 2, y, 0.004], _DARK)
    _panel(cabinet, [DEPTH + 0.006, 0, z], [0.004, y, z], _DARK)
    for side in (-1, 1):
        _panel(cabinet, [DEPTH / 2 + 0.01, side * (y - 0.004), z], [DEPTH / 2, 0.004, z], _DARK)
    drawer = cabinet.add_body(name="drawer")
    joint = drawer.add_joint(name="drawer", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[-1, 0, 0], range=[0, TRAVEL])
    joint.damping, joint.frictionloss, joint.armature = 4.0, 1.0, 0.1
    _panel(drawer, [0, 0, z - 0.001], [0.008, y, z - 0.008], _WOOD)
    _panel(drawer, [0.11, 0, 0.014], [0.1, y - 0.02, 0.003], _WOOD)
    _panel(drawer, [0.205, 0, 0.04], [0.005, y - 0.02, 0.028], _WOOD)
    for side in (-1, 1):
        _panel(drawer, [0.11, side * (y - 0.018), 0.04], [0.1, 0.004, 0.028], _WOOD)
        _bar(drawer, [0, side * 0.06, HANDLE[2]], [HANDLE[0], side * 0.06, HANDLE[2]])
    _bar(drawer, [HANDLE[0], -0.06, HANDLE[2]], [HANDLE[0], 0.06, HANDLE[2]])
    drawer.add_site(name="handle", pos=list(HANDLE), size=[0.005] * 3, group=4)
    spec.add_exclude(bodyname1="cabinet", bodyname2="drawer")
    return spec.compile()


def _start(model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
    world.pose_arm(data, READY, rng)
    angle, cabinet = rng.uniform(-TURN, TURN), model.body("cabinet").id
    model.body_pos[cabinet, :2] = rng.uniform(*PLACES)
    model.body_quat[cabinet] = [np.cos(angle / 2), 0.0, 0.0, np.sin(angle / 2)]


def _pull_direction(view: View) -> np.ndarray:
    return world.rotate(view.quaternion("cabinet"), (-1.0, 0.0, 0.0))


def _read(view: View) -> Values:
    return world.read_arm(view) | {
        "drawer.opening": view.joint("drawer"),
        "drawer.opening_velocity": view.joint_velocity("drawer"),
        "drawer.handle_position": view.site("handle"),
        "drawer.pull_direction": _pull_direction(view),
    }


def _success(view: View) -> np.ndarray:
    return np.asarray(view.joint("drawer") >= OPEN)


def _observe(view: View) -> np.ndarray:
    arm, handle, direction = world.read_arm(view), view.site("handle"), _pull_direction(view)
    drawer = np.stack([10 * view.joint("drawer"), view.joint_velocity("drawer")], axis=1)
    relative = 5 * (handle - arm["robot.tcp_position"])
    return np.concatenate([*arm.values(), handle, direction[:, :2], drawer, relative], axis=1)


def _behind_handle(handle: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Where the fingertips hook the handle, (N, 3)."""
    return np.asarray(handle - 0.024 * direction - [0.0, 0.0, 0.004])


def _expert_reward(view: View, actions: np.ndarray) -> np.ndarray:
    offset = view.site("tcp") - _behind_handle(view.site("handle"), _pull_direction(view))
    aside = np.linalg.norm(offset[:, :2], axis=1)
    # Over the handle first, then down: a straight line would end against the bar.
    height = np.where(aside < 0.012, offset[:, 2], np.abs(offset[:, 2] - 0.05) + 0.05)
    reach = np.sqrt(aside**2 + height**2)
    opened = np.clip(view.joint("drawer") / TRAVEL, 0.0, 1.0)
    return np.asarray(1 - np.tanh(6 * reach) + 4 * opened + _success(view))


DEFINITION = MujocoTask(
    task=TASK,
    model=_model,
    frame_skip=world.FRAME_SKIP,
    start=_start,
    read=_read,
    success=_success,
    expert_reward=_expert_reward,
    cameras={"side": Camera((0.56, 0.0, 0.12), 1.25, 90, -22)}
    | {k: v for k, v in world.CAMERAS.items() if k != "side"},
    drive=drive(CONTROL),
    finish=world.settle,
    observe=_observe,
    kept=world.KEPT,
    placed=("body_pos", "body_quat"),
    observation_space=world.numbers(34),
)


def _act(scene: Scene, phase: np.ndarray, since: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """0: over the gap behind the handle. 1: down into it. 2: pull."""
    tcp, direction = scene.robot.tcp_position, scene.drawer.pull_direction
    hook = _behind_handle(scene.drawer.handle_position, direction)
    above = hook + np.array([0.0, 0.0, 0.06])
    pull = 0.5 * direction + 4 * (hook - tcp) * (1 - np.abs(direction))
    pull[scene.drawer.opening > 0.15] = 0.0
    velocity = np.select([(phase == k)[:, None] for k in range(3)], [toward(tcp, above), toward(tcp, hook, 0.5), pull])
    far = np.linalg.norm(np.where((phase == 0)[:, None], above, hook) - tcp, axis=1)
    following = np.where((phase < 2) & (far < 0.008), phase + 1, phase)
    return to_action(velocity), following


def script(num_worlds: int) -> Controller:
    """Hook the handle from above and pull."""
    return Phased(_act, num_worlds)
