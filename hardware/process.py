"""An arm whose client runs in a process of its own (hardware/loop.py), seen from the process that commands it.

Commands go and states come through shared memory, so that neither side waits for the other. Should the other process
die or fall silent, the next call says so; what becomes of the arm then is decided over there, or by the arm itself,
which stops when its client is gone.
"""

from __future__ import annotations

import contextlib
import importlib.util
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hardware.arm import Applied, ArmError, ArmSpec, Command, Observation, Stop
from hardware.guard import Filter
from hardware.hand import Hand, HandJob
from hardware.limits import Envelope
from hardware.loop import MEMORY, Job, rings
from hardware.records import MODES, names, observation, pack_command, words
from hardware.spawn import WHEELS, Child, ready, spawn
from robot_learn.errors import UserError
from robot_learn.franka import parameters

_SILENCE = 1.0  # [s] without a state
_ANSWER = 0.2  # [s] in which a command is looked at; a loop that takes longer has lost the arm already
_LOCKSTEP_ANSWER = 10.0  # [s] of a simulated arm that turns as fast as it can
_REQUEST = 5.0  # [s]
_STOPPED = 3.0  # [s] until the arm is at rest
_POLL = 0.0002  # [s]
_LOOP = "the arm's process"


class ClientArm:
    """An `Arm`; `open_arm` makes one."""

    def __init__(self, child: Child, spec: ArmSpec, hand: Hand | None, synchronous: bool) -> None:
        self._child, self._spec, self._hand, self._synchronous = child, spec, hand, synchronous
        self._ticks, self._answers, self._commands = rings(child.memory)
        self._sent = 0  # commands
        self._seen = self._ticks.count
        self._fault: ArmError | None = None
        self._closed = False
        self._sending, self._receiving = threading.Lock(), threading.RLock()

    @property
    def spec(self) -> ArmSpec:
        return self._spec

    def start(self) -> None:
        self._check_alive()
        self._fault = None
        self._ask("start", None)

    def observe(self) -> Observation:
        self._check_alive()
        record = self._newest()
        if not self._synchronous and time.monotonic() - float(record["sent"]) > _SILENCE:
            raise ArmError(
                f"nothing has come from the arm for {_SILENCE:g} s", advice="check its network and its power"
            )
        return observation(record, self._hand.newest() if self._hand else None)

    def command(self, command: Command) -> Applied:
        self._check_following()
        self._sent += 1
        self._commands.put(pack_command(command, self._sent))
        if self._synchronous:
            self._tell("look", None)
        answer = self._await_answer()
        refused, limited = words(answer, "refused"), names(answer, "limited")
        opening = None
        if command.opening is not None and self._hand is not None and not refused:
            opening = command.opening
            if not self._hand.want(opening):
                opening, limited = None, (*limited, "gripper lost")
        return Applied(answer["dq"].copy(), limited, float(answer["sent"]), refused, opening)

    def wait(self, seconds: float) -> None:
        record = self._newest()
        until, count = float(record["time"]) + seconds, round(seconds / self._spec.tick)
        granted = self._synchronous and bool(record["following"]) and count > 0
        if granted:
            self._tell("turn", count)
        silent_after = time.monotonic() + seconds + (_LOCKSTEP_ANSWER if self._synchronous else _SILENCE)
        while not self._has_passed(until, record if granted else None):
            self._check_alive()
            if time.monotonic() > silent_after:
                raise ArmError("the arm's clock has stopped", advice="check network and power")
            left = until - float(self._newest()["time"])
            time.sleep(max(min(left - 0.001, 0.05), _POLL))

    def _has_passed(self, until: float, granted_at: np.ndarray | None) -> bool:
        """Whether the arm's clock is at `until`; or all ticks have been turned that were granted at that record."""
        now = self._newest()
        if granted_at is not None and now["following"]:
            return bool(now["pending"] and now["sequence"] > granted_at["sequence"])
        return float(now["time"]) > until - self._spec.tick / 2

    def stop(self, kind: Stop = "soft") -> None:
        """As `Arm` has it; from any thread."""
        if self._closed or not self._child.alive:
            return
        if self._hand is not None and kind == "hard":
            self._hand.stop()
        for way in (kind, "hard"):
            self._tell("stop", way)
            if self._ended_within(_STOPPED):
                return
        self._child.process.kill()  # the arm stops by itself when its client is gone
        raise ArmError("the arm did not stop when it was told to, so its process was ended", advice="look at the arm")

    def recover(self, by_person: bool = False) -> None:
        self._check_alive()
        self._ask("recover", by_person)
        self._fault = None

    def now(self) -> float:
        """The clock of `received` and `made` [s]: the host's monotonic one, or the arm's where that is held."""
        return float(self._newest()["received"]) if self._synchronous else time.monotonic()

    def beat(self) -> None:
        """The person who watches is there (`needs_heartbeat`)."""
        self._tell("beat", None)

    def home_gripper(self) -> None:
        """Let the gripper find out how far it opens; its fingers move. A real one wants it after it was switched on."""
        if self._hand is not None:
            self._hand.home()

    def ticks(self) -> np.ndarray:
        """Records (N,) of `hardware.records.TICK` that have come since this was last asked: one each tick of the arm.

        Four seconds of them are kept; who asks more rarely misses some, which the gaps in `sequence` show.
        """
        records, self._seen = self._ticks.since(self._seen)
        records = np.asarray(records[~records["pending"]])
        gripper = self._hand.newest() if self._hand else None
        if gripper is not None:
            records["opening"], records["grasped"] = gripper.opening, gripper.grasped
        return records

    def keep_last(self, path: Path | None) -> None:
        """Should this process die, the arm's process writes the ticks from now on to `path` (records.last_ticks)."""
        self._tell("keep", "" if path is None else str(path.resolve()))

    def close(self) -> None:
        if self._closed:
            return
        try:
            self.stop()
        finally:
            self._closed = True
            self._child.end(_STOPPED)
            if self._hand is not None:
                self._hand.close()

    def __enter__(self) -> ClientArm:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _newest(self) -> np.ndarray:
        record = self._ticks.newest()
        if record is None:
            raise ArmError("no state of the arm has come yet")
        return record

    def _ended_within(self, seconds: float) -> bool:
        """Whether the motion ends within so long."""
        deadline = time.monotonic() + seconds
        while self._child.alive and self._newest()["following"]:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL)
        return True

    def _check_alive(self) -> None:
        """Raises ArmError when the other process is gone; takes note of what it has said meanwhile."""
        if self._closed:
            raise ArmError("the arm was closed")
        with self._receiving, contextlib.suppress(EOFError, OSError):
            while self._child.pipe.poll():
                self._note(*self._child.pipe.recv())
        if not self._child.alive:
            said = f": {self._fault}" if self._fault else ""
            raise ArmError(f"{_LOOP} ended, exit status {self._child.ended()}{said}", advice="look at the arm")

    def _note(self, kind: str, content: Any) -> None:
        if kind in ("fault", "failed"):
            self._fault = content

    def _check_following(self) -> None:
        self._check_alive()
        now = self._newest()
        if now["following"]:
            return
        self._check_alive()  # what ended the motion was said before the motion ended
        if self._fault is not None:
            raise self._fault
        raise ArmError("the arm follows no commands", recoverable=True, advice="start it first")

    def _await_answer(self) -> np.ndarray:
        deadline = time.monotonic() + (_LOCKSTEP_ANSWER if self._synchronous else _ANSWER)
        while (answer := self._answers.newest()) is None or int(answer["number"]) < self._sent:
            self._check_following()
            if time.monotonic() > deadline:
                raise ArmError(f"{_LOOP} has not looked at a command for {_ANSWER:g} s")
            time.sleep(_POLL)
        return answer

    def _tell(self, request: str, argument: object) -> None:
        try:
            with self._sending:
                self._child.pipe.send((request, argument))
        except OSError:
            self._check_alive()

    def _ask(self, request: str, argument: object) -> None:
        with self._receiving:
            self._tell(request, argument)
            kind, content = self._child.receive(_REQUEST, _LOOP)
            while kind != "answer":
                self._note(kind, content)
                kind, content = self._child.receive(_REQUEST, _LOOP)
        if isinstance(content, Exception):
            raise content


@dataclass(frozen=True)
class Backend:
    """One kind of client."""

    scheme: str  # of its addresses
    package: str  # that must be installed
    client: str  # import path, see `hardware.loop.Job`
    hand: str  # import path, see `hardware.hand.HandJob`
    arm: str  # "fr3"


def open_arm(
    backend: Backend,
    host: str,
    *,
    envelope: Envelope | None = None,
    gripper: bool | None = None,
    synchronous: bool = False,
    realtime: bool = False,
    learned_filter: Filter | None = None,
    needs_heartbeat: bool = False,
) -> ClientArm:
    """Connect to the arm at `host`.

    Args:
        backend: who talks to it.
        host: name or address.
        envelope: how it may move; the default one where none is given.
        gripper: whether it has Franka's hand; None: see whether one answers.
        synchronous: turn so many ticks as are waited for and hold the arm's clock between. Only a simulated arm in
            lockstep bears it.
        realtime: on a real-time kernel: refuse to run without, and keep the highest priority.
        learned_filter: as `hardware.guard.Guard` takes it; it is pickled and runs in the arm's process.
        needs_heartbeat: hold the arm unless `ClientArm.beat` is called every so often.

    Raises:
        UserError: the client is not installed, or a setting is wrong.
        ArmError: the arm does not answer, or speaks another version.
    """
    scheme = backend.scheme
    if not host:
        raise UserError(f"{scheme}://: wanted the host that the arm answers at, as in {scheme}://172.16.0.2")
    if importlib.util.find_spec(backend.package) is None:
        raise UserError(
            f"{scheme}:// needs the package {backend.package!r}, which is not installed: "
            f"pip install 'robot-learn[franka]'; {WHEELS}"
        )
    envelope = envelope or Envelope()
    envelope.check(parameters(backend.arm))
    job = Job(backend.client, host, envelope, synchronous, realtime, learned_filter, needs_heartbeat)
    child = spawn("hardware.loop:serve", job, MEMORY)
    hand = None
    try:
        if gripper is not False:
            hand = Hand(HandJob(backend.hand, host, envelope.grip_force))
        known, versions = ready(child, _LOOP)
        hand = _wait_for_hand(hand, required=gripper is True)
    except BaseException:
        child.end(1.0)
        if hand is not None:
            hand.close()
        raise
    address = f"{scheme}://{host}"
    spec = ArmSpec(backend.arm, known, MODES, gripper=hand is not None, address=address, versions=versions)
    return ClientArm(child, spec, hand, synchronous)


def _wait_for_hand(hand: Hand | None, required: bool) -> Hand | None:
    if hand is None:
        return None
    try:
        hand.wait_until_ready()
    except ArmError:
        hand.close()
        if required:
            raise
        return None
    return hand
