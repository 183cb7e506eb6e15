"""The page's end of the process that drives an arm: orders to it, news of it, and the person's hand, passed on.

The hand goes by `hardware.inputs.remote`, which numbers its readings and wants the newest number back, so that it knows
how old a hand is. The page's own beats tell how old the hand is when it arrives here; the number that goes back is that
of a reading which had arrived here before the page took the hand down. So the age over there is that of the whole way.
"""

from __future__ import annotations

import json
import socket
import tempfile
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

from hardware.arm import ArmError
from hardware.inputs import Hand
from hardware.spawn import Child, spawn
from robot_learn.deployment.settings import Settings
from robot_learn.errors import UserError

_BEATS = 256  # numbered readings that are remembered
_LAST_WORDS = 8.0  # [s] for the process to stop the arm and write what there is
_NOTHING_YET = 1.0  # [s] for one that has no arm yet


class Driver:
    """Starts the process; `poll` often, `close` at the end.

    Args:
        settings: of the session on the arm; its hand is this page.
    """

    def __init__(self, settings: Settings) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="hand-")  # short: a socket's path may have 107 bytes
        self._path = Path(self._folder.name) / "hand"
        self._child: Child = spawn(
            "robot_learn.session.drive.process:serve", replace(settings, hand=f"socket:{self._path}"), 4096
        )
        self._line: HandLine | None = None
        self.state: dict[str, Any] = {"mode": "starting"}
        self.ready: dict[str, Any] | None = None
        self.failed = ""  # why the process has ended

    def poll(self) -> list[tuple[str, Any]]:
        """What has happened since the last call; the newest state is in `state` then. Never waits."""
        events: list[tuple[str, Any]] = []
        if self.failed:
            return events
        try:
            while self._child.pipe.poll():
                kind, content = self._child.pipe.recv()
                self._hear(kind, content, events)
        except (EOFError, OSError):
            if not self.failed:
                self.failed = f"the process that drives the arm ended, exit status {self._child.ended()}"
        if self.failed:
            self.state = self.state | {"mode": "gone"}
            events.append(("trouble", self.failed))
        return events

    def _hear(self, kind: str, content: Any, events: list[tuple[str, Any]]) -> None:
        if kind == "state":
            self.state = content
        elif kind == "failed":
            self.failed = str(content)
        else:
            if kind == "ready":
                self.ready = content
                self._line = HandLine(self._path, content["token"])
            events.append((kind, content))

    def order(self, what: str, value: Any = None) -> None:
        """Raises UserError: nobody is there to hear it."""
        try:
            self._child.pipe.send((what, value))
        except OSError as error:
            raise UserError("the process that drives the arm is gone; connect again") from error

    def hand(self, hand: Hand) -> None:
        """Pass on what the person's hand did `hand.age` seconds ago."""
        if self._line is not None:
            self._line.send(hand)

    def close(self) -> None:
        """The arm is stopped and everything written."""
        if self._line is not None:
            self._line.close()
        self._child.end(_LAST_WORDS if self.ready else _NOTHING_YET)
        self._folder.cleanup()


class HandLine:
    """A client of `hardware.inputs.remote`, which never waits.

    Raises:
        ArmError: nobody listens.
    """

    def __init__(self, path: Path, token: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            raise ArmError(f"nobody listens for the hand: {error}") from error
        self._socket.setblocking(False)
        self._rest = b""
        self._beats: deque[tuple[float, int]] = deque(maxlen=_BEATS)  # when a reading's number arrived here
        self._write(json.dumps({"token": token}).encode() + b"\n")

    def send(self, hand: Hand, now: float | None = None) -> None:
        """A line; none where no reading had arrived yet when the hand was like this."""
        now = time.monotonic() if now is None else now
        self._read(now)
        beat = max((number for came, number in self._beats if came <= now - hand.age), default=None)
        if beat is None:
            return
        told: dict[str, Any] = {"beat": beat, "twist": hand.twist.tolist(), "dead_man": hand.dead_man}
        told |= {} if hand.opening is None else {"opening": hand.opening}
        told |= {"buttons": sorted(hand.buttons)} if hand.buttons else {}
        self._write(json.dumps(told).encode() + b"\n")

    def close(self) -> None:
        self._socket.close()

    def _read(self, now: float) -> None:
        try:
            came = self._socket.recv(65536)
        except OSError:  # nothing, or the other side is gone, which the pipe tells
            return
        *lines, self._rest = (self._rest + came).split(b"\n")
        for line in lines:
            told = json.loads(line)
            if "beat" in told:
                self._beats.append((now, int(told["beat"])))

    def _write(self, line: bytes) -> None:
        try:
            if self._socket.send(line) != len(line):
                self._socket.close()  # half a line: the hand is gone rather than wrong
        except OSError:  # full or gone: the hand grows old over there
            return
