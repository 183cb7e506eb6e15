"""Progress values of a dataset's episodes: asked one by one, stored as they come, and used to sift the episodes.

The file has one line of JSON an episode, and is only ever added to: an episode that is there is not asked for again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rewards.models import Client, NoReplyError
from rewards.preference.calibration import wilson
from rewards.preference.progress import ProgressValues, ask_progress, detected_success
from rewards.preference.replies import UnreadableError
from rewards.preference.sheets import Look
from robot_learn.data.dataset import Dataset
from robot_learn.data.manifest import dataset_hash
from robot_learn.errors import UserError

_KEYS = ("episode", "frames", "values", "prompt_hash", "model", "dataset")


def read_progress(path: Path, dataset: Dataset) -> dict[int, ProgressValues]:
    """What is known of each episode.

    Raises:
        UserError: with file, line and key of what is wrong, or the file is about another dataset.
    """
    found: dict[int, ProgressValues] = {}
    if not path.exists():
        return found
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]  # a line that was cut off is asked for again
    for number, line in enumerate(whole.splitlines(), start=1):
        where = f"{path}, line {number}"
        try:
            entry: dict[str, Any] = json.loads(line)
            missing = [key for key in _KEYS if key not in entry]
        except (ValueError, TypeError) as error:
            raise UserError(f"{where}: not progress values in JSON: {error}") from error
        if missing:
            raise UserError(f"{where}, key {missing[0]!r}: it is missing")
        if entry["dataset"] != dataset_hash(dataset):
            raise UserError(f"{where}, key 'dataset': these values are about another dataset")
        episode = _episode(entry, dataset, where)
        found[episode] = _values(entry, dataset, where)
    return found


def _episode(entry: dict[str, Any], dataset: Dataset, where: str) -> int:
    episode = entry["episode"]
    if type(episode) is not int or not 0 <= episode < dataset.num_episodes:
        raise UserError(f"{where}, key 'episode': wanted 0 to {dataset.num_episodes - 1}, came {episode!r}")
    return episode


def _values(entry: dict[str, Any], dataset: Dataset, where: str) -> ProgressValues:
    last = int(dataset.lengths[entry["episode"]])
    try:
        frames, values = np.asarray(entry["frames"], dtype=np.int64), np.asarray(entry["values"], dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{where}, keys 'frames' and 'values': wanted lists of numbers: {error}") from error
    if len(frames) < 2 or frames[0] != 0 or frames[-1] > last or (np.diff(frames) <= 0).any():
        raise UserError(f"{where}, key 'frames': wanted rising frames from 0 to at most {last}")
    if values.shape != frames.shape or not ((values >= 0) & (values <= 1)).all():
        raise UserError(f"{where}, key 'values': wanted {len(frames)} numbers from 0 to 1")
    return ProgressValues(frames, values, str(entry["prompt_hash"]), str(entry["model"]))


def ask_episodes(
    dataset: Dataset,
    episodes: Sequence[int],
    client: Client,
    path: Path,
    instruction: str,
    *,
    most: int,
    look: Look,
    seed: int = 0,
    on_episode: Callable[[int], None] = lambda _: None,
) -> tuple[dict[int, ProgressValues], list[str]]:
    """Ask about all episodes that are not in the file; returns what is known, and what could not be had.

    Args:
        seed: with the episode's number, of the order in which its frames are shown.
        on_episode: told the number of episodes that are known.

    Raises:
        UserError: the dataset has no pictures, or the file is no good.
    """
    if dataset.images is None:
        raise UserError(f"dataset of {dataset.task} has no pictures, and progress is asked of pictures")
    known = read_progress(path, dataset)
    problems = []
    if path.exists():
        content = path.read_bytes()
        os.truncate(path, content.rfind(b"\n") + 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        for episode in episodes:
            if episode not in known:
                first = int(dataset.starts[episode]) + episode
                pictures = dataset.images[first : first + int(dataset.lengths[episode]) + 1]
                number = int(np.random.SeedSequence([seed, episode]).generate_state(1)[0])
                label = f"progress {dataset.task}"
                try:
                    known[episode] = ask_progress(
                        client, instruction, pictures, seed=number, most=most, look=look, label=label
                    )
                except (NoReplyError, UnreadableError) as error:
                    problems.append(f"episode {episode}: {error}")
                    continue
                file.write(_line(episode, known[episode], dataset))
                file.flush()
                os.fsync(file.fileno())
            on_episode(sum(one in known for one in episodes))
    return {episode: known[episode] for episode in episodes if episode in known}, problems


def _line(episode: int, told: ProgressValues, dataset: Dataset) -> bytes:
    entry = {
        "episode": episode,
        "frames": told.frames.tolist(),
        "values": told.values.tolist(),
        "voc": told.voc,
        "prompt_hash": told.prompt_hash,
        "model": told.model,
        "dataset": dataset_hash(dataset),
    }
    return (json.dumps(entry) + "\n").encode()


def report(dataset: Dataset, known: dict[int, ProgressValues], *, voc: float, final: float = 0.0) -> dict[str, Any]:
    """VOC over episodes, and how detected success agrees with the simulator's, where there is any to agree with."""
    if not known:
        return {"episodes": 0}
    all_vocs = np.array([told.voc for told in known.values()])
    detected = np.array([detected_success(told, voc=voc, final=final) for told in known.values()])
    true = dataset.succeeded[list(known)]
    right = float((detected == true).mean())
    return {
        "episodes": len(known),
        "voc_mean": float(all_vocs.mean()),
        "voc_quartiles": np.percentile(all_vocs, [25, 50, 75]).tolist(),
        "voc_of_successes": float(all_vocs[true].mean()) if true.any() else None,
        "voc_of_failures": float(all_vocs[~true].mean()) if (~true).any() else None,
        "thresholds": [voc, final],
        "detected": int(detected.sum()),
        "succeeded": int(true.sum()),
        "detection_accuracy": right,
        "detection_interval": list(wilson(right, len(known))),
    }
