"""A whole controller on one address: ports, clock and physics in one loop, in a thread of its own."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, TypeVar

import mujoco

from hardware.fake_fci.control import Control
from hardware.fake_fci.faults import Fault, Script
from hardware.fake_fci.loop import TICK, Loop, Setup
from hardware.fake_fci.messages import GRIPPER_PORT, ROBOT_PORT
from hardware.fake_fci.physics import Physics
from hardware.scheduling import short_slices
from robot_learn.errors import UserError, unknown
from robot_learn.franka import HOME, parameters

_ANSWER = 10.0  # [s] in which the loop must come round to a call
T = TypeVar("T")


class FakeArm:
    """A controller that unmodified clients of the robot interface connect to, with its arm; a context manager.

    In lockstep the arm waits for each command, so that nothing is ever lost and a run repeats itself to the bit; while
    nothing moves, its time stands still. Without, a tick is a millisecond of the wall clock.

    Args:
        model: an arm with torque motors at 1 ms, as `sims.franka.physical` makes it.
        data: the world's state; made and put at HOME if there is none. Nobody else may touch it while the arm runs,
            but through `call`.
        host: address to listen on; the ports are compiled into the clients, so every arm needs an address of its own.
        version: of the protocol, 5 to 10; None takes clients of all.
        lockstep: wait for commands.
        arm: "fr3" or "fer"; by default what the model is called.
        faults: what goes wrong, and when.
        urgent: run before everything else on the machine (SCHED_FIFO), where that is allowed; for real time.
        patience: [s] that lockstep waits for a command before it counts as lost.
        start: puts the world at the start of an episode by its seed; for `reset`.
        success: whether the task is done; for `succeeded`.
        say: takes lines about clients that come and go and what they do wrong.
        paced: in lockstep, no faster than the wall clock: for whoever goes by that, or watches.
        on_tick: called after each millisecond of the arm's time with its number, which its state will have, and the
            controller; within the arm's thread, so it must be quick.

    Raises:
        UserError: the model is unsuited, or the address is taken.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData | None = None,
        *,
        host: str = "127.0.0.1",
        version: int | None = 10,
        lockstep: bool = True,
        arm: str | None = None,
        faults: Iterable[Fault] = (),
        urgent: bool = False,
        patience: float = 2.0,
        start: Callable[[int], None] | None = None,
        success: Callable[[], bool] | None = None,
        say: Callable[[str], None] | None = None,
        paced: bool = False,
        on_tick: Callable[[int, Control], None] | None = None,
    ) -> None:
        name = arm or _name(model)
        told = say or (lambda _: None)
        self.address, self._setup = host, Setup(host, name, version, lockstep, patience, told, paced, on_tick)
        self.model, self.data = model, mujoco.MjData(model) if data is None else data
        if data is None:
            _at_home(model, self.data)
        self.physics = Physics(model, self.data, parameters(name))
        self.control = Control(self.physics)
        script = tuple(faults)
        for fault in script:
            self._check(fault)
        self._script, self._urgent = Script(script), urgent
        self._start, self._success = start, success
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._loop: Loop | None = None
        self._thread: threading.Thread | None = None

    # From outside, from any thread.

    def open(self) -> FakeArm:
        """Listen, and begin to tick.

        Raises:
            UserError: the address is taken.
        """
        try:
            self._loop = Loop(self._setup, self.control, self._script)
        except OSError as error:
            what = f"cannot listen on {self.address}, ports {ROBOT_PORT} and {GRIPPER_PORT}"
            raise UserError(f"fake arm: {what}: {error.strerror}") from None
        self._waker, self._wake = socket.socketpair()
        self._waker.setblocking(False)
        self._thread = threading.Thread(
            target=self._run, args=(self._loop,), name=f"fake arm {self.address}", daemon=True
        )
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop, and let all clients go; at any time, also twice."""
        if self._thread is not None and self._loop is not None:
            self._loop.stopping = True
            with contextlib.suppress(OSError):
                self._wake.send(b"x")
            self._thread.join()
            self._thread = None
            self._waker.close()
            self._wake.close()

    @property
    def time(self) -> float:
        """[s] the arm's clock, as its newest state has it."""
        return 0.0 if self._loop is None else TICK * self._loop.ticks

    @property
    def running(self) -> bool:
        """It listens and ticks; no more after a fault "kill"."""
        return self._thread is not None and self._thread.is_alive()

    def __enter__(self) -> FakeArm:
        return self.open()

    def __exit__(self, *raised: object) -> None:
        self.close()

    def call(self, function: Callable[[], T]) -> T:
        """What `function` returns when it is called between two ticks, where the world may be read and changed."""
        if not self.running:
            return function()
        answer: Future[T] = Future()

        def run() -> None:
            try:
                answer.set_result(function())
            except BaseException as error:
                answer.set_exception(error)

        self._jobs.put(run)
        with contextlib.suppress(BlockingIOError):
            self._wake.send(b"x")
        return answer.result(timeout=_ANSWER)

    def reset(self, seed: int = 0) -> None:
        """Put the world at the start of an episode; a motion that is under way is preempted."""
        self.call(lambda: self._reset(seed))

    def succeeded(self) -> bool:
        """Whether the task is done, by its own measure."""
        success = self._success
        return success is not None and self.call(success)

    def inject(self, fault: Fault) -> None:
        """Let something go wrong now.

        Raises:
            UserError: it pushes a body that there is not.
        """
        self._check(fault)
        self.call(lambda: self._script.inject(fault))

    def state(self) -> dict[str, Any]:
        """How the arm is, in plain numbers and words."""
        return self.call(self._state)

    def _check(self, fault: Fault) -> None:
        bodies = [self.model.body(i).name for i in range(1, self.model.nbody)]
        if fault.kind == "push" and fault.body not in bodies:
            raise unknown("body", fault.body, bodies)

    # In the thread.

    def _reset(self, seed: int) -> None:
        self.control.stop()
        if self._start is not None:
            self._start(seed)
        else:
            mujoco.mj_resetData(self.model, self.data)
            _at_home(self.model, self.data)
        self.control.errors, self.control.mode = (), "idle"
        self.physics.refresh()
        self.control.collisions.clear()
        self.control.restart()
        self._script.restart()
        if self._loop is not None and self._loop.gripper is not None:
            self._loop.gripper.restart()

    def _state(self) -> dict[str, Any]:
        control, loop = self.control, self._loop
        session = None if loop is None else loop.session
        hand = None if loop is None else loop.gripper
        return {
            "ticks": 0 if loop is None else loop.ticks,
            "connected": session is not None and session.version is not None,
            "version": None if session is None else session.version,
            "mode": control.mode,
            "generator": None if control.motion is None else control.motion.generator,
            "errors": list(control.errors),
            "last_errors": list(control.reflex_reason),
            "success_rate": control.success_rate,
            "q": self.physics.sensed.q.tolist(),
            "dq": self.physics.sensed.dq.tolist(),
            "opening": None if hand is None else hand.opening,
            "late": 0.0 if loop is None else loop.late,
        }

    def _run(self, loop: Loop) -> None:
        if self._urgent:
            _hurry(self._setup.say)
        elif not self._setup.lockstep:
            short_slices()
        loop.run(self._waker, self._do_jobs)

    def _do_jobs(self) -> None:
        while not self._jobs.empty():
            self._jobs.get()()


def _hurry(say: Callable[[str], None]) -> None:
    try:
        os.sched_setscheduler(threading.get_native_id(), os.SCHED_FIFO, os.sched_param(50))
    except (OSError, AttributeError) as error:
        say(f"no real-time priority: {error}")


def _name(model: mujoco.MjModel) -> str:
    return str(model.names[: model.names.index(b"\0")].decode())


def _at_home(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    data.qpos[:7] = HOME
    mujoco.mj_forward(model, data)
