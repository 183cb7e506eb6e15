"""What a camera makes of the world: its lens, and where it stands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hardware.vision.fit import project, refined, rms
from hardware.vision.poses import inverse, is_pose, pose
from robot_learn.errors import UserError

_KEYS = {"width", "height", "matrix", "distortion", "T_base_camera", "error_px"}


@dataclass(frozen=True, eq=False)
class Calibration:
    """A calibrated camera. Pixel (0, 0) is the middle of the picture's first pixel, as OpenCV counts.

    Raises:
        UserError: a shape or a number is impossible.
    """

    width: int  # [pixels]
    height: int
    matrix: np.ndarray  # (3, 3) K, [pixels]
    T_base_camera: np.ndarray  # (4, 4); the camera's x is right, y down, z into the picture
    distortion: np.ndarray  # (5,) k1, k2, p1, p2, k3
    error_px: float = 0.0  # [pixels] root mean square that the calibration left

    def __post_init__(self) -> None:
        K = self.matrix
        if self.width < 1 or self.height < 1:
            raise UserError(f"calibration: wanted a width and a height, came {self.width} and {self.height}")
        if np.shape(K) != (3, 3) or not np.isfinite(K).all() or not min(K[0, 0], K[1, 1]) > 0 or K[2, 2] != 1:
            raise UserError(f"calibration, matrix: wanted [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], came {K.tolist()}")
        if not is_pose(self.T_base_camera):
            raise UserError(f"calibration, T_base_camera: wanted a pose (4, 4), came {self.T_base_camera.tolist()}")
        if np.shape(self.distortion) != (5,) or not np.isfinite(self.distortion).all():
            raise UserError(f"calibration, distortion: wanted 5 numbers, came {self.distortion.tolist()}")

    @classmethod
    def pinhole(cls, width: int, height: int, fovy: float, T_base_camera: np.ndarray) -> Calibration:
        """A camera without distortion whose picture's height spans `fovy` [degrees], as a simulator's does."""
        focal = height / 2 / np.tan(np.radians(fovy) / 2)
        K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
        return cls(width, height, K, T_base_camera, np.zeros(5))

    def project(self, points: np.ndarray, T_camera_object: np.ndarray) -> np.ndarray:
        """Pixels (N, 2) of points (N, 3) [m] of an object."""
        return project(points, T_camera_object, self.matrix, self.distortion)

    def check(self, picture: np.ndarray) -> None:
        """
        Raises:
            UserError: the picture is of another size than the camera was calibrated at, or no RGB picture.
        """
        if picture.shape != (self.height, self.width, 3) or picture.dtype != np.uint8:
            raise UserError(
                f"picture: calibrated at {self.width}x{self.height}, uint8 RGB; came {picture.shape}, {picture.dtype}"
            )

    def write(self, path: Path) -> None:
        told = {
            "width": self.width,
            "height": self.height,
            "matrix": self.matrix.tolist(),
            "distortion": self.distortion.tolist(),
            "T_base_camera": self.T_base_camera.tolist(),
            "error_px": self.error_px,
        }
        path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Calibration:
        """
        Raises:
            UserError: the file cannot be read, lacks a key or has one too many, or a number is impossible.
        """
        try:
            told: Any = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"calibration {path}: cannot be read: {error}") from error
        keys = set(told) if isinstance(told, dict) else set()
        if missing := _KEYS - {"error_px"} - keys:
            raise UserError(f"calibration {path}: lacks {', '.join(sorted(missing))}")
        if more := keys - _KEYS:
            raise UserError(f"calibration {path}: no such key: {', '.join(sorted(more))}; allowed: {sorted(_KEYS)}")
        try:
            K, T, lens = (np.array(told[key], dtype=np.float64) for key in ("matrix", "T_base_camera", "distortion"))
            return cls(int(told["width"]), int(told["height"]), K, T, lens, float(told.get("error_px", 0.0)))
        except (TypeError, ValueError) as error:
            raise UserError(f"calibration {path}: {error}") from error
        except UserError as error:
            raise UserError(f"{path}: {error}") from error


def lens(
    points: Sequence[np.ndarray], pixels: Sequence[np.ndarray], width: int, height: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Matrix (3, 3), distortion (5,) and error [pixels] from views of a flat board.

    Args:
        points: of each view, (N, 3) [m] on the board, z = 0.
        pixels: of each view, (N, 2), where they were seen.

    Raises:
        UserError: fewer than 5 views, or fewer than 4 points in one of them.
    """
    if len(points) < 5 or min(len(view) for view in points) < 4:
        raise UserError(
            f"lens: wanted 5 views or more of 4 points or more, came {[len(view) for view in points]}; "
            "hold the board tilted, near and far, in the middle and in the corners"
        )
    board = [np.asarray(view, dtype=np.float32) for view in points]
    seen = [np.asarray(view, dtype=np.float32).reshape(-1, 1, 2) for view in pixels]
    error, K, distortion, _, _ = cv2.calibrateCamera(board, seen, (width, height), None, None)
    return np.asarray(K), np.asarray(distortion).ravel()[:5], float(error)


def stand(
    points: np.ndarray, pixels: np.ndarray, T_base_board: np.ndarray, matrix: np.ndarray, distortion: np.ndarray
) -> tuple[np.ndarray, float]:
    """T_base_camera (4, 4) and error [pixels] from one view of a board whose place is known.

    Args:
        points: (N, 3) [m] on the board.
        pixels: (N, 2) where they were seen.

    Raises:
        UserError: fewer than 4 points, or none of the camera's places would show them so.
    """
    if len(points) < 4 or len(points) != len(pixels):
        raise UserError(f"camera's place: wanted 4 points or more and their pixels, came {len(points)}, {len(pixels)}")
    flags = cv2.SOLVEPNP_IPPE if np.ptp(points[:, 2]) < 1e-9 else cv2.SOLVEPNP_SQPNP
    found, rotation, position = cv2.solvePnP(points, pixels, matrix, distortion, flags=flags)
    if not found:
        raise UserError("camera's place: no place of the camera would show the board like this; are the points right?")
    T = refined(points, pixels, pose(rotation.ravel(), position.ravel()), matrix, distortion)
    return T_base_board @ inverse(T), rms(points, pixels, T, matrix, distortion)
