"""Why an episode on an arm ended, and what to do: always one of a few reasons, and a sentence for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from hardware.arm import ArmError, Observation
from hardware.recovery import NO_COMMAND

Reason = Literal[
    "success",
    "time limit",
    "person let go",
    "person stopped",
    "not at start",
    "object lost",
    "reflex",
    "user stopped",
    "guiding",
    "communication",
    "late",
    "commander error",
    "refused",
    "arm error",
    "interrupted",
    "program ended",
    "fault",
]
# What libfranka calls its losses of communication; everything else in a reflex is the arm's own protection.
COMMUNICATION = ("communication_constraints_violation", "communication")
ENOUGH = 0.9  # share of commands in time under which a jump is put down to those that were lost

_ADVICE: dict[Reason, str] = {
    "success": "The task was achieved and the arm was stopped.",
    "time limit": "The task was not achieved in its time. If the arm moved as it should, give it more time, or more "
    "speed; if it did not, compare what it sees with simulation: robot-learn deploy --compare.",
    "person let go": "The dead-man switch was released and the arm was stopped.",
    "person stopped": "The person beside the arm pressed stop and the arm was stopped. See what they saw, then start "
    "again.",
    "not at start": "The arm does not stand where the policy begins. Guide it there, or use --go-to-start.",
    "object lost": "The arm was stopped because nothing tells where something is. Look at what the camera sees: light, "
    "tags, what stands in the way.",
    "reflex": "The arm stopped itself. Look at what it touched or which limit it met, clear the way, and only then "
    "recover; it never recovers from this by itself.",
    "user stopped": "Somebody pressed the external activation device. Release it when everybody is clear of the arm.",
    "guiding": "Somebody guides the arm by hand. Let it go, and start again.",
    "communication": "Commands did not reach the arm in time. Check the network cable, the load of this computer and "
    "its kernel: robot-learn deploy --check.",
    "late": "This program did not command the arm in time, and the arm was brought to rest. Something held it up: end "
    "other programs on this computer, see in steps.jsonl which step took long, and try robot-learn deploy --check.",
    "commander error": "Who acts has failed and the arm was stopped. This is a fault of the policy or of its inputs.",
    "refused": "The guard took none of the last commands, and the arm was stopped. The detail says what was wrong.",
    "arm error": "The arm, or the connection to it, has failed. Nothing is sent any more, and an arm without a client "
    "stops by itself. Look at it, then at cable, power and Control: robot-learn deploy --check; then start again.",
    "interrupted": "It was interrupted from the keyboard, or told to end, and the arm was stopped.",
    "program ended": "The program that commanded the arm was ended in the middle of an episode, or the computer was. "
    "The process that talks to the arm brings it to rest then, and without that the arm does so itself. Look at it, "
    "find out what ended the program, and start again.",
    "fault": "Something in this program failed, and the arm was stopped. Please report it with --debug.",
}


@dataclass(frozen=True)
class Latency:
    """How old what a command answers is when the command is made [s]."""

    median: float
    p99: float
    longest: float
    count: int

    @classmethod
    def of(cls, samples: list[float]) -> Latency:
        if not samples:
            return cls(0.0, 0.0, 0.0, 0)
        return cls(float(np.median(samples)), float(np.percentile(samples, 99)), max(samples), len(samples))


@dataclass(frozen=True)
class Outcome:
    """How an episode went."""

    reason: Reason
    detail: str = ""
    errors: tuple[str, ...] = ()  # by libfranka's names
    steps: int = 0  # commands made
    seconds: float = 0.0  # of the arm's time
    success_step: int | None = None  # the first step after which the task was achieved, from 1
    latency: Latency = field(default_factory=lambda: Latency.of([]))
    overruns: int = 0  # control periods that were missed because a step took too long
    limited: Mapping[str, int] = field(default_factory=dict)  # steps that each limiter changed
    refused: int = 0  # commands that the guard did not take
    corrected: int = 0  # steps that a person acted in
    error: BaseException | None = field(default=None, compare=False)
    rest: float | None = None  # [s] of the arm's time from the last command until it was seen at rest; None: it was not

    @property
    def success(self) -> bool:
        """The task was achieved after some step: the measure of `robot-learn evaluate`."""
        return self.success_step is not None

    def to_json(self) -> dict[str, Any]:
        told = {name: value for name, value in asdict(self).items() if name != "error"}
        return told | {"limited": dict(self.limited), "errors": list(self.errors), "success": self.success}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Outcome:
        """Of an episode's outcome.json."""
        names = {name for name in cls.__dataclass_fields__ if name != "error"}
        values = {name: value for name, value in told.items() if name in names}
        values |= {"errors": tuple(told["errors"]), "latency": Latency(**told["latency"])}
        return cls(**values)


def explain(outcome: Outcome) -> str:
    """What happened and what to do, in a few sentences."""
    named = f" ({', '.join(outcome.errors)})" if outcome.errors else ""
    detail = f" {outcome.detail[:1].upper()}{outcome.detail[1:].rstrip('.')}." if outcome.detail else ""
    when = f"Ended by {outcome.reason}{named} after {outcome.steps} steps, {outcome.seconds:.1f} s.{detail}"
    late = f" {outcome.overruns} control periods were missed." if outcome.overruns else ""
    rest = "" if outcome.rest is None else f" It was at rest {outcome.rest:.2f} s after the last command."
    return f"{when} {_ADVICE[outcome.reason]}{rest}{late}"


@dataclass(eq=False)
class StopError(Exception):
    """Ends an episode from within a step."""

    reason: Reason
    detail: str = ""
    errors: tuple[str, ...] = ()


def of_state(observation: Observation) -> StopError | None:
    """What the arm's own state says against going on."""
    errors = observation.errors
    if observation.state == "user_stopped":
        return StopError("user stopped", errors=errors)
    if observation.state == "guiding":
        return StopError("guiding", errors=errors)
    if observation.state in ("reflex", "recovering"):
        if any(name in COMMUNICATION for name in errors):
            return StopError("communication", errors=errors)
        if errors and observation.success_rate < ENOUGH and all(name.endswith("_discontinuity") for name in errors):
            share = f"only {observation.success_rate:.0%} of the last commands had reached the arm in time"
            return StopError("communication", f"after lost commands the next one looked like a jump: {share}", errors)
        return StopError("reflex", errors=errors)
    return None


def of_arm_error(error: ArmError, observation: Observation | None) -> StopError:
    """What an arm that raised has met; its state, where it still tells one, knows best."""
    told = None if observation is None else of_state(observation)
    if told is not None:
        return StopError(told.reason, "; ".join(filter(None, (told.detail, str(error)))), told.errors or error.errors)
    if NO_COMMAND in error.errors:
        return StopError("late", str(error))
    if any(name in COMMUNICATION for name in error.errors):
        return StopError("communication", str(error), error.errors)
    reflex = any(name.endswith(("_reflex", "_violation", "_discontinuity")) for name in error.errors)
    return StopError("reflex" if reflex else "arm error", str(error), error.errors)
