"""How long a network takes to an arm and back: many small packets one after another, as a controller gets them.

ICMP echo where this user may send it, else the time that a TCP connection takes, which tells nothing of lost packets.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

PAYLOAD = 1200  # bytes, about as much as a state of the arm
_HEADER = struct.Struct("!BBHHH")


@dataclass(frozen=True)
class Echoes:
    """Answers to what was sent."""

    sent: int
    times: tuple[float, ...]  # [s] of those that came back
    kind: str  # "icmp" or "tcp"

    @property
    def lost(self) -> float:
        """Share that did not come back."""
        return 1.0 - len(self.times) / self.sent if self.sent else 1.0


def ping(host: str, *, count: int = 300, interval: float = 0.001, wait: float = 0.2) -> Echoes | None:
    """ICMP echoes of PAYLOAD bytes; None where this user may send none.

    Args:
        interval: [s] between two of them.
        wait: [s] for the last answers.

    Raises:
        OSError: the host cannot be found, or there is no way to it.
    """
    link = _socket()
    if link is None:
        return None
    with link:
        link.setblocking(False)
        where = (socket.gethostbyname(host), 0)
        mark, sent_at, times = os.urandom(8), [0.0] * count, []
        begun = time.monotonic()
        for number in range(count):
            sent_at[number] = time.monotonic()
            link.sendto(_request(number, mark), where)
            times += _answers(link, mark, sent_at, begun + (number + 1) * interval)
        times += _answers(link, mark, sent_at, time.monotonic() + wait, enough=count - len(times))
    return Echoes(count, tuple(times), "icmp")


def _socket() -> socket.socket | None:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            return socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP)
        except (PermissionError, OSError):
            continue
    return None


def _request(number: int, mark: bytes) -> bytes:
    data = mark + b"\0" * (PAYLOAD - len(mark))
    bare = _HEADER.pack(8, 0, 0, os.getpid() & 0xFFFF, number) + data
    return _HEADER.pack(8, 0, checksum(bare), os.getpid() & 0xFFFF, number) + data


def checksum(packet: bytes) -> int:
    """RFC 1071's: the complement of the sum of 16-bit words with the carry added back in."""
    total: int = sum(word for (word,) in struct.iter_unpack("!H", packet + b"\0" * (len(packet) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _answers(
    link: socket.socket, mark: bytes, sent_at: Sequence[float], until: float, enough: int | None = None
) -> list[float]:
    """Times of the answers that come until then; those to other processes are skipped by the mark."""
    found: list[float] = []
    while (left := until - time.monotonic()) > 0 and (enough is None or len(found) < enough):
        if not select.select([link], [], [], left)[0]:
            break
        packet, now = link.recv(PAYLOAD + 128), time.monotonic()
        packet = packet[20:] if packet[:1] == b"\x45" else packet  # raw sockets give the IP header too
        if len(packet) >= 16 and packet[0] == 0 and packet[8:16] == mark:
            found.append(now - sent_at[_HEADER.unpack_from(packet)[4] % len(sent_at)])
    return found


def connect_times(host: str, port: int, *, count: int = 5, timeout: float = 1.0) -> Echoes:
    """How long TCP connections take that are closed at once. A refusal is an answer too: somebody is there."""
    times = []
    for _ in range(count):
        begun = time.monotonic()
        try:
            socket.create_connection((host, port), timeout).close()
        except ConnectionRefusedError:
            pass
        except OSError:
            continue
        times.append(time.monotonic() - begun)
    return Echoes(count, tuple(times), "tcp")
