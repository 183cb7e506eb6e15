"""The benchmark: a simulated person teaches every system under every rule, once a seed; results are only ever added.

A file a system and rule, a line a seed. Seeds are those that nothing was tuned on.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from controllers.alignment.cuts import cuts
from controllers.alignment.learner import Learner
from controllers.mpc import Mpc
from controllers.systems import SYSTEMS, game
from robot_learn.alignment.events import Ends, Entry
from robot_learn.alignment.held_out import held_out
from robot_learn.alignment.lines import Lines, read_lines
from robot_learn.alignment.people import ASKING, RULES, Person, epsilon_of, rule_named
from robot_learn.alignment.session import Session, correction_of
from robot_learn.envs import EVAL_SEED0
from robot_learn.errors import UserError, unknown
from robot_learn.runs import versions

UNTAUGHT = "untaught"  # the row of a robot that nobody has corrected
UNTAUGHT_SEEDS = 5
DEFAULT_SYSTEMS = ("pendulum", "uav-gate", "franka-reach", "franka-pour")
DEFAULT_RULES = (UNTAUGHT, "paper", "stops", "full")
MOST_CORRECTIONS, MOST_EPISODES = 60, 100  # more are a failure
SEED0 = EVAL_SEED0 + 10_000  # those below were looked at while it was decided when a person is satisfied


@dataclass(frozen=True)
class Cell:
    """One game of the benchmark."""

    system: str
    rule: str
    seed: int  # 0, 1, ...: SEED0 is added to it
    mistaken: float = 0.0

    @property
    def file(self) -> str:
        mistakes = f"--mistaken-{100 * self.mistaken:g}" if self.mistaken else ""
        return f"{self.system}--{self.rule}{mistakes}.jsonl"

    def setting(self) -> dict[str, Any]:
        """What the figures depend on beside the code; another one makes another result."""
        system = game(self.system).system
        rule = None if self.rule == UNTAUGHT else asdict(rule_named(self.rule))
        return {
            "features_version": system.version,
            "rule": rule,
            "mistaken": self.mistaken,
            "epsilon": epsilon_of(self.system),
            "most_corrections": MOST_CORRECTIONS,
            "most_episodes": MOST_EPISODES,
        }


def cells(
    systems: Sequence[str] = (), rules: Sequence[str] = (), seeds: int = 50, mistaken: Sequence[float] = (0.0,)
) -> list[Cell]:
    """Seed after seed, so that whoever stops early has something of everything.

    Raises:
        UserError: there is no such system or rule, or a number makes no sense.
    """
    for system in systems:
        if system not in SYSTEMS:
            raise unknown("system", system, SYSTEMS)
    for rule in rules:
        if rule not in (UNTAUGHT, *RULES):
            raise unknown("rule", rule, (UNTAUGHT, *RULES))
    if seeds < 1:
        raise UserError(f"seeds: wanted 1 or more, came {seeds}")
    for share in mistaken:
        if not 0 <= share < 1:
            raise UserError(f"mistaken: wanted a share from 0 to below 1, came {share}")
    return [
        Cell(system, rule, seed, share)
        for seed in range(seeds)
        for share in dict.fromkeys(mistaken or (0.0,))
        for rule in dict.fromkeys(rules or DEFAULT_RULES)
        for system in dict.fromkeys(systems or DEFAULT_SYSTEMS)
        if rule != UNTAUGHT or (seed < UNTAUGHT_SEEDS and share == 0)
    ]


def run_cells(wanted: Sequence[Cell], folder: Path, workers: int, say: Callable[[str], None]) -> int:
    """Play every game that has no result yet and add its line; returns how many were added. Ctrl-C loses none."""
    done = {name: results(folder / name) for name in {cell.file for cell in wanted}}
    settings = {cell.file: cell.setting() for cell in wanted}
    missing = [cell for cell in wanted if not has_result(done[cell.file], cell.seed, settings[cell.file])]
    say(f"{len(wanted)} games, {len(wanted) - len(missing)} with a result")
    commit = versions()["commit"]
    added = 0
    for count, (cell, result) in enumerate(_results(missing, workers), start=1):
        if isinstance(result, str):
            say(f"{count}/{len(missing)}  {cell.file} s{cell.seed} failed: {result}")
            continue
        added += 1
        file = Lines(folder / cell.file)
        file.add(result | {"setting": settings[cell.file], "commit": commit})
        file.close()
        say(f"{count}/{len(missing)}  {_line(cell, result)}")
    return added


def has_result(lines: Sequence[dict[str, Any]], seed: int, setting: dict[str, Any]) -> bool:
    return any(line["seed"] == seed and line["setting"] == setting for line in lines)


def results(path: Path) -> list[dict[str, Any]]:
    """The results in a file; none where there is no file.

    Raises:
        UserError: a line is no result.
    """
    found = read_lines(path)
    for number, line in enumerate(found, start=1):
        missing = {"seed", "setting", "held_out"} - line.keys()
        if missing:
            raise UserError(f"{path}, line {number}, is no result: it has no {', '.join(sorted(missing))}")
    return found


def _results(wanted: Sequence[Cell], workers: int) -> Iterator[tuple[Cell, dict[str, Any] | str]]:
    if workers < 1:
        raise UserError(f"workers: wanted 1 or more, came {workers}")
    if workers == 1 or len(wanted) < 2:
        yield from map(_with_cell, wanted)
        return
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[threads] = "1"  # before the workers import numpy
    # Ctrl-C is the parent's: leaving this block ends the workers.
    with multiprocessing.get_context("spawn").Pool(workers, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        yield from pool.imap_unordered(_with_cell, wanted)


def _with_cell(cell: Cell) -> tuple[Cell, dict[str, Any] | str]:
    """A game and its result, or what went wrong: the others go on."""
    try:
        return cell, run_cell(cell)
    except Exception as error:
        return cell, f"{type(error).__name__}: {error}"


@lru_cache(maxsize=8)
def _mpc(system: str) -> Mpc:
    """Problems are built once a process."""
    return Mpc(game(system).system)


def run_cell(cell: Cell) -> dict[str, Any]:
    """One game and what was learned in it, as figures."""
    began, seed = time.perf_counter(), SEED0 + cell.seed
    played, mpc = game(cell.system), _mpc(cell.system)
    if cell.rule == UNTAUGHT:
        theta, taught = (played.system.theta_low + played.system.theta_high) / 2, {}
    else:
        ends = Ends(MOST_CORRECTIONS, MOST_EPISODES, certain=False, misspecified=False)
        session = Session(played, Learner(mpc, rule_named(cell.rule)), seed=seed, ends=ends)
        Person(played, seed, cell.mistaken, cell.rule in ASKING).play(session)
        theta, taught = session.learner.theta, _taught(session)
    checked = held_out(played, mpc, theta, seed)
    return {"seed": cell.seed, **taught, "held_out": asdict(checked), "wall": round(time.perf_counter() - began, 2)}


def _taught(session: Session) -> dict[str, Any]:
    counts, learner, truth = session.counts, session.learner, session.game.truth
    corrections = [entry for entry in session.entries if entry.kind in ("push", "stop", "fine")]
    cutting = [_cut_seconds(learner, entry) for entry in corrections]
    updates = [
        max(0.0, entry.seconds - cut)
        for entry, cut in zip(corrections, cutting, strict=True)
        if entry.kind != "stop" or learner.rule.stops
    ]
    return {
        "outcome": session.outcome,
        "pushes": counts["push"],
        "stops": counts["stop"],
        "fines": counts["fine"],  # answers to questions only: this person says so at no other time
        "silences": counts["silence"],
        "episodes": len(session.episodes),
        "steps": sum(episode.steps for episode in session.episodes),
        "unsafe_steps": sum(episode.unsafe for episode in session.episodes),
        "truth_kept": bool(learner.hypotheses.contains(truth)),
        "error": float(np.linalg.norm(learner.theta - truth)),
        "log_volume": [round(entry.log_volume, 3) for entry in corrections],
        "seconds": {
            "plan": _median(session.plan_seconds),
            "cut": _median(cutting),
            "update": _median(updates),
        },
    }


def _cut_seconds(learner: Learner, entry: Entry) -> float:
    """How long the cuts of a correction take by themselves."""
    began = time.perf_counter()
    cuts(learner.mpc, correction_of(entry), axes=learner.rule.axes)
    return time.perf_counter() - began


def _median(values: Sequence[float]) -> float | None:
    return float(f"{np.median(values):.3g}") if values else None


def _line(cell: Cell, result: dict[str, Any]) -> str:
    held, name = result["held_out"], f"{cell.file.removesuffix('.jsonl')} s{cell.seed}"
    taught = f"{result['outcome']}, {result['pushes']} pushes, {result['stops']} stops, " if "pushes" in result else ""
    return f"{name}: {taught}{held['passed']} of {held['episodes']} held-out episodes passed"
