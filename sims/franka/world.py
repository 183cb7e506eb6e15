"""What all tasks of the Franka share: table, light and cameras, the fields that tell of the arm and their values."""

from __future__ import annotations

import gymnasium
import mujoco
import numpy as np

from robot_learn.franka import FINGER_TRAVEL
from robot_learn.scene import Field
from sims.env import Values
from sims.franka.arm import THING_BITS, build
from sims.mujoco_task import POSES, View
from sims.rendering import Camera

TIMESTEP = 0.004  # [s]
FRAME_SKIP = 10
CONTROL_DT = TIMESTEP * FRAME_SKIP  # [s] 25 Hz
KEPT = (*POSES, "cvel", "subtree_com", "ctrl")
CAMERAS = {
    "front": Camera((0.42, 0.0, 0.12), 1.15, 155, -28),
    "side": Camera((0.45, 0.0, 0.15), 1.05, 90, -18),
    "shoulder": Camera((0.5, 0.0, 0.05), 1.25, 25, -40),
    "wrist": Camera(name="wrist"),
}
ARM_FIELDS = (
    Field("robot.joint_positions", (7,), "rad", "", "angles of the arm's seven joints, base first"),
    Field("robot.joint_velocities", (7,), "rad/s", "", "rates of the arm's seven joints, base first"),
    Field("robot.tcp_position", (3,), "m", "world", "the point between the fingertips; the table's top is z = 0"),
    Field("robot.tcp_velocity", (3,), "m/s", "world", "velocity of the point between the fingertips"),
    Field(
        "robot.quaternion",
        (4,),
        "1",
        "world",
        "orientation of the hand (w, x, y, z); its z points along the fingers, its y along their motion",
    ),
)
GRIPPER_FIELD = Field("robot.gripper_opening", (), "m", "", "distance between the fingertips; 0 closed, 0.08 wide open")


def table_world(arm: str = "fr3") -> mujoco.MjSpec:
    """An arm with velocity servos on a table whose top is z = 0; x is forward, y to the robot's left, z up."""
    spec = build(arm, actuators="velocity")
    spec.option.timestep = TIMESTEP
    spec.option.iterations, spec.option.ls_iterations = 20, 20
    spec.visual.headlight.ambient, spec.visual.headlight.diffuse = [0.35] * 3, [0.35] * 3
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 1280, 960
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.85, 0.90, 0.95],
        rgb2=[0.55, 0.65, 0.75],
        width=64,
        height=384,
    )
    world = spec.worldbody
    world.add_light(pos=[0.6, -0.9, 1.8], dir=[-0.2, 0.5, -1.0], diffuse=[0.55] * 3, specular=[0.2] * 3)
    world.add_light(pos=[0.9, 1.0, 1.6], dir=[-0.3, -0.6, -1.0], diffuse=[0.3] * 3, castshadow=False)
    # A plane touches a box at four points where a table top would at eight; it has no edge to fall from.
    top = world.add_geom(name="table", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0.0, 0.0, 0.1], group=4)
    top.contype, top.conaffinity = THING_BITS
    top.friction = [0.8, 0.005, 0.0001]
    board = world.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=[0.35, 0, -0.02], size=[0.6, 0.7, 0.0199])
    board.rgba, board.contype, board.conaffinity = [0.76, 0.66, 0.54, 1], 0, 0
    return spec


def add_box(
    spec: mujoco.MjSpec, name: str, half: tuple[float, float, float], mass: float, rgba: list[float]
) -> mujoco.MjsBody:
    """A free box of the half sizes given [m], at rest on the table; its joint has its name."""
    body = spec.worldbody.add_body(name=name, pos=[0.5, 0.0, half[2]])
    body.add_freejoint(name=name)
    geom = body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=list(half), mass=mass, rgba=rgba)
    geom.contype, geom.conaffinity = THING_BITS
    geom.condim, geom.friction = 4, [0.8, 0.005, 0.0001]
    return body


def add_goal(spec: mujoco.MjSpec, radius: float, *, flat: bool) -> None:
    """A green mark, a ball or a disc, that is moved by writing `mocap_pos`; nothing touches it."""
    body = spec.worldbody.add_body(name="goal", mocap=True)
    kind = mujoco.mjtGeom.mjGEOM_CYLINDER if flat else mujoco.mjtGeom.mjGEOM_SPHERE
    mark = body.add_geom(type=kind, size=[radius, 0.0008, 0] if flat else [radius, 0, 0], rgba=[0.15, 0.75, 0.3, 0.7])
    mark.contype, mark.conaffinity = 0, 0


def numbers(size: int) -> gymnasium.spaces.Box:
    """The space of observations of that many unbounded numbers."""
    return gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float64)


def settle(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Bring positions and body velocities up to the state after the last substep; a step leaves them one behind."""
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_comVel(model, data)


def pose_arm(data: mujoco.MjData, posture: tuple[float, ...], rng: np.random.Generator, spread: float = 0.03) -> None:
    """Put the joints near a posture, each off by up to `spread` rad."""
    data.qpos[:7] = np.array(posture) + rng.uniform(-spread, spread, 7)


def point_velocity(view: View, body: str, point: np.ndarray) -> np.ndarray:
    """Velocity (N, 3) [m/s] of a point (N, 3) [m] that is fixed to a body, world frame."""
    number = view.model.body(body).id
    spatial, reference = view["cvel"][:, number], view["subtree_com"][:, view.model.body_rootid[number]]
    return np.asarray(spatial[:, 3:] + np.cross(spatial[:, :3], point - reference))


def read_arm(view: View) -> Values:
    """`ARM_FIELDS` of all worlds."""
    tcp = view.site("tcp")
    return {
        "robot.joint_positions": view["qpos"][:, :7],
        "robot.joint_velocities": view["qvel"][:, :7],
        "robot.tcp_position": tcp,
        "robot.tcp_velocity": point_velocity(view, "hand", tcp),
        "robot.quaternion": view.quaternion("hand"),
    }


def opening(view: View) -> np.ndarray:
    """(N,) [m] between the fingertips."""
    return np.asarray(view.joint("left_finger") + view.joint("right_finger"))


def rotate(quaternion: np.ndarray, vector: tuple[float, float, float]) -> np.ndarray:
    """A vector (3,) turned by orientations (N, 4): (N, 3)."""
    scalar, axis = quaternion[:, :1], quaternion[:, 1:]
    once = np.cross(axis, np.array(vector))
    return np.asarray(vector + 2 * (scalar * once + np.cross(axis, once)))


def yaw(quaternion: np.ndarray) -> np.ndarray:
    """Heading (N,) [rad] of the x axis of orientations (N, 4)."""
    x, y, _ = rotate(quaternion, (1.0, 0.0, 0.0)).T
    return np.asarray(np.arctan2(y, x))


def place_box(data: mujoco.MjData, place: np.ndarray, half_height: float, angle: float) -> None:
    """Lay the world's free box on the table at `place` (2,) [m], turned by `angle` [rad] about the vertical."""
    data.qpos[9:16] = [*place, half_height, np.cos(angle / 2), 0.0, 0.0, np.sin(angle / 2)]


def open_gripper(data: mujoco.MjData) -> None:
    """Fingers as wide as they go, and told to stay so."""
    data.qpos[7:9] = FINGER_TRAVEL
    data.ctrl[7] = 2 * FINGER_TRAVEL


def box_velocity(view: View, name: str) -> np.ndarray:
    """Velocity (N, 3) [m/s] of a free body's origin, world frame."""
    first = view.model.joint(name).dofadr[0]
    return view["qvel"][:, first : first + 3]


def read_box(view: View, name: str) -> Values:
    """Where a free body is and how fast its centre moves."""
    return {
        f"{name}.position": view.position(name),
        f"{name}.quaternion": view.quaternion(name),
        f"{name}.velocity": box_velocity(view, name),
    }
