"""What a page's keys, pads and gamepad mean for an arm: the hand of `hardware.inputs`, from what is held down."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from hardware.inputs import Hand
from hardware.inputs.gamepad import DEAD_ZONE

STEP = 0.6  # of a full deflection that a key gives, as a terminal's keyboard does
# [s] for which a latch is seen open; after that held without a deflection; and tried, whether it counts.
OPEN, RESTED, TRIED = 0.15, 0.12, 0.6
SWITCH = "switch"  # what is held as dead-man switch
# By what the page calls it: the axis of the twist, along and about the base's x (forward), y (left) and z (up).
MOVES = {
    "forward": (0, 1.0),
    "back": (0, -1.0),
    "left": (1, 1.0),
    "right": (1, -1.0),
    "up": (2, 1.0),
    "down": (2, -1.0),
    "roll left": (3, -1.0),
    "roll right": (3, 1.0),
    "pitch up": (4, -1.0),
    "pitch down": (4, 1.0),
    "turn left": (5, 1.0),
    "turn right": (5, -1.0),
}
# The standard layout of gamepads in browsers (W3C, "Gamepad", section 7): axes of the two sticks, x right and y down.
_STICKS = ((0, 1, -1.0), (1, 0, -1.0), (2, 3, -1.0), (5, 2, -1.0))  # axis of the twist, axis of the pad, sign
_SHOULDERS = ("pad 4", "pad 5")
_CROSS = {"pad 12": (4, 1.0), "pad 13": (4, -1.0), "pad 14": (3, -1.0), "pad 15": (3, 1.0)}


def hand_of(
    held: Collection[str], axes: Sequence[float], age: float, *, opening: float | None = None, latched: bool = False
) -> Hand:
    """The hand that holds this down.

    Args:
        held: names of the page's keys, and "pad N" of a gamepad's buttons.
        axes: of a gamepad's sticks, in [-1, 1]; there may be none.
        age: [s] since it was so.
        opening: [m] that the person wants between the fingertips.
        latched: the switch is held for the person, who is there: for arms that can hurt nobody.
    """
    twist = np.zeros(6)
    for name in held:
        axis, sign = MOVES.get(name) or _CROSS.get(name) or (0, 0.0)
        twist[axis] += STEP * sign
    for axis, stick, sign in _STICKS:
        if stick < len(axes):
            twist[axis] += sign * _beyond_dead_zone(axes[stick])
    pressed = SWITCH in held or any(button in held for button in _SHOULDERS)
    return Hand(np.clip(twist, -1.0, 1.0), opening, pressed or latched, age=max(0.0, age))


@dataclass
class Latch:
    """Holds the switch for a person who is there, as long as nobody can be hurt.

    A switch that was held when its source appeared, or came back, counts for nothing until it was seen open: so what
    does not count after a while is opened for a moment and held again.
    """

    on: bool = False
    since: float = 0.0  # [s] of this opening and holding

    def set(self, on: bool) -> None:
        """Whether it is to be held."""
        self.since = self.since if on and self.on else 0.0
        self.on = on

    def held(self, now: float, *, counts: bool) -> bool:
        """Whether to hold it at `now` [s]; `counts`: it is known to count as held."""
        if self.on and not counts and now - self.since > OPEN + TRIED:
            self.since = now
        return self.on and now - self.since > OPEN

    def settled(self, now: float) -> bool:
        """Whether the hand may move by now: one that is deflected when the switch closes takes nothing over."""
        return not self.on or now - self.since > OPEN + RESTED


def _beyond_dead_zone(deflection: float) -> float:
    """What is left of a stick's deflection outside of where its spring leaves it, from 0 without a jump."""
    beyond = max(0.0, abs(deflection) - DEAD_ZONE) / (1.0 - DEAD_ZONE)
    return beyond if deflection > 0 else -beyond
