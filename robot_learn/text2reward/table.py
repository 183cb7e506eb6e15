"""From the files of results to what they say: one summary a task and reward, and tables of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_learn.errors import UserError
from robot_learn.evaluation import wilson_interval
from robot_learn.text2reward.cells import SOURCES, SUITES

WRITTEN = ("zero-shot", "few-shot")  # by a model that has seen no result
LEARNED = 0.9  # of the expert's success: when a curve first reaches it, the task counts as learned
MASTERED = 0.9  # success from which on a task of the fifty counts
RELIABLE = 0.95  # success that is asked of locomotion


@dataclass(frozen=True)
class Summary:
    """All seeds of one task under one reward. The interval is that of the pooled episodes, not of the seeds."""

    task: str
    source: str
    results: tuple[Mapping[str, Any], ...]  # one a seed

    @property
    def successes(self) -> int:
        return sum(result["successes"] for result in self.results)

    @property
    def episodes(self) -> int:
        return sum(result["episodes"] for result in self.results)

    @property
    def rate(self) -> float:
        return self.successes / self.episodes

    @property
    def interval(self) -> tuple[float, float]:
        return wilson_interval(self.successes, self.episodes)

    def steps_to(self, success: float) -> float | None:
        """Mean over seeds of the steps after which the training's success rate first reached `success`."""
        found = [_first(result["curve"], success) for result in self.results]
        known = [steps for steps in found if steps is not None]
        return sum(known) / len(known) if len(known) == len(found) else None

    def says(self) -> str:
        """E.g. "98% (93-99), 2 seeds"."""
        low, high = self.interval
        seeds = "1 seed" if len(self.results) == 1 else f"{len(self.results)} seeds"
        return f"{self.rate:.0%} ({100 * low:.0f}-{100 * high:.0f}), {seeds}"


Summaries = Mapping[tuple[str, str], Summary]


def read_results(folder: Path) -> Summaries:
    """Every result in a folder, gathered over seeds: by task and reward.

    Raises:
        UserError: the folder holds none, or a file is no result.
    """
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            found.setdefault((result["task"], result["source"]), []).append(result)
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is no result of this benchmark: {error!r}") from error
    if not found:
        raise UserError(f"no results in {folder}: wanted what `robot-learn bench text2reward` leaves there")
    return {key: Summary(*key, tuple(results)) for key, results in found.items()}


def matches(ours: Summary, expert: Summary) -> bool:
    """Is ours better, or do the two intervals overlap? One that never succeeded matches nothing."""
    return ours.successes > 0 and ours.interval[1] >= expert.interval[0]


def verdicts(summaries: Summaries) -> dict[str, str]:
    """What the benchmark asks, and the counts that answer it."""
    manipulation = SUITES["metaworld"] + SUITES["maniskill"]
    compared = [name for name in manipulation if (name, "expert") in summaries and _best(summaries, name) is not None]
    good = [name for name in compared if _matching(summaries, name)]
    fifty = [summaries[name, "zero-shot"] for name in SUITES["fifty"] if (name, "zero-shot") in summaries]
    walks = [summary for name in SUITES["locomotion"] if (summary := _best(summaries, name)) is not None]
    return {
        "manipulation, a written reward matches or beats the expert's": (
            f"{len(good)} of {len(compared)} compared, of {len(manipulation)}"
        ),
        f"locomotion, success of {RELIABLE:.0%} or more": (
            f"{sum(summary.rate >= RELIABLE for summary in walks)} of {len(walks)} run, of {len(SUITES['locomotion'])}"
        ),
        f"fifty tasks of Meta-World, zero-shot success of {MASTERED:.0%} or more": (
            f"{sum(summary.rate >= MASTERED for summary in fifty)} of {len(fifty)} run, of {len(SUITES['fifty'])}"
        ),
    }


def markdown(summaries: Summaries) -> str:
    """The whole table, suite by suite; a dash is a cell that was not run."""
    parts = ["\n".join(f"- {question}: **{answer}**" for question, answer in verdicts(summaries).items())]
    titles = {
        "metaworld": "Manipulation, Meta-World",
        "maniskill": "Manipulation, ManiSkill",
        "locomotion": "Locomotion, MuJoCo",
    }
    for suite, title in titles.items():
        parts.append(f"## {title}\n\n" + _compared(summaries, SUITES[suite]))
    parts.append("## Fifty sentences, fifty skills\n\n" + _fifty(summaries))
    return "\n\n".join(parts) + "\n"


def _compared(summaries: Summaries, names: Sequence[str]) -> str:
    head = ["task", *SOURCES, "steps to 90 % of the expert's success: expert", "zero-shot"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name in names:
        row = [summaries[name, source].says() if (name, source) in summaries else "-" for source in SOURCES]
        lines.append("| " + " | ".join([f"`{name}`", *row, *_speeds(summaries, name)]) + " |")
    return "\n".join(lines)


def _speeds(summaries: Summaries, name: str) -> tuple[str, str]:
    expert = summaries.get((name, "expert"))
    if expert is None or not expert.rate:
        return "-", "-"
    wanted = LEARNED * expert.rate
    shown = [summaries.get((name, source)) for source in ("expert", "zero-shot")]
    steps = [None if summary is None else summary.steps_to(wanted) for summary in shown]
    return tuple("-" if each is None else f"{each / 1000:,.0f} k" for each in steps)  # type: ignore[return-value]


def _fifty(summaries: Summaries) -> str:
    lines = ["| task | zero-shot | at the end of the episode | steps | needed more |", "|---|---|---|---|---|"]
    for name in SUITES["fifty"]:
        summary = summaries.get((name, "zero-shot"))
        if summary is None:
            lines.append(f"| `{name}` | - | - | - | - |")
            continue
        at_end = sum(result["success_at_end_rate"] for result in summary.results) / len(summary.results)
        steps = sum(result["steps"] for result in summary.results) / len(summary.results)
        lines.append(f"| `{name}` | {summary.says()} | {at_end:.0%} | {steps / 1e6:.2f} M | {_more(summaries, name)} |")
    return "\n".join(lines)


def _more(summaries: Summaries, name: str) -> str:
    """What lifted a task that one try did not master."""
    if summaries[name, "zero-shot"].rate >= MASTERED:
        return ""
    tried = [summaries[name, source] for source in ("few-shot", "refined") if (name, source) in summaries]
    return "; ".join(f"{summary.source}: {summary.says()}" for summary in tried) or "not tried"


def _best(summaries: Summaries, name: str) -> Summary | None:
    found = [summaries[name, source] for source in WRITTEN if (name, source) in summaries]
    return max(found, key=lambda summary: summary.rate) if found else None


def _matching(summaries: Summaries, name: str) -> bool:
    best = _best(summaries, name)
    return best is not None and matches(best, summaries[name, "expert"])


def _first(curve: Sequence[tuple[int, float | None]], success: float) -> int | None:
    return next((steps for steps, rate in curve if rate is not None and rate >= success), None)
