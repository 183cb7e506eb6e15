"""What a reward program makes a robot do, seen before anything is trained: a planner maximises it on the simulator.

The planner knows the reward and nothing else. Success is measured, and only decides when enough has been seen.
Where chance alone soon ends an episode (a fall), it plans feedback policies, and elsewhere sequences of actions.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import sims
from controllers.feedback import FeedbackConfig, FeedbackPolicy
from controllers.mppi import Mppi, MppiConfig, MppiPolicy
from robot_learn.envs import PREVIEW_SEED0
from robot_learn.errors import UserError
from robot_learn.evaluation import Episode, Evaluation, Trace
from robot_learn.plots import term_plot
from robot_learn.rollouts import Rollouts
from robot_learn.scene import Array, Scene
from robot_learn.types import Policy, RewardFn, Task
from robot_learn.video import episode_frames, frame_timing, write_video

SAMPLES = 10.0  # of one plan, for the square root of the seconds that there are
FEWEST, MOST = 16, 96
SHARE = 0.85  # of the time for acting and planning; what is left encodes the video and draws the plot
EARLY = 0.25  # of an episode, in which most successes come: the clock is paced to that
HOLD = 0.3  # [s] that are shown after success
BACK = 2  # plans that a robot which fell is put back by, and one more each time that it does not get further


@dataclass(frozen=True)
class Preview:
    """What the planner did with a reward, on starts that neither training nor evaluation uses."""

    rollouts: Rollouts  # source "planned"; shorter than an episode where success, or the clock, ended it
    evaluation: Evaluation
    traces: dict[int, Trace]  # of the first episode
    planner: Mapping[str, Any]  # settings, and what was done with them
    fps: float  # of the trace's frames
    seconds: float  # all of it

    @property
    def out_of_time(self) -> bool:
        """Did the clock end it?"""
        return bool(self.planner["out_of_time"])

    def summary(self) -> str:
        """Success, the terms over the first episode, and what it took, for a person."""
        measured, trace, planner = self.evaluation, self.traces[0], self.planner
        lines = [f"success   {measured.successes} of {len(measured.episodes)} episodes"]
        if trace.success_step is not None:
            lines[0] += f", the first at step {trace.success_step}"
        if self.out_of_time:
            lines.append(f"stopped   by the clock, at step {len(trace.rewards)}; --seconds gives it more")
        for name, values in trace.terms.items():
            ends = f"{values[0]:9.3f} at first {values[-1]:9.3f} at last"
            lines.append(f"  {name:<20} {ends} {np.max(values):9.3f} at most")
        plans = f"{planner['plans']} plans of {planner['horizon']} steps, {planner['samples']} samples at a time"
        lines.append(f"planned   {plans}, in {self.seconds:.1f} s")
        return "\n".join(lines)

    def to_json(self, task: Task) -> dict[str, Any]:
        """All but the frames."""
        return {
            "evaluation": self.evaluation.to_json(),
            "trace": self.traces[0].to_json(task.control_dt),
            "planner": dict(self.planner),
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


def settings(task: Task, *, falls: bool = False, seed: int = 0) -> MppiConfig | FeedbackConfig:
    """How to plan for a task: a twelfth of an episode ahead, a seventh where the robot may fall.

    Noise in a sequence of actions lasts for several control steps, or an arm would hardly move.
    """
    if falls:
        return FeedbackConfig(horizon=int(np.clip(round(task.max_episode_steps / 7), 12, 150)), seed=seed)
    horizon = int(np.clip(round(task.max_episode_steps / 12), 12, 80))
    return MppiConfig(
        horizon=horizon, knot_every=max(3, horizon // 8), noise=0.8, temperature=0.3, replan_every=2, seed=seed
    )


def preview(
    task: Task,
    reward: RewardFn,
    *,
    seconds: float = 15.0,
    episodes: int = 1,
    steps: int | None = None,
    whole: bool = False,
    seed: int = 0,
    config: MppiConfig | FeedbackConfig | None = None,
    samples: int | None = None,
    frame_size: tuple[int, int] | None = (480, 360),
) -> Preview:
    """Plan `episodes` at once against the clock: a new plan as often as this machine can make one in that time.

    Args:
        seconds: of wall clock for everything here; what is planned when they are over is shown, and no more.
        steps: of each episode; by default all of it.
        whole: go on to the end of the episode after success.
        seed: of the starts and of the planner's noise.
        config: of the planner; by default the `settings` of the task.
        samples: of one plan; by default more for more seconds.
        frame_size: (width, height) of the frames of the first episode; None: no frames.

    Raises:
        UserError: a number is out of range, or frames are wanted where nothing can be drawn.
    """
    if not seconds > 0 or episodes < 1 or not 0 <= seed < 2**12 or (steps is not None and steps < 1):
        came = f"seconds {seconds:g}, episodes {episodes}, steps {steps}, seed {seed}"
        raise UserError(f"preview: wanted the first three positive and a seed from 0 to {2**12 - 1}, came {came}")
    began = time.monotonic()
    steps = min(steps or task.max_episode_steps, task.max_episode_steps)
    samples = samples or int(np.clip(round(SAMPLES * np.sqrt(seconds)), FEWEST, MOST))
    seeds = [PREVIEW_SEED0 + seed * 1024 + number for number in range(episodes)]
    stage = _Stage(reward)
    env = sims.make(task.name, episodes, reward=stage, max_episode_steps=steps, **quick_to_restore(task))
    imagined = sims.make(task.name, episodes * samples, reward=reward, **_quick(task))
    try:
        config = config or settings(task, falls=_falls(imagined, settings(task).horizon), seed=seed)
        clock = _Clock(began, seconds, steps, config.replan_every)
        policy = _policy(env, imagined, config, clock)
        camera = _Camera(frame_size, *frame_timing(task.control_dt))
        enough = steps if whole else max(1, round(HOLD / task.control_dt))
        stage.act(env, policy, seeds, clock, camera, enough)
    finally:
        env.close()
        imagined.close()
    rollouts = stage.rollouts()
    short = len(rollouts.success) < steps and not rollouts.succeeded.all() and bool(rollouts.running[-1].any())
    planner = (
        {"kind": type(policy).__name__}
        | asdict(config)
        | {"samples": samples, "plans": policy.plans, "out_of_time": short and clock.over}
    )
    return _preview(task, reward, rollouts, seeds, camera, planner, began)


def _falls(imagined: sims.BatchEnv, steps: int) -> bool:
    """Does chance end an episode within so few steps?"""
    imagined.reset(seed=0)
    rng, space = np.random.default_rng(0), imagined.single_action_space
    for _ in range(steps):
        actions = rng.uniform(space.low, space.high, (imagined.num_envs, *space.shape)).astype(np.float32)
        if imagined.step(actions)[2].any():
            return True
    return False


def _policy(
    env: sims.BatchEnv, imagined: sims.BatchEnv, config: MppiConfig | FeedbackConfig, clock: _Clock
) -> MppiPolicy | FeedbackPolicy:
    if isinstance(config, FeedbackConfig):
        return FeedbackPolicy(env, imagined, env.num_envs, config, pace=clock.pace)
    return MppiPolicy(env, Mppi(imagined, env.num_envs, config), pace=clock.pace)


class _Clock:
    """Time is given out so that it is never used up: each step may take its share of what is left.

    The share supposes that success comes in the first `EARLY` part of what lies ahead, as it mostly does.
    """

    def __init__(self, began: float, seconds: float, steps: int, fewest: int) -> None:
        self._end, self._steps_left, self._fewest = began + SHARE * seconds, steps, fewest

    @property
    def over(self) -> bool:
        return time.monotonic() >= self._end

    @property
    def allowance(self) -> float:
        """[s] for one control step from here on."""
        return max(0.0, self._end - time.monotonic()) / max(1.0, EARLY * self._steps_left)

    def step(self, count: int = 1) -> None:
        self._steps_left -= count

    def pace(self, cost: float) -> int:
        """How many steps to take of a plan that took `cost` seconds."""
        return max(self._fewest, round(cost / max(self.allowance, 1e-3)))


@dataclass
class _Camera:
    """Takes a picture of the first world every `stride` steps."""

    size: tuple[int, int] | None
    stride: int
    fps: float
    frames: list[np.ndarray] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)

    def look(self, env: sims.BatchEnv, step: int) -> None:
        if self.size is not None and step % self.stride == 0:
            self.frames.append(env.render_world(0, *self.size))
            self.steps.append(step)

    def forget(self, step: int) -> None:
        """What was seen since a step."""
        count = sum(taken < step for taken in self.steps)
        del self.frames[count:], self.steps[count:]


class _Places:
    """Where plans were made, for a robot that falls is put back there: nothing ends by a fall that can be avoided.

    What is shown in the end is one episode from its start, as if the planner had known.
    """

    def __init__(self, env: sims.BatchEnv, policy: FeedbackPolicy) -> None:
        self._env, self._policy = env, policy
        self._places: list[tuple[int, Any, np.ndarray, Any]] = []
        self._back, self._plans, self._furthest = BACK, -1, 0

    def note(self, step: int, observations: np.ndarray) -> None:
        """To be called before each step; only those at which a plan is made are kept."""
        if self._places and self._policy.plans == self._plans:
            self._places.pop()
        self._plans = self._policy.plans
        self._places.append((step, self._env.snapshot(), observations, self._policy.known))

    def go_back(self, fallen: int) -> tuple[int, np.ndarray]:
        """The step at which the world is again, and what is observed there; `fallen` is the one at which it fell."""
        if self._policy.plans == self._plans:
            self._places.pop()
        self._back = BACK if fallen > self._furthest else self._back + 1
        self._furthest = max(self._furthest, fallen)
        index = max(0, len(self._places) - self._back)
        step, snapshot, observations, known = self._places[index]
        del self._places[index:]
        self._env.restore(snapshot)
        self._policy.go_back(known)
        self._plans = -1
        return step, observations


class _Stage:
    """A reward that remembers what it was asked, so that scenes are those before an automatic reset."""

    def __init__(self, reward: RewardFn) -> None:
        self.reward = reward
        self.scenes: list[Mapping[str, np.ndarray]] = []
        self.actions: list[np.ndarray] = []
        self.success: list[np.ndarray] = []
        self.running: list[np.ndarray] = []

    @property
    def term_names(self) -> tuple[str, ...]:
        return self.reward.term_names

    def evaluate(self, scene: Scene, action: Array) -> tuple[Array, Mapping[str, Array]]:
        self._remember(scene)
        return self.reward.evaluate(scene, action)

    def __call__(self, scene: Scene, action: Array) -> Array:
        return self.evaluate(scene, action)[0]

    def _remember(self, scene: Scene) -> None:
        self.schema = scene.schema
        self.scenes.append({name: np.array(scene[name]) for name in scene.schema.names})

    def act(
        self, env: sims.BatchEnv, policy: Policy, seeds: Sequence[int], clock: _Clock, camera: _Camera, enough: int
    ) -> None:
        """Until each episode has ended or shown `enough` steps after its success, or until the time is over."""
        observations, _ = env.reset(seed=list(seeds))
        self._remember(env.scene)
        start, running = np.ones(len(seeds), dtype=bool), np.ones(len(seeds), dtype=bool)
        since = np.zeros(len(seeds), dtype=np.int64)  # steps since the first success, that one included
        places = _Places(env, policy) if isinstance(policy, FeedbackPolicy) and len(seeds) == 1 else None
        while len(self.actions) < env.task.max_episode_steps:
            if running[0]:
                camera.look(env, len(self.actions))
            if places is not None:
                places.note(len(self.actions), observations)
            action, _ = policy.predict(observations, episode_start=start)
            observations, _, terminated, truncated, info = env.step(action)
            clock.step()
            if places is not None and terminated[0] and not since[0] and not clock.over:
                step, observations = places.go_back(len(self.actions))
                clock.step(step - len(self.actions) - 1)
                self.forget(step)
                camera.forget(step)
                start[:] = False
                continue
            self.actions.append(action)
            self.success.append(info["success"])
            self.running.append(running)
            since += running & ((since > 0) | info["success"])
            start = terminated | truncated
            running = running & ~start
            if not (running & (since <= enough)).any() or clock.over:
                break

    def forget(self, step: int) -> None:
        """All that happened since a step."""
        del self.scenes[step + 1 :], self.actions[step:], self.success[step:], self.running[step:]

    def rollouts(self) -> Rollouts:
        values = {name: np.stack([scene[name] for scene in self.scenes]) for name in self.schema.names}
        return Rollouts(
            self.schema, "planned", values, np.stack(self.actions), np.stack(self.success), np.stack(self.running)
        )


def _preview(
    task: Task,
    reward: RewardFn,
    rollouts: Rollouts,
    seeds: Sequence[int],
    camera: _Camera,
    planner: Mapping[str, Any],
    began: float,
) -> Preview:
    """Measure what was done."""
    scored = rollouts.score(reward)
    lengths, success = rollouts.running.sum(axis=0), rollouts.success & rollouts.running
    episodes = tuple(
        Episode(
            seed=seed,
            success=bool(success[:, one].any()),
            success_at_end=bool(success[lengths[one] - 1, one]),
            success_step=int(success[:, one].argmax()) + 1 if success[:, one].any() else None,
            episode_return=float(scored.rewards[:, one].sum()),
            length=int(lengths[one]),
        )
        for one, seed in enumerate(seeds)
    )
    end = lengths[0]
    trace = Trace(
        seeds[0],
        rewards=scored.rewards[:end, 0].tolist(),
        terms={name: term[:end, 0].tolist() for name, term in scored.terms.items()},
        success=success[:end, 0].tolist(),
        frames=camera.frames,
        frame_steps=camera.steps,
    )
    seconds = time.monotonic() - began
    evaluation = Evaluation(task.name, episodes, deterministic=True, seconds=seconds)
    return Preview(rollouts, evaluation, {0: trace}, planner, camera.fps, seconds)


def quick_to_restore(task: Task) -> dict[str, Any]:
    """Options with which a planner gets nearly the same future at once, instead of the same by replaying an episode."""
    return {"exact": False} if task.name.startswith("maniskill/") else {}


def _quick(task: Task) -> dict[str, Any]:
    # What is only imagined may be integrated by a method that is quicker than upstream's.
    return {"exact": False} if task.name.startswith(("maniskill/", "mujoco/")) else {}
