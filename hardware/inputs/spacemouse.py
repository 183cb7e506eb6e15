"""A 3Dconnexion SpaceMouse as a hand, read as a plain HID device (extra: spacemouse).

Its reports: number 1 is the translation as three s16, or on newer devices (13 bytes) translation and rotation as six;
number 2 is the rotation on older ones; number 3 is a mask of the buttons. The cap's axes are x right, y towards the
person, z down, a right-handed frame like the base's, so translation and rotation turn into it by the same matrix. While
the cap is off its middle the device reports all the time: what stays silent for `SILENT` is at rest.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from hardware.inputs import Hand, gone
from robot_learn.errors import UserError
from robot_learn.franka import FINGER_TRAVEL

FULL = 350.0  # counts of a full deflection
DEAD_ZONE = 0.08  # of it
SILENT = 0.2  # [s]; reports come every 8 to 16 ms
RETRY = 0.5  # [s] between two looks whether the device is back
_FROM_CAP = np.array([[0.0, -1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])  # R_base_cap
_VENDOR = 0x256F  # 3Dconnexion
_LOGITECH = 0x046D  # made them before
_LOGITECH_PRODUCTS = {0xC603, 0xC605, 0xC606, 0xC621, 0xC623, 0xC625, 0xC626, 0xC627, 0xC628, 0xC629, 0xC62B}
_BUTTONS = ("left", "right")


class Device(Protocol):
    """What is used of hidapi's device."""

    def read(self, max_length: int) -> list[int]: ...  # a report; empty where none has come; OSError where it is gone

    def close(self) -> None: ...


class SpaceMouse:
    """The cap as a hand. The left button is the switch, held; the right one closes and opens the gripper in turn.

    Args:
        reopen: gives the device again after it was gone, or None.
    """

    _axes: np.ndarray  # (6,) counts, as the cap tells them
    _moved: float  # [s] when it told them last
    _down: set[str]
    _tapped: set[str]  # pressed since the last reading, and perhaps let go again
    _closes: bool  # what the gripper was told last
    help = "hold the left button: dead-man; push, pull, lift and turn the cap: the hand; right button: gripper"

    def __init__(self, device: Device, name: str = "SpaceMouse", reopen: Callable[[], Device | None] = lambda: None):
        self.name, self._reopen = name, reopen
        self._device: Device | None = device
        self._looked, self._closed = -np.inf, False
        self._forget()

    def read(self, now: float) -> Hand:
        if self._device is None and not self._closed and not 0.0 <= now - self._looked < RETRY:
            self._looked, self._device = now, self._reopen()
        while self._device is not None:
            try:
                report = bytes(self._device.read(64))
            except (OSError, ValueError):  # ValueError: it was never open
                self._drop()
                break
            if not report:
                break
            self._report(report, now)
        return gone() if self._device is None else self._hand(now)

    def _report(self, report: bytes, now: float) -> None:
        number, rest = report[0], report[1:]
        if number == 1 and len(rest) >= 12:
            self._axes[:], self._moved = struct.unpack("<6h", rest[:12]), now
        elif number in (1, 2) and len(rest) >= 6:
            first = 3 * (number - 1)
            self._axes[first : first + 3], self._moved = struct.unpack("<3h", rest[:6]), now
        elif number == 3 and rest:
            mask = int.from_bytes(rest[:4], "little")
            down = {name for bit, name in enumerate(_BUTTONS) if mask >> bit & 1}
            self._tapped |= down - self._down
            self._down = down

    def _hand(self, now: float) -> Hand:
        axes = self._axes if 0.0 <= now - self._moved <= SILENT else np.zeros(6)
        deflected = np.clip(axes / FULL, -1.0, 1.0)
        sizes = np.maximum(np.abs(deflected) - DEAD_ZONE, 0.0) / (1.0 - DEAD_ZONE)
        cap = np.sign(deflected) * sizes
        opening = None
        if "right" in self._tapped:
            self._closes = not self._closes
            opening = 0.0 if self._closes else 2 * FINGER_TRAVEL
        buttons, self._tapped = frozenset(self._down | self._tapped), set()
        return Hand(np.concatenate([_FROM_CAP @ cap[:3], _FROM_CAP @ cap[3:]]), opening, "left" in self._down, buttons)

    def _forget(self) -> None:
        self._axes, self._moved = np.zeros(6), -np.inf
        self._down, self._tapped, self._closes = set(), set(), False

    def _drop(self) -> None:
        if self._device is not None:
            self._device.close()
        self._device = None
        self._forget()

    def close(self) -> None:
        self._closed = True
        self._drop()

    def __enter__(self) -> SpaceMouse:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def connect(rest: str = "", *, hid: Any = None) -> SpaceMouse:
    """The first SpaceMouse, or the one whose HID path is given.

    Args:
        hid: the module of hidapi, or one like it.

    Raises:
        UserError: hidapi is not installed, there is no such device, or it may not be opened.
    """
    if hid is None:
        try:
            hid = importlib.import_module("hid")
        except ImportError as error:
            raise UserError("a SpaceMouse needs hidapi: pip install 'robot-learn[spacemouse]'") from error

    def find() -> tuple[Any, str] | None:
        for entry in hid.enumerate():
            known = entry["vendor_id"] == _VENDOR or (
                entry["vendor_id"] == _LOGITECH and entry["product_id"] in _LOGITECH_PRODUCTS
            )
            if known and rest in ("", entry["path"].decode("utf-8", "replace")):
                device = hid.device()
                device.open_path(entry["path"])
                device.set_nonblocking(1)
                return device, entry["product_string"] or "SpaceMouse"
        return None

    def again() -> Device | None:
        try:
            found = find()
        except OSError:
            return None
        return found[0] if found else None

    try:
        found = find()
    except OSError as error:
        raise UserError(
            f"the SpaceMouse may not be opened ({error}); let your group read it by a udev rule: "
            'KERNEL=="hidraw*", ATTRS{idVendor}=="256f", MODE="0660", GROUP="input"'
        ) from error
    if found is None:
        raise UserError(
            f"no SpaceMouse{f' at {rest}' if rest else ''}; plug one in, and see that it is listed by lsusb"
        )
    return SpaceMouse(found[0], found[1], again)
