"""Some worlds of a batch in one process, and the board of numbers that they share with the whole batch."""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sims.maniskill import studio
from sims.maniskill.spec import Look, Spec
from sims.maniskill.world import Columns, Snapshot, World


@dataclass(frozen=True)
class Board:
    """What all worlds write and read, (N, ...) each; in shared memory where the worlds are in several processes."""

    actions: np.ndarray  # (N, act_dim) float32
    rows: np.ndarray  # (N, width + 1): the fields that are read, and success
    rewards: np.ndarray  # (N,)

    @classmethod
    def on(cls, memory: mmap.mmap | bytearray, num_worlds: int, spec: Spec) -> Board:
        """A board over memory of at least `size` bytes."""
        width, act_dim = Columns.of(spec).width, len(spec.action)
        rows = np.frombuffer(memory, np.float64, num_worlds * (width + 1))
        rewards = np.frombuffer(memory, np.float64, num_worlds, offset=rows.nbytes)
        actions = np.frombuffer(memory, np.float32, num_worlds * act_dim, offset=rows.nbytes + rewards.nbytes)
        return cls(actions.reshape(num_worlds, act_dim), rows.reshape(num_worlds, width + 1), rewards)

    @staticmethod
    def size(num_worlds: int, spec: Spec) -> int:
        """Bytes of memory that a board needs."""
        return num_worlds * (8 * (Columns.of(spec).width + 2) + 4 * len(spec.action))


@dataclass(frozen=True)
class Options:
    """How worlds are made."""

    assets: str = "procedural"  # or "partnet", for tasks about articulated objects
    exact: bool = True  # episodes depend on nothing but seeds and actions, bit for bit, and so do restored ones


class Group:
    """The worlds `first` to `first + count - 1` of a batch. Indices are those of the batch."""

    def __init__(self, spec: Spec, options: Options, board: Board, first: int, count: int) -> None:
        self._spec, self._options, self._board, self._first = spec, options, board, first
        self._worlds = [World(spec, options.assets, exact=options.exact) for _ in range(count)]
        self._studio: studio.Studio | None = None

    def _world(self, index: int) -> World:
        return self._worlds[index - self._first]

    def reset(self, seeds: Sequence[tuple[int, int]]) -> None:
        """Start new episodes: (index, seed) each."""
        for index, seed in seeds:
            self._world(index).reset(seed)
            self._world(index).read(self._board.rows[index], fresh=True)

    def settable(self) -> tuple[str, ...]:
        """Names of the parameters that worlds may differ in."""
        return self._worlds[0].fitting.settable

    def set_parameters(self, index: int, factors: Mapping[str, float]) -> None:
        self._world(index).set_parameters(factors)

    def step(self) -> None:
        """One control step of every world under the actions on the board."""
        for index, world in enumerate(self._worlds, self._first):
            world.step(self._board.actions[index])
            world.read(self._board.rows[index], fresh=False)

    def reward(self) -> None:
        """Write ManiSkill's reward of the last step of every world on the board."""
        for index, world in enumerate(self._worlds, self._first):
            self._board.rewards[index] = world.reward(self._board.actions[index])

    def snapshot(self, index: int) -> Snapshot:
        return self._world(index).snapshot()

    def restore(self, index: int, snapshot: Snapshot) -> None:
        self._world(index).restore(snapshot)
        self._world(index).read(self._board.rows[index], fresh=True)

    def pictures(self, indices: Sequence[int], look: Look, width: int, height: int) -> np.ndarray:
        """What a camera sees of some of the worlds, (len(indices), height, width, 3) uint8."""
        if self._studio is None:
            self._studio = studio.Studio(self._spec, self._options.assets)
        snapshots = [self._world(index).snapshot(exact=False) for index in indices]
        return np.stack([self._studio.picture(snapshot, look, width, height) for snapshot in snapshots])

    def close(self) -> None:
        """Let go of all worlds. A board's memory must outlive its arrays, so nothing here may be used again."""
        for world in self._worlds:
            world.close()
        if self._studio is not None:
            self._studio.close()
        self._worlds, self._studio = [], None

    def ping(self) -> Any:
        """Nothing: the answer says that the group is there."""
