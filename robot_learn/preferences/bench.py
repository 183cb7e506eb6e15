"""Runs the cells of the offline benchmark: collect, label, fit, train, each a command that goes on where it stopped.

FOLDER/
    data/                          datasets, as `robot-learn collect` makes them
    labels/DATA/TEACHER.jsonl      what teachers said
    rewards/DATA/TEACHER-K.npz     how the labels of K + 1 rounds rank all moments, to draw the next round's from
    rewards/DATA/TEACHER-LOSS.npz  what was learned from all of them
    runs/DATA--METHOD/             trainings
    results/offline/*.json         one result a cell, all that the tables are made of
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from robot_learn import runs
from robot_learn.data.manifest import normalised
from robot_learn.data.store import manifest
from robot_learn.errors import UserError
from robot_learn.evaluation import Evaluation
from robot_learn.launcher import Job, Launcher, LocalProcesses
from robot_learn.preferences.cells import EPISODES, SEEDS, Budget, Cell, Data, Method
from robot_learn.resumable import write_json
from robot_learn.runs import Run

RESULTS = "results/offline"
DONE = ".done"  # beside the log of what has been prepared
SHIPPED = "vlm"  # labels of a model come with the project: see `recorded`


@dataclass(frozen=True)
class Place:
    """Where everything of one benchmark lies."""

    folder: Path
    recorded: Path  # FOLDER/DATA-vlm.jsonl: labels that a real model gave

    @property
    def root(self) -> Path:
        return self.folder / "data"

    def labels(self, data: Data, method: Method) -> Path:
        short = data.name.partition("/")[2]
        if method.teacher == SHIPPED:
            return self.recorded / f"{short}-vlm.jsonl"
        return self.folder / "labels" / short / f"{method.labels}.jsonl"

    def rewards(self, data: Data, method: Method) -> Path:
        return self.folder / "rewards" / data.name.partition("/")[2] / f"{method.fitted}.npz"

    def ranking(self, data: Data, method: Method, number: int) -> Path:
        return self.rewards(data, method).with_name(f"{method.labels}-{number}.npz")

    def run(self, cell: Cell) -> Path:
        return self.folder / "runs" / cell.key

    def result(self, cell: Cell) -> Path:
        return self.folder / RESULTS / f"{cell.key}.json"


def run_cells(
    wanted: Sequence[Cell],
    place: Place,
    budget: Budget,
    *,
    launcher: Launcher | None = None,
    say: Callable[[str], None] = print,
) -> list[Path]:
    """Bring every cell without a result to one; returns the new result files. What fails is said, the others go on."""
    launcher = launcher or LocalProcesses()
    missing = [cell for cell in wanted if not place.result(cell).exists()]
    say(f"{len(wanted)} cells, {len(wanted) - len(missing)} with a result")
    steps: list[Callable[[Cell, Place, Budget], Job | None]] = [_collect_recorded, _collect]
    for number in range(len(budget.rounds)):
        steps += [partial(_label, number=number), partial(_rank, number=number)]
    for step in (*steps, _mistake, _fit):
        jobs = _once(step(cell, place, budget) for cell in missing)
        broken = _run(launcher, jobs, say)
        for job in jobs:
            if job.name not in broken:
                job.log.parent.mkdir(parents=True, exist_ok=True)
                job.log.with_suffix(DONE).touch()
        missing = [cell for cell in missing if not _name(step(cell, place, budget)) & broken]
    left_out = [cell for cell in missing if not _has_labels(cell, place)]
    for cell in left_out:
        say(f"left out  {cell.key}: no model has been asked about these data; see `robot-learn label --teacher vlm`")
    written = []
    ready = {cell.key: cell for cell in missing if cell not in left_out}
    for done in launcher.run([_train(cell, place, budget) for cell in ready.values()]):
        cell = ready[done.job.name]
        if done.status != 0:
            say(f"failed    {cell.key} (status {done.status}):\n{done.last_words()}")
            continue
        written.append(write_result(cell, place, budget, done.seconds))
        result = json.loads(written[-1].read_text(encoding="utf-8"))
        rates = ", ".join(f"{rate:.0%}" for rate in result["success"])
        say(f"measured  {cell.key}: {rates}  ({done.seconds:.0f} s)")
    return written


def _run(launcher: Launcher, jobs: Sequence[Job], say: Callable[[str], None]) -> set[str]:
    """Run jobs that prepare; returns the names of those that failed."""
    broken = set()
    for done in launcher.run(jobs):
        if done.status != 0:
            broken.add(done.job.name)
        outcome = "done     " if done.status == 0 else f"failed (status {done.status}), {done.last_words()}\n"
        say(f"{outcome} {done.job.name}  ({done.seconds:.0f} s)")
    return broken


def _once(jobs: Iterable[Job | None]) -> list[Job]:
    """Without those that need not run, and each once: cells share datasets, labels and rewards."""
    return list({job.name: job for job in jobs if job is not None}.values())


def _name(job: Job | None) -> set[str]:
    return set() if job is None else {job.name}


def _has_labels(cell: Cell, place: Place) -> bool:
    data, method = cell.what
    return method.teacher is None or place.labels(data, method).exists()


def _collect_recorded(cell: Cell, place: Place, budget: Budget) -> Job | None:
    """What recorded labels are about, by itself: a dataset that grows keeps the hash that they name."""
    return _collected(cell.what[0], place, cell.what[0].recorded, f"{cell.what[0].recorded} episodes of ")


def _collect(cell: Cell, place: Place, budget: Budget) -> Job | None:
    return _collected(cell.what[0], place, cell.what[0].episodes)


def _collected(data: Data, place: Place, episodes: int, part: str = "") -> Job | None:
    try:
        there = manifest(data.name, place.root)["episodes"]
    except UserError:
        there = 0  # not there, or not whole: the command says which, and goes on
    if there >= episodes:
        return None
    log = place.folder / "logs" / f"{data.name}.txt"
    return Job(f"collect {part}{data.name}", data.collect(str(place.root), episodes), log)


def _label(cell: Cell, place: Place, budget: Budget, *, number: int) -> Job | None:
    """One round's questions. Pairs of an earlier round are answered already: lines in the file tell no round."""
    data, method = cell.what[0], cell.what[1].choosing
    if method.teacher is None or method.teacher == SHIPPED:
        return None
    out, asked = place.labels(data, method), budget.rounds[number]
    log = out.with_name(f"{method.labels}-{number}.txt")
    if log.with_suffix(DONE).exists():
        return None
    words = ["label", data.name, "--root", str(place.root), "--teacher", method.teacher, "--out", str(out)]
    words += ["--pairs", str(asked.pairs), "--draw", asked.draw, "--sampler", asked.sampler, "--seed", str(number)]
    words += ["--members", str(place.ranking(data, method, number - 1))] if asked.draw == "best" else []
    words += ["--kind", method.kind] if method.kind else ["--film", str(budget.pictures)]
    words += ["--camera", data.camera] if data.camera and not method.kind else []
    return Job(f"label {data.name} {method.labels}, round {number + 1}", tuple(words), log)


def _rank(cell: Cell, place: Place, budget: Budget, *, number: int) -> Job | None:
    """How the labels so far rank all moments, for the next round."""
    data, method = cell.what[0], cell.what[1].choosing
    following = budget.rounds[number + 1 : number + 2]
    if method.teacher is None or method.teacher == SHIPPED or not following or following[0].draw != "best":
        return None
    out = place.ranking(data, method, number)
    if out.exists():
        return None
    words = ["reward", "fit", data.name, str(place.labels(data, method)), "--root", str(place.root), "--seeds", "1"]
    words += ["--scale", "none", "--out", str(out.with_suffix(".mean.npz")), "--members-out", str(out)]
    return Job(f"rank {data.name} {method.labels}, round {number + 1}", tuple(words), out.with_suffix(".txt"))


def _mistake(cell: Cell, place: Place, budget: Budget) -> Job | None:
    """The questions of all rounds, answered by a teacher who errs."""
    data, method = cell.what
    out = place.labels(data, method)
    log = out.with_name(f"{method.labels}.txt")
    if method.choosing == method or log.with_suffix(DONE).exists():
        return None
    words = ["label", data.name, "--root", str(place.root), "--teacher", str(method.teacher), "--out", str(out)]
    words += ["--kind", method.kind, "--of", str(place.labels(data, method.choosing))]
    return Job(f"label {data.name} {method.labels}", tuple(words), log)


def _fit(cell: Cell, place: Place, budget: Budget) -> Job | None:
    data, method = cell.what
    out = place.rewards(data, method)
    if method.teacher is None or method.algorithm == "cpl" or out.exists() or not _has_labels(cell, place):
        return None
    words = ["reward", "fit", data.name, str(place.labels(data, method)), "--root", str(place.root)]
    words += ["--seeds", str(SEEDS), "--loss", method.loss, "--scale", budget.scale, "--out", str(out)]
    return Job(f"fit {data.name} {method.fitted}", tuple(words), out.with_suffix(".txt"))


def _train(cell: Cell, place: Place, budget: Budget) -> Job:
    data, method = cell.what
    folder = place.run(cell)
    if (folder / runs.CONFIG).is_file():
        return Job(cell.key, ("offline", "--resume", str(folder)), folder / "log.txt")
    words = ["offline", data.name, "--root", str(place.root), "--algorithm", method.algorithm]
    words += ["--seeds", str(SEEDS), "--updates", str(budget.updates), "--episodes", str(EPISODES), "--workers", "1"]
    if method.algorithm == "cpl":
        words += ["--labels", str(place.labels(data, method))]
    elif method.teacher is None:
        words += ["--rewards", method.rewards]
    else:
        words += ["--rewards", str(place.rewards(data, method))]
    words += ["--set", *budget.settings(method.algorithm), "--out", str(folder.parent), "--name", cell.key]
    return Job(cell.key, tuple(words), place.folder / "logs" / f"{cell.key}.txt")


def write_result(cell: Cell, place: Place, budget: Budget, seconds: float) -> Path:
    """One cell's figures as one JSON file, from its run folder."""
    data, method = cell.what
    run, told = Run.open(place.run(cell)), manifest(data.name, place.root)
    found = [
        Evaluation.from_json(Run.open(run.path / f"seed-{seed}").read_json(runs.EVALUATION)) for seed in range(SEEDS)
    ]
    returns = [evaluation.mean_return for evaluation in found]
    result = {
        **asdict(cell),
        "success": [evaluation.success_rate for evaluation in found],  # one a seed, as the next three
        "success_at_end": [evaluation.success_at_end_rate for evaluation in found],
        "returns": returns,
        "normalised": [float(normalised(value, told)) for value in returns],
        "episodes": EPISODES,
        "first_seed": found[0].episodes[0].seed,
        "seconds": round(seconds, 1),
        "budget": asdict(budget),
        "offline": run.config["offline"],
        "learner": run.config["learner"],
        "dataset": {name: told.get(name) for name in ("hash", "episodes", "steps", "success_rate")},
        "method_of": asdict(method),
        "versions": run.read_json(runs.VERSIONS),
    }
    path = place.result(cell)
    write_json(path, result)
    return path
