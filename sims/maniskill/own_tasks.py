"""Our own ManiSkill tasks: those of Text2Reward (Xie et al. 2024) that need articulated objects, and LiftCube.

Each row says what a scene shows; the environments are in `sims.maniskill.envs`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from robot_learn.scene import Array
from sims.maniskill.sources import (
    Glance,
    Reader,
    Source,
    angular_velocity,
    attribute,
    derived,
    direction,
    grasped,
    joint_positions,
    joint_velocities,
    linear_velocity,
    point,
    position,
    quaternion,
    raw,
)
from sims.maniskill.spec import PANDA_POSITION, Entry, Look, Spec, entry, part

_MODULE = "sims.maniskill.envs"
_ROBOT = "agent.robot"


def _length(vectors: Array) -> Array:
    """(N,) of (N, d), numpy or torch."""
    return (vectors * vectors).sum(-1) ** 0.5


def _of_its_joint(quantity: Literal["qpos", "qvel"], unit: str) -> Source:
    """How far, or how fast, `env.link` has moved on its joint, which is another joint in another world."""

    def batched(glance: Glance) -> Any:
        moved = getattr(glance.env.link.joint, quantity)
        return moved - glance.env.start if quantity == "qpos" else moved

    def bind(env: Any) -> Reader:
        articulation, index = raw(env.object), int(env.link.joint.active_index[0])
        start = float(env.start[0]) if quantity == "qpos" else 0.0
        return lambda: getattr(articulation, quantity)[index] - start

    return Source((), unit, "", batched, bind)


# The Panda, and cameras of a table top.
_PANDA_JOINTS = tuple(f"panda_joint{i}" for i in range(1, 8))
_FINGERS = ("panda_finger_joint1", "panda_finger_joint2")
_PANDA: tuple[Entry, ...] = (
    entry("robot.hand_position", position("agent.tcp"), "point between the fingertips; its base stands at x -0.615"),
    entry(
        "robot.hand_quaternion", quaternion("agent.tcp"), "orientation of the hand; its z axis points along the fingers"
    ),
    entry("robot.hand_velocity", linear_velocity("agent.robot:panda_hand"), "velocity of the hand"),
    entry(
        "robot.finger_positions",
        joint_positions(_ROBOT, *_FINGERS, unit="m"),
        "how far each finger is from the middle of the hand; 0 closed, 0.04 wide open",
    ),
    entry("robot.joint_positions", joint_positions(_ROBOT, *_PANDA_JOINTS), "angles of the seven joints of the arm"),
    entry("robot.joint_velocities", joint_velocities(_ROBOT, *_PANDA_JOINTS), "speeds of the seven joints of the arm"),
)

LIFT_CUBE = Spec(
    env_id="RobotLearn-LiftCube-v1",
    instruction="Pick up cube A and lift it up by 0.2 meter.",
    control_mode="pd_ee_delta_pos",
    action=PANDA_POSITION,
    entries=(
        *_PANDA,
        entry(
            "cube_a.position", position("cube"), "centre of the cube, edge 0.04 m; z is 0.02 while it lies on the table"
        ),
        entry("cube_a.quaternion", quaternion("cube"), "orientation of the cube"),
        entry("cube_a.velocity", linear_velocity("cube"), "velocity of the cube"),
        entry("cube_a.angular_velocity", angular_velocity("cube"), "angular velocity of the cube"),
        entry("cube_a.grasped", grasped("cube"), "1 while both fingers press on the cube, else 0"),
    ),
    cameras={
        "front": Look((0.65, 0.45, 0.55), (-0.05, 0.0, 0.15)),
        "side": Look((-0.05, 0.95, 0.35), (-0.15, 0.0, 0.2)),
        "top": Look((-0.05, 0.0, 1.1), (0.0, 0.0, 0.0)),
    },
    max_episode_steps=100,
    success=lambda v: (v["cube_a.position"][:, 2] >= 0.22) & ((abs(v["robot.joint_velocities"]) <= 0.2).all(-1)),
    module=_MODULE,
)

TURN_FAUCET = Spec(
    env_id="RobotLearn-TurnFaucet-v1",
    instruction="Turn on a faucet by rotating its handle. The task is finished when the handle's joint position passes "
    "its target.",
    control_mode="pd_ee_delta_pos",
    action=PANDA_POSITION,
    entries=(
        *_PANDA,
        entry("faucet.position", position("object"), "foot of the faucet on the table; its spout points to about -x"),
        entry(
            "handle.position",
            point("link", "grip"),
            "the handle near its tip, 5 to 11 cm from its axis; it is 2 cm thick",
        ),
        entry("handle.pivot_position", position("link"), "point of the handle's axis about which it turns"),
        entry("handle.axis", direction("link", "axis"), "axis of the handle; it turns on counter-clockwise about it"),
        entry("handle.angle", _of_its_joint("qpos", "rad"), "how far the handle is turned on; 0 at the start"),
        entry("handle.angular_speed", _of_its_joint("qvel", "rad/s"), "rate of the angle"),
        entry("handle.target_angle", attribute("target_angle", unit="rad"), "the angle to pass, 0.6 to 1.6"),
    ),
    cameras={
        "front": Look((-0.35, 0.75, 0.55), (-0.05, 0.0, 0.15)),
        "side": Look((-0.05, -0.95, 0.35), (-0.1, 0.0, 0.2)),
        "top": Look((-0.1, 0.0, 1.1), (0.0, 0.0, 0.0)),
    },
    max_episode_steps=200,
    success=lambda v: v["handle.angle"] > v["handle.target_angle"],
    module=_MODULE,
    takes_assets=True,
)

# The Fetch and what it opens.
_FETCH_ACTION = (
    part("hand_dx", "target of the hand forward, in the robot's frame, relative to where it is now, x 0.1 m"),
    part("hand_dy", "target of the hand to the robot's left, relative to where it is now, x 0.1 m"),
    part("hand_dz", "target of the hand upward, relative to where it is now, x 0.1 m"),
    part("gripper", "wanted opening of the gripper: 1 opens it to 0.1 m, -1 closes it"),
    part("base_forward", "speed of the base straight ahead, x 1 m/s"),
    part("base_turn", "rate at which the base turns to the left, x 1.5 rad/s"),
)
_FETCH_BASE = ("root_x_axis_joint", "root_y_axis_joint")
_FETCH_YAW = "root_z_rotation_joint"
_FETCH_ARM = (
    "shoulder_pan_joint", "shoulder_lift_joint", "upperarm_roll_joint", "elbow_flex_joint", "forearm_roll_joint",
    "wrist_flex_joint", "wrist_roll_joint",
)  # fmt: skip
_FETCH_FINGERS = ("l_gripper_finger_joint", "r_gripper_finger_joint")


def _base(robot: str) -> tuple[Entry, ...]:
    place = joint_positions(_ROBOT, *_FETCH_BASE, unit="m")
    heading = joint_positions(_ROBOT, _FETCH_YAW)
    speed = joint_velocities(_ROBOT, *_FETCH_BASE, unit="m/s")
    faces = "direction the robot faces; 0 along +x, counter-clockwise positive"
    return (
        entry("robot.base_position", place, f"x and y of {robot}", frame="world"),
        entry("robot.base_heading", heading, faces, frame="world"),
        entry("robot.base_velocity", speed, "velocity of the base along x and y", frame="world"),
        entry("robot.base_turn_rate", joint_velocities(_ROBOT, _FETCH_YAW), "rate of the heading"),
    )


_FETCH: tuple[Entry, ...] = (
    *_base("the middle of the robot's base"),
    entry("robot.hand_position", position("agent.tcp"), "point between the fingers; the hand points forward"),
    entry(
        "robot.hand_quaternion", quaternion("agent.tcp"), "orientation of the hand; its x axis points along the fingers"
    ),
    entry("robot.hand_velocity", linear_velocity("agent.tcp"), "velocity of the hand"),
    entry(
        "robot.finger_positions",
        joint_positions(_ROBOT, *_FETCH_FINGERS, unit="m"),
        "how far each finger is from the middle of the hand; 0 closed, 0.05 wide open",
    ),
    entry("robot.joint_positions", joint_positions(_ROBOT, *_FETCH_ARM), "angles of the seven joints of the arm"),
    entry("robot.joint_velocities", joint_velocities(_ROBOT, *_FETCH_ARM), "speeds of the seven joints of the arm"),
)


def _opens(what: str, unit: str, bar: str, full: str, more: tuple[Entry, ...] = ()) -> tuple[Entry, ...]:
    opening = "opening" if what == "drawer" else "angle"
    return (
        *_FETCH,
        entry("handle.position", point("link", "grip"), f"middle of the {what}'s handle, {bar}, 5 cm in front of it"),
        entry(f"{what}.velocity", linear_velocity("link"), f"velocity of the {what}'s centre of mass"),
        entry(f"{what}.angular_velocity", angular_velocity("link"), f"angular velocity of the {what}"),
        *more,
        entry(f"{what}.{opening}", _of_its_joint("qpos", unit), f"how far the {what} is open; 0 shut, {full}"),
        entry(
            f"{what}.target_{opening}", attribute("target_opening", unit=unit), f"how far the {what} is to be opened"
        ),
    )


def _opened(what: str, opening: str) -> Callable[[Any], Array]:
    def success(v: Any) -> Array:
        still = (_length(v[f"{what}.velocity"]) <= 0.1) & (_length(v[f"{what}.angular_velocity"]) <= 1.0)
        return (v[f"{what}.{opening}"] >= v[f"{what}.target_{opening}"]) & still

    return success


_CABINET_CAMERAS = {
    "front": Look((-2.3, -1.9, 1.7), (-0.7, 0.0, 0.55)),
    "side": Look((-0.7, 2.6, 1.2), (-0.7, 0.0, 0.6)),
    "top": Look((-0.8, 0.0, 3.4), (-0.7, 0.0, 0.0)),
}
_CABINET: dict[str, Any] = {
    "control_mode": "base_and_hand",
    "action": _FETCH_ACTION,
    "cameras": _CABINET_CAMERAS,
    "max_episode_steps": 200,
    "module": _MODULE,
    "takes_assets": True,
}

OPEN_CABINET_DRAWER = Spec(
    env_id="RobotLearn-OpenCabinetDrawer-v1",
    instruction="A single-arm mobile robot needs to open a cabinet drawer. The task is finished when the joint "
    "position of the drawer passes its target.",
    entries=_opens("drawer", "m", "a bar along y", "it slides to -x, by 0.24 to 0.39 at most"),
    success=_opened("drawer", "opening"),
    **_CABINET,
)

OPEN_CABINET_DOOR = Spec(
    env_id="RobotLearn-OpenCabinetDoor-v1",
    instruction="A single-arm mobile robot needs to open a cabinet door. The task is finished when the joint "
    "position of the door passes its target.",
    entries=_opens(
        "door",
        "rad",
        "an upright bar",
        "1.4 to 1.7 at most; its handle moves to -x and around the hinge",
        (entry("door.hinge_position", position("link"), "middle of the door's hinge, an upright axis"),),
    ),
    success=_opened("door", "angle"),
    **_CABINET,
)

# The two arms and the chair.
_DUAL_ACTION = (
    part("base_forward", "speed of the base straight ahead, x 1 m/s"),
    part("base_left", "speed of the base to its left, x 1 m/s"),
    part("base_turn", "rate at which the base turns to the left, x 1.5 rad/s"),
    *(
        part(
            f"{arm}_{joint}",
            f"target of the {arm} arm's joint {number}, relative to where it is now, x 0.1 rad: {effect}",
        )
        for arm in ("left", "right")
        for joint, number, effect in (
            ("pan", 1, "swings the arm to the left"),
            ("shoulder", 2, "leans it forward and down"),
            ("elbow", 4, "stretches it"),
        )
    ),
)
# The order in which the environment's controller takes them.
_DUAL_STEERED = tuple(f"{arm}_panda_joint{i}" for arm in ("left", "right") for i in (1, 2, 4))


def _hands() -> tuple[Entry, ...]:
    return tuple(
        entry(f"robot.{arm}_hand_position", position(f"agent.{arm}_hand"), f"tip of the closed fist of the {arm} arm")
        for arm in ("left", "right")
    )


PUSH_CHAIR = Spec(
    env_id="RobotLearn-PushChair-v1",
    instruction="A dual-arm mobile robot needs to push a swivel chair to a target location on the ground and "
    "prevent it from falling over.",
    control_mode="base_and_arms",
    action=_DUAL_ACTION,
    entries=(
        *_base("the middle of the robot's base, 0.5 m long and wide"),
        *_hands(),
        entry(
            "robot.joint_positions",
            joint_positions(_ROBOT, *_DUAL_STEERED),
            "angles of pan, shoulder and elbow of the left, then of the right arm",
        ),
        entry(
            "robot.joint_velocities",
            joint_velocities(_ROBOT, *_DUAL_STEERED),
            "speeds of pan, shoulder and elbow of the left, then of the right arm",
        ),
        entry(
            "chair.position",
            position("link"),
            "point on the floor under the chair's column while it stands; castors turn 0.3 m around it",
        ),
        entry("chair.quaternion", quaternion("link"), "orientation of the column with its legs"),
        entry("chair.velocity", linear_velocity("link"), "velocity of the column with its legs"),
        entry("chair.angular_velocity", angular_velocity("link"), "angular velocity of the column with its legs"),
        entry(
            "chair.upright", direction("link", "upright"), "direction of the column, (0, 0, 1) while the chair stands"
        ),
        entry("seat.position", position("seat"), "middle of the seat, 0.42 to 0.5 m wide; the back is on its -x side"),
        entry("seat.quaternion", quaternion("seat"), "orientation of seat and back, which turn on the column"),
        entry(
            "target.position",
            attribute("target", (3,), unit="m", frame="world"),
            "where the chair is to stand, on the floor",
        ),
        entry(
            "chair.distance_to_target",
            derived(
                lambda chair, target: _length((chair - target)[:, :2]), "chair.position", "target.position", unit="m"
            ),
            "horizontal distance of the chair's position from the target",
        ),
    ),
    cameras={
        "front": Look((-2.1, -1.9, 1.7), (0.1, 0.0, 0.4), 0.8),
        "side": Look((2.9, -2.4, 1.8), (0.0, 0.0, 0.3), 1.0),
        "top": Look((-0.01, 0.0, 5.0), (0.0, 0.0, 0.0), 1.0),
    },
    max_episode_steps=200,
    # Upright within 0.05 pi: the cosine is 0.98769.
    success=lambda v: (
        (v["chair.distance_to_target"] <= 0.15)
        & (v["chair.upright"][:, 2] >= 0.9876883)
        & (_length(v["chair.velocity"]) <= 0.1)
        & (_length(v["chair.angular_velocity"]) <= 0.2)
    ),
    module=_MODULE,
    takes_assets=True,
)

SPECS: dict[str, Spec] = {
    "lift-cube": LIFT_CUBE,
    "turn-faucet": TURN_FAUCET,
    "open-cabinet-drawer": OPEN_CABINET_DRAWER,
    "open-cabinet-door": OPEN_CABINET_DOOR,
    "push-chair": PUSH_CHAIR,
}
