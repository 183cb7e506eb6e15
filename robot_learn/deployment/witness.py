"""What the fake controller itself sees of a stop: when it began, how long it may take, and when the arm stood.

A `Witness` is told of every millisecond by the controller (`FakeArm(on_tick=...)`), so that nothing that the stopped
side says is taken on trust. How long a stop may take is predicted from how fast the arm was when it began:

- What the controller ends (a reflex, a person's device, a client that is gone) brakes at 0.9 of the published
  acceleration, each joint by itself.
- What our guard ends, because its commander is gone, brakes at the envelope's share of it, all joints together, with
  the filter's ticks after that (`hardware.governor`).

The reference must stand by then; the joints, which follow it through springs, are allowed `SETTLING` more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hardware.fake_fci.control import Control
from hardware.limits import Envelope, window
from robot_learn.franka import ArmParameters

TICK = 0.001  # [s]
SETTLING = 0.12  # [s] after a blow they swing for a while
STILL = 0.02  # [rad/s] of a joint at rest, as deployment has it
BRAKING_SHARE = 0.9  # of the published acceleration, with which the controller brakes


@dataclass(frozen=True, eq=False)
class Look:
    """The arm after a millisecond."""

    tick: int
    moving: bool  # a client's motion is going on
    mode: str  # "move", "reflex", ...
    errors: tuple[str, ...]
    dq_reference: np.ndarray  # (7,) [rad/s] what the arm follows
    dq: np.ndarray  # (7,) [rad/s] measured


class Witness:
    """Keeps every millisecond from the first motion on. Written by the arm's thread, read by anyone."""

    def __init__(self) -> None:
        self.looks: list[Look] = []
        self.began = False

    def __call__(self, tick: int, control: Control) -> None:
        moving = control.motion is not None and control.motion.begun
        self.began = self.began or moving
        if self.began:
            reference, sensed = control.reference, control.physics.sensed
            self.looks.append(Look(tick, moving, control.mode, control.errors, reference.dq.copy(), sensed.dq.copy()))

    @property
    def seconds(self) -> float:
        """[s] that have passed since the first command."""
        return TICK * len(self.looks)

    @property
    def ended(self) -> bool:
        """A motion was there, is over, and nothing moves any more."""
        last = self.looks[-1] if self.looks else None
        return last is not None and not last.moving and not last.dq_reference.any() and fastest(last.dq) <= STILL

    def end(self) -> int | None:
        """Index of the first look after the motion."""
        return next((i for i, look in enumerate(self.looks) if not look.moving), None)

    def stood(self, since: int) -> int | None:
        """Index of the first look from `since` on after which the reference never moves again."""
        return self._after(since, [bool(look.dq_reference.any()) for look in self.looks])

    def rest(self, since: int) -> int | None:
        """The same of the measured joints."""
        return self._after(since, [fastest(look.dq) > STILL for look in self.looks])

    def _after(self, since: int, moves: list[bool]) -> int | None:
        last = max((i for i, so in enumerate(moves) if so), default=-1)
        first = max(since, last + 1)
        return first if first < len(moves) else None


def fastest(dq: np.ndarray) -> float:
    return float(np.abs(dq).max())


def braked_by_arm(look: Look, parameters: ArmParameters) -> float:
    """[s] that the controller takes to stop."""
    dq = np.maximum(np.abs(look.dq_reference), np.abs(look.dq))
    return float((dq / (BRAKING_SHARE * parameters.acceleration)).max()) + 2 * TICK


def braked_by_guard(look: Look, parameters: ArmParameters, envelope: Envelope) -> float:
    """[s] that our guard takes to stop, at most: what its filter still holds may be faster by its length."""
    held = window(envelope, parameters, TICK)
    slowing = np.abs(look.dq_reference) / (envelope.acceleration_share * parameters.acceleration)
    return float(slowing.max()) + (2 * held + 1) * TICK
