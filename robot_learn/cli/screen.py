"""`robot-learn reward screen`."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from robot_learn.cli.output import put, put_json, say, table
from robot_learn.errors import UserError

if TYPE_CHECKING:
    from rewards.screening import Screening
    from robot_learn.rollouts import Rollouts, Scored
    from robot_learn.types import Task


@dataclass(frozen=True)
class ScreenRewards:
    """Say before any training which reward programs are worth one, and what is wrong with the others.

    rank: share of pairs in which a step in success is paid more than the end of the best-paid failures. auc: share in
    which a whole success is paid more than a failure. progress: correlation of pay and time on the way to success.
    planned: successes of a planner that sees the reward alone. score: their mean, less for each doubt.
    """

    files: Annotated[
        tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE...", help_behavior_hint="(required)")
    ]
    """Programs for one task."""
    task: str
    """The task that they are for."""
    plan: float = 10.0
    """Seconds that a planner may spend on each program, to see what it asks for; 0 leaves that out."""
    fresh: bool = False
    """Collect the probes of the task anew instead of taking them from the cache."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        import sims
        from robot_learn import probes

        if not self.files or self.plan < 0:
            raise UserError("wanted at least one program, and --plan of 0 seconds or more")
        missing = [str(file) for file in self.files if not file.exists()]
        if missing:
            raise UserError(f"there is no such file: {', '.join(missing)}")
        task = sims.task(self.task)
        say(f"probes    {task.name}: episodes of its script, of disturbances, of chance ...")
        began = time.monotonic()
        found = probes.collect(task, fresh=self.fresh)
        say("          " + ", ".join(_count(each) for each in found) + f"  ({time.monotonic() - began:.1f} s)")
        rows = [_screened(file, task, found, self.plan) for file in self.files]
        rows = _without_twins(rows)
        rows.sort(key=lambda row: -row.screening.score)
        if self.json:
            put_json({"task": task.name, "probes": [_describe(each) for each in found], "programs": _plain(rows)})
            return 0
        put(table([row.shown() for row in rows]))
        for row in rows:
            for finding in row.screening.findings:
                put(f"\n{row.file}: {finding.severity}: {finding.text}")
        return 0


@dataclass(frozen=True)
class _Row:
    file: Path
    screening: Screening
    scored: tuple[Scored, ...]  # of the probes; () for what is no program
    seconds: float
    same_as: Path | None = None

    def shown(self) -> dict[str, Any]:
        figures = self.screening.figures
        cells: dict[str, Any] = {"program": str(self.file), "verdict": self.screening.verdict}
        cells["score"] = self.screening.score
        cells |= {name: figures.get(name) for name in ("rank", "auc", "progress", "planned")}
        faults = [found.name for found in self.screening.findings if found.severity != "note"]
        cells["findings"] = ", ".join(dict.fromkeys(faults)) or "-"
        cells["same as"] = None if self.same_as is None else str(self.same_as)
        return cells | {"s": self.seconds}


def _screened(file: Path, task: Task, found: list[Rollouts], plan: float) -> _Row:
    from rewards.faults import Finding
    from rewards.program import ProgramError
    from rewards.screening import Screening
    from robot_learn import loops, probes

    say(f"screening {file}")
    began = time.monotonic()
    try:
        reward = loops.read_program(file, task).compile("numpy")
    except ProgramError as error:
        finding = Finding("no program", None, "refuse", str(error))
        return _Row(file, Screening("refuse", -1.0, (finding,)), (), time.monotonic() - began)
    judged = probes.judge(reward, task, found, plan=plan)
    scored = (
        () if "not finite" in {each.name for each in judged.findings} else tuple(each.score(reward) for each in found)
    )
    return _Row(file, judged, scored, time.monotonic() - began)


def _without_twins(rows: list[_Row]) -> list[_Row]:
    """The rows, each that is the same reward as an earlier one marked with it."""
    from rewards.screening import duplicates

    able = [index for index, row in enumerate(rows) if row.scored]
    for index, first in zip(able, duplicates([rows[index].scored for index in able]), strict=True):
        if able[first] != index:
            rows[index] = replace(rows[index], same_as=rows[able[first]].file)
    return rows


def _count(rollouts: Rollouts) -> str:
    return f"{rollouts.source} {rollouts.num_episodes} (success {rollouts.succeeded.sum()})"


def _describe(rollouts: Rollouts) -> dict[str, Any]:
    return {
        "source": rollouts.source,
        "episodes": rollouts.num_episodes,
        "successes": int(rollouts.succeeded.sum()),
    }


def _plain(rows: list[_Row]) -> list[dict[str, Any]]:
    return [
        {
            "file": str(row.file),
            **asdict(row.screening),
            "same_as": None if row.same_as is None else str(row.same_as),
            "seconds": row.seconds,
        }
        for row in rows
    ]
