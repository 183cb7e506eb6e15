"""Another program as a hand: real sockets on the loopback, a clock of the test's own."""

from __future__ import annotations

import json
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware.inputs import Hand
from hardware.inputs.dead_man import DeadMan
from hardware.inputs.remote import LONGEST, Remote, connect
from robot_learn.errors import UserError

TOKEN = "open sesame"


class Client:
    """A program that says what a hand does."""

    def __init__(self, source: Remote, token: str | None = TOKEN) -> None:
        host, port = source.address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=5.0)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lines = self.socket.makefile("rb")
        if token is not None:
            self.say(token=token)

    def say(self, **told: Any) -> None:
        self.raw(json.dumps(told).encode() + b"\n")

    def raw(self, sent: bytes) -> None:
        self.socket.sendall(sent)

    def close(self) -> None:
        self.lines.close()
        self.socket.close()

    def hear(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.lines.readline())
        return told


def reading(source: Remote, now: float, until: float | None = None, **wanted: Any) -> Hand:
    """Readings at one time, until what was sent has come through."""
    give_up = time.monotonic() + 5.0
    while time.monotonic() < give_up:
        hand = source.read(now)
        if all(getattr(hand, name) == value for name, value in wanted.items()):
            return hand
        time.sleep(0.001)
    raise AssertionError(f"wanted {wanted}, came {hand}")


def heard(source: Remote, client: Client, now: float) -> int:
    """Let the client come in, and give the newest beat it has heard."""
    give_up = time.monotonic() + 5.0
    while source._beat == 0 and time.monotonic() < give_up:
        source.read(now)
    return int(client.hear()["beat"])


@pytest.fixture
def source() -> Iterator[Remote]:
    with connect("127.0.0.1:0", token=TOKEN) as found:
        yield found


def test_a_line_is_what_the_hand_does_and_its_age_counts_from_the_beat_that_it_answers(source: Remote) -> None:
    client = Client(source)
    beat = heard(source, client, now=10.0)
    client.say(beat=beat, twist=[0.5, 0, 0, 0, 0, -1], dead_man=True, opening=0.08, buttons=["stop"])
    hand = reading(source, 10.1, dead_man=True)
    np.testing.assert_array_equal(hand.twist, [0.5, 0, 0, 0, 0, -1])
    assert (hand.opening, hand.buttons) == (0.08, {"stop"})
    assert hand.age == pytest.approx(0.1)
    assert source.read(10.25).age == pytest.approx(0.25)


def test_what_the_network_held_back_is_as_old_as_it_is(source: Remote) -> None:
    client = Client(source)
    beat = heard(source, client, now=10.0)
    for i in range(20):
        source.read(11.0 + i)
    client.say(beat=beat, dead_man=True)  # arrives now, and was said when nobody knows, at 10.0 or later
    assert reading(source, 40.0, dead_man=True).age == pytest.approx(30.0)


def test_a_program_that_falls_silent_or_dies_lets_go_of_the_switch(source: Remote) -> None:
    client, switch = Client(source), DeadMan()
    heard(source, client, now=10.0)
    told = []
    for i in range(1, 60):
        now = 10.0 + i * 0.05
        if i < 20:
            client.say(beat=source._beat, dead_man=i > 3)
        hand = reading(source, now, dead_man=i > 3) if i < 20 else source.read(now)
        told.append(switch.update(hand, now))
    assert told[18]
    last = max(i for i, held in enumerate(told, 1) if held)
    assert 19 <= last <= 19 + 0.3 / 0.05
    client.close()
    assert reading(source, 13.0, age=np.inf).dead_man is False


def test_one_that_comes_back_must_say_the_token_again_and_nothing_is_remembered(source: Remote) -> None:
    first = Client(source)
    first.say(beat=heard(source, first, now=1.0), dead_man=True, buttons=["stop"])
    reading(source, 1.0, dead_man=True)
    first.close()
    reading(source, 1.1, age=np.inf)
    second = Client(source)
    assert second.lines
    give_up = time.monotonic() + 5.0
    while source._client is None and time.monotonic() < give_up:
        assert source.read(1.2).age == np.inf
    assert source.read(1.3).buttons == set()


@pytest.mark.parametrize(
    "line", [b'{"token": "wrong"}\n', b"POST / HTTP/1.1\r\n", b"{}\n", b'{"token": null}\n', b"\xff\n"]
)
def test_nobody_without_the_token_is_heard(source: Remote, line: bytes) -> None:
    client = Client(source, token=None)
    client.raw(line + b'{"beat": 0, "dead_man": true}\n')
    give_up = time.monotonic() + 5.0
    while time.monotonic() < give_up:
        assert source.read(1.0).age == np.inf
        client.socket.settimeout(0.01)
        try:
            said = client.socket.recv(4096)
        except TimeoutError:
            continue
        assert "beat" not in json.loads(said)
        return
    raise AssertionError("it was not refused")


def test_one_who_connects_and_says_nothing_does_not_keep_others_out(source: Remote) -> None:
    silent = Client(source, token=None)
    give_up = time.monotonic() + 5.0
    while source._client is None and time.monotonic() < give_up:
        source.read(1.0)
    source.read(3.1)
    assert "no token came" in silent.hear()["error"]
    assert heard(source, Client(source), now=3.2) > 0


def test_a_second_program_is_told_that_there_is_one(source: Remote) -> None:
    first = Client(source)
    beat = heard(source, first, now=1.0)
    second = Client(source)
    give_up = time.monotonic() + 5.0
    second.socket.settimeout(0.02)
    while time.monotonic() < give_up:
        source.read(1.0)
        try:
            assert "somebody else" in json.loads(second.socket.recv(4096))["error"]
            break
        except TimeoutError:
            continue
    first.say(beat=beat, dead_man=True)
    assert reading(source, 1.0, dead_man=True)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"beat": 1, "twist": [2, 0, 0, 0, 0, 0]}', "from -1 to 1"),
        (b'{"beat": 1, "twist": [NaN, 0, 0, 0, 0, 0]}', "from -1 to 1"),
        (b'{"beat": 1, "twist": [1' + b"0" * 400 + b", 0, 0, 0, 0, 0]}", "from -1 to 1"),
        (b'{"beat": 1, "twist": [1, 0]}', "6 numbers"),
        (b'{"beat": 1, "twist": "left"}', "twist: wanted"),
        (b'{"beat": 1, "twist": [true, 0, 0, 0, 0, 0]}', "wanted numbers"),
        (b'{"beat": 1, "dead_man": 1}', "dead_man: wanted"),
        (b'{"beat": 1, "buttons": "stop"}', "buttons: wanted"),
        (b'{"beat": 1, "opening": -1}', "from 0"),
        (b'{"beat": 1, "speed": 3}', "no such key: speed"),
        (b'{"beat": 1000000}', "wanted the newest beat"),
        (b'{"beat": true}', "wanted the newest beat"),
        (b'{"dead_man": true}', "wanted the newest beat"),
        (b"[1]", "no object"),
        (b"{", "no JSON"),
        (b"[" * 4000, "nested|no JSON"),
        (b"x" * (LONGEST + 1), "longer than"),
    ],
)
def test_nonsense_ends_the_connection_and_says_why(source: Remote, line: bytes, says: str) -> None:
    import re

    client = Client(source)
    heard(source, client, now=1.0)
    client.raw(line + b"\n")
    assert reading(source, 1.0, age=np.inf).dead_man is False
    said = [json.loads(answer) for answer in client.lines]
    assert re.search(says, said[-1]["error"])


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=60) | st.just(b'{"beat": 1, "dead_man": true}\n'), max_size=6))
def test_no_bytes_whatever_make_a_reading_fail(sent: list[bytes]) -> None:
    with connect("", token=TOKEN) as source:
        client = Client(source)
        heard(source, client, now=1.0)
        try:
            for part in sent:
                client.raw(part)
                source.read(1.0)
        except (BrokenPipeError, ConnectionResetError):
            pass
        client.close()
        assert source.read(1.0).age >= 0.0


def test_a_program_that_never_reads_its_beats_is_dropped_and_holds_nobody_up(source: Remote) -> None:
    client = Client(source)
    heard(source, client, now=1.0)
    assert source._client is not None
    source._client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    for _ in range(1_000_000):
        if source.read(1.0).age == np.inf and source._client is None:
            return
    raise AssertionError("it was never dropped")


def test_only_this_machine_is_listened_to() -> None:
    with pytest.raises(UserError, match="on this machine only"):
        connect("0.0.0.0:7766")
    for wrong in ("127.0.0.1:port", "nowhere:1", "127.0.0.1:99999"):
        with pytest.raises(UserError, match=r"cannot listen|wanted HOST"):
            connect(wrong)


def test_a_unix_socket_is_its_owners_alone_and_is_removed_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "hand"
    with connect(str(path), token=TOKEN) as source:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(path))
        client.sendall(json.dumps({"token": TOKEN}).encode() + b"\n")
        give_up = time.monotonic() + 5.0
        while source._beat == 0 and time.monotonic() < give_up:
            source.read(1.0)
        client.sendall(b'{"beat": 1, "dead_man": true}\n')
        assert reading(source, 1.0, dead_man=True)
        client.close()
    assert not path.exists()


def test_every_source_has_a_token_of_its_own() -> None:
    with connect() as one, connect() as other:
        assert one.token != other.token
        assert len(one.token) >= 24
