"""Episodes as they were seen, scene by scene, so that any reward can be scored on them afterwards."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from robot_learn.errors import UserError
from robot_learn.scene import Scene, Schema
from robot_learn.types import RewardFn

# "disturbed" is a script with noise in its actions, or one that gives up on the way.
Source = Literal["scripted", "disturbed", "planned", "policy", "random", "still"]


@dataclass(frozen=True)
class Rollouts:
    """T steps of N episodes of one task, all of one source; what lies after an episode's end is marked, not cut."""

    schema: Schema
    source: Source  # who acted
    values: Mapping[str, np.ndarray]  # every field of the scene, (T + 1, N, *shape); the first row is the reset
    actions: np.ndarray  # (T, N, act_dim)
    success: np.ndarray  # (T, N) bool, after each step
    running: np.ndarray  # (T, N) bool: the step belongs to the episode

    def __post_init__(self) -> None:
        steps, episodes = self.success.shape
        wanted = {"actions": (steps, episodes), "running": (steps, episodes)}
        came = {"actions": self.actions.shape[:2], "running": self.running.shape}
        wanted |= dict.fromkeys(self.schema.names, (steps + 1, episodes))
        came |= {name: self.values[name].shape[:2] for name in self.schema.names if name in self.values}
        for name, shape in wanted.items():
            if came.get(name) != shape:
                raise UserError(f"rollouts: {name} begins with {came.get(name, 'nothing')}, wanted {shape}")

    @property
    def num_episodes(self) -> int:
        return int(self.success.shape[1])

    @property
    def succeeded(self) -> np.ndarray:
        """(N,) bool: at any step of the episode."""
        return np.asarray((self.success & self.running).any(axis=0))

    def episodes(self, which: np.ndarray) -> Rollouts:
        """Some of the episodes, by a mask (N,) or by indices."""
        return replace(
            self,
            values={name: values[:, which] for name, values in self.values.items()},
            actions=self.actions[:, which],
            success=self.success[:, which],
            running=self.running[:, which],
        )

    def there_and_back(self) -> Rollouts:
        """Time reversed after the last step: the same scenes backwards, with velocities of the other sign.

        A velocity is told by its unit. No simulator has seen the way back: it only asks what a reward pays for it. So
        the actions stay those of the way there, and what is paid for them alone is paid on both.
        """
        values = {}
        for field in self.schema:
            forward = self.values[field.name]
            sign = -1.0 if field.unit.endswith("/s") else 1.0
            values[field.name] = np.concatenate([forward, sign * forward[-2::-1]])
        return replace(
            self,
            values=values,
            actions=np.concatenate([self.actions, self.actions[::-1]]),
            success=np.concatenate([self.success, self.success[::-1]]),
            running=np.concatenate([self.running, self.running[::-1]]),
        )

    def score(self, reward: RewardFn, *, at_rest: bool = False) -> Scored:
        """What a reward would have paid for each step; 0 after an episode's end.

        With `at_rest`, what it would pay in the same places for the same actions to one who does not move: the scene
        before the step is the same as after it, and velocities are 0.
        """
        steps, episodes = self.success.shape

        def rows(values: np.ndarray) -> np.ndarray:
            return values.reshape(steps * episodes, *values.shape[2:])

        now = {name: rows(values[1:]) for name, values in self.values.items()}
        previous = {name: rows(values[:-1]) for name, values in self.values.items()}
        if at_rest:
            moving = {field.name for field in self.schema if field.unit.endswith("/s")}
            now = {name: np.zeros_like(values) if name in moving else values for name, values in now.items()}
            previous = now
        initial = {
            name: rows(np.broadcast_to(values[:1], (steps, *values.shape[1:]))) for name, values in self.values.items()
        }
        total, terms = reward.evaluate(Scene(self.schema, now, initial=initial, previous=previous), rows(self.actions))

        def back(values: np.ndarray) -> np.ndarray:
            return np.where(self.running, np.asarray(values, dtype=np.float64).reshape(steps, episodes), 0.0)

        return Scored(self, back(total), {name: back(term) for name, term in terms.items()})


@dataclass(frozen=True)
class Scored:
    """Rollouts and what one reward pays for them, (T, N) each."""

    rollouts: Rollouts
    rewards: np.ndarray
    terms: Mapping[str, np.ndarray]


_OWN = ("source", "actions", "success", "running")


def save(path: Path, rollouts: Sequence[Rollouts]) -> None:
    """Write rollouts of one task to one compressed .npz, whole or not at all."""
    arrays: dict[str, Any] = {}
    for index, each in enumerate(rollouts):
        own = {name: getattr(each, name) for name in _OWN}
        arrays |= {f"{index}/{name}": values for name, values in (own | dict(each.values)).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.stem}.{os.getpid()}.npz")
    try:
        np.savez_compressed(unfinished, **arrays)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def load(path: Path, schema: Schema) -> list[Rollouts]:
    """What `save` wrote.

    Raises:
        UserError: there is no such file, it is damaged, or its scenes are of another schema.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        count = len({name.partition("/")[0] for name in arrays})
        return [_gathered(arrays, index, schema) for index in range(count)]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"rollouts {str(path)!r}: no file of rollouts of this task: {error}") from error


def _gathered(arrays: Mapping[str, np.ndarray], index: int, schema: Schema) -> Rollouts:
    values = {name: arrays[f"{index}/{name}"] for name in schema.names}
    source: Any = str(arrays[f"{index}/source"])
    actions, success, running = (arrays[f"{index}/{name}"] for name in _OWN[1:])
    return Rollouts(schema, source, values, actions, success, running)
