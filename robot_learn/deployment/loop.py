"""One episode of a policy on an arm, from the first observation to the reason why it ended.

Each step: wait for the arm's clock, observe, believe, act, send. What the policy is shown lies ahead of what was
measured by the latency that is measured on the way, so that a command meets the state that it was made for.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np

from controllers.safety_filter.result import SafetyFilter
from hardware.arm import Applied, Arm, ArmError, Command, Observation
from robot_learn.deployment.bridge import Belief, Bridge, LostError
from robot_learn.deployment.outcome import Latency, Outcome, StopError, of_arm_error, of_state
from robot_learn.deployment.steering import Chunks, CommanderError, Steering
from robot_learn.errors import UserError

REFUSALS = 5  # refused commands in a row that end an episode
_RECENT = 25  # steps whose time to compute tells that of the next
STILL = 0.02  # [rad/s] of the fastest joint of an arm at rest
_REST = 1.0  # [s] of the arm's time that it is watched for until it is


@dataclass(frozen=True, eq=False)
class Step:
    """One step, as it is recorded."""

    number: int
    observation: Observation
    belief: Belief
    who: str  # "policy" or "person"
    action: np.ndarray  # (act_dim,)
    wanted: np.ndarray  # (7,) [rad/s] what the action came to
    filtered: np.ndarray  # (7,) [rad/s] what the learned filter made of it
    held_by: tuple[str, ...]  # the limits by which the filter changed it
    opening: float | None  # [m] wanted
    applied: Applied
    horizon: float  # [s] how far ahead the policy's observation lay
    latency: float  # [s] how far ahead it should have lain
    overruns: int  # control periods missed so far


@dataclass(frozen=True)
class Pacing:
    """The clock of an episode."""

    control_dt: float  # [s] of the arm's clock between two commands
    max_steps: int
    predict: bool = True  # show the policy the state at which its command will take effect
    transport: float = 0.0  # [s] of latency that no clock here sees: from the arm's sensors to here, and back
    hold: int = 5  # steps in a row with success that end the episode
    dry_run: bool = False  # everything but sending

    def __post_init__(self) -> None:
        if not 0.02 <= self.control_dt <= 0.1:
            raise UserError(f"control period {self.control_dt:g} s: wanted 0.02 to 0.1 s, 10 to 50 Hz")
        if self.max_steps < 1 or self.hold < 1 or not 0.0 <= self.transport <= 0.2:
            raise UserError("pacing: wanted 1 step or more, a hold of 1 or more, and 0 to 0.2 s of transport")


@dataclass(frozen=True, eq=False)
class Crew:
    """Who takes part in an episode."""

    bridge: Bridge
    steering: Steering
    chunks: Chunks
    safety: SafetyFilter | None = None  # of joint velocities at joint positions; only the policy's pass it
    pressed: Callable[[], bool] | None = None  # the dead-man switch; None: there is none
    person: Callable[[], np.ndarray | None] | None = None  # the action (act_dim,) of a person who corrects, or None
    on_step: Callable[[Step], None] | None = None
    on_end: Callable[[Belief | None], None] | None = None  # with what was believed after the last step
    # [s] the clock of `Observation.received`; None: the arm's time stands while we compute, as in a simulation that
    # waits for us, so that nothing is ever old.
    clock: Callable[[], float] | None = time.monotonic


@dataclass
class _Course:
    """How far an episode is."""

    first: Observation | None = None
    last: Observation | None = None
    belief: Belief | None = None
    steps: int = 0
    streak: int = 0  # steps in a row with success
    success_step: int | None = None
    refusals: int = 0  # in a row
    refused: int = 0
    overruns: int = 0
    corrected: int = 0
    person_before: bool = False
    limited: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    age: float = 0.0  # [s] of the newest observation when it was read
    commanded: float = 0.0  # [s] the arm's clock at the last command
    spent: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))  # [s] of the arm's time, of each step


def run_episode(arm: Arm, crew: Crew, pacing: Pacing) -> Outcome:
    """Let the crew act on an arm, from where it stands, until there is a reason to end. The arm stands still then.

    Nothing but `KeyboardInterrupt`'s like (SystemExit) is raised: all that goes wrong is a reason.
    """
    course = _Course()
    crew.bridge.begin()
    crew.steering.begin()
    crew.chunks.begin()
    if crew.safety is not None:
        crew.safety.forget()
    error: BaseException | None = None
    try:
        if not pacing.dry_run:
            arm.start()
        _steps(arm, crew, pacing, course)
        ended = StopError("time limit")
    except StopError as stopped:
        ended = stopped
    except LostError as lost:
        ended = StopError("object lost", str(lost))
    except CommanderError as failed:
        ended = StopError("commander error", str(failed))
    except ArmError as failed:
        ended = of_arm_error(failed, _state(arm))
    except KeyboardInterrupt:
        ended = StopError("interrupted")
    except Exception as failed:
        ended, error = StopError("fault", f"{type(failed).__name__}: {failed}"), failed
    finally:
        trouble = None if pacing.dry_run else _bring_to_rest(arm)
        rest = None if pacing.dry_run or not course.steps else _rest(arm, course)
    if trouble is not None and ended.reason in ("success", "time limit", "person let go", "interrupted"):
        ended = of_arm_error(trouble, _state(arm))
    outcome = replace(_told(course, ended, error), rest=rest)
    if crew.on_end is not None:
        crew.on_end(course.belief if course.belief is not None and course.steps else None)
    return outcome


def _steps(arm: Arm, crew: Crew, pacing: Pacing, course: _Course) -> None:
    """All steps up to the time limit; what ends them sooner is raised."""
    deadline = None
    for number in range(pacing.max_steps + 1):
        observation, belief, horizon = _look(arm, crew, pacing, course)
        _judge(crew, pacing, course, belief)
        if number == pacing.max_steps:
            return
        step = _act(arm, crew, pacing, course, (observation, belief, horizon))
        if crew.on_step is not None:
            crew.on_step(step)
        deadline = (observation.time if deadline is None else deadline) + pacing.control_dt
        deadline = _pass(arm, pacing, course, deadline)


def _look(arm: Arm, crew: Crew, pacing: Pacing, course: _Course) -> tuple[Observation, Belief, float]:
    observation = arm.observe()
    course.first, course.last = course.first or observation, observation
    against = of_state(observation)
    if against is not None:
        raise against
    tick = arm.spec.tick
    course.age = 0.0 if crew.clock is None else max(0.0, observation.age(crew.clock()))
    expected = course.age + float(np.median(course.spent or [0.0])) + pacing.transport
    # In whole ticks, so that a simulated arm, whose clock stands while we compute, is predicted by exactly nothing.
    horizon = round(min(expected, 2 * pacing.control_dt) / tick) * tick if pacing.predict else 0.0
    belief = crew.bridge.believe(observation, horizon)
    course.belief = belief
    return observation, belief, horizon


def _judge(crew: Crew, pacing: Pacing, course: _Course, belief: Belief) -> None:
    """Is it done, and may it go on?"""
    # Success is that of a step: where the arm stood before the first one counts for nothing.
    course.streak = course.streak + 1 if belief.success and course.steps else 0
    if course.streak and course.success_step is None:
        course.success_step = course.steps
    if course.streak >= pacing.hold:
        raise StopError("success")
    if crew.pressed is not None and not crew.pressed():
        raise StopError("person let go")


def _act(arm: Arm, crew: Crew, pacing: Pacing, course: _Course, seen: tuple[Observation, Belief, float]) -> Step:
    """From what is believed to what was sent."""
    observation, belief, horizon = seen
    q = observation.q + horizon * observation.dq
    corrected = crew.person() if crew.person is not None else None
    if corrected is None:
        if course.person_before:
            crew.chunks.begin()  # what was planned before somebody stepped in is of another place
        action = crew.chunks(belief.scene, belief.vector)
    else:
        action = np.asarray(corrected, dtype=np.float64)
        course.corrected += 1
    course.person_before = corrected is not None
    wanted, opening = crew.steering.velocities(q, action)
    filtered: np.ndarray = wanted
    held_by: tuple[str, ...] = ()
    if corrected is None and crew.safety is not None:
        filtered, held_by = _filtered(crew.safety, q, wanted)
        crew.steering.sent(filtered)
    who = "policy" if corrected is None else "person"
    spent = max(0.0, arm.observe().time - observation.time)
    latency = course.age + spent + pacing.transport
    command = Command("joint_velocity", filtered, observation.received, opening, who)
    if pacing.dry_run:
        applied = Applied(filtered, ("dry run",), opening=opening)
    else:
        applied = arm.command(command)
    course.steps += 1
    course.commanded = observation.time
    course.spent.append(spent)
    course.latencies.append(latency)
    course.limited.update(applied.limited)
    _count_refusals(course, applied)
    return Step(
        course.steps, observation, belief, who, action, wanted, filtered, held_by, opening, applied, horizon, latency,
        course.overruns,
    )  # fmt: skip


def _filtered(safety: SafetyFilter, q: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    try:
        said = safety.filter(q, wanted)
    except Exception as error:
        raise CommanderError(f"the learned filter failed: {type(error).__name__}: {error}") from error
    if np.shape(said.action) != (7,) or not np.isfinite(said.action).all():
        raise CommanderError(f"the learned filter gave no joint velocities: {said.action}")
    held_by = (*said.active, *(("braking",) if said.braking else ())) if said.changed else ()
    return np.asarray(said.action, dtype=np.float64), held_by


def _count_refusals(course: _Course, applied: Applied) -> None:
    course.refusals = course.refusals + 1 if applied.refused else 0
    course.refused += bool(applied.refused)
    if course.refusals >= REFUSALS:
        raise StopError("refused", applied.refused)


def _pass(arm: Arm, pacing: Pacing, course: _Course, deadline: float) -> float:
    """Let the arm's time pass up to the deadline; periods that are over already are counted and left out."""
    tick = arm.spec.tick
    left = round((deadline - arm.observe().time) / tick) * tick
    if left < 0.0:
        missed = int(-left // pacing.control_dt)
        course.overruns += 1 + missed
        return deadline + missed * pacing.control_dt
    arm.wait(left)
    return deadline


def _bring_to_rest(arm: Arm) -> ArmError | None:
    """Stop the arm: softly, and hard where that fails or somebody presses Ctrl-C again while it brakes."""
    try:
        arm.stop("soft")
    except (ArmError, KeyboardInterrupt):
        try:
            arm.stop("hard")
        except ArmError as error:
            return error
    return None


def _rest(arm: Arm, course: _Course) -> float | None:
    """How long after the last command the arm was seen at rest [s]; None where it was not, or tells nothing.

    Who stopped it, we or itself, does not matter here: it brakes on, and is watched and recorded while it does.
    """
    with suppress(ArmError, KeyboardInterrupt):
        observation = arm.observe()
        until = observation.time + _REST
        while observation.time < until:
            if np.max(np.abs(observation.dq)) <= STILL:
                return max(0.0, observation.time - course.commanded)
            arm.wait(arm.spec.tick)
            observation = arm.observe()
    return None


def _state(arm: Arm) -> Observation | None:
    with suppress(Exception):
        return arm.observe()
    return None


def _told(course: _Course, ended: StopError, error: BaseException | None) -> Outcome:
    seconds = 0.0 if course.first is None or course.last is None else course.last.time - course.first.time
    return Outcome(
        ended.reason,
        ended.detail,
        ended.errors,
        course.steps,
        seconds,
        course.success_step,
        Latency.of(course.latencies),
        course.overruns,
        dict(course.limited),
        course.refused,
        course.corrected,
        error,
    )
