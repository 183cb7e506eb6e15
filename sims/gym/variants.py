"""How a body is made into another: limbs of other lengths and thickness, other masses, colours, grounds and views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import mujoco
import numpy as np

from sims.rendering import Camera

Colour = tuple[float, float, float]  # 0 to 1


@dataclass(frozen=True)
class Part:
    """How a kind of limb differs, as factors."""

    length: float = 1.0
    thickness: float = 1.0
    colour: Colour = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Variant:
    """A body made of another; `parts` has a word in the name of every limb, that of its first geom."""

    parts: Mapping[str, Part]
    floor: tuple[Colour, Colour]
    sky: Colour
    mass: float = 1.0  # factor of the whole body's
    strength: float = 1.0  # factor of every motor's torque, and of the joints' springs and damping
    cameras: Mapping[str, Camera] = field(default_factory=dict)  # instead of the task's of that name

    def part(self, geom: str) -> Part:
        return next(part for word, part in self.parts.items() if word in geom)

    def dress(self, spec: mujoco.MjSpec) -> None:
        """Change a model's description: sizes first, then how it is dropped, masses, motors and looks."""
        was = spec.compile()
        _stretch(self, spec.worldbody, 1.0)
        spec.compiler.settotalmass = self.mass * float(was.body_mass.sum())
        for joint in spec.joints:
            joint.stiffness *= self.strength
            joint.damping *= self.strength
        for motor in spec.actuators:
            motor.gear = [self.strength * one for one in motor.gear]
        _lift(spec, _clearance(was))
        _paint(self, spec)


def _stretch(variant: Variant, body: mujoco.MjsBody, length: float) -> None:
    """Scale what hangs on `body`, which itself is `length` times as long.

    A limb turns about its joint, so it is the joint's place that moves with the limb above, and all else with its own.
    """
    for child in body.bodies:
        part, is_root = variant.part(child.geoms[0].name), body.name == "world"
        joint = np.zeros(3) if is_root or not child.joints else np.array(child.joints[0].pos)
        child.pos = length * (np.array(child.pos) + joint) - part.length * joint
        for one in () if is_root else child.joints:
            one.pos = part.length * np.array(one.pos)
        for geom in child.geoms:
            geom.pos, geom.fromto = part.length * np.array(geom.pos), part.length * np.array(geom.fromto)
            ball = geom.type == mujoco.mjtGeom.mjGEOM_SPHERE
            geom.size = np.array(geom.size) * ([part.length] * 3 if ball else [part.thickness, part.length, 1.0])
        for site in child.sites:
            site.pos = part.length * np.array(site.pos)
        _stretch(variant, child, part.length)


def _clearance(model: mujoco.MjModel) -> float:
    """How far above the floor the lowest point of the robot is when it is dropped [m]."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    robot = np.flatnonzero(model.geom_bodyid > 0)
    upward = np.abs(data.geom_xmat[robot, 8]) * np.where(
        model.geom_type[robot] == mujoco.mjtGeom.mjGEOM_CAPSULE, model.geom_size[robot, 1], 0.0
    )
    return float((data.geom_xpos[robot, 2] - upward - model.geom_size[robot, 0]).min())


def _lift(spec: mujoco.MjSpec, clearance: float) -> None:
    """Drop the robot from where its lowest point is as far above the floor as the plain body's."""
    torso = spec.worldbody.first_body()
    more = clearance - _clearance(spec.compile())
    torso.pos = np.array(torso.pos) + np.array([0.0, 0.0, more])
    for joint in torso.joints:
        if joint.ref != 0.0:  # a slide that reads as the height
            joint.ref += more


def _paint(variant: Variant, spec: mujoco.MjSpec) -> None:
    for body in spec.bodies[1:]:  # the first is the world
        name = body.geoms[0].name
        shade = 0.6 if "left" in name else 1.0  # so that two legs side by side can be told apart
        for geom in body.geoms:
            geom.material, geom.rgba = "", [*(shade * one for one in variant.part(name).colour), 1.0]
    for texture in spec.textures:
        if texture.type == mujoco.mjtTexture.mjTEXTURE_SKYBOX:
            texture.rgb1, texture.rgb2 = variant.sky, tuple(0.5 * one for one in variant.sky)
    texture = spec.texture("texplane")
    texture.rgb1, texture.rgb2 = variant.floor
