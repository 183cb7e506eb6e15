"""A square cloth on the table, two neighbouring corners in grippers.

It is a grid of small masses; a flex constrains the length of every edge and diagonal between them. Cloth does not touch
cloth: the farther a point of the held half is from the fold, the higher it rests on the table (`LIFT`), as it would on
the other half.
"""

from __future__ import annotations

from itertools import product

import mujoco
import numpy as np

from sims.mujoco_task import View
from sims.soft.stage import CONTROL_DT, HIDDEN, SOFT, SOLID, add_gripper, add_point, hold_grippers, stage

SIDE = 0.3  # [m]
GRID = 9  # points along a side, odd: the middle row is the fold
RADIUS = 0.004  # [m] of a point: half the cloth's thickness
LIFT = 0.008  # [m] that the held side rests higher than the rest
MASS = 0.1  # [kg]
TIMESTEP = CONTROL_DT / 7  # [s]

FRONT, BACK = (0.18, 0.42, 0.78, 1.0), (0.98, 0.80, 0.32, 1.0)  # upper and lower side
LEFT, RIGHT = (0.86, 0.20, 0.18, 1.0), (0.55, 0.20, 0.70, 1.0)
TARGETS = ((0.86, 0.20, 0.18, 0.9), (0.55, 0.20, 0.70, 0.9))

# Points are numbered row by row: row 0 is held, the last row is what it is folded onto.
HELD = (0, GRID - 1)
FREE = ((GRID - 1) * GRID, GRID * GRID - 1)  # across from the held corners, in their order
UPPER = np.arange(GRID * GRID).reshape(GRID, GRID)[: GRID // 2]  # the half that is carried
LOWER = np.arange(GRID * GRID).reshape(GRID, GRID)[: GRID // 2 : -1]  # point by point what it comes to lie on


def rest_points() -> np.ndarray:
    """The flat cloth about the origin, (GRID * GRID, 3) [m]; row 0 is nearest to a viewer who looks along +y."""
    across = np.linspace(-SIDE / 2, SIDE / 2, GRID)
    return np.array([(x, y, RADIUS) for y, x in product(across, across)]) + np.outer(lifts(), [0, 0, 1])


def lifts() -> np.ndarray:
    """How much higher each point rests, (GRID * GRID,) [m]: linear from the fold to the held side."""
    rows = np.clip(1.0 - np.arange(GRID) / (GRID // 2), 0.0, 1.0)
    return LIFT * np.repeat(rows, GRID)


def triangles() -> np.ndarray:
    """Two for each square of the grid, (2 * (GRID - 1)**2, 3); diagonals alternate: no direction is special."""
    found = []
    for i, j in product(range(GRID - 1), repeat=2):
        a, b, c, d = i * GRID + j, i * GRID + j + 1, (i + 1) * GRID + j + 1, (i + 1) * GRID + j
        found += [(a, b, c), (a, c, d)] if (i + j) % 2 else [(a, b, d), (b, c, d)]
    return np.array(found)


def model() -> mujoco.MjModel:
    spec = stage(TIMESTEP)
    names = [f"point{i}" for i in range(GRID * GRID)]
    for name, position, lift in zip(names, rest_points(), lifts(), strict=True):
        body = add_point(spec, name, position)
        body.add_geom(
            pos=[0, 0, -lift],
            size=[RADIUS, 0, 0],
            mass=MASS / GRID**2,
            contype=SOFT,
            conaffinity=SOLID,
            friction=[0.8, 0, 0],
            group=HIDDEN,
        )
        if name in (f"point{HELD[0]}", f"point{HELD[1]}"):
            add_gripper(spec, body, LEFT if name == "point0" else RIGHT)
    for name, colour in zip(("left_target", "right_target"), TARGETS, strict=True):
        mark = spec.worldbody.add_body(name=name, mocap=True)
        mark.add_geom(
            type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=[0.03, 0.001, 0], rgba=list(colour), contype=0, conaffinity=0
        )
    spec.add_flex(
        name="cloth",
        dim=2,
        vertbody=names,
        elem=triangles().ravel(),
        vert=np.zeros(3 * GRID * GRID),
        contype=4,  # with nothing: only the points' balls touch
        conaffinity=4,
        selfcollide=mujoco.mjtFlexSelf.mjFLEXSELF_NONE,
        internal=False,
        group=HIDDEN,
    )
    lengths = spec.add_equality(type=mujoco.mjtEq.mjEQ_FLEX, name1="cloth")
    lengths.solref = [0.015, 1.0]  # as stiff as the time step allows
    _add_skin(spec, names, "front", triangles(), FRONT)
    _add_skin(spec, names, "back", triangles()[:, ::-1], BACK)
    return spec.compile()


def _add_skin(spec: mujoco.MjSpec, names: list[str], name: str, faces: np.ndarray, colour: tuple[float, ...]) -> None:
    """One side of the cloth to look at, a millimetre out along its normals; a side is seen from its front only."""
    spec.add_skin(
        name=name,
        rgba=list(colour),
        inflate=0.001,
        vert=rest_points().ravel(),
        face=faces.ravel(),
        bodyname=names,
        bindpos=rest_points().ravel(),
        bindquat=np.tile([1.0, 0.0, 0.0, 0.0], len(names)),
        vertid=[[i] for i in range(len(names))],
        vertweight=[[1.0]] * len(names),
    )


def start(model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
    """Flat, somewhere near the middle, turned by up to 0.5 rad; the targets are where the free corners lie."""
    angle, shift = rng.uniform(-0.5, 0.5), rng.uniform(-0.06, 0.06, 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = rest_points()
    points[:, :2] = points[:, :2] @ turn.T + shift
    data.qpos[:] = points.ravel()
    data.mocap_pos[:] = points[list(FREE)]
    data.mocap_pos[:, 2] = 0.001
    hold_grippers(model, data)


def vertices(view: View) -> np.ndarray:
    """The points' positions, (N, GRID * GRID, 3) [m]."""
    return view["qpos"].reshape(view.num_worlds, -1, 3)


def targets(view: View) -> np.ndarray:
    """Where the held corners are to come, (N, 2, 3) [m]: on the far corners' first places."""
    places = view["mocap_pos"].copy()
    places[..., 2] = RADIUS + LIFT
    return places


def halves_distance(points: np.ndarray) -> np.ndarray:
    """Mean distance between a point of the held half and the one it comes to lie on, from above, (N,) [m]."""
    apart = points[:, UPPER] - points[:, LOWER]
    return np.asarray(np.linalg.norm(apart[..., :2], axis=-1).mean(axis=(1, 2)))
