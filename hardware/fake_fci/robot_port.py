"""Requests over TCP: frames are cut out of the stream, handed to the controller, and its answers framed again."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

from hardware.fake_fci.messages import HEADER, LONGEST_REQUEST

_DOORSTEP = 0.25  # [s] that a second client may wait for the first to go


@dataclass(frozen=True)
class Request:
    """One message of a client."""

    command: int
    number: int  # the client's own count, which the answer repeats
    payload: bytes


class Connection:
    """One client on a TCP port, without ever waiting for it.

    Args:
        header: of messages there and back: command, number, size with the header.
    """

    def __init__(self, connected: socket.socket, header: struct.Struct = HEADER) -> None:
        self.socket, self._header = connected, header
        self.peer: str = connected.getpeername()[0]
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread = b""
        self.open = True

    def requests(self) -> list[Request]:
        """All whole requests that have come. What is not our protocol, or an end, closes the connection."""
        self._read()
        found = []
        while self.open and len(self._unread) >= self._header.size:
            command, number, size = self._header.unpack_from(self._unread)
            if not self._header.size <= size <= LONGEST_REQUEST:
                self.open = False
            elif len(self._unread) < size:
                break
            else:
                found.append(Request(command, number, self._unread[self._header.size : size]))
                self._unread = self._unread[size:]
        return found

    def _read(self) -> None:
        try:
            came = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            came = b""
        self._unread += came
        self.open = bool(came)

    def answer(self, command: int, number: int, payload: bytes) -> None:
        """Send one answer. Answers are short, but for the model (some 20 kB), for which the client is waiting."""
        frame = self._header.pack(command, number, self._header.size + len(payload)) + payload
        self.socket.settimeout(1.0)
        try:
            self.socket.sendall(frame)
        except OSError:
            self.open = False
        finally:
            with contextlib.suppress(OSError):
                self.socket.setblocking(False)

    def close(self, *, abruptly: bool = False) -> None:
        """Let the client go. Abruptly: with a reset, as when the controller loses power."""
        self.open = False
        with contextlib.suppress(OSError):
            if abruptly:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Port:
    """A listening port that takes one client at a time.

    Another that comes meanwhile is let in when the first has gone, or else, after a moment, turned away by a reset. (A
    connection that is closed politely leaves clients waiting for their answer for ever.)
    """

    def __init__(self, host: str, number: int, header: struct.Struct = HEADER) -> None:
        self._header = header
        self.connection: Connection | None = None
        self._knocked: float | None = None  # [s] since when another client waits
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind((host, number))
            self._listener.listen(8)
        except OSError:
            self._listener.close()
            raise
        self._listener.setblocking(False)
        self._closed = False

    def sockets(self) -> list[socket.socket]:
        """What to wait on."""
        found = [] if self.connection is None else [self.connection.socket]
        return found if self._closed or self._knocked is not None else [*found, self._listener]

    def greet(self, ready: Sequence[socket.socket]) -> bool:
        """See to who is at the door; True if there is a new client."""
        if self._knocked is None and self._listener not in ready:
            return False
        if self.connection is None:
            self._knocked, self.connection = None, self._accept()
            return self.connection is not None
        self._knocked = self._knocked or time.monotonic()
        if time.monotonic() - self._knocked > _DOORSTEP:
            self._knocked, other = None, self._accept()
            if other is not None:
                other.close(abruptly=True)
        return False

    def _accept(self) -> Connection | None:
        try:
            return Connection(self._listener.accept()[0], self._header)
        except OSError:  # it has gone again
            return None

    def drop(self, *, abruptly: bool = False) -> None:
        """Let the client go."""
        if self.connection is not None:
            self.connection.close(abruptly=abruptly)
            self.connection = None

    def close(self, *, abruptly: bool = False) -> None:
        """Let the client go and listen no more."""
        self.drop(abruptly=abruptly)
        self._listener.close()
        self._closed = True
