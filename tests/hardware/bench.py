"""A guard, and an arm that does what it is sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hardware.arm import Command, Observation
from hardware.guard import Guard
from hardware.limits import Envelope
from robot_learn.franka import FR3
from tests.hardware.drive import READY

UP = np.array([0.2, 0.0, 0.0, 0.1, 0.0, 0.0, 0.3])  # [rad/s]


class Bench:
    """A guard, and an arm that does what it is sent; the host's clock is `now`."""

    def __init__(self, envelope: Envelope | None = None, **settings: Any) -> None:
        self.guard = Guard(FR3, envelope or Envelope(), **settings)
        self.q, self.now, self.number = READY.copy(), 100.0, 0
        self.state, self.changes = "moving", dict[str, Any]()
        self.limited: tuple[str, ...] = ()

    def look(self) -> Observation:
        zeros = np.zeros(7)
        plain = Observation(
            self.number, self.number * 0.001, self.now, self.q, zeros, self.q, zeros, zeros, np.zeros(6), np.eye(4),
            self.state,  # type: ignore[arg-type]
        )  # fmt: skip
        return replace(plain, **self.changes)

    def start(self) -> Bench:
        self.guard.start(self.look(), self.now)
        return self

    def accept(self, mode: str, values: Any, made: float | None = None, **more: Any) -> str:
        made = self.now if made is None else made
        return self.guard.accept(Command(mode, np.asarray(values), made, **more), self.look(), self.now)  # type: ignore[arg-type]

    def tick(self, ticks: int = 1, clock: float = 0.001) -> np.ndarray:
        for _ in range(ticks):
            self.number += 1
            self.now += clock
            dq, self.limited = self.guard.tick(self.look(), self.now)
            self.q = self.q + 0.001 * dq
        return dq


def moving(**settings: Any) -> Bench:
    """At full speed under a fresh command."""
    bench = Bench(**settings).start()
    for _ in range(8):
        assert bench.accept("joint_velocity", UP) == ""
        bench.tick(25)
    assert bench.accept("joint_velocity", UP) == ""
    return bench
