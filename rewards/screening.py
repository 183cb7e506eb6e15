"""Which rewards are worth a training, said before any: what a reward pays for episodes whose outcome is known.

The judge is what a reward pays *to stay*: to be in success for a step, against the last steps of the failures that are
paid best, those that stop a hair before success among them. An episode here goes on after success, so a policy that is
trained long enough chooses the state that pays more. A reward that pays for the way alone (a potential's difference)
pays nothing to stay: there the sum over an episode decides, without discount, so that slow successes are no failures.

CARD (Sun et al., 2024) asks that 0.8 of the successes are paid more a step than the best failure. `figures["card"]`
holds that share, but refuses nothing: beside failures a hair before success and successes that come late, it turns down
rewards that train to 100 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from rewards.faults import JUDGES, Finding, Loop, going_back_is_paid
from rewards.probed import Episodes, measure, rank_correlation
from robot_learn.rollouts import Scored
from robot_learn.types import Task

Outcome = Literal["pass", "doubt", "undecided", "refuse"]


@dataclass(frozen=True)
class Screening:
    """What came out for one reward."""

    verdict: Outcome
    score: float  # ranks candidates of one task: higher is better, 1 at most
    findings: tuple[Finding, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)  # those that could be measured


def screen(scored: Sequence[Scored], task: Task, loops: Sequence[Loop] = ()) -> Screening:
    """Judge a reward by what it pays for the probes of a task."""
    episodes = Episodes.of(scored, task)
    findings = [found for judge in JUDGES for found in judge(episodes)]
    findings += [found for loop in loops for found in going_back_is_paid(episodes, loop)]
    figures = measure(episodes)
    if figures.get("planned") == 1.0:
        # What a planner that knows nothing else brings to success in each episode can be trained on.
        findings = [replace(found, severity="doubt") if found.severity == "refuse" else found for found in findings]
    severities = {found.severity for found in findings}
    ranked = "rank" in figures
    verdict: Outcome = "pass" if ranked else "undecided"
    if "refuse" in severities:
        verdict = "refuse"
    elif "doubt" in severities:
        verdict = "doubt"
    doubts = sum(found.severity == "doubt" for found in findings)
    good = [figures[name] for name in ("rank", "auc", "progress", "planned") if name in figures] or [0.5]
    score = float(np.mean(good)) - 0.05 * doubts - 1.0 * (verdict == "refuse")
    return Screening(verdict, score, tuple(findings), figures)


def duplicates(scored: Sequence[Sequence[Scored]], *, most_steps: int = 20_000) -> list[int]:
    """For each of several rewards on the same probes, the first one that it equals up to scale and offset; else itself.

    Equal: correlation above 0.999 over all steps, of the values and of their ranks.
    """
    rows = []
    for rewards in scored:
        flat = np.concatenate([each.rewards[each.rollouts.running] for each in rewards])
        rows.append(flat[:: max(1, len(flat) // most_steps)])
    firsts: list[int] = []
    for index, row in enumerate(rows):
        same = (first for first in sorted(set(firsts)) if _equal(rows[first], row))
        firsts.append(next(same, index))
    return firsts


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    if np.ptp(one) == 0.0 or np.ptp(other) == 0.0:
        return bool(np.ptp(one) == np.ptp(other))
    return bool(np.corrcoef(one, other)[0, 1] > 0.999 and rank_correlation(one, other) > 0.999)
