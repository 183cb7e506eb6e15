"""Model predictive path integral control (MPPI) on a batched simulator: no model but the simulator, no learning.

Williams et al., "Information theoretic MPC for model-based reinforcement learning" (ICRA 2017), algorithm 2, with
these changes: the temperature is a share of the spread of the samples' returns, so that no reward needs a scale of its
own; noise is drawn at knots and interpolated, so that it is correlated in time and an arm at 80 control steps a second
moves at all (Howell et al., "Predictive sampling", arXiv 2212.00541); and the plan so far is itself a sample.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from gymnasium.spaces import Box

from robot_learn.errors import UserError


class Simulator(Protocol):
    """Worlds that can be put anywhere and stepped: a `BatchEnv` with automatic resets and the reward to maximise."""

    num_envs: int
    single_action_space: Box

    def step(self, actions: np.ndarray, /) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Observation, reward, terminated, truncated (N,) and info, for actions (N, act_dim)."""
        ...

    def restore(self, snapshot: Sequence[Any], /) -> None:
        """Put world i where snapshot i was taken."""
        ...


@dataclass(frozen=True)
class MppiConfig:
    """How to plan. Lengths are in control steps, noise in shares of the action's half range."""

    horizon: int = 24  # that a plan looks ahead
    knot_every: int = 4  # steps between two independent draws of noise
    noise: float = 0.6  # standard deviation at a knot
    temperature: float = 0.1  # of the weights, in standard deviations of the samples' returns
    iterations: int = 1  # improvements of the plan before an action is taken
    gamma: float = 1.0  # per control step
    replan_every: int = 1  # steps that are taken of a plan before the next one
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("horizon", "knot_every", "iterations", "replan_every"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}: wanted at least 1")
        for name in ("noise", "temperature"):
            if not getattr(self, name) > 0:
                raise UserError(f"{name} is {getattr(self, name)}: wanted above 0")


class Mppi:
    """Plans for M episodes at once on a simulator of M x K worlds: K samples an episode.

    `plans` (M, horizon, act_dim) is what it would do from here on; `advance` shifts it by the steps that were taken.
    """

    def __init__(self, simulator: Simulator, episodes: int = 1, config: MppiConfig = MppiConfig()) -> None:
        if simulator.num_envs % episodes or simulator.num_envs < 2 * episodes:
            raise UserError(f"{simulator.num_envs} worlds for {episodes} episodes: wanted a multiple, at least twice")
        self.simulator, self.config, self.episodes = simulator, config, episodes
        self.samples = simulator.num_envs // episodes
        space = simulator.single_action_space
        self._low, self._high = space.low.astype(np.float64), space.high.astype(np.float64)
        self._rng = np.random.default_rng(config.seed)
        self._interpolate = _interpolation(config.horizon, config.knot_every)
        self.plans = np.tile((self._low + self._high) / 2, (episodes, config.horizon, 1))

    def plan(self, snapshots: Sequence[Any]) -> np.ndarray:
        """Improved plans (M, horizon, act_dim) for episodes that stand where `snapshots` (M of them) were taken."""
        for _ in range(self.config.iterations):
            self.improve(snapshots)
        return self.plans.copy()

    def improve(self, snapshots: Sequence[Any]) -> np.ndarray:
        """One round of sampling from the present plans; returns the samples' returns (M, K)."""
        candidates = self._candidates()
        returns = self.returns(snapshots, candidates)
        spread = returns.std(axis=1, keepdims=True) + 1e-12
        weights = np.exp((returns - returns.max(axis=1, keepdims=True)) / (self.config.temperature * spread))
        weights /= weights.sum(axis=1, keepdims=True)
        self.plans = np.einsum("mk,mkha->mha", weights, candidates)
        return returns

    def begin(self, fresh: np.ndarray) -> None:
        """Forget the plans of episodes (M,) that have just begun."""
        self.plans[fresh] = (self._low + self._high) / 2

    def advance(self, steps: int = 1) -> None:
        """The first steps of each plan were taken: shift the plans, and repeat their last action."""
        self.plans = np.concatenate([self.plans[:, steps:], np.repeat(self.plans[:, -1:], steps, axis=1)], axis=1)

    def returns(self, snapshots: Sequence[Any], candidates: np.ndarray) -> np.ndarray:
        """The discounted reward (M, K) of action sequences (M, K, horizon, act_dim); none after an episode's end."""
        self.simulator.restore([snapshot for snapshot in snapshots for _ in range(self.samples)])
        flat = candidates.reshape(-1, *candidates.shape[2:]).astype(np.float32)
        total, running, discount = np.zeros(len(flat)), np.ones(len(flat), dtype=bool), 1.0
        for step in range(flat.shape[1]):
            _, reward, terminated, truncated, _ = self.simulator.step(flat[:, step])
            total += np.where(running, discount * reward, 0.0)
            running &= ~(terminated | truncated)
            discount *= self.config.gamma
        return total.reshape(self.episodes, self.samples)

    def _candidates(self) -> np.ndarray:
        """(M, K, horizon, act_dim): the plan itself and noisy versions of it, within the action's bounds."""
        half = (self._high - self._low) / 2
        knots = self._interpolate.shape[1]
        drawn = self._rng.standard_normal((self.episodes, self.samples, knots, len(half)))
        drawn[:, 0] = 0.0
        noise = np.einsum("hk,mska->msha", self._interpolate, drawn) * (self.config.noise * half)
        return np.asarray(np.clip(self.plans[:, None] + noise, self._low, self._high))


def _interpolation(horizon: int, every: int) -> np.ndarray:
    """(horizon, knots): weights that carry noise at the knots to every step, of variance 1 at each."""
    knots = (horizon - 1) // every + 2
    position = np.arange(horizon) / every
    weights = np.maximum(0.0, 1.0 - np.abs(position[:, None] - np.arange(knots)))
    return np.asarray(weights / np.linalg.norm(weights, axis=1, keepdims=True))


class Located(Protocol):
    """Worlds that say where they stand, as something that a `Simulator` of the same task can be restored to."""

    def snapshot(self) -> Sequence[Any]: ...


class MppiPolicy:
    """A planner as a policy, for the worlds that it looks at: it plans from their state, not from observations.

    Args:
        pace: from the seconds that a plan took to the steps that are taken of it before the next one; by default
            always the config's `replan_every`.
    """

    def __init__(self, worlds: Located, planner: Mppi, *, pace: Callable[[float], int] | None = None) -> None:
        self._worlds, self._planner, self._pace = worlds, planner, pace
        self._upcoming = planner.plans[:, :0]  # (M, steps, act_dim) of the last plan that are not yet taken
        self.plans = 0  # made so far

    def predict(
        self,
        observation: np.ndarray | dict[str, np.ndarray],
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, Any]:
        """Actions (M, act_dim) float32, for as many worlds as the planner has episodes."""
        if episode_start is not None and episode_start.any():
            self._planner.begin(episode_start)
            self._upcoming = self._upcoming[:, :0]
        if not self._upcoming.shape[1]:
            began = time.monotonic()
            plans = self._planner.plan(self._worlds.snapshot())
            wanted = self._planner.config.replan_every if self._pace is None else self._pace(time.monotonic() - began)
            steps = min(wanted, self._planner.config.horizon)
            self._upcoming, self.plans = plans[:, :steps], self.plans + 1
            self._planner.advance(steps)
        action, self._upcoming = self._upcoming[:, 0], self._upcoming[:, 1:]
        return action.astype(np.float32), None
