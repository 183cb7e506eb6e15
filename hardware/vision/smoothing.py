"""Sightings over time: smooth, with a stated delay, and without what cannot be.

Position and turn are each followed by a fading-memory filter (Morrison, "Introduction to Sequential Smoothing and
Prediction", 1969, chapter 9: least squares over a straight motion in which older sightings count less by
theta = exp(-dt / memory)): gains 1 - theta^2 for the place and (1 - theta)^2 / dt for the speed. It does not lag behind
a steady motion at all; behind one that speeds up by a it lags by a dt^2 theta^2 / (1 - theta)^2, about a memory^2. A
step is reached after one memory, overshot by 14 % after two, and followed to 5 % after 4.2 of them.

A sighting that lies further from where the thing should be than it can have moved is an outlier, until `PERSISTENT` in
a row agree with each other: then the thing was moved, and the filter begins anew there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hardware.vision.poses import difference, pose, turn
from robot_learn.errors import UserError

PERSISTENT = 3


@dataclass(frozen=True)
class Smoothing:
    """How much.

    Raises:
        UserError: a number is not above 0, or a memory is below 0.
    """

    memory: float = 0.1  # [s]; 0 takes each sighting as it is
    speed: float = 0.6  # [m/s] a thing is no faster than that
    turn_speed: float = 4.0  # [rad/s]
    slack: float = 0.02  # [m] that a sighting may be off besides
    turn_slack: float = 0.35  # [rad]
    forget: float = 1.0  # [s] without a sighting after which nothing is known of a thing

    def __post_init__(self) -> None:
        others = (self.speed, self.turn_speed, self.slack, self.turn_slack, self.forget)
        if not (self.memory >= 0 and all(number > 0 for number in others)):
            raise UserError(f"smoothing: wanted numbers above 0 and a memory from 0, came {self}")

    def gains(self, dt: float) -> tuple[float, float]:
        """Of place and speed for sightings dt [s] apart."""
        theta = float(np.exp(-dt / self.memory)) if self.memory > 0 else 0.0
        return 1 - theta**2, (1 - theta) ** 2

    def lag(self, dt: float, acceleration: float) -> float:
        """How far behind [m] the place is of a thing that speeds up steadily [m/s^2], seen every dt [s]."""
        theta = float(np.exp(-dt / self.memory)) if self.memory > 0 else 0.0
        return acceleration * dt**2 * theta**2 / (1 - theta) ** 2


SMOOTHING = Smoothing()


class Followed:
    """One thing, from its first sighting on."""

    def __init__(self, T: np.ndarray, time: float, smoothing: Smoothing = SMOOTHING) -> None:
        self.smoothing = smoothing
        self.rejected = 0  # sightings so far that could not be
        self._begin(T, time)

    def _begin(self, T: np.ndarray, time: float) -> None:
        self.T, self.time, self.velocity = T.copy(), time, np.zeros(6)
        self._strange: list[tuple[np.ndarray, float]] = []

    def at(self, time: float) -> np.ndarray:
        """T_base_object where it should be at a time [s], going on as it went."""
        return _moved(self.T, self.velocity, time - self.time)

    def see(self, T: np.ndarray, time: float, turns: int = 1) -> bool:
        """Take in a sighting T_base_object of a time [s] after the last; whether it was believed.

        Args:
            turns: so many turns about its z look the same; the one that fits what is known is taken.
        """
        dt = time - self.time
        if not dt > 0:
            return False
        expected = self.at(time)
        T = nearest(T, expected, turns)
        if not self._possible(expected, T, dt):
            return self._doubt(T, time)
        self._strange.clear()
        place, speed = self.smoothing.gains(dt)
        off = np.concatenate([T[:3, 3] - expected[:3, 3], turn(T[:3, :3] @ expected[:3, :3].T)])
        self.T, self.time = _moved(expected, off, place), time
        self.velocity = self.velocity + speed / dt * off
        return True

    def _possible(self, expected: np.ndarray, T: np.ndarray, dt: float) -> bool:
        place, angle = difference(expected, T)
        limits = self.smoothing
        return place <= limits.speed * dt + limits.slack and angle <= limits.turn_speed * dt + limits.turn_slack

    def _doubt(self, T: np.ndarray, time: float) -> bool:
        """An outlier, unless several in a row agree."""
        self.rejected += 1
        agree = self._strange and self._possible(self._strange[-1][0], T, time - self._strange[-1][1])
        self._strange = [*(self._strange if agree else []), (T, time)]
        if len(self._strange) < PERSISTENT:
            return False
        self._begin(T, time)
        return True


def nearest(T: np.ndarray, to: np.ndarray, turns: int) -> np.ndarray:
    """Of the `turns` poses that look like T the one whose orientation is nearest to another pose's."""
    spun: Sequence[np.ndarray] = [
        T @ pose(np.array([0.0, 0.0, 2 * np.pi * i / turns]), np.zeros(3)) for i in range(turns)
    ]
    return min(spun, key=lambda each: difference(each, to)[1])


def _moved(T: np.ndarray, velocity: np.ndarray, seconds: float) -> np.ndarray:
    """A pose after it went on with a velocity (6,) along the base's axes, about its own origin."""
    step = seconds * velocity
    return pose(pose(step[3:], np.zeros(3))[:3, :3] @ T[:3, :3], T[:3, 3] + step[:3])
