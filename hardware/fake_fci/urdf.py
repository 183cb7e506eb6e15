"""The arm as a URDF text, which version-10 clients fetch to build their own model of it: links, inertias, limits."""

from __future__ import annotations

from robot_learn import franka as published
from robot_learn.franka import ArmParameters

_FAST = 1e6  # [rad/s^2] where an arm's velocity limits do not depend on position


def urdf(arm: ArmParameters, name: str = "fr3") -> str:
    """The arm without its hand (clients learn of that from the state), up to a frame named exactly "link8".

    Clients take the first joint whose name contains "joint1" for joint 1, and so on, and read the position-based
    velocity limits from a child element of each.
    """
    lines = ['<?xml version="1.0" ?>', f'<robot name="{name}">', '  <link name="base"/>', _fixed("base", "link0")]
    lines.append(_link("link0", published.BASE))
    for i in range(7):
        lines += [_link(f"link{i + 1}", arm.links[i]), _joint(arm, i)]
    lines += ['  <link name="link8"/>', _fixed("link7", "link8", published.FLANGE_HEIGHT), "</robot>"]
    return "\n".join(lines) + "\n"


def _fixed(parent: str, child: str, height: float = 0.0) -> str:
    return (
        f'  <joint name="{parent}_to_{child}" type="fixed"><origin rpy="0 0 0" xyz="0 0 {height!r}"/>'
        f'<parent link="{parent}"/><child link="{child}"/></joint>'
    )


def _link(name: str, inertia: published.Inertia) -> str:
    x, y, z = inertia.centre
    xx, yy, zz, xy, xz, yz = inertia.tensor
    return (
        f'  <link name="{name}"><inertial><origin rpy="0 0 0" xyz="{x!r} {y!r} {z!r}"/><mass value="{inertia.mass!r}"/>'
        f'<inertia ixx="{xx!r}" iyy="{yy!r}" izz="{zz!r}" ixy="{xy!r}" ixz="{xz!r}" iyz="{yz!r}"/></inertial></link>'
    )


def _joint(arm: ArmParameters, i: int) -> str:
    length, offset, twist = published.DH_LENGTH[i], published.DH_OFFSET[i], published.DH_TWIST[i]
    # Rot_x(twist) Trans_x(length) Trans_z(offset); all twists are whole quarter turns.
    quarter = round(twist / 1.5707963267948966)
    y, z = {0: (0.0, offset), -1: (offset, 0.0), 1: (-offset, 0.0)}[quarter]
    velocity_offset = 0.0 if arm.velocity_offset is None else float(arm.velocity_offset[i])
    braking = _FAST if arm.braking is None else float(arm.braking[i])
    lower, upper, velocity = float(arm.lower[i]), float(arm.upper[i]), float(arm.velocity[i])
    return (
        f'  <joint name="joint{i + 1}" type="revolute">'
        + f'<origin rpy="{float(twist)!r} 0 0" xyz="{length!r} {y!r} {z!r}"/>'
        + f'<parent link="link{i}"/><child link="link{i + 1}"/><axis xyz="0 0 1"/>'
        + f'<limit effort="{float(arm.torque[i])!r}" lower="{lower!r}" upper="{upper!r}" velocity="{velocity!r}"/>'
        + f'<position_based_velocity_limits velocity_offset="{velocity_offset!r}" deceleration_limit="{braking!r}"/>'
        + "</joint>"
    )
