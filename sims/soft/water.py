"""A cup of water on a rail along x, and a goal for it.

Water is a heap of balls without friction, each free to slide but not to turn. An action is the cup's acceleration.
"""

from __future__ import annotations

from itertools import product

import mujoco
import numpy as np

from sims.mujoco_task import View
from sims.soft.stage import CONTROL_DT, SLIDE, SOFT, SOLID, add_point, stage

DROPS, DROP_MASS = 46, 0.01  # number, [kg]
RADII = (0.011, 0.013, 0.015, 0.017)  # [m] of the drops, in turn: balls of one size would pack into a stiff crystal
DROP_RADIUS = max(RADII)
INSIDE = np.array([0.10, 0.045])  # [m] from the cup's middle to the inside of its walls, along x and y
WALL, BASE = 0.004, 0.004  # [m] half thicknesses
RIM = 0.065  # [m] height of the walls
TRACK = 0.45  # [m] that the cup can go to each side
TIMESTEP = CONTROL_DT / 6  # [s]
SETTLE = 0.6  # [s] for the water to come to rest before an episode

ACCELERATION = 8.0  # [m/s2] that an action of 1 asks for
SPEED = 1.2  # [m/s] the cup's limit

GLASS, GOAL = (0.75, 0.88, 0.95, 0.30), (0.15, 0.75, 0.30, 1.0)


def model() -> mujoco.MjModel:
    spec = stage(TIMESTEP, table=(0.7, 0.3))
    box = mujoco.mjtGeom.mjGEOM_BOX
    goal = spec.worldbody.add_body(name="goal", mocap=True)
    goal.add_geom(type=box, pos=[0, 0, 0.001], size=[0.12, 0.07, 0.001], rgba=list(GOAL), contype=0, conaffinity=0)
    for side in (-1, 1):
        goal.add_geom(
            type=box, pos=[0, side * 0.08, 0.04], size=[0.005, 0.005, 0.04], rgba=list(GOAL), contype=0, conaffinity=0
        )
    cup = spec.worldbody.add_body(name="cup")
    cup.add_joint(name="rail", type=SLIDE, axis=[1, 0, 0], range=[-TRACK, TRACK], limited=True)
    (middle_x, middle_y), (outside_x, outside_y) = INSIDE + WALL, INSIDE + 2 * WALL
    pieces = [((0, 0, BASE), (outside_x, outside_y, BASE))]
    for side in (-1, 1):
        pieces.append(((side * middle_x, 0, RIM / 2), (WALL, outside_y, RIM / 2)))
        pieces.append(((0, side * middle_y, RIM / 2), (INSIDE[0], WALL, RIM / 2)))
    for position, size in pieces:
        cup.add_geom(
            type=box,
            pos=list(position),
            size=list(size),
            mass=0.1,
            rgba=list(GLASS),
            condim=1,
            contype=SOLID,
            conaffinity=0,
        )
    for i, place in enumerate(lattice()):
        drop = add_point(spec, f"drop{i}", place, damping=0.005)
        shade = 0.12 * ((7 * i) % 5) / 4
        drop.add_geom(
            size=[RADII[i % len(RADII)], 0, 0],
            mass=DROP_MASS,
            condim=1,  # no friction, except with the table: what is spilled stays there
            contype=SOFT,
            conaffinity=SOFT | SOLID,
            rgba=[0.10 + shade, 0.40 + shade, 0.88, 1.0],
        )
    spec.add_actuator(
        name="speed",
        trntype=mujoco.mjtTrn.mjTRN_JOINT,
        target="rail",
        biastype=mujoco.mjtBias.mjBIAS_AFFINE,
        gainprm=[100.0, *[0] * 9],
        biasprm=[0, 0, -100.0, *[0] * 7],
        ctrlrange=[-SPEED, SPEED],
        ctrllimited=True,
    )
    return spec.compile()


def lattice() -> np.ndarray:
    """Where drops are let go, above the cup's base, (DROPS, 3) [m]."""
    x, y = np.linspace(-0.08, 0.08, 5), np.array([-0.024, 0.024])
    z = 2 * BASE + DROP_RADIUS * (1.1 + 2.05 * np.arange(-(-DROPS // 10)))
    return np.array([(x, y, z) for z, y, x in product(z, y, x)])[:DROPS]


def start(model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
    """The cup at rest on the left with its water settled, the goal on the right."""
    cup, goal = rng.uniform(-0.36, -0.20), rng.uniform(0.10, 0.36)
    data.joint("rail").qpos[0] = cup
    drops = drop_address(model)
    places = lattice() + rng.uniform(-0.001, 0.001, (DROPS, 3))
    places[:, 0] += cup
    data.qpos[drops] = places.ravel()
    data.mocap_pos[0] = goal, 0.0, 0.0
    mujoco.mj_step(model, data, round(SETTLE / TIMESTEP))
    data.time = 0.0


def drop_address(model: mujoco.MjModel) -> slice:
    """Where the drops' positions are in `qpos` [m] and their velocities in `qvel` [m/s]."""
    first = int(model.joint("drop0_x").qposadr[0])
    return slice(first, first + 3 * DROPS)


def drops(view: View, name: str = "qpos") -> np.ndarray:
    """Positions of the drops, or their velocities ("qvel"), (N, DROPS, 3) [m or m/s], world frame."""
    return view[name][:, drop_address(view.model)].reshape(view.num_worlds, DROPS, 3)


def inside(positions: np.ndarray, cup_x: np.ndarray) -> np.ndarray:
    """Which drops are in a cup at x: between its walls and not wholly above its rim; (N, DROPS) bool."""
    along, across, height = np.abs(positions[..., 0] - cup_x[:, None]), np.abs(positions[..., 1]), positions[..., 2]
    return np.asarray((along <= INSIDE[0]) & (across <= INSIDE[1]) & (height <= RIM + DROP_RADIUS))


def cup_x(view: View) -> np.ndarray:
    """(N,) [m]"""
    return view.joint("rail")


def cup_speed(view: View) -> np.ndarray:
    """Along +x, (N,) [m/s]."""
    return view.joint_velocity("rail")


def goal_x(view: View) -> np.ndarray:
    """(N,) [m]"""
    return np.asarray(view["mocap_pos"][:, 0, 0])


def share_inside(view: View) -> np.ndarray:
    """(N,) from 0 to 1."""
    return np.asarray(inside(drops(view), cup_x(view)).mean(axis=1))


def drive(model: mujoco.MjModel, data: mujoco.MjData, action: np.ndarray) -> None:
    """The action changes the speed that the cup's servo keeps; at an end of the rail that speed is 0."""
    speed = np.clip(data.ctrl[0] + ACCELERATION * CONTROL_DT * action[0], -SPEED, SPEED)
    at_end = speed * data.qpos[0] > 0 and abs(data.qpos[0]) >= TRACK - 0.005
    data.ctrl[0] = 0.0 if at_end else speed
