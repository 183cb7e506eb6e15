"""Lengths in metres between coloured things that several cameras see at once.

Where a thing's middle and its edges are in each picture goes through a polynomial of second degree, which takes up
perspective and, as far as it can, what hides what. Its coefficients are calibrated like a pair of cameras: fitted to
moments whose lengths are known (`robot-learn calibrate`). They come along, one file a task under calibrations/; the
gauge itself sees pictures and nothing else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from rewards.preference.sights import SIGHTS, Sight, find
from robot_learn.errors import UserError

CALIBRATIONS = Path(__file__).parent / "calibrations"
EDGES = (0.05, 0.95)  # quantiles of a thing's pixels to the right and down that count as its edges
RIDGE = 1e-7  # for each moment; positions are shares of a picture, so it only settles what nothing else does


@dataclass(frozen=True)
class Length:
    """A length, or a distance in space, brought to 0 where it is `start` [m] and to `weight` where it is `end` [m]."""

    fields: tuple[str, ...]  # of the scene: one that is a length, or two positions and the way from one to the other
    start: float
    end: float
    weight: float = 1.0
    floor: float = 0.0  # [m] that count as none: errors of measurement
    counts: tuple[float, ...] = (1.0, 1.0, 1.0)  # how much each direction of a way counts


@dataclass(frozen=True)
class Calibration:
    """What makes metres of positions in pictures."""

    middle: np.ndarray  # (F,) of the positions
    coefficients: np.ndarray  # (1 + F + F (F + 1) / 2, Q)
    residual: np.ndarray  # (Q,) [m] root mean square on moments that were not fitted to
    moments: int

    def lengths(self, positions: np.ndarray) -> np.ndarray:
        """(..., Q) [m] from positions (..., F)."""
        return np.asarray(_polynomial(positions - self.middle) @ self.coefficients)

    def to_json(self) -> str:
        fields = {"middle": self.middle, "coefficients": self.coefficients, "residual": self.residual}
        rounded = {name: np.vectorize(lambda x: float(f"{x:.7g}"))(value).tolist() for name, value in fields.items()}
        return json.dumps({"moments": self.moments, **rounded}, indent=None) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        stored = json.loads(text)
        arrays = {name: np.asarray(stored[name]) for name in ("middle", "coefficients", "residual")}
        return cls(**arrays, moments=stored["moments"])


def fit(positions: np.ndarray, lengths: np.ndarray) -> Calibration:
    """A calibration from positions (n, F) and lengths (n, Q) [m] of moments: a fifth measures, the rest is fitted to.

    Raises:
        UserError: there are fewer moments than coefficients.
    """
    middle = positions.mean(axis=0)
    terms = _polynomial(positions - middle)
    fitted = np.arange(len(terms)) % 5 != 0
    if fitted.sum() < terms.shape[1]:
        raise UserError(f"calibration: wanted {terms.shape[1] * 5 // 4 + 1} moments or more, came {len(terms)}")
    used = terms[fitted]
    ridge = RIDGE * len(used) * np.eye(terms.shape[1])
    coefficients = np.linalg.solve(used.T @ used + ridge, used.T @ lengths[fitted])
    error = terms[~fitted] @ coefficients - lengths[~fitted]
    return Calibration(middle, coefficients, np.sqrt(np.square(error).mean(axis=0)), len(terms))


def _polynomial(x: np.ndarray) -> np.ndarray:
    """(..., 1 + F + F (F + 1) / 2) all products of up to two of (..., F)."""
    rows, columns = np.triu_indices(x.shape[-1])
    return np.concatenate([np.ones((*x.shape[:-1], 1)), x, x[..., rows] * x[..., columns]], axis=-1)


@dataclass(frozen=True)
class Stereo:
    """Progress from lengths in space, seen by several cameras whose pictures lie beside each other; a `Gauge`."""

    task: str
    cameras: tuple[str, ...]
    lengths: tuple[Length, ...]

    @property
    def name(self) -> str:
        return f"{self.task.partition('/')[2]}/{'+'.join(self.cameras)}, calibrated"

    @property
    def sights(self) -> tuple[Sight, ...]:
        return tuple(SIGHTS[self.task, camera] for camera in self.cameras)

    @property
    def file(self) -> Path:
        """Where its calibration lies."""
        return CALIBRATIONS / f"{self.task.replace('/', '-')}-{'-'.join(self.cameras)}.json"

    @cached_property
    def calibration(self) -> Calibration:
        """Raises:
        UserError: it was never calibrated.
        """
        if not self.file.exists():
            raise UserError(
                f"cameras {'+'.join(self.cameras)} of {self.task} are not calibrated: robot-learn calibrate"
            )
        return Calibration.from_json(self.file.read_text(encoding="utf-8"))

    @cached_property
    def noise(self) -> float:
        """Deviation of the difference of two measurements, from the residual of the calibration."""
        parts = np.split(self.calibration.residual, self._ends)
        variances = [
            (length.weight / (length.end - length.start)) ** 2 * np.square(part).mean()
            for length, part in zip(self.lengths, parts, strict=True)
        ]
        return float(np.sqrt(2 * sum(variances)))

    @property
    def _ends(self) -> list[int]:
        """Where the columns of one length end and the next one's begin: one of a length, three of a way."""
        return [int(end) for end in np.cumsum([1 if len(length.fields) == 1 else 3 for length in self.lengths])[:-1]]

    def positions(self, picture: np.ndarray) -> np.ndarray | None:
        """(F,) where things are in the views in a picture (height, views * width, 3) uint8; None where one is not seen.

        Raises:
            UserError: the picture is not as wide as its views together.
        """
        count = len(self.cameras)
        if picture.shape[1] % count:
            raise UserError(f"vision: wanted {count} views beside each other, came {picture.shape[1]} pixels")
        found: list[np.ndarray] = []
        for sight, part in zip(self.sights, np.split(picture, count, axis=1), strict=True):
            hsv = cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2HSV)
            for thing in sight.things.values():
                pixels = find(thing, hsv)
                if pixels is None:
                    return None
                found += [pixels.mean(axis=0), *np.quantile(pixels, EDGES, axis=0)]
        return np.concatenate(found)

    def progress(self, picture: np.ndarray) -> float | None:
        """The sum of the lengths' shares in a picture (height, views * width, 3) uint8; None where it misses one."""
        positions = self.positions(picture)
        if positions is None:
            return None
        measured = np.split(self.calibration.lengths(positions), self._ends)
        return sum(_share(length, part) for length, part in zip(self.lengths, measured, strict=True))


def _share(length: Length, measured: np.ndarray) -> float:
    size = float(np.linalg.norm(measured * length.counts)) if len(length.fields) > 1 else float(measured[0])
    way = size - length.start if length.end > length.start else length.start - size
    done = max(0.0, way - length.floor)
    return length.weight * min(1.0, done / (abs(length.end - length.start) - length.floor))


STEREO: dict[tuple[str, str], Stereo] = {
    (stereo.task, "+".join(stereo.cameras)): stereo
    for stereo in (
        Stereo(
            "metaworld/drawer-open",
            ("side", "corner"),
            (
                Length(("drawer.opening",), start=0.0, end=0.2, weight=2.0, floor=0.012),
                # Height counts less: a hand that is lined up with the handle only has to come down on it.
                Length(("robot.hand_position", "drawer.handle_position"), start=0.5, end=0.0, counts=(1.0, 1.0, 1 / 3)),
            ),
        ),
    )
}
