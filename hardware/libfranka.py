"""The arm by libfranka's own Python client: "fci://HOST", an FR3 with system 5.9 or newer.

Every millisecond is ours: the guard runs at 1 kHz and what it says is what the arm gets.
"""

from __future__ import annotations

import importlib.util
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
from robot_learn.franka import FR3

BACKEND = Backend("fci", "pylibfranka", "hardware.libfranka:LibfrankaClient", "hardware.libfranka:hand", "fr3")


def connect(rest: str, **settings: Any) -> ClientArm:
    """The arm at host `rest`; settings as `hardware.process.open_arm` takes them."""
    return open_arm(BACKEND, rest, **settings)


class LibfrankaClient:
    """A `hardware.loop.Client`."""

    period = 1
    parameters = FR3

    def __init__(self, job: Job) -> None:
        import pylibfranka

        self._library = pylibfranka
        config = pylibfranka.RealtimeConfig
        self._robot = pylibfranka.Robot(job.host, config.kEnforce if job.realtime else config.kIgnore)
        self._observation, self._continuous = reader(pylibfranka.Errors), Continuity(FR3)
        self.versions = (("pylibfranka", metadata.version("pylibfranka")), ("wire protocol", "10"))

    def protect(self, envelope: Envelope) -> None:
        torque, force = [envelope.collision_torque] * 7, [envelope.collision_force] * 6
        self._robot.set_collision_behavior(torque, torque, force, force)

    def read(self) -> Observation:
        return self._observation(self._robot.read_once())

    def move(self, tick: Tick, sent: Callable[[], None]) -> None:
        control = self._robot.start_joint_velocity_control(self._library.ControllerMode.JointImpedance)
        try:
            finished = False
            while not finished:
                state, _ = control.readOnce()
                dq, finished = tick(self._observation(state))
                dq, fits = self._continuous(dq, np.array(state.dq_d), np.array(state.ddq_d))
                finished = finished and fits
                velocities = self._library.JointVelocities(dq.tolist())
                velocities.motion_finished = finished
                control.writeOnce(velocities)
                sent()
        finally:
            del control  # a motion that is not finished yet is stopped by this, and none can start before

    def recover(self) -> None:
        self._robot.automatic_error_recovery()


def hand(host: str) -> Any:
    """The client of the gripper, for `hardware.hand`: franky's where it is installed.

    They speak the same protocol, but pylibfranka's holds Python's lock until a motion is over, so that it can neither
    be read meanwhile nor told to go elsewhere.
    """
    if importlib.util.find_spec("franky") is not None:
        import franky

        return franky.Gripper(host)
    import pylibfranka

    return pylibfranka.Gripper(host)
