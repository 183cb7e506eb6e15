"""A governor and the reference that it moves, measured as the arm's controller measures it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hardware.governor import Governor
from hardware.kinematics import Kinematics
from hardware.limits import Box, Envelope
from hardware.workspace import Workspace
from robot_learn.franka import ArmParameters

READY = np.array((0.0, -0.1848, 0.0, -2.4967, 0.0, 2.3119, 0.7854))
ROUNDING = 1e-6


def envelope(**changes: Any) -> Envelope:
    return Envelope(**{"workspace": (Box((-0.4, -0.5, 0.0), (0.75, 0.5, 1.2)),), **changes})


@dataclass
class Drive:
    """A governor and the reference that it moves, with the worst of everything so far, as shares of what is allowed."""

    governor: Governor
    q: np.ndarray
    ahead: bool = False  # most of each step is thought out before it, of a reference that is told in short floats
    worst: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(0)
        self._kinematics, self._walls = Kinematics(), Workspace(self.governor.envelope)
        self._dq, self._ddq = np.zeros(7), np.zeros(7)
        self._kinematics.place(self.q)
        self._points = self._kinematics.points.copy()
        self.clearance = self._walls.nearest(self._points)

    def step(self, wanted: np.ndarray, measured: np.ndarray | None = None) -> list[str]:
        measured = self.q if measured is None else measured
        if self.ahead:
            off = self.q + 1.9e-6 * self._rng.choice([-1.0, 0.0, 1.0], 7)
            kept = self.governor.keep(self.governor.look(off, measured))
            target, limited = self.governor.preview(kept, wanted)
            self.governor.look(self.q + 0.3, self.q)  # what was kept outlasts another look
            here = self.governor.again(kept, self.q, measured)
            assert here is not None
            sent, limited = self.governor.toward(here, target, limited)
        else:
            sent, limited = self.governor.step(self.governor.look(self.q, measured), wanted)
        self.send(sent)
        return limited

    def brake(self) -> None:
        self.send(self.governor.brake())

    def send(self, dq: np.ndarray) -> None:
        """Move the reference, and measure by backward Euler."""
        known, allowed, dt = self.governor.parameters, self.governor.envelope, self.governor.tick
        ddq = (dq - self._dq) / dt
        jerk = (ddq - self._ddq) / dt
        self.q = self.q + dt * dq
        self._dq, self._ddq = dq, ddq
        low, high = known.velocity_bounds(self.q)
        self._note("velocity", np.abs(dq) / (allowed.velocity_share * known.velocity))
        self._note("published velocity", np.where(dq > 0, dq / (high + 1e-12), dq / (low - 1e-12)))
        self._note("acceleration", np.abs(ddq) / (allowed.acceleration_share * known.acceleration))
        self._note("jerk", np.abs(jerk) / (allowed.jerk_share * known.jerk))
        self._kinematics.place(self.q)
        points = self._kinematics.points.copy()
        self._note("hand speed", np.linalg.norm(points - self._points, axis=1) / dt / allowed.hand_speed)
        self._points = points
        self.clearance = min(self.clearance, self._walls.nearest(points))

    def _note(self, name: str, shares: np.ndarray) -> None:
        self.worst[name] = max(self.worst.get(name, 0.0), float(shares.max()))

    def check(self) -> None:
        """All limits were kept."""
        assert all(share <= 1 + ROUNDING for share in self.worst.values()), self.worst
        margin, known = self.governor.envelope.joint_margin, self.governor.parameters
        assert (self.q >= known.lower + margin).all()
        assert (self.q <= known.upper - margin).all()
        assert self.clearance >= 0.0


def postures_inside(known: ArmParameters, allowed: Envelope, rng: np.random.Generator) -> Iterator[np.ndarray]:
    kinematics, walls = Kinematics(), Workspace(allowed)
    while True:
        q = rng.uniform(known.lower + allowed.joint_margin + 0.01, known.upper - allowed.joint_margin - 0.01)
        kinematics.place(q)
        if walls.nearest(kinematics.points) > 0.002:
            yield q
