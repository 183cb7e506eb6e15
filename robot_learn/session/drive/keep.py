"""What a person did in an episode on an arm, as demonstrations of the task: a dataset beside that of whole episodes.

An intervention shows what to do where the policy went wrong (Kelly, Sidrane, Driggs-Campbell, Kochenderfer, "HG-DAgger:
Interactive Imitation Learning with Human Experts", 2019): each stretch of steps in which the person drove becomes an
episode of its own, so that whoever learns from the dataset imitates the person alone. The whole episode, with who acted
at each step, stays in the session's folder and in the dataset of deployed episodes.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from robot_learn.data import store
from robot_learn.data.layout import full_name
from robot_learn.data.manifest import describe, grown, origin
from robot_learn.data.trajectory import Trajectory
from robot_learn.data.writer import DatasetWriter
from robot_learn.deployment.episodes import read_steps, trajectory
from robot_learn.types import Task

SHORTEST = 5  # steps of a stretch that shows anything, 0.2 s
NAME = "interventions"


def stretches(lines: list[dict[str, Any]], shortest: int = SHORTEST) -> list[Trajectory]:
    """The stretches in which a person drove, of the lines of an episode (`deployment.episodes.read_steps`)."""
    found: list[Trajectory] = []
    steps = [line for line in lines if "step" in line]
    ends = [line for line in lines if "end" in line]
    at = 0
    for who, group in groupby(steps, lambda step: step["who"]):
        length = len(list(group))
        if who == "person" and length >= shortest:
            after = steps[at + length : at + length + 1]  # what the last step of the stretch led to
            last = [{"end": {key: after[0][key] for key in ("vector", "success")}}] if after else ends
            one = trajectory(steps[at : at + length] + last, None, None)
            found += [] if one is None else [replace(one, source="person")]
        at += length
    return found


class Keeper:
    """Adds stretches to the dataset TASK/interventions; a context manager, which describes the dataset at the end."""

    def __init__(self, task: Task, root: Path | None = None) -> None:
        self.dataset = full_name(f"{task.name}/{NAME}")
        self._task, self._root = task, root
        self._writer: DatasetWriter | None = None  # from the first stretch on: nobody wants an empty dataset

    def keep(self, folder: Path) -> int:
        """The stretches of an episode's folder join the dataset; how many steps they have together.

        Raises:
            UserError: the dataset will not have them; the episode's folder has them all the same.
        """
        found = stretches(read_steps(folder))
        for one in found:
            self._opened().add(one)
        return sum(len(one) for one in found)

    def _opened(self) -> DatasetWriter:
        if self._writer is None:
            task = self._task
            low, high = np.array([[part.low, part.high] for part in task.action], dtype=np.float32).T
            space = gymnasium.spaces.Box(low, high, dtype=np.float32)
            told = {"control_dt": task.control_dt}
            self._writer = DatasetWriter(self.dataset, self._root, task=task.name, settings=told, action_space=space)
            self._writer.tell(**(origin() | {"generator": "robot-learn session drive"}), instruction=task.instruction)
            self._writer.tell(control_dt=task.control_dt, reward="1 where the task is achieved")
        return self._writer

    def __enter__(self) -> Keeper:
        return self

    def __exit__(self, *raised: object) -> None:
        """The stretches are joined to those before, and the dataset is described anew."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            writer.tell(**grown(writer.manifest, describe(store.load(writer.name, self._root, in_memory=0))))
