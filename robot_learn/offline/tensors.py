"""A dataset as its learners hold it: on a device, standardised, each frame once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from robot_learn.data.dataset import Dataset
from robot_learn.errors import UserError

SMALLEST_DEVIATION = 1e-3  # is added, so that a column that hardly moves in the data is not blown up outside of it


@dataclass(frozen=True, eq=False)
class Pairs:
    """P comparisons of two segments of L steps each, for learners from preferences."""

    steps: torch.Tensor  # (P, 2, L) int64 steps of the dataset
    labels: torch.Tensor  # (P,) float32 P(second preferred); 0.5 is a tie
    weights: torch.Tensor  # (P,) float32 confidence


@dataclass(frozen=True, eq=False)
class Tensors:
    """M steps over F frames. A step leads from frame `before` to the next one, so observations are kept once."""

    task: str
    frames: torch.Tensor  # (F, obs_dim) float32 standardised observations
    before: torch.Tensor  # (M,) int64 the frame that each step began in
    actions: torch.Tensor  # (M, act_dim) float32 in [-1, 1]
    rewards: torch.Tensor  # (1, M) float32 for all seeds, or (S, M) a row for each
    terminated: torch.Tensor  # (M,) bool
    lengths: np.ndarray  # (E,) int64 steps of each episode
    obs_mean: np.ndarray  # (obs_dim,) float64
    obs_scale: np.ndarray  # (obs_dim,) float64
    low: np.ndarray  # (act_dim,) the environment's range, which [-1, 1] stands for
    high: np.ndarray  # (act_dim,)
    pairs: Pairs | None = None

    @property
    def num_steps(self) -> int:
        return len(self.before)

    @property
    def obs_dim(self) -> int:
        return int(self.frames.shape[1])

    @property
    def act_dim(self) -> int:
        return int(self.actions.shape[1])

    @property
    def device(self) -> torch.device:
        return self.frames.device

    @cached_property
    def episode_of(self) -> np.ndarray:
        """(M,) the episode of each step."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def rewards_of(self, seeds: int) -> torch.Tensor:
        """(S, M): the row of each seed, the same one S times where all share it.

        Raises:
            UserError: there are rows for another number of seeds.
        """
        if len(self.rewards) not in (1, seeds):
            raise UserError(f"rewards of {self.task}: {len(self.rewards)} rows, wanted 1 or one for each seed, {seeds}")
        return self.rewards.expand(seeds, -1)

    def standardised(self, observations: np.ndarray) -> torch.Tensor:
        """Observations (..., obs_dim) of the environment as the networks see them."""
        return torch.as_tensor(((observations - self.obs_mean) / self.obs_scale).astype(np.float32), device=self.device)

    def scaled(self, actions: np.ndarray) -> torch.Tensor:
        """Actions (..., act_dim) of the environment as the networks see them, in [-1, 1]."""
        unit = 2.0 * (actions - self.low) / (self.high - self.low) - 1.0
        return torch.as_tensor(np.clip(unit, -1.0, 1.0).astype(np.float32), device=self.device)

    def with_rewards(self, rewards: np.ndarray) -> Tensors:
        """The same steps, paid otherwise: (M,) or (S, M), a row for each seed.

        Raises:
            UserError: another number of steps, or a reward that is not finite.
        """
        rows = np.atleast_2d(np.asarray(rewards, dtype=np.float32))
        if rows.ndim != 2 or rows.shape[1] != self.num_steps:
            raise UserError(f"rewards of {self.task}: came {np.shape(rewards)}, wanted {self.num_steps} steps in a row")
        if not np.isfinite(rows).all():
            row, step = np.argwhere(~np.isfinite(rows))[0]
            raise UserError(f"rewards of {self.task}: rewards[{row}, {step}] is not finite: {rows[row, step]}")
        return replace(self, rewards=torch.as_tensor(rows, device=self.device))

    def with_pairs(self, steps: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> Tensors:
        """The same steps, with comparisons of segments of them: (P, 2, L), (P,), (P,).

        Raises:
            UserError: shapes disagree, there is no such step, or a label is outside [0, 1].
        """
        count = len(labels)
        if np.ndim(steps) != 3 or np.shape(steps)[:2] != (count, 2):
            raise UserError(f"pairs of {self.task}: steps are {np.shape(steps)}, wanted ({count}, 2, length)")
        if np.size(steps) and not (np.min(steps) >= 0 and np.max(steps) < self.num_steps):
            raise UserError(f"pairs of {self.task}: steps go to {np.max(steps)}, there are {self.num_steps} from 0")
        wrong = np.flatnonzero(~((np.asarray(labels) >= 0.0) & (np.asarray(labels) <= 1.0)))
        if len(wrong):
            raise UserError(f"pairs of {self.task}: labels[{wrong[0]}] is {labels[wrong[0]]}, wanted 0 to 1")
        confidence = np.ones(count) if weights is None else weights

        def tensor(values: np.ndarray, kind: torch.dtype) -> torch.Tensor:
            return torch.as_tensor(np.asarray(values), dtype=kind, device=self.device)

        pairs = Pairs(tensor(steps, torch.int64), tensor(labels, torch.float32), tensor(confidence, torch.float32))
        return replace(self, pairs=pairs)


def to_tensors(
    dataset: Dataset, low: np.ndarray, high: np.ndarray, *, device: torch.device | str = "cpu", standardise: bool = True
) -> Tensors:
    """A dataset on a device; `low` and `high` (act_dim,) are the range of the environment's actions.

    Actions beyond the range are clipped to it, as the environment does.

    Raises:
        UserError: the dataset holds no actions, or the range has another width.
    """
    if dataset.actions is None:
        raise UserError(f"dataset of {dataset.task} has no actions: fill them in first, see `robot-learn data actions`")
    low, high = np.asarray(low, dtype=np.float32), np.asarray(high, dtype=np.float32)
    if low.shape != dataset.actions.shape[1:] or high.shape != low.shape or not (low < high).all():
        raise UserError(
            f"dataset of {dataset.task}: actions are {dataset.actions.shape[1]} wide, the range has shape {low.shape}"
        )
    width = dataset.observations.shape[1]
    mean, scale = np.zeros(width), np.ones(width)
    if standardise:
        mean = dataset.observations.mean(axis=0, dtype=np.float64)
        scale = dataset.observations.std(axis=0, dtype=np.float64) + SMALLEST_DEVIATION
    tensors = Tensors(
        task=dataset.task,
        frames=torch.zeros(0),
        before=torch.as_tensor(dataset.frame_before, device=device),
        actions=torch.zeros(0),
        rewards=torch.as_tensor(dataset.rewards[None], device=device),
        terminated=torch.as_tensor(dataset.terminated, device=device),
        lengths=dataset.lengths,
        obs_mean=mean,
        obs_scale=scale,
        low=low,
        high=high,
    )
    frames = torch.as_tensor(((dataset.observations - mean) / scale).astype(np.float32), device=device)
    unit = np.clip(2.0 * (dataset.actions - low) / (high - low) - 1.0, -1.0, 1.0).astype(np.float32)
    return replace(tensors, frames=frames, actions=torch.as_tensor(unit, device=device))
