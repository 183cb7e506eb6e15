"""The pose that explains best where known points are seen, from one that is nearly right."""

from __future__ import annotations

import cv2
import numpy as np

from hardware.vision.poses import pose

ROUNDS = 12
CLEAR = 0.5  # [pixels] beyond which a corner counts less and less (Huber, "Robust estimation of a location parameter")
_DONE = 1e-9  # [m], [rad]


def project(points: np.ndarray, T: np.ndarray, matrix: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    """Pixels (N, 2) of points (N, 3) [m] of an object at T_camera_object (4, 4)."""
    return _project(points @ T[:3, :3].T + T[:3, 3], matrix, distortion)[0]


def refined(
    points: np.ndarray, pixels: np.ndarray, T: np.ndarray, matrix: np.ndarray, distortion: np.ndarray
) -> np.ndarray:
    """T_camera_object (4, 4) by robust Gauss-Newton, damped, from a start T.

    The turn is taken about the object's own origin and counted from where it is, so that no orientation is special:
    OpenCV's own refinement works on the rotation vector, and diverged here near half a turn.
    """
    damping, off, J = 1e-6, *_errors(points, pixels, T, matrix, distortion)
    for _ in range(ROUNDS):
        weight = np.repeat(_huber(off), 2)
        H, slope = (J * weight[:, None]).T @ J, (J * weight[:, None]).T @ off.ravel()
        step = np.linalg.solve(H + damping * np.diag(np.diag(H)) + 1e-12 * np.eye(6), -slope)
        tried = pose(pose(step[:3], np.zeros(3))[:3, :3] @ T[:3, :3], T[:3, 3] + step[3:])
        new_off, new_J = _errors(points, pixels, tried, matrix, distortion)
        if not np.isfinite(new_off).all() or _cost(new_off) > _cost(off):
            damping = 10 * damping + 1e-6
            continue
        T, off, J, damping = tried, new_off, new_J, damping / 10
        if np.max(np.abs(step)) < _DONE:
            break
    return T


def rms(points: np.ndarray, pixels: np.ndarray, T: np.ndarray, matrix: np.ndarray, distortion: np.ndarray) -> float:
    """Root mean square [pixels] between where points are seen and where they should be."""
    off = project(points, T, matrix, distortion) - pixels
    return float(np.sqrt(np.mean(np.sum(off**2, axis=1))))


def _errors(
    points: np.ndarray, pixels: np.ndarray, T: np.ndarray, matrix: np.ndarray, distortion: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) [pixels], and their derivatives (2N, 6) by a turn about the object's origin and a shift."""
    arm = points @ T[:3, :3].T
    seen, by_point = _project(arm + T[:3, 3], matrix, distortion)
    by_turn = np.cross(arm[:, None, :], by_point)  # u . (w x a) = w . (a x u)
    return seen - pixels, np.concatenate([by_turn, by_point], axis=2).reshape(-1, 6)


def _project(seen: np.ndarray, matrix: np.ndarray, distortion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, 2) of points (N, 3) [m] of the camera, and their derivatives (N, 2, 3)."""
    nothing = np.zeros(3)
    found, J = cv2.projectPoints(np.ascontiguousarray(seen), nothing, nothing, matrix, distortion)
    return np.asarray(found).reshape(-1, 2), np.asarray(J)[:, 3:6].reshape(-1, 2, 3)


def _huber(off: np.ndarray) -> np.ndarray:
    return np.asarray(CLEAR / np.maximum(np.linalg.norm(off, axis=1), CLEAR))


def _cost(off: np.ndarray) -> float:
    size = np.linalg.norm(off, axis=1)
    return float(np.sum(np.where(size <= CLEAR, size**2 / 2, CLEAR * (size - CLEAR / 2))))
