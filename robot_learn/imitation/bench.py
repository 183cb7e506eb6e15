"""Runs the cells of the video benchmark: experts are trained and filmed, then each cell learns and is measured.

FOLDER/
    video/experts/NAME/         an expert's training, and expert.mp4
    runs/video/KEY/             an imitation, or a training
    results/video/KEY.json      one result a cell, all that the table is made of
Only ever adds: what is there is kept, what was cut goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import sims
from rewards.language import build_prompt, converse
from rewards.models import connect
from rewards.program import check, language_reference
from robot_learn import loops, runs
from robot_learn.envs import EVAL_SEED0
from robot_learn.errors import UserError
from robot_learn.imitation import experts
from robot_learn.imitation.cells import Behaviour, Budget, Cell, Method
from robot_learn.imitation.metrics import metric
from robot_learn.imitation.state import Imitation
from robot_learn.imitation.watch import play
from robot_learn.launcher import Job, Launcher, LocalProcesses
from robot_learn.policy import load_policy
from robot_learn.resumable import write_json
from robot_learn.runs import Run
from robot_learn.types import Policy, Task

RESULTS, RUNS, EXPERTS = "results/video", "runs/video", "video/experts"


@dataclass(frozen=True)
class Place:
    """Where everything of one benchmark lies."""

    folder: Path

    def expert(self, behaviour: Behaviour) -> Path:
        return self.folder / EXPERTS / behaviour.expert

    def video(self, behaviour: Behaviour) -> Path:
        return self.expert(behaviour) / experts.FILM

    def run(self, cell: Cell) -> Path:
        return self.folder / RUNS / cell.key

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
    shown = {cell.what[0].expert: cell.what[0] for cell in missing if cell.what[1].kind in ("loop", "watched")}
    make_experts(list(shown.values()), place, budget, launcher=launcher, say=say)
    jobs: dict[str, Job] = {}
    ready: list[Cell] = []
    for cell in missing:
        try:
            job = _job(cell, place, budget)
            ready.append(cell)
            jobs |= {} if job is None else {cell.key: job}
        except UserError as error:
            say(f"left out  {cell.key}: {str(error).splitlines()[0][:200]}")
    failed = set()
    for done in launcher.run(list(jobs.values())):
        if done.status != 0:
            failed.add(done.job.name)
            say(f"failed    {done.job.name} (status {done.status}):\n{done.last_words()}")
        else:
            say(f"learned   {done.job.name}  ({done.seconds:.0f} s)")
    written = []
    for cell in ready:
        if cell.key not in failed:
            written.append(write_result(cell, place, budget))
            result = json.loads(written[-1].read_text(encoding="utf-8"))
            say(f"measured  {cell.key}: {result['final']:.3g} {result['unit']}")
    return written


def make_experts(
    wanted: Sequence[Behaviour],
    place: Place,
    budget: Budget,
    *,
    launcher: Launcher,
    say: Callable[[str], None],
) -> list[Path]:
    """Train and film the experts that have no video yet."""
    missing = {f"expert {each.expert}": each for each in wanted if not place.video(each).exists()}
    filmed = []
    for done in launcher.run([experts.training(place.expert(each), each, budget) for each in missing.values()]):
        if done.status != 0:
            say(f"failed    {done.job.name} (status {done.status}):\n{done.last_words()}")
            continue
        behaviour = missing[done.job.name]
        filmed.append(experts.film(place.expert(behaviour), behaviour))
        say(f"filmed    {filmed[-1]}  ({done.seconds:.0f} s of training)")
    return filmed


def _job(cell: Cell, place: Place, budget: Budget) -> Job | None:
    """The command that brings a cell to its end from wherever it stands; None where nothing is learned."""
    behaviour, method = cell.what
    if method.kind in ("loop", "watched") and not place.video(behaviour).exists():
        raise UserError(f"there is no video of {behaviour.expert}")
    if method.kind == "chance":
        return None
    if method.kind == "loop":
        return _loop(cell, place, budget)
    run = place.run(cell)
    if not (run / runs.CONFIG).is_file():
        _begin(cell, place, budget)
    words = ("train", "--resume", str(run), "--steps", str(_steps(cell, budget)), "--episodes", "0", "--no-video")
    return Job(cell.key, words, place.run(cell) / "log.txt")


def _loop(cell: Cell, place: Place, budget: Budget) -> Job:
    behaviour, method = cell.what
    folder = place.run(cell)
    if cell.method == "person" and not (folder / "imitation.json").exists():
        raise UserError(f"nobody has taught {cell.behaviour}: robot-learn video --critic person --out {folder}")
    words = ["video", behaviour.task, "--video", str(place.video(behaviour)), "--out", str(folder)]
    words += ["--speed", str(behaviour.speed), "--steps", str(_steps(cell, budget)), "--seed", str(cell.seed)]
    words += ["--iterations", str(budget.iterations), "--alternatives", str(budget.alternatives), "--workers", "1"]
    words += ["--model", budget.models.edit, "--vision-model", budget.models.vision]
    words += [] if budget.num_envs is None else ["--num-envs", str(budget.num_envs)]
    words += ["--quick"] if behaviour.quick else []
    return Job(cell.key, (*words, *method.words), folder.with_name(f"{cell.key}.txt"))


def _begin(cell: Cell, place: Place, budget: Budget) -> None:
    """A run folder for a cell that is one training. None of them learns when the task was done."""
    behaviour, method = cell.what
    task, config = sims.task(behaviour.task), budget.config(cell.seed, _steps(cell, budget))
    out, quick = place.folder / RUNS, behaviour.quick
    if method.kind == "text":
        told = replace(task, instruction=behaviour.sentence)
        prompt, client = build_prompt(told, language_reference()), connect(budget.models.edit)
        written = converse(told, prompt, client, check=lambda text: check(text, task), sample=cell.seed)
        run = loops.begin(task, written, config, out, name=cell.key, quick=quick)
    else:
        # The baselines of the video stand in the place of the task's own reward; see `robot_learn.imitation.worlds`.
        reward = experts.tuned_reward(place.expert(behaviour), behaviour) if method.kind == "expert" else "expert"
        run = loops.begin(task, reward, config, out, name=cell.key, quick=quick)
    blind: dict[str, Any] = {"blind": True}
    if method.kind == "watched":
        video = str(place.video(behaviour).resolve())
        blind["watched"] = {"kind": method.baseline, "video": video, "speed": behaviour.speed}
    run.write_json(runs.CONFIG, run.config | blind)


def write_result(cell: Cell, place: Place, budget: Budget) -> Path:
    """One cell's figures as one JSON file: the metric of each iteration, on evaluation seeds."""
    behaviour, method = cell.what
    task = sims.task(behaviour.task)
    found = _measured(cell, method, place, task, budget)
    known = metric(task)
    expert = place.expert(behaviour) / experts.TOLD
    result = {
        **asdict(cell),
        "task": task.name,
        "metric": known.meaning,
        "unit": known.unit,
        **found,
        "episodes": budget.episodes,
        "first_seed": EVAL_SEED0,
        "budget": asdict(budget),
        "expert": json.loads(expert.read_text(encoding="utf-8")) if expert.exists() else None,
        "versions": runs.versions(),
    }
    path = place.result(cell)
    write_json(path, result)
    return path


def _measured(cell: Cell, method: Method, place: Place, task: Task, budget: Budget) -> dict[str, Any]:
    """`iterations` one a full training, `kept` what was the best after each, `final` what is left at the end."""
    if method.kind != "loop":
        policy = Chance(task, cell.seed) if method.kind == "chance" else load_policy(Run.open(place.run(cell)))
        scores = measure(task, policy, budget.episodes)
        return {"final": float(scores.mean()), "scores": scores.tolist(), "steps": _steps(cell, budget)}
    imitation = Imitation.open(place.run(cell))
    if imitation.ended is None:
        raise UserError(f"{imitation.folder} has not ended")
    scores_of = {
        each.number: measure(task, load_policy(imitation.place(each.number)), budget.episodes)
        for each in imitation.iterations
        if each.entrant is not None
    }
    means = {number: float(scores.mean()) for number, scores in scores_of.items()}
    kept = [_kept(imitation, count + 1) for count in range(len(imitation.iterations))]
    last = kept[-1] if kept else None
    return {
        "final": float("nan") if last is None else means[last],
        "scores": [] if last is None else scores_of[last].tolist(),
        "iterations": [means.get(each.number) for each in imitation.iterations],
        "kept": [None if number is None else means[number] for number in kept],
        "verdicts": [each.verdict for each in imitation.iterations],
        "ended": imitation.ended,
        "steps": imitation.steps,
        "tokens": imitation.tokens,
        "seconds": imitation.seconds,
    }


def _kept(imitation: Imitation, count: int) -> int | None:
    """The best after so many iterations."""
    best = replace(imitation, iterations=imitation.iterations[:count]).best()
    return None if best is None else best.number


def _steps(cell: Cell, budget: Budget) -> int:
    """Of one full training."""
    behaviour, method = cell.what
    return 0 if method.kind == "chance" else behaviour.longer * budget.steps


def measure(task: Task, policy: Policy, episodes: int) -> np.ndarray:
    """The metric of a policy on the learner's own body, (episodes,), on evaluation seeds."""
    return metric(task).measure(play(task.name, policy, episodes, first_seed=EVAL_SEED0), task)


class Chance:
    """Uniformly random actions."""

    def __init__(self, task: Task, seed: int) -> None:
        self._low, self._high = (np.array([getattr(one, end) for one in task.action]) for end in ("low", "high"))
        self._rng = np.random.default_rng(seed)

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        shape = (len(observation), len(self._low))
        return self._rng.uniform(self._low, self._high, shape).astype(np.float32), state
