"""Keyboard, gamepad and SpaceMouse: what they send and what it means; the devices are pipes and byte reports here."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hardware.inputs import INPUTS, Hand, Input, gamepad, keyboard, spacemouse
from hardware.inputs.dead_man import DeadMan
from robot_learn.errors import UserError
from robot_learn.registry import load

FORWARD, LEFT, UP = np.eye(6)[0], np.eye(6)[1], np.eye(6)[2]


class Typed:
    """A terminal on which the test types; a stand-in for `Keys`."""

    def __init__(self) -> None:
        self.coming: list[str] = []
        self.taken, self.gone = 0, False

    def __enter__(self) -> Typed:
        self.taken += 1
        return self

    def __exit__(self, *raised: object) -> None:
        self.taken -= 1

    def read(self, seconds: float) -> list[str]:
        assert seconds == 0.0
        if self.gone:
            raise UserError("the terminal is gone")
        came, self.coming = self.coming, []
        return came


def typing(keys: dict[float, str], until: float) -> tuple[keyboard.Keyboard, dict[float, Hand]]:
    """What a keyboard gives every 10 ms when keys come at these times."""
    typed = Typed()
    board = keyboard.Keyboard(typed)  # type: ignore[arg-type]
    hands = {}
    for i in range(round(until * 100)):
        now = round(i / 100, 2)
        typed.coming = [keys[now]] if now in keys else []
        hands[now] = board.read(now)
    return board, hands


def held(key: str, start: float, end: float, first: float = 0.5, period: float = 0.05) -> dict[float, str]:
    """The arrivals of a key that is held down."""
    times = [start, *np.arange(start + first, end, period)]
    return {round(float(time), 2): key for time in times}


def test_a_held_key_is_the_dead_man_and_moves_from_its_first_repetition_until_it_stays_away() -> None:
    _, hands = typing(held("w", 0.1, 1.5), 2.5)
    down = [time for time, hand in hands.items() if hand.dead_man]
    assert (down[0], down[-1]) == (0.6, pytest.approx(1.45 + keyboard.GAP, abs=0.011))
    assert all(hand.twist @ FORWARD == keyboard.STEP for time, hand in hands.items() if hand.dead_man)
    assert hands[0.1].twist @ FORWARD == keyboard.STEP  # a tap is a push,
    assert not hands[0.1].dead_man  # and no switch
    assert not np.any(hands[0.11].twist)


def test_a_tap_never_holds_the_switch_and_the_switch_opens_within_half_a_second() -> None:
    _, hands = typing({0.1: "space", 1.0: "w", 2.0: "space"}, 3.0)
    assert not any(hand.dead_man for hand in hands.values())
    _, hands = typing(held("space", 0.1, 2.0), 4.0)
    switch = DeadMan()
    told = {time: switch.update(hand, time) for time, hand in hands.items()}
    assert max(time for time, is_held in told.items() if is_held) <= 1.95 + 0.5


def test_a_terminal_that_is_gone_tells_so_and_closing_gives_it_back() -> None:
    typed = Typed()
    with keyboard.Keyboard(typed) as board:  # type: ignore[arg-type]
        assert typed.taken == 1
        assert board.read(0.0).age == 0.0
        typed.gone = True
        assert board.read(0.1).age == np.inf
    assert typed.taken == 0
    board.close()
    assert typed.taken == 0


# --- Gamepad.


def event(kind: int, number: int, value: int) -> bytes:
    return struct.pack("<IhBB", 1234, value, kind, number)


@pytest.fixture
def pad(tmp_path: Path) -> Iterator[tuple[gamepad.Gamepad, int]]:
    """A pad of Xbox's layout on a pipe, and where to write its events."""
    path = tmp_path / "js0"
    os.mkfifo(path)
    keep = os.open(path, os.O_RDWR)
    found = gamepad.connect(str(path), kind="Microsoft X-Box 360 pad")
    yield found, keep
    found.close()
    os.close(keep)


def test_a_pad_gives_sticks_in_the_bases_axes_and_its_switch(pad: tuple[gamepad.Gamepad, int]) -> None:
    device, write = pad
    state = b"".join([event(0x82, i, 0) for i in range(8)] + [event(0x81, i, 0) for i in range(11)])
    os.write(write, state)
    assert not np.any(device.read(0.0).twist)
    os.write(write, event(2, 1, -32767) + event(1, 5, 1))  # left stick away from the person, right shoulder
    hand = device.read(0.1)
    np.testing.assert_array_equal(hand.twist, FORWARD)
    assert hand.dead_man
    assert hand.buttons == {"right shoulder"}
    os.write(write, event(2, 1, 0) + event(2, 0, -32767) + event(2, 4, -32767) + event(1, 5, 0))
    hand = device.read(0.2)
    np.testing.assert_array_equal(hand.twist, LEFT + UP)
    assert not hand.dead_man


def test_a_button_between_two_readings_is_not_lost_and_a_spring_that_does_not_return_moves_nothing(
    pad: tuple[gamepad.Gamepad, int],
) -> None:
    device, write = pad
    os.write(write, event(1, 0, 1) + event(1, 0, 0) + event(1, 7, 1) + event(2, 1, int(0.119 * 32767)))
    hand = device.read(0.0)
    assert (hand.opening, hand.buttons) == (0.0, {"south", "start", "stop"})
    assert not np.any(hand.twist)
    hand = device.read(0.1)
    assert (hand.opening, hand.buttons) == (None, {"start", "stop"})
    os.write(write, event(2, 1, int(0.56 * 32767)))
    assert device.read(0.2).twist @ FORWARD == pytest.approx(-0.5, abs=1e-3)  # from 0 at the dead zone's edge
    os.write(write, event(2, 1, -32768))
    assert device.read(0.3).twist @ FORWARD == 1.0


def test_half_an_event_waits_for_its_rest(pad: tuple[gamepad.Gamepad, int]) -> None:
    device, write = pad
    whole = event(1, 4, 1)
    os.write(write, whole[:3])
    assert not device.read(0.0).dead_man
    os.write(write, whole[3:])
    assert device.read(0.1).dead_man


def test_a_pad_that_is_pulled_out_lets_go_and_one_that_is_plugged_in_again_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "js0"
    os.mkfifo(path)
    write = os.open(path, os.O_RDWR)
    with gamepad.connect(str(path), kind="xbox") as device:
        os.write(write, event(1, 5, 1) + event(2, 1, -32767))
        assert device.read(0.0).dead_man
        os.close(write)
        path.unlink()
        assert device.read(0.1).age == np.inf
        assert device.read(5.0).age == np.inf
        os.mkfifo(path)
        write = os.open(path, os.O_RDWR)
        assert device.read(5.1).age == np.inf  # it looks twice a second
        hand = device.read(5.6)
        assert (hand.age, hand.dead_man) == (0.0, False)  # nothing is remembered of before
        assert not np.any(hand.twist)
        os.close(write)
    assert device.read(9.0).age == np.inf


def test_layouts_follow_the_kernels_codes_and_else_the_name() -> None:
    codes = struct.pack("<3H", 0x130, 0x137, 0x2C0)
    told = gamepad.told_layout(bytes([0, 1, 3, 4, 9]), codes, "whatever")
    assert told.axes == ("left x", "left y", "right x", "right y", "axis 9")
    assert told.buttons == ("south", "right shoulder", "button 0x2c0")
    # Without a driver of its own a pad's right stick has the codes 2 and 5: the name decides.
    assert (
        gamepad.told_layout(bytes([0, 1, 2, 5, 16, 17]), codes, "Logitech Dual Action") == gamepad.LAYOUTS["rumblepad"]
    )
    assert gamepad.layout("Sony Interactive Entertainment Wireless Controller").buttons[2] == "north"
    assert gamepad.layout("never heard of") == gamepad.LAYOUTS["xbox"]


def test_every_layout_has_the_sticks_and_the_buttons_that_are_used() -> None:
    for layout in gamepad.LAYOUTS.values():
        assert {"left x", "left y", "right x", "right y", "cross x", "cross y"} <= set(layout.axes)
        assert {"south", "east", "start", "left shoulder", "right shoulder"} <= set(layout.buttons)
        assert len(set(layout.buttons)) == len(layout.buttons)


# --- SpaceMouse.


class Reports:
    """A HID device that has sent these reports; an error stands for a device that was pulled out."""

    def __init__(self, *coming: bytes | Exception) -> None:
        self.coming: list[bytes | Exception] = list(coming)
        self.closed = False

    def read(self, max_length: int) -> list[int]:
        report = self.coming.pop(0) if self.coming else b""
        if isinstance(report, Exception):
            raise report
        return list(report[:max_length])

    def close(self) -> None:
        self.closed = True


def report(number: int, *values: int) -> bytes:
    return struct.pack(f"<B{len(values)}h", number, *values)


def test_the_cap_turns_into_the_bases_axes() -> None:
    # The cap's axes: x right, y towards the person, z down. Pushed away by all of its travel:
    device = Reports(report(1, 0, -350, 0), report(2, 0, 0, 0))
    cap = spacemouse.SpaceMouse(device)
    np.testing.assert_allclose(cap.read(0.0).twist, FORWARD)
    device.coming = [report(1, -350, 0, -350)]
    np.testing.assert_allclose(cap.read(0.01).twist, LEFT + UP)
    # Turned clockwise as seen from above: about the cap's z, which points down, and so against the base's.
    device.coming = [report(1, 0, 0, 0), report(2, 0, 0, 350)]
    np.testing.assert_allclose(cap.read(0.02).twist, [0, 0, 0, 0, 0, -1])
    device.coming = [report(1, 0, -350, 0, 0, 350, 0)]  # a newer one says all six at once
    np.testing.assert_allclose(cap.read(0.03).twist, [1, 0, 0, -1, 0, 0])
    device.coming = [report(1, 20, -20, 25, 0, -500, 0)]  # within the dead zone, and beyond the scale
    np.testing.assert_allclose(cap.read(0.04).twist, [0, 0, 0, 1, 0, 0])


def test_the_frame_of_the_cap_is_right_handed() -> None:
    assert np.linalg.det(spacemouse._FROM_CAP) == pytest.approx(1.0)


def test_buttons_are_the_switch_and_the_gripper() -> None:
    device = Reports(bytes([3, 1, 0]))
    cap = spacemouse.SpaceMouse(device)
    assert cap.read(0.0).dead_man
    device.coming = [bytes([3, 3, 0]), bytes([3, 1, 0])]
    hand = cap.read(0.1)
    assert (hand.dead_man, hand.opening) == (True, 0.0)
    assert cap.read(0.2).opening is None
    device.coming = [bytes([3, 2, 0])]
    hand = cap.read(0.3)
    assert (hand.dead_man, hand.opening) == (False, 0.08)


def test_a_cap_that_falls_silent_is_at_rest_and_one_that_is_pulled_out_is_gone_and_comes_back() -> None:
    device = Reports(report(1, 0, -350, 0), bytes([3, 1, 0]))
    again = Reports(report(1, 0, -350, 0))
    cap = spacemouse.SpaceMouse(device, reopen=lambda: again)
    assert cap.read(0.0).twist @ FORWARD == 1.0
    assert cap.read(0.2).twist @ FORWARD == 1.0
    assert cap.read(0.21).twist @ FORWARD == 0.0
    device.coming = [OSError("read error")]
    assert cap.read(0.3).age == np.inf
    assert device.closed
    hand = cap.read(0.9)
    assert (hand.age, hand.dead_man, hand.twist @ FORWARD) == (0.0, False, 1.0)
    cap.close()
    assert again.closed
    assert cap.read(5.0).age == np.inf


def listed(*entries: tuple[int, int, str]) -> Any:
    """A module like hidapi's that lists these devices."""

    class Opened(Reports):
        path = b""

        def open_path(self, path: bytes) -> None:
            if path == b"locked":
                raise OSError("open failed")
            self.path = path

        def set_nonblocking(self, on: int) -> None:
            assert on

    names = ("vendor_id", "product_id", "path", "product_string")
    rows = [dict(zip(names, (v, p, path.encode(), "SpaceNavigator"), strict=True)) for v, p, path in entries]
    return SimpleNamespace(enumerate=lambda: rows, device=Opened)


def test_a_spacemouse_is_found_among_other_devices() -> None:
    cap = spacemouse.connect(hid=listed((0x046D, 0xC077, "mouse"), (0x046D, 0xC626, "cap"), (0x256F, 0xC635, "other")))
    assert (cap.name, cap._device.path) == ("SpaceNavigator", b"cap")  # type: ignore[union-attr]
    assert (
        spacemouse.connect("other", hid=listed((0x046D, 0xC626, "cap"), (0x256F, 0xC635, "other")))._device is not None
    )


@pytest.mark.parametrize(
    ("entries", "says"),
    [([], "no SpaceMouse; plug one in"), ([(0x256F, 0xC635, "locked")], "may not be opened .open failed.; let your")],
)
def test_what_hinders_a_spacemouse_is_said(entries: list[tuple[int, int, str]], says: str) -> None:
    with pytest.raises(UserError, match=says):
        spacemouse.connect(hid=listed(*entries))


# --- All of them.


@pytest.mark.parametrize("name", INPUTS)
def test_every_input_can_be_found_by_its_name(name: str) -> None:
    assert callable(load(INPUTS, name, kind="input"))


def test_what_is_not_there_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no gamepad at .*js7; plug one in"):
        gamepad.connect(str(tmp_path / "js7"))
    with pytest.raises(UserError, match="the keyboard is this terminal's"):
        keyboard.connect("x")
    monkeypatch.setattr("sys.stdin", (tmp_path / "f").open("w"))
    with pytest.raises(UserError, match="no terminal here"):
        keyboard.connect()


def test_every_input_keeps_the_interface(pad: tuple[gamepad.Gamepad, int]) -> None:
    from hardware.inputs import remote

    with remote.connect() as listener:
        for source in (pad[0], spacemouse.SpaceMouse(Reports()), keyboard.Keyboard(Typed()), listener):  # type: ignore[arg-type]
            assert isinstance(source, Input)
            assert source.name
            assert ":" in source.help or ";" in source.help
            source.close()
            source.close()
            assert source.read(100.0).age == np.inf
