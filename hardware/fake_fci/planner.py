"""Joint targets that come at any rate, made into a motion within velocity, acceleration and jerk.

Two stages, tick by tick. First each joint goes to its target as fast as its velocity and acceleration allow,
time-optimal for a double integrator (sampled, so that it arrives exactly). Then the positions of the last n ticks are
averaged: that keeps both bounds, makes the jerk no more than 2 a / (n dt), and ends where the first stage ends.
"""

from __future__ import annotations

import numpy as np

DT = 0.001  # [s]


class Planner:
    """A motion towards targets that may change at any time.

    Args:
        q: (7,) [rad] at rest here.
        velocity, acceleration, jerk: (7,) largest, per joint.
    """

    def __init__(self, q: np.ndarray, velocity: np.ndarray, acceleration: np.ndarray, jerk: np.ndarray) -> None:
        self._velocity, self._acceleration = velocity, acceleration
        self._q, self._dq, self.target = q.copy(), np.zeros(7), q.copy()
        self._ticks = int(np.ceil(np.max(2 * acceleration / (jerk * DT))))
        self._last = np.tile(q, (self._ticks, 1))
        self._next = 0

    def stop(self) -> None:
        """From now on only brake."""
        step = self._acceleration * DT
        k = np.floor(np.abs(self._dq) / step)
        self.target = self._q + np.sign(self._dq) * DT * k * (np.abs(self._dq) - step * (k + 1) / 2)

    @property
    def at_rest(self) -> bool:
        return bool(not self._dq.any() and np.all(self._last == self._q))

    def step(self) -> np.ndarray:
        """The position (7,) [rad] one tick later."""
        self._dq = approach(self.target - self._q, self._dq, self._velocity, self._acceleration)
        arrived = np.abs(self.target - self._q - self._dq * DT) < 1e-15
        self._q = np.where(arrived, self.target, self._q + self._dq * DT)
        self._last[self._next] = self._q
        self._next = (self._next + 1) % self._ticks
        return np.asarray(self._q + (self._last - self._q).mean(axis=0))


def approach(left: np.ndarray, dq: np.ndarray, velocity: np.ndarray, acceleration: np.ndarray) -> np.ndarray:
    """The next velocity (7,) on the fastest way over what is left (7,) [rad] that still stops there.

    With v = k a dt and whole k, a joint that slows down by a dt each tick passes a dt^2 k (k + 1) / 2 before it stands;
    between whole k the largest velocity that can still stop is linear in what is left.
    """
    step = acceleration * DT
    room = np.abs(left) / (step * DT)
    k = np.floor((np.sqrt(1 + 8 * room) - 1) / 2)
    fastest = step * (k + (room - k * (k + 1) / 2) / (k + 1))
    wanted = np.sign(left) * np.minimum(fastest, velocity)
    return np.asarray(np.clip(wanted, dq - step, dq + step))
