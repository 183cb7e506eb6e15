"""Runs the cells that have no result yet. Only ever adds: what is there is kept, what was cut goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import sims
from rewards.language import WrittenReward, converse, drafts, load_conversation
from rewards.models import Message, Recordings
from rewards.program import Program, check
from robot_learn import loops, runs
from robot_learn.errors import UserError
from robot_learn.launcher import Finished, Job, Launcher, LocalProcesses
from robot_learn.metrics import read_progress
from robot_learn.resumable import read_json
from robot_learn.runs import Run
from robot_learn.text2reward.cells import EPISODES, SHOTS, Cell

RUNS, RESULTS, REFINED = "runs", "results/text2reward", "refined"


def run_cells(
    cells: Sequence[Cell], folder: Path, *, launcher: Launcher | None = None, say: Callable[[str], None] = print
) -> list[Path]:
    """Train and measure every cell without a result; returns the new result files.

    Where the suite's budget has grown since, a training that used up the old one goes on.

    Cells whose reward nobody has written yet (no recording, no accepted revision) are named and left out. What a cell
    learns in several lessons, one after the other, waits for those before.
    """
    missing = [cell for cell in cells if not has_result(folder, cell)]
    say(f"{len(cells)} cells, {len(cells) - len(missing)} with a result")
    written = []
    launcher = launcher or LocalProcesses()
    number, waiting = 0, missing
    while waiting:
        jobs, following = {}, []
        for cell in waiting:
            try:
                jobs[cell.key] = (cell, _job(cell, folder, number))
            except UserError as error:
                say(f"left out  {cell.key}: {str(error).splitlines()[0][:200]}")
        for done in launcher.run([job for _, job in jobs.values()]):
            cell = jobs[done.job.name][0]
            if done.status != 0:
                say(f"failed    {cell.key} (status {done.status}):\n{done.last_words()}")
            elif number + 1 < len(places(cell, folder)):
                following.append(cell)
                say(f"lesson    {number + 1} of {len(places(cell, folder))}  {cell.key}  ({done.seconds:.0f} s)")
            else:
                written.append(write_result(cell, folder))
                say(_line(cell, json.loads(written[-1].read_text(encoding="utf-8")), done))
        number, waiting = number + 1, following
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


def places(cell: Cell, folder: Path) -> list[Path]:
    """The run folders of a cell, one a lesson; of all cells but refined ones that is one."""
    count = 1 if cell.source != "refined" else len(_lessons(cell, folder))
    return [
        folder / RUNS / (cell.key if back == 0 else f"{cell.key}--{back}-before") for back in reversed(range(count))
    ]


def _job(cell: Cell, folder: Path, number: int) -> Job:
    """The command that brings a lesson to its end from wherever it stands; where it has no run folder, one is made."""
    line = places(cell, folder)
    place, last = line[number], number + 1 == len(line)
    if not (place / runs.CONFIG).is_file():
        task = sims.task(cell.task)
        reward: Any = cell.source
        if cell.source not in loops.BUILT_IN:
            reward = written_reward(cell, folder, lesson=number - len(line))
        source = Run.open(line[number - 1]) if number else None
        loops.begin(task, reward, cell.config(), folder / RUNS, name=place.name, source=source)
    words = ["train", "--resume", str(place), "--steps", str(cell.config().total_steps)]
    episodes = str(EPISODES if last else 0)
    return Job(cell.key, (*words, "--episodes", episodes, "--no-video"), place / "log.txt")


def written_reward(cell: Cell, folder: Path, *, lesson: int = -1) -> WrittenReward[Program]:
    """The program of a cell: from recorded replies, so that everybody's is the same.

    A refined one is the last reply of a conversation, conversation.json of a round of `robot-learn reward refine`; that
    of an earlier `lesson` (-2, ...) an earlier one.
    """
    task = sims.task(cell.task)
    if cell.source == "zero-shot":
        return loops.write_program(task)
    if cell.source == "few-shot":
        return loops.write_program(task, examples=SHOTS)
    return converse(task, _lessons(cell, folder)[lesson], Recordings(), check=lambda text: check(text, task))


def _lessons(cell: Cell, folder: Path) -> list[tuple[Message, ...]]:
    """What the programs that a refined policy learns under answer, one after the other.

    A round that began with what the policy before had learned (--warm) is a lesson after that one; all others began
    anew, so that nothing before them counts. What a person says is about the robot that they saw: where the training
    of a seed went another way, that seed has a conversation of its own.

    Raises:
        UserError: there is no refinement of the task.
    """
    name = cell.task.replace("/", "-")
    own, common = (folder / REFINED / each for each in (f"{name}--s{cell.seed}", name))
    place = own if own.is_dir() else common
    messages = load_conversation(place)
    if messages is None:
        raise UserError(f"nobody has refined a reward of {cell.task}")
    warm = [bool(one.get("warm")) for one in read_json(place / "rounds.json")]
    asked = drafts(messages)
    if len(asked) != len(warm) + 1:
        raise UserError(f"{place}: {len(asked) - 1} revisions in the conversation, {len(warm)} rounds")
    begun = max((number for number, each in enumerate(warm, 1) if not each), default=0)
    return asked[begun:]


def write_result(cell: Cell, folder: Path) -> Path:
    """One cell's figures as one JSON file, from its run folder."""
    lessons = [read_progress(Run.open(place)) for place in places(cell, folder)]
    run, rows = Run.open(folder / RUNS / cell.key), lessons[-1]
    evaluation = run.read_json(runs.EVALUATION)
    result = {
        **asdict(cell),
        "success_rate": evaluation["success_rate"],
        "successes": sum(episode["success"] for episode in evaluation["episodes"]),
        "episodes": evaluation["num_episodes"],
        "success_interval_95": evaluation["success_interval_95"],
        "success_at_end_rate": evaluation["success_at_end_rate"],
        "first_seed": evaluation["first_seed"],
        "steps": sum(int(each[-1]["steps"]) for each in lessons),
        "lessons": len(lessons),
        "seconds": round(sum(each[-1]["seconds"] for each in lessons), 1),
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
