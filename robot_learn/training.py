"""Training: Stable-Baselines3 learns in a batched environment, and a run folder keeps everything.

Between two iterations the whole state can be saved. Ctrl-C finishes the iteration, saves and returns; a second one
stops at once, and the last checkpoint stays valid. Resumed or not, the result is the same to the bit.

The policy that a run keeps is not the last one but the last of those with the highest success rate in training.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from types import FrameType
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecNormalize

from robot_learn import checkpoint
from robot_learn.envs import BatchEnv, first_train_seed
from robot_learn.errors import UserError
from robot_learn.metrics import LOSSES, Metrics
from robot_learn.progress import Progress
from robot_learn.runs import CHECKPOINT, POLICY, PROGRESS, START, Run
from robot_learn.train_config import FREE_ON_RESUME, TrainConfig, build
from robot_learn.vec_env import KEPT_EPISODES, SB3VecEnv

WINDOW = 100  # finished episodes behind every reported success rate and return
TICK_SECONDS = 0.25  # between two reports within an iteration
CHECKPOINT_SECONDS = 10.0  # between two checkpoints, or
CHECKPOINT_SHARE = 0.02  # so much later that saving takes no more than this share of the time


@dataclass(frozen=True)
class TrainResult:
    """How a session of training ended. Figures are of training episodes, with exploration: evaluate for the result."""

    steps: int
    iterations: int
    seconds: float  # over all sessions of the run
    success_rate: float | None  # over the last 100 finished episodes
    mean_return: float | None
    interrupted: bool  # by Ctrl-C: resume goes on
    reached_success: bool  # ended early, by `stop_at_success`


def train(
    env: BatchEnv,
    run: Run,
    config: TrainConfig,
    *,
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> TrainResult:
    """Train in `env`, with checkpoint, figures and policy in `run`.

    A run that was cut before its first checkpoint is resumed from the start, which gives the same result. Where another
    run has left it a start, it begins with that.

    Raises:
        UserError: environment and config disagree, the run was begun with another configuration, the run was trained
            before and `resume` is False, or a reward is not finite.
        KeyboardInterrupt: on the second Ctrl-C.
    """
    first_seed = first_train_seed(config.seed, config.num_envs)
    if env.num_envs != config.num_envs:
        raise UserError(f"the environment has {env.num_envs} worlds, the configuration wants {config.num_envs}")
    shape = env.single_observation_space.shape
    if len(shape) != 1:
        raise UserError(
            f"observations of shape {shape}: the networks of this trainer want a row of numbers; for pictures use "
            "Stable-Baselines3's CnnPolicy on robot_learn.vec_env.SB3VecEnv"
        )
    if not resume and (run.has(CHECKPOINT) or run.has(PROGRESS)):
        raise UserError(f"run {run.path} was trained before: resume it, or begin a new run")
    run.settle("train", asdict(config), free=FREE_ON_RESUME)
    run.settle("environment", _describe(env))
    with threads(config.torch_threads):
        adapter = SB3VecEnv(env)
        model, normaliser = build(config, adapter)
        adapter.seed(first_seed)
        loop = _Loop(run, config, adapter, normaliser, on_progress)
        if run.has(CHECKPOINT):
            state = checkpoint.load(run.file(CHECKPOINT))
            checkpoint.restore(state, model, normaliser, adapter)
            loop.load_state(state["loop"])
        elif run.has(START):
            checkpoint.carry_over(checkpoint.load(run.file(START)), model, normaliser)
        return _learn(model, loop)


def _learn(model: PPO | SAC, loop: _Loop) -> TrainResult:
    remaining = loop.config.total_steps - model.num_timesteps
    model.set_logger(Logger(folder=None, output_formats=[]))
    stopped = _Stop()
    with Metrics(loop.run, resumed_at=model.num_timesteps) as metrics, first_interrupt() as interrupt:
        loop.metrics, loop.interrupt = metrics, interrupt
        loop.model = model  # SB3 sets it only when it has something to learn
        loop.begin_session(model.num_timesteps)
        try:
            if remaining > 0 and not loop.reached_success():
                fresh = model.num_timesteps == 0
                model.learn(remaining, callback=loop, log_interval=None, reset_num_timesteps=fresh)  # type: ignore[arg-type]
        except _Stop as stop:
            stopped = stop
        if model.num_timesteps > 0:
            loop.finish(model)
    success_rate, mean_return = loop.recent()
    return TrainResult(
        steps=model.num_timesteps,
        iterations=loop.iteration,
        seconds=loop.elapsed(),
        success_rate=success_rate,
        mean_return=mean_return,
        interrupted=stopped.interrupted,
        reached_success=loop.reached_success(),
    )


def _describe(env: BatchEnv) -> dict[str, Any]:
    """What must be the same when a run goes on."""
    return {
        "task": env.task.name,
        "max_episode_steps": env.task.max_episode_steps,
        "obs_dim": int(np.prod(env.single_observation_space.shape)),
        "act_dim": int(np.prod(env.single_action_space.shape)),
        "reward_terms": [] if env.reward_fn is None else list(env.reward_fn.term_names),
    }


class _Stop(Exception):  # noqa: N818 - it is no error
    """Ends SB3's `learn` between two iterations, where nothing is half done."""

    def __init__(self, *, interrupted: bool = False) -> None:
        super().__init__()
        self.interrupted = interrupted


class _Loop(BaseCallback):
    """What happens around SB3's own loop: figures, checkpoints, progress, the end.

    SB3 calls `on_rollout_start` after one update and before the next collection: the boundary of iterations. For SAC,
    whose iterations are single steps of all worlds, a row of figures covers one episode's length.
    """

    def __init__(
        self,
        run: Run,
        config: TrainConfig,
        adapter: SB3VecEnv,
        normaliser: VecNormalize,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        super().__init__()
        self.run, self.config, self.adapter, self.normaliser = run, config, adapter, normaliser
        self.metrics: Metrics
        self.interrupt: threading.Event
        self.iteration = 0
        self._on_progress = on_progress
        length = config.n_steps if config.algorithm == "ppo" else adapter.env.task.max_episode_steps
        self._row_steps = length * config.num_envs
        self._row_began = (0, 0.0)  # steps and elapsed seconds at the last row
        self._elapsed_before = 0.0  # in earlier sessions
        self._session_began = (0, time.monotonic())
        self._next_tick = self._next_save = 0.0
        self._saved_at = -1
        self._best = 0.0  # success rate at the end of a row

    def begin_session(self, steps: int) -> None:
        self._session_began = (steps, time.monotonic())
        if steps:  # resumed: this state is on disk already
            self._saved_at, self._next_save = steps, time.monotonic() + CHECKPOINT_SECONDS

    def state(self) -> dict[str, Any]:
        state = {"iteration": self.iteration, "row_began": self._row_began, "elapsed": self.elapsed()}
        return state | {"best": self._best}

    def load_state(self, state: dict[str, Any]) -> None:
        self.iteration, self._row_began = state["iteration"], state["row_began"]
        self._elapsed_before, self._best = state["elapsed"], state.get("best", 0.0)

    def elapsed(self) -> float:
        return self._elapsed_before + time.monotonic() - self._session_began[1]

    def recent(self) -> tuple[float | None, float | None]:
        """Success rate and mean return of the last finished episodes."""
        last = list(self.adapter.finished)[-WINDOW:]
        if not last:
            return None, None
        return float(np.mean([e.success for e in last])), float(np.mean([e.episode_return for e in last]))

    def reached_success(self) -> bool:
        wanted, finished = self.config.stop_at_success, self.adapter.finished
        if wanted is None or len(finished) < KEPT_EPISODES:
            return False
        return sum(episode.success for episode in finished) >= wanted * len(finished)

    def _on_step(self) -> bool:
        if self._on_progress is not None and time.monotonic() >= self._next_tick:
            self._report()
        return True

    def _on_rollout_start(self) -> None:
        if self.model.num_timesteps:
            self._between_iterations(self.model.num_timesteps)
        if self.model.use_sde and not isinstance(self.model, SAC):
            # SB3 draws a rollout's noise before it calls us, a finished run is saved before that, others after. So that
            # all go on alike, each rollout draws anew from a seed of its own.
            own = np.random.SeedSequence([self.config.seed, self.model.num_timesteps]).generate_state(1)
            torch.manual_seed(int(own[0]))
            self.model.policy.reset_noise(self.model.n_envs)  # type: ignore[operator]

    def _between_iterations(self, steps: int) -> None:
        row_is_due = steps - self._row_began[0] >= self._row_steps
        if row_is_due:
            self._write_row(steps)
        if self.interrupt.is_set():
            raise _Stop(interrupted=True)
        if row_is_due and self.reached_success():
            raise _Stop()
        if time.monotonic() >= self._next_save:
            self._save(self.model)

    def finish(self, model: PPO | SAC) -> None:
        """After the last iteration: what is not yet written."""
        if model.num_timesteps > self._row_began[0] and model.num_timesteps >= self.config.total_steps:
            self._write_row(model.num_timesteps)
        if self._saved_at != model.num_timesteps:
            self._save(model)
        if not self.run.has(POLICY):  # it ended before the first row
            self._export(model)
        self._report()

    def _export(self, model: Any) -> None:
        checkpoint.export_policy(model, self.normaliser).save(self.run.file(POLICY))

    def _save(self, model: Any) -> None:
        began = time.monotonic()
        state = checkpoint.capture(model, self.normaliser, self.adapter) | {"loop": self.state()}
        checkpoint.save(state, self.run.file(CHECKPOINT))
        self.run.file(START).unlink(missing_ok=True)  # it is in the checkpoint now
        self._saved_at = model.num_timesteps
        now = time.monotonic()
        self._next_save = now + max(CHECKPOINT_SECONDS, (now - began) / CHECKPOINT_SHARE)

    def _write_row(self, steps: int) -> None:
        self.iteration += 1
        elapsed = self.elapsed()
        began_steps, began_seconds = self._row_began
        self._row_began = (steps, elapsed)
        success_rate, mean_return = self.recent()
        if (success_rate or 0.0) >= self._best:
            # Policies fall back: what is kept is the last of those that training saw succeed most often.
            self._best = success_rate or 0.0
            self._export(self.model)
        lengths = [episode.length for episode in list(self.adapter.finished)[-WINDOW:]]
        values = self.logger.name_to_value
        losses = {f"loss/{name}": _number(values.get(f"train/{name}")) for name in LOSSES[self.config.algorithm]}
        self.metrics.write(
            {
                "steps": steps,
                "iteration": self.iteration,
                "seconds": elapsed,
                "steps_per_second": (steps - began_steps) / max(elapsed - began_seconds, 1e-9),
                "episodes": self.adapter.num_finished,
                "success_rate": success_rate,
                "episode_return": mean_return,
                "episode_length": float(np.mean(lengths)) if lengths else None,
                **{f"term/{name}": mean for name, mean in self.adapter.take_term_means().items()},
                **losses,
            }
        )
        values.clear()

    def _report(self) -> None:
        if self._on_progress is None:
            return
        now = time.monotonic()
        self._next_tick = now + TICK_SECONDS
        steps, (began_steps, began) = self.model.num_timesteps, self._session_began
        rate = (steps - began_steps) / max(now - began, 1e-9)
        left = max(self.config.total_steps - steps, 0)
        success_rate, mean_return = self.recent()
        self._on_progress(
            Progress(
                steps=steps,
                total_steps=max(self.config.total_steps, steps),  # the last iteration is always a whole one
                iteration=self.iteration,
                success_rate=success_rate,
                mean_return=mean_return,
                steps_per_second=rate,
                seconds_left=left / rate if rate else None,
                saving=self.interrupt.is_set(),
            )
        )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def first_interrupt() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; the second raises KeyboardInterrupt.

    Signals reach the main thread only: elsewhere the event is never set, and the caller's own handling stays.
    """
    requested = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield requested
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        if requested.is_set():
            raise KeyboardInterrupt
        requested.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
