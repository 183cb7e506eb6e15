"""A gamepad, read from the kernel's joystick device; no library, no daemon.

The device sends eight bytes for every change (linux/joystick.h: u32 time [ms], s16 value, u8 kind, u8 number), and the
whole state once at the start, marked. What a number means the kernel tells as the codes of linux/input-event-codes.h;
where it does not, the name of the device decides. A pad that is pulled out is gone at once, one that is plugged in
again comes back. A radio pad out of reach looks like one that nobody moves, until the kernel gives it up after
seconds: where people are near the arm, use a cable.
"""

from __future__ import annotations

import array
import errno
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hardware.inputs import Hand, gone
from robot_learn.errors import UserError
from robot_learn.franka import FINGER_TRAVEL

EVENT = struct.Struct("<IhBB")
_BUTTON, _AXIS, _INITIAL = 1, 2, 0x80
DEAD_ZONE = 0.12  # of a stick's travel; springs do not return further
RETRY = 0.5  # [s] between two looks whether the pad is back
# linux/input-event-codes.h
_AXES = {0: "left x", 1: "left y", 2: "left trigger", 3: "right x", 4: "right y", 5: "right trigger"}
_AXES |= {16: "cross x", 17: "cross y"}
_BUTTONS = {0x130: "south", 0x131: "east", 0x133: "north", 0x134: "west", 0x136: "left shoulder"}
_BUTTONS |= {0x137: "right shoulder", 0x138: "left trigger", 0x139: "right trigger", 0x13A: "select"}
_BUTTONS |= {0x13B: "start", 0x13C: "mode", 0x13D: "left stick", 0x13E: "right stick"}
_GET_AXES, _GET_BUTTONS, _GET_NAME = 0x80406A32, 0x84006A34, 0x80806A13  # ioctl: JSIOCGAXMAP, JSIOCGBTNMAP, JSIOCGNAME


@dataclass(frozen=True)
class Layout:
    """What the numbers of a pad's events are, in order."""

    axes: tuple[str, ...]
    buttons: tuple[str, ...]


_XBOX = Layout(
    ("left x", "left y", "left trigger", "right x", "right y", "right trigger", "cross x", "cross y"),
    ("south", "east", "west", "north", "left shoulder", "right shoulder", "select", "start", "mode", "left stick",
     "right stick"),
)  # fmt: skip
_PLAYSTATION = Layout(
    _XBOX.axes,
    ("south", "east", "north", "west", "left shoulder", "right shoulder", "left trigger", "right trigger", "select",
     "start", "mode", "left stick", "right stick"),
)  # fmt: skip
_DIRECT = Layout(
    ("left x", "left y", "right x", "right y", "cross x", "cross y"),
    ("west", "south", "east", "north", "left shoulder", "right shoulder", "left trigger", "right trigger", "select",
     "start", "left stick", "right stick"),
)  # fmt: skip  # pads with a switch to "D"
LAYOUTS: Mapping[str, Layout] = {  # by a part of the device's name, in lower case; the first that fits
    "x-box": _XBOX,
    "xbox": _XBOX,
    "sony": _PLAYSTATION,
    "dualsense": _PLAYSTATION,
    "dualshock": _PLAYSTATION,
    "wireless controller": _PLAYSTATION,
    "logitech dual action": _DIRECT,
    "logitech logitech dual action": _DIRECT,
    "rumblepad": _DIRECT,
}


def layout(name: str) -> Layout:
    """The layout of a pad by its name; an unknown one is taken for the commonest kind."""
    return next((known for part, known in LAYOUTS.items() if part in name.lower()), _XBOX)


def told_layout(axes: bytes, buttons: bytes, name: str) -> Layout:
    """The layout by the kernel's tables, a byte an axis, two a button; by name where they lack what is used here.

    Pads that the kernel has no driver for give their right stick's axes other codes (2 and 5): their name decides.
    """
    named = tuple(_AXES.get(code, f"axis {code}") for code in axes)
    codes = struct.unpack(f"<{len(buttons) // 2}H", buttons)
    buttons_named = tuple(_BUTTONS.get(code, f"button {code:#x}") for code in codes)
    if {"left x", "left y", "right x", "right y"}.issubset(named) and "right shoulder" in buttons_named:
        return Layout(named, buttons_named)
    return layout(name)


class Gamepad:
    """A pad as a hand. The shoulder buttons are the switch: either of them, held.

    Args:
        path: of the device, or of anything that gives the same bytes.
        kind: name of the pad, where the device does not tell its own.
    """

    _axes: dict[str, float]
    _down: set[str]
    _tapped: set[str]  # pressed since the last reading, and perhaps let go again
    _rest: bytes  # half an event
    help = (
        "hold a shoulder button: dead-man; left stick: forward, left; right stick: up, turn; cross: tilt; "
        "south: close, east: open; start: stop"
    )

    def __init__(self, path: Path, kind: str = "") -> None:
        self.path, self.name = path, kind or str(path)
        self._kind = kind
        self._fd, self._closed = -1, False
        self._looked = -np.inf
        self._forget()
        self._open()

    @property
    def there(self) -> bool:
        return self._fd >= 0

    def read(self, now: float) -> Hand:
        if not self.there and not self._closed and not 0.0 <= now - self._looked < RETRY:
            self._looked = now
            self._open()
        if self.there:
            self._take()
        if not self.there:
            return gone()
        return self._hand()

    def _open(self) -> None:
        try:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return
        self._layout = self._told() or layout(self._kind)

    def _told(self) -> Layout | None:
        """What the kernel tells of the pad; None where it is no joystick device."""
        import fcntl

        def ask(request: int, size: int) -> bytes:
            answer = array.array("B", bytes(size))
            got = fcntl.ioctl(self._fd, request, answer)
            return answer.tobytes()[: got if got > 0 else size]

        try:
            count = [ask(request, 1)[0] for request in (0x80016A11, 0x80016A12)]  # JSIOCGAXES, JSIOCGBUTTONS
            name = ask(_GET_NAME, 128).split(b"\0")[0].decode("utf-8", "replace")
            axes, buttons = ask(_GET_AXES, 64), ask(_GET_BUTTONS, 1024)
        except OSError:
            return None
        self.name = name or self.name
        return told_layout(axes[: count[0]], buttons[: 2 * count[1]], self._kind or name)

    def _take(self) -> None:
        """All events that have come. Half an event stays for the next time."""
        while True:
            try:
                came = os.read(self._fd, 64 * EVENT.size)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.EINTR:
                    continue
                came = b""
            if not came:  # the end: pulled out
                self._drop()
                return
            self._rest += came
            whole = len(self._rest) // EVENT.size * EVENT.size
            for _, value, kind, number in EVENT.iter_unpack(self._rest[:whole]):
                self._event(value, kind & ~_INITIAL, number, initial=bool(kind & _INITIAL))
            self._rest = self._rest[whole:]

    def _event(self, value: int, kind: int, number: int, *, initial: bool) -> None:
        if kind == _AXIS and number < len(self._layout.axes):
            self._axes[self._layout.axes[number]] = max(-1.0, value / 32767)
        elif kind == _BUTTON and number < len(self._layout.buttons):
            button = self._layout.buttons[number]
            (self._down.add if value else self._down.discard)(button)
            if value and not initial:
                self._tapped.add(button)

    def _hand(self) -> Hand:
        twist = np.array(
            [
                -self._stick("left y"),
                -self._stick("left x"),
                -self._stick("right y"),
                self._stick("cross x"),
                -self._stick("cross y"),
                -self._stick("right x"),
            ]
        )
        buttons = frozenset(self._down | self._tapped)
        self._tapped.clear()
        opening = 0.0 if "south" in buttons else 2 * FINGER_TRAVEL if "east" in buttons else None
        held = not self._down.isdisjoint(("left shoulder", "right shoulder"))
        return Hand(twist, opening, held, buttons | ({"stop"} if "start" in buttons else set()))

    def _stick(self, axis: str) -> float:
        """An axis without the dead zone around its middle, so that it begins at 0."""
        value = self._axes.get(axis, 0.0)
        return float(np.sign(value)) * max(0.0, abs(value) - DEAD_ZONE) / (1.0 - DEAD_ZONE)

    def _forget(self) -> None:
        self._axes, self._down, self._tapped, self._rest = {}, set(), set(), b""

    def _drop(self) -> None:
        """Let the device go; a later reading opens it again where it can."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
        self._forget()

    def close(self) -> None:
        self._closed = True
        self._drop()

    def __enter__(self) -> Gamepad:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def connect(rest: str = "", *, kind: str = "") -> Gamepad:
    """The pad at a path, "gamepad:/dev/input/js1"; without one the first that there is.

    Raises:
        UserError: there is none, or it may not be read.
    """
    found = [Path(rest)] if rest else sorted(Path("/dev/input").glob("js*"))
    if not found or not found[0].exists():
        raise UserError(
            f"no gamepad at {rest or '/dev/input/js*'}; plug one in (the kernel's module is joydev), or name it: "
            "gamepad:/dev/input/js0"
        )
    pad = Gamepad(found[0], kind)
    if not pad.there:
        raise UserError(
            f"gamepad {found[0]}: may not be read or is busy; as a rule the group 'input' may (usermod -aG input NAME)"
        )
    return pad
