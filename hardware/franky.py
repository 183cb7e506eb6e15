"""The arm by franky: "franky://HOST", an FR3 with system 5.9 or newer; the one to choose without a real-time kernel.

A control loop in C++ answers the arm every millisecond, whatever Python does; it moves from one setpoint to the next
within limits of velocity, acceleration and jerk. The guard gives a setpoint every 10 ms of the arm's clock: the joint
velocities at the end of what it has thought out for those ticks. A setpoint is held for a short while only, so that the
arm comes to rest by itself when this process stalls.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from typing import Any
from xml.etree import ElementTree

import numpy as np

from hardware.arm import ArmError, Observation
from hardware.limits import Envelope
from hardware.loop import Job, Tick
from hardware.process import Backend, ClientArm, open_arm
from hardware.states import reader
from robot_learn.franka import FR3, ArmParameters

PERIOD = 10  # [ms] between two setpoints
HELD = 60  # [ms] that a setpoint is followed for after it was reached, without the next one
_SILENCE = 2.0  # [s] without a new state, after which the arm is lost; the library itself gives up after one
_PAUSE = 0.5  # [s] that its loop may be held for the next setpoint
_LONGEST_STOP = 3.0  # [s]


BACKEND = Backend("franky", "franky", "hardware.franky:FrankyClient", "hardware.franky:hand", "fr3")


def connect(rest: str, **settings: Any) -> ClientArm:
    """The arm at host `rest`; settings as `hardware.process.open_arm` takes them."""
    return open_arm(BACKEND, rest, **settings)


def as_told(published: ArmParameters, urdf: str) -> ArmParameters:
    """The published limits, or the arm's own where its description has narrower ones, as older arms do."""
    limits: dict[int, Any] = {}
    for joint in ElementTree.fromstring(urdf).iter("joint"):
        limit, name = joint.find("limit"), joint.get("name", "")
        if limit is not None and name[-1:].isdigit() and "finger" not in name:
            limits[int(name[-1])] = limit
    if sorted(limits) != list(range(1, 8)):
        return published
    told = {key: np.array([float(limits[i].get(key)) for i in range(1, 8)]) for key in ("lower", "upper", "velocity")}
    return replace(
        published,
        lower=np.maximum(published.lower, told["lower"]),
        upper=np.minimum(published.upper, told["upper"]),
        velocity=np.minimum(published.velocity, told["velocity"]),
    )


class _Gate:
    """Holds franky's loop, and with it the clock of an arm in lockstep, until there is a new setpoint."""

    def __init__(self) -> None:
        self._left, self._shut, self._changed = 0, True, threading.Condition()

    def allow(self, ticks: int) -> None:
        with self._changed:
            self._left, self._shut = ticks, True
            self._changed.notify_all()

    def open(self) -> None:
        with self._changed:
            self._shut = False
            self._changed.notify_all()

    def step(self, *_: object) -> None:
        """Called by franky at each tick of a motion."""
        with self._changed:
            self._changed.wait_for(lambda: self._left > 0 or not self._shut, timeout=_PAUSE)
            self._left -= 1


class FrankyClient:
    """A `hardware.loop.Client`."""

    period = PERIOD

    def __init__(self, job: Job) -> None:
        import franky

        self._library = franky
        config = franky.RealtimeConfig.Enforce if job.realtime else franky.RealtimeConfig.Ignore
        self._robot = franky.Robot(job.host, realtime_config=config)
        self._observation, self._synchronous, self._gate = reader(franky.Errors), job.synchronous, _Gate()
        self.parameters = as_told(FR3, self._robot.model_urdf)
        self.versions = (("franky-control", metadata.version("franky-control")), ("wire protocol", "10"))

    def protect(self, envelope: Envelope) -> None:
        """Thresholds of the robot, and limits of franky's own: those that it comes with are another arm's."""
        self._robot.set_collision_behavior(envelope.collision_torque, envelope.collision_force)
        robot = self._robot
        for limit, most in (
            (robot.joint_velocity_limit, envelope.velocity_share * FR3.velocity),
            (robot.joint_acceleration_limit, envelope.acceleration_share * FR3.acceleration),
            (robot.joint_jerk_limit, envelope.jerk_share * FR3.jerk),
        ):
            limit.set(np.minimum(most, limit.max))

    def read(self) -> Observation:
        return self._observation(self._robot.state)

    def move(self, tick: Tick, sent: Callable[[], None]) -> None:
        observation, finished = self.read(), False
        try:
            while not finished:
                dq, finished = tick(observation)
                self._send(self._library.JointVelocityMotion(dq, self._library.Duration(HELD)))
                sent()
                observation = self._wait_for(observation.sequence + PERIOD)
            self._gate.open()
            self._robot.move(self._library.JointVelocityStopMotion(), asynchronous=True)
            if not self._robot.join_motion(timeout=_LONGEST_STOP):
                raise ArmError(f"the arm was not at rest {_LONGEST_STOP:g} s after its motion was ended")
        except BaseException:
            self._gate.open()
            self._halt()
            raise

    def _send(self, motion: Any) -> None:
        if self._synchronous:
            motion.register_callback(self._gate.step)
        self._robot.move(motion, asynchronous=True)
        self._gate.allow(PERIOD)

    def _wait_for(self, sequence: int) -> Observation:
        """The first state from this tick on. Raises what the motion raised."""
        deadline = time.monotonic() + _SILENCE
        while (observation := self.read()).sequence < sequence:
            self._robot.poll_motion()
            if time.monotonic() > deadline:
                raise ArmError(f"no new state of the arm has come for {_SILENCE:g} s")
            time.sleep(0.0005)
        return observation

    def _halt(self) -> None:
        """End whatever runs, at once; what ended it is being raised already."""
        for end in (self._robot.stop, self._robot.join_motion):
            try:
                end()
            except Exception:
                continue

    def recover(self) -> None:
        self._robot.recover_from_errors()


def hand(host: str) -> Any:
    """The client of the gripper, for `hardware.hand`."""
    import franky

    return franky.Gripper(host)
