"""Where a camera stands, from views of a board while the hand goes from pose to pose: AX = XB.

The camera rides on the hand and the board lies still, or the camera stands still and the board rides on the hand: both
are T_fixed_moving_i X T_camera_board_i = Z for all i. First in closed form, rotation before translation (Park and
Martin, "Robot sensor calibration: solving AX = XB on the Euclidean group", 1994), then by least squares over X and Z
together, in which every view counts once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from hardware.vision.poses import inverse, pose, turn
from robot_learn.errors import UserError

LEVER = 0.1  # [m] at which a wrong angle counts as much as a wrong place
_SPREAD = 0.1  # [rad] of the second-largest axis of the turns between the views


@dataclass(frozen=True, eq=False)
class HandEye:
    """What came of it. The errors are how far single views are from what all of them say, root mean square."""

    T_moving_camera: np.ndarray  # (4, 4); of a camera that stands still: T_base_camera
    T_fixed_board: np.ndarray  # (4, 4); of a camera that stands still: T_hand_board
    error_m: float
    error_rad: float


def on_hand(T_base_hand: Sequence[np.ndarray], T_camera_board: Sequence[np.ndarray]) -> HandEye:
    """The camera rides on the hand: T_hand_camera, and T_base_board.

    Raises:
        UserError: fewer than 4 views, or the hand turned about one axis only.
    """
    return _solve(T_base_hand, T_camera_board)


def beside(T_base_hand: Sequence[np.ndarray], T_camera_board: Sequence[np.ndarray]) -> HandEye:
    """The camera stands still and the board is on the hand: T_base_camera, and T_hand_board.

    Raises:
        UserError: fewer than 4 views, or the hand turned about one axis only.
    """
    return _solve([inverse(T) for T in T_base_hand], T_camera_board)


def _solve(T_fixed_moving: Sequence[np.ndarray], T_camera_board: Sequence[np.ndarray]) -> HandEye:
    count = len(T_fixed_moving)
    if count < 4 or count != len(T_camera_board):
        raise UserError(
            f"hand-eye: wanted 4 views or more, came {count} poses of the hand, {len(T_camera_board)} views"
        )
    pairs = [(i, j) for i in range(count) for j in range(i)]
    A = [inverse(T_fixed_moving[j]) @ T_fixed_moving[i] for i, j in pairs]
    B = [T_camera_board[j] @ inverse(T_camera_board[i]) for i, j in pairs]
    start = _closed_form(A, B)
    return _refine(start, np.array(T_fixed_moving), np.array(T_camera_board))


def _closed_form(A: list[np.ndarray], B: list[np.ndarray]) -> np.ndarray:
    """X with A X = X B: log A_R = X_R log B_R, and (A_R - 1) x = X_R b - a."""
    alpha, beta = (np.array([turn(T[:3, :3]) for T in each]) for each in (A, B))
    left, sizes, right = np.linalg.svd(alpha.T @ beta)
    if np.sqrt(sizes[1] / len(A)) < _SPREAD:
        raise UserError(
            "hand-eye: the hand turned about one axis only; turn it about two or three, by 20 degrees or more"
        )
    R = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
    rows = np.concatenate([T[:3, :3] - np.eye(3) for T in A])
    wanted = np.concatenate([R @ b[:3, 3] - a[:3, 3] for a, b in zip(A, B, strict=True)])
    return pose(R, np.linalg.lstsq(rows, wanted, rcond=None)[0])


def _refine(start: np.ndarray, fixed: np.ndarray, board: np.ndarray) -> HandEye:
    def parts(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return start @ pose(x[:3], x[3:6]), first @ pose(x[6:9], x[9:])

    def errors(x: np.ndarray) -> np.ndarray:
        X, Z = parts(x)
        off = [inverse(Z) @ T @ X @ seen for T, seen in zip(fixed, board, strict=True)]
        return np.concatenate([np.concatenate([LEVER * turn(T[:3, :3]), T[:3, 3]]) for T in off])

    first = fixed[0] @ start @ board[0]
    found = least_squares(errors, np.zeros(12))
    rows = found.fun.reshape(-1, 6)
    X, Z = parts(found.x)
    angle, place = (float(np.sqrt(np.mean(np.sum(part**2, axis=1)))) for part in (rows[:, :3] / LEVER, rows[:, 3:]))
    return HandEye(X, Z, place, angle)
