"""A person's hand: what it does now, from a keyboard, a gamepad, a SpaceMouse or another program.

A source only tells what it sees. What follows from it is decided elsewhere, the same for all of them: whether the
person holds the dead-man switch (`dead_man`), who drives (`takeover`) and what is a push to learn from (`pushes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from robot_learn.errors import UserError

# By name; each is a function of the rest of an address and of settings: "gamepad" or "gamepad:/dev/input/js1".
INPUTS = {
    "keyboard": "hardware.inputs.keyboard:connect",
    "gamepad": "hardware.inputs.gamepad:connect",
    "spacemouse": "hardware.inputs.spacemouse:connect",
    "socket": "hardware.inputs.remote:connect",
}
GONE = float("inf")  # [s] the age of what a source tells that is not there


@dataclass(frozen=True, eq=False)
class Hand:
    """What a person's hand does, as one source saw it.

    Raises:
        UserError: the twist is no (6,) within [-1, 1], or the opening or the age are no numbers from 0.
    """

    twist: np.ndarray  # (6,) in [-1, 1]: along and about the base's x (forward), y (left) and z (up)
    opening: float | None = None  # [m] wanted between the fingertips; None leaves the gripper alone
    dead_man: bool = False  # the switch as it stands, neither debounced nor delayed
    buttons: frozenset[str] = frozenset()  # that are down, or were pressed since the last reading
    age: float = 0.0  # [s] since the source was known to be there and to be like this; `GONE` where it is not there

    def __post_init__(self) -> None:
        # Written so that what is not a number is refused.
        if np.shape(self.twist) != (6,) or not np.all(np.abs(self.twist) <= 1.0):
            raise UserError(f"hand: wanted a twist of 6 numbers from -1 to 1, came {np.asarray(self.twist).tolist()}")
        if not self.age >= 0.0 or not (self.opening is None or 0.0 <= self.opening < 1.0):
            raise UserError(f"hand: wanted age [s] and opening [m] from 0, came {self.age} and {self.opening}")


@runtime_checkable
class Input(Protocol):
    """A source of `Hand`s. A context manager: leaving it gives the device back as it was."""

    @property
    def name(self) -> str:
        """The device, as a person would call it."""
        ...

    @property
    def help(self) -> str:
        """What to press for what, in a line."""
        ...

    def read(self, now: float) -> Hand:
        """What the hand does at `now` [s] on the host's monotonic clock. Never waits and never fails: a source that
        is gone tells so by its age, lets go of everything, and may come back.
        """
        ...

    def close(self) -> None:
        """Give the device back; also twice."""
        ...

    def __enter__(self) -> Input: ...

    def __exit__(self, *raised: object) -> None: ...


def gone() -> Hand:
    """What a source tells that is not there."""
    return Hand(np.zeros(6), age=GONE)
