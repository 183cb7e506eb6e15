"""What happens in a session, as data: what was said, how episodes went, and all there is to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from controllers.mpc import Plan

Kind = Literal["push", "stop", "fine", "silence", "undo", "meant", "denied"]
Phase = Literal["running", "paused", "over"]
Outcome = Literal["satisfied", "certain", "corrections", "episodes", "misspecified"]
OUTCOMES: dict[Outcome, str] = {
    "satisfied": "the person is satisfied",
    "certain": "nothing that matters is left to learn",
    "corrections": "that was the last correction allowed",
    "episodes": "that was the last episode allowed",
    "misspecified": "the corrections contradict each other or the features: undo the wrong one",
}


@dataclass(frozen=True, eq=False)
class Entry:
    """Something that changed what is known, with all that is needed to learn from it again."""

    kind: Kind
    episode: int
    step: int
    state: np.ndarray  # (nx,) that the plan starts from
    controls: np.ndarray  # (N, nu) of the plan
    target: np.ndarray  # (nt,)
    direction: np.ndarray | None  # (nu,) of a push
    theta_before: np.ndarray  # (r,)
    theta_after: np.ndarray  # (r,)
    log_volume: float  # afterwards, of the inscribed ellipsoid, in unit balls
    seconds: float  # that it took to learn
    about: int = 0  # number, from 1, of the correction that was meant or is denied
    asked: bool = False  # an answer to the robot's question, and about a plan that it only imagined


@dataclass(frozen=True)
class Finished:
    """An episode that is over."""

    number: int
    steps: int
    pushes: int
    stopped: bool
    reached: bool
    passed: bool  # reached, and as the game wants it, measured on geometry
    unsafe: int  # steps with a plan that is unsafe by the game's own truth
    states: np.ndarray  # (steps + 1, nx)

    @property
    def good(self) -> bool:
        """Nothing had to be said."""
        return self.passed and not self.stopped and self.pushes == 0


class Log(Protocol):
    """Who writes down what happens, before anything else does."""

    def said(self, entry: Entry) -> None: ...

    def finished(self, episode: Finished) -> None: ...


@dataclass(frozen=True)
class Ends:
    """What ends a session beside a person who is satisfied."""

    corrections: int | None = None  # pushes at most, and stops where something is learned from them
    episodes: int | None = None  # at most
    certain: bool = True  # no ball of the learner's rho is larger than what is left
    misspecified: bool = True  # no theta explains all corrections


@dataclass(frozen=True, eq=False)
class View:
    """All there is to show."""

    system: str
    phase: Phase
    outcome: Outcome | None  # once it is over
    episode: int
    step: int
    plan: Plan
    theta: np.ndarray  # (r,)
    log_volume: float
    spread: np.ndarray  # (r,) of what is still possible, along each parameter
    still_to_come: int  # corrections at most, by the certificate
    doubted: int | None  # number of the correction that the robot asks about: was it meant?
    doubt: str  # why the corrections may be wrong; empty where there is no doubt
    counts: dict[str, int]  # of each kind
    good: int  # episodes in a row, up to now, in which nothing had to be said
    last: Entry | None

    @property
    def corrections(self) -> int:
        return self.counts["push"] + self.counts["stop"]
