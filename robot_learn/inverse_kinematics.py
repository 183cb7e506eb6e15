"""Joint velocities for a hand's twist: damped least squares with saturated joints.

Wampler, "Manipulator inverse kinematic solutions based on vector formulations and damped least-squares methods", 1986;
saturation after Flacco, De Luca and Khatib, "Motion control of redundant robots under joint constraints: saturation in
the null space", 2012.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Linear = Callable[[np.ndarray, np.ndarray], np.ndarray]  # x of A x = b, for A symmetric and positive definite


def solve(
    J: np.ndarray, twist: np.ndarray, idle: np.ndarray, damping: np.ndarray, linear: Linear = np.linalg.solve
) -> np.ndarray:
    """Joint velocities (7,) with J (6, 7) times them close to the twist (6,) and otherwise close to `idle` (7,)."""
    return np.asarray(idle + J.T @ linear(J @ J.T + damping, twist - J @ idle))


def within(
    J: np.ndarray,
    twist: np.ndarray,
    idle: np.ndarray,
    damping: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    linear: Linear = np.linalg.solve,
) -> np.ndarray:
    """`solve` for joint velocities that stay between `low` and `high` (7,).

    Joints that cannot go as fast as they should go as fast as they may, and the others take over what is left, in one
    round of what Flacco and others iterate.
    """
    rates = solve(J, twist, idle, damping, linear)
    stuck = (rates < low) | (rates > high)
    if not stuck.any():
        return rates
    fixed = np.where(stuck, np.clip(rates, low, high), 0.0)
    others = solve(np.where(stuck, 0.0, J), twist - J @ fixed, np.where(stuck, 0.0, idle), damping, linear)
    return np.asarray(np.clip(fixed + others, low, high))
