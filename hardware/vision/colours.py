"""Poses of upright boxes by their colour: for things of a known size that have no tag.

What stands out by its hue is one blob; its outline is compared with that of the box, seen by the same camera, and the
box is moved on its table and turned about the vertical until the outlines agree. So the place is that of the box's
centre and not of what is seen of it, which lies nearer to the camera. Of a thing that is lifted the height is fitted
too: then only the blob's size tells how far away it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from hardware.vision import Sight
from hardware.vision.calibration import Calibration
from hardware.vision.poses import inverse, pose
from robot_learn.errors import UserError

POINTS = 40  # of an outline that are compared
STARTS = 3  # turns that are tried, over what looks different
SHORT, ROUNDS = 2, 10  # of the search, from every start and from the best one
FIT = 1.0  # [pixels] of error at which the confidence is half
WORST = 4.0  # [pixels] of error from which it is no sighting: hidden in part, or another thing
_STEP = (5e-4, 5e-4, 0.02, 5e-4)  # [m], [m], [rad], [m] for derivatives


@dataclass(frozen=True)
class Coloured:
    """A box of one colour.

    Raises:
        UserError: a size is not above 0, or a number of the colour is out of range.
    """

    name: str
    half: tuple[float, float, float]  # [m] half its edges
    hue: tuple[float, float]  # [degrees] from, to: (350, 20) are reds
    saturation: float = 0.45  # at least, 0 to 1
    value: float = 0.15  # brightness, at least, 0 to 1
    table: float | None = 0.0  # [m] height of the plane that it lies on, from the base; None: it may be anywhere
    min_area: int = 30  # [pixels]

    def __post_init__(self) -> None:
        if not all(half > 0 for half in self.half) or not all(0 <= hue <= 360 for hue in self.hue):
            raise UserError(
                f"{self.name}: wanted half edges above 0 m and hues of 0 to 360, came {self.half}, {self.hue}"
            )
        if not (0 < self.saturation <= 1 and 0 <= self.value < 1):
            raise UserError(f"{self.name}: wanted saturation and value of 0 to 1, came {self.saturation}, {self.value}")

    @property
    def turns(self) -> int:
        """So many turns about the vertical look the same."""
        return 4 if abs(self.half[0] - self.half[1]) < 1e-6 else 2

    @property
    def corners(self) -> np.ndarray:
        """(8, 3) [m] from its centre."""
        signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
        return np.asarray(signs * self.half)


class ColourFinder:
    """Finds coloured boxes in pictures."""

    def __init__(self, calibration: Calibration, things: Iterable[Coloured]) -> None:
        self.calibration, self.things = calibration, tuple(things)
        self._T_camera_base = inverse(calibration.T_base_camera)

    @property
    def names(self) -> tuple[str, ...]:
        """What it looks for."""
        return tuple(thing.name for thing in self.things)

    def find(self, picture: np.ndarray) -> dict[str, Sight]:
        """
        Raises:
            UserError: the picture is not of the calibration's size.
        """
        self.calibration.check(picture)
        # Chroma of cameras is coarse and noisy; a thing is larger than three pixels.
        colours = cv2.cvtColor(cv2.GaussianBlur(picture, (3, 3), 0), cv2.COLOR_RGB2HSV)
        found = {}
        for thing in self.things:
            outline = _outline(mask(colours, thing), thing.min_area)
            sight = None if outline is None else self._fit(thing, outline)
            if sight is not None:
                found[thing.name] = sight
        return found

    def _fit(self, thing: Coloured, outline: np.ndarray) -> Sight | None:
        """The pose whose outline is that of the blob, (n, 2) [pixels]."""
        every = np.linspace(0, len(outline), POINTS, endpoint=False).astype(int)
        points = outline[every].astype(np.float64)
        place = self._under(points.mean(axis=0), thing)
        if place is None:
            return None
        around = 2 * np.pi / thing.turns
        height = thing.half[2] + (thing.table or 0.0)
        starts = [np.array([*place, around * i / STARTS, height]) for i in range(STARTS)]
        tried = [self._search(thing, points, x, SHORT) for x in starts]
        error, x = self._search(thing, points, min(tried, key=lambda each: each[0])[1], ROUNDS)
        if not error < WORST:
            return None
        diameter = float(np.sqrt(4 / np.pi * cv2.contourArea(outline.astype(np.float32))))
        T_camera_object = self._T_camera_base @ _pose(x)
        confidence = 1 / (1 + (error / FIT) ** 2) * diameter**2 / (diameter**2 + 12.0**2)
        return Sight(T_camera_object, float(confidence), "colour", error, diameter, thing.turns)

    def _under(self, pixel: np.ndarray, thing: Coloured) -> np.ndarray | None:
        """Where the ray through a pixel meets the height of the box's centre, (2,) [m]; None where it goes upward."""
        K, T = self.calibration.matrix, self.calibration.T_base_camera
        flat = cv2.undistortPoints(pixel.reshape(1, 1, 2), K, self.calibration.distortion).ravel()
        ray = T[:3, :3] @ np.array([*flat, 1.0])
        along = (thing.half[2] + (thing.table or 0.0) - T[2, 3]) / ray[2] if abs(ray[2]) > 1e-6 else -1.0
        return np.asarray((T[:3, 3] + along * ray)[:2]) if 0 < along < 100 else None

    def _search(self, thing: Coloured, points: np.ndarray, x: np.ndarray, rounds: int) -> tuple[float, np.ndarray]:
        """Error [pixels] and (x, y, angle, height) by damped Gauss-Newton from a start."""
        off, damping = self._off(thing, points, x), 1e-3
        moves = [step * np.eye(4)[i] for i, step in enumerate(_STEP if thing.table is None else _STEP[:3])]
        for _ in range(rounds):
            J = np.stack([(self._off(thing, points, x + move) - off) / move.sum() for move in moves], axis=1)
            H = J.T @ J
            found = np.linalg.solve(H + damping * np.diag(np.diag(H)) + 1e-12 * np.eye(len(H)), -J.T @ off)
            step = np.append(found, np.zeros(4 - len(found)))
            tried = self._off(thing, points, x + step)
            if tried @ tried < (1 - 1e-4) * (off @ off):
                x, off, damping = x + step, tried, damping / 10
            elif np.max(np.abs(step)) < 1e-4:
                break
            else:
                damping *= 10
        return float(np.sqrt(np.mean(off**2))), x

    def _off(self, thing: Coloured, points: np.ndarray, x: np.ndarray) -> np.ndarray:
        """How far the points (n, 2) lie inside of the outline that the box would have [pixels]; outside is below 0."""
        T = self._T_camera_base @ _pose(x)
        corners = self.calibration.project(thing.corners, T)
        hull = cv2.convexHull(corners.astype(np.float32)).reshape(-1, 2).astype(np.float64)
        sides = np.roll(hull, -1, axis=0) - hull
        length = np.maximum(np.linalg.norm(sides, axis=1), 1e-9)
        arm = points[:, None] - hull[None]  # (n, sides, 2)
        along = np.clip((arm * sides).sum(axis=2) / length**2, 0.0, 1.0)
        distance = np.linalg.norm(arm - along[..., None] * sides, axis=2).min(axis=1)
        across = sides[:, 0] * arm[..., 1] - sides[:, 1] * arm[..., 0]
        inside = np.all(across <= 0, axis=1) | np.all(across >= 0, axis=1)
        return np.asarray(np.where(inside, distance, -distance))


def mask(colours: np.ndarray, thing: Coloured) -> np.ndarray:
    """Where a picture in OpenCV's HSV (h, w, 3) has the thing's colour: (h, w) uint8, 0 or 255."""
    low, high = (round(hue / 2) % 180 for hue in thing.hue)
    least, most = (int(255 * thing.saturation), int(255 * thing.value)), (255, 255)
    ranges = [(low, high)] if low <= high else [(low, 179), (0, high)]
    parts = [cv2.inRange(colours, np.array([a, *least]), np.array([b, *most])) for a, b in ranges]
    found = parts[0] if len(parts) == 1 else cv2.bitwise_or(parts[0], parts[1])
    return np.asarray(cv2.morphologyEx(found, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))


def _outline(found: np.ndarray, min_area: int) -> np.ndarray | None:
    """The border (n, 2) [pixels] of the largest blob; None where none is large enough, or it leaves the picture.

    Contours run through the middles of a blob's outermost pixels; its border lies half a pixel further out.
    """
    outlines, _ = cv2.findContours(found, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return None
    largest = max(outlines, key=cv2.contourArea)
    left, top, width, height = cv2.boundingRect(largest)
    inside = left > 0 and top > 0 and left + width < found.shape[1] and top + height < found.shape[0]
    if cv2.contourArea(largest) < min_area or not inside:
        return None
    points = largest.reshape(-1, 2).astype(np.float64)
    away = points - points.mean(axis=0)
    return np.asarray(points + 0.5 * away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9))


def _pose(x: np.ndarray) -> np.ndarray:
    """T_base_object of (x, y [m], angle [rad], height [m])."""
    return pose(np.array([0.0, 0.0, x[2]]), x[[0, 1, 3]])
