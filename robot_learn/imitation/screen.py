"""Which of several rewards are worth a full training.

Each alternative is trained for a fifth of the steps by the learner that will train it in full, and the best training
goes on from there: what is looked at is the first part of what will be had, and only the losers' steps are lost. A
planner is quicker, but it solves other rewards than a policy does (it needs no slope far away, and it sees a short way
ahead), so it is there for a first look. The order is the critic's, of all side by side and in two orders; the gates
come first. What `reward screen` asks of a reward, that it pays successes more than failures, cannot be asked here: it
would tell the task, which the video alone shall tell. So a reward is only refused where it pays the same for
everything, and passed over where another one equals it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rewards.program import check
from rewards.screening import duplicates
from rewards.video.critique import Critique, Problem
from rewards.video.edits import Alternative
from rewards.video.signals import Signals
from robot_learn import loops, probes, runs
from robot_learn.errors import UserError
from robot_learn.imitation.author import write_terms
from robot_learn.imitation.state import TERMS, ImitationConfig
from robot_learn.imitation.watch import Seen
from robot_learn.rollouts import Scored
from robot_learn.runs import Run
from robot_learn.train_config import preset
from robot_learn.types import Task

CANDIDATES, SCREENING = "candidates", "screening.json"


def begin_runs(
    place: Path, task: Task, alternatives: Sequence[Alternative], config: ImitationConfig, source: Run | None = None
) -> list[Run]:
    """A run folder for each alternative, `place/candidates/0` and so on; those that are there stay.

    Each begins with what was learned in `source`, where there is one.
    """
    changes = {} if config.num_envs is None else {"num_envs": config.num_envs}
    train = preset("ppo", total_steps=config.steps, seed=config.seed, **changes)
    found = []
    for number, each in enumerate(alternatives):
        folder, scratch = place / CANDIDATES / str(number), place / CANDIDATES / ".new"
        if not folder.exists():
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True)
            (scratch / runs.REWARD).write_text(each.terms.program(), encoding="utf-8")
            path, quick = str(scratch / runs.REWARD), config.quick
            run = loops.begin(task, path, train, scratch, name=str(number), source=source, quick=quick)
            # Which policy a training keeps must not depend on a success that the video does not tell.
            run.write_json(runs.CONFIG, run.config | {"blind": True})
            write_terms(run.file(TERMS), each.terms)
            run.path.rename(folder)
            shutil.rmtree(scratch)
        found.append(Run.open(folder))
    return found


def refused(task: Task, alternatives: Sequence[Alternative]) -> dict[int, str]:
    """The alternatives that teach nothing, or nothing of their own, with the reason; never all that equal each other.

    Judged on episodes of chance and of doing nothing, which tell no task.
    """
    seen = [each for each in probes.collect(task) if each.source in ("random", "still")]
    found: dict[int, str] = {}
    scored: dict[int, list[Scored]] = {}
    for number, each in enumerate(alternatives):
        try:
            reward = check(each.terms.program(), task).compile("numpy")
            scored[number] = [episodes.score(reward) for episodes in seen]
        except UserError as error:
            found[number] = f"it cannot be computed everywhere: {error}"
            continue
        if _is_constant(scored[number]):
            found[number] = "it pays the same for everything that chance does"
            del scored[number]
    for number in sorted(scored):
        for first in (earlier for earlier in sorted(scored) if earlier < number and earlier not in found):
            if duplicates([scored[first], scored[number]]) == [0, 0] and _same_to_live(scored[first], scored[number]):
                found[number] = f"it pays the same as alternative {first}"
                break
    return found


def _same_to_live(one: Sequence[Scored], other: Sequence[Scored]) -> bool:
    """Of two rewards that equal each other up to scale and offset: is the offset of one kind, or no matter?

    Where a fall ends an episode, what is paid on top for every step decides whether to live is worth it.
    """
    if all(each.rollouts.running.all() for each in one):
        return True
    values = [_values(scored) for scored in (one, other)]
    first, second = (float(each.mean() / max(float(each.std()), 1e-12)) for each in values)
    return abs(first - second) < 0.01 * max(1.0, abs(first))


def _values(scored: Sequence[Scored]) -> np.ndarray:
    """What is paid for all steps that belong to an episode."""
    return np.concatenate([each.rewards[each.rollouts.running] for each in scored])


def _is_constant(scored: Sequence[Scored]) -> bool:
    values = _values(scored)
    return bool(np.ptp(values) <= 1e-9 * max(1.0, float(np.abs(values).max())))


def in_order(
    robots: Mapping[int, Seen], rank: Callable[[Sequence[Seen]], Sequence[int]], *, gates: bool = True
) -> list[int]:
    """Alternatives by number, the best first: those that pass the gates by `rank`, and behind them those that do not.

    A policy that has hardly begun to learn may fall, so here the gates sort, and do not veto.
    """
    passed = [number for number in robots if not (gates and robots[number].veto)]
    fallen = [number for number in robots if number not in passed]
    return [*_ranked(robots, passed, rank), *(_ranked(robots, fallen, rank) if not passed else fallen)]


def _ranked(
    robots: Mapping[int, Seen], numbers: Sequence[int], rank: Callable[[Sequence[Seen]], Sequence[int]]
) -> list[int]:
    if len(numbers) < 2:
        return list(numbers)
    return [numbers[place] for place in rank([robots[number] for number in numbers])]


@dataclass(frozen=True)
class Wishes:
    """Ranks by how far what was measured went where a critique wanted it: without a model, and blind to all else."""

    critique: Critique | None  # None: nothing was criticised yet, and the order stays
    before: Signals | None

    def __call__(self, robots: Sequence[Seen]) -> list[int]:
        if self.critique is None or self.before is None:
            return list(range(len(robots)))
        granted = [granted_wishes(self.critique, self.before, robot.signals) for robot in robots]
        return sorted(range(len(robots)), key=lambda number: -granted[number])


def granted_wishes(critique: Critique, before: Signals, now: Signals | None) -> float:
    """The sum over problems of confidence times how far a quantity moved in the direction wanted, from -1 to 1 each."""
    if now is None:
        return -float(len(critique.problems))
    return sum(problem.confidence * _moved(problem, before, now) for problem in critique.problems)


_QUANTITIES: Mapping[str, Callable[[Signals], float]] = {
    "speed": lambda of: of.speed,
    "height": lambda of: of.height[2],
    "posture": lambda of: of.height[1],
    "rotation": lambda of: of.turns,
    "timing": lambda of: 0.0 if of.period is None else 1.0 / of.period,
    "contact": lambda of: 1.0 - (of.flight or 0.0),
    "amplitude": lambda of: of.swing,
    "symmetry": lambda of: -float(np.std(list(of.duty.values()))) if of.duty else 0.0,
    "effort": lambda of: of.activity,
}
_SIGNS = {"more": 1.0, "less": -1.0, "earlier": 1.0, "later": -1.0}


def _moved(problem: Problem, before: Signals, now: Signals) -> float:
    measure = _QUANTITIES[problem.quantity]
    was, came = measure(before), measure(now)
    if problem.direction == "steadier":
        was, came, sign = before.regularity, now.regularity, 1.0
    elif problem.direction == "reverse":
        sign = -1.0 if was > 0 else 1.0
    else:
        sign = _SIGNS[problem.direction]
    return sign * float(np.tanh((came - was) / max(abs(was), 0.1)))
