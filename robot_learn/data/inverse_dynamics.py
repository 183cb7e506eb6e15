"""Actions for episodes that were only watched: inverse dynamics, learned where actions are known, fills them in.

SS-ORL (Zheng et al., "Semi-Supervised Offline Reinforcement Learning with Action-Free Trajectories", ICML 2023): a
network takes the last, the present and the next state to the action that led from the present to the next; what it
says of the watched episodes is their action, and any offline learner goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch

from robot_learn.data.dataset import Dataset
from robot_learn.errors import UserError

Inputs = Literal["observations", "features"]
_CONSTANT = 1e-6  # deviation below which a number tells nothing; elsewhere it may differ, and must not matter
_FAR = 5.0  # deviations, to which inputs are clipped; steps beyond are counted


@dataclass(frozen=True)
class InverseConfig:
    """Of the network and its training."""

    hidden: tuple[int, ...] = (256, 256)
    learning_rate: float = 3e-4
    batch_size: int = 256
    updates: int = 10_000  # at most: training stops where the held-out error rises
    check_every: int = 500
    patience: int = 4  # checks without a better held-out error
    held_out: float = 0.1  # share of the labelled episodes, at least one
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.batch_size, self.updates, self.check_every, self.patience) < 1 or not 0 < self.held_out < 1:
            raise UserError(f"inverse dynamics: wanted counts from 1 and a held-out share in (0, 1), came {self}")


@dataclass(frozen=True, eq=False)
class HeldOut:
    """How well actions of episodes that were not trained on are told."""

    error: np.ndarray  # (act_dim,) mean absolute error, in the actions' units
    explained: np.ndarray  # (act_dim,) share of the variance: 1 is exact, 0 as good as the mean; NaN where constant
    episodes: int
    updates: int  # after which the network was best

    def to_json(self) -> dict[str, Any]:
        told = asdict(self) | {"error": self.error.tolist()}
        return told | {"explained": [None if np.isnan(one) else float(one) for one in self.explained]}


@dataclass(frozen=True, eq=False)
class InverseDynamics:
    """A learned map from three successive states to an action."""

    network: torch.nn.Sequential
    state_mean: np.ndarray  # (d,)
    state_scale: np.ndarray  # (d,)
    change_scale: np.ndarray  # (d,) of the change within a step
    action_mean: np.ndarray  # (act_dim,)
    action_scale: np.ndarray  # (act_dim,)
    low: np.ndarray  # (act_dim,) the smallest action seen; nothing beyond is ever said
    high: np.ndarray  # (act_dim,)
    inputs: Inputs
    held_out: HeldOut

    def actions(self, dataset: Dataset) -> np.ndarray:
        """(M, act_dim) float32: the most likely action of each step.

        Raises:
            UserError: the states are of another width than those it was trained on.
        """
        states = _states(dataset, self.inputs)
        if states.shape[1] != len(self.state_mean):
            raise UserError(
                f"{self.inputs} of {dataset.task} are {states.shape[1]} wide, those with actions {len(self.state_mean)}"
            )
        rows = _triples(dataset, states, self.state_mean, self.state_scale, self.change_scale)
        with torch.no_grad():
            said = self.network(torch.as_tensor(rows.clip(-_FAR, _FAR))).numpy()
        return np.asarray(np.clip(said * self.action_scale + self.action_mean, self.low, self.high), dtype=np.float32)

    def far(self, dataset: Dataset) -> float:
        """Share of the steps that are unlike anything that it was trained on: some number is 5 deviations away."""
        states = _states(dataset, self.inputs)
        rows = _triples(dataset, states, self.state_mean, self.state_scale, self.change_scale)
        return float((np.abs(rows) > _FAR).any(axis=1).mean())

    def fill(self, watched: Dataset) -> Dataset:
        """The watched episodes with actions."""
        note = {"inputs": self.inputs, "far": self.far(watched), **self.held_out.to_json()}
        return replace(watched, actions=self.actions(watched), manifest={**watched.manifest, "inverse_dynamics": note})


def learn(
    labelled: Dataset,
    config: InverseConfig = InverseConfig(),
    *,
    inputs: Inputs = "observations",
    on_check: Callable[[int, float], None] = lambda update, loss: None,
) -> InverseDynamics:
    """Inverse dynamics from episodes with actions.

    Args:
        on_check: told the number of updates and the held-out loss (mean squared error in deviations) now and then.

    Raises:
        UserError: there are no actions, fewer than two episodes, or not the inputs asked for.
    """
    if labelled.actions is None:
        raise UserError(f"dataset of {labelled.task} has no actions to learn from")
    if labelled.num_episodes < 2:
        raise UserError("wanted 2 episodes with actions or more: one is held out to tell the error")
    rng = np.random.default_rng(config.seed)
    states = _states(labelled, inputs)
    moved = states[labelled.frame_after].astype(np.float64) - states[labelled.frame_before]
    mean, scale, change_scale = states.mean(axis=0, dtype=np.float64), _scale(states), _scale(moved)
    actions = labelled.actions.astype(np.float64)
    action_mean, action_scale = actions.mean(axis=0), actions.std(axis=0) + 1e-6
    rows = torch.as_tensor(_triples(labelled, states, mean, scale, change_scale).clip(-_FAR, _FAR))
    targets = torch.as_tensor(((actions - action_mean) / action_scale).astype(np.float32))
    tested = rng.permutation(labelled.num_episodes)[: max(1, round(config.held_out * labelled.num_episodes))]
    test = torch.as_tensor(np.isin(labelled.episode_of, tested))

    network = _network(rows.shape[1], targets.shape[1], config)
    best, update = _fit(network, rows, targets, test, config, rng, on_check)
    network.load_state_dict(best)
    with torch.no_grad():
        said = network(rows[test]).numpy() * action_scale + action_mean
    truth = actions[test.numpy()]
    variance = truth.var(axis=0)
    explained = 1.0 - np.square(said - truth).mean(axis=0) / np.where(variance > 0, variance, np.nan)
    held_out = HeldOut(np.abs(said - truth).mean(axis=0), explained, len(tested), update)
    low, high = actions.min(axis=0), actions.max(axis=0)
    return InverseDynamics(network, mean, scale, change_scale, action_mean, action_scale, low, high, inputs, held_out)


def _fit(
    network: torch.nn.Sequential,
    rows: torch.Tensor,
    targets: torch.Tensor,
    test: torch.Tensor,
    config: InverseConfig,
    rng: np.random.Generator,
    on_check: Callable[[int, float], None],
) -> tuple[dict[str, torch.Tensor], int]:
    """The parameters with the smallest held-out loss, and after how many updates they were reached."""
    train = np.flatnonzero(~test.numpy())
    optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    best, best_loss, best_update = _copy(network), float("inf"), 0
    for update in range(1, config.updates + 1):
        batch = torch.as_tensor(train[rng.integers(len(train), size=config.batch_size)])
        loss = torch.nn.functional.mse_loss(network(rows[batch]), targets[batch])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if update % config.check_every and update != config.updates:
            continue
        with torch.no_grad():
            held_out = float(torch.nn.functional.mse_loss(network(rows[test]), targets[test]))
        on_check(update, held_out)
        if held_out < best_loss:
            best, best_loss, best_update = _copy(network), held_out, update
        elif update - best_update >= config.patience * config.check_every:
            break
    return best, best_update


def _copy(network: torch.nn.Sequential) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def _network(inputs: int, outputs: int, config: InverseConfig) -> torch.nn.Sequential:
    generator = torch.Generator().manual_seed(config.seed)
    widths = [inputs, *config.hidden, outputs]
    layers: list[torch.nn.Module] = []
    for before, after in pairwise(widths):
        linear = torch.nn.Linear(before, after)
        bound = 1.0 / np.sqrt(before)
        with torch.no_grad():  # torch's own initialisation, but from our generator
            linear.weight.uniform_(-bound, bound, generator=generator)
            linear.bias.uniform_(-bound, bound, generator=generator)
        layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def _states(dataset: Dataset, inputs: Inputs) -> np.ndarray:
    states: np.ndarray | None = getattr(dataset, inputs)
    if states is None or states.shape[1] == 0:
        raise UserError(f"dataset of {dataset.task} has no {inputs}; pictures become features by an encoder")
    return states


def _triples(
    dataset: Dataset, states: np.ndarray, mean: np.ndarray, scale: np.ndarray, change_scale: np.ndarray
) -> np.ndarray:
    """(M, 3 d) float32: the state that each step begins in, the change before it (none at first) and the one in it.

    That is the last, the present and the next state. As changes, in deviations of their own, for they are what an
    action does, and small against where the robot is.
    """
    at = dataset.frame_before
    first = np.zeros(dataset.num_steps, dtype=bool)
    first[dataset.starts] = True
    present = states[at].astype(np.float64)
    parts = (
        (present - mean) / scale,
        (present - states[np.where(first, at, at - 1)]) / change_scale,
        (states[at + 1] - present) / change_scale,
    )
    return np.concatenate(parts, axis=1).astype(np.float32)


def _scale(values: np.ndarray) -> np.ndarray:
    """(d,) deviations; infinite where nothing varies, so that a standardised value is 0 whatever comes."""
    found = values.std(axis=0, dtype=np.float64)
    return np.where(found > _CONSTANT, found, np.inf)
