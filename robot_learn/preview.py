"""What a reward program makes a robot do, seen before anything is trained: a planner maximises it on the simulator."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import sims
from controllers.mppi import Mppi, MppiConfig, MppiPolicy
from robot_learn.envs import PREVIEW_SEED0
from robot_learn.errors import UserError
from robot_learn.evaluation import Evaluation, Trace, evaluate
from robot_learn.plots import term_plot
from robot_learn.types import RewardFn, Task
from robot_learn.video import episode_frames, frame_timing, write_video

LOOK_AHEAD = 0.25  # [s]; at least 12 and at most 40 control steps
FEWEST, MOST = 24, 96  # samples of one plan
SHARE = 0.7  # of the time for simulation; restoring worlds and weighing samples takes the rest
CALIBRATION = 0.4  # [s] of simulation, to learn how fast this machine is


@dataclass(frozen=True)
class Preview:
    """What the planner did with a reward, on starts that neither training nor evaluation uses."""

    evaluation: Evaluation
    traces: dict[int, Trace]
    config: MppiConfig
    samples: int  # action sequences tried for each plan
    fps: float  # of the traces' frames
    seconds: float  # all of it

    def summary(self) -> str:
        """Success, the terms over the first episode, and what it took, for a person."""
        measured, trace = self.evaluation, self.traces[0]
        lines = [f"success   {measured.successes} of {len(measured.episodes)} episodes"]
        if trace.success_step is not None:
            lines[0] += f", the first at step {trace.success_step}"
        for name, values in trace.terms.items():
            ends = f"{values[0]:9.3f} at first {values[-1]:9.3f} at last"
            lines.append(f"  {name:<20} {ends} {np.max(values):9.3f} at most")
        plans = f"{self.samples} samples of {self.config.horizon} steps"
        lines.append(f"planned   {plans} a plan, {self.seconds:.1f} s in all")
        return "\n".join(lines)

    def to_json(self, task: Task) -> dict[str, Any]:
        """All but the frames."""
        return {
            "evaluation": self.evaluation.to_json(),
            "trace": self.traces[0].to_json(task.control_dt),
            "planner": asdict(self.config) | {"samples": self.samples},
            "seconds": self.seconds,
        }

    def save(self, folder: Path, task: Task) -> None:
        """preview.json, terms.svg and, where frames were taken, preview.mp4."""
        folder.mkdir(parents=True, exist_ok=True)
        trace = self.traces[0]
        (folder / "preview.json").write_text(json.dumps(self.to_json(task), indent=2) + "\n", encoding="utf-8")
        plot = term_plot(trace.terms, trace.rewards, task.control_dt, trace.success_step)
        (folder / "terms.svg").write_text(plot, encoding="utf-8")
        if trace.frames:
            write_video(folder / "preview.mp4", episode_frames(trace, self.fps), self.fps)


def settings(task: Task, *, seed: int = 0) -> MppiConfig:
    """How to plan for a task: about a quarter of a second ahead, with noise that lasts for several control steps."""
    horizon = int(np.clip(round(LOOK_AHEAD / task.control_dt), 12, 40))
    knots = max(2, horizon // 6)
    return MppiConfig(
        horizon=horizon, knot_every=knots, noise=0.8, temperature=0.3, replan_every=max(1, horizon // 8), seed=seed
    )


def preview(
    task: Task,
    reward: RewardFn,
    *,
    seconds: float = 15.0,
    episodes: int = 1,
    steps: int | None = None,
    seed: int = 0,
    config: MppiConfig | None = None,
    frame_size: tuple[int, int] | None = (480, 360),
) -> Preview:
    """Plan `episodes` at once within a budget of time; the number of samples follows from what the machine can do.

    Args:
        seconds: of planning, roughly; pictures come on top.
        steps: of each episode; by default all of it.
        seed: of the starts and of the planner's noise.
        frame_size: (width, height) of the frames of the first episode; None: no frames.

    Raises:
        UserError: a number is out of range, or frames are wanted where nothing can be drawn.
    """
    if seconds <= 0 or episodes < 1 or not 0 <= seed < 2**20:
        raise UserError(f"preview: wanted positive seconds and episodes and a seed, came {seconds}, {episodes}, {seed}")
    began = time.monotonic()
    config = config or settings(task, seed=seed)
    steps = min(steps or task.max_episode_steps, task.max_episode_steps)
    imagined_steps = steps * config.horizon * config.iterations / config.replan_every
    rate = _env_steps_per_second(task, reward)
    samples = int(np.clip(SHARE * seconds * rate / (imagined_steps * episodes), FEWEST, MOST))
    stride, fps = frame_timing(task.control_dt)
    env = sims.make(task.name, episodes, reward=reward, max_episode_steps=steps, **_fast(task))
    imagined = sims.make(task.name, episodes * samples, reward=reward, **_fast(task))
    try:
        imagined.reset(seed=0)
        policy = MppiPolicy(env, Mppi(imagined, episodes, config))
        evaluation, traces = evaluate(
            env,
            policy,
            episodes=episodes,
            first_seed=PREVIEW_SEED0 + seed * 1024,
            trace=(0,),
            video=(0,) if frame_size else (),
            frame_stride=stride,
            frame_size=frame_size or (0, 0),
        )
    finally:
        env.close()
        imagined.close()
    return Preview(evaluation, traces, config, samples, fps, time.monotonic() - began)


def _fast(task: Task) -> dict[str, Any]:
    # A planner restores worlds all the time: nearly the same future at once, instead of the same by replaying.
    return {"exact": False} if task.name.startswith("maniskill/") else {}


def _env_steps_per_second(task: Task, reward: RewardFn) -> float:
    env = sims.make(task.name, FEWEST, reward=reward, **_fast(task))
    env.reset(seed=0)
    rng, space = np.random.default_rng(0), env.single_action_space
    taken, begin = 0, time.monotonic()
    while (spent := time.monotonic() - begin) < CALIBRATION:
        env.step(rng.uniform(space.low, space.high, (FEWEST, *space.shape)).astype(np.float32))
        taken += FEWEST
    env.close()
    return taken / spent
