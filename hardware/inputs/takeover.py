"""Who drives: the policy, a person, or nobody; without flicker at the moment when that changes.

    nobody --switch held--> policy --hand clearly deflected for `engage`--> person --hand at rest for `quiet`--> policy
       ^------------------------------- switch let go, from anywhere ---------------------------------------------/

A hand is clearly deflected from `enter` on and at rest below `leave`; what lies between changes nothing. So a thumb
that rests on a stick takes nothing over, and one that passes through the middle gives nothing back. A hand that is
deflected when the switch is pressed takes over only after it was at rest once: nothing jumps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hardware.arm import Command
from hardware.inputs import Hand
from hardware.inputs.dead_man import TIMES, DeadMan, Times
from robot_learn.errors import UserError

Driver = Literal["policy", "person", "nobody"]
SPEED, TURN_SPEED = 0.1, 0.5  # [m/s], [rad/s] of a full deflection; the guard below has its own limits


@dataclass(frozen=True)
class Thresholds:
    """When the driver changes.

    Raises:
        UserError: not 0 < leave < enter <= 1, or times below 0.
    """

    enter: float = 0.25  # largest entry of the twist
    leave: float = 0.1
    engage: float = 0.06  # [s]
    quiet: float = 0.5  # [s]

    def __post_init__(self) -> None:
        if not (0.0 < self.leave < self.enter <= 1.0 and self.engage >= 0.0 and self.quiet >= 0.0):
            raise UserError(
                "takeover: wanted 0 < leave < enter <= 1 and times [s] from 0, came "
                f"leave {self.leave:g}, enter {self.enter:g}, engage {self.engage:g}, quiet {self.quiet:g}"
            )


THRESHOLDS = Thresholds()


class Takeover:
    """Who drives, over time; see the module's text. The last driver is in `driver`, and `taken` counts takeovers."""

    def __init__(self, thresholds: Thresholds = THRESHOLDS, times: Times = TIMES) -> None:
        self.thresholds, self.dead_man = thresholds, DeadMan(times)
        self.driver: Driver = "nobody"
        self.taken = 0
        self._rested = False  # the hand was at rest since the switch was pressed
        self._since: float | None = None  # since when the hand has been as the next change wants it

    def update(self, hand: Hand, now: float) -> Driver:
        """Who drives from `now` [s] on, after what was just read."""
        if not self.dead_man.update(hand, now):
            self.driver, self._rested, self._since = "nobody", False, None
            return self.driver
        if self.driver == "nobody":
            self.driver = "policy"
        size, wanted = float(np.max(np.abs(hand.twist))), self.thresholds
        self._rested = self._rested or size < wanted.leave
        if self.driver == "policy":
            if self._lasts(self._rested and size >= wanted.enter, wanted.engage, now):
                self.driver, self.taken = "person", self.taken + 1
        elif self._lasts(size < wanted.leave, wanted.quiet, now):
            self.driver = "policy"
        return self.driver

    def _lasts(self, so: bool, seconds: float, now: float) -> bool:
        """Whether it has been so for that long; forgets it when it has, so that the next change starts anew."""
        if not so:
            self._since = None
            return False
        self._since = now if self._since is None else self._since
        if now - self._since < seconds:
            return False
        self._since = None
        return True


def command(hand: Hand, made: float, *, speed: float = SPEED, turn_speed: float = TURN_SPEED) -> Command:
    """What the arm is told while a person drives: the twist of the hand, along the base's axes.

    Args:
        made: [s] when the observation that the person answers had arrived, by the host's monotonic clock.
        speed: [m/s] of a full deflection; of several axes at once, too: the vector is no longer than that.
        turn_speed: [rad/s] likewise.
    """
    along, about = (part / max(1.0, float(np.linalg.norm(part))) for part in (hand.twist[:3], hand.twist[3:]))
    values = np.concatenate([speed * along, turn_speed * about])
    return Command("twist", values, made, opening=hand.opening, source="person")
