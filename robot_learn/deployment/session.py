"""A session: several episodes of one policy on one arm, each from its start to its reason, recorded and counted."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from controllers.safety_filter.result import SafetyFilter
from hardware.arm import Arm, ArmError
from hardware.inputs import Input
from hardware.inputs.pushes import TWISTS, Push, Pushes, directions
from robot_learn.deployment import start
from robot_learn.deployment.bridge import Bridge, check_arm
from robot_learn.deployment.lessons import Lessons
from robot_learn.deployment.loop import Crew, Pacing, Step, run_episode
from robot_learn.deployment.objects import ObjectPoses
from robot_learn.deployment.outcome import Outcome, Reason, StopError, of_arm_error
from robot_learn.deployment.pilot import Pilot
from robot_learn.deployment.places import Place
from robot_learn.deployment.record import Recorder
from robot_learn.deployment.status import status_display
from robot_learn.deployment.steering import Chunks, Steering
from robot_learn.errors import UserError
from robot_learn.evaluation import wilson_interval
from sims.franka.twist import TwistControl
from sims.mujoco_task import MujocoTask

# After these it is no use to begin another episode before a person has done something.
FINAL: tuple[Reason, ...] = (
    "person stopped",
    "not at start",
    "reflex",
    "user stopped",
    "guiding",
    "communication",
    "late",
    "arm error",
    "interrupted",
    "fault",
)

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Asked:
    """What a session shall do."""

    definition: MujocoTask
    control: TwistControl
    chunks: Chunks
    pacing: Pacing
    source: ObjectPoses  # of all things of the task
    speed: float = 1.0
    go_to_start: bool = False
    tolerance: float = start.TOLERANCE  # [rad]
    safety: SafetyFilter | None = None
    hand: Input | None = None  # a person's, with the dead-man switch
    lessons: Lessons | None = None  # learns from what that person does
    quiet: bool = False


@dataclass(frozen=True)
class Summary:
    """What came of a session; `to_json` has the figures first."""

    task: str
    seeds: tuple[int, ...]
    outcomes: tuple[Outcome, ...]
    seconds: float
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def successes(self) -> int:
        return sum(outcome.success for outcome in self.outcomes)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the success rate."""
        return wilson_interval(self.successes, len(self.outcomes))

    def to_json(self) -> dict[str, Any]:
        count = len(self.outcomes)
        rows = [{"seed": seed} | told.to_json() for seed, told in zip(self.seeds, self.outcomes, strict=True)]
        limited: Counter[str] = Counter()
        for outcome in self.outcomes:
            limited.update(outcome.limited)
        return {
            "task": self.task,
            "success_rate": self.successes / count if count else None,
            "success_interval_95": list(self.interval) if count else None,
            "num_episodes": count,
            "reasons": dict(Counter(outcome.reason for outcome in self.outcomes)),
            "limited": dict(limited),
            "steps": sum(outcome.steps for outcome in self.outcomes),
            "overruns": sum(outcome.overruns for outcome in self.outcomes),
            "latency_median": _middle([outcome.latency.median for outcome in self.outcomes]),
            "latency_p99": max([outcome.latency.p99 for outcome in self.outcomes], default=0.0),
            "seconds": self.seconds,
            **self.notes,
            "episodes": rows,
        }


def pacing(definition: MujocoTask, *, speed: float, steps: int | None, **others: Any) -> Pacing:
    """The task's own clock; slower arms get as much more time.

    Raises:
        UserError: a speed that is none, or numbers that make no sense.
    """
    if not 0.01 <= speed <= 1.0:
        raise UserError(f"speed {speed:g}: wanted 0.01 to 1")
    limit = steps or math.ceil(definition.task.max_episode_steps / speed)
    return Pacing(definition.task.control_dt, limit, **others)


def run(asked: Asked, place: Place, recorder: Recorder | None, seeds: Sequence[int], say: Say) -> Summary:
    """One episode a seed, until all are done or one ends in a way that wants a person."""
    begun = time.monotonic()
    outcomes: list[Outcome] = []
    bridge = Bridge(asked.definition, asked.source, arm_clock=place.clock_stands)
    try:
        for number, seed in enumerate(seeds):
            try:
                outcome = _episode(asked, place, bridge, recorder, seed, say)
            except UserError as error:
                if not outcomes:
                    raise
                outcome = Outcome("not at start", str(error))  # what came before is still told
            outcomes.append(outcome)
            if outcome.reason in ("arm error", "communication"):
                place.failed()
            if not asked.quiet or number == len(seeds) - 1 or (number + 1) % 10 == 0:
                done = sum(one.success for one in outcomes)
                say(f"episode {number + 1} of {len(seeds)}: {outcome.reason}; {done} of {number + 1} succeeded")
            if outcome.reason in FINAL and not (place.simulated and outcome.reason != "interrupted"):
                break
            if outcome.error is not None:
                break
    finally:
        bridge.close()
    told = tuple(outcomes)
    return Summary(asked.definition.task.name, tuple(seeds[: len(told)]), told, time.monotonic() - begun)


def _episode(asked: Asked, place: Place, bridge: Bridge, recorder: Recorder | None, seed: int, say: Say) -> Outcome:
    """One episode; what goes wrong before its first step is an outcome as well."""
    try:
        with place.episode(seed) as arm:
            check_arm(asked.definition, arm.observe())
            pilot = None if asked.hand is None else Pilot(asked.hand, asked.control, pushes=_pushes(asked, recorder))
            if not _ready(asked, arm, pilot, say):
                return Outcome("person let go", "on the way to the start")
            return _recorded(asked, place, (arm, pilot, bridge), recorder, seed)
    except ArmError as error:
        stopped = of_arm_error(error, None)
        return Outcome(stopped.reason, stopped.detail, stopped.errors)
    except StopError as stopped:
        return Outcome(stopped.reason, stopped.detail, stopped.errors)
    except KeyboardInterrupt:
        return Outcome("interrupted", "before the first step")


def _pushes(asked: Asked, recorder: Recorder | None) -> Pushes:
    """Who hears of a person's pushes: the learner, and the recorder."""
    heard: list[Callable[[Push], None]] = [] if asked.lessons is None else [asked.lessons.push]
    known = directions({name: np.array(twist, dtype=float) for name, twist in TWISTS.items()})
    return Pushes(known, *heard, *([] if recorder is None else [recorder.push]))


def _ready(asked: Asked, arm: Arm, pilot: Pilot | None, say: Say) -> bool:
    """The arm stands where episodes begin, and the dead-man switch is held; False where the person let go of it."""
    if pilot is not None:
        say(f"hold the dead-man switch to begin ({asked.hand.help if asked.hand else ''})")
        start.wait_until(pilot.pressed)
    if not start.against(arm.observe(), asked.control, asked.tolerance):
        return True
    if asked.go_to_start and not asked.pacing.dry_run:
        say("moving to where episodes begin")
        return start.go(arm, asked.control, speed=asked.speed, pressed=pilot.pressed if pilot else None)
    start.require(arm.observe(), asked.control, asked.tolerance)
    return True


def _recorded(
    asked: Asked, place: Place, who: tuple[Arm, Pilot | None, Bridge], recorder: Recorder | None, seed: int
) -> Outcome:
    arm, pilot, bridge = who
    heard: list[Callable[[Step], None]] = []
    with ExitStack() as stack:
        if not asked.quiet:
            heard.append(stack.enter_context(status_display(asked.pacing.max_steps, sys.stderr)))
        if pilot is not None:
            heard.append(lambda step: pilot.sent(step.opening))
        if asked.lessons is not None:
            heard.append(asked.lessons.step)
        if recorder is not None:
            recorder.attend(arm)
            folder = recorder.begin(seed if place.simulated else None)
            if asked.lessons is not None:
                asked.lessons.begin(int(folder.name.rpartition("-")[2]))
            heard.insert(0, recorder.step)
        crew = Crew(
            bridge,
            Steering(asked.control, speed=asked.speed),
            asked.chunks,
            asked.safety,
            None if pilot is None else pilot.pressed,
            None if pilot is None else pilot.action,
            lambda step: _tell(heard, step),
            None if recorder is None else recorder.end,
        )
        if place.clock_stands:
            crew = replace(crew, clock=None)
        outcome = run_episode(arm, crew, asked.pacing)
        if asked.lessons is not None and outcome.reason == "person stopped":
            asked.lessons.stop()
    if recorder is not None:
        recorder.finish(outcome)
    return outcome


def _tell(heard: Sequence[Callable[[Step], None]], step: Step) -> None:
    for hear in heard:
        hear(step)


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0
