"""Teachers by name, joined to what they need of a dataset, a model or a terminal."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rewards.preference.goals import Goal
from rewards.preference.human import Human
from rewards.preference.labels import PairKey
from rewards.preference.simulated import MEASURED_ACCURACY, Simulated, of_kind, with_curve
from rewards.preference.vision import Vision, of_task
from robot_learn.data.dataset import Dataset
from robot_learn.errors import UserError, unknown
from robot_learn.preferences.ask import Choice, candidates, true_differences
from robot_learn.video import write_video

_CURVE = "curve:"
_CURVE_PAIRS = 1000  # whose differences say what is close and what is clear


def simulated(kind: str, dataset: Dataset, choice: Choice, pairs: Sequence[PairKey] | None = None) -> Simulated:
    """A teacher who knows the rewards, by B-Pref's name or as "curve:drawer", in the measure of this dataset.

    `pairs` are those that will be asked, where they are known: of a curve, they say what is close and what is clear.

    Raises:
        UserError: no kind of that name, or the dataset does not hold the task's own rewards.
    """
    if dataset.reward_source != "task" or not dataset.rewards.any():
        raise UserError(
            f"dataset of {dataset.task} has no rewards of the task, so nobody can be simulated who knows them"
        )
    if not kind.startswith(_CURVE):
        return of_kind(kind, mean_return=float(dataset.rewards.mean()) * choice.segment, seed=choice.seed)
    name = kind.removeprefix(_CURVE)
    if name not in MEASURED_ACCURACY:
        raise unknown("measured accuracy", name, MEASURED_ACCURACY)
    drawn = pairs or list(itertools.islice(candidates(dataset, choice), _CURVE_PAIRS))
    differences = true_differences(dataset, drawn)
    assert differences is not None
    return with_curve(MEASURED_ACCURACY[name], differences, seed=choice.seed)


def vision(dataset: Dataset, *, camera: str | None = None, goal: Goal | None = None) -> Vision:
    """A teacher who measures pictures: by a goal, or by what is written down for the task and the dataset's camera."""
    if goal is not None:
        return Vision(goal)
    settings = dataset.manifest.get("settings") or {}
    return of_task(dataset.task, camera or settings.get("camera"))


def person(
    read_key: Callable[[], str], folder: Path, say: Callable[[str], None], *, who: str = "human", sure: bool = False
) -> Human:
    """Somebody at this terminal."""
    human = Human(read_key, folder, say, video=write_video, ask_confidence=sure)
    return replace(human, who=who)
