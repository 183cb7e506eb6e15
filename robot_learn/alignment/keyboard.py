"""Keys as they are pressed, on a terminal, over SSH as well; the terminal is as it was afterwards, whatever happens."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import numpy as np

from robot_learn.errors import UserError

ESCAPE_SECONDS = 0.05  # in which the rest of an arrow key arrives, over a slow line as well
_ARROWS = {b"A": "up arrow", b"B": "down arrow", b"C": "right arrow", b"D": "left arrow"}
_NAMED = {b"\x1b": "escape", b"\r": "enter", b"\n": "enter", b" ": "space"}


def names(pressed: bytes) -> tuple[list[str], bytes]:
    """The keys in what a terminal sent, and what is left of it: the beginning of a key whose rest is still to come."""
    found: list[str] = []
    while pressed:
        if pressed[:1] == b"\x1b" and pressed[1:2] in (b"", b"[", b"O"):
            if len(pressed) < 3:
                return found, pressed
            arrow = _ARROWS.get(pressed[2:3])
            if arrow is None:  # some other special key: its last character is a letter or a tilde
                end = next((i for i in range(2, len(pressed)) if pressed[i] >= 64), None)
                if end is None:
                    return found, pressed
                pressed = pressed[end + 1 :]
                continue
            found.append(arrow)
            pressed = pressed[3:]
            continue
        key, pressed = pressed[:1], pressed[1:]
        found.append(_NAMED.get(key) or key.decode("ascii", "replace").lower())
    return found, b""


def pushes(directions: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Which key pushes in which of a game's directions. The paper's right Shift is no key to a terminal: w and s."""
    wanted = {
        "left arrow": ("left",),
        "right arrow": ("right",),
        "up arrow": ("forward", "up"),
        "down arrow": ("back", "down"),
        "w": ("up",),
        "s": ("down",),
    }
    found = {}
    for key, candidates in wanted.items():
        chosen = next((name for name in candidates if name in directions), None)
        if chosen is not None:
            found[key] = chosen
    others = [name for name in directions if name not in found.values()]
    return found | {str(number): name for number, name in enumerate(others[:9], start=1)}


class Keys:
    """A terminal that passes on every key at once and shows none of them.

    Raises:
        UserError: nobody sits at a terminal here.
    """

    def __init__(self) -> None:
        if not sys.stdin.isatty():
            raise UserError(
                "the keyboard is no terminal here, so nobody can push: over SSH, ask for one (ssh -t); "
                "--human simulated needs none"
            )
        self._fd = sys.stdin.fileno()
        self._rest = b""
        self._before: list[Any] = []

    def __enter__(self) -> Keys:
        try:
            import termios
            import tty
        except ImportError as error:
            raise UserError("keys can only be read where there is termios: on Linux or macOS") from error
        self._before = termios.tcgetattr(self._fd)
        tty.setcbreak(self._fd)  # Ctrl-C still interrupts
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import termios

        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def read(self, seconds: float) -> list[str]:
        """The keys that are pressed in the next seconds; it takes that long, at least."""
        found: list[str] = []
        until = time.monotonic() + max(0.0, seconds)
        while True:
            wait = ESCAPE_SECONDS if self._rest else max(0.0, until - time.monotonic())
            ready, _, _ = select.select([self._fd], [], [], wait)
            if ready:
                came = os.read(self._fd, 1024)
                if not came:
                    raise UserError("the terminal is gone")
                keys, self._rest = names(self._rest + came)
                found += keys
            elif self._rest:  # nothing follows: it was the key Escape itself
                keys = ["escape"] if self._rest == b"\x1b" else []
                found, self._rest = found + keys, b""
            if time.monotonic() >= until and not self._rest:
                return found
