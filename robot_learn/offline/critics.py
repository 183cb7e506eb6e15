"""A trained Q-function as plain numbers, in numpy: for steering policies where nothing is learned any more."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robot_learn.errors import UserError
from robot_learn.offline.hl_gauss import HlGauss
from robot_learn.offline.networks import StackedMlp
from robot_learn.offline.tensors import Tensors
from robot_learn.runs import atomic_write

NORM_EPSILON = 1e-5  # torch's, in a layer norm


@dataclass(frozen=True, eq=False)
class MlpCritic:
    """The smallest of K networks' values. Satisfies `robot_learn.offline.learner.Critic`."""

    obs_mean: np.ndarray  # (obs_dim,)
    obs_scale: np.ndarray  # (obs_dim,)
    low: np.ndarray  # (act_dim,) the environment's range, which [-1, 1] stands for
    high: np.ndarray  # (act_dim,)
    weights: tuple[np.ndarray, ...]  # each (K, in, out)
    biases: tuple[np.ndarray, ...]  # each (K, 1, out)
    gains: tuple[np.ndarray, ...]  # of the layer norm after each hidden layer, each (K, 1, out); or none
    shifts: tuple[np.ndarray, ...]
    centres: np.ndarray  # (bins,) what the outputs are logits of; (0,) where the output is the value

    def __call__(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Values (N,) of actions (N, act_dim) at observations (N, obs_dim), both as the environment has them.

        Raises:
            UserError: another number of rows, or another width.
        """
        observations, actions = np.asarray(observations), np.asarray(actions)
        wanted = (len(observations), len(self.obs_mean)), (len(observations), len(self.low))
        if observations.shape != wanted[0] or actions.shape != wanted[1]:
            raise UserError(
                f"critic wants observations (N, {wanted[0][1]}) and actions (N, {wanted[1][1]}), "
                f"got {observations.shape} and {actions.shape}"
            )
        unit = np.clip(2.0 * (actions - self.low) / (self.high - self.low) - 1.0, -1.0, 1.0)
        whole = np.concatenate([(observations - self.obs_mean) / self.obs_scale, unit], axis=1)
        hidden = np.broadcast_to(whole.astype(np.float32), (len(self.weights[0]), *whole.shape))
        for index, (weight, bias) in enumerate(zip(self.weights[:-1], self.biases[:-1], strict=True)):
            hidden = hidden @ weight + bias
            if self.gains:
                spread = np.sqrt(hidden.var(-1, keepdims=True) + NORM_EPSILON)
                hidden = (hidden - hidden.mean(-1, keepdims=True)) / spread * self.gains[index] + self.shifts[index]
            hidden = np.maximum(hidden, 0.0)
        out = hidden @ self.weights[-1] + self.biases[-1]  # (K, N, 1 or bins)
        if len(self.centres):
            mass = np.exp(out - out.max(-1, keepdims=True))
            out = (mass @ self.centres / mass.sum(-1))[..., None]
        return np.asarray(out[..., 0].min(0))

    def save(self, path: Path) -> None:
        """Write as npz, whole or not at all."""
        arrays: dict[str, Any] = {}
        for entry in fields(self):
            value = getattr(self, entry.name)
            layers = value if isinstance(value, tuple) else None
            arrays |= {entry.name: value} if layers is None else {f"{entry.name}_{i}": a for i, a in enumerate(layers)}
        with atomic_write(path) as file:
            np.savez(file, **arrays)


def load_critic(path: Path | str) -> MlpCritic:
    """What `MlpCritic.save` wrote.

    Raises:
        UserError: there is no critic at `path`.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays: dict[str, Any] = dict(stored)
        for name in ("weights", "biases", "gains", "shifts"):
            depth = sum(key.startswith(f"{name}_") for key in arrays)
            arrays[name] = tuple(arrays.pop(f"{name}_{index}") for index in range(depth))
        return MlpCritic(**arrays)
    except FileNotFoundError:
        raise UserError(f"no critic at {path}: train a learner that has one, e.g. iql") from None
    except (ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not a critic that was saved by a training run") from error


def export_critics(tensors: Tensors, net: StackedMlp, histograms: Sequence[HlGauss] = ()) -> list[MlpCritic]:
    """Each seed's Q-functions of (observation, action) as plain numbers; a histogram a seed, or none."""

    def layers(parameters: Any, seed: int) -> tuple[np.ndarray, ...]:
        rows = slice(seed * net.members, (seed + 1) * net.members)
        return tuple(layer.detach()[rows].cpu().numpy().copy() for layer in parameters)

    def one(seed: int) -> MlpCritic:
        centres = histograms[seed].centres(torch.zeros(0)) if histograms else torch.zeros(0)
        return MlpCritic(
            obs_mean=tensors.obs_mean,
            obs_scale=tensors.obs_scale,
            low=tensors.low,
            high=tensors.high,
            weights=layers(net.weights, seed),
            biases=layers(net.biases, seed),
            gains=layers(net.gains, seed),
            shifts=layers(net.shifts, seed),
            centres=centres.numpy(),
        )

    return [one(seed) for seed in range(net.seeds)]
