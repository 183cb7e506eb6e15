"""Quaternions (w, x, y, z) from a body to the world, as CasADi expressions."""

from __future__ import annotations

import casadi as ca
import numpy as np


def rotation(q: ca.SX) -> ca.SX:
    """R_world_body (3, 3) of a quaternion of any length but zero.

    Euler steps lengthen quaternions. If the length counted, a planner could make use of it, and would run away with it.
    """
    w, x, y, z = q[0], q[1], q[2], q[3]
    twice = 2 / ca.sumsqr(q)
    return ca.vertcat(
        ca.horzcat(1 - twice * (y * y + z * z), twice * (x * y - w * z), twice * (x * z + w * y)),
        ca.horzcat(twice * (x * y + w * z), 1 - twice * (x * x + z * z), twice * (y * z - w * x)),
        ca.horzcat(twice * (x * z - w * y), twice * (y * z + w * x), 1 - twice * (x * x + y * y)),
    )


def product(p: ca.SX, q: ca.SX) -> ca.SX:
    """The Hamilton product p q."""
    return ca.vertcat(
        p[0] * q[0] - p[1] * q[1] - p[2] * q[2] - p[3] * q[3],
        p[0] * q[1] + p[1] * q[0] + p[2] * q[3] - p[3] * q[2],
        p[0] * q[2] - p[1] * q[3] + p[2] * q[0] + p[3] * q[1],
        p[0] * q[3] + p[1] * q[2] - p[2] * q[1] + p[3] * q[0],
    )


def rate_in_body(q: ca.SX, omega: ca.SX) -> ca.SX:
    """dq/dt (4,) where the body turns at omega (3,) [rad/s] about its own axes."""
    return 0.5 * product(q, ca.vertcat(0, omega))


def rate_in_world(q: ca.SX, omega: ca.SX) -> ca.SX:
    """dq/dt (4,) where the body turns at omega (3,) [rad/s] about the world's axes."""
    return 0.5 * product(ca.vertcat(0, omega), q)


def apart(p: ca.SX, q: ca.SX) -> ca.SX:
    """tr(I - R(q)' R(p)) / 2 = 1 - cos(angle between them), whatever the quaternions' lengths.

    Euler steps lengthen a quaternion: a cost that took the length for nearness would have no minimum.
    """
    return 2.0 * (1.0 - ca.dot(p, q) ** 2 / (ca.sumsqr(p) * ca.sumsqr(q)))


def normalised(state: np.ndarray, first: int) -> np.ndarray:
    """A state whose numbers `first` to `first + 3` are a quaternion, with that at length 1."""
    kept = state.copy()
    kept[first : first + 4] /= np.linalg.norm(kept[first : first + 4])
    return kept
