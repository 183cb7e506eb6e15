"""A trained policy as plain numbers: normalisation, a small network and the range of the actions, in numpy.

What training learned with torch runs here without it, with the same actions, at a fraction of the cost per call.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from robot_learn.errors import UserError
from robot_learn.runs import POLICY, Run, atomic_write

LOG_STD_RANGE = (-20.0, 2.0)  # Stable-Baselines3's bounds for SAC; PPO's log_std stays well inside


@dataclass(frozen=True, eq=False)
class MlpPolicy:
    """A Gaussian policy: a multilayer perceptron gives its mean and log standard deviation.

    Satisfies `robot_learn.types.Policy`. Observations come in raw, actions go out in the environment's range.
    """

    obs_mean: np.ndarray  # (obs_dim,)
    obs_scale: np.ndarray  # (obs_dim,) standard deviation
    obs_clip: np.ndarray  # () of the normalised observation; infinite where nothing is normalised
    weights: tuple[np.ndarray, ...]  # hidden layers, each (out, in) float32
    biases: tuple[np.ndarray, ...]  # (out,)
    relu: np.ndarray  # () bool; else tanh
    mean_weight: np.ndarray  # (act_dim, hidden)
    mean_bias: np.ndarray  # (act_dim,)
    log_std_weight: np.ndarray  # (act_dim, hidden); zero where the deviation does not depend on the state
    log_std_bias: np.ndarray  # (act_dim,) minus infinity where there is only the noise below
    state_noise: np.ndarray  # (act_dim, hidden) deviations of gSDE's noise weights; zero without gSDE
    low: np.ndarray  # (act_dim,)
    high: np.ndarray  # (act_dim,)
    squash: np.ndarray  # () bool: tanh onto [low, high], as SAC; else clip, as PPO
    noise_after_squash: np.ndarray = field(default_factory=lambda: np.asarray(False))  # () bool: tanh of the mean only
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0), repr=False)

    @property
    def obs_dim(self) -> int:
        return len(self.obs_mean)

    @property
    def act_dim(self) -> int:
        return len(self.low)

    def predict(
        self,
        observation: np.ndarray | dict[str, np.ndarray],
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Actions (N, act_dim) for observations (N, obs_dim), or (act_dim,) for one (obs_dim,).

        Raises:
            UserError: the observation has another width.
        """
        given = np.asarray(observation)
        if given.ndim not in (1, 2) or given.shape[-1] != self.obs_dim:
            raise UserError(f"policy wants observations (N, {self.obs_dim}) or ({self.obs_dim},), got {given.shape}")
        hidden = np.clip((given - self.obs_mean) / self.obs_scale, -self.obs_clip, self.obs_clip).astype(np.float32)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            hidden = hidden @ weight.T + bias
            hidden = np.maximum(hidden, 0.0) if self.relu else np.tanh(hidden)
        action = hidden @ self.mean_weight.T + self.mean_bias
        if self.noise_after_squash:
            action = np.tanh(action)
        if not deterministic:
            log_std = np.clip(hidden @ self.log_std_weight.T + self.log_std_bias, *LOG_STD_RANGE)
            variance = np.exp(2.0 * log_std) + np.square(hidden) @ np.square(self.state_noise).T
            action = action + np.sqrt(variance) * self.rng.standard_normal(action.shape, dtype=np.float32)
        if self.squash:
            unit = action if self.noise_after_squash else np.tanh(action)
            action = self.low + 0.5 * (unit + 1.0) * (self.high - self.low)
        return np.clip(action, self.low, self.high).astype(np.float32), state

    def save(self, path: Path) -> None:
        """Write as npz, whole or not at all."""
        arrays: dict[str, Any] = {}
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name in ("weights", "biases"):
                arrays |= {f"{entry.name}_{index}": layer for index, layer in enumerate(value)}
            elif entry.name != "rng":
                arrays[entry.name] = value
        with atomic_write(path) as file:
            np.savez(file, **arrays)


def load_policy(source: Run | Path | str, *, seed: int = 0) -> MlpPolicy:
    """The policy of a run, or of a policy file; `seed` is for actions drawn at random (`deterministic=False`).

    Raises:
        UserError: there is no policy, or the file is not one.
    """
    path = source.file(POLICY) if isinstance(source, Run) else Path(source)
    path = path / POLICY if path.is_dir() else path
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
        depth = sum(name.startswith("weights_") for name in arrays)
        weights = tuple(arrays.pop(f"weights_{index}") for index in range(depth))
        biases = tuple(arrays.pop(f"biases_{index}") for index in range(depth))
        return MlpPolicy(weights=weights, biases=biases, rng=np.random.default_rng(seed), **arrays)
    except FileNotFoundError:
        raise UserError(f"no policy at {path}: train the run first, or resume it") from None
    except (ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not a policy that was saved by a training run") from error
