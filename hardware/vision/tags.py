"""Poses of things that carry square tags: ArUco's and AprilTag's.

A thing may carry several, and all that are seen are used at once. One small tag, seen from in front, has two poses that
explain it almost equally well (Schweighofer and Pinz, "Robust pose estimation from a planar target", 2006): both are
tried, from every tag (Collins and Bartoli, "Infinitesimal plane-based pose estimation", 2014), and the one that fits
all corners best is refined. Where they fit alike, what was seen before decides, and the confidence says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from hardware.vision import Sight
from hardware.vision.calibration import Calibration
from hardware.vision.edges import sharpened
from hardware.vision.fit import refined, rms
from hardware.vision.poses import difference, pose
from robot_learn.errors import UserError, unknown

DICTIONARIES = {
    "4x4": "DICT_4X4_50",
    "5x5": "DICT_5X5_50",
    "6x6": "DICT_6X6_50",
    "april-16h5": "DICT_APRILTAG_16H5",
    "april-25h9": "DICT_APRILTAG_25H9",
    "april-36h11": "DICT_APRILTAG_36H11",
}
SMALL = 400  # [pixels] of width under which pictures are looked at in twice their size, for tags of 8 to 12 pixels
FIT = 0.7  # [pixels] of error at which the confidence is half
SIDE = 12.0  # [pixels] of a tag's side at which the confidence is half
WORST = 3.0  # [pixels] of error from which it is no sighting
HOPELESS = 3.0  # [pixels] of error, five times the best one's, at which a start is not worth refining
STRANGE = 0.6  # [pixels] of error from which a tag is left out, where there are several
APART = 0.15  # [rad] from which two poses are two
# Two poses fit alike where the worse one's error is under the better one's times `ALIKE`, plus `NOISE` [pixels].
ALIKE, NOISE = 1.5, 0.05


@dataclass(frozen=True, eq=False)
class Tag:
    """A tag on a thing. Its x is right, y up as it is read, z out of it; `size` is the black square's."""

    number: int
    size: float  # [m]
    T_object_tag: np.ndarray  # (4, 4)

    @property
    def corners(self) -> np.ndarray:
        """(4, 3) [m] of the object, clockwise from the upper left, as detectors give them."""
        square = self.size / 2 * np.array([[-1, 1, 0], [1, 1, 0], [1, -1, 0], [-1, -1, 0]])
        return np.asarray(square @ self.T_object_tag[:3, :3].T + self.T_object_tag[:3, 3])


def on_box(half: Sequence[float], size: float, first: int = 0) -> tuple[Tag, ...]:
    """Six tags, one in the middle of each face of a box of these half sizes [m], numbered from `first` on.

    In order on +z, -z, +x, -x, +y, -y. On the sides a tag's up is the box's z, on top and below it is the box's y.

    Raises:
        UserError: a tag does not fit on a face.
    """
    if size >= 2 * min(half):
        raise UserError(f"tags of {1000 * size:g} mm do not fit on a box with an edge of {2000 * min(half):g} mm")
    x, y, z = np.eye(3)
    faces = ((z, y), (-z, y), (x, z), (-x, z), (y, z), (-y, z))
    return tuple(
        Tag(first + i, size, pose(np.column_stack([np.cross(up, out), up, out]), out * half))
        for i, (out, up) in enumerate(faces)
    )


def picture(number: int, dictionary: str = "4x4", *, module: int = 16, border: int = 1) -> np.ndarray:
    """A tag to print, (n, n) uint8, with a white border of so many modules; `module` pixels each."""
    tags = _dictionary(dictionary)
    modules = int(tags.markerSize) + 2
    if not 0 <= number < len(tags.bytesList):
        raise UserError(f"tag {number}: the dictionary {dictionary} has 0 to {len(tags.bytesList) - 1}")
    drawn = cv2.aruco.generateImageMarker(tags, number, modules * module)
    return np.pad(np.asarray(drawn), border * module, constant_values=255)


class TagFinder:
    """Finds tagged things in pictures; it remembers where they were, to choose between two poses that look alike."""

    def __init__(self, calibration: Calibration, things: Mapping[str, Sequence[Tag]], dictionary: str = "4x4") -> None:
        numbers = [tag.number for tags in things.values() for tag in tags]
        if len(set(numbers)) != len(numbers):
            raise UserError(f"tags: each number may be on one thing only, came {sorted(numbers)}")
        self.calibration, self.things = calibration, {name: tuple(tags) for name, tags in things.items()}
        self._detector = _detector(dictionary)
        self._zoom = 2 if calibration.width < SMALL else 1
        self._before: dict[str, np.ndarray] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """What it looks for."""
        return tuple(self.things)

    def corners(self, picture: np.ndarray) -> dict[int, np.ndarray]:
        """Where tags are seen: corners (4, 2) [pixels] by number; a number that is seen twice is left out.

        Raises:
            UserError: the picture is not of the calibration's size.
        """
        self.calibration.check(picture)
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        large = cv2.resize(grey, None, fx=self._zoom, fy=self._zoom, interpolation=cv2.INTER_CUBIC)
        found, numbers, _ = self._detector.detectMarkers(large)
        seen = [int(number) for number in np.ravel(numbers)] if len(found) else []
        return {
            number: sharpened(grey, (np.asarray(square, dtype=np.float64).reshape(4, 2) + 0.5) / self._zoom - 0.5)
            for number, square in zip(seen, found, strict=True)
            if seen.count(number) == 1
        }

    def find(self, picture: np.ndarray) -> dict[str, Sight]:
        corners = self.corners(picture)
        sights = {}
        for name, tags in self.things.items():
            seen = [(tag, corners[tag.number]) for tag in tags if tag.number in corners]
            sight = locate(self.calibration, seen, self._before.get(name)) if seen else None
            if sight is not None:
                sights[name] = sight
                self._before[name] = sight.T_camera_object
        return sights


def locate(
    calibration: Calibration, seen: Sequence[tuple[Tag, np.ndarray]], before: np.ndarray | None = None
) -> Sight | None:
    """The pose of a thing from its tags and their corners (4, 2) [pixels]; None where nothing fits.

    Args:
        before: T_camera_object as it was last, which decides between poses that fit alike.
    """
    points, pixels = _gathered(seen)
    lens = calibration.matrix, calibration.distortion
    rough = [(rms(points, pixels, T, *lens), T) for T in _candidates(calibration, seen)]
    near = max(HOPELESS, 5 * min((error for error, _ in rough), default=0.0))
    tried = [refined(points, pixels, T, *lens) for error, T in rough if error < near]
    ranked = sorted((rms(points, pixels, T, *lens), i) for i, T in enumerate(tried))
    wrong = _outlier(calibration, seen, tried[ranked[0][1]]) if len(seen) > 1 and ranked else None
    if wrong is not None:
        return locate(calibration, [entry for i, entry in enumerate(seen) if i != wrong], before)
    ranked = [(error, i) for error, i in ranked if error < WORST and tried[i][2, 3] > 0]
    if not ranked:
        return None
    (error, best), clear = ranked[0], 1.0
    others = [entry for entry in ranked if difference(tried[entry[1]], tried[best])[1] > APART]
    if others and others[0][0] < ALIKE * error + NOISE:
        if before is None:
            clear = 0.5
        else:
            error, best = min((ranked[0], others[0]), key=lambda entry: difference(tried[entry[1]], before)[1])
    side = max(_side(square) for _, square in seen)
    return Sight(tried[best], clear * _confidence(error, side), "tags", error, side)


def _gathered(seen: Sequence[tuple[Tag, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """All corners: (4n, 3) [m] of the thing, and (4n, 2) [pixels]."""
    return np.concatenate([tag.corners for tag, _ in seen]), np.concatenate([square for _, square in seen])


def _outlier(calibration: Calibration, seen: Sequence[tuple[Tag, np.ndarray]], T: np.ndarray) -> int | None:
    """The tag that does not agree with the others: read wrongly, half hidden, or seen from too far aside.

    That without which the others agree best; of two nobody can tell, and the smaller one goes.
    """
    lens = calibration.matrix, calibration.distortion
    if rms(*_gathered(seen), T, *lens) <= STRANGE:
        return None
    if len(seen) == 2:
        return int(np.argmin([_side(square) for _, square in seen]))
    errors = []
    for left_out in range(len(seen)):
        rest = _gathered([entry for i, entry in enumerate(seen) if i != left_out])
        errors.append(rms(*rest, refined(*rest, T, *lens), *lens))
    return int(np.argmin(errors))


def _side(square: np.ndarray) -> float:
    """The shortest side [pixels] of a tag's corners (4, 2)."""
    return float(np.linalg.norm(square - np.roll(square, 1, axis=0), axis=1).min())


def _candidates(calibration: Calibration, seen: Sequence[tuple[Tag, np.ndarray]]) -> list[np.ndarray]:
    """Poses T_camera_object that single tags suggest, two each."""
    found = []
    for tag, square in seen:
        flat = Tag(tag.number, tag.size, np.eye(4)).corners
        K, distortion = calibration.matrix, calibration.distortion
        _, turns, places, _ = cv2.solvePnPGeneric(flat, square, K, distortion, flags=cv2.SOLVEPNP_IPPE_SQUARE)
        T_tag_object = np.linalg.inv(tag.T_object_tag)
        found += [pose(r.ravel(), t.ravel()) @ T_tag_object for r, t in zip(turns, places, strict=True)]
    return [T for T in found if np.isfinite(T).all()]


def _confidence(error: float, side: float) -> float:
    """Halved by an error of `FIT`, and halved for a tag of `SIDE` pixels."""
    return float(1 / (1 + (error / FIT) ** 2) * side**2 / (side**2 + SIDE**2))


def _dictionary(name: str) -> cv2.aruco.Dictionary:
    if name not in DICTIONARIES:
        raise unknown("dictionary of tags", name, DICTIONARIES)
    return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, DICTIONARIES[name]))


def _detector(dictionary: str) -> cv2.aruco.ArucoDetector:
    settings = cv2.aruco.DetectorParameters()
    settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_NONE  # `sharpened` does that
    settings.minMarkerPerimeterRate = 0.02  # small tags count, too
    settings.adaptiveThreshWinSizeMin, settings.adaptiveThreshWinSizeMax = 3, 23
    return cv2.aruco.ArucoDetector(_dictionary(dictionary), settings)
