"""`robot-learn hand`, with another program as the hand."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from hardware.inputs import gamepad
from robot_learn.cli import main


def test_it_shows_what_a_hand_does_and_counts_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()
    take = gamepad.Gamepad._take

    def taken(pad: gamepad.Gamepad) -> None:
        begun.set()
        take(pad)

    monkeypatch.setattr(gamepad.Gamepad, "_take", taken)
    path = tmp_path / "js0"
    os.mkfifo(path)
    write = os.open(path, os.O_RDWR)

    def play() -> None:
        begun.wait(30.0)
        for kind, number, value in ((1, 5, 0), (1, 5, 1), (2, 1, -32767)):  # open; the switch; forward
            time.sleep(0.3)
            os.write(write, struct.pack("<IhBB", 0, value, kind, number))

    thread = threading.Thread(target=play)
    thread.start()
    assert main(["hand", "--input", f"gamepad:{path}", "--seconds", "1.6", "--rate", "100", "--json"]) == 0
    thread.join()
    os.close(write)
    out, err = capsys.readouterr()
    figures = json.loads(out)
    assert figures["there"] == 1.0
    assert figures["takeovers"] == 1
    assert figures["pushes"] == ["forward"]
    assert 0.1 < figures["person_drove"] < figures["held"] < 0.9
    assert "switch HELD     drives person" in err


def test_a_program_is_told_where_to_connect_and_with_which_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "hand"

    def play() -> None:
        give_up = time.monotonic() + 5.0
        while not path.exists() and time.monotonic() < give_up:
            time.sleep(0.01)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b'{"token": "no"}\n')
            client.recv(100)

    thread = threading.Thread(target=play)
    thread.start()
    assert main(["hand", "--input", f"socket:{path}", "--seconds", "0.5"]) == 0
    thread.join()
    out, err = capsys.readouterr()
    assert f"listening at {path}, token " in err
    assert "there                 0.0" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--input", "mouse"], "no input named 'mouse'; did you mean 'spacemouse'"),
        (["--input", "gamepad:/nowhere"], "no gamepad at /nowhere"),
        (["--rate", "1"], "wanted a rate of 5 to 1000"),
    ],
)
def test_a_mistake_is_one_clear_message(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hand", *words]) == 2
    assert said in capsys.readouterr().err
