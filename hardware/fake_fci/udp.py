"""The exchange of each millisecond: a state to the client, its command back, both as single datagrams.

A client answers to where the last state came from, and repeats its number; an answer to an older state is a lost one.
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass

import numpy as np

from hardware.fake_fci.messages import command_type

_MOST_AT_ONCE = 64  # datagrams read in one go, so that a flood cannot stop the clock


@dataclass(frozen=True, eq=False)
class RobotCommand:
    """A command as it came, nothing checked."""

    message_id: int  # the state that it answers
    q: np.ndarray  # (7,) [rad]
    dq: np.ndarray  # (7,) [rad/s]
    pose: np.ndarray  # (4, 4) T_base_ee
    twist: np.ndarray  # (6,) [m/s, rad/s]
    elbow: np.ndarray | None  # (2,) position of joint 3 [rad] and sign of the elbow
    tau: np.ndarray  # (7,) [Nm]
    motion_finished: bool
    torque_finished: bool


def parse(datagram: bytes, version: int) -> RobotCommand | None:
    """The command in a datagram; None if it has another size."""
    wanted = command_type(version)
    if len(datagram) != wanted.itemsize:
        return None
    record = np.frombuffer(datagram, wanted)[0]
    return RobotCommand(
        message_id=int(record["message_id"]),
        q=record["q_c"],
        dq=record["dq_c"],
        pose=record["O_T_EE_c"].reshape(4, 4).T,
        twist=record["O_dP_EE_c"],
        elbow=record["elbow_c"] if record["valid_elbow"] else None,
        tau=record["tau_J_d"],
        motion_finished=bool(record["motion_generation_finished"]),
        torque_finished=bool(record["torque_command_finished"]) if version >= 7 else False,
    )


class StatePort:
    """The socket for states and commands; it has a client while one is connected."""

    def __init__(self, host: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.setblocking(False)
        self._client: tuple[str, int] | None = None
        self._version = 10

    def connect(self, client: tuple[str, int], version: int) -> None:
        self._client, self._version = client, version

    def disconnect(self) -> None:
        self._client = None

    @property
    def connected(self) -> bool:
        return self._client is not None

    def publish(self, state: bytes | bytearray) -> None:
        """Send a state. A client that has gone, or whose buffer is full, misses it."""
        if self._client is not None:
            with contextlib.suppress(OSError):
                self.socket.sendto(state, self._client)

    def newest(self) -> RobotCommand | None:
        """Of the commands that have come from the client since the last call, the one for the newest state."""
        found: RobotCommand | None = None
        for _ in range(_MOST_AT_ONCE):
            try:
                datagram, sender = self.socket.recvfrom(2048)
            except (BlockingIOError, ConnectionError):
                break
            if sender != self._client:
                continue
            command = parse(datagram, self._version)
            if command is not None and (found is None or command.message_id >= found.message_id):
                found = command
        return found

    def close(self) -> None:
        self.socket.close()
