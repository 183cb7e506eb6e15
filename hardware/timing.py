"""How long the guard takes: what `robot-learn bench arm` reports and a test holds to its limit.

Timed is what stands between a state of the arm and the answer to it: the guard's tick. A command is taken up, and the
next tick thought ahead, after an answer, while the arm waits for nothing (`hardware.loop`); that is not timed.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Literal

import numpy as np

from hardware.arm import Command, Mode, Observation
from hardware.guard import Guard
from hardware.limits import Envelope
from robot_learn.franka import FR3

Place = Literal["open", "table"]  # the hand in the air, or sliding along the lowest wall of its workspace
_POSTURES = {
    "open": (0.0, -0.1848, 0.0, -2.4967, 0.0, 2.3119, 0.7854),
    "table": (0.0, 0.35, 0.0, -2.5, 0.0, 2.85, 0.7854),
}
PERIOD = 40  # ticks between two commands


def tick_times(
    rng: np.random.Generator,
    ticks: int = 5000,
    *,
    mode: Mode = "joint_velocity",
    place: Place = "open",
    clock: Callable[[], float] = time.perf_counter,
) -> np.ndarray:
    """Times (ticks,) [s] that the guard took on an FR3 that follows its reference, under random commands at 25 Hz.

    Args:
        mode: "joint_velocity" or "twist".
        clock: `time.perf_counter`, or `time.thread_time` to leave out what others on the machine do meanwhile.
    """
    guard = Guard(FR3, Envelope())
    q = np.array(_POSTURES[place])
    guard.start(_at(q, 0), 0.0)
    taken = np.zeros(ticks)
    gc.disable()  # as the loop does
    for tick in range(ticks):
        seen, now = _at(q, tick + 1), 0.001 * (tick + 1)
        begun = clock()
        sent, _ = guard.tick(seen, now)
        taken[tick] = clock() - begun
        if tick % PERIOD == 0:
            guard.accept(Command(mode, _values(rng, mode, place), now), seen, now)
        guard.think_ahead(seen)
        q = q + 0.001 * sent
    gc.enable()
    return taken


def noise(ticks: int = 5000, *, clock: Callable[[], float] = time.perf_counter) -> np.ndarray:
    """Times (ticks,) [s] that one and the same piece of work took, about as long as a tick: what the machine adds."""
    taken, numbers = np.zeros(ticks), list(range(1000))
    for tick in range(ticks):
        begun = clock()
        sum([number * number for number in numbers])
        taken[tick] = clock() - begun
    return taken


def _at(q: np.ndarray, tick: int) -> Observation:
    zeros, time = np.zeros(7), 0.001 * tick
    return Observation(tick, time, time, q, zeros, q, zeros, zeros, np.zeros(6), np.eye(4), "moving")


def _values(rng: np.random.Generator, mode: Mode, place: Place) -> np.ndarray:
    if mode == "joint_velocity":
        return rng.normal(scale=0.4, size=7)
    twist = np.concatenate([rng.uniform(-0.25, 0.25, 3), rng.normal(scale=0.3, size=3)])
    if place == "table":
        twist[2] = -0.2
    return twist
