"""The teacher that needs neither weights nor a network: it finds coloured things in pictures and measures how far the
task has come. It sees pictures and nothing else.

What is measured, and in what colours, is data (`rewards.preference.sights`); where nobody has written that down, a
picture of the goal serves (`rewards.preference.goals`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import erf
from typing import Protocol

import numpy as np

from rewards.lettering import png
from rewards.models.messages import image_hash
from rewards.preference.query import Answer, Query
from rewards.preference.sights import SIGHTS, Sight
from rewards.preference.stereo import STEREO
from robot_learn.errors import UserError, unknown


class Gauge(Protocol):
    """What measures progress in a picture."""

    @property
    def name(self) -> str: ...

    @property
    def noise(self) -> float:
        """Deviation of the difference of two measurements of the same progress."""
        ...

    def progress(self, picture: np.ndarray, /) -> float | None:
        """How far the task has come in a picture (height, width, 3) uint8; None where that is not to be seen."""
        ...


@dataclass(frozen=True, eq=False)
class Vision:
    """Prefers the segment whose last picture shows more progress; abstains where it does not find what it measures.

    The confidence is the probability that a difference of this size is no error of measurement, were the errors normal
    with the gauge's deviation; below `tie` times that deviation it says that they are equal.
    """

    gauge: Gauge
    tie: float = 0.1

    @property
    def name(self) -> str:
        return f"vision:{self.gauge.name}"

    @property
    def batch(self) -> int:
        return 1

    def answers(self, queries: Sequence[Query]) -> Iterator[Answer]:
        """One answer a query.

        Raises:
            UserError: a query has no pictures, or they are too small.
        """
        for query in queries:
            if query.pictures is None:
                raise UserError("vision wants pictures, and these segments have none: collect with --images")
            first, second = (segment[-1] for segment in query.pictures)
            label, confidence = self.compare(self.gauge.progress(first), self.gauge.progress(second))
            yield Answer(label, confidence, images=(image_hash(png(first, 1)), image_hash(png(second, 1))))

    def compare(self, first: float | None, second: float | None) -> tuple[float | None, float]:
        """Label and confidence from the progress of both."""
        if first is None or second is None:
            return None, 0.0
        difference = second - first
        confidence = erf(abs(difference) / (self.gauge.noise * 2**0.5))
        if abs(difference) < self.tie * self.gauge.noise:
            return 0.5, 1.0 - confidence
        return float(difference > 0), confidence


@dataclass(frozen=True)
class Views:
    """Several views of one moment, pictures beside each other: depth, which one camera does not see, another does."""

    sights: tuple[Sight, ...]

    @property
    def name(self) -> str:
        return "+".join(sight.name for sight in self.sights)

    @property
    def noise(self) -> float:
        return float(np.sqrt(sum(sight.noise**2 for sight in self.sights))) / len(self.sights)

    def progress(self, picture: np.ndarray) -> float | None:
        """The mean over the views in a picture (height, views * width, 3) uint8; None where one of them sees nothing.

        Raises:
            UserError: the picture is not as wide as its views together.
        """
        count = len(self.sights)
        if picture.shape[1] % count:
            raise UserError(f"vision: wanted {count} views beside each other, came {picture.shape[1]} pixels")
        parts = np.split(picture, count, axis=1)
        seen = [sight.progress(part) for sight, part in zip(self.sights, parts, strict=True)]
        known = [one for one in seen if one is not None]
        return float(np.mean(known)) if len(known) == len(seen) else None


def of_task(task: str, camera: str | None = None) -> Vision:
    """The teacher for a task, seen from a camera, or from several ("side+corner") whose pictures lie beside each other.

    By default the camera is one that something is written down for. Several that were calibrated together measure in
    space; else the mean over the views counts.

    Raises:
        UserError: nobody has written down what is to be measured there.
    """
    cameras = [seen for known, seen in SIGHTS if known == task]
    if not cameras:
        raise UserError(f"{unknown('sight for vision', task, {known for known, _ in SIGHTS})}; or show a goal picture")
    views = (camera or cameras[0]).split("+")
    for view in views:
        if view not in cameras:
            raise unknown(f"camera with a sight of {task}", view, cameras)
    if (task, camera) in STEREO:
        return Vision(STEREO[task, camera or ""])
    sights = tuple(SIGHTS[task, view] for view in views)
    return Vision(sights[0] if len(sights) == 1 else Views(sights))
