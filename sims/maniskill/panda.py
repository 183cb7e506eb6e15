"""Fields that all tasks with a Panda arm share, and the usual cameras."""

from __future__ import annotations

from typing import Any

from sims.maniskill.sources import (
    Glance,
    Reader,
    Source,
    angular_velocity,
    find,
    joint_positions,
    joint_velocities,
    linear_velocity,
    position,
    quaternion,
    raw,
)
from sims.maniskill.spec import Entry, Look, entry

ARM = tuple(f"panda_joint{number}" for number in range(1, 8))
CAMERAS = {
    "corner": Look((0.45, 0.5, 0.5), (-0.1, 0.0, 0.12), 0.9),
    "front": Look((0.6, 0.0, 0.45), (-0.1, 0.0, 0.12), 0.9),
    "side": Look((-0.15, 0.75, 0.4), (-0.15, 0.0, 0.15), 0.9),
}


def gripper_opening(agent: str = "agent") -> Source:
    """Distance between the two fingertips, () [m]: the sum of the two finger joints."""

    def bind(env: Any) -> Reader:
        robot = raw(find(env, agent).robot)

        def read() -> Any:
            return robot.qpos[-2:].sum()

        return read

    def batched(glance: Glance) -> Any:
        return find(glance.env, agent).robot.qpos[:, -2:].sum(dim=1)

    return Source((), "m", "", batched, bind)


def panda(agent: str = "agent", prefix: str = "", *, gripper: bool = True) -> tuple[Entry, ...]:
    """Hand, gripper and arm; of several robots, each has its `prefix` before the names of its groups, e.g. "left_"."""
    hand, whose = f"{agent}.tcp", f" of the {prefix.rstrip('_')} robot" if prefix else ""
    point = f"point between the fingertips{whose}" if gripper else f"tip of the stick{whose}"
    down = "; (0, 1, 0, 0) is pointing straight down"
    down += " with the fingers opening along y, (0, 0.707, 0.707, 0) along x" if gripper else ""
    entries = [
        entry(f"{prefix}hand.position", position(hand), point),
        entry(f"{prefix}hand.quaternion", quaternion(hand), f"orientation (w, x, y, z) of the hand{whose}{down}"),
        entry(f"{prefix}hand.velocity", linear_velocity(hand), f"velocity of the {point}"),
        entry(f"{prefix}hand.angular_velocity", angular_velocity(hand), f"angular velocity of the hand{whose}"),
    ]
    if gripper:
        meaning = f"distance between the fingertips{whose}: 0 closed, 0.08 wide open, and as wide as what it holds"
        entries.append(entry(f"{prefix}gripper.opening", gripper_opening(agent), meaning))
    robot = f"{agent}.robot"
    return (
        *entries,
        entry(f"{prefix}arm.joint_positions", joint_positions(robot, *ARM), f"the 7 joints{whose}, from base to hand"),
        entry(f"{prefix}arm.joint_velocities", joint_velocities(robot, *ARM), f"velocities of the 7 joints{whose}"),
    )


def body(name: str, path: str, what: str) -> tuple[Entry, ...]:
    """Pose and velocities of something that moves freely, as a group `name`; `what` says which point and what size."""
    label = name.replace("_", " ")
    return (
        entry(f"{name}.position", position(path), what),
        entry(f"{name}.quaternion", quaternion(path), f"orientation (w, x, y, z) of the {label}"),
        entry(f"{name}.velocity", linear_velocity(path), f"velocity of the {label}"),
        entry(f"{name}.angular_velocity", angular_velocity(path), f"angular velocity of the {label}"),
    )
