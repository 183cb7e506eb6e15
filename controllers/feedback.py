"""Planning in the space of feedback policies, for robots that fall: a sequence of actions alone is doomed there.

As in model predictive control, what is planned is improved again and again from where the robot stands, on a batched
simulator and by sampling. But a sample is a linear policy, action = G (1, observation), and not a sequence of actions:
a policy catches the robot itself, goes on beyond the horizon, and so is a warm start that still holds after many steps.
That random search over linear policies learns to hop is known from Mania et al., "Simple random search of static linear
policies is competitive for reinforcement learning" (NeurIPS 2018); observations are normalised as there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from controllers.mppi import Located, Simulator
from robot_learn.errors import UserError


@dataclass(frozen=True)
class FeedbackConfig:
    """How to plan. Lengths are in control steps, noise in shares of the action's half range."""

    horizon: int = 120  # that a policy is tried for
    rounds: int = 3  # of sampling for each improvement
    first_rounds: int = 40  # and for the first one
    kept: int = 6  # best policies of a round, which the next one samples around
    noise: float = 0.4  # standard deviation of the boldest samples' gains, observations being normalised
    finest: float = 0.03  # of the most timid ones, as a share of it; in between, scales are log-uniform
    touched: tuple[float, ...] = (0.1, 0.3, 1.0)  # shares of gains that get noise; each sample draws one of them
    beyond: float = 100.0  # steps for which a sample that has not ended is taken to go on as it did
    replan_every: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("horizon", "rounds", "first_rounds", "kept", "replan_every"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}: wanted at least 1")


class FeedbackPolicy:
    """A planner as a policy for M worlds that it looks at, on a simulator of M x K worlds: K samples an episode.

    Args:
        pace: from the seconds that an improvement took to the steps until the next one; by default always the config's
            `replan_every`.
    """

    def __init__(
        self,
        worlds: Located,
        simulator: Simulator,
        episodes: int = 1,
        config: FeedbackConfig = FeedbackConfig(),
        *,
        pace: Callable[[float], int] | None = None,
    ) -> None:
        self.samples = simulator.num_envs // episodes
        if simulator.num_envs % episodes or self.samples <= config.kept:
            raise UserError(
                f"{simulator.num_envs} worlds for {episodes} episodes: wanted a multiple, over {config.kept}"
            )
        self._worlds, self._simulator, self._episodes, self.config, self._pace = (
            worlds,
            simulator,
            episodes,
            config,
            pace,
        )
        space = simulator.single_action_space
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        self._middle, self._half = (low + high) / 2, (high - low) / 2
        self._rng = np.random.default_rng(config.seed)
        self._scale: tuple[np.ndarray, np.ndarray] | None = None  # mean and deviation (obs_dim,) of observations
        self._gains = np.zeros((episodes, config.kept, len(low), 1))  # (M, kept, act_dim, 1 + obs_dim), best first
        self._left = 0  # steps until the next improvement
        self.plans = 0  # made so far

    def predict(
        self,
        observation: np.ndarray | dict[str, np.ndarray],
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, Any]:
        """Actions (M, act_dim) float32, for as many worlds as there are episodes."""
        seen = np.asarray(observation, dtype=np.float64)
        first = self._scale is None
        if first:
            self._gains = np.zeros((*self._gains.shape[:3], 1 + seen.shape[1]))
        elif episode_start is not None and episode_start.any():
            self._gains[episode_start], self._left = 0.0, 0
        if self._left <= 0:
            began = time.monotonic()
            snapshots = self._worlds.snapshot()
            for _ in range(self.config.first_rounds if first else self.config.rounds):
                self._improve(snapshots, seen)
            cost = time.monotonic() - began
            # The first one took many rounds more, which says nothing about the next.
            self._left = self.config.replan_every if self._pace is None or first else self._pace(cost)
            self.plans += 1
        self._left -= 1
        return self._actions(self._gains[:, :1], seen[:, None])[:, 0].astype(np.float32), None

    def _actions(self, gains: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """(M, K, act_dim) from gains (M, K, act_dim, 1 + obs_dim) and observations (M, K, obs_dim)."""
        mean, deviation = self._scale or (0.0, 1.0)
        wanted = gains[..., 0] + np.einsum("mkao,mko->mka", gains[..., 1:], (seen - mean) / deviation)
        return np.asarray(self._middle + self._half * np.clip(wanted, -1.0, 1.0))

    def _improve(self, snapshots: Sequence[Any], seen: np.ndarray) -> None:
        candidates = self._candidates()
        returns, observations = self._try(snapshots, seen, candidates)
        if self._scale is None:
            self._scale = observations.mean(axis=0), np.maximum(observations.std(axis=0), 0.05)
            return  # those gains were for observations as they come
        best = np.argsort(-returns, axis=1)[:, : self.config.kept]
        self._gains = np.take_along_axis(candidates, best[:, :, None, None], axis=1)

    def _candidates(self) -> np.ndarray:
        """(M, K, act_dim, 1 + obs_dim): the kept policies themselves, and noisy versions of them."""
        kept, rng = self.config.kept, self._rng
        of = np.concatenate([np.arange(kept), rng.integers(0, kept, self.samples - kept)])
        chosen = self._gains[:, of]
        size = (*chosen.shape[:2], 1, 1)
        noise = rng.standard_normal(chosen.shape) * self.config.noise * self.config.finest ** rng.random(size)
        noise *= rng.random(chosen.shape) < rng.choice(self.config.touched, size)
        noise[:, :kept] = 0.0
        return np.asarray(chosen + noise)

    def _try(self, snapshots: Sequence[Any], seen: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The return (M, K) of each policy from where the episodes stand, and all observations (n, obs_dim)."""
        self._simulator.restore([snapshot for snapshot in snapshots for _ in range(self.samples)])
        shape = (self._episodes, self.samples)
        now = np.repeat(seen, self.samples, axis=0)
        total, running = np.zeros(len(now)), np.ones(len(now), dtype=bool)
        visited = []
        for _ in range(self.config.horizon):
            visited.append(now[running])
            actions = self._actions(candidates, now.reshape(*shape, -1)).reshape(len(now), -1)
            now, reward, terminated, truncated, _ = self._simulator.step(actions.astype(np.float32))
            total += np.where(running, reward, 0.0)
            running &= ~(terminated | truncated)
            if not running.any():
                break
        total += np.where(running, self.config.beyond / self.config.horizon * total, 0.0)
        return total.reshape(shape), np.concatenate(visited)
