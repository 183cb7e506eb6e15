"""One client on the robot port: its requests, version by version, put to the controller and answered."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from hardware.fake_fci.control import Control
from hardware.fake_fci.errors import status
from hardware.fake_fci.kinematics import is_pose
from hardware.fake_fci.messages import CONTROLLERS, GENERATORS, REQUESTS, VERSIONS, StateMessage, payload
from hardware.fake_fci.model_library import model_library
from hardware.fake_fci.report import settle
from hardware.fake_fci.robot_port import Connection, Request
from hardware.fake_fci.urdf import urdf
from robot_learn.errors import UserError

_INCOMPATIBLE = 1
# Lowest and highest [Nm/rad], [N/m].
_STIFFNESS = {
    "SetJointImpedance": (np.zeros(7), np.full(7, 14250.0)),
    "SetCartesianImpedance": (np.repeat([10.0, 1.0], 3), np.repeat([3000.0, 300.0], 3)),
}
Say = Callable[[str], None]


class Session:
    """What is between one connection and the controller.

    Attributes:
        version: of the protocol, as the client asked for it; None before it has.
        udp_port: where the client takes states.
        message: the state as this version sends it.
    """

    def __init__(self, connection: Connection, control: Control, name: str, version: int | None, say: Say) -> None:
        self.connection, self._control, self._name = connection, control, name
        self._offered, self._say = version, say
        self.version: int | None = None
        self.udp_port = 0
        self.message = StateMessage(10)

    def serve(self) -> None:
        """Answer what has come. While the arm is braking, requests wait."""
        if self._control.braking:
            return
        for request in self.connection.requests():
            self._handle(request)

    def _handle(self, request: Request) -> None:
        if self.version is None:
            self._connect(request)
            return
        names = REQUESTS[self.version]
        name = names[request.command] if request.command < len(names) else ""
        if not name or len(request.payload) != payload(name, self.version).size:
            self._say(
                f"request {request.command} {name or 'unknown'} with {len(request.payload)} bytes: connection closed"
            )
            self.connection.open = False
            return
        numbers = payload(name, self.version).unpack(request.payload)
        if name == "Move":
            self._move(request, numbers)
        elif name == "GetRobotModel":
            self._answer(request, b"\0" + urdf(self._control.arm, self._name).encode())
        elif name == "LoadModelLibrary":
            self._answer(request, self._library(numbers))
        elif name == "GetCartesianLimit":
            self._answer(request, b"\0" + struct.pack("<19dB", *np.zeros(3), *np.eye(4).ravel(), 0))
        elif name == "Connect":  # twice
            self.connection.open = False
        else:
            self._outcome(request, name, self._do(name, numbers))

    def _answer(self, request: Request, content: bytes) -> None:
        self.connection.answer(request.command, request.number, content)

    def _outcome(self, request: Request, name: str, outcome: str) -> None:
        assert self.version is not None
        self._answer(request, bytes([status(name, outcome, self.version)]))

    def _connect(self, request: Request) -> None:
        form = payload("Connect", 10)
        if request.command != 0 or len(request.payload) != form.size:
            self.connection.open = False
            return
        asked, port = form.unpack(request.payload)
        mine = VERSIONS[-1] if self._offered is None else self._offered
        good = asked in VERSIONS and self._offered in (None, asked)
        self._answer(request, struct.pack("<BH", 0 if good else _INCOMPATIBLE, asked if good else mine))
        if not good:
            self._say(f"a client of version {asked} came; this controller speaks {mine}")
            return
        self.version, self.udp_port = asked, port
        self.message = StateMessage(asked)
        settle(self.message, self._control)

    def _move(self, request: Request, numbers: tuple[float, ...]) -> None:
        assert self.version is not None
        controller, generator = int(numbers[0]), int(numbers[1])
        most = np.array(numbers[9:16]) if self.version >= 10 and numbers[8] else None
        generators = GENERATORS if self.version >= 7 else GENERATORS[:-1]
        if controller >= len(CONTROLLERS) or generator >= len(generators):
            self._outcome(request, "Move", "invalid_argument")
            return

        def answer(outcome: str) -> None:
            self._outcome(request, "Move", outcome)

        answer(self._control.move(generators[generator], CONTROLLERS[controller], answer, most))

    def _library(self, numbers: tuple[float, ...]) -> bytes:
        try:
            return b"\0" + model_library(self._control.arm, int(numbers[0]), int(numbers[1]))
        except UserError as error:
            self._say(str(error))
            return b"\1"

    def _do(self, name: str, numbers: tuple[float, ...]) -> str:
        if name == "StopMove":
            return self._control.stop()
        if name == "AutomaticErrorRecovery":
            return self._control.recover()
        values = np.array(numbers, dtype=float)
        if not np.all(np.isfinite(values)):
            return "invalid_argument"
        if name in ("SetEEToK", "SetNEToEE", "SetLoad"):
            if self._control.motion is not None:
                return "not_possible"
            good = self._set_load(values) if name == "SetLoad" else self._set_frame(name, values)
            settle(self.message, self._control)
            return "success" if good else "invalid_argument"
        return "success" if self._set(name, values) else "invalid_argument"

    def _set(self, name: str, values: np.ndarray) -> bool:
        physics = self._control.physics
        if name == "SetCollisionBehavior":
            return self._control.collisions.set(values)
        if name in _STIFFNESS:
            softest, stiffest = _STIFFNESS[name]
            if np.any(values < softest) or np.any(values > stiffest):
                return False
            if name == "SetJointImpedance":
                physics.joint_stiffness = values
            else:
                physics.cartesian_stiffness = values
        return True  # guiding axes and filters are taken and change nothing here

    def _set_frame(self, name: str, values: np.ndarray) -> bool:
        T, tool = values.reshape(4, 4).T, self._control.physics.tool
        if not is_pose(T):
            return False
        if name == "SetEEToK":
            tool.EE_T_K = T
        else:
            tool.NE_T_EE = T
        self._control.physics.look()
        self._control.restart()
        return True

    def _set_load(self, values: np.ndarray) -> bool:
        if values[0] < 0:
            return False
        tool = self._control.physics.tool
        tool.load, tool.load_centre, tool.load_inertia = float(values[0]), values[1:4], values[4:].reshape(3, 3).T
        return True
