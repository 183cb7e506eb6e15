"""The arm by panda-python's binding of libfranka 0.9: "panda://HOST", an FER ("Panda") with system 4.2.1 or newer.

Of that package only the binding is used, not its own controllers: those ask the arm for a model library and close the
loop on torques, where ours sends guarded joint velocities every millisecond.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np

from hardware.arm import Observation
from hardware.continuity import Continuity
from hardware.limits import Envelope
from hardware.loop import Job, Tick
from hardware.process import Backend, ClientArm, open_arm
from hardware.states import reader
from robot_learn.franka import FER

_NO_FILTER = 1000.0  # [Hz] the cutoff that libfranka takes for none; the guard's commands are smooth already


BACKEND = Backend("panda", "panda_py", "hardware.panda:PandaClient", "hardware.panda:hand", "fer")


def connect(rest: str, **settings: Any) -> ClientArm:
    """The arm at host `rest`; settings as `hardware.process.open_arm` takes them."""
    return open_arm(BACKEND, rest, **settings)


class PandaClient:
    """A `hardware.loop.Client`."""

    period = 1
    parameters = FER

    def __init__(self, job: Job) -> None:
        from panda_py import libfranka

        self._library = libfranka
        config = libfranka.RealtimeConfig
        self._robot = libfranka.Robot(job.host, config.kEnforce if job.realtime else config.kIgnore)
        self._observation, self._continuous = reader(libfranka.Errors), Continuity(FER)
        version = str(self._robot.server_version())
        self.versions = (("panda-python", metadata.version("panda-python")), ("wire protocol", version))

    def protect(self, envelope: Envelope) -> None:
        torque, force = [envelope.collision_torque] * 7, [envelope.collision_force] * 6
        self._robot.set_collision_behavior(torque, torque, force, force)

    def read(self) -> Observation:
        return self._observation(self._robot.read_once())

    def move(self, tick: Tick, sent: Callable[[], None]) -> None:
        def follow(state: Any, _duration: Any) -> Any:
            dq, finished = tick(self._observation(state))
            dq, fits = self._continuous(dq, np.array(state.dq_d), np.array(state.ddq_d))
            velocities = self._library.JointVelocities(dq.tolist())
            velocities.motion_finished = finished and fits
            sent()  # nearly: there is no moment after it that is ours
            return velocities

        mode = self._library.ControllerMode.kJointImpedance
        self._robot.control_joint_velocity(follow, mode, False, _NO_FILTER)

    def recover(self) -> None:
        self._robot.automatic_error_recovery()


def hand(host: str) -> Any:
    """The client of the gripper, for `hardware.hand`."""
    from panda_py import libfranka

    return libfranka.Gripper(host)
