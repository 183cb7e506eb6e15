"""A batched environment as Stable-Baselines3 wants it: one reset at the start, then step after step."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box
from stable_baselines3.common.vec_env import VecEnv

from robot_learn.envs import BatchEnv
from robot_learn.errors import UserError

KEPT_EPISODES = 200  # finished episodes that statistics look back on


class FinishedEpisode(NamedTuple):
    """One finished training episode; its reward is the environment's own, before any normalisation."""

    episode_return: float
    length: int
    success: bool  # at any step


class SB3VecEnv(VecEnv):
    """The worlds of a `BatchEnv` as an SB3 `VecEnv`, with episode statistics.

    The info of a world is empty except at an episode's end: `terminal_observation` (obs_dim,), `TimeLimit.truncated`,
    `is_success` (at any step) and `episode` (`r`, `l`). Finished episodes and the sums of reward terms since the
    last `take_term_means` are kept for the progress report.
    """

    def __init__(self, env: BatchEnv) -> None:
        self.env = env
        space, action_space = env.single_observation_space, env.single_action_space
        observation_space = space
        if space.dtype != np.uint8:  # pictures stay bytes
            observation_space = Box(space.low.astype(np.float32), space.high.astype(np.float32), dtype=np.float32)
        super().__init__(env.num_envs, observation_space, Box(action_space.low, action_space.high, dtype=np.float32))
        self.finished: deque[FinishedEpisode] = deque(maxlen=KEPT_EPISODES)
        self.num_finished = 0
        self._returns = np.zeros(self.num_envs)
        self._lengths = np.zeros(self.num_envs, dtype=np.int64)
        self._successes = np.zeros(self.num_envs, dtype=bool)
        self._term_sums: dict[str, float] = {}
        self._term_steps = 0
        self._actions = np.zeros(0)
        # Most steps end no episode. Building N dictionaries each time would cost more than the rest of this class.
        self._quiet: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]

    def reset(self) -> np.ndarray:
        """Observations (N, obs_dim) float32 (pictures uint8); world i starts from the seed given to `seed`, plus i."""
        observation, _ = self.env.reset(seed=self._seeds[0])
        self._reset_seeds()
        self._reset_options()
        self._returns[:], self._lengths[:], self._successes[:] = 0.0, 0, False
        return self._as_declared(observation)

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Observations (N, obs_dim) float32, rewards (N,) float32, dones (N,) and the infos of N worlds."""
        observation, reward, terminated, truncated, info = self.env.step(self._actions)
        if not np.isfinite(reward).all():
            world = int(np.flatnonzero(~np.isfinite(reward))[0])
            raise UserError(f"the reward of world {world} is {reward[world]} at step {self._lengths[world] + 1}")
        self._returns += reward
        self._lengths += 1
        self._successes |= info["success"]
        self._add_terms(info.get("reward_terms", {}))
        done = terminated | truncated
        infos = self._end_episodes(done, terminated, info) if done.any() else self._quiet
        return self._as_declared(observation), reward.astype(np.float32), done, infos

    def _as_declared(self, observation: np.ndarray) -> np.ndarray:
        return observation.astype(self.observation_space.dtype)

    def _add_terms(self, terms: dict[str, np.ndarray]) -> None:
        self._term_steps += self.num_envs
        for name, values in terms.items():
            self._term_sums[name] = self._term_sums.get(name, 0.0) + float(values.sum())

    def _end_episodes(self, done: np.ndarray, terminated: np.ndarray, info: dict[str, Any]) -> list[dict[str, Any]]:
        infos = list(self._quiet)
        last = np.asarray(info["final_obs"])
        for world in np.flatnonzero(done):
            episode = FinishedEpisode(
                float(self._returns[world]), int(self._lengths[world]), bool(self._successes[world])
            )
            self.finished.append(episode)
            infos[world] = {
                "terminal_observation": self._as_declared(last[world]),
                "TimeLimit.truncated": not terminated[world],
                "is_success": episode.success,
                "episode": {"r": episode.episode_return, "l": episode.length},
            }
        self.num_finished += int(done.sum())
        self._returns[done], self._lengths[done], self._successes[done] = 0.0, 0, False
        return infos

    def take_term_means(self) -> dict[str, float]:
        """Each reward term's mean per step since the last call."""
        means = {name: value / max(self._term_steps, 1) for name, value in self._term_sums.items()}
        self._term_sums, self._term_steps = {}, 0
        return means

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on, the environment included; it pickles."""
        return {"env": self.env.snapshot(), **{name: copy.deepcopy(getattr(self, name)) for name in _STATE}}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state` was taken."""
        self.env.restore(state["env"])
        for name in _STATE:
            setattr(self, name, copy.deepcopy(state[name]))

    def close(self) -> None:
        """Nothing: the environment belongs to whoever made it."""

    def get_attr(self, attr_name: str, indices: int | Iterable[int] | None = None) -> list[Any]:
        return [getattr(self.env, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: int | Iterable[int] | None = None) -> None:
        raise NotImplementedError("worlds of a batch share one environment: set the attribute there")

    def env_method(
        self, method_name: str, *method_args: Any, indices: int | Iterable[int] | None = None, **method_kwargs: Any
    ) -> list[Any]:
        raise NotImplementedError("worlds of a batch share one environment: call the method there")

    def env_is_wrapped(self, wrapper_class: Any, indices: int | Iterable[int] | None = None) -> list[bool]:
        return [False for _ in self._get_indices(indices)]


_STATE = ("finished", "num_finished", "_returns", "_lengths", "_successes", "_term_sums", "_term_steps")
