"""The learned unsafe region as surfaces: what nearly all hypotheses hold to be unsafe, and what some still do.

Of a place it is asked "what if the robot stopped here" (`controllers.constraint`): g = offset + phi' theta. Over an
ellipsoid of hypotheses {c + C z, |z| <= 1}, all equally likely, g is offset + phi' c + |C' phi| t, where t is one
coordinate of a point drawn from the unit ball. So one number tells the share of hypotheses that hold a place to be
unsafe: (offset + phi' c) / |C' phi|, and its level sets are the surfaces. They are drawn in a thread of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import casadi as ca
import numpy as np
from scipy.stats import beta

from controllers.alignment.ellipsoid import EmptyInteriorError, NotConvergedError
from controllers.alignment.hypotheses import Hypotheses
from controllers.systems.system import System
from robot_learn.session.shapes import Mesh, smooth

SURE = 0.95  # share of the hypotheses from which on a place counts as unsafe, or as safe
EVERY = 0.35  # [s] at most so often


@dataclass(frozen=True)
class Grid:
    """The places that are asked about."""

    axes: tuple[np.ndarray, np.ndarray, np.ndarray]  # (i,), (j,), (k,) [m] along x, y, z of the world
    states: Callable[[np.ndarray, np.ndarray], np.ndarray]  # states (n, nx) at points (n, 3), the robot being in (nx,)


@dataclass(frozen=True)
class Chart:
    """A plane through the states, as a picture in two of their quantities."""

    title: str
    right: str  # what is to the right, with its unit
    up: str
    rights: np.ndarray  # (i,)
    ups: np.ndarray  # (j,)
    states: Callable[[np.ndarray], np.ndarray]  # states (n, nx) at points (n, 2)
    path: Callable[[np.ndarray], np.ndarray]  # points (N, 2) of a plan's states (N, nx)


@dataclass(frozen=True)
class Drawn:
    """What came of it."""

    surely: Mesh | None  # nothing is unsafe for sure as yet, or no region is drawn
    maybe: Mesh | None
    undecided: float  # share of the places that the hypotheses are divided about
    charts: tuple[np.ndarray, ...]  # (j, i) of each chart: the share of hypotheses that hold a state to be unsafe


class Region:
    """Draws the region of a system anew whenever something was learned, in the background, the newest only."""

    def __init__(self, system: System, grid: Grid | None, charts: tuple[Chart, ...] = ()) -> None:
        self._system, self._grid, self._charts = system, grid, charts
        x = ca.SX.sym("x", system.nx)
        self._phi = ca.Function("phi", [x], [sum(system.weights) * system.features(x)])
        self._reach = quantile(system.r, SURE)
        self._pool = ThreadPoolExecutor(1, "region")
        self._future: Future[Drawn | None] | None = None
        self._wanted: tuple[Hypotheses, np.ndarray] | None = None
        self._due = 0.0

    def want(self, hypotheses: Hypotheses, state: np.ndarray) -> None:
        """Draw it for these hypotheses, the robot being in this state (nx,)."""
        self._wanted = (hypotheses, state)

    def poll(self, now: float) -> Drawn | None:
        """A drawing that was finished, once; and begin the next one."""
        found = None
        if self._future is not None and self._future.done():
            found, self._future = self._future.result(), None
        if self._future is None and self._wanted is not None and now >= self._due:
            self._future = self._pool.submit(self._draw, *self._wanted)
            self._wanted, self._due = None, now + EVERY
        return found

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _draw(self, hypotheses: Hypotheses, state: np.ndarray) -> Drawn | None:
        try:
            centre, shape = hypotheses.ellipsoid.centre, hypotheses.ellipsoid.shape
        except (EmptyInteriorError, NotConvergedError):
            return None  # what was drawn before stays

        def division(states: np.ndarray) -> np.ndarray:
            phi = np.array(self._phi(states.T)).T
            spread = np.linalg.norm(phi @ shape, axis=1)
            return np.asarray((self._system.offset + phi @ centre) / np.maximum(spread, 1e-9))

        surely = maybe = None
        undecided = 0.0
        if self._grid is not None:
            axes = self._grid.axes
            points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
            values = division(self._grid.states(points, state)).reshape([len(axis) for axis in axes])
            surely, maybe = surface(values, self._reach, axes), surface(values, -self._reach, axes)
            undecided = float((np.abs(values) < self._reach).mean())
        shares = []
        for chart in self._charts:
            points = np.stack(np.meshgrid(chart.rights, chart.ups), axis=-1).reshape(-1, 2)
            found = division(chart.states(points)).reshape(len(chart.ups), len(chart.rights))
            shares.append(share_unsafe(found, self._system.r))
        if shares and self._grid is None:
            undecided = float(np.mean([(share > 1 - SURE) & (share < SURE) for share in shares]))
        return Drawn(surely, maybe, undecided, tuple(shares))


def quantile(r: int, share: float) -> float:
    """How far one coordinate of a point of the unit ball in r dimensions stays below, in that share of cases."""
    return float(np.sqrt(beta.ppf(2 * share - 1, 0.5, (r + 1) / 2)))


def share_unsafe(division: np.ndarray, r: int) -> np.ndarray:
    """The share of an ellipsoid's hypotheses that hold a place to be unsafe, from its division; see the module."""
    tail = beta.cdf(np.minimum(division**2, 1.0), 0.5, (r + 1) / 2) / 2
    return np.asarray(0.5 + np.sign(division) * tail)


def surface(values: np.ndarray, level: float, axes: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Mesh | None:
    """The closed surface around where values (i, j, k) are above a level; None where they nowhere are.

    Naive surface nets (Gibson, "Constrained elastic surface nets", 1998): a vertex in each cell that the surface
    crosses, in the middle of where it crosses the cell's edges, and a quad for each edge that it crosses.
    """
    if not (values > level).any():
        return None
    # Around the grid there is nothing; a border that is far below closes the surface right at the grid's end.
    padded = np.pad(np.clip(values - level, -1e3, 1e3), 1, constant_values=-1e3)
    ends = [np.concatenate([[axis[0]], axis, [axis[-1]]]) for axis in axes]
    inside = padded > 0
    cells = tuple(size - 1 for size in padded.shape)
    sums, counts = np.zeros((*cells, 3)), np.zeros(cells)
    edges = []
    for axis in range(3):
        first, second = _ends(axis, padded.shape)
        start, stop = padded[first], padded[second]
        crossed = inside[first] != inside[second]
        where = np.argwhere(crossed)
        # Only edges with four cells around them: others lie in the border, where nothing crosses.
        across = [other for other in range(3) if other != axis]
        share = start[crossed] / (start[crossed] - stop[crossed])
        points = np.stack([ends[i][where[:, i]] for i in range(3)], axis=1)
        points[:, axis] += share * (ends[axis][where[:, axis] + 1] - points[:, axis])
        around = []
        for back in ((0, 0), (1, 0), (1, 1), (0, 1)):
            cell = where.copy()
            cell[:, across] -= back
            np.add.at(sums, tuple(cell.T), points)
            np.add.at(counts, tuple(cell.T), 1)
            around.append(np.ravel_multi_index(tuple(cell.T), cells))
        quads = np.stack(around, axis=1)
        turned = inside[first][crossed] == (axis == 1)
        quads[turned] = quads[turned][:, ::-1]
        edges.append(quads)
    quads = np.concatenate(edges)
    used, numbers = np.unique(quads, return_inverse=True)
    vertices = (sums.reshape(-1, 3)[used]) / counts.reshape(-1)[used, None]
    numbers = numbers.reshape(quads.shape)
    return smooth(vertices, np.concatenate([numbers[:, [0, 1, 2]], numbers[:, [0, 2, 3]]]))


def _ends(axis: int, shape: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of where edges along an axis begin and end."""
    first = tuple(slice(0, size - 1) if i == axis else slice(0, size) for i, size in enumerate(shape))
    second = tuple(slice(1, size) if i == axis else slice(0, size) for i, size in enumerate(shape))
    return first, second
