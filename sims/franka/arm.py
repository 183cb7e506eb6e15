"""A Franka arm for MuJoCo, built from its published parameters: joints, inertias, light collision shapes and a hand.

Frames are the manufacturer's: body "link<i>" is Denavit-Hartenberg frame i, the flange is that of its datasheet, and
the hand's fingers move along the hand's y. Geoms that are looked at are in group 2, those that collide in group 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from robot_learn import franka as published
from robot_learn.errors import unknown
from robot_learn.franka import Inertia, parameters
from sims.franka.looks import dress

JOINTS = tuple(f"joint{i}" for i in range(1, 8))
ACTUATORS = ("velocity", "position", "torque")
LOOKS, COLLISIONS = 2, 3  # geom groups
# A pair collides when a bit of one's contype is in the other's conaffinity: parts of the robot with things, things with
# each other and with the robot, but never the robot with itself.
ROBOT_BITS, THING_BITS = (2, 1), (1, 3)

_SERVO_DAMPING = (300.0, 300.0, 300.0, 300.0, 60.0, 60.0, 60.0)  # [Nm s/rad] a velocity is reached within ~10 ms
_SERVO_STIFFNESS = (4500.0, 4500.0, 3500.0, 3500.0, 2000.0, 2000.0, 2000.0)  # [Nm/rad]
_FINGER_ARMATURE = 0.1  # [kg] of the finger drive
_GRIP_STIFFNESS, _GRIP_DAMPING = 2000.0, 120.0  # [N/m], [N s/m] at the opening

# Capsules around the links, each in its link's frame: (from, to, radius) [m].
_CAPSULES: dict[str, tuple[tuple[Sequence[float], Sequence[float], float], ...]] = {
    "link0": (((-0.09, 0, 0.06), (0, 0, 0.07), 0.065),),
    "link1": (((0, 0, -0.15), (0, 0, -0.02), 0.06), ((0, -0.07, 0), (0, 0, 0), 0.056)),
    "link2": (((0, -0.16, 0), (0, 0, 0), 0.056), ((0, 0, 0), (0, 0, 0.07), 0.056)),
    "link3": (((0, 0, -0.085), (0, 0, 0), 0.056), ((0.0825, 0, 0), (0.0825, 0.06, 0), 0.056)),
    "link4": (((0, 0, 0), (0, 0, 0.06), 0.056), ((-0.0825, 0.09, 0), (-0.0825, 0.02, 0), 0.056)),
    "link5": (((0, 0, -0.23), (0, 0.03, -0.15), 0.056), ((0, 0.085, -0.18), (0, 0.06, 0), 0.042)),
    "link6": (((0, 0, -0.01), (0, 0.03, 0), 0.05), ((0.088, 0, 0), (0.088, 0.04, 0), 0.045)),
    "link7": (((0, 0, 0.06), (0, 0, 0.08), 0.042), ((0.03, 0.03, 0.085), (0.055, 0.055, 0.085), 0.02)),
    "hand": (((0, -0.075, 0.03), (0, 0.075, 0.03), 0.034),),
}
# Boxes of the left finger: (centre, half sizes) [m]; the last is the rubber tip, which grasps.
_FINGER_BOXES = (
    ((0, 0.0185, 0.011), (0.011, 0.0075, 0.010)),
    ((0, 0.0145, 0.029), (0.00875, 0.0060, 0.010)),
    ((0, 0.0076, 0.0455), (0.00875, 0.0076, 0.0095)),
)


def build(
    arm: str = "fr3",
    *,
    hand: bool = True,
    actuators: str = "velocity",
    joint_friction: bool = False,
    carries_itself: bool = True,
    visuals: bool = True,
) -> mujoco.MjSpec:
    """A spec with one arm that stands at the origin, looking along +x; add to it what the world needs, then compile.

    Joints, actuators and degrees of freedom 0 to 6 are the arm's. With a hand, the joints "left_finger" and
    "right_finger" [m] come next, and actuator 7, "gripper", takes the wanted opening, 0 to 0.08 m, and presses with
    70 N at most.

    Args:
        arm: "fr3" or "fer".
        hand: with Franka's two-finger hand.
        actuators: what the seven controls are: joint velocities [rad/s], joint positions [rad] or torques [Nm]. All
            stay within the joints' torque limits.
        joint_friction: Coulomb friction in the joints. Franka's controllers compensate most of it, and it makes
            every step dearer, so that it is left out by default.
        carries_itself: the arm's weight is compensated, as Franka's controllers do in every mode, torque mode included.
        visuals: meshes from mani_skill where that is installed, else capsules; without, only what collides.
    """
    known = parameters(arm)
    if actuators not in ACTUATORS:
        raise unknown("kind of actuators", actuators, ACTUATORS)
    spec = mujoco.MjSpec()
    spec.modelname = arm
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.timestep = 0.002
    spec.compiler.degree = False
    body = _body(spec.worldbody, "link0", published.BASE, carries_itself)
    for i, joint in enumerate(JOINTS):
        body = _body(body, f"link{i + 1}", known.links[i], carries_itself)
        twist = published.DH_TWIST[i]
        body.quat = [np.cos(twist / 2), np.sin(twist / 2), 0.0, 0.0]
        length, offset = published.DH_LENGTH[i], published.DH_OFFSET[i]
        body.pos = [length, -np.sin(twist) * offset, np.cos(twist) * offset]
        body.add_joint(
            name=joint,
            axis=[0, 0, 1],
            range=[known.lower[i], known.upper[i]],
            actfrclimited=mujoco.mjtLimited.mjLIMITED_TRUE,
            actfrcrange=[-known.torque[i], known.torque[i]],
            armature=known.armature[i],
            damping=known.damping[i],
            frictionloss=known.friction[i] if joint_friction else 0.0,
        )
        _drive(spec, joint, actuators, i, known)
    body.add_site(name="flange", pos=[0, 0, published.FLANGE_HEIGHT], size=[0.005] * 3, group=4)
    if hand:
        _add_hand(spec, body, carries_itself)
    if visuals:
        dress(spec, LOOKS)
    return spec


def _body(parent: mujoco.MjsBody, name: str, inertia: Inertia, carries_itself: bool) -> mujoco.MjsBody:
    """A rigid body with its inertia and its capsules."""
    body = parent.add_body(name=name, gravcomp=float(carries_itself))
    body.explicitinertial = True
    body.mass, body.ipos, body.fullinertia = inertia.mass, list(inertia.centre), list(inertia.tensor)
    for start, end, radius in _CAPSULES.get(name, ()):
        geom = body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=[*start, *end], size=[radius, 0, 0])
        _collides(geom)
    return body


def _collides(geom: mujoco.MjsGeom) -> None:
    geom.group, geom.rgba = COLLISIONS, [0.92, 0.93, 0.94, 1]
    geom.contype, geom.conaffinity = ROBOT_BITS


def _drive(spec: mujoco.MjSpec, joint: str, kind: str, i: int, known: published.ArmParameters) -> None:
    """The actuator of one joint; MuJoCo's force is gain * control + bias . (1, position, velocity)."""
    motor = spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    motor.ctrllimited = motor.forcelimited = mujoco.mjtLimited.mjLIMITED_TRUE
    motor.forcerange = [-known.torque[i], known.torque[i]]
    if kind == "torque":
        motor.ctrlrange = motor.forcerange
        return
    motor.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    if kind == "velocity":
        motor.gainprm[0], motor.biasprm[2] = _SERVO_DAMPING[i], -_SERVO_DAMPING[i]
        motor.ctrlrange = [-known.velocity[i], known.velocity[i]]
    else:
        stiffness = _SERVO_STIFFNESS[i]
        motor.gainprm[0], motor.biasprm[1], motor.biasprm[2] = stiffness, -stiffness, -0.1 * stiffness
        motor.ctrlrange = [known.lower[i], known.upper[i]]


def _add_hand(spec: mujoco.MjSpec, link7: mujoco.MjsBody, carries_itself: bool) -> None:
    """Franka's hand: two fingers that move alike and one force-limited drive for the opening between them."""
    hand = _body(link7, "hand", published.HAND, carries_itself)
    hand.pos, angle = [0, 0, published.FLANGE_HEIGHT], published.HAND_ANGLE
    hand.quat = [np.cos(angle / 2), 0, 0, np.sin(angle / 2)]
    hand.add_site(name="hand", size=[0.005] * 3, group=4)
    hand.add_site(name="tcp", pos=[0, 0, published.TCP_HEIGHT], size=[0.005] * 3, group=4)
    # Over the back of the hand, where labs screw a small depth camera; its picture's up is the hand's +x.
    hand.add_camera(name="wrist", pos=[0.075, 0, 0.02], xyaxes=[0, 1, 0, 0.924, 0, 0.383], fovy=62)
    for name, side in (("left_finger", 1.0), ("right_finger", -1.0)):
        finger = _body(hand, name, published.FINGER, carries_itself)
        finger.pos, finger.quat = [0, 0, published.FINGER_HEIGHT], ([1, 0, 0, 0] if side > 0 else [0, 0, 0, 1])
        finger.add_joint(
            name=name,
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=[0, 1, 0],
            range=[0, published.FINGER_TRAVEL],
            armature=_FINGER_ARMATURE,
        )
        for centre, half in _FINGER_BOXES:
            geom = finger.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=list(centre), size=list(half))
            _collides(geom)
            geom.rgba = [0.25, 0.26, 0.28, 1]
        geom.name, geom.condim, geom.friction = f"{name}_tip", 4, [1.2, 0.02, 0.0001]
    alike = spec.add_equality(name="fingers", type=mujoco.mjtEq.mjEQ_JOINT, name1="left_finger", name2="right_finger")
    alike.data[:2] = [0.0, 1.0]
    alike.solref, alike.solimp[:3] = [0.01, 1.0], [0.95, 0.99, 0.001]
    opening = spec.add_tendon(name="opening")
    opening.wrap_joint("left_finger", 1.0)
    opening.wrap_joint("right_finger", 1.0)
    drive = spec.add_actuator(name="gripper", target="opening", trntype=mujoco.mjtTrn.mjTRN_TENDON)
    drive.gainprm[0], drive.biastype = _GRIP_STIFFNESS, mujoco.mjtBias.mjBIAS_AFFINE
    drive.biasprm[1], drive.biasprm[2] = -_GRIP_STIFFNESS, -_GRIP_DAMPING
    drive.ctrllimited = drive.forcelimited = mujoco.mjtLimited.mjLIMITED_TRUE
    drive.ctrlrange = [0, 2 * published.FINGER_TRAVEL]
    drive.forcerange = [-published.GRIP_FORCE, published.GRIP_FORCE]
