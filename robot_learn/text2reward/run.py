"""Runs the cells that have no result yet. Only ever adds: what is there is kept, what was cut goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import sims
from rewards.language import WrittenReward, converse, load_conversation
from rewards.models import Recordings
from rewards.program import Program, check
from robot_learn import loops, runs
from robot_learn.errors import UserError
from robot_learn.launcher import Finished, Job, Launcher, LocalProcesses
from robot_learn.metrics import read_progress
from robot_learn.runs import Run
from robot_learn.text2reward.cells import EPISODES, SHOTS, Cell

RUNS, RESULTS, REFINED = "runs", "results/text2reward", "refined"


def run_cells(
    cells: Sequence[Cell], folder: Path, *, launcher: Launcher | None = None, say: Callable[[str], None] = print
) -> list[Path]:
    """Train and measure every cell without a result; returns the new result files.

    Where the suite's budget has grown since, a training that used up the old one goes on.

    Cells whose reward nobody has written yet (no recording, no accepted revision) are named and left out.
    """
    missing = [cell for cell in cells if not has_result(folder, cell)]
    say(f"{len(cells)} cells, {len(cells) - len(missing)} with a result")
    jobs = {}
    for cell in missing:
        try:
            jobs[cell.key] = (cell, _job(cell, folder))
        except UserError as error:
            say(f"left out  {cell.key}: {str(error).splitlines()[0][:200]}")
    written = []
    launcher = launcher or LocalProcesses()
    for done in launcher.run([job for _, job in jobs.values()]):
        cell = jobs[done.job.name][0]
        if done.status == 0:
            written.append(write_result(cell, folder))
            say(_line(cell, json.loads(written[-1].read_text(encoding="utf-8")), done))
        else:
            say(f"failed    {cell.key} (status {done.status}):\n{done.last_words()}")
    return written


def result_file(folder: Path, cell: Cell) -> Path:
    return folder / RESULTS / f"{cell.key}.json"


def has_result(folder: Path, cell: Cell) -> bool:
    path = result_file(folder, cell)
    if not path.exists():
        return False
    result = json.loads(path.read_text(encoding="utf-8"))
    used_up = result["steps"] >= result["train"]["total_steps"]
    return not (used_up and result["steps"] < cell.config().total_steps)


def _job(cell: Cell, folder: Path) -> Job:
    """The command that brings a cell to its end from wherever it stands; its run folder is made where there is none."""
    place = folder / RUNS / cell.key
    if not (place / runs.CONFIG).is_file():
        task = sims.task(cell.task)
        reward: Any = cell.source
        if cell.source not in loops.BUILT_IN:
            reward = written_reward(cell, folder)
        loops.begin(task, reward, cell.config(), folder / RUNS, name=cell.key)
    words = ["train", "--resume", str(place), "--steps", str(cell.config().total_steps)]
    return Job(cell.key, (*words, "--episodes", str(EPISODES), "--no-video"), place / "log.txt")


def written_reward(cell: Cell, folder: Path) -> WrittenReward[Program]:
    """The program of a cell: from recorded replies, so that everybody's is the same.

    A refined one is the last reply of a conversation, conversation.json of a round of `robot-learn reward refine`.
    """
    task = sims.task(cell.task)
    if cell.source == "zero-shot":
        return loops.write_program(task)
    if cell.source == "few-shot":
        return loops.write_program(task, examples=SHOTS)
    messages = load_conversation(folder / REFINED / cell.task.replace("/", "-"))
    if messages is None:
        raise UserError(f"nobody has refined a reward of {cell.task}")
    return converse(task, messages[:-1], Recordings(), check=lambda text: check(text, task))


def write_result(cell: Cell, folder: Path) -> Path:
    """One cell's figures as one JSON file, from its run folder."""
    run = Run.open(folder / RUNS / cell.key)
    evaluation = run.read_json(runs.EVALUATION)
    rows = read_progress(run)
    result = {
        **asdict(cell),
        "success_rate": evaluation["success_rate"],
        "successes": sum(episode["success"] for episode in evaluation["episodes"]),
        "episodes": evaluation["num_episodes"],
        "success_interval_95": evaluation["success_interval_95"],
        "success_at_end_rate": evaluation["success_at_end_rate"],
        "first_seed": evaluation["first_seed"],
        "steps": int(rows[-1]["steps"]),
        "seconds": round(rows[-1]["seconds"], 1),
        "curve": [[int(row["steps"]), row["success_rate"]] for row in rows],  # of the last 100 training episodes
        "train": run.config["train"],
        "program": _program(run),
        "versions": run.read_json(runs.VERSIONS),
    }
    path = result_file(folder, cell)
    path.parent.mkdir(parents=True, exist_ok=True)
    with runs.atomic_write(path) as file:
        file.write((_compact(result) + "\n").encode())
    return path


def _program(run: Run) -> dict[str, Any] | None:
    """Where the reward came from; None for one that is built in."""
    if not run.has("provenance.json"):
        return None
    stored = run.read_json("provenance.json")
    kept = ("model", "date", "prompt_hash", "sample", "program_sha256")
    return {name: stored[name] for name in kept} | {"attempts": len(stored["attempts"])}


def _compact(result: dict[str, Any]) -> str:
    """JSON with one line a key: readable, and curves do not take a screen each."""
    lines = [f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in result.items()]
    return "{\n" + ",\n".join(lines) + "\n}"


def _line(cell: Cell, result: dict[str, Any], done: Finished) -> str:
    low, high = result["success_interval_95"]
    rate = f"{result['success_rate']:4.0%} of {result['episodes']} ({low:.0%}-{high:.0%})"
    return f"measured  {rate}  {cell.key}  {result['steps']:,} steps, {done.seconds:.0f} s"
