"""The process that talks to an arm: each tick it reads, asks the guard and writes, and it ends what nobody commands.

The clients of Franka's arms want an answer within a millisecond, hold Python's lock while they wait, and cannot be
imported side by side: so each arm gets a process of its own, which does nothing else. Its commander writes commands to
shared memory and reads ticks there; a pipe carries what is rare. When the pipe closes, because the commander closed it
or died, the arm is brought to rest and the process ends.
"""

from __future__ import annotations

import gc
import mmap
import os
import select
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hardware.arm import ArmError, Observation, State
from hardware.guard import Filter, Guard
from hardware.limits import Envelope
from hardware.records import ANSWER, COMMAND, TEXT, TICK, command, last_ticks, pack_observation, text
from hardware.recovery import NO_COMMAND, Recovery
from hardware.ring import Ring
from hardware.scheduling import short_slices
from robot_learn.errors import UserError
from robot_learn.franka import ArmParameters
from robot_learn.registry import load

_TICKS, _COMMANDS = 4096, 16  # slots of the rings: four seconds of ticks
MEMORY = Ring.size(TICK, _TICKS) + Ring.size(COMMAND, _COMMANDS) + Ring.size(ANSWER, _COMMANDS)
_LONGEST_RECOVERY = 2.0  # [s]
_ANEW = "start again"
_MOST_TICKS = 20  # missed at once; after so many the arm stops by itself

Tick = Callable[[Observation], tuple[np.ndarray, bool]]


class HardStop(Exception):  # noqa: N818
    """Raised out of a tick: end the motion at once."""


def rings(memory: mmap.mmap) -> tuple[Ring, Ring, Ring]:
    """Ticks and answers, which this process writes, and commands, which the other one does, in that order of slots."""
    ticks = Ring(memory, TICK, _TICKS)
    answers = Ring(memory, ANSWER, _COMMANDS, ticks.end)
    return ticks, answers, Ring(memory, COMMAND, _COMMANDS, answers.end)


class Client(Protocol):
    """One client of an arm. What it raises ends the motion, and its words reach the commander."""

    parameters: ArmParameters  # the arm's limits, as published or as it tells them
    versions: tuple[tuple[str, str], ...]
    period: int  # ticks between two calls of `tick`; over 1, it moves smoothly from one answer to the next

    def protect(self, envelope: Envelope) -> None:
        """Set the arm's own thresholds and limits."""
        ...

    def read(self) -> Observation:
        """The newest state of an arm at rest; waits for the next one, a second at most."""
        ...

    def move(self, tick: Tick, sent: Callable[[], None]) -> None:
        """Move by the joint velocities (7,) [rad/s] that `tick` gives for each state until it also says True, then end.

        `sent` is called after each answer that was sent: what can wait is done there. Whatever `tick` raises ends the
        motion at once and comes back out.
        """
        ...

    def recover(self) -> None: ...


@dataclass(frozen=True, eq=False)
class Job:
    """What the process is for."""

    client: str  # import path of a function (Job) -> Client
    host: str
    envelope: Envelope
    synchronous: bool = False  # turn so many ticks as are granted, then hold the arm's clock (a simulated one's)
    realtime: bool = False  # on a real-time kernel: refuse to run without, and keep the priority
    filter: Filter | None = None  # as the guard takes it
    needs_heartbeat: bool = False


class Loop:
    """The state of the process."""

    def __init__(self, job: Job, memory: mmap.mmap, pipe: Connection) -> None:
        self.job, self.pipe = job, pipe
        self._waiting = select.poll()  # a tenth of the time of the pipe's own
        self._waiting.register(pipe.fileno(), select.POLLIN)
        self.ticks, self.answers, self.commands = rings(memory)
        self.client: Client = load({}, job.client, kind="client")(job)
        self._keep_priority()
        self.client.protect(job.envelope)
        self.recovery = Recovery()
        self.record = np.zeros((), TICK)
        self.record["opening"] = np.nan
        self.guard = Guard(self.client.parameters, job.envelope, filter=job.filter, needs_heartbeat=job.needs_heartbeat)
        self.following = False
        self.answered, self.handled = 0, 0  # states of this motion; the tick of the last one
        self.sent = np.zeros(7), False  # the last answer
        self.limited: dict[str, None] = {}  # what limited since the last command, in order
        self.granted = 0  # ticks that may be turned, when synchronous
        self.commanded = True  # somebody is at the other end of the pipe
        self.commander = os.getppid()
        self.keep: tuple[str, int] = "", 0  # the file for ticks that nobody reads any more, and the first one for it
        self.stopping = ""  # "", "soft" or "hard"
        self.last: Observation | None = None
        self.offset = 0.0  # [s] from the arm's clock to the host's, when synchronous
        self.unanswered = 0  # number of a command that was looked at and not told of yet
        self.unpublished: Observation | None = None  # a state that was answered and not told of yet
        self.arrived = 1.0  # share of the last 100 commands of the motion that reached the arm in time

    def run(self) -> None:
        """Until the commander is gone. What it has not read of an episode's ticks is then kept in its stead."""
        first = self.client.read()
        self.offset = first.received - first.time
        self._publish(first)
        self._say("ready", (self.client.parameters, self.client.versions))
        while self.commanded:
            self._publish(self.client.read())
            for request, argument in self._requests():
                if request == "start":
                    self._move()
                elif request == "recover":
                    self._answer(self._recover, argument)
        if self.keep[0]:
            records, _ = self.ticks.since(self.keep[1])
            last_ticks(Path(self.keep[0]), records[~records["pending"]])

    def _keep_priority(self) -> None:
        """libfranka takes the highest priority where it may, which starves everything else on the machine."""
        if not self.job.realtime and os.sched_getscheduler(0) != os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        short_slices()

    def _say(self, kind: str, content: object = None) -> None:
        try:
            self.pipe.send((kind, content))
        except OSError:
            self.commanded = False

    def _answer(self, action: Callable[..., object], *arguments: object) -> None:
        try:
            self._say("answer", action(*arguments))
        except (ArmError, UserError) as error:
            self._say("answer", error)

    def _requests(self, wait: bool = False) -> list[tuple[str, Any]]:
        """What has come through the pipe; grants and stops are noted here."""
        found = []
        if os.getppid() != self.commander:  # the pipe may live on in processes that the commander had forked
            self.commanded = False
        try:
            while self.commanded and self._waiting.poll(None if wait else 0):
                request, argument = self.pipe.recv()
                wait = False
                if request == "turn":
                    self.granted += argument
                elif request == "stop":
                    self.stopping = "hard" if "hard" in (self.stopping, argument) else "soft"
                elif request == "beat":
                    self.guard.beat(self._now())
                elif request == "keep":
                    self.keep = argument, self.ticks.count
                else:
                    if request == "start" and not self.following:  # a stop that comes after it counts, however soon
                        self.stopping = ""
                    found.append((request, argument))
        except (EOFError, OSError):
            self.commanded = False
        return found

    def _hear(self, wait: bool = False) -> None:
        """What has come through the pipe during a motion."""
        for request, _ in self._requests(wait):
            if request in ("start", "recover"):
                self._say("answer", ArmError(f"the arm cannot {request}, it is moving", advice="stop it first"))

    def _now(self) -> float:
        """The clock that ages are told by; the arm's own where it is held between our turns."""
        if self.job.synchronous and self.last is not None:
            return self.last.time + self.offset
        return time.monotonic()

    def _dated(self, observation: Observation) -> Observation:
        return replace(observation, received=observation.time + self.offset) if self.job.synchronous else observation

    def _publish(self, observation: Observation, pending: bool = False, sent: float | None = None) -> None:
        observation = self._dated(observation)
        if observation.state == "moving":
            self.arrived = observation.success_rate
        elif observation.state == "reflex":  # whoever asks why is told how it was before
            observation = replace(observation, success_rate=self.arrived)
        self.last = observation
        self.record["pending"] = pending
        pack_observation(observation, self.record)
        self.record["following"] = self.following
        self.record["sent"] = time.monotonic() if sent is None else sent
        self.ticks.put(self.record)

    def _recover(self, by_person: bool) -> None:
        observation = self.client.read()
        if self.recovery.allow(observation.state, observation.errors, by_person):
            self.client.recover()
        if by_person:
            self.guard.acknowledge()
        deadline = time.monotonic() + _LONGEST_RECOVERY
        while observation.state != "idle" or observation.errors:  # the first ones may be from before
            if time.monotonic() > deadline:
                raise self.recovery.error("the arm did not recover", *_told(observation))
            observation = self.client.read()
        self._publish(observation)

    def _move(self) -> None:
        """From a request to start until the motion has ended, however it does."""
        try:
            self._get_ready()
        except ArmError as error:
            self._say("answer", error)
            return
        fault: Exception | None = None
        gc.disable()  # a collection would take milliseconds
        try:
            self.client.move(self._tick, self._after)
        except HardStop:
            pass
        except Exception as error:
            fault = error
        self._end_motion(fault)
        gc.enable()

    def _get_ready(self) -> None:
        """Raises ArmError: the arm is in no state to move."""
        observation = self._dated(self.client.read())
        if observation.state != "idle" or observation.errors:
            raise self.recovery.error(f"the arm cannot start, it is {observation.state}", *_told(observation))
        self._publish(observation)
        self.guard.start(observation, self._now())
        self.handled = observation.sequence
        self.granted, self.answered = 0, 0
        self.unanswered, self.unpublished = 0, None
        self.limited.clear()
        self.record["limited"], self.record["refused"], self.record["command"] = b"", b"", self.commands.count

    def _tick(self, now: Observation) -> tuple[np.ndarray, bool]:
        """What to send for one state, and whether that is the end."""
        now = self._dated(now)
        if not self.following:
            self.following = True
            self._keep_priority()
            self._publish(now, pending=True)
            self._say("answer")
        elif self.job.synchronous and self.answered and now.success_rate == 0.0:
            return self.sent  # to a state from before the first command has come; a newer one is on its way
        self._take_turn(now)
        self._hear()
        if not self.commanded:
            self.stopping = self.stopping or "soft"
        if self.stopping == "hard":
            raise HardStop
        if self.stopping:
            self.guard.release()
        if not self._looks_after:
            self._accept(now)
        if self.job.synchronous:  # whoever turns the arm's clock waits for it
            self._reply(now)
        answer = self._guarded(now)
        self.unpublished = now
        if self.job.synchronous:
            self._after()
        return answer

    def _after(self) -> None:
        """What can wait until the answer to a state was sent."""
        now, self.unpublished, sent = self.unpublished, None, time.monotonic()
        if now is not None:
            if self._looks_after:
                self._accept(now)
            if self.client.period == 1:  # else the client decides where the reference will be
                self.guard.think_ahead(now)
            self._reply(now)
            self._publish(now, sent=sent)

    @property
    def _looks_after(self) -> bool:
        """Are commands taken up after an answer, for the next one? So the arm never waits for a command to be thought
        out; it comes to bear within a tick of its coming. Not where ticks are few or somebody turns the clock.
        """
        return self.client.period == 1 and not self.job.synchronous

    def _take_turn(self, now: Observation) -> None:
        """When synchronous: wait until a tick is granted, or until nobody is there to grant one."""
        if self.job.synchronous and self.granted <= 0:
            self.granted = 0  # what a client with a longer period turned beyond the last grant is no debt of the next
            self._publish(now, pending=True)
        while self.job.synchronous and self.commanded and self.granted <= 0 and not self.stopping:
            self._hear(wait=True)
            self._accept(now)
            self._reply(now)

    def _accept(self, now: Observation) -> None:
        """Put the newest command before the guard, if there is a new one."""
        record = self.commands.newest()
        if record is None or record["number"] <= self.record["command"]:
            return
        try:
            refused = self.guard.accept(command(record), now, self._now()).encode()[:TEXT]
        except ArmError as error:
            refused = str(error).encode()[:TEXT]
        self.record["command"], self.record["refused"] = record["number"], refused
        self.unanswered = int(record["number"])

    def _reply(self, now: Observation) -> None:
        """Say what became of the newest command, if nobody was told."""
        if not self.unanswered:
            return
        number, self.unanswered, refused = self.unanswered, 0, self.record["refused"]
        answer = np.zeros((), ANSWER)
        dq, limited = self.guard.preview(now)
        answer["number"], answer["refused"], answer["dq"], answer["sent"] = number, refused, dq, self._now()
        answer["limited"] = text(tuple(dict.fromkeys((*limited, *self.limited))))
        self.answers.put(answer)
        self.limited.clear()

    def _passed(self, now: Observation) -> int:
        """Ticks since the last state, for the guard to catch up with: the arm went on at the acceleration it had.

        Not where none can be lost, and not before the arm has had its first commands: until then it stood.
        """
        passed, self.handled = now.sequence - self.handled, now.sequence
        self.answered += 1
        if self.client.period == 1 and (self.job.synchronous or self.answered <= 2):
            return 1
        return min(max(passed, 1), _MOST_TICKS)

    def _guarded(self, now: Observation) -> tuple[np.ndarray, bool]:
        """The guard's word after as many of its ticks as the arm has had since the last state."""
        passed = self._passed(now)
        self.granted -= self.client.period
        for _ in range(passed):
            dq, limited = self.guard.tick(now, now.received if self.job.synchronous else time.monotonic())
            self.limited.update(dict.fromkeys(limited))
        self.record["dq_sent"], self.record["limited"] = dq, text(limited)
        self.sent = dq, self.guard.finished
        return self.sent

    def _end_motion(self, fault: Exception | None) -> None:
        """Say how a motion ended; what the arm says of it counts, not what the client makes of it."""
        self._after()
        for _ in range(2):  # the first may be from before
            observation = self._dated(self.client.read())
        started, self.following = self.following, False
        self.record["dq_sent"], self.record["limited"] = 0.0, b""
        finished = self.guard.finished
        self.guard.tick(observation, self._now())  # which counts reflexes
        error: ArmError | None = None
        if fault is not None or observation.state in ("reflex", "user_stopped"):
            said = str(fault).removeprefix("libfranka: ") if fault else "the arm has stopped by itself"
            error = fault if isinstance(fault, ArmError) else self.recovery.error(said, *_told(observation))
        elif finished and not self.stopping:
            late = self.job.envelope.finish_after * self.job.envelope.command_period
            said = f"no command came for {late:g} s, so the motion was ended"
            error = ArmError(said, (NO_COMMAND,), recoverable=True, advice=_ANEW)
        if error is not None:
            self._say("fault" if started else "answer", error)
        self._publish(observation)


def _told(observation: Observation) -> tuple[State, tuple[str, ...]]:
    return observation.state, observation.errors


def serve(job: Job, memory: mmap.mmap, pipe: Connection) -> None:
    """The process, from its start to its end."""
    Loop(job, memory, pipe).run()
