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
from hardware.records import STATES, TICK
from robot_learn.data.trajectory import Trajectory
from robot_learn.data.writer import DatasetWriter
from robot_learn.deployment.outcome import Outcome
from robot_learn.errors import UserError
from robot_learn.runs import Run, atomic_write
from robot_learn.video import write_video

STEPS, TICKS, OUTCOME, FILM = "steps.jsonl", "ticks.npz", "outcome.json", "video.mp4"
RAW_TICKS, RAW_FILM, ARM = "ticks.raw", "frames.raw", "ticks.arm"
LAST_TICKS = "ticks.last"  # those that the arm's process kept because nobody read them any more
_STILL = 0.02  # [rad/s] of the fastest joint of an arm at rest


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
    ticks = _ticks(raw)
    if (folder / LAST_TICKS).exists():
        last = _ticks(folder / LAST_TICKS)
        newer = last["sequence"] > (ticks["sequence"][-1] if len(ticks) else 0)
        ticks = np.concatenate([ticks, last[newer]])
    if len(ticks):
        recorded.save(folder / TICKS, ticks, (folder / ARM).read_text())
    for file in (raw, folder / ARM, folder / LAST_TICKS):
        file.unlink(missing_ok=True)


def _ticks(path: Path) -> np.ndarray:
    """The whole records of a file, which a crash may have cut; left on the disk, for a second of them is a megabyte."""
    whole = path.stat().st_size // TICK.itemsize
    return np.memmap(path, dtype=TICK, mode="r", shape=(whole,)) if whole else np.zeros(0, TICK)


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
            close_up(folder, _left(folder).to_json() | {"seed": None}, dataset)
            found.append(folder)
    return found


def _left(folder: Path) -> Outcome:
    """What can be told of an episode whose program has died: from its steps, and from what the arm's process kept."""
    steps = [line for line in read_steps(folder) if "step" in line]
    if not steps:
        return Outcome("program ended", "it had made no step")
    first, last = steps[0]["observation"]["time"], steps[-1]["observation"]["time"]
    ticks = _ticks(folder / LAST_TICKS) if (folder / LAST_TICKS).exists() else np.zeros(0, TICK)
    after = ticks[ticks["time"] > last]
    moving = np.flatnonzero(np.abs(after["dq"]).max(axis=1) > _STILL) if len(after) else np.zeros(0, int)
    still = len(after) > 0 and (not len(moving) or int(moving[-1]) + 1 < len(after))
    rest = float(after["time"][int(moving[-1]) + 1 if len(moving) else 0] - last) if still else None
    seen = f"the arm was {STATES[int(after['state'][-1])]} when it was seen last" if len(after) else ""
    return Outcome("program ended", seen, steps=len(steps), seconds=last - first, rest=rest)


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
