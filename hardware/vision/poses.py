"""Poses as matrices (4, 4): T_a_b takes points seen from b to points seen from a."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation


def pose(rotation: np.ndarray, position: np.ndarray) -> np.ndarray:
    """From a rotation, as a matrix (3, 3) or a vector (3,) [rad], and a position (3,) [m]."""
    T = np.eye(4)
    T[:3, :3] = rotation if np.shape(rotation) == (3, 3) else Rotation.from_rotvec(rotation).as_matrix()
    T[:3, 3] = position
    return T


def inverse(T: np.ndarray) -> np.ndarray:
    R = T[:3, :3].T
    return pose(R, -R @ T[:3, 3])


def turn(R: np.ndarray) -> np.ndarray:
    """The rotation vector (3,) [rad] of a matrix (3, 3)."""
    return np.asarray(Rotation.from_matrix(R).as_rotvec())


def difference(T_a: np.ndarray, T_b: np.ndarray) -> tuple[float, float]:
    """How far two poses are apart: [m] and [rad]."""
    angle = float(np.linalg.norm(turn(T_a[:3, :3].T @ T_b[:3, :3])))
    return float(np.linalg.norm(T_a[:3, 3] - T_b[:3, 3])), angle


def is_pose(T: np.ndarray) -> bool:
    """Whether it is one, to a thousandth."""
    if np.shape(T) != (4, 4) or not np.isfinite(T).all():
        return False
    R = T[:3, :3]
    rigid = np.allclose(R @ R.T, np.eye(3), atol=1e-3) and np.linalg.det(R) > 0
    return bool(rigid and np.allclose(T[3], [0, 0, 0, 1], atol=1e-9))
