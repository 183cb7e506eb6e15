"""An arm that a page watches: the same arm for whoever commands it, but it can be held, and it keeps to the clock.

A session on an arm (`robot_learn.deployment`) knows of no page. What a page adds happens where that session lets the
arm's time pass: a hold, in which the arm stands still and its clock with it; a stop; pictures of how it stands; and for
a simulated arm, which is as fast as this computer, the pace of a real one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from hardware.arm import Applied, Arm, ArmSpec, Command, Observation, Stop
from hardware.records import TICK
from robot_learn.deployment.outcome import StopError

SLICE = 0.01  # [s] in which a hold or a stop is noticed
_HELD_STEP = 0.02  # [s] between two commands to stand still
_PATIENCE = 0.25  # [s] that a late simulation makes good; what is more is given up


@dataclass
class Orders:
    """What the page wants; written by the thread that listens to it, read by the one that drives."""

    speed: float = 1.0
    held: bool = False
    stop: Stop | None = None  # until the motion that it ended has been accounted for
    closed: bool = False
    acts: deque[str] = field(default_factory=deque)  # "start", "go", "recover", ...: one after another
    halt: Callable[[Stop], None] | None = None  # stops the arm from any thread, where an arm bears that

    def hear(self, what: str, value: Any) -> None:
        """One message of the page's process."""
        if what == "speed":
            self.speed = min(1.0, max(0.05, float(value)))
        elif what == "held":
            self.held = bool(value)
        elif what == "stop":
            self.acts.clear()
            self.held, self.stop = False, "hard" if value == "hard" else "soft"
            if self.halt is not None:
                self.halt(self.stop)
        else:
            self.acts.append(what)

    def next(self) -> str:
        """What is to be done next; empty where there is nothing."""
        return self.acts.popleft() if self.acts else ""


class Attended:
    """An `Arm` around another one.

    Args:
        arm: which does everything.
        orders: of the page.
        show: is given every observation that is made while time passes; must return at once.
        paced: let no more time pass than on the host's clock.
        pressed: the dead-man switch; what was held goes on only while it is held.
        patient: wait in a hold for whoever let go of the switch. Only for arms that can hurt nobody; otherwise letting
            go ends the motion, as anywhere.
    """

    def __init__(
        self,
        arm: Arm,
        orders: Orders,
        show: Callable[[Observation], None],
        *,
        paced: bool,
        pressed: Callable[[], bool] = lambda: True,
        patient: bool = False,
    ) -> None:
        self._arm, self._orders, self._show, self._paced, self._pressed = arm, orders, show, paced, pressed
        self._patient = patient
        self._hidden = 0.0  # [s] of the arm's time that passed in holds
        self._moving = False  # from `start` to `stop`
        self._until = time.monotonic()  # when on the host's clock the simulated time is over that was let pass

    @property
    def spec(self) -> ArmSpec:
        return self._arm.spec

    def start(self) -> None:
        self._until = time.monotonic()
        self._arm.start()
        self._moving = True

    def observe(self) -> Observation:
        told = self._arm.observe()
        return replace(told, time=told.time - self._hidden) if self._hidden else told

    def command(self, command: Command) -> Applied:
        self._heed()
        return self._arm.command(command)

    def wait(self, seconds: float) -> None:
        """Let time pass, and as much more as the page holds the arm, which then does not count."""
        while seconds > 1e-9:
            part = min(SLICE, seconds)
            self._pass(part)
            seconds -= part
            self._heed()
        if self._moving and (self._orders.held or (self._patient and not self._pressed())):
            self._hold()

    def stop(self, kind: Stop = "soft") -> None:
        self._moving = False
        self._arm.stop("hard" if self._orders.stop == "hard" else kind)

    def recover(self, by_person: bool = False) -> None:
        self._arm.recover(by_person)

    def ticks(self) -> np.ndarray:
        """Those that the arm keeps (N,) of TICK; none where it keeps none."""
        ticks = getattr(self._arm, "ticks", None)
        return np.zeros(0, TICK) if ticks is None else np.asarray(ticks())

    def keep_last(self, path: Path | None) -> None:
        """As `hardware.process.ClientArm` has it, where the arm does."""
        keep = getattr(self._arm, "keep_last", None)
        if keep is not None:
            keep(path)

    def close(self) -> None:
        self._arm.close()

    def __enter__(self) -> Attended:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _pass(self, seconds: float) -> None:
        self._arm.wait(seconds)
        if self._paced:
            now = time.monotonic()
            self._until = max(self._until, now - _PATIENCE) + seconds
            time.sleep(max(0.0, self._until - now))
        self._show(self._arm.observe())

    def _hold(self) -> None:
        """Stand still until the page lets the arm go on, and somebody holds the switch."""
        begun, still = self._arm.observe().time, np.zeros(7)
        pressed = self._pressed()
        while self._orders.held or not pressed:
            self._heed()
            self._arm.command(Command("joint_velocity", still, self._arm.observe().received, source="hold"))
            self._pass(_HELD_STEP)
            pressed = self._pressed()
        self._heed()  # a stop ends a hold, too
        self._hidden += self._arm.observe().time - begun

    def _heed(self) -> None:
        """Raises StopError: the page wants an arm that moves to stop."""
        if not self._moving:
            return
        if self._orders.closed:
            raise StopError("interrupted", "the session was closed")
        if self._orders.stop is not None:
            raise StopError("person stopped", stopped(self._orders.stop))


def stopped(kind: Stop) -> str:
    """What a person did."""
    return f"{'stop' if kind == 'soft' else 'emergency stop'} was pressed on the page"


def halting(arm: Arm) -> Callable[[Stop], None] | None:
    """What stops an arm from a thread of its own, at once, whatever the one that drives it does; None where an arm is
    simulated by that very thread.
    """
    from hardware.process import ClientArm

    if not isinstance(arm, ClientArm):
        return None

    def halt(kind: Stop) -> None:
        threading.Thread(target=arm.stop, args=(kind,), daemon=True).start()

    return halt
