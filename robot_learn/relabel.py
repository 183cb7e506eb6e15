"""A replay that outlives its reward: it keeps the scenes of its transitions, so that any other reward can be asked.

LaRes shares one replay between the rewards that a search tries, relabelled at each change. A scene after a step is kept
once: it is also the scene before the next step. An episode's first scene is kept once for all of its steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.running_mean_std import RunningMeanStd

from robot_learn.errors import UserError
from robot_learn.scene import Array, Scene, Schema
from robot_learn.types import RewardFn

BATCH = 2**16  # transitions that a reward is asked for at once; more would only take more memory


class Recorder:
    """A reward that remembers the scene it was last asked for: the one after a step, before any reset."""

    def __init__(self, reward: RewardFn) -> None:
        self.reward = reward
        self.scene: Scene | None = None

    @property
    def term_names(self) -> tuple[str, ...]:
        return self.reward.term_names

    def evaluate(self, scene: Scene, action: Array) -> tuple[Array, Mapping[str, Array]]:
        self.scene = scene
        return self.reward.evaluate(scene, action)

    def __call__(self, scene: Scene, action: Array) -> Array:
        return self.evaluate(scene, action)[0]


class SceneReplay(ReplayBuffer):
    """SB3's replay buffer of `size` rows of N worlds, with a scene beside each transition.

    `scenes` (size + 1, N, width) holds the fields side by side, after each step; it has one row more than there are
    transitions, because the oldest of them needs the scene before it. `episodes` (size + 1, N) numbers the episodes,
    and `starts` has the first scene (width,) of each that is still there.

    Args:
        recorder: the reward of the worlds that transitions come from.
        schema: of their scenes.
        precision: of the scenes; numbers of a simulator fit into half of what it computes with.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: Any,
        action_space: Box,
        device: str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
        *,
        recorder: Recorder,
        schema: Schema,
        precision: type[np.floating[Any]] = np.float32,
    ) -> None:
        super().__init__(
            buffer_size,
            observation_space,
            action_space,
            device,
            n_envs,
            optimize_memory_usage=optimize_memory_usage,
            handle_timeout_termination=handle_timeout_termination,
        )
        self.recorder, self.schema = recorder, schema
        width = sum(int(np.prod(field.shape)) for field in schema)
        self.scenes = np.zeros((self.buffer_size + 1, n_envs, width), dtype=precision)
        self.episodes = np.full((self.buffer_size + 1, n_envs), -1, dtype=np.int32)
        self.starts: dict[int, np.ndarray] = {}
        self.complete = True  # every transition came with its scene
        self._added = 0  # rows, ever
        self._episode = np.full(n_envs, -1, dtype=np.int32)  # that each world is in
        self._next_episode = 0
        self._begins = np.ones(n_envs, dtype=bool)  # the next transition is the first of its episode

    def add(
        self,
        obs: np.ndarray,
        next_obs: np.ndarray,
        action: np.ndarray,
        reward: np.ndarray,
        done: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        """Keep one transition of each world, whose reward was asked for a moment ago."""
        super().add(obs, next_obs, action, reward, done, infos)
        if not self.complete:
            return
        scene = self.recorder.scene
        if scene is None:
            raise RuntimeError("a transition came before any reward was asked for")
        if self._begins.any():
            self._begin_episodes(_flat(scene.initial))
        row = self._added % len(self.scenes)
        self.scenes[row], self.episodes[row] = _flat(scene), self._episode
        self._added += 1
        self._begins = np.array(done, dtype=bool)
        if self.pos == 0:
            here = set(np.unique(self.episodes).tolist())
            self.starts = {number: start for number, start in self.starts.items() if number in here}

    def _begin_episodes(self, initial: np.ndarray) -> None:
        for world in np.flatnonzero(self._begins):
            self._episode[world] = self._next_episode
            self.starts[self._next_episode] = initial[world].astype(self.scenes.dtype)
            self._next_episode += 1

    def new_episodes(self) -> None:
        """What comes next follows upon nothing that is here: the worlds were reset, or are others."""
        self._begins[:] = True

    def times(self) -> np.ndarray:
        """(rows,): when each row that is still here was added, oldest first."""
        return np.arange(max(0, self._added - self.buffer_size), self._added)

    def begins(self, times: np.ndarray) -> np.ndarray:
        """(rows, N) bool: the transition is the first of its episode."""
        at = times % len(self.scenes)
        return np.asarray(self.episodes[at] != self.episodes[at - 1])

    def relabel(self, reward: RewardFn) -> np.ndarray:
        """Let every transition have the reward that `reward` would have paid; returns them (rows, N), oldest first.

        Raises:
            UserError: not every transition came with its scene, or a reward is not finite.
        """
        if not self.complete:
            raise UserError("this replay was begun without scenes, so no other reward can be asked for it")
        times, several = self.times(), max(1, BATCH // self.n_envs)
        parts = [self._paid(reward, times[first : first + several]) for first in range(0, len(times), several)]
        rewards = np.concatenate([np.zeros((0, self.n_envs)), *parts])
        if not np.isfinite(rewards).all():
            raise UserError(f"the reward is not finite for {np.sum(~np.isfinite(rewards))} transitions of the replay")
        self.rewards[times % self.buffer_size] = rewards
        return rewards

    def _paid(self, reward: RewardFn, times: np.ndarray) -> np.ndarray:
        """(rows, N): the reward of the rows that were added then."""
        at = times % len(self.scenes)
        numbers, which = np.unique(self.episodes[at], return_inverse=True)
        initial = np.stack([self.starts[int(number)] for number in numbers])[which.reshape(len(at), self.n_envs)]
        previous = np.where(self.begins(times)[..., None], initial, self.scenes[at - 1])
        scene = Scene(
            self.schema,
            self._fields(self.scenes[at]),
            initial=self._fields(initial),
            previous=self._fields(previous),
        )
        actions = self.sent(self.actions[times % self.buffer_size]).reshape(-1, self.action_dim)
        return np.asarray(reward(scene, actions), dtype=np.float64).reshape(len(times), self.n_envs)

    def sent(self, actions: np.ndarray) -> np.ndarray:
        """Actions as the worlds got them, from stored ones, which lie between -1 and 1. To the bit as SB3 does it."""
        space: Any = self.action_space
        return np.asarray(space.low + (0.5 * (actions + 1.0) * (space.high - space.low)))

    def _fields(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Scenes (rows, N, width) as the fields of rows * N worlds."""
        flat = flat.reshape(-1, flat.shape[-1]).astype(np.float64)
        found, column = {}, 0
        for field in self.schema:
            width = int(np.prod(field.shape))
            found[field.name] = flat[:, column : column + width].reshape(-1, *field.shape)
            column += width
        return found

    def scene_state(self) -> dict[str, Any]:
        """What there is beside SB3's own arrays. Shares memory with them: write it at once."""
        filled = min(self._added, len(self.scenes))
        return {
            "scenes": self.scenes[:filled],
            "episodes": self.episodes[:filled],
            "starts": self.starts,
            "complete": self.complete,
            "added": self._added,
            "episode": self._episode,
            "next_episode": self._next_episode,
            "begins": self._begins,
        }

    def load_scene_state(self, state: Mapping[str, Any] | None) -> None:
        """Go on where `scene_state` was taken; None: from a replay that has no scenes, and never will."""
        if state is None:
            self.complete = False
            return
        filled = len(state["scenes"])
        self.scenes[:filled], self.episodes[:filled] = state["scenes"], state["episodes"]
        self.starts = dict(state["starts"])
        self.complete, self._added, self._next_episode = state["complete"], state["added"], state["next_episode"]
        self._episode, self._begins = state["episode"].copy(), state["begins"].copy()


def return_statistics(rewards: np.ndarray, begins: np.ndarray, gamma: float) -> RunningMeanStd:
    """What VecNormalize would have learned about returns from rewards (rows, N), oldest first.

    It divides rewards by the deviation of the discounted return, so that after a change of the reward the old
    deviation would stretch or squeeze the new rewards.
    """
    statistics = RunningMeanStd(shape=())
    returns = np.zeros(rewards.shape[1])
    for paid, first in zip(rewards.astype(np.float32), begins, strict=True):
        returns = np.where(first, 0.0, returns) * gamma + paid
        statistics.update(returns)
    return statistics


def _flat(scene: Scene) -> np.ndarray:
    """The fields of a scene of N worlds side by side, (N, width)."""
    columns = []
    for field in scene.schema:
        value = scene[field.name]
        if hasattr(value, "detach"):  # a tensor, maybe on a GPU
            value = value.detach().cpu().numpy()
        columns.append(np.asarray(value).reshape(len(value), -1))
    return np.concatenate(columns, axis=1)
