"""`robot-learn bench`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from robot_learn.cli.output import Names, OptionalInt, put, put_json, say, table
from robot_learn.registry import load

BENCHMARKS = {
    "sim": "sims.bench:run",
    "program": "rewards.program.bench:run",
    "ellipsoid": "controllers.alignment.bench:run",
    "mistakes": "controllers.alignment.mistakes:run",
    "filter": "controllers.filter_bench:run",
    "iql": "robot_learn.offline.bench:run",
}


@dataclass(frozen=True)
class Bench:
    """Measure speed against the named peer, in one run: sim, program, ellipsoid, mistakes, filter, iql."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """sim: batched simulation against Gymnasium's; program: reward programs; ellipsoid: centres; mistakes: what wrong
    pushes cost; filter: safety; iql: learning from data."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        rows: list[dict[str, Any]] = load(BENCHMARKS, self.name, kind="benchmark")()
        if self.json:
            put_json(rows)
        else:
            put(table(rows))
        return 0


@dataclass(frozen=True)
class BenchText2Reward:
    """Train and measure rewards of all kinds under one setting: expert, sparse, zero-shot, few-shot, refined."""

    suites: Names = ()
    """metaworld, maniskill, locomotion (together the default), fifty (all of Meta-World)."""
    tasks: Names = ()
    """Single tasks, beside or instead of suites."""
    rewards: Names = ()
    """Which of the five; by default all."""
    seeds: int = 1
    """Training seeds 0, 1, ... of each."""
    workers: OptionalInt = None
    """Trainings at once; by default one a core."""
    out: Path = Path("benchmarks")
    """Where results and run folders are; what is there is kept and gone on with."""
    dry_run: bool = False
    """Only say what is there and what would be run."""
    json: bool = False
    """Print the new results' files as JSON."""

    def run(self) -> int:
        from robot_learn.launcher import LocalProcesses
        from robot_learn.text2reward.cells import cells
        from robot_learn.text2reward.run import has_result, run_cells

        wanted = cells(self.suites, self.tasks, self.rewards, self.seeds)
        if self.dry_run:
            done = [has_result(self.out, cell) for cell in wanted]
            for cell, is_done in zip(wanted, done, strict=True):
                put(f"{'done' if is_done else 'open'}  {cell.key}")
            say(f"{sum(done)} of {len(wanted)} done; a training takes from one to fifteen minutes of a core")
            return 0
        written = run_cells(wanted, self.out, launcher=LocalProcesses(self.workers), say=say)
        if self.json:
            put_json([str(path) for path in written])
        return 0


@dataclass(frozen=True)
class BenchAlignment:
    """Have a simulated person teach systems what is unsafe: corrections, success, violations and times of each rule."""

    systems: Names = ()
    """Systems of `robot-learn correct`; by default pendulum, uav-gate, franka-reach and franka-pour."""
    rules: Names = ()
    """untaught, paper, stops, full (the default), ask, forgiving."""
    seeds: int = 50
    """Games of each."""
    mistaken: tuple[float, ...] = (0.0,)
    """Shares of pushes that go the wrong way, each a row of its own."""
    workers: int = 1
    """Games at once."""
    out: Path = Path("benchmarks/results/alignment")
    """Where results are; what is there is kept and added to."""
    docs: Path = Path("docs")
    """Where alignment.md and its pictures are written."""
    dry_run: bool = False
    """Play nothing: only write the page anew from the results that are there."""
    json: bool = False
    """Print the rows as JSON."""

    def run(self) -> int:
        from robot_learn.alignment.bench import cells, run_cells
        from robot_learn.alignment.pictures import write_page
        from robot_learn.alignment.table import rows, short
        from robot_learn.cli.output import make_folder

        wanted = cells(self.systems, self.rules, self.seeds, self.mistaken)
        make_folder(self.out)
        if not self.dry_run:
            run_cells(wanted, self.out, self.workers, say)
        found = rows(self.out)
        make_folder(self.docs)
        say(f"written   {write_page(found, self.docs)}")
        if self.json:
            put_json([row.figures() for row in found])
        else:
            put(table([short(row) for row in found]))
        return 0


@dataclass(frozen=True)
class BenchOffline:
    """Policies from data alone: IQL with true, taught and average rewards beside imitation, five seeds at once."""

    data: Names = ()
    """Datasets, e.g. drawer-open-random; by default all twelve."""
    methods: Names = ()
    """iql-true, iql-simulated, iql-vision, iql-vlm, iql-average, bc, bc-10, rebrac, cpl-simulated; by default all."""
    noise: bool = False
    """Sweep wrong labels instead: which learner survives what."""
    updates: int = 15_000
    """Of each seed."""
    workers: OptionalInt = None
    """Cells at once; by default one a core."""
    out: Path = Path("benchmarks")
    """Where data, labels, runs and results are; what is there is kept and gone on with."""
    docs: Path = Path("docs")
    """Where offline.md is written."""
    dry_run: bool = False
    """Run nothing: say what is open, and write the page anew from the results that are there."""
    json: bool = False
    """Print the rows as JSON."""

    def run(self) -> int:
        from robot_learn.cli.output import make_folder
        from robot_learn.launcher import LocalProcesses
        from robot_learn.preferences import bench, cells
        from robot_learn.preferences import table as tables

        budget = cells.Budget(updates=self.updates)
        place = bench.Place(self.out, Path(__file__).parents[2] / "benchmarks" / "recordings" / "labels")
        wanted = cells.cells(self.data, self.methods, noise=self.noise)
        if self.dry_run:
            for cell in wanted:
                put(f"{'done' if place.result(cell).exists() else 'open'}  {cell.key}")
        else:
            bench.run_cells(wanted, place, budget, launcher=LocalProcesses(self.workers), say=say)
        results = tables.read_results(self.out / bench.RESULTS)
        make_folder(self.docs)
        (self.docs / "offline.md").write_text(tables.markdown(results), encoding="utf-8")
        say(f"written   {self.docs / 'offline.md'}")
        shown = tables.noise_rows(results) if self.noise else tables.rows(results)
        if self.json:
            put_json({"rows": shown, "verdicts": tables.verdicts(results)})
        else:
            put(table(shown))
        return 0
