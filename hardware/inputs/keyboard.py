"""The keyboard of a terminal as a hand, over SSH as well.

A terminal tells of keys that come, never of one that is let go. So a key counts as down while it repeats: from its
second arrival on, until nothing came for `GAP`. Keyboards wait about half a second before they repeat, so the dead-man
switch closes half a second after it was pressed; it opens `GAP` after the last key, and the switch's own release comes
on top. A terminal repeats only the last key pressed, so one that moves the arm holds the switch as well: w held down
is "forward, and I am here". What a slow line holds back arrives late: over SSH this is no switch to trust near people.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from hardware.inputs import Hand, gone
from robot_learn.errors import UserError
from robot_learn.franka import FINGER_TRAVEL
from robot_learn.keyboard import Keys

FIRST_GAP = 0.75  # [s] in which a second arrival is a repetition; keyboards wait 0.25 to 0.66
GAP = 0.18  # [s] between two repetitions at most; keyboards repeat 10 to 40 times a second
STEP = 0.6  # of a full deflection that a key gives; keys know no less
_MOVES = {  # key: axis of the twist, sign
    "w": (0, 1.0),
    "s": (0, -1.0),
    "a": (1, 1.0),
    "d": (1, -1.0),
    "r": (2, 1.0),
    "f": (2, -1.0),
    "up arrow": (0, 1.0),
    "down arrow": (0, -1.0),
    "left arrow": (1, 1.0),
    "right arrow": (1, -1.0),
    "i": (4, 1.0),
    "k": (4, -1.0),
    "j": (3, -1.0),
    "l": (3, 1.0),
    "q": (5, 1.0),
    "e": (5, -1.0),
}
_OPENINGS = {"o": 2 * FINGER_TRAVEL, "c": 0.0}
_HELD = "space"
_BUTTONS = {"enter": "stop", "escape": "quit", "u": "undo", "g": "fine"}


class Keyboard:
    """Keys as a hand; see the module's text."""

    name = "keyboard"
    help = (
        "hold space: dead-man; hold w s a d r f: forward, back, left, right, up, down (arrows too); i k j l q e: turn; "
        "o c: open, close; Enter: stop; Esc: quit"
    )

    def __init__(self, keys: Keys) -> None:
        """Takes the terminal at once; `close` gives it back."""
        self._keys, self._open, self._there = keys.__enter__(), True, True
        self._came: dict[str, float] = {}  # when a key came last
        self._down: set[str] = set()  # keys that repeat

    def read(self, now: float) -> Hand:
        if not (self._open and self._there):
            return gone()
        try:
            pressed = self._keys.read(0.0)
        except (UserError, OSError):  # the terminal is gone
            self._there = False
            return gone()
        for key in pressed:
            if 0.0 <= now - self._came.get(key, -np.inf) <= FIRST_GAP:
                self._down.add(key)
            self._came[key] = now
        self._down = {key for key in self._down if 0.0 <= now - self._came[key] <= GAP}
        return self._hand(pressed)

    def _hand(self, pressed: list[str]) -> Hand:
        """A key that was only tapped deflects the hand once, so that it can push; it moves nothing."""
        twist, opening = np.zeros(6), None
        for key in [*pressed, *self._down]:
            if key in _MOVES:
                axis, sign = _MOVES[key]
                twist[axis] = STEP * sign
            opening = _OPENINGS.get(key, opening)
        buttons = frozenset(_BUTTONS[key] for key in pressed if key in _BUTTONS)
        held = any(key == _HELD or key in _MOVES or key in _OPENINGS for key in self._down)
        return Hand(twist, opening, held, buttons)

    def close(self) -> None:
        if self._open:
            self._open = False
            with suppress(OSError) if self._there else suppress(Exception):  # a terminal that is gone cannot be mended
                self._keys.__exit__(None, None, None)

    def __enter__(self) -> Keyboard:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def connect(rest: str = "") -> Keyboard:
    """The terminal's keyboard.

    Raises:
        UserError: nobody sits at a terminal here, or something stands behind "keyboard:".
    """
    if rest:
        raise UserError(f"input keyboard:{rest}: the keyboard is this terminal's; wanted nothing behind the colon")
    return Keyboard(Keys())
