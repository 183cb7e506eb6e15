"""How good a policy is: episodes on seeds that training never saw, each seed exactly once.

Worlds run in rounds. A round resets all worlds to the next seeds and counts the first episode of each, however long
it takes, so short episodes are not counted more often than long ones.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from robot_learn.envs import EVAL_SEED0, TRAIN_SEEDS, BatchEnv
from robot_learn.errors import UserError
from robot_learn.types import Policy


@dataclass(frozen=True)
class Episode:
    """One evaluation episode."""

    seed: int
    success: bool  # at any step: Meta-World's convention
    success_at_end: bool  # at the last step
    success_step: int | None  # the first step with success, counted from 1
    episode_return: float
    length: int


@dataclass(frozen=True)
class Evaluation:
    """The result of a policy over episodes; `to_json` and back loses nothing."""

    task: str
    episodes: tuple[Episode, ...]
    deterministic: bool
    seconds: float

    @property
    def successes(self) -> int:
        return sum(episode.success for episode in self.episodes)

    @property
    def success_rate(self) -> float:
        return self.successes / len(self.episodes)

    @property
    def success_at_end_rate(self) -> float:
        return sum(episode.success_at_end for episode in self.episodes) / len(self.episodes)

    @property
    def success_interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the success rate."""
        return wilson_interval(self.successes, len(self.episodes))

    @property
    def mean_return(self) -> float:
        return float(np.mean([episode.episode_return for episode in self.episodes]))

    @property
    def mean_length(self) -> float:
        return float(np.mean([episode.length for episode in self.episodes]))

    def to_json(self) -> dict[str, Any]:
        """Figures first, then the table of episodes."""
        return {
            "task": self.task,
            "success_rate": self.success_rate,
            "success_interval_95": list(self.success_interval),
            "success_at_end_rate": self.success_at_end_rate,
            "mean_return": self.mean_return,
            "mean_length": self.mean_length,
            "num_episodes": len(self.episodes),
            "first_seed": self.episodes[0].seed,
            "deterministic": self.deterministic,
            "seconds": self.seconds,
            "episodes": [asdict(episode) for episode in self.episodes],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Evaluation:
        """What `to_json` gave.

        Raises:
            UserError: something is missing.
        """
        try:
            episodes = tuple(Episode(**row) for row in stored["episodes"])
            return cls(stored["task"], episodes, stored["deterministic"], stored["seconds"])
        except (KeyError, TypeError) as error:
            raise UserError(f"not a stored evaluation: {error}") from error


@dataclass
class Trace:
    """One evaluation episode step by step, for plots and video."""

    seed: int
    rewards: list[float] = field(default_factory=list)  # (T,)
    terms: dict[str, list[float]] = field(default_factory=dict)  # each (T,)
    success: list[bool] = field(default_factory=list)  # (T,) after each step
    frames: list[np.ndarray] = field(default_factory=list)  # (H, W, 3) uint8, every `frame_stride` steps
    frame_steps: list[int] = field(default_factory=list)  # how many steps were done before each frame

    @property
    def success_step(self) -> int | None:
        """The first step with success, counted from 1."""
        return self.success.index(True) + 1 if any(self.success) else None

    def to_json(self, control_dt: float) -> dict[str, Any]:
        """All but the frames."""
        return {
            "seed": self.seed,
            "control_dt": control_dt,
            "success_step": self.success_step,
            "rewards": self.rewards,
            "terms": self.terms,
        }


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a rate (JASA 1927, equation for p); z = 1.96 is 95 %. Never outside [0, 1].

    Raises:
        UserError: the counts make no rate.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise UserError(f"wanted 0 <= successes <= trials and a trial, got {successes} of {trials}")
    rate, weight = successes / trials, z * z / trials
    centre = (rate + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(rate * (1 - rate) / trials + weight / (4 * trials))
    # At the ends the interval touches 0 or 1 exactly; rounding would leave it a hair away.
    return (centre - half if successes else 0.0), (centre + half if successes < trials else 1.0)


def evaluate(
    env: BatchEnv,
    policy: Policy,
    *,
    episodes: int = 50,
    first_seed: int = EVAL_SEED0,
    deterministic: bool = True,
    trace: Collection[int] = (),
    video: Collection[int] = (),
    frame_stride: int = 1,
    frame_size: tuple[int, int] = (480, 480),
) -> tuple[Evaluation, dict[int, Trace]]:
    """Run episodes with seeds `first_seed`, `first_seed` + 1, ... and measure success.

    Episodes whose number (from 0) is in `trace` are recorded; those in `video` also get frames of `frame_size`
    (width, height), one before every `frame_stride` steps. Traces come back by episode number.

    Raises:
        UserError: no episode is asked for, a seed is one of training's, or an episode never ends.
    """
    if episodes < 1:
        raise UserError(f"episodes is {episodes}: wanted at least 1")
    if first_seed < TRAIN_SEEDS:
        raise UserError(f"first_seed {first_seed} is one of training's: wanted {TRAIN_SEEDS} or more")
    began = time.monotonic()
    traces = {number: Trace(first_seed + number) for number in {*trace, *video} if 0 <= number < episodes}
    done: list[Episode] = []
    while len(done) < episodes:
        start, count = len(done), min(env.num_envs, episodes - len(done))
        recorder = _Recorder(
            env, {n - start: t for n, t in traces.items()}, {n - start for n in video}, frame_stride, frame_size
        )
        done += _round(env, policy, first_seed + start, count, deterministic, recorder)
    return Evaluation(env.task.name, tuple(done), deterministic, time.monotonic() - began), traces


@dataclass(frozen=True)
class _Recorder:
    """Writes the traces of a round; keys are worlds."""

    env: BatchEnv
    traces: Mapping[int, Trace]
    video: Collection[int]
    stride: int
    size: tuple[int, int]

    def before_step(self, step: int, running: np.ndarray) -> None:
        # Before, because after an episode's last step the world already stands at its next start.
        if step % self.stride:
            return
        for world, trace in self.traces.items():
            if world in self.video and 0 <= world < len(running) and running[world]:
                trace.frames.append(self.env.render_world(world, *self.size))
                trace.frame_steps.append(step)

    def after_step(self, running: np.ndarray, reward: np.ndarray, info: Mapping[str, Any]) -> None:
        for world, trace in self.traces.items():
            if 0 <= world < len(running) and running[world]:
                trace.rewards.append(float(reward[world]))
                trace.success.append(bool(info["success"][world]))
                for name, values in info.get("reward_terms", {}).items():
                    trace.terms.setdefault(name, []).append(float(values[world]))


def _round(
    env: BatchEnv, policy: Policy, seed: int, count: int, deterministic: bool, recorder: _Recorder
) -> list[Episode]:
    """The first episode of each of the first `count` worlds; the other worlds only keep the batch full."""
    observation, _ = env.reset(seed=seed)
    state: Any = None
    start = np.ones(env.num_envs, dtype=bool)
    running = np.ones(count, dtype=bool)
    returns, lengths = np.zeros(count), np.zeros(count, dtype=np.int64)
    success_step = np.zeros(count, dtype=np.int64)  # 0: none so far
    at_end = np.zeros(count, dtype=bool)
    for step in range(env.task.max_episode_steps):
        recorder.before_step(step, running)
        action, state = policy.predict(observation, state=state, episode_start=start, deterministic=deterministic)
        observation, reward, terminated, truncated, info = env.step(action)
        recorder.after_step(running, reward, info)
        start = terminated | truncated
        success = np.asarray(info["success"])[:count]
        returns[running] += reward[:count][running]
        lengths[running] += 1
        at_end[running] = success[running]
        success_step[running & success & (success_step == 0)] = step + 1
        running &= ~start[:count]
        if not running.any():
            break
    if running.any():
        raise UserError(f"{env.task.name}: an episode ran past max_episode_steps = {env.task.max_episode_steps}")
    return [
        Episode(
            seed=seed + world,
            success=bool(success_step[world]),
            success_at_end=bool(at_end[world]),
            success_step=int(success_step[world]) or None,
            episode_return=float(returns[world]),
            length=int(lengths[world]),
        )
        for world in range(count)
    ]
