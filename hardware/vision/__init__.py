"""A camera's eye: where the things are that a task is about, from pictures, in the same way in simulation and in a lab.

Pictures come from a `Camera`, a `Calibration` says where it stands, tags or colours give poses, a filter makes them
smooth and throws out what cannot be, and `CameraObjects` gives what is known at a time, by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, eq=False)
class Sight:
    """One thing in one picture."""

    T_camera_object: np.ndarray  # (4, 4); the camera's x is right, y down, z into the picture
    confidence: float  # 0 to 1, a measure of the picture's quality and no probability
    source: str  # "tags", "colour"
    error: float  # [pixels] between what was seen and what a thing there would show, root mean square
    size: float  # [pixels] of a tag's shortest side, or of a blob's diameter
    turns: int = 1  # so many turns about its z look the same, and any of them may have been taken


@dataclass(frozen=True, eq=False)
class Seen:
    """One thing at a time."""

    T_base_object: np.ndarray  # (4, 4)
    confidence: float  # 0 to 1; it halves while the thing is not seen
    age: float  # [s] since the picture in which it was seen last
    velocity: np.ndarray  # (6,) [m/s, rad/s] along the base's axes
    source: str = ""


class Camera(Protocol):
    """A source of pictures. A context manager: leaving it lets the device go."""

    def read(self) -> tuple[np.ndarray, float]:
        """The newest picture, (height, width, 3) uint8 RGB, and when it was taken [s] by the camera's clock.

        Never waits for a new one: of a camera that died the same picture comes again, and grows old.
        """
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Camera: ...

    def __exit__(self, *raised: object) -> None: ...


class Finder(Protocol):
    """Finds things in a picture."""

    @property
    def names(self) -> tuple[str, ...]:
        """What it looks for."""
        ...

    def find(self, picture: np.ndarray) -> dict[str, Sight]:
        """What is seen in a picture (height, width, 3) uint8 RGB, by name."""
        ...
