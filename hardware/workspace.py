"""How far the arm's points are from the walls of the envelope's boxes.

A workspace box keeps its points in, so each of its six faces is a wall. A keep-out box keeps its points out: a point is
clear of it when it lies before any one of its faces.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hardware.kinematics import POINTS
from hardware.limits import Box, Envelope

_FAR = 1e3  # [m] stands for no wall at all; infinity would make 0 * inf of it


class Workspace:
    """The walls of an envelope, for points (5, 3) [m] in the base's frame."""

    def __init__(self, envelope: Envelope) -> None:
        self.inner = envelope.workspace
        self.outer = envelope.keep_out
        self._low, self._high = _corners(self.inner)
        self._outer_low = np.array([box.low for box in self.outer]).reshape(-1, 1, 3)
        self._outer_high = np.array([box.high for box in self.outer]).reshape(-1, 1, 3)
        concerned = [[point in box.points for point in POINTS] for box in self.outer]
        self._unconcerned = ~np.array(concerned, dtype=bool).reshape(-1, len(POINTS))

    def inside(self, points: np.ndarray) -> np.ndarray:
        """Distances (2, ..., 5, 3) [m] to the workspace's walls: to the lower and the upper along x, y, z; inside > 0.

        Points may be (..., 5, 3).
        """
        return np.array((points - self._low, self._high - points))

    def before(self, points: np.ndarray) -> np.ndarray:
        """Distances (2, boxes, 5, 3) [m] that points stand before the lower and upper faces of keep-out boxes."""
        distances = np.stack([self._outer_low - points, points - self._outer_high])
        distances[:, self._unconcerned] = _FAR
        return distances

    def nearest(self, points: np.ndarray) -> float:
        """Distance [m] of the point that is closest to a wall or to a keep-out box; negative when one is beyond.

        To a box's corner it is less than the true distance, never more.
        """
        nearest = float(np.minimum.reduce(self.inside(points), axis=None))
        if self.outer:
            nearest = min(nearest, float(self.before(points).max(axis=(0, 3)).min()))
        return nearest

    def trespasses(self, points: np.ndarray) -> list[str]:
        """A line for each point that is outside of a workspace box or inside of a keep-out box."""
        found = []
        for box in (*self.inner, *self.outer):
            for name in box.points:
                place = points[POINTS.index(name)]
                within = bool(((place > box.low) & (place < box.high)).all())
                if within != (box in self.inner):
                    where = "inside" if within else "outside of"
                    at = ", ".join(f"{number:.3f}" for number in place)
                    found.append(f"the {name} at ({at}) m is {where} {box.name}, {box.low} to {box.high}")
        return found


def _corners(boxes: Sequence[Box]) -> tuple[np.ndarray, np.ndarray]:
    """The corners (5, 3) of what all boxes about each point have in common."""
    low, high = np.full((len(POINTS), 3), -_FAR), np.full((len(POINTS), 3), _FAR)
    for box in boxes:
        rows = [POINTS.index(name) for name in box.points]
        low[rows] = np.maximum(low[rows], box.low)
        high[rows] = np.minimum(high[rows], box.high)
    return low, high
