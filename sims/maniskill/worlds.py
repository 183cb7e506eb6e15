"""N ManiSkill worlds on the CPU, spread over processes, as `sims.env.Worlds`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np

from robot_learn.errors import UserError
from robot_learn.types import Task
from sims.env import Values
from sims.maniskill import process
from sims.maniskill.group import Board, Group, Options
from sims.maniskill.sources import Derived
from sims.maniskill.spec import Spec
from sims.maniskill.world import Columns

# How far a restored world may go astray: not at all, for it replays its episode. Worlds made with `exact=False` do.
SNAPSHOT_TOLERANCE = 0.0
# A process takes a few seconds to start; below this many worlds for each it is not worth them.
WORLDS_PER_PROCESS = 8


def process_count(num_worlds: int, threads: int | None) -> int:
    """How many processes to use: those asked for, else one a core where the worlds are many."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return max(1, min(threads or min(cores, num_worlds // WORLDS_PER_PROCESS), num_worlds))


def spaces(spec: Spec) -> tuple[gymnasium.spaces.Box, gymnasium.spaces.Box]:
    """Observations, all fields of the scene, flat, in the schema's order, and actions."""
    low, high = np.array([[part.low, part.high] for part in spec.action], dtype=np.float32).T
    observations = gymnasium.spaces.Box(-np.inf, np.inf, (Columns.of(spec).width,), np.float64)
    return observations, gymnasium.spaces.Box(low, high, dtype=np.float32)


def seed_of(rng: np.random.Generator) -> int:
    """ManiSkill's seed of an episode: one draw from the world's generator."""
    return int(rng.integers(2**31))


class ManiSkillWorlds:
    """N worlds; see `sims.env.Worlds`.

    Args:
        name: of the task, without its family.
        threads: how many processes the worlds are spread over; by default one a core. One runs them in this process.
        assets: "procedural" or "partnet", for tasks about articulated objects.
        exact: an episode depends on nothing but its seed and its actions, bit for bit. For that a scene is built anew
            at each reset, and a restored world replays its episode. Otherwise resets and restores are several times
            faster, an episode that follows another may differ in its last digits, and a restored one at its contacts.
    """

    def __init__(
        self,
        name: str,
        spec: Spec,
        num_worlds: int,
        *,
        threads: int | None = None,
        assets: str = "procedural",
        exact: bool = True,
    ) -> None:
        self.task: Task = spec.task(f"maniskill/{name}")
        self.num_worlds, self._spec = num_worlds, spec
        options = Options(assets, exact)
        self.observation_space, self.action_space = spaces(spec)
        self.cameras = tuple(spec.cameras)
        self._columns = Columns.of(spec)
        self._groups: list[Group | process.Remote] = []
        count = process_count(num_worlds, threads)
        size = Board.size(num_worlds, spec)
        bounds = np.linspace(0, num_worlds, count + 1).round().astype(int).tolist()
        self._shares = [range(first, last) for first, last in pairwise(bounds)]
        if count == 1:
            self._board = Board.on(bytearray(size), num_worlds, spec)
            self._groups.append(Group(spec, options, self._board, 0, num_worlds))
        else:
            self._spread(name, options, size)
        self._rows = np.empty((0, 0))
        self._values: Values = {}

    def _spread(self, name: str, options: Options, size: int) -> None:
        descriptor, memory = process.share(size)
        self._board = Board.on(memory, self.num_worlds, self._spec)
        try:
            for share in self._shares:
                remote = process.Remote(name, options, descriptor, self.num_worlds, share.start, len(share))
                self._groups.append(remote)
            for group in self._groups:
                group.receive()  # type: ignore[union-attr]
        except BaseException:
            self.close()
            raise
        finally:
            os.close(descriptor)

    def _all(self, method: str, *args: Any) -> list[Any]:
        """Call a method of every group, at the same time; one answer a group."""
        return self._each([(group, args) for group in self._groups], method)

    def _each(
        self, calls: Sequence[tuple[Group | process.Remote, tuple[Any, ...]]], method: str, **kwargs: Any
    ) -> list[Any]:
        for group, args in calls:
            if isinstance(group, process.Remote):
                group.send(method, *args, **kwargs)
        return [
            group.receive() if isinstance(group, process.Remote) else getattr(group, method)(*args, **kwargs)
            for group, args in calls
        ]

    def _of(self, index: int) -> Group | process.Remote:
        return next(group for group, share in zip(self._groups, self._shares, strict=True) if index in share)

    @property
    def settable(self) -> tuple[str, ...]:
        names: tuple[str, ...] = self._each([(self._groups[0], ())], "settable")[0]
        return names

    def set_parameters(self, index: int, factors: Mapping[str, float]) -> None:
        self._each([(self._of(index), (index, dict(factors)))], "set_parameters")

    def reset(self, indices: Sequence[int], rngs: Sequence[np.random.Generator]) -> None:
        seeds = [(index, seed_of(rng)) for index, rng in zip(indices, rngs, strict=True)]
        chosen = [[pair for pair in seeds if pair[0] in share] for share in self._shares]
        self._each([(group, (pairs,)) for group, pairs in zip(self._groups, chosen, strict=True) if pairs], "reset")
        self._take()

    def step(self, actions: np.ndarray) -> None:
        if np.isnan(actions).any():
            raise UserError("actions: wanted numbers, came NaN")
        self._board.actions[:] = actions
        self._all("step")
        self._take()

    def _take(self) -> None:
        """Copy the board: what was handed out before stays as it was."""
        self._rows = self._board.rows.copy()
        self._values = {}
        for told, columns in zip(self._spec.entries, self._columns.slices, strict=True):
            name, source = told.field.name, told.source
            if isinstance(source, Derived):
                derived = source.function(*(self._values[given] for given in source.inputs))
                self._rows[:, columns] = np.reshape(derived, (self.num_worlds, -1))
            self._values[name] = self._rows[:, columns].reshape(self.num_worlds, *told.field.shape)

    def observe(self) -> np.ndarray:
        return self._rows[:, : self._columns.width].copy()

    def read(self) -> Values:
        return dict(self._values)

    def success(self) -> np.ndarray:
        if self._spec.success is None:
            return self._rows[:, self._columns.width] > 0
        return np.asarray(self._spec.success(self._values), dtype=bool)

    def terminated(self) -> np.ndarray:
        if self._spec.failure is None:
            return np.zeros(self.num_worlds, dtype=bool)
        return np.asarray(self._spec.failure(self._values), dtype=bool)

    def expert_reward(self, actions: np.ndarray) -> np.ndarray:
        if self._spec.reward is not None:
            return np.asarray(self._spec.reward(self._values, actions), dtype=np.float64)
        self._all("reward")
        return self._board.rewards.copy()

    def snapshot(self, index: int) -> Any:
        return self._each([(self._of(index), (index,))], "snapshot")[0]

    def restore(self, index: int, snapshot: Any) -> None:
        self._each([(self._of(index), (index, snapshot))], "restore")
        self._take()

    def render(self, index: int, width: int, height: int, camera: str | None = None) -> np.ndarray:
        picture: np.ndarray = self.pictures(width, height, camera, [index])[0]
        return picture

    def pictures(
        self, width: int, height: int, camera: str | None = None, indices: Sequence[int] | None = None
    ) -> np.ndarray:
        look, chosen = self._spec.cameras[camera or self.cameras[0]], range(self.num_worlds)
        return np.concatenate(self._all("pictures", chosen if indices is None else indices, look, width, height))

    def close(self) -> None:
        for group in self._groups:
            group.close()
        self._groups = []
        self._board = Board.on(bytearray(), 0, self._spec)  # lets go of the memory
