"""`robot-learn offline`: a policy from data alone."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro

from robot_learn.cli.output import Names, OptionalInt, OptionalPath, OptionalText, put, put_json, say, table
from robot_learn.errors import UserError

if TYPE_CHECKING:
    from robot_learn.data.dataset import Dataset
    from robot_learn.evaluation import Evaluation
    from robot_learn.offline.run import Progress
    from robot_learn.offline.tensors import Tensors
    from robot_learn.runs import Run

REWARDS, LABELS = "rewards.npz", "labels.jsonl"  # in the run folder
WORLDS = 50  # of an evaluation
SAY_SECONDS = 10.0

OptionalDataset = Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[DATASET]")]


@dataclass(frozen=True)
class Offline:
    """Train policies from a dataset, without a simulator, and measure them in one."""

    dataset: OptionalDataset = None
    """A dataset, by name or folder; `robot-learn data list` lists them. Not needed with --resume."""
    algorithm: str = "iql"
    """iql, bc, bc-10, td3-bc, rebrac, prdc, cpl (wants --labels) or odice."""
    seeds: int = 5
    """How many seeds, from 0."""
    updates: int = 50_000
    """Of each seed."""
    rewards: str = "true"
    """true (the dataset's), average (the same at every step, as a control), or a file from `robot-learn reward fit`."""
    labels: OptionalPath = None
    """Comparisons from `robot-learn label`, for learners from preferences."""
    set: Names = ()
    """Settings of the algorithm, as name=value."""
    workers: OptionalInt = None
    """Seeds that learn at a time; by default one a core."""
    episodes: int = 50
    """Held-out evaluation episodes of each seed; 0 leaves the evaluation out."""
    validate: bool = False
    """Evaluate on the seeds for choosing between settings, not on those that results are reported on."""
    root: OptionalPath = None
    """Where datasets lie; by default ROBOT_LEARN_DATA or ./datasets."""
    out: Path = Path("runs")
    """Where run folders are made."""
    name: OptionalText = None
    """Of the run folder; by default task, algorithm and time."""
    resume: OptionalPath = None
    """The folder of a run to go on with; it keeps what it was begun with."""
    json: bool = False
    """Print the result as JSON."""

    def run(self) -> int:
        from robot_learn.offline import run as harness
        from robot_learn.runs import Run

        if self.episodes < 0:
            raise UserError(f"--episodes {self.episodes}: wanted 0 or more")
        if self.resume is None:
            run, dataset = self._begin()
        else:
            run = Run.open(self.resume)
            dataset = _dataset_of(run)
        asked = run.config["offline"]
        say(f"run       {run.path}")
        tensors = _tensors(run, dataset)
        config = harness.settings(asked["algorithm"], asked["updates"], asked["settings"])
        go_on = f"go on with: robot-learn offline --resume {run.path}"
        try:
            outcome = harness.train(
                run,
                tensors,
                asked["algorithm"],
                config,
                range(asked["seeds"]),
                updates=asked["updates"],
                workers=asked["workers"],
                on_progress=_display(),
            )
        except KeyboardInterrupt:
            say(f"stopped at once; {go_on}")
            return 130
        if outcome.interrupted:
            say(f"interrupted at {outcome.updates:,} updates; {go_on}")
            return 130
        say(f"trained   {asked['seeds']} seeds, {outcome.updates:,} updates each, in {outcome.seconds:.0f} s")
        return self._measure(run, dataset)

    def _begin(self) -> tuple[Run, Dataset]:
        # A new run folder, with copies of all that the training depends on but the dataset.
        from robot_learn.data.manifest import dataset_hash
        from robot_learn.data.store import load
        from robot_learn.offline.run import settings
        from robot_learn.preferences.reward import read_rewards
        from robot_learn.runs import Run

        if self.dataset is None:
            raise UserError("offline wants a DATASET, or --resume RUN")
        if self.seeds < 1 or self.updates < 1 or (self.workers is not None and self.workers < 1):
            raise UserError(
                f"wanted 1 or more of seeds, updates, workers: {self.seeds}, {self.updates}, {self.workers}"
            )
        dataset = load(self.dataset, self.root)
        changes = _changes(self.set)
        settings(self.algorithm, self.updates, changes)  # says what is wrong before a folder is made
        source = {"true": dataset.reward_source, "average": "average"}.get(self.rewards)
        if source is None:
            source = read_rewards(Path(self.rewards), dataset)[1]
        asked = {
            "dataset": self.dataset,
            "root": None if self.root is None else str(self.root),
            "dataset_hash": dataset_hash(dataset),
            "algorithm": self.algorithm,
            "settings": changes,
            "seeds": self.seeds,
            "updates": self.updates,
            "workers": self.workers or min(self.seeds, os.cpu_count() or 1),
            "rewards": self.rewards if self.rewards in ("true", "average") else REWARDS,
            "reward_source": source,
            "labels": None if self.labels is None else LABELS,
        }
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        name = self.name or f"{dataset.task.replace('/', '-')}-{self.algorithm}-{stamp}"
        run = Run.create(self.out, task=dataset.task, seed=0, config={"offline": asked}, name=name)
        for wanted, given, kept in (
            (asked["rewards"] == REWARDS, self.rewards, REWARDS),
            (self.labels, self.labels, LABELS),
        ):
            if wanted:
                shutil.copyfile(str(given), run.file(kept))
        return run, dataset

    def _measure(self, run: Run, dataset: Dataset) -> int:
        # Every seed that was not evaluated on these episodes before.
        from robot_learn.envs import EVAL_SEED0, VALIDATION_SEED0

        first_seed = VALIDATION_SEED0 if self.validate else EVAL_SEED0
        try:
            rows = _evaluations(run, dataset, self.episodes, first_seed) if self.episodes else {}
        except KeyboardInterrupt:
            say(f"interrupted; the policies are trained, measure with: robot-learn offline --resume {run.path}")
            return 130
        summary = _summary(rows, dataset)
        if self.json:
            put_json({"run": str(run.path), **run.config["offline"], **summary})
        elif rows:
            put(table(summary["seeds"]))
            put(f"success   {summary['success_rate']:.0%} of {summary['episodes']} episodes, {len(rows)} seeds")
        return 0


def _changes(words: tuple[str, ...]) -> dict[str, Any]:
    """{"expectile": 0.9} of "expectile=0.9"."""
    import json

    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise UserError(f"--set {word}: wanted name=value")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found


def _dataset_of(run: Run) -> Dataset:
    from robot_learn.data.manifest import dataset_hash
    from robot_learn.data.store import load

    asked = run.config.get("offline")
    if asked is None:
        raise UserError(f"run {run.path} is not one of `robot-learn offline`")
    dataset = load(asked["dataset"], asked["root"])
    if dataset_hash(dataset) != asked["dataset_hash"]:
        raise UserError(f"run {run.path}: the dataset {asked['dataset']} is no longer the one that it was begun with")
    return dataset


def _tensors(run: Run, dataset: Dataset) -> Tensors:
    """The data as the run sees it: its rewards and comparisons."""
    import sims
    from robot_learn.offline.tensors import to_tensors
    from robot_learn.preferences.reward import read_rewards

    asked, action = run.config["offline"], sims.task(dataset.task).action
    tensors = to_tensors(dataset, np.array([a.low for a in action]), np.array([a.high for a in action]))
    if asked["rewards"] == "average":
        tensors = tensors.with_rewards(np.full(dataset.num_steps, dataset.rewards.mean(dtype=np.float64)))
    elif asked["rewards"] == REWARDS:
        rows = read_rewards(run.file(REWARDS), dataset)[0]
        # A file with more rows than seeds has been fitted for more of them; one row is for all.
        tensors = tensors.with_rewards(rows[: asked["seeds"]] if len(rows) > 1 else rows)
        tensors.rewards_of(asked["seeds"])
    if asked["labels"]:
        from rewards.preference.labels import preferences, read_labels
        from robot_learn.data.manifest import identity
        from robot_learn.offline.cpl import with_preferences

        labels = read_labels(run.file(LABELS), **identity(dataset))
        tensors = with_preferences(tensors, dataset, preferences(labels))
    return tensors


def _display() -> Callable[[Progress], None]:
    """A line now and then."""
    from robot_learn.progress import clock

    last = -math.inf

    def show(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last < SAY_SECONDS and progress.updates < progress.total_updates:
            return
        last = time.monotonic()
        losses = "   ".join(f"{name} {values.mean():.4g}" for name, values in progress.losses.items())
        say(
            f"{progress.updates:>9,} / {progress.total_updates:,} updates   {losses}   "
            f"{progress.updates_per_second:,.0f} updates/s of all seeds   {clock(progress.seconds_left)} left"
        )

    return show


def _evaluations(run: Run, dataset: Dataset, episodes: int, first_seed: int) -> dict[int, Evaluation]:
    """By seed; each is on the disk before the next begins."""
    import sims
    from robot_learn.evaluation import Evaluation, evaluate
    from robot_learn.offline.run import seed_run
    from robot_learn.policy import load_policy
    from robot_learn.runs import EVALUATION

    found: dict[int, Evaluation] = {}
    env: sims.BatchEnv | None = None
    try:
        for seed in range(run.config["offline"]["seeds"]):
            folder = seed_run(run, seed)
            if folder.has(EVALUATION):
                kept = Evaluation.from_json(folder.read_json(EVALUATION))
                if (kept.episodes[0].seed, len(kept.episodes)) == (first_seed, episodes):
                    found[seed] = kept
                    continue
            env = env or sims.make(dataset.task, min(WORLDS, episodes), reward="expert")
            found[seed], _ = evaluate(env, load_policy(folder), episodes=episodes, first_seed=first_seed)
            folder.write_json(EVALUATION, found[seed].to_json())
            say(f"seed {seed}    success {found[seed].success_rate:.0%}, return {found[seed].mean_return:.4g}")
    finally:
        if env is not None:
            env.close()
    return found


def _summary(rows: dict[int, Evaluation], dataset: Dataset) -> dict[str, Any]:
    from robot_learn.data.manifest import normalised

    if not rows:
        return {"seeds": []}
    table_rows = [
        {
            "seed": seed,
            "success": found.success_rate,
            "at end": found.success_at_end_rate,
            "return": found.mean_return,
            **({"normalised": float(normalised(found.mean_return, dataset.manifest))} if _anchored(dataset) else {}),
        }
        for seed, found in rows.items()
    ]
    return {
        "seeds": table_rows,
        "episodes": sum(len(found.episodes) for found in rows.values()),
        "first_seed": next(iter(rows.values())).episodes[0].seed,
        "success_rate": float(np.mean([found.success_rate for found in rows.values()])),
        "mean_return": float(np.mean([found.mean_return for found in rows.values()])),
    }


def _anchored(dataset: Dataset) -> bool:
    anchors = dataset.manifest.get("anchors") or {}
    return {"random", "expert"} <= set(anchors) and anchors["random"] != anchors["expert"]
