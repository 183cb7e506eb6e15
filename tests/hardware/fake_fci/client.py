"""A client of the robot interface in plain sockets, written from the protocol's description alone, for all versions.

Sizes and offsets are typed in here again, so that a mistake in the tables of hardware/fake_fci is no mistake here.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

import numpy as np

IDENTITY = tuple(np.eye(4).ravel())
# Offset of a field in a state: (version 10, versions 5 to 9), and how many numbers it has.
OFFSETS = {
    "O_T_EE": (8, 8, 16),
    "O_T_EE_d": (72, 136, 16),
    "F_T_EE": (136, 264, 16),
    "EE_T_K": (200, 392, 16),
    "F_T_NE": (264, 520, 16),
    "NE_T_EE": (328, 648, 16),
    "m_ee": (392, 776, 1),
    "I_ee": (396, 784, 9),
    "F_x_Cee": (432, 856, 3),
    "m_load": (444, 880, 1),
    "I_load": (448, 888, 9),
    "F_x_Cload": (484, 960, 3),
    "elbow": (496, 984, 2),
    "elbow_d": (504, 1000, 2),
    "tau_J": (512, 1016, 7),
    "tau_J_d": (540, 1072, 7),
    "dtau_J": (568, 1128, 7),
    "q": (596, 1184, 7),
    "q_d": (624, 1240, 7),
    "dq": (652, 1296, 7),
    "dq_d": (680, 1352, 7),
    "ddq_d": (708, 1408, 7),
    "joint_contact": (736, 1464, 7),
    "cartesian_contact": (764, 1520, 6),
    "joint_collision": (788, 1568, 7),
    "cartesian_collision": (816, 1624, 6),
    "tau_ext_hat_filtered": (840, 1672, 7),
    "O_F_ext_hat_K": (868, 1728, 6),
    "K_F_ext_hat_K": (892, 1776, 6),
    "O_dP_EE_d": (916, 1824, 6),
    "O_ddP_O": (940, 1872, 3),
    "elbow_c": (952, 1896, 2),
    "delbow_c": (960, 1912, 2),
    "ddelbow_c": (968, 1928, 2),
    "O_T_EE_c": (976, 1944, 16),
    "O_dP_EE_c": (1040, 2072, 6),
    "O_ddP_EE_c": (1064, 2120, 6),
    "theta": (1088, 2168, 7),
    "dtheta": (1116, 2224, 7),
    "control_command_success_rate": (1373, 2365, 1),
}
BYTES = {
    "motion_generator_mode": (1288, 2280, 1),
    "controller_mode": (1289, 2281, 1),
    "errors": (1290, 2282, 41),
    "reflex_reason": (1331, 2323, 41),
    "robot_mode": (1372, 2364, 1),
}
IDLE, MOVE, GUIDING, REFLEX, USER_STOPPED = 1, 2, 3, 4, 5
COMMANDS = {
    5: "Connect Move StopMove GetCartesianLimit SetCollisionBehavior SetJointImpedance SetCartesianImpedance "
    "SetGuidingMode SetEEToK SetNEToEE SetLoad SetFilters AutomaticErrorRecovery LoadModelLibrary",
    6: "Connect Move StopMove SetCollisionBehavior SetJointImpedance SetCartesianImpedance SetGuidingMode SetEEToK "
    "SetNEToEE SetLoad AutomaticErrorRecovery LoadModelLibrary",
    10: "Connect Move StopMove SetCollisionBehavior SetJointImpedance SetCartesianImpedance SetGuidingMode SetEEToK "
    "SetNEToEE SetLoad AutomaticErrorRecovery GetRobotModel",
}
COMMANDS[7] = COMMANDS[6]
COMMANDS[8] = COMMANDS[9] = COMMANDS[6] + " GetRobotModel"


class GoneError(Exception):
    """The controller has closed the connection."""


class State:
    """One state datagram, read by offset."""

    def __init__(self, datagram: bytes, version: int) -> None:
        self._datagram, self._ten = datagram, version >= 10

    @property
    def message_id(self) -> int:
        return int.from_bytes(self._datagram[:8], "little")

    def __getattr__(self, name: str) -> Any:
        if name in BYTES:
            first, count = BYTES[name][0 if self._ten else 1], BYTES[name][2]
            found = self._datagram[first : first + count]
            return found[0] if count == 1 else [bool(flag) for flag in found]
        ten, five, count = OFFSETS[name]
        numbers = np.frombuffer(self._datagram, "<f4" if self._ten else "<f8", count, ten if self._ten else five)
        return float(numbers[0]) if count == 1 else numbers.astype(float)


class Client:
    """Connected on construction."""

    def __init__(self, host: str, version: int = 10, *, listens: bool = True) -> None:
        self.version, self._number, self._unread = version, 0, b""
        self.answers: dict[int, bytes] = {}
        self.timeout = 5.0  # [s] for a state
        self.tcp = socket.create_connection((host, 1337), 5.0)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1" if listens else host, 0))
        self._robot: tuple[str, int] | None = None
        self.connected = struct.unpack("<BH", self.ask("Connect", "<HH", version, self.udp.getsockname()[1]))

    def send(self, name: str, form: str = "<", *numbers: Any) -> int:
        command = COMMANDS[self.version].split().index(name) if self.version in COMMANDS else 0
        payload = struct.pack(form, *numbers)
        self.tcp.sendall(struct.pack("<III", command, self._number, 12 + len(payload)) + payload)
        self._number += 1
        return self._number - 1

    def answer(self, number: int, timeout: float = 5.0) -> bytes:
        """What was answered to a request; what is answered to others meanwhile is kept."""
        self.tcp.settimeout(timeout)
        while number not in self.answers:
            came = self.tcp.recv(65536)
            if not came:
                raise GoneError
            self._unread += came
            while len(self._unread) >= 12 and len(self._unread) >= (
                size := struct.unpack_from("<I", self._unread, 8)[0]
            ):
                _, told, _ = struct.unpack_from("<III", self._unread)
                self.answers[told], self._unread = self._unread[12:size], self._unread[size:]
        return self.answers.pop(number)

    def ask(self, name: str, form: str = "<", *numbers: Any) -> bytes:
        return self.answer(self.send(name, form, *numbers))

    def status(self, name: str, form: str = "<", *numbers: Any) -> int:
        return self.ask(name, form, *numbers)[0]

    def state(self) -> State:
        """The newest state; waits for one."""
        self.udp.settimeout(self.timeout)
        datagram, self._robot = self.udp.recvfrom(4096)
        self.udp.setblocking(False)
        try:
            while True:
                datagram, self._robot = self.udp.recvfrom(4096)
        except BlockingIOError:
            pass
        return State(datagram, self.version)

    def fresh(self) -> State:
        """A state from after now, when nothing else is in its way."""
        self.state()
        return self.state()

    def until(self, mode: int) -> State:
        for _ in range(3000):
            state = self.state()
            if state.robot_mode == mode:
                return state
        raise AssertionError(f"robot mode stays {state.robot_mode}, wanted {mode}")

    def move(self, generator: int, controller: int = 0, most: Any = None) -> int:
        """Ask for a motion; its request's number. The first answer must be that it has started."""
        numbers = [controller, generator, *[10.0] * 6]
        form = "<II6d"
        if self.version >= 10:
            form, numbers = "<II6dB7d", [*numbers, most is not None, *(most if most is not None else [0.0] * 7)]
        number = self.send("Move", form, *numbers)
        told = self.answer(number)
        if told != b"\1":
            raise AssertionError(f"move: answered {told!r}")
        return number

    def command(self, message_id: int, **given: Any) -> None:
        fields: dict[str, Any] = {
            "q": [0.0] * 7,
            "dq": [0.0] * 7,
            "pose": IDENTITY,
            "twist": [0.0] * 6,
            "elbow": [0.0, 0.0],
        }
        fields |= {"valid_elbow": "elbow" in given, "finished": False, "tau": [0.0] * 7, "torque_finished": False}
        f = fields | given
        packed = struct.pack(
            "<Q7d7d16d6d2dBB7d",
            message_id,
            *f["q"],
            *f["dq"],
            *f["pose"],
            *f["twist"],
            *f["elbow"],
            f["valid_elbow"],
            f["finished"],
            *f["tau"],
        )
        assert self._robot is not None
        self.udp.sendto(packed + bytes([f["torque_finished"]] if self.version >= 7 else []), self._robot)

    def follow(self, ticks: int, make: Any, *, finish: bool = True) -> list[State]:
        """Answer states with `make(tick)`, a dictionary; the last one ends the motion."""
        states = []
        for tick in range(ticks):
            state = self.state()
            states.append(state)
            if tick and state.robot_mode != MOVE:
                break
            fields = make(tick)
            if finish and tick == ticks - 1:
                fields = fields | {"finished": True, "torque_finished": self.version >= 7}
            self.command(state.message_id, **fields)
        return states

    def close(self) -> None:
        self.tcp.close()
        self.udp.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()
