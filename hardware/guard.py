"""The guard: all that stands between whoever wants the arm to move and the arm, run at every tick by every backend.

`accept` takes a command or says why not. `tick` turns the command in force into wanted joint velocities, through a
learned filter where one is given, then through the governor, and watches: over the age of commands and of the arm's
state, over a person's heartbeat, over reflexes. Whoever commands, a policy or a person's hand, goes through the same.

Ages are the larger of what the host's clock tells and what the ticks counted tell, so that a clock that jumps either
way cannot keep the arm moving. This is no certified emergency stop.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hardware.arm import SHAPES, ArmError, Command, Mode, Observation
from hardware.governor import Governor
from hardware.kinematics import Kinematics, turn
from hardware.limits import Envelope
from hardware.target import Here
from hardware.wanted import Wanted
from hardware.workspace import Workspace
from robot_learn.errors import UserError
from robot_learn.franka import FINGER_TRAVEL, ArmParameters

Filter = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (q (7,) [rad], wanted (7,) [rad/s]) to (7,) [rad/s]
LOW_SUCCESS_RATE = 0.9
REFLEX_WINDOW = 10.0  # [s] in which a second reflex calls for a person
_STATE_AGE = 0.02  # [s] of the arm's state, or three ticks: older, the arm is not moved
_FUTURE = 0.005  # [s] that two clocks of one machine may differ by


@dataclass(frozen=True, eq=False)
class _Thought:
    """What was thought out before the arm's state came."""

    here: Here
    command: Command | None = None  # that the rest is about
    target: list[float] = field(default_factory=list)  # (7,) [rad/s]
    limited: list[str] = field(default_factory=list)  # what limited it


class Guard:
    """One arm's guard, for as long as one is connected to it. One thread at a time.

    Args:
        modes: of commands that are taken.
        tick: [s] between two calls of `tick`.
        filter: asked at each tick for what to do instead of what is wanted. It only makes a proposal: what it returns
            is held to all limits. Failing, or taking longer than the envelope's `filter_time`, brakes.
        needs_heartbeat: hold the arm unless `beat` is called every so often.

    Raises:
        UserError: the envelope is looser than what is published of the arm.
    """

    def __init__(
        self,
        parameters: ArmParameters,
        envelope: Envelope,
        *,
        modes: Sequence[Mode] = tuple(SHAPES),
        tick: float = 0.001,
        filter: Filter | None = None,
        needs_heartbeat: bool = False,
    ) -> None:
        self.parameters, self.envelope, self.interval = parameters, envelope, tick
        self._modes, self._filter, self._needs_heartbeat = tuple(modes), filter, needs_heartbeat
        self._governor = Governor(parameters, envelope, tick)
        self._kinematics, self._workspace = Kinematics(), Workspace(envelope)
        self._state_age = max(_STATE_AGE, 3 * tick)
        self._reflexes: list[float] = []  # [s] on the arm's clock
        self._state = "idle"
        self._began(np.zeros(7), sequence=-1, now=-math.inf)
        self._finishing = True
        self.warnings: tuple[str, ...] = ()
        self.fault: Exception | None = None  # what went wrong within the guard itself and ended the motion

    def _began(self, q_commanded: np.ndarray, sequence: int, now: float) -> None:
        """A new motion, from rest."""
        self._governor.reset()
        self._wanted = Wanted(self.parameters, self.envelope, q_commanded)
        self._reference = np.array(q_commanded, dtype=float)
        self._command: Command | None = None
        self._thought: _Thought | None = None
        self._finishing = False
        self._sequence, self._same = sequence, 0  # the newest state, and for how many ticks it has been
        self._ticks_since_command, self._age_at_accept = 0, 0.0
        self._beat, self._ticks_since_beat = now, 0

    # What may be asked at any time.

    @property
    def finished(self) -> bool:
        """The motion is over: at rest, and no command is taken until `start`."""
        return self._finishing and self._governor.at_rest

    @property
    def at_rest(self) -> bool:
        return self._governor.at_rest

    @property
    def stop_time(self) -> float:
        """How long it takes to come to rest from here [s], at most."""
        return self._governor.stop_time

    @property
    def needs_person(self) -> bool:
        """Two reflexes came within ten seconds; nothing goes on until `acknowledge`."""
        return len(self._reflexes) > 1 and self._reflexes[-1] - self._reflexes[-2] <= REFLEX_WINDOW

    def acknowledge(self) -> None:
        """A person has looked at the arm."""
        self._reflexes.clear()

    # What changes what the arm does.

    def start(self, observation: Observation, now: float) -> None:
        """Begin a motion, from rest where the arm is.

        Raises:
            ArmError: the arm is in no state to move, or outside of its workspace, or a person must look first.
        """
        self._call_person()
        if observation.state not in ("idle", "moving"):
            raise ArmError(f"the arm is in state {observation.state!r}", observation.errors, advice="recover it first")
        if not _finite(observation.q, observation.q_commanded):
            raise ArmError("the arm tells joint positions that are not finite")
        self._kinematics.place(observation.q)
        trespasses = self._workspace.trespasses(self._kinematics.points)
        if trespasses:
            raise ArmError("; ".join(trespasses), advice="guide the arm back by hand, or change the envelope")
        self._state = observation.state
        self._began(observation.q_commanded, observation.sequence, now)

    def accept(self, command: Command, observation: Observation, now: float) -> str:
        """Put a command in force, or tell why not; the one before then stays, and grows old.

        Raises:
            ArmError: a person must look at the arm first.
        """
        self._call_person()
        try:  # a copy, which nobody can change while it is in force
            command = replace(command, values=np.array(command.values, dtype=float))
        except (TypeError, ValueError, UserError):
            return f"wanted numbers of shape {SHAPES.get(command.mode)}, came {command.values!r:.80}"
        refusal = self._refusal(command, observation, now)
        if not refusal:
            self._command = command
            self._age_at_accept, self._ticks_since_command = max(0.0, now - command.made), 0
        return refusal

    def beat(self, now: float) -> None:
        """The person who watches is there."""
        self._beat, self._ticks_since_beat = now, 0

    def release(self) -> None:
        """Decelerate, then finish the motion."""
        self._finishing = True

    def tick(self, observation: Observation, now: float) -> tuple[np.ndarray, tuple[str, ...]]:
        """Joint velocities (7,) [rad/s] to send now, and the names of all that limited them. Raises nothing.

        What shapes or replaces the wanted motion: "filter", "joint velocity", "joint range", "workspace", "keep-out",
        "lead", "hand speed", "acceleration". "braking": a step of it would have broken the limit named before. What
        brings the arm to rest: "not finite", "stale", "no command", "heartbeat", "state stale", "state not finite",
        "filter failed", "filter late", "fault", "finished", "arm is in state ...".
        """
        self._ticks_since_command += 1
        self._ticks_since_beat += 1
        try:
            sent, limited = self._decide(observation, now)
        except Exception as error:  # a fault of ours; what braking needs is untouched by it
            self.fault, self._finishing = error, True
            sent, limited = self._governor.brake(), ("fault",)
        self._reference = self._reference + self.interval * sent
        return sent, limited

    def think_ahead(self, observation: Observation) -> None:
        """Think out most of the next tick, while nobody waits: after what `tick` said for a state was sent.

        It takes nothing away from what the next tick looks at: that is how old all is, whether it is finite, and that
        the step which it takes ends within the envelope. Without it the next tick takes longer.
        """
        self._thought = None
        try:
            if not self._finishing and _finite(observation.q, self._reference):
                self._thought = self._think(observation)
        except Exception:  # the next tick meets it, and knows what to do then
            return

    def _think(self, observation: Observation) -> _Thought:
        here = self._governor.keep(self._governor.look(self._reference, observation.q))
        if self._command is None or self._filter is not None:
            return _Thought(here)
        target, limited = self._governor.preview(here, self._wanted(self._command, here))
        return _Thought(here, self._command, target, limited)

    def preview(self, observation: Observation) -> tuple[np.ndarray, tuple[str, ...]]:
        """What the command in force comes to in the long run (7,) [rad/s], and what limits it; changes nothing."""
        if self._command is None or self._finishing or not _finite(observation.q):
            return np.zeros(7), ()
        if self._thought is not None and self._thought.command is self._command:
            return np.array(self._thought.target), tuple(self._thought.limited)
        here = self._governor.look(self._reference, observation.q)
        target, limited = self._governor.preview(here, self._wanted(self._command, here))
        return np.array(target), tuple(limited)

    # Within a tick.

    def _decide(self, observation: Observation, now: float) -> tuple[np.ndarray, tuple[str, ...]]:
        self._watch(observation)
        if observation.state not in ("idle", "moving"):
            # The arm follows nobody. What was in force must not go on by itself when it does again.
            self._governor.reset()
            self._finishing = True
            return np.zeros(7), (f"arm is in state {observation.state}",)
        brake = self._brakes(observation, now)
        if brake:
            return self._governor.brake(), (brake,)
        assert self._command is not None
        thought, self._thought = self._thought, None
        here = None if thought is None else self._governor.again(thought.here, self._reference, observation.q)
        if here is not None and thought is not None and thought.command is self._command:
            sent, limited = self._governor.toward(here, thought.target, list(thought.limited))
            return sent, tuple(limited)
        here = here or self._governor.look(self._reference, observation.q)
        wanted, named = self._filtered(self._wanted(self._command, here), observation.q)
        sent, limited = self._governor.step(here, wanted)
        return sent, (*named, *limited)

    def _watch(self, observation: Observation) -> None:
        """Take over where the arm says that it was sent, count reflexes, warn."""
        if observation.state == "reflex" and self._state != "reflex":
            self._reflexes = [*self._reflexes[-1:], observation.time]
        self._state = observation.state
        new = observation.sequence > self._sequence
        self._same = 0 if new else self._same + 1
        if new:
            self._sequence = observation.sequence
            if _finite(observation.q_commanded):
                self._reference = np.array(observation.q_commanded, dtype=float)
        low = observation.success_rate < LOW_SUCCESS_RATE
        self.warnings = (f"only {observation.success_rate:.0%} of commands reach the arm in time",) if low else ()

    def _brakes(self, observation: Observation, now: float) -> str:
        """Why the arm is to be braked; empty to follow the command."""
        if self._finishing:
            return "finished"
        if not _finite(observation.q, observation.q_commanded):
            return "state not finite"
        if _longer(observation.age(now), self._same * self.interval) > self._state_age:
            return "state stale"
        if self._needs_heartbeat and self._silence(now) > self.envelope.heartbeat:
            return "heartbeat"
        if self._command is None:
            return "no command"
        age, period = self._age(now), self.envelope.command_period
        if age > self.envelope.finish_after * period:
            self._finishing = True
        return "stale" if age > self.envelope.slow_after * period else ""

    def _age(self, now: float) -> float:
        """Of the command in force [s]."""
        assert self._command is not None
        counted = self._age_at_accept + self._ticks_since_command * self.interval
        return _longer(now - self._command.made, counted)

    def _silence(self, now: float) -> float:
        return _longer(now - self._beat, self._ticks_since_beat * self.interval)

    def _filtered(self, wanted: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, list[str]]:
        """`wanted` through the learned filter; at rest where that fails or is late."""
        if self._filter is None:
            return wanted, []
        begun = time.perf_counter()
        try:
            proposed = np.asarray(self._filter(q.copy(), wanted.copy()), dtype=float)
        except Exception:  # whatever a learned part raises, the arm is to brake
            return np.zeros(7), ["filter failed"]
        if proposed.shape != (7,) or not _finite(proposed):
            return np.zeros(7), ["filter failed"]
        if time.perf_counter() - begun > self.envelope.filter_time:
            return np.zeros(7), ["filter late"]
        return proposed, [] if np.array_equal(proposed, wanted) else ["filter"]

    # Whether a command is taken.

    def _call_person(self) -> None:
        if self.needs_person:
            raise ArmError(
                f"two reflexes within {REFLEX_WINDOW:g} s",
                advice="look why the arm is stopped, then recover it in person",
            )

    def _refusal(self, command: Command, observation: Observation, now: float) -> str:
        if self._finishing:
            return "the motion is finished: start anew"
        if observation.state not in ("idle", "moving"):
            return f"the arm is in state {observation.state}"
        if command.mode not in self._modes:
            return f"mode {command.mode} is not one of {', '.join(self._modes)}"
        if not _finite(command.values) or not math.isfinite(command.made) or not math.isfinite(now):
            return "not finite"
        if command.opening is not None and not 0.0 <= command.opening <= 2 * FINGER_TRAVEL:
            return f"gripper opening {command.opening} m is not from 0 to {2 * FINGER_TRAVEL:g}"
        age, oldest = now - command.made, self.envelope.slow_after * self.envelope.command_period
        if age < -_FUTURE:
            return f"from the future: made {-age:.3f} s after now"
        if age > oldest:
            return f"stale: {age:.3f} s old, and {oldest:.3f} are allowed"
        return self._far(command, observation)

    def _far(self, command: Command, observation: Observation) -> str:
        """Why a target is too far from where the arm is, as when whoever commands has another arm in mind."""
        envelope = self.envelope
        if command.mode == "joint_position":
            ways = np.abs(command.values - observation.q)
            joint = int(ways.argmax())
            if not ways[joint] <= envelope.start_joints:
                return (
                    f"joint {joint + 1} is {ways[joint]:.2f} rad from its target; {envelope.start_joints:g} are allowed"
                )
        if command.mode == "pose":
            return self._far_pose(np.asarray(command.values, dtype=float), observation)
        return ""

    def _far_pose(self, T_base_target: np.ndarray, observation: Observation) -> str:
        R = T_base_target[:3, :3]
        if np.abs(R @ R.T - np.eye(3)).max() > 1e-3 or np.linalg.det(R) < 0 or (T_base_target[3] != (0, 0, 0, 1)).any():
            return "no pose: wanted a rotation matrix and a last row 0, 0, 0, 1"
        if not _finite(observation.q):
            return "the arm tells joint positions that are not finite"
        self._kinematics.place(observation.q)
        T = self._kinematics.T_base_ee()
        distance = float(np.linalg.norm(T_base_target[:3, 3] - T[:3, 3]))
        if distance > self.envelope.start_distance:
            return f"the hand is {distance:.2f} m from its target; {self.envelope.start_distance:g} are allowed"
        angle = float(np.linalg.norm(turn(T[:3, :3], R)))
        if angle > self.envelope.start_turn:
            return f"the hand is {angle:.2f} rad from its target; {self.envelope.start_turn:g} are allowed"
        return ""


def _longer(by_clock: float, by_ticks: float) -> float:
    """The longer of two times [s]; a clock that is no number tells of a time without end."""
    return max(by_clock, by_ticks) if math.isfinite(by_clock) else math.inf


def _finite(*arrays: np.ndarray) -> bool:
    """Whether all numbers are. Their sum is only if they are; `np.isfinite` alone takes three times as long."""
    return all(math.isfinite(sum(array.ravel().tolist())) for array in arrays)
