"""What the soft tasks share: a table under good light, grippers that an action moves, and time that must be held.

Soft things are made of many small masses. Contacts and lengths are MuJoCo's soft constraints, solved by conjugate
gradients over sparse matrices: with some hundred free masses that is five times as fast as Newton's method.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np

from robot_learn.types import ActionComponent

CONTROL_DT = 0.05  # [s]
GRIPPER_STEP = 0.02  # [m] that an action can move a gripper's target along each axis, in one control step
GRIPPER_LEAD = 0.04  # [m] that the target may be ahead of the gripper
GRIPPER_STIFFNESS, GRIPPER_FORCE = 200.0, 2.0  # [N/m] of the servos, [N] at most along each axis
GRIPPER_MASS = 0.1  # [kg]
GRIPPER_RADIUS = 0.016  # [m]
REACH = np.array([[-0.45, 0.45], [-0.35, 0.35], [0.008, 0.35]])  # [m] where a gripper's target may be, world frame

# Bits of contype and conaffinity: the table and walls touch what is soft, nothing else touches anything.
SOLID, SOFT = 2, 1
HIDDEN = 3  # a geometry group that is not drawn

SLIDE = mujoco.mjtJoint.mjJNT_SLIDE
AXES = (("x", (1.0, 0.0, 0.0)), ("y", (0.0, 1.0, 0.0)), ("z", (0.0, 0.0, 1.0)))


def stage(timestep: float, *, table: tuple[float, float] = (0.6, 0.45)) -> mujoco.MjSpec:
    """A chequered table with its top at z = 0 and half sizes `table` [m]; it holds things beyond its edges, too."""
    spec = mujoco.MjSpec()
    spec.option.timestep = timestep
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.solver = mujoco.mjtSolver.mjSOL_CG
    spec.option.jacobian = mujoco.mjtJacobian.mjJAC_SPARSE
    spec.option.iterations, spec.option.ls_iterations, spec.option.tolerance = 15, 8, 1e-5
    spec.visual.headlight.ambient, spec.visual.headlight.diffuse = [0.35] * 3, [0.45] * 3
    spec.visual.headlight.specular = [0.1] * 3
    _checker(spec, "table", (0.80, 0.74, 0.66), (0.74, 0.67, 0.58), 10)
    _checker(spec, "floor", (0.30, 0.34, 0.40), (0.26, 0.30, 0.36), 8)
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.62, 0.72, 0.84],
        rgb2=[0.20, 0.26, 0.34],
        width=64,
        height=64,
    )
    world, plane = spec.worldbody, mujoco.mjtGeom.mjGEOM_PLANE
    world.add_light(pos=[0.5, -0.6, 1.6], dir=[-0.3, 0.35, -1.0], diffuse=[0.5] * 3, specular=[0.2] * 3)
    ghost: dict[str, Any] = {"contype": 0, "conaffinity": 0}
    world.add_geom(name="floor", type=plane, pos=[0, 0, -0.5], size=[3, 3, 0.1], material="floor", **ghost)
    slab = [*table, 0.02]
    world.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=[0, 0, -0.0205], size=slab, rgba=[0.5, 0.4, 0.3, 1], **ghost)
    world.add_geom(
        name="table",
        type=plane,
        size=[*table, 0.1],
        material="table",
        contype=SOLID,
        conaffinity=0,
        friction=[0.8, 0, 0],
    )
    return spec


def _checker(spec: mujoco.MjSpec, name: str, one: Sequence[float], other: Sequence[float], repeat: float) -> None:
    spec.add_texture(
        name=name,
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=list(one),
        rgb2=list(other),
        width=128,
        height=128,
    )
    material = spec.add_material(name=name, texrepeat=[repeat, repeat], texuniform=True, specular=0.1)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name


def add_point(spec: mujoco.MjSpec, name: str, position: Sequence[float], *, damping: float = 0.0) -> Any:
    """A body that slides freely and never turns; its joints, name_x and so on, read its world position [m]."""
    body = spec.worldbody.add_body(name=name, pos=list(position))
    for (letter, axis), start in zip(AXES, position, strict=True):
        body.add_joint(name=f"{name}_{letter}", type=SLIDE, axis=list(axis), ref=start, damping=damping)
    return body


def point_address(model: mujoco.MjModel, name: str, *, velocity: bool = False) -> slice:
    """Where a point's position [m] is in `qpos`, or its velocity [m/s] in `qvel`."""
    joint = model.joint(f"{name}_x")
    first = int((joint.dofadr if velocity else joint.qposadr)[0])
    return slice(first, first + 3)


def add_gripper(spec: mujoco.MjSpec, body: Any, colour: Sequence[float]) -> None:
    """Make a point a gripper: a weightless ball, seen but not felt by anything, with three position servos."""
    body.add_geom(
        name=f"{body.name}_ball",
        size=[GRIPPER_RADIUS, 0, 0],
        mass=GRIPPER_MASS,
        rgba=list(colour),
        contype=0,
        conaffinity=0,
    )
    body.gravcomp = 1.0
    damping = 2.0 * np.sqrt(GRIPPER_STIFFNESS * GRIPPER_MASS)  # critical
    for (letter, _), bounds in zip(AXES, REACH, strict=True):
        spec.add_actuator(
            name=f"{body.name}_{letter}",
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            target=f"{body.name}_{letter}",
            biastype=mujoco.mjtBias.mjBIAS_AFFINE,
            gainprm=[GRIPPER_STIFFNESS, *[0] * 9],
            biasprm=[0, -GRIPPER_STIFFNESS, -damping, *[0] * 7],
            ctrlrange=list(bounds),
            ctrllimited=True,
            forcerange=[-GRIPPER_FORCE, GRIPPER_FORCE],
            forcelimited=True,
        )


def hold_grippers(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Let the servos want what is: at the start of an episode."""
    data.ctrl[:] = data.qpos[model.jnt_qposadr[model.actuator_trnid[:, 0]]]


def move_grippers(model: mujoco.MjModel, data: mujoco.MjData, action: np.ndarray, *, span: float) -> None:
    """Shift the servos' targets by the action: within the grippers' reach, never far ahead of them, and never farther
    apart than `span` [m], so that two grippers do not tear what they hold.
    """
    here = data.qpos[model.jnt_qposadr[model.actuator_trnid[:, 0]]]
    target = np.clip(data.ctrl + GRIPPER_STEP * action, here - GRIPPER_LEAD, here + GRIPPER_LEAD)
    target = np.clip(target, *model.actuator_ctrlrange.T).reshape(2, 3)
    middle, apart = target.mean(axis=0), float(np.linalg.norm(target[1] - target[0]))
    data.ctrl[:] = (middle + (target - middle) * min(1.0, span / max(apart, 1e-9))).ravel()


def gripper_action(*grippers: str) -> tuple[ActionComponent, ...]:
    """Three numbers for each gripper."""
    meaning = f"move the {{}} gripper along world {{}}, by at most {GRIPPER_STEP} m in a step, at 1"
    return tuple(
        ActionComponent(f"{name}_d{letter}", -1.0, 1.0, meaning.format(name, letter))
        for name in grippers
        for letter, _ in AXES
    )


def count_up(steps: np.ndarray, holds: np.ndarray) -> np.ndarray:
    """For how many steps on end something has held, (N,), from the count before and whether it holds now."""
    return np.where(holds, steps + 1, 0)
