"""What every offline learner is: many seeds at once, each as if it were alone, and resumable to the bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
import torch

from robot_learn.errors import UserError, unknown
from robot_learn.offline.tensors import Tensors
from robot_learn.policy import MlpPolicy

Config = TypeVar("Config")
# Seeds that are one batch on a CPU: a call for three costs little more than for one; more would not stay in the cache.
TOGETHER = 3


class Critic(Protocol):
    """What actions are worth, by one seed."""

    def __call__(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Values (N,) of actions (N, act_dim) at observations (N, obs_dim), both as the environment has them."""
        ...


class Learner(Protocol):
    """Made as `Algorithm(tensors, config, seeds)`; `Algorithm.Config` is a frozen flat dataclass with good defaults.

    A seed learns the same, to the bit on a CPU, whatever other seeds learn beside it and however its updates are
    divided between calls of `train`.
    """

    Config: ClassVar[type]
    seeds: tuple[int, ...]
    updates: int  # done so far

    def train(self, updates: int) -> dict[str, np.ndarray]:
        """So many updates more; losses by name, (S,) each, as means over them."""
        ...

    def policies(self) -> list[MlpPolicy]:
        """One a seed, as plain numbers that further training leaves alone."""
        ...

    def critics(self) -> list[Critic]:
        """One a seed; none where the algorithm has no values of actions."""
        ...

    def state(self) -> dict[str, Any]:
        """All that the rest of the training depends on, as something that pickles; no memory is shared."""
        ...

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave, in a learner of the same data, config and seeds."""
        ...


class Batches:
    """Which steps each seed looks at: uniform with replacement, a stream of its own for each seed.

    Args:
        episodes: (S, E) how likely each seed looks into each episode, and the steps (E,) of each, among which it then
            makes no difference; None: all steps alike.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        num_steps: int,
        batch_size: int,
        episodes: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        self._generators = [np.random.default_rng([seed, 1]) for seed in seeds]
        self._num_steps, self._batch_size, self._episodes = num_steps, batch_size, episodes

    def draw(self, updates: int) -> torch.Tensor:
        """(updates, S, batch_size) int64; the streams do not depend on how many are drawn at once."""
        shape = (updates, self._batch_size)
        if self._episodes is None:
            drawn = [generator.integers(self._num_steps, size=shape) for generator in self._generators]
        else:
            chances, lengths = self._episodes
            drawn = [_steps(g.random(shape), row, lengths) for g, row in zip(self._generators, chances, strict=True)]
        return torch.from_numpy(np.stack(drawn, axis=1))

    def state(self) -> list[dict[str, Any]]:
        return [dict(generator.bit_generator.state) for generator in self._generators]

    def load_state(self, states: Sequence[Mapping[str, Any]]) -> None:
        for generator, state in zip(self._generators, states, strict=True):
            generator.bit_generator.state = dict(state)


def _steps(drawn: np.ndarray, chances: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Numbers in [0, 1) to steps: an episode has as much of the range as its chance (E,), shared by its steps."""
    ends = np.cumsum(chances)
    drawn = drawn * ends[-1]
    episode = np.minimum(np.searchsorted(ends, drawn, "right"), len(ends) - 1)
    within = (drawn - (ends[episode] - chances[episode])) / chances[episode] * lengths[episode]
    steps = (np.cumsum(lengths) - lengths)[episode] + np.clip(within.astype(np.int64), 0, lengths[episode] - 1)
    return np.asarray(steps)


def configured(kind: type[Config], **changes: Any) -> Config:
    """A config with its defaults changed by name.

    Raises:
        UserError: it has no such setting, or a value is out of range.
    """
    allowed = [entry.name for entry in fields(kind)]  # type: ignore[arg-type]  # a dataclass
    for name in changes:
        if name not in allowed:
            raise unknown("setting", name, allowed)
    return replace(kind(), **changes)  # type: ignore[type-var]


def check_at_least(config: object, least: float, *names: str) -> None:
    """For a config's `__post_init__`.

    Raises:
        UserError: one of the named settings is below `least`, or not a number.
    """
    for name in names:
        if not getattr(config, name) >= least:
            raise UserError(f"{name} is {getattr(config, name)}: wanted at least {least:g}")


def check_share(config: object, *names: str) -> None:
    """For a config's `__post_init__`.

    Raises:
        UserError: one of the named settings is not in [0, 1].
    """
    for name in names:
        if not 0.0 <= getattr(config, name) <= 1.0:
            raise UserError(f"{name} is {getattr(config, name)}: wanted 0 to 1")


def stacks(seeds: int, device: torch.device) -> list[slice]:
    """Which seeds are updated as one batch: on a GPU all of them, on a CPU a few. It makes no difference to any."""
    size = TOGETHER if device.type == "cpu" else seeds
    return [slice(first, min(first + size, seeds)) for first in range(0, seeds, size)]


def check_stacks(stored: int, here: int) -> None:
    """For a learner's `load_state`.

    Raises:
        UserError: the seeds of a checkpoint are in another number of batches than those of the learner.
    """
    if stored != here:
        raise UserError(
            f"the checkpoint has its seeds in {stored} batches, here they are in {here}: a training goes on only on "
            "the kind of device and with the version that it began with"
        )


def check_seeds(seeds: Sequence[int], tensors: Tensors) -> tuple[int, ...]:
    """For a learner's constructor.

    Raises:
        UserError: there is no seed, one comes twice or is negative, or rewards are for another number of them.
    """
    found = tuple(int(seed) for seed in seeds)
    if not found or len({*found}) < len(found) or min(found) < 0:
        raise UserError(f"seeds {found}: wanted one or more, from 0, each once")
    tensors.rewards_of(len(found))
    return found
