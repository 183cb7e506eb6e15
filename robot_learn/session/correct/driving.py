"""A session of corrections by the clock: control steps when they are due, plans under numbers, halts for a reason."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from controllers.mpc import Plan
from robot_learn.alignment.events import OUTCOMES
from robot_learn.alignment.session import Session
from robot_learn.errors import UserError

REMEMBERED = 64  # plans that something can still be said about
LINGER = 0.9  # [s] at the end of an episode, before the next one begins
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0)


class Driving:
    """Drives a session; at first the robot stands and waits."""

    def __init__(self, session: Session, why: str = "ready") -> None:
        self.session = session
        self.speed = 1.0
        self.ended = ""  # how the episode ended, until the next one begins
        self.why = ""  # it stands
        # Of the plan; no number of a server that was killed comes again, for pages may still send what is about it.
        self.number = int(time.time()) * 1000
        self._plan: Plan | None = None
        self._plans: deque[tuple[int, Plan]] = deque(maxlen=REMEMBERED)
        self._began = self._due = 0.0
        self.renumber()
        self.halt(why)

    @property
    def moves(self) -> bool:
        return self.session.phase == "running"

    def halt(self, why: str) -> None:
        self.session.pause(True)
        self.why = why

    def go(self) -> None:
        self.session.pause(False)
        self.why, self._due, self._began = "", time.monotonic(), time.monotonic()

    def faster(self, by: int) -> None:
        place = SPEEDS.index(self.speed) + int(np.sign(by))
        self.speed = SPEEDS[min(max(place, 0), len(SPEEDS) - 1)]

    def is_due(self, now: float) -> bool:
        return self.moves and now >= self._due

    def advance(self, now: float) -> None:
        """A control step, and the plan after it; after an episode a rest."""
        self.ended = ""
        with self._noting():
            self.session.step()
        self.renumber()
        self._began = now
        self._due = max(self._due + self._period, now) + (LINGER / max(1.0, self.speed) if self.ended else 0.0)

    def share(self, now: float) -> float:
        """How far the robot is on its way to the next step, from 0 to 1."""
        if not self.moves or self.ended:
            return 0.0
        return min(max((now - self._began) / self._period, 0.0), 1.0)

    def seen(self, number: int | None) -> Plan:
        """The plan that somebody says something about; the newest where they do not say which.

        Raises:
            UserError: it is long gone.
        """
        found = next((plan for known, plan in self._plans if known == (number or self.number)), None)
        if found is None:
            raise UserError("that was said about a plan that is long gone: nothing was learned from it")
        return found

    @contextmanager
    def anew(self) -> Iterator[None]:
        """What is learned in here is minded at once: in a pause a session makes its plan anew."""
        paused = self.session.paused
        self.session.pause(True)
        try:
            with self._noting():
                yield
        finally:
            self.session.pause(paused)
            self.renumber()

    def renumber(self) -> None:
        """The plan now, made if need be, under a number of its own."""
        plan = self.session.plan
        if plan is not self._plan:
            self.number, self._plan = self.number + 1, plan
            self._plans.append((self.number, plan))

    @property
    def _period(self) -> float:
        return self.session.game.system.control_dt / self.speed

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Whether the episode or the session ends in here."""
        before = len(self.session.episodes)
        yield
        if len(self.session.episodes) > before:
            last = self.session.episodes[-1]
            ends = ((last.stopped, "stopped"), (last.passed, "passed"), (last.reached, "reached, but not as wanted"))
            self.ended = next((text for holds, text in ends if holds), "out of time")
        if self.session.outcome:
            self.halt(OUTCOMES[self.session.outcome])
