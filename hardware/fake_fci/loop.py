"""The loop that a fake controller turns in: its ports, its clock, and what goes wrong, one thread for all of it."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np

from hardware.fake_fci.control import Control
from hardware.fake_fci.faults import Fault, Script
from hardware.fake_fci.gripper import Gripper
from hardware.fake_fci.messages import ROBOT_PORT
from hardware.fake_fci.report import write
from hardware.fake_fci.robot_port import Port
from hardware.fake_fci.session import Session
from hardware.fake_fci.udp import RobotCommand, StatePort

TICK = 0.001  # [s]
_HURRIED = TICK / 4  # of the wall clock, for a tick in lockstep in which nobody has a say
_GRIPPER_PERIOD = 0.05  # [s] a real hand tells of itself 10 to 20 times a second


@dataclass(frozen=True)
class Setup:
    """How a controller presents itself; see `FakeArm`."""

    host: str
    name: str  # of the arm
    version: int | None
    lockstep: bool
    patience: float  # [s]
    say: Callable[[str], None]
    paced: bool = False  # in lockstep: no faster than the wall clock
    on_tick: Callable[[int, Control], None] | None = None  # told of each millisecond, with its number


class Loop:
    """Everything that happens while the arm is up.

    Attributes:
        session: the client, while there is one.
        ticks: states sent, or that would have been.
        late: [s] of the wall clock that the controller itself was late by in real time, and left out.
        stopping: set it, and wake the loop, to end it.

    Raises:
        OSError: an address or port cannot be had.
    """

    def __init__(self, setup: Setup, control: Control, script: Script) -> None:
        self._setup, self._control, self._script = setup, control, script
        self._physics = control.physics
        self.session: Session | None = None
        self.ticks, self.late, self.stopping = 0, 0.0, False
        self._gave_up = False  # waiting for the client in lockstep
        self._due = self._hand_due = time.perf_counter()
        self._port = Port(setup.host, ROBOT_PORT)
        try:
            self._states = StatePort(setup.host)
            model, data = self._physics.model, self._physics.data
            with_hand = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_ACTUATOR, "gripper") >= 0
            self.gripper = Gripper(model, data, setup.host) if with_hand else None
        except OSError:
            self._port.close()
            raise

    def run(self, waker: socket.socket, jobs: Callable[[], None]) -> None:
        """Turn until it is told to stop; `jobs` is called between ticks whenever something comes from `waker`."""
        self._waker, self._jobs = waker, jobs
        self._due = self._hand_due = time.perf_counter()
        command: RobotCommand | None = None
        try:
            while not self.stopping:
                if not (self._setup.lockstep and self._frozen(command)):
                    self._advance(command)
                self._publish()
                command = self._wait()
        finally:
            self._control.client_gone()
            for part in (self._port, self.gripper, self._states):
                if part is not None:
                    part.close()

    def _frozen(self, command: RobotCommand | None) -> bool:
        """Whether time may stand still, so that nothing depends on how long somebody takes."""
        control = self._control
        if self._script.busy or (self.gripper is not None and self.gripper.busy):
            return False
        waiting = control.motion is not None and not control.motion.begun and control.motion.planner is None
        return command is None if waiting else control.at_rest

    def _advance(self, command: RobotCommand | None) -> None:
        self._go_wrong()
        if command is not None and self._script.loses():
            command = None
        self._control.advance(command)
        if self.gripper is not None:
            self.gripper.tick()
        if self._setup.on_tick is not None:
            self._setup.on_tick(self.ticks + 1, self._control)

    def _go_wrong(self) -> None:
        begun, ended = self._script.tick(moving=self._control.motion is not None and self._control.motion.begun)
        for fault in begun:
            self._setup.say(f"fault: {fault.kind}")
            self._change(fault, True)
        for fault in ended:
            self._change(fault, False)

    def _change(self, fault: Fault, begins: bool) -> None:
        if fault.kind == "push":
            force = self._physics.skeleton.to_world(np.array(fault.force)) if begins else np.zeros(3)
            self._physics.data.xfrc_applied[self._physics.model.body(fault.body).id, :3] = force
            self._physics.pushing = bool(self._physics.data.xfrc_applied.any())
        elif fault.kind == "user_stop":
            self._control.user_stop(begins)
        elif fault.kind == "guiding":
            self._control.guide(begins)
        elif fault.kind == "kill" and begins:
            self._kill()

    def _kill(self) -> None:
        """As at a loss of power: every socket is reset, nothing listens any more."""
        self.session, self.stopping = None, True
        self._control.client_gone()
        self._port.close(abruptly=True)
        if self.gripper is not None:
            self.gripper.close(abruptly=True)

    def _publish(self) -> None:
        self.ticks += 1
        if self.session is not None and self.session.version is not None and not self._script.active("silence"):
            write(self.session.message, self._control, self.ticks)
            self._states.publish(self.session.message.bytes)

    def _wait(self) -> RobotCommand | None:
        """Wait as long as this tick lasts, serving everybody; the command that answers the newest state, if it came."""
        started = time.perf_counter()
        patient = self._setup.lockstep and self._control.expects_commands and not self._script.active("silence")
        # Once its patience is over, time goes on without the client until it comes back.
        patience = TICK if self._gave_up else self._setup.patience
        tick_ends = self._next_tick(started)
        end = started + patience if patient else tick_ends
        found: RobotCommand | None = None
        while True:
            came = self._states.newest()
            if came is not None and self._fits(came):
                found = came
            now = time.perf_counter()
            if found is not None and self._setup.lockstep:
                end = tick_ends if self._setup.paced else now
            if now >= end or self.stopping:
                break
            self._serve(max(0.0, min(end, self._hand_due) - now))
            if patient and not self._control.expects_commands:  # the motion has just been ended
                break
        self._serve(0.0)
        self._gave_up = patient and found is None
        return found

    def _fits(self, command: RobotCommand) -> bool:
        """Whether a command is for now: an answer to the newest state, or the first of a motion, or a mere target."""
        motion = self._control.motion
        if motion is None:
            return False
        if not motion.begun or motion.planner is not None:
            return True
        return command.message_id == self.ticks

    def _next_tick(self, now: float) -> float:
        """When this tick ends on the wall clock. Being late is not made up for: the clock slips, and that is told."""
        if self._setup.lockstep and not self._setup.paced:  # what is under way without commands need not take its time
            hurry = self._control.motion is None and not self._frozen(None)
            return now + (_HURRIED if hurry else TICK)
        self._due += TICK
        if self._due < now - TICK:
            self.late += now + TICK - self._due
            self._due = now + TICK
        return self._due

    def _serve(self, timeout: float) -> None:
        """Wait for anything to come, at most so long, and handle everything but states and commands."""
        braking = self._control.braking  # requests wait until the arm is at rest
        robot = [] if braking else self._port.sockets()
        hand = [] if self.gripper is None else self.gripper.port.sockets()
        ready, _, _ = select.select([self._waker, self._states.socket, *robot, *hand], [], [], timeout)
        if self._waker in ready:
            self._read_jobs()
        if not braking:
            self._serve_robot(ready)
        if self.gripper is not None:
            self.gripper.serve(ready)
            now = time.perf_counter()
            if now >= self._hand_due:
                self._hand_due = now + _GRIPPER_PERIOD
                self.gripper.publish()

    def _read_jobs(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._waker.recv(4096)
        self._jobs()

    def _serve_robot(self, ready: list[socket.socket]) -> None:
        if self._port.greet(ready) and self._port.connection is not None:
            self.session = Session(
                self._port.connection, self._control, self._setup.name, self._setup.version, self._setup.say
            )
        if self.session is None or self.session.connection.socket not in ready:
            return
        session = self.session
        new = session.version is None
        session.serve()
        if new and session.version is not None:
            self._states.connect((session.connection.peer, session.udp_port), session.version)
            self._setup.say(f"client from {session.connection.peer}, version {session.version}")
        if not session.connection.open:
            self._drop()

    def _drop(self) -> None:
        """The client has gone: stop the arm, and let the next one in."""
        self._setup.say("client gone")
        self._control.client_gone()
        self._states.disconnect()
        self.session = None
        self._port.drop()
