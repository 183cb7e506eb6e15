"""What a training run is asked to do, and the Stable-Baselines3 learner that does it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import VecNormalize

from robot_learn.errors import UserError, unknown
from robot_learn.relabel import Recorder, SceneReplay
from robot_learn.vec_env import SB3VecEnv

# May change when a run is resumed: they say when to stop, not what is learned on the way.
FREE_ON_RESUME = ("total_steps", "stop_at_success")


@dataclass(frozen=True)
class TrainConfig:
    """One flat list of settings; the defaults are PPO's, `preset("sac")` gives SAC's.

    Rewards may come from any program, so they are divided by the running deviation of the discounted return, and
    observations are standardised by running statistics, as in SB3's VecNormalize.
    """

    algorithm: Literal["ppo", "sac"] = "ppo"
    total_steps: int = 700_000  # of all worlds together
    num_envs: int = 128
    seed: int = 0
    stop_at_success: float | None = None  # end early at this success rate over the last 200 training episodes
    hidden: tuple[int, ...] = (64, 64)
    learning_rate: float = 1e-3
    gamma: float | None = None  # None: looks a quarter of an episode ahead, 1 - 4 / max_episode_steps
    normalise_observations: bool = True
    normalise_rewards: bool = True
    torch_threads: int = 1  # of the learner; small networks gain nothing from more, and the simulator needs the cores

    # PPO
    n_steps: int = 50  # of each world, between two updates
    minibatches: int = 16
    epochs: int = 8
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    ent_coef: float = 0.0
    noise_steps: int = 8  # that exploration noise is held for (gSDE); 0: fresh Gaussian noise at each step
    log_std_init: float = -2.0
    target_kl: float | None = 0.05  # an update ends early when the policy has moved this far

    # SAC
    batch_size: int = 256
    buffer_size: int = 500_000
    learning_starts: int = 5_000  # random actions before
    gradient_steps: int = 8  # after each step of all worlds
    polyak: float = 0.005

    def __post_init__(self) -> None:
        if self.algorithm not in _PRESETS:
            raise unknown("algorithm", self.algorithm, _PRESETS)
        for name in ("total_steps", "num_envs", "n_steps", "minibatches", "epochs", "batch_size", "torch_threads"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}: wanted at least 1")
        for name in ("gamma", "gae_lambda", "polyak", "stop_at_success"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value <= 1.0:
                raise UserError(f"{name} is {value}: wanted above 0, at most 1")
        if self.algorithm == "ppo" and self.num_envs * self.n_steps % self.minibatches:
            multiple = self.minibatches // math.gcd(self.n_steps, self.minibatches)
            raise UserError(
                f"{self.num_envs} worlds of {self.n_steps} steps do not divide into {self.minibatches} minibatches: "
                f"wanted num_envs to be a multiple of {multiple}"
            )


_PRESETS: Mapping[str, Mapping[str, Any]] = {
    "ppo": {},
    "sac": {"total_steps": 300_000, "num_envs": 16, "hidden": (256, 256), "learning_rate": 3e-4},
}


def preset(algorithm: str, **changes: Any) -> TrainConfig:
    """Good settings for an algorithm, with changes by name.

    Raises:
        UserError: there is no such algorithm or setting, or a value is out of range.
    """
    if algorithm not in _PRESETS:
        raise unknown("algorithm", algorithm, _PRESETS)
    allowed = [entry.name for entry in fields(TrainConfig)]
    for name in changes:
        if name not in allowed:
            raise unknown("training setting", name, allowed)
    return replace(TrainConfig(), **{"algorithm": algorithm, **_PRESETS[algorithm], **changes})


def build(config: TrainConfig, adapter: SB3VecEnv) -> tuple[PPO | SAC, VecNormalize]:
    """A fresh learner on an environment, and the normalisation between the two.

    PPO explores by gSDE (Raffin et al., CoRL 2021): noise that is a function of the state, held for `noise_steps`
    steps. At 80 control steps a second, fresh noise at each step averages out and moves an arm nowhere.

    SAC's replay keeps the scenes of an environment whose reward is a `Recorder`, so that it can be relabelled.
    """
    gamma = config.gamma or max(0.5, 1.0 - 4.0 / adapter.env.task.max_episode_steps)
    normaliser = VecNormalize(
        adapter, norm_obs=config.normalise_observations, norm_reward=config.normalise_rewards, gamma=gamma
    )
    shared: dict[str, Any] = {
        "learning_rate": config.learning_rate,
        "gamma": gamma,
        "seed": config.seed,
        "device": "cpu",
    }
    if config.algorithm == "sac":
        model: PPO | SAC = SAC(
            "MlpPolicy",
            normaliser,
            batch_size=config.batch_size,
            buffer_size=config.buffer_size,
            learning_starts=config.learning_starts,
            train_freq=1,
            gradient_steps=config.gradient_steps,
            tau=config.polyak,
            **_replay(adapter),
            policy_kwargs={"net_arch": list(config.hidden)},
            **shared,
        )
        return model, normaliser
    model = PPO(
        "MlpPolicy",
        normaliser,
        n_steps=config.n_steps,
        batch_size=config.num_envs * config.n_steps // config.minibatches,
        n_epochs=config.epochs,
        gae_lambda=config.gae_lambda,
        clip_range=config.clip_range,
        ent_coef=config.ent_coef,
        target_kl=config.target_kl,
        use_sde=config.noise_steps > 0,
        sde_sample_freq=config.noise_steps or -1,
        policy_kwargs={
            "net_arch": list(config.hidden),
            "log_std_init": config.log_std_init,
            "activation_fn": torch.nn.Tanh,
        },
        **shared,
    )
    return model, normaliser


def _replay(adapter: SB3VecEnv) -> dict[str, Any]:
    recorder = adapter.env.reward_fn
    if not isinstance(recorder, Recorder):
        return {}
    kept = {"recorder": recorder, "schema": adapter.env.task.schema}
    return {"replay_buffer_class": SceneReplay, "replay_buffer_kwargs": kept}
