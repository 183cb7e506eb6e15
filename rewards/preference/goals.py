"""Progress by a picture of the goal, for tasks of which nobody has written down what shows it.

The person who gives the picture says what in it counts: where a thing of some colour is, what shape it has (wherever it
is and however it is turned: a straight rope, an open drawer), or the picture as a whole, which only serves where scenes
always begin alike and nothing else moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import cv2
import numpy as np

from rewards.lettering import png
from rewards.models.messages import image_hash
from rewards.preference.sights import Points, Thing, find
from robot_learn.errors import UserError, unknown

By = Literal["place", "shape", "picture"]

# Hues overlap a little: what is a yellow to one is an orange to another. Red lies on both ends of the circle.
COLOURS = {
    "red": (170, 8),
    "orange": (8, 26),
    "yellow": (18, 35),
    "green": (36, 84),
    "cyan": (80, 100),
    "blue": (98, 130),
    "purple": (128, 172),
}
_SATURATION, _VALUE = (80, 255), (50, 255)  # of a colour that is none of wood, sand or metal

_SIDE = 64  # pixels to which whole pictures are brought
_BLURS = (0.0, 2.0, 6.0, 16.0)  # [pixels] the widest feels a goal from afar, the narrowest tells the last bit


@dataclass(frozen=True, eq=False)
class Goal:
    """How near a picture comes to that of the goal."""

    picture: np.ndarray  # (height, width, 3) uint8
    by: By = "picture"
    colour: str = ""  # of the thing that counts; its largest region is it

    def __post_init__(self) -> None:
        if self.by not in ("place", "shape", "picture"):
            raise unknown("measure of a goal", self.by, ("place", "shape", "picture"))
        if (self.by == "picture") != (not self.colour):
            raise UserError(
                "a goal's picture counts either as a whole, or by the place or the shape of a coloured thing"
            )
        if self.colour and self.colour not in COLOURS:
            raise unknown("colour", self.colour, COLOURS)
        if self.colour and self._aim is None:
            raise UserError(f"the picture of the goal shows nothing that is {self.colour}")

    @property
    def name(self) -> str:
        thing = f",{self.by} of {self.colour}" if self.colour else ""
        return f"goal={image_hash(png(self.picture))[:12]}{thing}"

    @property
    def noise(self) -> float:
        """Half a grey level of a whole picture; else a pixel and a half of 128."""
        return 0.012 if self.colour else 0.002

    @cached_property
    def _aim(self) -> np.ndarray | None:
        return self._features(self.picture)

    def progress(self, picture: np.ndarray) -> float | None:
        """Minus the distance to the goal; None where the thing is not to be seen."""
        if not self.colour:
            return -likeness_distance(picture, self.picture)
        found, aim = self._features(picture), self._aim
        return None if found is None or aim is None else -float(np.linalg.norm(found - aim))

    def _features(self, picture: np.ndarray) -> np.ndarray | None:
        """(2,) where the thing is, or the deviations along its two axes, in shares of the width."""
        thing = Thing(COLOURS[self.colour], _SATURATION, _VALUE, area=(0.0002, 1.0), largest=True)
        points = find(thing, cv2.cvtColor(picture, cv2.COLOR_RGB2HSV))
        if points is None:
            return None
        return points.mean(axis=0) if self.by == "place" else axes(points)


def axes(points: Points) -> np.ndarray:
    """(2,) standard deviations of a thing's pixels across and along it; no move and no turn changes them."""
    spread = np.linalg.eigvalsh(np.atleast_2d(np.cov(points.T))) if len(points) > 1 else np.zeros(2)
    return np.asarray(np.sqrt(np.maximum(spread, 0.0)))


def likeness_distance(picture: np.ndarray, goal: np.ndarray) -> float:
    """How much a picture differs from that of the goal, 0 to 1: blurred by little and by much, so that a thing that is
    still far from its place counts less the nearer it comes.
    """
    first, second = (cv2.resize(one, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for one in (picture, goal))
    difference = first.astype(np.float32) - second.astype(np.float32)
    parts = [difference if blur == 0 else cv2.GaussianBlur(difference, (0, 0), blur) for blur in _BLURS]
    return float(np.mean([np.abs(part).mean() for part in parts]) / 255.0)
