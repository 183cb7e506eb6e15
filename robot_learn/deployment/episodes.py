"""The files of an episode on an arm, after it has ended: made to last, read again, put in order after a crash."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from hardware import recorded
from hardware.records import TICK
from robot_learn.data.trajectory import Trajectory
from robot_learn.data.writer import DatasetWriter
from robot_learn.deployment.outcome import Outcome
from robot_learn.errors import UserError
from robot_learn.runs import Run, atomic_write
from robot_learn.video import write_video

STEPS, TICKS, OUTCOME, FILM = "steps.jsonl", "ticks.npz", "outcome.json", "video.mp4"
RAW_TICKS, RAW_FILM, ARM = "ticks.raw", "frames.raw", "ticks.arm"


def read_steps(folder: Path) -> list[dict[str, Any]]:
    """The lines of an episode, the last one with "end" where it came to one; a line that a crash has cut is left out.

    Raises:
        UserError: there are none, or a line in the middle is damaged.
    """
    path = folder / STEPS
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    found = []
    for number, line in enumerate(lines[:-1]):  # what follows the last newline is cut
        try:
            found.append(json.loads(line))
        except ValueError as error:
            raise UserError(f"{path}, line {number + 1}: {error}") from error
    return found


def close_up(folder: Path, outcome: Mapping[str, Any], dataset: DatasetWriter | None) -> None:
    """Make the lasting files of an episode that has ended, and add it to a dataset where it has a step."""
    lines = read_steps(folder)
    _join_ticks(folder)
    with atomic_write(folder / OUTCOME) as file:
        file.write((json.dumps(outcome, indent=2) + "\n").encode())
    pictures = _pictures(folder)
    if pictures is not None and len(pictures):
        rate = 1.0 / max(_period(lines), 1e-3)
        write_video(folder / FILM, pictures, rate)
    episode = trajectory(lines, pictures, outcome.get("seed"))
    if episode is not None and dataset is not None:
        dataset.add(episode)
    for name in (RAW_FILM, f"{RAW_FILM}.json"):
        (folder / name).unlink(missing_ok=True)


def trajectory(lines: list[dict[str, Any]], pictures: np.ndarray | None, seed: int | None) -> Trajectory | None:
    """The episode at the policy's rate; None where no step was completed.

    The reward is 1 where the task is achieved. Of an episode without an end, what its last step led to is not known,
    so that the last step is left out.
    """
    steps = [line for line in lines if "step" in line]
    ends = [line["end"] for line in lines if "end" in line]
    moments = [*steps, *ends]
    if len(moments) < 2:
        return None
    count = len(moments) - 1
    success = np.array([moment["success"] for moment in moments[1:]], dtype=bool)
    people = {step["who"] for step in steps[:count]}
    return Trajectory(
        observations=np.array([moment["vector"] for moment in moments], dtype=np.float32),
        actions=np.array([step["action"] for step in steps[:count]], dtype=np.float32),
        rewards=success.astype(np.float32),
        terminated=np.zeros(count, dtype=bool),
        success=success,
        images=None if pictures is None else np.array(pictures[: count + 1]),
        source="deployed" if people == {"policy"} else "deployed, corrected",
        seed=seed,
    )


def _pictures(folder: Path) -> np.ndarray | None:
    shape = folder / f"{RAW_FILM}.json"
    if not shape.exists():
        (folder / RAW_FILM).unlink(missing_ok=True)
        return None
    size = tuple(json.loads(shape.read_text()))
    raw = np.fromfile(folder / RAW_FILM, dtype=np.uint8)
    whole = len(raw) // int(np.prod(size))
    return raw[: whole * int(np.prod(size))].reshape(whole, *size)


def _period(lines: list[dict[str, Any]]) -> float:
    times = [line["observation"]["time"] for line in lines if "step" in line]
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.04


def _join_ticks(folder: Path) -> None:
    raw = folder / RAW_TICKS
    if not raw.exists():
        return
    stored = raw.read_bytes()
    ticks = np.frombuffer(stored[: len(stored) // TICK.itemsize * TICK.itemsize], dtype=TICK)
    if len(ticks):
        recorded.save(folder / TICKS, ticks, (folder / ARM).read_text())
    for file in (raw, folder / ARM):
        file.unlink(missing_ok=True)


def salvage(root: Path, task: str, dataset: DatasetWriter | None) -> list[Path]:
    """Bring episodes of a task whose program has died into order; the folders of those that there were."""
    found = []
    for steps in sorted(root.glob(f"*/episode-*/{STEPS}")):
        folder = steps.parent
        if (folder / OUTCOME).exists() or _task_of(folder.parent) != task:
            continue
        with steps.open("rb") as file:
            if not _locked(file):
                continue  # somebody still writes it
            count = sum("step" in line for line in read_steps(folder))
            told = Outcome("fault", "the program ended while the episode ran", steps=count)
            close_up(folder, told.to_json() | {"seed": None}, dataset)
            found.append(folder)
    return found


def _locked(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _task_of(folder: Path) -> str | None:
    with suppress(UserError):
        return str(Run.open(folder).config.get("task"))
    return None
