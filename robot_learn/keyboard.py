"""Keys as they are pressed, on a terminal, over SSH as well; the terminal is as it was afterwards, whatever happens."""

from __future__ import annotations

import os
import select
import sys
import time
from types import TracebackType
from typing import Any

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


class Keys:
    """A terminal that passes on every key at once and shows none of them.

    Raises:
        UserError: nobody sits at a terminal here.
    """

    def __init__(self) -> None:
        if not sys.stdin.isatty():
            raise UserError(
                "the keyboard is no terminal here, so nobody can press a key: over SSH, ask for one (ssh -t)"
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
