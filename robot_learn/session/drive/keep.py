"""What a person did in an episode on an arm, as demonstrations of the task: a dataset beside that of whole episodes.

An intervention shows what to do where the policy went wrong (Kelly, Sidrane, Driggs-Campbell, Kochenderfer, "HG-DAgger:
Interactive Imitation Learning with Human Experts", 2019): each stretch of steps in which the person drove becomes an
episode of its own, so that whoever learns from the dataset imitates the person alone. Steps in which the hand commanded
nothing are left out: they would teach to stand still. The whole episode, with who acted at each step, stays in the
session's folder and in the dataset of deployed episodes, also where the person discards it.
"""

from __future__ import annotations

import json
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
from robot_learn.errors import UserError
from robot_learn.runs import atomic_write
from robot_learn.types import Task

SHORTEST = 5  # steps of a stretch that shows anything, 0.2 s
GRIPPING = 25  # steps after the gripper was told something else in which it is on its way, 1 s
NAME = "interventions"
KEPT = "kept.json"  # in an episode's folder: how many steps of it are demonstrations, and whether it was discarded


def commanded(steps: list[dict[str, Any]], *, grips: bool = False) -> list[bool]:
    """Of each step, whether a person drove and commanded something: a motion, or the gripper, which takes its time.

    Args:
        grips: the last part of an action is the gripper's opening, which stays where it was put; the rest is speeds.
    """
    found, gripping = [], 0
    for number, step in enumerate(steps):
        action, before = step["action"], steps[max(0, number - 1)]
        if grips and before["who"] == "person" and action[-1] != before["action"][-1]:
            gripping = GRIPPING
        moves = any(action[:-1] if grips else action)
        found.append(step["who"] == "person" and bool(moves or gripping))
        gripping = max(0, gripping - 1)
    return found


def stretches(lines: list[dict[str, Any]], shortest: int = SHORTEST, *, grips: bool = False) -> list[Trajectory]:
    """The stretches in which a person drove, of the lines of an episode (`deployment.episodes.read_steps`)."""
    found: list[Trajectory] = []
    steps = [line for line in lines if "step" in line]
    ends = [line for line in lines if "end" in line]
    at = 0
    for shows, group in groupby(commanded(steps, grips=grips)):
        length = len(list(group))
        if shows and length >= shortest:
            after = steps[at + length : at + length + 1]  # what the last step of the stretch led to
            last = [{"end": {key: after[0][key] for key in ("vector", "success")}}] if after else ends
            one = trajectory(steps[at : at + length] + last, None, None)
            found += [] if one is None else [replace(one, source="person")]
        at += length
    return found


class Keeper:
    """Adds stretches to the dataset TASK/interventions; a context manager, which describes the dataset at the end.

    Those of the newest episode wait until the next one begins, so that the person can discard it.
    """

    def __init__(self, task: Task, root: Path | None = None) -> None:
        self.dataset = full_name(f"{task.name}/{NAME}")
        self._task, self._root = task, root
        self._grips = task.action[-1].name == "gripper"
        self._writer: DatasetWriter | None = None  # from the first stretch on: nobody wants an empty dataset
        self._newest: tuple[Path, list[Trajectory]] | None = None  # of the episode that can still be discarded
        self._discarded = False

    def keep(self, folder: Path, *, shows: bool = True) -> int:
        """The stretches of an episode's folder wait to join the dataset; how many steps they have together.

        Args:
            shows: the episode is one to learn from.

        Raises:
            UserError: the dataset will not have those before; their episode's folder has them all the same.
        """
        self.commit()
        found = stretches(read_steps(folder), grips=self._grips) if shows else []
        self._newest, self._discarded = (folder, found), False
        self._say()
        return self._steps

    def discard(self, on: bool) -> tuple[Path, int]:
        """The newest episode shall not be learned from, or shall after all; its folder, and the steps that are kept.

        Raises:
            UserError: there is none, or the next one has begun.
        """
        if self._newest is None:
            raise UserError("only the newest episode can be discarded, until the next one begins")
        self._discarded = on
        self._say()
        return self._newest[0], self._steps

    def commit(self) -> None:
        """What waits joins the dataset: another episode begins.

        Raises:
            UserError: the dataset will not have it.
        """
        newest, self._newest = self._newest, None
        for one in [] if newest is None or self._discarded else newest[1]:
            self._opened().add(one)

    @property
    def _steps(self) -> int:
        return 0 if self._newest is None or self._discarded else sum(len(one) for one in self._newest[1])

    def _say(self) -> None:
        if self._newest is not None:
            with atomic_write(self._newest[0] / KEPT) as file:
                file.write(json.dumps({"kept": self._steps, "discarded": self._discarded}).encode() + b"\n")

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
        try:
            self.commit()
        finally:
            self._close()

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            writer.tell(**grown(writer.manifest, describe(store.load(writer.name, self._root, in_memory=0))))
