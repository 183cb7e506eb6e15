"""The corners of a dark square on a light ground, to a fraction of a pixel: where the lines along its sides meet.

A corner by itself is a few pixels, a side is many: brightness is read across each side at many places, each reading
tells where dark becomes light, a line is laid through these points, and neighbouring lines are intersected.
"""

from __future__ import annotations

import cv2
import numpy as np

PLACES = 16  # along each side
KEPT = (0.12, 0.88)  # of a side; its ends belong to the neighbours
STEP = 0.25  # [pixels] between two readings across a side
MODULES = 7.0  # of a tag along a side, or more: 6 to 10
NEAR = (0.75, 1.25)  # [pixels] to each side of an edge that are looked at; a picture's blur is narrower
FAR = 0.3  # of the shortest side, that a corner may be moved
FAINT = 12.0  # of 255; what rises less is no edge


def sharpened(grey: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """`_once`, three times, each from nearer by: detectors put single corners off by several pixels."""
    for _ in range(3):
        corners = _once(grey, corners)
    return corners


def _once(grey: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Corners (4, 2) [pixels] of a dark square, clockwise, from corners that are right to a pixel or two.

    What comes out too far from a corner is no improvement: then the corner stays as it was.

    Args:
        grey: (height, width) uint8.
    """
    sides = np.roll(corners, -1, axis=0) - corners
    length = np.linalg.norm(sides, axis=1)
    # [pixels] Looked at are `near` on both sides of the steepest rise within `reach`; together less than a module, else
    # the tag's pattern would be seen too.
    module = float(length.min()) / MODULES
    near = float(np.clip(module / 2, *NEAR))
    reach = float(np.clip(module - near, 0.5, 3.0))
    if length.min() < 4.0:
        return corners
    along = sides / length[:, None]
    outward = np.stack([along[:, 1], -along[:, 0]], axis=1)  # of a square that goes round clockwise, y down
    points, weights = _edges(grey, corners, sides, outward, round(reach / STEP), round(near / STEP))
    lines = [_line(points[i], weights[i], along[i]) for i in range(4)]
    found = np.array([_meet(lines[i - 1], lines[i]) for i in range(4)])
    moved = np.linalg.norm(found - corners, axis=1)
    return np.where((moved <= FAR * length.min())[:, None], found, corners)  # NaN is no improvement either


def _edges(
    grey: np.ndarray, corners: np.ndarray, sides: np.ndarray, outward: np.ndarray, count: int, near: int
) -> tuple[np.ndarray, np.ndarray]:
    """Points (4, PLACES, 2) where dark becomes light, and how clearly (4, PLACES).

    Args:
        count: steps to each side in which the steepest rise is looked for.
        near: steps to each side of it that are looked at.
    """
    shares = np.linspace(*KEPT, PLACES)
    offsets = STEP * np.arange(-count - near, count + near + 1)
    middle = corners[:, None] + shares[:, None] * sides[:, None]  # (4, PLACES, 2)
    where = (middle[:, :, None] + offsets[:, None] * outward[:, None, None]).astype(np.float32)
    flat = where.reshape(4 * PLACES, len(offsets), 2)
    read = cv2.remap(grey, flat[..., 0], flat[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    profile = read.reshape(4, PLACES, len(offsets)).astype(np.float64)
    # Beyond the white border something lighter may follow: only what lies around the steepest rise is looked at.
    rise = profile[..., near + 2 : len(offsets) - near + 2] - profile[..., near - 2 : len(offsets) - near - 2]
    steepest = rise.argmax(axis=2)[..., None] + near  # (4, PLACES, 1)
    part = np.take_along_axis(profile, steepest + np.arange(-near, near + 1), axis=2)
    dark, light = part[..., :1], part[..., -1:]
    contrast = (light - dark)[..., 0]
    # As much of the way is light as lies beyond the edge: that holds for any blur that is the same on both sides.
    beyond = STEP * (np.clip((part - dark) / np.maximum(light - dark, 1.0), 0.0, 1.0)[..., 1:].sum(axis=2) - 0.5)
    offset = offsets[steepest[..., 0]] + STEP * near - beyond
    return middle + offset[..., None] * outward[:, None], np.where(contrast > FAINT, contrast, 0.0)


def _line(points: np.ndarray, weights: np.ndarray, along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A point and a direction (2,) of the line through points (n, 2); outliers lose their say in a second round."""
    for _ in range(3):
        total = max(float(weights.sum()), 1e-9)
        centre = weights @ points / total
        off = points - centre
        spread = (off * weights[:, None]).T @ off
        direction = np.linalg.eigh(spread)[1][:, 1]
        distance = np.abs(off @ np.array([-direction[1], direction[0]]))
        weights = weights / (1 + (distance / 0.3) ** 2)
    return centre, direction if direction @ along >= 0 else -direction


def _meet(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Where two lines meet (2,); NaN where they are parallel."""
    (a, u), (b, v) = one, other
    across = u[0] * v[1] - u[1] * v[0]
    if abs(across) < 1e-3:
        return np.full(2, np.nan)
    d = b - a
    return np.asarray(a + u * (d[0] * v[1] - d[1] * v[0]) / across)
