"""How fast the centre of a hypothesis set is found: our interior point beside cvxpy with Clarabel, on the same sets.

The sets are those of a person's first pushes: a box and cuts through one centre after the other. Both get the same rows
of the last set, ours also the strictly interior point that the set before gives it, as in use. cvxpy gets the form that
it solved fastest of those tried: one vectorised second-order cone constraint with the rows as constants, whose zeros it
can use; rows as parameters, compiled once, take it half as long at r = 5 but nearly twice as long at r = 20. Times are
the processor's, so that the machine's other work does not count.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from controllers.alignment.ellipsoid import inscribed_ellipsoid
from controllers.alignment.hypotheses import Hypotheses

SIZES = ((5, 20), (5, 60), (10, 20), (10, 60), (20, 20), (20, 60))


def run(sizes: Sequence[tuple[int, int]] = SIZES, sets: int = 3, repeats: int = 5) -> list[dict[str, Any]]:
    """One row for each r and number of cuts: medians [ms] over the sets, their ratio, and how far volumes differ.

    Args:
        sets: random ones of each size, solved by both in turn.
        repeats: of our solver on each, the median of which counts.
    """
    return [_row(size, cuts, sets, repeats) for size, cuts in sizes]


def pushed_set(size: int, cuts: int, rng: np.random.Generator) -> Hypotheses:
    """A box of sides 8 after random cuts, each through the centre of the set before it, the truth on its right side."""
    from controllers.alignment.cuts import Cut

    hypotheses = Hypotheses.box(np.full(size, -3.0), np.full(size, 5.0))
    truth = rng.uniform(hypotheses.low, hypotheses.high)
    for correction in range(cuts):
        normal = rng.standard_normal(size)
        normal *= np.sign(normal @ (hypotheses.centre - truth)) / np.linalg.norm(normal)
        hypotheses = hypotheses.add([Cut(normal, float(normal @ hypotheses.centre), "push")], correction)
    return hypotheses


def _row(size: int, cuts: int, sets: int, repeats: int) -> dict[str, Any]:
    rng = np.random.default_rng((size, cuts))
    ours, theirs, differences, iterations = [], [], [], []
    for _ in range(sets):
        hypotheses = pushed_set(size, cuts, rng)
        normals, offsets = hypotheses.rows
        spent = []
        for _ in range(repeats):
            begin = time.process_time()
            found = inscribed_ellipsoid(normals, offsets, hypotheses.start)
            spent.append(time.process_time() - begin)
        ours.append(float(np.median(spent)))
        seconds, log_volume = _peer(normals, offsets)
        theirs.append(seconds)
        differences.append(abs(found.log_volume - log_volume))
        iterations.append(found.iterations)
    return {
        "r": size,
        "cuts": cuts,
        "rows": 2 * size + cuts,
        "ours_ms": round(1e3 * float(np.median(ours)), 2),
        "cvxpy_clarabel_ms": round(1e3 * float(np.median(theirs)), 1),
        "ratio": round(float(np.median(theirs) / np.median(ours)), 1),
        "iterations": int(np.median(iterations)),
        "log_volume_difference": float(f"{max(differences):.1e}"),
    }


def _peer(normals: np.ndarray, offsets: np.ndarray) -> tuple[float, float]:
    """Seconds of the processor that cvxpy takes to compile and solve, and its log det C."""
    import cvxpy as cp

    size = normals.shape[1]
    shape, centre = cp.Variable((size, size), PSD=True), cp.Variable(size)
    inside = cp.SOC(offsets - normals @ centre, (normals @ shape).T, axis=0)
    problem = cp.Problem(cp.Maximize(cp.log_det(shape)), [inside])  # type: ignore[attr-defined]
    begin = time.process_time()
    problem.solve(solver="CLARABEL")  # type: ignore[no-untyped-call]
    return time.process_time() - begin, float(problem.value)
