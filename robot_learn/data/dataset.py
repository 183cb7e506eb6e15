"""Episodes laid end to end: what offline learners, reward models and teachers all read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from robot_learn.errors import UserError
from robot_learn.types import Segment


@dataclass(frozen=True, eq=False)
class Dataset:
    """M steps of E episodes of one task. A frame is a moment: an episode of T steps has T + 1 of them, M + E in all.

    Steps and frames are numbered through the whole dataset; `frame_before` and `frame_after` lead from one to the
    other. `rewards` are whose `reward_source` says: the task's own, or a learned model's.
    """

    task: str
    lengths: np.ndarray  # (E,) int64 steps of each episode, all above 0
    observations: np.ndarray  # (M + E, obs_dim) float32
    actions: np.ndarray | None  # (M, act_dim) float32, in the environment's range; None: only watched
    rewards: np.ndarray  # (M,) float32
    terminated: np.ndarray  # (M,) bool: the task ended there, nothing follows
    success: np.ndarray  # (M,) bool, after each step
    images: np.ndarray | None = None  # (M + E, height, width, 3) uint8; may lie on disk (memmap)
    features: np.ndarray | None = None  # (M + E, F) float32 in place of images, or beside them
    sources: np.ndarray | None = None  # (E,) str: who acted, e.g. "random"
    reward_source: str = "task"
    manifest: Mapping[str, Any] = field(default_factory=dict)  # how it came about; see robot_learn.data.manifest

    def __post_init__(self) -> None:
        episodes, steps = len(self.lengths), int(np.sum(self.lengths))
        if episodes == 0 or np.min(self.lengths) < 1:
            raise UserError(f"dataset of {self.task}: wanted episodes of 1 step or more, came {episodes} episodes")
        rows = {"actions": steps, "rewards": steps, "terminated": steps, "success": steps, "sources": episodes}
        rows |= dict.fromkeys(("observations", "images", "features"), steps + episodes)
        for name, wanted in rows.items():
            value = getattr(self, name)
            if value is not None and len(value) != wanted:
                raise UserError(f"dataset of {self.task}: {name} has {len(value)} rows, wanted {wanted}")
        for name in ("observations", "actions", "rewards", "features"):
            value = getattr(self, name)
            if value is not None and not np.isfinite(value).all():
                row = int(np.argwhere(~np.isfinite(value))[0][0])
                raise UserError(f"dataset of {self.task}: {name}[{row}] is not finite: {value[row]}")

    @property
    def num_episodes(self) -> int:
        return len(self.lengths)

    @property
    def num_steps(self) -> int:
        return len(self.rewards)

    @cached_property
    def starts(self) -> np.ndarray:
        """(E,) the first step of each episode."""
        return np.concatenate([[0], np.cumsum(self.lengths)[:-1]])

    @cached_property
    def episode_of(self) -> np.ndarray:
        """(M,) the episode of each step."""
        return np.repeat(np.arange(self.num_episodes), self.lengths)

    @cached_property
    def frame_before(self) -> np.ndarray:
        """(M,) the frame that each step began in."""
        return np.asarray(np.arange(self.num_steps) + self.episode_of)

    @property
    def frame_after(self) -> np.ndarray:
        """(M,) the frame that each step led to."""
        return self.frame_before + 1

    @cached_property
    def returns(self) -> np.ndarray:
        """(E,) the sum of the rewards of each episode."""
        return np.asarray(np.add.reduceat(self.rewards.astype(np.float64), self.starts))

    @cached_property
    def succeeded(self) -> np.ndarray:
        """(E,) bool: at any step of the episode."""
        return np.asarray(np.logical_or.reduceat(self.success, self.starts))

    def steps_of(self, segment: Segment) -> np.ndarray:
        """(length,) the steps of a segment.

        Raises:
            UserError: there are no such steps.
        """
        if segment.episode >= self.num_episodes or segment.start + segment.length > self.lengths[segment.episode]:
            here = f"{self.num_episodes} episodes"
            if segment.episode < self.num_episodes:
                here = f"{self.lengths[segment.episode]} steps in episode {segment.episode}"
            raise UserError(f"dataset of {self.task}: there is no {segment}; it has {here}")
        return np.asarray(self.starts[segment.episode] + segment.start + np.arange(segment.length))

    def frames_of(self, segment: Segment) -> np.ndarray:
        """(length,) the frames that a segment shows: those after its steps."""
        return self.steps_of(segment) + segment.episode + 1  # `frame_after` without all other steps': asked a lot

    def with_rewards(self, rewards: np.ndarray, source: str) -> Dataset:
        """The same episodes, paid otherwise: rewards (M,)."""
        return replace(self, rewards=np.asarray(rewards, dtype=np.float32), reward_source=source)

    def episodes(self, which: np.ndarray) -> Dataset:
        """Some of the episodes, by a mask (E,) or by indices."""
        chosen = np.arange(self.num_episodes)[which]
        spans = [np.arange(self.starts[e], self.starts[e] + self.lengths[e]) for e in chosen]
        steps = np.concatenate([np.zeros(0, dtype=np.int64), *spans])
        frames = np.concatenate(
            [
                np.zeros(0, dtype=np.int64),
                *[np.append(s + e, s[-1] + e + 1) for s, e in zip(spans, chosen, strict=True)],
            ]
        )

        def rows(value: np.ndarray | None, index: np.ndarray) -> Any:
            return None if value is None else value[index]

        return replace(
            self,
            lengths=self.lengths[chosen],
            sources=rows(self.sources, chosen),
            **{name: rows(getattr(self, name), steps) for name in ("actions", "rewards", "terminated", "success")},
            **{name: rows(getattr(self, name), frames) for name in ("observations", "images", "features")},
        )
