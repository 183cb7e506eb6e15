"""What stands between two sessions of training: the stored learner, its replay, and what pays for them next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree
from stable_baselines3 import SAC
from stable_baselines3.common.vec_env import VecNormalize

from robot_learn import checkpoint, runs
from robot_learn.errors import UserError
from robot_learn.policy import MlpPolicy, load_policy
from robot_learn.preferences.reward import LearnedReward
from robot_learn.relabel import return_statistics
from robot_learn.runs import Run
from robot_learn.scene import Array, Scene
from robot_learn.train_config import TrainConfig, build
from robot_learn.types import RewardFn
from robot_learn.vec_env import SB3VecEnv

MARK = "relabelled.json"  # by what the stored replay is paid
SEEN = 2000  # states that a new one is compared with
NEIGHBOUR = 5  # the k of the k-th nearest of them
BATCH = 2**14  # states that a reward is asked for at once


@dataclass(frozen=True, eq=False)
class Novelty:
    """PEBBLE's reward before there are labels: log distance of the state to its k-th nearest neighbour among some seen.

    Distances are in units of each number's own deviation. It is at least 0, so that falling over is not a way out.
    """

    see: Callable[[], np.ndarray]  # (N, obs_dim) of the worlds now
    seen: np.ndarray  # (R, obs_dim)
    term_names: tuple[str, ...] = ("learned",)  # as that of the reward that follows: the terms of a run never change

    def evaluate(self, scene: Scene, action: Array) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
        paid = self.of(self.see())
        return paid, {"learned": paid}

    def __call__(self, scene: Scene, action: Array) -> np.ndarray:
        return self.evaluate(scene, action)[0]

    def of(self, frames: np.ndarray) -> np.ndarray:
        """(N,)."""
        if len(self.seen) < NEIGHBOUR:
            return np.zeros(len(frames))
        deviation = self.seen.std(axis=0)
        scale = np.where(deviation > 1e-6, deviation, 1.0)
        apart, _ = cKDTree(self.seen / scale).query(frames / scale, k=[NEIGHBOUR])
        return np.asarray(np.log1p(np.asarray(apart)[:, 0]))


def _restored(run: Run, env: Any, config: TrainConfig) -> tuple[dict[str, Any], SAC, VecNormalize, SB3VecEnv]:
    """The learner of a checkpoint, made anew."""
    state = checkpoint.load(run.file(runs.CHECKPOINT))
    adapter = SB3VecEnv(env)
    model, normaliser = build(config, adapter)
    checkpoint.restore(state, model, normaliser, adapter)
    if not isinstance(model, SAC):
        raise UserError(f"{run.path}: a replay that can be paid anew is SAC's, came {config.algorithm}")
    return state, model, normaliser, adapter


def relabel(run: Run, env: Any, config: TrainConfig, reward: RewardFn) -> None:
    """Let every transition of the stored replay have what `reward` pays for the state that it led to.

    The statistics of returns, by which rewards are divided, are learned anew, too.
    """
    if not isinstance(reward, LearnedReward | Novelty):
        raise UserError(f"a replay of states cannot be paid by {type(reward).__name__}")
    state, model, normaliser, adapter = _restored(run, env, config)
    buffer: Any = model.replay_buffer
    count = buffer.buffer_size if buffer.full else buffer.pos
    order = np.arange(buffer.pos, buffer.pos + count) % count if buffer.full else np.arange(count)  # oldest first
    frames = buffer.next_observations[order].reshape(-1, buffer.next_observations.shape[-1])
    parts = [reward.of(frames[first : first + BATCH]) for first in range(0, len(frames), BATCH)]
    rewards = np.concatenate([np.zeros(0), *parts]).reshape(count, config.num_envs)
    if not np.isfinite(rewards).all():
        raise UserError(f"the reward is not finite for {np.sum(~np.isfinite(rewards))} transitions of the replay")
    buffer.rewards[order] = rewards
    if normaliser.norm_reward and count:
        begins = np.concatenate([np.ones((1, config.num_envs), dtype=bool), buffer.dones[order][:-1] > 0])
        normaliser.ret_rms = return_statistics(rewards, begins, normaliser.gamma)
    changed = checkpoint.capture(model, normaliser, adapter) | {"loop": state["loop"]}
    checkpoint.save(changed, run.file(runs.CHECKPOINT))


def states_seen(run: Run, env: Any, *, seed: int) -> np.ndarray:
    """(R, obs_dim) up to `SEEN` states of the stored replay, drawn evenly; none before there is one."""
    if not run.has(runs.CHECKPOINT):
        return np.zeros((0, int(env.single_observation_space.shape[0])))
    stored = checkpoint.load(run.file(runs.CHECKPOINT))["replay"]["next_observations"]
    rows = stored.reshape(-1, stored.shape[-1])
    which = np.random.default_rng([seed, len(rows)]).permutation(len(rows))[:SEEN]
    return np.asarray(rows[np.sort(which)], dtype=np.float64)


def steps_done(run: Run) -> int:
    """Steps of training that the stored learner has behind it."""
    if not run.has(runs.CHECKPOINT):
        return 0
    return int(checkpoint.load(run.file(runs.CHECKPOINT))["counters"]["num_timesteps"])


def policy_now(run: Run, env: Any, config: TrainConfig, *, seed: int) -> MlpPolicy | None:
    """The stored learner's policy, acting by generators of `seed`; None before there is one."""
    if not run.has(runs.CHECKPOINT):
        return None
    export_last(run, env, config)
    return load_policy(run, seed=seed)


def export_last(run: Run, env: Any, config: TrainConfig) -> None:
    """Write the last policy, not the best: which one is best is not known without the truth."""
    _, model, normaliser, _ = _restored(run, env, config)
    checkpoint.export_policy(model, normaliser).save(run.file(runs.POLICY))
