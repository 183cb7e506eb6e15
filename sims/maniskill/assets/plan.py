"""An articulated object as data: links of primitive shapes, and the joints that hold them together.

The frame of a link lies at its joint and, at joint position 0, is turned as its parent's frame is. SI units;
quaternions are (w, x, y, z).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import sapien

Vector = tuple[float, float, float]
X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)

# Densities [kg/m^3] are those of the whole part, hollow where the real part is.
STEEL, BRASS, WOOD, PLASTIC, FOAM = 7800.0, 8000.0, 600.0, 950.0, 60.0


@dataclass(frozen=True)
class Stuff:
    """What a part is made of."""

    colour: Vector = (0.7, 0.7, 0.7)
    density: float = WOOD
    metallic: float = 0.0  # 0 to 1: how it shines
    friction: float = 0.6


@dataclass(frozen=True)
class Shape:
    """One primitive, both seen and touched."""

    kind: Literal["box", "cylinder", "capsule", "sphere"]
    size: tuple[float, ...]  # box: half sizes; cylinder, capsule: radius, half length; sphere: radius
    position: Vector = (0.0, 0.0, 0.0)  # of its centre, in the frame of its link
    axis: Vector = Z  # where the long axis of a cylinder or capsule, or the z axis of a box, points to
    stuff: Stuff = Stuff()


@dataclass(frozen=True)
class Joint:
    """How a link hangs on its parent; without limits a revolute joint turns round and round."""

    kind: Literal["fixed", "revolute", "prismatic"]
    origin: Vector  # in the parent's frame
    axis: Vector = X  # in the parent's frame; positions grow along it, or counter-clockwise about it
    limits: tuple[float, float] | None = None  # [rad] or [m]
    friction: float = 0.0  # PhysX's coefficient: a load on the joint times this is what resists
    damping: float = 0.0  # [N m s/rad] or [N s/m]


@dataclass(frozen=True)
class Link:
    """A rigid piece; the first of a plan has no parent and no joint."""

    name: str
    shapes: tuple[Shape, ...]
    parent: str | None = None
    joint: Joint | None = None
    weightless: bool = False  # balanced by a spring or the like, which is not modelled


@dataclass(frozen=True)
class Plan:
    """Links, each after its parent."""

    links: tuple[Link, ...]
    fixed: bool = True  # is the first link fixed to the world?


def turn(start: Vector, end: Vector) -> np.ndarray:
    """The quaternion (w, x, y, z) of the shortest rotation that takes one unit vector to another."""
    a, b = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    w = 1.0 + a @ b
    if w < 1e-9:  # opposite: half a turn about anything at right angles
        side = np.cross(a, X if abs(a[0]) < 0.9 else Y)
        return np.array([0.0, *(side / np.linalg.norm(side))])
    q = np.array([w, *np.cross(a, b)])
    return np.asarray(q / np.linalg.norm(q))


def build(
    plan: Plan, scene: Any, name: str, *, pose: sapien.Pose | None = None, scene_idxs: Sequence[int] | None = None
) -> Any:
    """The plan as a ManiSkill `Articulation` in the scene, in the worlds named (in all, where None)."""
    builder = scene.create_articulation_builder()
    builder.disable_self_collisions = True  # parts that fit closely would rub against each other
    builder.initial_pose = sapien.Pose() if pose is None else pose
    builder.set_scene_idxs(scene_idxs)
    made: dict[str, Any] = {}
    for link in plan.links:
        part = builder.create_link_builder(made[link.parent] if link.parent else None)
        part.set_name(link.name)
        for shape in link.shapes:
            attach(part, shape, seen=scene.can_render())
        if link.joint is not None:
            _hang(part, link.joint, f"{link.name}_joint")
        made[link.name] = part
    articulation = builder.build(name=name, fix_root_link=plan.fixed)
    for link in plan.links:
        articulation.links_map[link.name].disable_gravity = link.weightless
        if link.joint is not None and link.joint.kind != "fixed":
            articulation.joints_map[f"{link.name}_joint"].set_friction(link.joint.friction)
    return articulation


def _hang(part: Any, joint: Joint, name: str) -> None:
    kind = "continuous" if joint.kind == "revolute" and joint.limits is None else joint.kind
    limits = [joint.limits] if joint.limits is not None else [(-np.inf, np.inf)]
    turned = turn(X, joint.axis)  # SAPIEN's joints turn about, or slide along, the x axis of their frame
    part.set_joint_name(name)
    part.set_joint_properties(
        kind,
        limits,
        pose_in_parent=sapien.Pose(joint.origin, turned),
        pose_in_child=sapien.Pose(q=turned),
        friction=joint.friction,
        damping=joint.damping,
    )


def attach(part: Any, shape: Shape, *, seen: bool) -> None:
    """Add a shape to a SAPIEN link or actor builder; `seen`: what is touched can be looked at, too."""
    # SAPIEN's cylinders and capsules lie along x.
    pose = sapien.Pose(shape.position, turn(Z if shape.kind == "box" else X, shape.axis))
    size: dict[str, Any] = {"half_size": shape.size}
    if shape.kind != "box":
        size = dict(zip(("radius", "half_length"), shape.size, strict=False))
    friction = sapien.physx.PhysxMaterial(shape.stuff.friction, shape.stuff.friction, 0.0)
    getattr(part, f"add_{shape.kind}_collision")(pose=pose, **size, material=friction, density=shape.stuff.density)
    if seen:  # without a Vulkan device not even a material can be made
        look = sapien.render.RenderMaterial(
            base_color=[*shape.stuff.colour, 1.0],
            metallic=shape.stuff.metallic,
            roughness=0.4 if shape.stuff.metallic else 0.7,
        )
        getattr(part, f"add_{shape.kind}_visual")(pose=pose, **size, material=look)
