"""The hand behind its own port: homing, moving, grasping until contact, each answered when it has ended.

The fingers move in the same world as the arm; a command ramps the wanted opening at the speed that was asked for.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from hardware.fake_fci.messages import GRIPPER_PORT
from hardware.fake_fci.robot_port import Port, Request
from robot_learn.franka import FINGER_TRAVEL, GRIP_FORCE

VERSION = 3
HEADER = struct.Struct("<HII")  # command, its number, size with the header
STATE = struct.Struct("<IddBH")  # number, opening [m], largest [m], grasped, temperature [degrees C]
COMMANDS = ("Connect", "Homing", "Grasp", "Move", "Stop")
SUCCESS, FAIL, UNSUCCESSFUL, ABORTED = range(4)
LARGEST = 2 * FINGER_TRAVEL
_DT = 0.001
_HOMING_SPEED, _FASTEST = 0.05, 0.2  # [m/s] of the opening
_STUCK_TICKS = 60  # without moving: something is between the fingers, or they are there
_STILL = 1e-5  # [m] that the opening changes in a tick when it moves no more
_CLOSE = 1e-3  # [m]
_TEMPERATURE = 30


@dataclass(eq=False)
class _Job:
    """What the hand is doing."""

    request: Request
    kind: str
    targets: list[float]  # [m] openings to go to, one after the other
    speed: float  # [m/s]
    force: float = GRIP_FORCE  # [N]
    accepted: tuple[float, float] = (0.0, LARGEST)  # [m] openings at which a grasp has something
    still: int = 0


class Gripper:
    """The hand of a model with an actuator "gripper" that takes the wanted opening."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, host: str) -> None:
        self._model, self._data = model, data
        self._actuator = model.actuator("gripper").id
        self._addresses = [model.joint(name).qposadr[0] for name in ("left_finger", "right_finger")]
        names = ("left_finger_tip", "right_finger_tip")
        self._tips = [mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_GEOM, name) for name in names]
        self.port = Port(host, GRIPPER_PORT, HEADER)
        self._states = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._states.bind((host, 0))
        self._states.setblocking(False)
        self._client: tuple[str, int] | None = None
        self._job: _Job | None = None
        self._number = 0
        self.grasped = False
        self._before = self.opening

    @property
    def opening(self) -> float:
        """[m] between the fingertips."""
        return float(sum(self._data.qpos[address] for address in self._addresses))

    @property
    def busy(self) -> bool:
        return self._job is not None

    def restart(self) -> None:
        """The world has been reset: nothing is held, nothing is under way."""
        self._finish(ABORTED)
        self.grasped, self._before = False, self.opening
        self._model.actuator_forcerange[self._actuator] = [-GRIP_FORCE, GRIP_FORCE]

    def serve(self, ready: Sequence[socket.socket]) -> None:
        """Take what has come over TCP."""
        self.port.greet(ready)
        if self.port.connection is None or self.port.connection.socket not in ready:
            return
        for request in self.port.connection.requests():
            self._handle(request)
        if not self.port.connection.open:
            self._job, self._client = None, None
            self.port.drop()

    def publish(self) -> None:
        """Send the hand's state."""
        if self._client is None:
            return
        self._number += 1
        state = STATE.pack(self._number, self.opening, LARGEST, self.grasped, _TEMPERATURE)
        with contextlib.suppress(OSError):
            self._states.sendto(state, self._client)

    def _handle(self, request: Request) -> None:
        name = COMMANDS[request.command] if request.command < len(COMMANDS) else ""
        numbers = _numbers(name, request.payload)
        if numbers is None:
            self._answer(request, FAIL)
        elif name == "Connect":
            self._connect(request, int(numbers[0]), int(numbers[1]))
        elif name == "Stop":
            self._finish(ABORTED)
            self._data.ctrl[self._actuator] = self.opening
            self._answer(request, SUCCESS)
        elif self._job is not None:
            self._answer(request, FAIL)
        else:
            self._begin(request, name, numbers)

    def _connect(self, request: Request, version: int, port: int) -> None:
        right = version == VERSION
        assert self.port.connection is not None
        if right:
            self._client = (self.port.connection.peer, port)
        payload = struct.pack("<HH", 0 if right else 1, VERSION)
        self.port.connection.answer(request.command, request.number, payload)
        self.publish()

    def _begin(self, request: Request, name: str, numbers: tuple[float, ...]) -> None:
        self.grasped = False
        if name == "Homing":
            job = _Job(request, name, [0.0, LARGEST], _HOMING_SPEED)
        elif name == "Move":
            width, speed = numbers
            job = _Job(request, name, [width], speed)
        else:
            width, inner, outer, speed, force = numbers
            # To a width well beyond the present one it opens, against what it holds from inside.
            target = LARGEST if self.opening < width - inner else 0.0
            job = _Job(request, name, [target], speed, min(force, GRIP_FORCE), (width - inner, width + outer))
        sound = min(job.targets) >= 0.0 and max(job.targets) <= LARGEST + 1e-9 and job.speed > 0 and job.force > 0
        if not (sound and np.all(np.isfinite(numbers))):
            self._answer(request, FAIL)
            return
        self._model.actuator_forcerange[self._actuator] = [-job.force, job.force]
        self._data.ctrl[self._actuator] = self.opening
        self._job, self._before = job, self.opening

    def tick(self) -> None:
        """One millisecond of what is under way; the world has just been stepped."""
        job = self._job
        if job is None:
            return
        step = min(job.speed, _FASTEST) * _DT
        ramp, target = float(self._data.ctrl[self._actuator]), job.targets[0]
        self._data.ctrl[self._actuator] = ramp + float(np.clip(target - ramp, -step, step))
        opening = self.opening
        job.still = job.still + 1 if abs(opening - self._before) < _STILL else 0
        self._before = opening
        arrived = ramp == target and abs(opening - target) < _CLOSE
        if not arrived and job.still < _STUCK_TICKS:
            return
        if job.kind == "Grasp":
            self._grasp_ends(job, opening)
        elif len(job.targets) > 1 and arrived:
            job.targets.pop(0)
            job.still = 0
        else:
            self._finish(SUCCESS if arrived else UNSUCCESSFUL)

    def _grasp_ends(self, job: _Job, opening: float) -> None:
        low, high = job.accepted
        self.grasped = low < opening + self._sunk() < high
        # It goes on pressing with the force that was asked for.
        self._data.ctrl[self._actuator] = job.targets[0]
        self._finish(SUCCESS if self.grasped else UNSUCCESSFUL)

    def _sunk(self) -> float:
        """How deep [m] both fingertips together are in what they hold: simulated things give way, real ones hardly."""
        contacts = self._data.contact
        deepest = [
            max((-float(contacts.dist[i]) for i in range(self._data.ncon) if tip in contacts.geom[i]), default=0.0)
            for tip in self._tips
        ]
        return sum(max(depth, 0.0) for depth in deepest)

    def _finish(self, status: int) -> None:
        job, self._job = self._job, None
        if job is not None:
            self._answer(job.request, status)

    def _answer(self, request: Request, status: int) -> None:
        if self.port.connection is not None:
            self.port.connection.answer(request.command, request.number, struct.pack("<H", status))

    def close(self, *, abruptly: bool = False) -> None:
        self.port.close(abruptly=abruptly)
        self._states.close()


_PAYLOADS = {
    "Connect": struct.Struct("<HH"),
    "Homing": struct.Struct("<"),
    "Grasp": struct.Struct("<5d"),
    "Move": struct.Struct("<2d"),
    "Stop": struct.Struct("<"),
}


def _numbers(name: str, payload: bytes) -> tuple[float, ...] | None:
    """What a request says; None if it is none."""
    if name not in _PAYLOADS or len(payload) != _PAYLOADS[name].size:
        return None
    return _PAYLOADS[name].unpack(payload)
