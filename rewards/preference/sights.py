"""What shows the progress of a task in a picture, as data: colours of objects, and lengths between them.

All lengths are shares of the picture's width, so that a sight holds for pictures of any size. Colours are OpenCV's hue
(0 to 180), saturation and value (0 to 255).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from robot_learn.errors import UserError

Range = tuple[int, int]
Direction = tuple[float, float]  # to the right and down, of length 1
Plane = tuple[Direction, Direction]
Points = np.ndarray  # (n, 2) pixels of an object as x, y in shares of the picture's width

_DARK = 55  # value below which a pixel is a dark spot


@dataclass(frozen=True)
class Thing:
    """A coloured object."""

    hue: Range  # from one to the other, through 0 where the first is the larger
    saturation: Range
    value: Range
    area: tuple[float, float] = (0.0, 1.0)  # share of the picture, of each connected region that counts
    round: float = 100.0  # longest side of a region's box by its shortest, at most
    spotted: bool = False  # holds dark spots, like a football
    largest: bool = False  # only the largest region counts
    within: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)  # left, top, right, bottom: where it can be
    hidden_by: str = ""  # the thing that it is taken to be at while it is not seen


@dataclass(frozen=True)
class Term:
    """A measurement, brought to 0 where it has the value `start` and to `weight` where it has `end`."""

    measure: str  # of MEASURES
    things: tuple[str, ...]
    start: float
    end: float
    weight: float = 1.0
    direction: Direction = (1.0, 0.0)
    offset: Direction = (0.0, 0.0)  # from the thing's point to the one that is meant
    floor: float = 0.0  # shares of the way up to this one count as none: errors of measurement


@dataclass(frozen=True)
class Sight:
    """What a camera shows of a task."""

    name: str
    things: dict[str, Thing]
    terms: tuple[Term, ...]
    noise: float  # deviation of the difference of two measurements, each wrong by a pixel and a half of 128
    plane: Plane = ((1.0, 0.0), (0.0, 1.0))  # from lengths in the picture to those on the table that it shows aslant
    min_width: int = 48  # pixels, below which its things cannot be told

    def progress(self, picture: np.ndarray) -> float | None:
        """How far the task has come in a picture (height, width, 3) uint8; see `measure`."""
        return measure(self, picture)


def measure(sight: Sight, picture: np.ndarray) -> float | None:
    """Progress in a picture (height, width, 3) uint8: the sum of the terms; None where a thing is not to be seen.

    Raises:
        UserError: the picture is too small.
    """
    if picture.shape[1] < sight.min_width:
        raise UserError(
            f"vision of {sight.name} wants pictures of {sight.min_width} pixels or more, came {picture.shape[1]}"
        )
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    found = {name: find(thing, hsv, sight.plane) for name, thing in sight.things.items()}
    for name, thing in sight.things.items():
        if found[name] is None and thing.hidden_by:
            found[name] = found[thing.hidden_by]
    total = 0.0
    for term in sight.terms:
        seen = [found[name] for name in term.things]
        points = [one for one in seen if one is not None]
        if len(points) < len(seen):
            return None
        share = (MEASURES[term.measure](points, term) - term.start) / (term.end - term.start)
        share = float(np.clip(share, 0.0, 1.0))
        total += term.weight * max(0.0, share - term.floor) / (1.0 - term.floor)
    return total


def find(thing: Thing, hsv: np.ndarray, plane: Plane = ((1.0, 0.0), (0.0, 1.0))) -> Points | None:
    """The pixels (n, 2) of a thing, where they lie in the plane; None where it is not to be seen."""
    mask = _mask(thing, hsv)
    count, regions, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    pixels = hsv.shape[0] * hsv.shape[1]
    kept = [region for region in range(1, count) if _counts(thing, stats[region], pixels, hsv)]
    if thing.largest and kept:
        kept = [max(kept, key=lambda region: int(stats[region, cv2.CC_STAT_AREA]))]
    if not kept:
        return None
    rows, columns = np.nonzero(np.isin(regions, kept))
    return np.asarray(np.stack([columns + 0.5, rows + 0.5], axis=1) / hsv.shape[1] @ np.array(plane).T)


def _mask(thing: Thing, hsv: np.ndarray) -> np.ndarray:
    """(height, width) uint8: the pixels that have the colour."""
    begin, end = thing.hue
    hues = [(begin, end)] if begin <= end else [(begin, 180), (0, end)]
    parts = [
        cv2.inRange(
            hsv,
            np.array((hue[0], thing.saturation[0], thing.value[0])),
            np.array((hue[1], thing.saturation[1], thing.value[1])),
        )
        for hue in hues
    ]
    return np.asarray(np.maximum.reduce(parts))


def _counts(thing: Thing, stats: np.ndarray, pixels: int, hsv: np.ndarray) -> bool:
    left, top, width, height, area = (int(number) for number in stats[:5])
    middle = ((left + width / 2) / hsv.shape[1], (top + height / 2) / hsv.shape[0])
    if not all(low <= at <= high for low, at, high in zip(thing.within[:2], middle, thing.within[2:], strict=True)):
        return False
    if not thing.area[0] <= area / pixels <= thing.area[1]:
        return False
    if max(width, height) > thing.round * min(width, height) + 1:
        return False
    box = hsv[top : top + height, left : left + width, 2]
    return not thing.spotted or bool((box < _DARK).any())


def extent(points: list[Points], term: Term) -> float:
    """The length of a thing along the direction."""
    along = points[0] @ np.array(term.direction)
    return float(along.max() - along.min())


def end(points: list[Points], term: Term) -> float:
    """Where the end of a thing is along the direction."""
    return float(np.quantile(points[0] @ np.array(term.direction), 0.99))


def reach(points: list[Points], term: Term) -> float:
    """How far the first thing's middle is from the end of the second along the direction, the offset added."""
    along = points[1] @ np.array(term.direction)
    end = points[1][along >= np.quantile(along, 0.97)].mean(axis=0) + np.array(term.offset)
    return float(np.linalg.norm(points[0].mean(axis=0) - end))


def apart(points: list[Points], term: Term) -> float:
    """How far the middles of two things are from each other, the offset added to the second."""
    return float(np.linalg.norm(points[0].mean(axis=0) - points[1].mean(axis=0) - np.array(term.offset)))


def bend(points: list[Points], term: Term) -> float:
    """The largest distance of a thing from the line through the middles of two others."""
    begin, end = points[1].mean(axis=0), points[2].mean(axis=0)
    line = (end - begin) / max(float(np.linalg.norm(end - begin)), 1e-6)
    beside = (points[0] - begin) @ np.array([-line[1], line[0]])
    return float(np.abs(beside).max())


def lean(points: list[Points], term: Term) -> float:
    """The angle [rad] between a thing's long axis and the vertical, 0 to pi / 2."""
    centred = points[0] - points[0].mean(axis=0)
    axis = np.linalg.svd(centred, full_matrices=False)[2][0]
    return float(np.arctan2(abs(axis[0]), abs(axis[1])))


MEASURES: dict[str, Callable[[list[Points], Term], float]] = {
    "extent": extent,
    "end": end,
    "reach": reach,
    "apart": apart,
    "bend": bend,
    "lean": lean,
}

_FINGER = Thing((85, 95), (120, 255), (60, 255))  # Meta-World's gripper: the finger that is cyan
_DRAWER = Thing((52, 70), (60, 150), (60, 255), area=(0.005, 1.0), largest=True)
_BALL = Thing(
    (0, 180),
    (0, 70),
    (150, 255),
    area=(0.0003, 0.002),
    round=1.5,
    spotted=True,
    largest=True,
    within=(0.2, 0.48, 0.9, 0.95),  # on the table
    hidden_by="finger",
)

SIGHTS: dict[tuple[str, str], Sight] = {
    # Offsets lead from the middle of the drawer's front to behind its white handle, where a finger hooks it.
    ("metaworld/drawer-open", "corner"): Sight(
        "drawer-open/corner",
        {"finger": _FINGER, "drawer": _DRAWER},
        (
            Term("extent", ("drawer",), start=0.25, end=0.38, direction=(-0.87, 0.5), floor=0.2),
            Term("reach", ("finger", "drawer"), start=0.4, end=0.0, direction=(-0.87, 0.5), offset=(-0.033, -0.021)),
        ),
        noise=0.1,
    ),
    ("metaworld/drawer-open", "side"): Sight(
        "drawer-open/side",
        {"finger": _FINGER, "drawer": _DRAWER},
        (
            Term("end", ("drawer",), start=-0.636, end=-0.43, weight=2.0, direction=(-1.0, 0.0), floor=0.06),
            Term("reach", ("finger", "drawer"), start=0.4, end=0.0, direction=(-1.0, 0.0), offset=(-0.045, 0.021)),
        ),
        noise=0.1,
    ),
    ("metaworld/soccer", "corner"): Sight(
        "soccer/corner",
        {
            "finger": _FINGER,
            "ball": _BALL,
            "net": Thing((97, 107), (140, 255), (70, 200)),
            "mark": Thing((55, 65), (200, 255), (120, 255), hidden_by="net"),
        },
        (
            Term("apart", ("ball", "mark"), start=0.16, end=0.06),
            Term("apart", ("finger", "ball"), start=0.4, end=0.05, weight=0.5),
        ),
        noise=0.3,
        min_width=112,
        plane=((0.64, 1.75), (0.92, -1.08)),  # the table in metres, at the height of the ball
    ),
    ("metaworld/soccer", "side"): Sight(
        "soccer/side",
        {
            "finger": _FINGER,
            "ball": replace(_BALL, within=(0.3, 0.35, 0.75, 0.9)),
            "net": Thing((97, 107), (140, 255), (50, 200)),
            "mark": Thing((55, 65), (200, 255), (90, 255), hidden_by="net"),
        },
        (
            Term("apart", ("ball", "mark"), start=0.16, end=0.06),
            Term("apart", ("finger", "ball"), start=0.4, end=0.05, weight=0.5),
        ),
        noise=0.3,
        min_width=112,
        plane=((0.06, 2.76), (1.06, -0.07)),  # the table in metres, at the height of the ball
    ),
    ("mujoco/cart-pole", "side"): Sight(
        "cart-pole/side",
        {"pole": Thing((80, 100), (120, 255), (40, 160))},
        (Term("lean", ("pole",), start=0.8, end=0.0),),
        noise=0.06,
    ),
    **{
        ("soft/straighten-rope", camera): Sight(
            f"straighten-rope/{camera}",
            {
                "rope": Thing((12, 32), (110, 255), (120, 255)),
                "left": Thing((0, 8), (150, 255), (100, 255)),
                "right": Thing((108, 125), (140, 255), (100, 255)),
            },
            (
                Term("apart", ("left", "right"), start=0.0, end=0.66),
                Term("bend", ("rope", "left", "right"), start=0.3, end=0.01),
            ),
            noise=0.08,
            plane=((1.0, 0.0), (0.0, upright)),
        )
        for camera, upright in (("front", 1.22), ("top", 1.0))  # 1 / sin of the angle at which the camera looks down
    },
}
