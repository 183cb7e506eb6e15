"""What is known of the things around, from a camera: `poses(time)` by name, as a deployment asks for it at every step.

A new picture is looked at once, by one finder after the other, until each thing was found: tags first, colours for
what has none or hides it. What is not seen goes on as it went for a moment (`COAST`), stands still after that, loses
confidence, and is forgotten when its age says so: whoever asks then gets no pose, rather than an old one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hardware.vision import Camera, Finder, Seen, Sight
from hardware.vision.calibration import Calibration
from hardware.vision.smoothing import SMOOTHING, Followed, Smoothing

COAST = 0.15  # [s] that an unseen thing is taken to go on with its speed
HALF_LIFE = 0.2  # [s] in which the confidence in an unseen thing halves
LEAST = 0.2  # confidence of a sighting that counts; below, turns may be wrong altogether (docs/lab.md)


class CameraObjects:
    """A camera and what finds things in its pictures.

    Times are the camera's: give it the arm's clock where poses are asked for by that.
    """

    def __init__(
        self,
        camera: Camera,
        calibration: Calibration,
        finders: Sequence[Finder],
        smoothing: Smoothing = SMOOTHING,
    ) -> None:
        self.camera, self.calibration, self.smoothing = camera, calibration, smoothing
        self._finders = tuple(finders)
        self._followed: dict[str, tuple[Followed, Sight]] = {}
        self._last = -np.inf  # time of the newest picture that was looked at
        self.pictures = 0  # that were looked at
        self.sightings: dict[str, int] = {}  # that were believed, by name

    @property
    def names(self) -> tuple[str, ...]:
        """What is looked for."""
        return tuple(dict.fromkeys(name for finder in self._finders for name in finder.names))

    @property
    def rejected(self) -> int:
        """Sightings that could not be."""
        return sum(followed.rejected for followed, _ in self._followed.values())

    def poses(self, time: float) -> dict[str, Seen]:
        """What is known at a time [s], by name; looks at the camera's newest picture first.

        Raises:
            UserError: the camera's pictures are not of the size that it was calibrated at.
        """
        picture, taken = self.camera.read()
        if taken < self._last:  # the clock went back: another episode of a simulator
            self._followed.clear()
        if taken != self._last:
            self._last = taken
            self._look(picture, taken)
        known = {}
        for name, (followed, sight) in self._followed.items():
            age = max(0.0, time - followed.time)
            if age <= self.smoothing.forget:
                known[name] = self._seen(followed, sight, age)
        return known

    def forget(self) -> None:
        """What was seen is no more: another world stands there. The next picture counts as the first."""
        self._followed.clear()
        self._last = -np.inf

    def close(self) -> None:
        """Let the camera go."""
        self.camera.close()

    def __enter__(self) -> CameraObjects:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _look(self, picture: np.ndarray, taken: float) -> None:
        self.pictures += 1
        sights: dict[str, Sight] = {}
        for finder in self._finders:
            for name, sight in finder.find(picture).items():
                if sight.confidence >= LEAST:
                    sights.setdefault(name, sight)
        for name, sight in sights.items():
            self._take(name, sight, taken)

    def _take(self, name: str, sight: Sight, taken: float) -> None:
        T = self.calibration.T_base_camera @ sight.T_camera_object
        known = self._followed.get(name)
        if known is None or taken - known[0].time > self.smoothing.forget:
            followed, believed = Followed(T, taken, self.smoothing), True
        else:
            followed = known[0]
            believed = followed.see(T, taken, sight.turns)
        if believed:
            self._followed[name] = followed, sight
            self.sightings[name] = self.sightings.get(name, 0) + 1

    def _seen(self, followed: Followed, sight: Sight, age: float) -> Seen:
        going = age <= COAST
        T = followed.at(followed.time + min(age, COAST))
        velocity = followed.velocity.copy() if going else np.zeros(6)
        return Seen(T, sight.confidence * 0.5 ** (age / HALF_LIFE), age, velocity, sight.source)
