"""Who judges a search's candidates before they are trained."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from rewards.program import Program
from rewards.screening import Screening, duplicates
from rewards.weights import fit_weights
from robot_learn import probes
from robot_learn.rollouts import Rollouts, Scored
from robot_learn.search.state import Verdict
from robot_learn.types import Task

PLANNING = 60.0  # [s] at most; far more than a plan takes, so that two machines seldom plan differently


@dataclass(frozen=True)
class Judgement:
    """What is thought of a program that nobody trained on yet."""

    verdict: Verdict
    score: float = 0.0  # higher is better
    findings: tuple[str, ...] = ()  # named faults, in words that its author can act on


class Screen(Protocol):
    """Judges programs of one task without training."""

    def judge(self, program: Program) -> Judgement: ...

    def same(self, one: Program, other: Program) -> bool:
        """Training on both would be a waste."""
        ...

    def fit(self, program: Program) -> dict[str, float] | None:
        """Weights of the terms with which successes are told from failures more clearly; None where there are none."""
        ...


class Unscreened:
    """Lets every program pass; only one text is the same as another."""

    def judge(self, program: Program) -> Judgement:
        return Judgement("pass")

    def same(self, one: Program, other: Program) -> bool:
        return one.weights == other.weights and ast.dump(ast.parse(one.text)) == ast.dump(ast.parse(other.text))

    def fit(self, program: Program) -> dict[str, float] | None:
        return None


class Screened(Unscreened):
    """Judges by what a program would pay for episodes whose outcome is known, and for what a planner makes of it."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._scores: dict[str, list[Scored]] = {}

    @cached_property
    def probes(self) -> list[Rollouts]:
        return probes.collect(self.task)

    def judge(self, program: Program) -> Judgement:
        reward = program.compile("numpy")
        found = probes.judge(reward, self.task, self.probes, plan=PLANNING)
        return Judgement(found.verdict, found.score, _told(found))

    def same(self, one: Program, other: Program) -> bool:
        return super().same(one, other) or duplicates([self._scored(one), self._scored(other)]) == [0, 0]

    def fit(self, program: Program) -> dict[str, float] | None:
        found = fit_weights(self._scored(program), self.task)
        return dict(found.weights) if found.status == "fitted" else None

    def _scored(self, program: Program) -> list[Scored]:
        key = f"{sorted(program.weights.items())}\n{program.text}"
        if key not in self._scores:
            reward = program.compile("numpy")
            self._scores[key] = [each.score(reward) for each in self.probes]
        return self._scores[key]


def screen_for(task: Task, *, active: bool) -> Screen:
    """The screening of a task's rewards; one that lets everything pass where it is not `active`."""
    return Screened(task) if active else Unscreened()


def _told(found: Screening) -> tuple[str, ...]:
    """What its author should know: that nothing could be compared is not the program's fault."""
    return tuple(finding.text for finding in found.findings if finding.name != "undecided")
