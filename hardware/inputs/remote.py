"""Another program as a hand: a page or a script that sends what the person does, as lines of JSON.

The first line is {"token": ...}; each further one says all there is:

    {"beat": 17, "twist": [0.5, 0, 0, 0, 0, 0], "dead_man": true, "opening": 0.08, "buttons": ["stop"]}

and may leave out everything but the beat. At each reading a line {"beat": n} goes the other way, and the number of the
newest that has come goes back in "beat": what the line says was so after that beat was sent, so its age is known
without a second clock, however long the network held it back. Send ten lines a second or more, changed or not, and take
the beat down where the hand is read, not where the line is sent: a page that hangs must not answer for its hand.

Only programs on this machine are heard, only with the token, one at a time. What is no such line ends the connection:
a source that talks nonsense is gone, and the dead-man switch with it.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import socket
from collections import deque
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import numpy as np

from hardware.inputs import GONE, Hand, gone
from robot_learn.errors import UserError

LONGEST = 4096  # bytes of a line
PATIENCE = 2.0  # [s] for the token
_BEATS = 512  # how many are remembered
_KEYS = {"beat", "twist", "dead_man", "opening", "buttons"}


class Remote:
    """Listens on a loopback address (host, port), or at a path for a Unix socket, and tells what the newest line says.

    Raises:
        UserError: the address is not this machine's own, or it cannot be listened on.
    """

    _client: socket.socket | None
    _known: bool  # it has said the token
    _rest: bytes  # half a line
    _heard: list[bytes]  # whole lines
    _said: Hand
    _true_since: float  # [s] when the beat was sent that it answers
    _tapped: set[str]  # buttons since the last reading
    help = "another program moves the hand; it must be given the address and the token"

    def __init__(self, address: tuple[str, int] | Path, token: str = "") -> None:
        self.token = token or secrets.token_urlsafe(24)
        self._path = address if isinstance(address, Path) else None
        self._listener = _listen(address)
        self._since = 0.0  # when the client came
        self._beat = 0
        self._sent: deque[tuple[int, float]] = deque(maxlen=_BEATS)
        self._client = None
        self._drop()

    @property
    def name(self) -> str:
        return f"socket at {self.address}"

    @property
    def address(self) -> str:
        """Where it listens: "127.0.0.1:40001", or a path."""
        if self._path is not None:
            return str(self._path)
        host, port = self._listener.getsockname()[:2]
        return f"{host}:{port}"

    def read(self, now: float) -> Hand:
        self._accept(now)
        if self._client is None:
            return gone()
        try:
            for line in self._lines():
                self._hear(line, now)
            if not self._known and not 0.0 <= now - self._since <= PATIENCE:
                raise UserError("no token came")
            if self._known:
                self._send_beat(now)
        except UserError as error:
            self._refuse(self._client, str(error))
            self._drop()
        except OSError:
            self._drop()
        return self._hand(now)

    # --- The connection.

    def _accept(self, now: float) -> None:
        """Take a client; one that comes while another is heard is told so."""
        while True:
            try:
                came, _ = self._listener.accept()
            except OSError:  # nobody; or closed
                return
            if self._client is not None:
                self._refuse(came, "somebody else is connected")
                came.close()
                continue
            came.setblocking(False)
            self._client, self._since = came, now

    def _lines(self) -> list[bytes]:
        """The whole lines that have come.

        Raises:
            UserError: a line has no end. OSError: the client is gone.
        """
        assert self._client is not None
        while True:
            try:
                came = self._client.recv(65536)
            except BlockingIOError:
                break
            if not came:
                raise ConnectionResetError
            self._rest += came
            *lines, self._rest = self._rest.split(b"\n")
            self._heard += lines
            if len(self._rest) > LONGEST or len(self._heard) > _BEATS:
                raise UserError(f"a line is longer than {LONGEST} bytes, or {_BEATS} came at once")
        lines, self._heard = self._heard, []
        return lines

    def _send_beat(self, now: float) -> None:
        """A client that does not read its beats fills the pipe and is gone."""
        assert self._client is not None
        self._beat += 1
        line = b'{"beat": %d}\n' % self._beat
        if self._client.send(line) != len(line):
            raise ConnectionResetError
        self._sent.append((self._beat, now))

    @staticmethod
    def _refuse(client: socket.socket, why: str) -> None:
        with suppress(OSError):
            client.send(json.dumps({"error": why}).encode() + b"\n")

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client, self._known, self._rest, self._heard = None, False, b"", []
        self._sent.clear()
        self._said, self._true_since, self._tapped = gone(), -np.inf, set()

    # --- What it says.

    def _hear(self, line: bytes, now: float) -> None:
        if len(line) > LONGEST:
            raise UserError(f"a line is longer than {LONGEST} bytes")
        try:
            told = json.loads(line)
        except ValueError as error:  # also what is no UTF-8
            raise UserError("a line is no JSON") from error
        except RecursionError as error:
            raise UserError("a line is nested too deeply") from error
        if not isinstance(told, dict):
            raise UserError("a line is no object")
        if not self._known:
            if not hmac.compare_digest(str(told.get("token", "")).encode(), self.token.encode()):
                raise UserError("wrong token")
            self._known = True
            return
        sent = dict(self._sent)
        beat = told.get("beat")
        if not isinstance(beat, int) or isinstance(beat, bool) or beat > self._beat:
            raise UserError(f"wanted the newest beat, a whole number up to {self._beat}, came {beat!r}")
        self._said = _hand_of(told)
        self._tapped |= self._said.buttons
        self._true_since = sent.get(beat, -np.inf)  # older than all that is remembered

    def _hand(self, now: float) -> Hand:
        age = now - self._true_since
        if self._client is None or not 0.0 <= age < GONE:
            return gone()
        buttons, self._tapped = frozenset(self._said.buttons | self._tapped), set()
        return Hand(self._said.twist, self._said.opening, self._said.dead_man, buttons, age)

    def close(self) -> None:
        self._drop()
        self._listener.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def _hand_of(told: dict[str, Any]) -> Hand:
    """A line, checked.

    Raises:
        UserError: a key is unknown, or a value is none of its kind.
    """
    if unknown_keys := told.keys() - _KEYS:
        raise UserError(f"no such key: {', '.join(sorted(unknown_keys))}; allowed: {', '.join(sorted(_KEYS))}")
    twist, opening, buttons = told.get("twist", [0.0] * 6), told.get("opening"), told.get("buttons", [])
    if not isinstance(twist, list):
        raise UserError("twist: wanted a list of 6 numbers")
    numbers = [*twist, *([] if opening is None else [opening])]
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers):
        raise UserError("wanted numbers as twist and opening")
    if not isinstance(told.get("dead_man", False), bool):
        raise UserError("dead_man: wanted true or false")
    if not isinstance(buttons, list) or not all(isinstance(name, str) for name in buttons):
        raise UserError("buttons: wanted a list of names")
    if any(abs(number) > 1 for number in numbers):  # also whole numbers that no float can hold
        raise UserError("wanted numbers from -1 to 1 as twist and opening")
    return Hand(np.array(twist, dtype=np.float64), opening, told.get("dead_man", False), frozenset(buttons))


def _listen(address: tuple[str, int] | Path) -> socket.socket:
    try:
        if isinstance(address, Path):
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            before = os.umask(0o177)  # nobody else may connect, from the first moment
            try:
                listener.bind(str(address))
            finally:
                os.umask(before)
        else:
            if not ip_address(address[0]).is_loopback:
                raise UserError(f"a hand is heard on this machine only (127.0.0.1), not on {address[0]}")
            listener = socket.create_server(address)
        listener.listen(4)
        listener.setblocking(False)
    except (OSError, ValueError, OverflowError) as error:
        raise UserError(f"cannot listen for a hand on {address}: {error}") from error
    return listener


def connect(rest: str = "", *, token: str = "") -> Remote:
    """Listen at "HOST:PORT", at ":PORT" or nothing for a free port of 127.0.0.1, or at a path for a Unix socket.

    Raises:
        UserError: that is no address, or it cannot be listened on.
    """
    if "/" in rest:
        return Remote(Path(rest), token)
    host, _, port = rest.rpartition(":")
    if port and not port.isdecimal():
        raise UserError(f"input socket:{rest}: wanted HOST:PORT or a path, e.g. socket:127.0.0.1:7766")
    return Remote((host or "127.0.0.1", int(port or 0)), token)
