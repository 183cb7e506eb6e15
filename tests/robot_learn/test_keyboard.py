"""Keys on a terminal."""

from __future__ import annotations

import os
import pty
import sys
import termios

import pytest

from robot_learn.keyboard import Keys, names


def test_keys_are_told_apart_and_half_a_key_waits_for_its_rest() -> None:
    assert names(b"\x1b[A\x1bOD w\rF") == (["up arrow", "left arrow", "space", "w", "enter", "f"], b"")
    assert names(b"u\x1b[") == (["u"], b"\x1b[")
    assert names(b"\x1b") == ([], b"\x1b")
    assert names(b"\x1b[15~x\x1b[1;2") == (["x"], b"\x1b[1;2")
    assert names(b"\x1bu") == (["escape", "u"], b"")


def test_the_terminal_is_as_it_was_after_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    with os.fdopen(slave) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)

        def read_and_fail() -> None:
            with Keys() as keys:
                assert termios.tcgetattr(stdin.fileno())[3] & (termios.ECHO | termios.ICANON) == 0
                os.write(master, b"\x1b[C")
                assert keys.read(0.2) == ["right arrow"]
                os.write(master, b"\x1b")
                assert keys.read(0.2) == ["escape"]
                raise RuntimeError

        with pytest.raises(RuntimeError):
            read_and_fail()
        assert termios.tcgetattr(stdin.fileno()) == before
    os.close(master)
