"""Planning in the space of feedback policies, for robots that fall: a sequence of actions alone is doomed there.

As in model predictive control, what is planned is improved again and again from where the robot stands, on a batched
simulator and by sampling. But a sample is a linear policy, action = G (1, observation), and not a sequence of actions:
a policy catches the robot itself, goes on beyond the horizon, and so is a warm start that still holds after many steps.
That random search over linear policies learns to hop is known from Mania et al., "Simple random search of static linear
policies is competitive for reinforcement learning" (NeurIPS 2018); observations are normalised as there.

The search has no generations: a world whose robot has fallen, or has fallen behind, tries the next sample at once.
"""

from __future__ import annotations

import time
from bisect import insort
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from controllers.mppi import Located, Simulator
from robot_learn.errors import UserError


class Refillable(Simulator, Protocol):
    """A simulator of which one world can be put elsewhere while the others go on."""

    def restore_world(self, index: int, snapshot: Any, /) -> None:
        """Put world `index` where the snapshot of one world was taken."""
        ...


@dataclass(frozen=True)
class FeedbackConfig:
    """How to plan. Lengths are in control steps, noise in shares of the action's half range."""

    horizon: int = 150  # that a policy is tried for
    rounds: int = 4  # horizons that a search lasts
    first_rounds: int = 12  # and the first one
    patience: int = 3  # times as long a search lasts at most, while nothing that it tried survives
    kept: int = 6  # best policies so far, which are sampled around
    noise: float = 0.4  # standard deviation of the boldest samples' gains, observations being normalised
    finest: float = 0.03  # of the most timid ones, as a share of it; in between, scales are log-uniform
    touched: tuple[float, ...] = (0.1, 0.3, 1.0)  # shares of gains that get noise; each sample draws one of them
    beyond: float = 200.0  # steps for which a sample that has not ended is taken to go on as it did
    replan_every: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("horizon", "rounds", "first_rounds", "patience", "kept", "replan_every"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}: wanted at least 1")


@dataclass(frozen=True, eq=False)
class Tried:
    """A policy, and what came of it."""

    gains: np.ndarray  # (act_dim, 1 + obs_dim)
    value: float = -np.inf  # its return, gone on with where it did not end
    survived: bool = False


class Search:
    """For one episode: which policy to try next, and the best so far."""

    def __init__(self, old: Sequence[Tried], config: FeedbackConfig, rng: np.random.Generator) -> None:
        self._config, self._rng = config, rng
        self._old = list(old)  # best from where the robot was before, so they are tried again first
        self._again = deque(tried.gains for tried in old)
        self._awaited = len(old)  # of them, which are not through yet
        self._best: list[Tried] = []

    @property
    def best(self) -> list[Tried]:
        """At most `kept`, best first."""
        return self._old if self._awaited else self._best

    @property
    def holds(self) -> bool:
        """Has something been found that does not end within the horizon?"""
        return not self._awaited and self._best[0].survived

    @property
    def bar(self) -> float:
        """What a policy must be worth to be kept."""
        return self._best[-1].value if not self._awaited and len(self._best) == self._config.kept else -np.inf

    def sample(self) -> tuple[np.ndarray, bool]:
        """Gains to try, and whether they are old ones rather than a noisy version of one of the best."""
        if self._again:
            return self._again.popleft(), True
        config, rng = self._config, self._rng
        gains = self.best[rng.integers(len(self.best))].gains
        noise = rng.standard_normal(gains.shape) * config.noise * config.finest ** rng.random()
        return gains + noise * (rng.random(gains.shape) < rng.choice(config.touched)), False

    def add(self, tried: Tried, old: bool) -> None:
        """What came of a sample."""
        self._awaited -= old
        insort(self._best, tried, key=lambda one: -one.value)
        del self._best[self._config.kept :]


class FeedbackPolicy:
    """A planner as a policy for M worlds that it looks at, on a simulator of M x K worlds: K at work for an episode.

    Args:
        pace: from the seconds that a search took to the steps until the next one; by default always the config's
            `replan_every`.
    """

    def __init__(
        self,
        worlds: Located,
        simulator: Refillable,
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
        self._worlds, self._simulator, self._pace = worlds, simulator, pace
        self._episodes, self.config = episodes, config
        space = simulator.single_action_space
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        self._middle, self._half = (low + high) / 2, (high - low) / 2
        self._rng = np.random.default_rng(config.seed)
        self._scale: tuple[np.ndarray, np.ndarray] | None = None  # mean and deviation (obs_dim,) of observations
        self._best: list[list[Tried]] = []  # of each episode, best first
        self._left = 0  # steps until the next search
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
        still = [Tried(np.zeros((len(self._middle), 1 + seen.shape[1])))]
        if first:
            self._best = [still] * self._episodes
        elif episode_start is not None and episode_start.any():
            self._best = [still if begun else best for begun, best in zip(episode_start, self._best, strict=True)]
            self._left = 0
        if self._left <= 0:
            began = time.monotonic()
            self._plan(seen, self.config.first_rounds if first else self.config.rounds)
            cost = time.monotonic() - began
            # The first one lasted much longer, which says nothing about the next.
            self._left = self.config.replan_every if self._pace is None or first else self._pace(cost)
            self.plans += 1
        self._left -= 1
        return self._actions(np.stack([best[0].gains for best in self._best]), seen).astype(np.float32), None

    @property
    def known(self) -> list[list[Tried]]:
        """The best policies for each episode; what `go_back` takes."""
        return self._best

    def go_back(self, known: list[list[Tried]]) -> None:
        """The worlds were put back where these were the best policies: search anew from there, with what has been
        learned since as well."""
        self._best = [[*old, *new] for old, new in zip(known, self._best, strict=True)]
        self._left = 0

    def _actions(self, gains: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """(n, act_dim) from gains (n, act_dim, 1 + obs_dim) and observations (n, obs_dim)."""
        mean, deviation = self._scale or (0.0, 1.0)
        wanted = gains[..., 0] + np.einsum("nao,no->na", gains[..., 1:], (seen - mean) / deviation)
        return np.asarray(self._middle + self._half * np.clip(wanted, -1.0, 1.0))

    def _plan(self, seen: np.ndarray, rounds: int) -> None:
        """Better policies for where the worlds stand."""
        snapshots = self._worlds.snapshot()
        if self._scale is None:  # samples for observations as they come show what these are like
            observations = np.concatenate(self._search(snapshots, seen, self.config.horizon, 1)[1])
            self._scale = observations.mean(axis=0), np.maximum(observations.std(axis=0), 0.05)
        searches, _ = self._search(snapshots, seen, rounds * self.config.horizon, self.config.patience)
        self._best = [search.best for search in searches]

    def _search(
        self, snapshots: Sequence[Any], seen: np.ndarray, steps: int, patience: int
    ) -> tuple[list[Search], list[np.ndarray]]:
        """The searches after so many steps, or `patience` times as many; and, while they have no scale yet, what was
        observed at each, (n, obs_dim)."""
        config, workers = self.config, self.samples
        searches = [Search(best, config, self._rng) for best in self._best]
        now = np.repeat(seen, workers, axis=0)
        gains = np.empty((len(now), *self._best[0][0].gains.shape))
        total, age, old = np.zeros(len(now)), np.zeros(len(now), dtype=np.int64), np.zeros(len(now), dtype=bool)
        visited, idle = [], np.arange(len(now))
        for step in range(steps * patience):
            for world in map(int, idle):
                episode = world // workers
                gains[world], old[world] = searches[episode].sample()
                self._simulator.restore_world(world, snapshots[episode])
                now[world], total[world], age[world] = seen[episode], 0.0, 0
            if self._scale is None:
                visited.append(now)
            actions = self._actions(gains, now).astype(np.float32)
            now, reward, terminated, truncated, _ = self._simulator.step(actions)
            now, total, age = np.array(now, dtype=np.float64), total + reward, age + 1
            through = terminated | truncated | (age >= config.horizon)
            for world in map(int, np.flatnonzero(through)):
                survived = not terminated[world]
                value = total[world] * (1.0 + (config.beyond / age[world] if survived else 0.0))
                searches[world // workers].add(Tried(gains[world].copy(), value, survived), bool(old[world]))
            idle = np.flatnonzero(through | self._behind(searches, total, age))
            # More steps are spent where nothing holds: a fall cannot be undone.
            if step + 1 >= steps and all(search.holds for search in searches):
                break
        return searches, visited

    def _behind(self, searches: Sequence[Search], total: np.ndarray, age: np.ndarray) -> np.ndarray:
        """(n,) bool: samples that after half of the horizon would not be kept if they went on as they did."""
        config = self.config
        bars = np.repeat([search.bar for search in searches], self.samples)
        promise = total * (config.horizon + config.beyond) / age
        return np.asarray((age == max(1, config.horizon // 2)) & (promise < bars))
