"""A rope on the table, its ends in two grippers.

The rope is a chain of stiff links with universal joints, so its length is constant. It touches the table but not
itself: it can be pulled through a loop, never into a knot.
"""

from __future__ import annotations

import mujoco
import numpy as np

from sims.mujoco_task import View
from sims.soft.stage import HIDDEN, SOFT, SOLID, add_gripper, add_point, hold_grippers, point_address, stage

LINKS, LINK = 18, 0.035  # number and length [m] of the links
LENGTH = LINKS * LINK  # [m] 0.63
RADIUS = 0.008  # [m]
TIMESTEP = 0.01  # [s]

LEFT, RIGHT = (0.86, 0.20, 0.18, 1.0), (0.16, 0.36, 0.80, 1.0)  # colours of the grippers


def model() -> mujoco.MjModel:
    """The rope as a chain that begins in the left gripper and is tied to the right one."""
    spec = stage(TIMESTEP)
    # A taut chain is stiff: it explodes unless the solver converges, as Newton's method does, cheaply at this size.
    spec.option.solver, spec.option.jacobian = mujoco.mjtSolver.mjSOL_NEWTON, mujoco.mjtJacobian.mjJAC_DENSE
    spec.option.iterations, spec.option.ls_iterations, spec.option.tolerance = 100, 50, 1e-9
    left = add_point(spec, "left", (-LENGTH / 2, 0.0, RADIUS))
    right = add_point(spec, "right", (LENGTH / 2, 0.0, RADIUS))
    add_gripper(spec, left, LEFT)
    add_gripper(spec, right, RIGHT)
    parent, hinge = left, mujoco.mjtJoint.mjJNT_HINGE
    for i in range(LINKS):
        parent = parent.add_body(name=f"link{i}", pos=[LINK if i else 0.0, 0.0, 0.0])
        parent.add_joint(name=f"turn{i}", type=hinge, axis=[0, 0, 1], damping=1e-3, armature=5e-5)
        parent.add_joint(name=f"lift{i}", type=hinge, axis=[0, 1, 0], damping=1e-3, armature=5e-5)
        parent.add_geom(
            type=mujoco.mjtGeom.mjGEOM_CAPSULE,
            fromto=[0, 0, 0, LINK, 0, 0],
            size=[RADIUS, 0, 0],
            mass=0.005,
            rgba=[0.95, 0.62, 0.10, 1.0] if i % 2 else [0.98, 0.78, 0.30, 1.0],
            contype=0,
            conaffinity=0,
        )
        # Only this ball at its end touches the table: one contact a link instead of two.
        parent.add_geom(
            pos=[LINK, 0, 0],
            size=[RADIUS, 0, 0],
            mass=1e-4,
            contype=SOFT,
            conaffinity=SOLID,
            priority=1,
            friction=[0.3, 0, 0],
            group=HIDDEN,
        )
    parent.add_site(name="tip", pos=[LINK, 0, 0], group=HIDDEN)
    right.add_site(name="right_hold", group=HIDDEN)
    tie = spec.add_equality(type=mujoco.mjtEq.mjEQ_CONNECT, objtype=mujoco.mjtObj.mjOBJ_SITE)
    tie.name1, tie.name2, tie.solref = "tip", "right_hold", [2 * TIMESTEP, 1.0]
    return spec.compile()


def start(model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
    """A meander: the rope's heading swings like a sine along its length, so its ends are at most 0.4 m apart."""
    along = (np.arange(LINKS) + 0.5) / LINKS
    swing, waves = rng.uniform(1.6, 2.2), rng.uniform(1.2, 2.2)
    heading = rng.uniform(-0.6, 0.6) + swing * np.sin(2 * np.pi * (waves * along + rng.uniform()))
    heading += rng.normal(0.0, 0.15, LINKS).cumsum()
    points = np.concatenate([[[0.0, 0.0]], LINK * np.cumsum([np.cos(heading), np.sin(heading)], axis=1).T])
    points += rng.uniform(-0.06, 0.06, 2) - points.mean(axis=0)
    data.qpos[point_address(model, "left")] = *points[0], RADIUS
    data.qpos[point_address(model, "right")] = *points[-1], RADIUS
    turns = model.jnt_qposadr[[model.joint(f"turn{i}").id for i in range(LINKS)]]
    data.qpos[turns] = np.diff(heading, prepend=0.0)
    hold_grippers(model, data)


def nodes(view: View) -> np.ndarray:
    """The ends of the links from the left to the right, (N, LINKS + 1, 3) [m]."""
    first = view.model.body("link0").id
    return np.concatenate([view["xpos"][:, first : first + LINKS], view.site("tip")[:, None]], axis=1)


def bend(points: np.ndarray) -> np.ndarray:
    """The largest distance of points (N, n, 3) from the straight line through the first and the last, (N,) [m]."""
    line = points[:, -1] - points[:, 0]
    direction = line / np.maximum(np.linalg.norm(line, axis=1, keepdims=True), 1e-9)
    from_left = points - points[:, :1]
    along = np.einsum("npi,ni->np", from_left, direction)
    across = from_left - along[..., None] * direction[:, None]
    return np.asarray(np.linalg.norm(across, axis=2).max(axis=1))


def end_distance(points: np.ndarray) -> np.ndarray:
    """How far the first point is from the last, (N,) [m]."""
    return np.asarray(np.linalg.norm(points[:, -1] - points[:, 0], axis=1))
