"""The largest ellipsoid inside a polytope: its centre is where a cut takes much of the set, whichever side it takes.

Maximise log det C subject to |C a_i| + a_i' d <= b_i. At the optimum C^2 = (A' Y A)^-1 with one weight y_i >= 0 a row,
so the unknowns are the centre d, the weights y and the slacks z alone: Zhang & Gao, "On numerical solution of the
maximum volume ellipsoid problem", SIAM J. Optim. 14 (2003), section 5. With h_i = |C a_i| the equations are

    A' (y h) = 0,    A d + h + z = b,    y_i z_i = 0,

and a step dy changes h by -(Q * Q) dy / (2 h), Q = A C^2 A'. Where the first two hold, sum(y h z) is the duality gap,
so it bounds how much larger the logarithm of the volume could still be. They are solved by Newton steps with predictor
and corrector (Mehrotra, SIAM J. Optim. 2, 1992), from the neighbourhood of the analytic centre.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.linalg import lapack
from scipy.optimize import linprog
from threadpoolctl import ThreadpoolController

TO_BOUNDARY = 0.95  # share of the way to the first row, weight or slack that a step may go; nearer 1 near the end
NEAR_CENTRE = 0.7  # Newton decrement of the logarithmic barrier from which the interior point starts
CENTRING_STEPS = 40

Solve = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


class EmptyInteriorError(Exception):
    """No point satisfies all rows strictly: the set is empty or flat.

    Attributes:
        radius: of the largest ball in the set, at most zero up to rounding; negative where the set is empty.
    """

    def __init__(self, radius: float) -> None:
        super().__init__(f"the set has no interior: its largest ball has radius {radius:.3g}")
        self.radius = radius


class NotConvergedError(Exception):
    """The tolerance was not met: the rows leave the set unbounded, or it is too thin for double precision."""


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """The points centre + shape u, |u| <= 1."""

    centre: np.ndarray  # (r,)
    shape: np.ndarray  # (r, r) symmetric positive definite, C
    log_volume: float  # log det C: of the volume, in unit balls
    gap: float  # by at most which the log_volume of any other ellipsoid in the set exceeds this one's
    pressure: np.ndarray  # (m,) how much each row holds it back: d log_volume / d log (distance to the row); sum r
    iterations: int

    @property
    def semi_axes(self) -> np.ndarray:
        """(r,) lengths, rising."""
        return np.linalg.eigvalsh(self.shape)

    def reach(self, normals: np.ndarray) -> np.ndarray:
        """How far (...,) it extends from its centre along normals (..., r), in units of 1 / |normal|: |C a|."""
        return np.asarray(np.linalg.norm(normals @ self.shape, axis=-1))


def inscribed_ellipsoid(
    normals: np.ndarray,
    offsets: np.ndarray,
    start: np.ndarray | None = None,
    *,
    tolerance: float = 1e-6,
    max_iterations: int = 50,
) -> Ellipsoid:
    """The maximum-volume ellipsoid in {x: normals x <= offsets}.

    Args:
        normals: (m, r), of any length.
        offsets: (m,)
        start: (r,) a strictly interior point; for one that is not, and for None, a linear programme finds another.
        tolerance: of the duality gap, and of the equations in shares of the slacks near the centre.

    Raises:
        EmptyInteriorError: the set is empty or flat.
        NotConvergedError: the set is unbounded, or too thin for double precision.
    """
    # Matrices so small gain nothing from threads, and where other work keeps the cores busy, waiting for one another
    # makes them fifty times slower.
    with _libraries().limit(limits=1, user_api="blas"):
        return _inscribed(normals, offsets, start, tolerance, max_iterations)


@lru_cache
def _libraries() -> ThreadpoolController:
    """Looking for them takes half a millisecond, so it is done once."""
    return ThreadpoolController()


def _inscribed(
    normals: np.ndarray, offsets: np.ndarray, start: np.ndarray | None, tolerance: float, max_iterations: int
) -> Ellipsoid:
    if start is None or not (offsets - normals @ start > 0).all():
        start = _interior(normals, offsets)
    start = _towards_analytic_centre(normals, offsets, start)
    # In these coordinates the start is 0, every row is a'x <= 1 and A'A = I, however thin the set and long its box.
    rows, triangle, order = _whitened(normals, offsets - normals @ start)
    point, squared, force, gap, iterations = _interior_point(rows, tolerance, max_iterations)
    # A residual within the tolerance may have left it a hair outside; shrunk it is inside for certain.
    reach = np.sqrt(np.einsum("ij,jk,ik->i", rows, squared, rows))
    shrink = min(1.0, ((1.0 - rows @ point) / reach).min())
    back = np.linalg.inv(triangle)
    # The singular values of a root keep the relative precision that the eigenvalues of its square would lose.
    axes, lengths, _ = np.linalg.svd(back @ np.linalg.cholesky(shrink**2 * squared))
    gap -= len(lengths) * np.log(shrink)
    shape, pressure = (axes * lengths) @ axes.T, np.empty(len(rows))
    pressure[order] = force * reach
    return Ellipsoid(start + back @ point, shape, float(np.log(lengths).sum()), float(gap), pressure, iterations)


def chebyshev(normals: np.ndarray, offsets: np.ndarray, widths: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    """Centre (r,) and radius of the largest ball in {x: normals x <= offsets}; a negative radius: the set is empty.

    Args:
        widths: (m,) by how much a row moves in for each unit of radius; by default the norms of the rows.

    Raises:
        NotConvergedError: the rows leave the ball unbounded, or the linear programme failed.
    """
    widths = np.linalg.norm(normals, axis=1) if widths is None else widths
    size = normals.shape[1]
    rows = np.column_stack([normals, widths])
    towards = np.append(np.zeros(size), -1.0)
    exact: Any = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    for method in ("highs", "highs-ipm"):  # at this tolerance the simplex now and then ends without a status
        found = linprog(towards, A_ub=rows, b_ub=offsets, bounds=(-np.inf, np.inf), method=method, options=exact)
        if found.status != 4:
            break
    if found.status != 0:
        raise NotConvergedError(f"no largest ball in {len(offsets)} rows of {size} numbers: {found.message}")
    best = np.asarray(found.x)
    return best[:size], float(best[size])


def _interior(normals: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """A point (r,) that satisfies all rows strictly, or EmptyInteriorError."""
    point, radius = chebyshev(normals, offsets)
    slacks = offsets - normals @ point
    if not (slacks > 0).all() and radius > 1e-14 * np.abs(point).max():
        # The linear programme's tolerance is absolute: so thin a set has to be looked at more closely.
        point = point + radius * chebyshev(normals, slacks / radius)[0]
        slacks = offsets - normals @ point
    if not (slacks > 0).all():
        raise EmptyInteriorError(radius)
    return point


def _whitened(normals: np.ndarray, slacks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Q and R of the rows divided by their slacks, in an order: the longest first keeps each row's error its own."""
    scaled = normals / slacks[:, None]
    order = np.argsort(-np.abs(scaled).max(axis=1))
    rows, triangle = np.linalg.qr(scaled[order])
    pivots = np.abs(np.diag(triangle))
    if len(rows) < normals.shape[1] or not pivots.min() > 1e-15 * pivots.max():
        raise NotConvergedError("the rows leave the set unbounded: they do not span the space")
    return rows, triangle, order


def _towards_analytic_centre(normals: np.ndarray, offsets: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Newton's method on -sum log(slacks) with a search along each step, until `point` (r,) is central.

    A start near a corner would begin the interior point with weights that are many orders of magnitude off; a good
    start takes none or one of these cheap steps.
    """
    slacks = offsets - normals @ point
    for _ in range(CENTRING_STEPS):
        rows, triangle, _ = _whitened(normals, slacks)
        gradient = rows.sum(axis=0)
        if np.linalg.norm(gradient) < NEAR_CENTRE:
            break
        direction = -np.linalg.solve(triangle, gradient)
        closing = normals @ direction / slacks
        if closing.max() <= 0:
            raise NotConvergedError("the rows leave the set unbounded")
        length = _least_barrier(closing, float(gradient @ gradient))
        moved = point + length * direction
        slacks = offsets - normals @ moved
        if not (slacks > 0).all():  # rounding, at the edge of double precision
            break
        point = moved
    return point


def _least_barrier(closing: np.ndarray, slope: float) -> float:
    """About the minimiser of -sum log(1 - t closing) over t, for slope = -(its derivative at 0)."""
    low, high = 0.0, 1.0 / closing.max()
    length = min(1.0 / (1.0 + np.sqrt(slope)), 0.9 * high)
    for _ in range(12):
        terms = closing / (1.0 - length * closing)
        derivative = terms.sum()
        if abs(derivative) < 0.1 * slope:
            break
        low, high = (low, length) if derivative > 0 else (length, high)
        newton = length - derivative / (terms @ terms)
        length = newton if low < newton < high else (low + high) / 2
    return float(length)


def _interior_point(
    rows: np.ndarray, tolerance: float, max_iterations: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, int]:
    """Centre (r,), C^2 (r, r), multipliers (m,), gap and iterations for {x: rows x <= 1}, from near 0; A'A = I."""
    count, size = rows.shape
    reach = np.linalg.norm(rows, axis=1)
    weights = np.full(count, (reach.max() / 0.9) ** 2)  # so large that the ellipsoid is inside all rows
    slacks = 1.0 - reach * 0.9 / reach.max()
    point = np.zeros(size)
    for iteration in range(1, max_iterations + 1):
        squared = np.linalg.inv(rows.T @ (weights[:, None] * rows))
        products = rows @ squared @ rows.T
        reach = np.sqrt(np.diag(products))
        room = 1.0 - rows @ point
        force = weights * reach
        unbalanced, missing, gap = rows.T @ force, room - reach - slacks, float(force @ slacks)
        residual = max(np.abs(unbalanced).max(), np.abs(missing).max())
        if gap < tolerance and residual < tolerance:
            return point, squared, force, gap, iteration
        solve = _newton(rows, products, weights, reach, slacks)
        mean = float(weights @ slacks) / count
        # Predicted is how far a step straight for the solution comes; corrected, the step that stays in the middle.
        step, growth, widening = solve(unbalanced, missing, -slacks)
        length = _length(room, slacks, rows @ step, growth, widening, 1.0)
        left = float((weights * (1.0 + length * growth)) @ (slacks + length * widening)) / count
        target = min(0.3, (left / mean) ** 3) * mean
        step, growth, widening = solve(unbalanced, missing, target / weights - slacks - growth * widening)
        length = _length(room, slacks, rows @ step, growth, widening, max(TO_BOUNDARY, 1.0 - mean))
        point = point + length * step
        weights = weights * (1.0 + length * growth)
        slacks = slacks + length * widening
    raise NotConvergedError(f"gap {gap:.2g} and largest residual {residual:.2g} after {max_iterations} steps")


def _length(
    room: np.ndarray, slacks: np.ndarray, moved: np.ndarray, growth: np.ndarray, widening: np.ndarray, share: float
) -> float:
    """At most 1 and `share` of the way to where the first row is touched, or a weight or slack is zero."""
    nearest = max((moved / room).max(), -growth.min(), -(widening / slacks).min())
    return min(1.0, share / nearest) if nearest > 0 else 1.0


def _newton(
    rows: np.ndarray, products: np.ndarray, weights: np.ndarray, reach: np.ndarray, slacks: np.ndarray
) -> Solve:
    """Solve(unbalanced (r,), missing (m,), excess (m,)) -> steps of centre (r,), weights (m,) in shares, slacks (m,).

    With dy = y e and W = (Y Q) * (Q Y) the linearised equations are A' (y h e - W e / (2 h)) = -unbalanced,
    A dd - W e / (2 y h) + dz = missing and z e + dz = excess. The last two give e from dd by the positive definite
    (W + 2 y h z) e = 2 y h (A dd - missing + excess); put into the first, that leaves r equations for dd.
    """
    half = weights[:, None] * products
    system, double = half * half.T, 2.0 * weights * reach
    system[np.diag_indices_from(system)] += double * slacks
    factor, answered, failed = lapack.dposv(system, double[:, None] * rows)
    if failed:
        raise NotConvergedError("the Newton system has lost its definiteness to rounding")
    carried = weights * (reach + slacks)
    inner = np.linalg.inv(rows.T @ (carried[:, None] * answered - weights[:, None] * rows))

    def solve(
        unbalanced: np.ndarray, missing: np.ndarray, excess: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        wanted = missing - excess
        alone, _ = lapack.dpotrs(factor, double * wanted)
        step = inner @ (rows.T @ (carried * alone - weights * wanted) - unbalanced)
        growth = answered @ step - alone
        return step, growth, excess - slacks * growth

    return solve
