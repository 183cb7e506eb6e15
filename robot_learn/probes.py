"""Probes of a task: episodes of its script, of failures, of chance and of doing nothing, to score any reward on.

They are collected once and kept in the user's cache folder (ROBOT_LEARN_CACHE, else ~/.cache/robot-learn). Their starts
have seeds from the range of previews: neither training nor evaluation uses them.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

import sims
from controllers.mppi import Mppi, MppiConfig, MppiPolicy
from rewards.faults import Finding, Loop
from rewards.screening import Screening, screen
from robot_learn import rollouts
from robot_learn.envs import PREVIEW_SEED0
from robot_learn.errors import UserError
from robot_learn.preview import quick_to_restore
from robot_learn.rollouts import Rollouts, Source
from robot_learn.scene import Array, Scene
from robot_learn.types import RewardFn, Task

VERSION = 2  # of what is collected: after a change of it everything is collected anew
SEED0 = PREVIEW_SEED0 + 2**22  # `reward preview` begins at PREVIEW_SEED0
STARTS = 10  # seeds SEED0, SEED0 + 1, ...; all kinds of probes share them
BLOCK = 0.5  # [s] of going on and going back by turns
KNOT = 0.2  # [s] between two independent draws of smooth noise
SAMPLES = 32  # of one plan
ENOUGH = 10  # planned steps after success
_PLAN = MppiConfig(horizon=12, knot_every=3, noise=0.8, temperature=0.3, replan_every=2)

Act = Callable[[int, Scene, np.ndarray], np.ndarray]  # actions (N, act_dim) from the step, the scene and observations


def collect(task: Task, *, fresh: bool = False) -> list[Rollouts]:
    """The probes of a task, from the cache where it has them; `fresh` collects them anew.

    Sources: "scripted", and "disturbed" (the script with noise, given up, or swaying), where the task has a script;
    "random" (smooth and white) and "still" always.
    """
    path = _cached(task)
    if path.exists() and not fresh:
        try:
            return rollouts.load(path, task.schema)
        except UserError:
            pass  # a damaged file, or one of an older version: it is written anew
    found = [] if (scripted := _scripted(task)) is None else [scripted, _disturbed(task, scripted)]
    found += [_random(task), _still(task)]
    with contextlib.suppress(OSError):  # without a place to keep them they are collected each time
        rollouts.save(path, found)
    return found


def planned(task: Task, reward: RewardFn, *, episodes: int = 2, seconds: float = 5.0, seed: int = 0) -> Rollouts:
    """What a planner does that knows nothing but a reward, on the first starts of the probes.

    A failure that collects more than a success proves that the reward can be hacked. Plans are made as often as the
    time allows, so that they reach the end of the episode; it stops soon after all have succeeded.
    """
    config = replace(_PLAN, seed=seed)
    env = sims.make(task.name, episodes, reward=reward, **quick_to_restore(task))
    imagined = sims.make(task.name, episodes * SAMPLES, reward=reward, **quick_to_restore(task))
    deadline, done = time.monotonic() + seconds, 0

    def pace(spent: float) -> int:
        """Steps to take of a plan that took `spent` seconds."""
        left = max(1e-3, deadline - time.monotonic())
        wanted = math.ceil(spent * (task.max_episode_steps - done) / left)
        return min(config.horizon, max(config.replan_every, wanted))

    def act(step: int, _: Scene, observations: np.ndarray) -> np.ndarray:
        nonlocal done
        done = step
        return policy.predict(observations)[0]

    try:
        imagined.reset(seed=0)
        policy = MppiPolicy(env, Mppi(imagined, episodes, config), pace=pace)
        return record(env, "planned", _seeds(episodes), act, deadline=deadline, enough=ENOUGH)
    finally:
        imagined.close()


def record(
    env: sims.BatchEnv,
    source: Source,
    seeds: list[int],
    act: Act,
    *,
    deadline: float = math.inf,
    enough: float = math.inf,
) -> Rollouts:
    """Act in one world a seed until the last episode has ended; closes `env`.

    It is cut when the clock says `deadline`, or `enough` steps after the last of all episodes has succeeded; only then
    are the rollouts shorter than `max_episode_steps`.
    """
    recorder = _Recorder(env.reward_fn)
    env.reward = recorder
    success, running = [], [np.ones(len(seeds), dtype=bool)]
    won, since = np.zeros(len(seeds), dtype=bool), 0
    try:
        observations, _ = env.reset(seed=seeds)
        recorder.scenes.append(_values(env.scene))
        for step in range(env.task.max_episode_steps):
            observations, _, terminated, truncated, info = env.step(act(step, env.scene, observations))
            success.append(info["success"])
            running.append(running[-1] & ~(terminated | truncated))
            since += bool(won.all())
            won |= info["success"] & running[-2]
            if not running[-1].any() or since >= enough or time.monotonic() > deadline:
                break
    finally:
        env.close()
    missing = 0 if running[-1].any() else env.task.max_episode_steps - len(success)
    schema, scenes = env.task.schema, recorder.scenes

    def stacked(rows: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack([*rows, *[rows[-1]] * missing])

    values = {name: stacked([scene[name] for scene in scenes]) for name in schema.names}
    going = np.stack([*running[:-1], *[running[-1]] * missing])
    return Rollouts(schema, source, values, stacked(recorder.actions), stacked(success), going)


class _Recorder:
    """A reward that remembers what it was asked: scenes after the step and before any reset."""

    def __init__(self, reward: RewardFn | None) -> None:
        self.reward = reward
        self.scenes: list[Mapping[str, np.ndarray]] = []
        self.actions: list[np.ndarray] = []

    @property
    def term_names(self) -> tuple[str, ...]:
        return () if self.reward is None else self.reward.term_names

    def evaluate(self, scene: Scene, action: Array) -> tuple[Array, Mapping[str, Array]]:
        self.scenes.append(_values(scene))
        self.actions.append(np.array(action))
        return (np.zeros(len(action)), {}) if self.reward is None else self.reward.evaluate(scene, action)

    def __call__(self, scene: Scene, action: Array) -> Array:
        return self.evaluate(scene, action)[0]


def _values(scene: Scene) -> Mapping[str, np.ndarray]:
    return {name: np.asarray(scene[name]) for name in scene.schema.names}


def _seeds(count: int = STARTS) -> list[int]:
    return [SEED0 + index % STARTS for index in range(count)]


def _space(task: Task) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower and upper bounds of the actions, and the one nearest to none."""
    low, high = (np.array([getattr(one, end) for one in task.action]) for end in ("low", "high"))
    return low, high, np.clip(0.0, low, high)


def _scripted(task: Task) -> Rollouts | None:
    try:
        control = sims.scripted(task.name, STARTS)
    except UserError:
        return None
    return record(
        sims.make(task.name, STARTS), "scripted", _seeds(), lambda _, scene, observed: control(scene, observed)
    )


def _disturbed(task: Task, scripted: Rollouts) -> Rollouts:
    """The script with ever more noise; given up before its success, for rest or for random motion; and swaying."""
    count = 4 * STARTS
    kind, number = np.divmod(np.arange(count), STARTS)
    steps = np.argmax(scripted.success, axis=0) + len(scripted.success) * ~scripted.succeeded
    share = np.where(kind == 1, np.linspace(0.5, 0.95, STARTS)[number], np.linspace(0.2, 0.9, STARTS)[number])
    stop = share * steps[number]
    low, high, rest = _space(task)
    rng = np.random.default_rng(1)
    noise = _smooth(rng, task, count) * (high - low) / 2
    amount = np.linspace(0.1, 1.5, STARTS)[number]
    block = max(2, round(BLOCK / task.control_dt))
    control = sims.scripted(task.name, count)

    def act(step: int, scene: Scene, observations: np.ndarray) -> np.ndarray:
        scripted = np.asarray(control(scene, observations))
        back = step % block >= 0.6 * block
        given_up = (step >= stop)[:, None]
        actions = np.select(
            [each[:, None] for each in (kind == 0, kind == 1, kind == 2)],
            [
                scripted + amount[:, None] * noise[step],
                np.where(given_up, rest, scripted),
                np.where(given_up, rest + noise[step], scripted),
            ],
            -scripted if back else scripted,
        )
        return np.asarray(np.clip(actions, low, high), dtype=scripted.dtype)

    return record(sims.make(task.name, count), "disturbed", _seeds(count), act)


def _random(task: Task) -> Rollouts:
    """Smooth noise as exploration has it, and white noise."""
    low, high, rest = _space(task)
    rng = np.random.default_rng(2)
    smooth = rest + _smooth(rng, task, STARTS) * (high - low) / 2
    white = rng.uniform(low, high, (task.max_episode_steps, STARTS // 2, len(low)))
    actions = np.clip(np.concatenate([smooth, white], axis=1), low, high).astype(np.float32)
    seeds = _seeds(actions.shape[1])
    return record(sims.make(task.name, len(seeds)), "random", seeds, lambda step, *_: actions[step])


def _still(task: Task) -> Rollouts:
    actions = np.tile(_space(task)[2], (STARTS // 2, 1)).astype(np.float32)
    return record(sims.make(task.name, len(actions)), "still", _seeds(len(actions)), lambda *_: actions)


def _smooth(rng: np.random.Generator, task: Task, count: int) -> np.ndarray:
    """(T, count, act_dim): of variance 1 at the knots, straight in between."""
    steps, every = task.max_episode_steps, max(1, round(KNOT / task.control_dt))
    knots = rng.standard_normal((steps // every + 2, count, task.act_dim))
    at, part = np.divmod(np.arange(steps), every)
    weight = (part / every)[:, None, None]
    return np.asarray((1.0 - weight) * knots[at] + weight * knots[at + 1])


def _cached(task: Task) -> Path:
    folder = os.environ.get("ROBOT_LEARN_CACHE") or Path.home() / ".cache" / "robot-learn"
    stands_for = repr((VERSION, task.schema, task.action, task.max_episode_steps, task.control_dt))
    digest = hashlib.sha256(stands_for.encode()).hexdigest()[:16]
    return Path(folder) / "probes" / f"{task.name.replace('/', '-')}-{digest}.npz"


def judge(reward: RewardFn, task: Task, probes: Sequence[Rollouts], *, plan: float = 0.0) -> Screening:
    """Screen a reward on probes of its task, and on what a planner makes of it within `plan` seconds.

    A reward that is not finite somewhere is refused with that error.
    """
    telling = [each for each in map(partial(_telling, task=task), probes) if each.num_episodes]
    try:
        scripted = [each for each in telling if each.source in ("scripted", "planned")][:1]
        loops = [Loop(each.there_and_back().score(reward), each.score(reward, at_rest=True)) for each in scripted]
        found = screen([each.score(reward) for each in telling], task, loops)
    except UserError as error:
        finding = Finding("not finite", None, "refuse", f"The reward cannot be computed everywhere: {error}")
        return Screening("refuse", -1.0, (finding,))
    if plan and "constant" not in {each.name for each in found.findings}:
        with contextlib.suppress(UserError):  # worlds that cannot be restored cannot be planned in
            return judge(reward, task, [*probes, planned(task, reward, seconds=plan)])
    return found


def _telling(rollouts: Rollouts, task: Task) -> Rollouts:
    """Without failures that were cut in the first half of an episode: nobody knows what would have become of them."""
    short = len(rollouts.success) < task.max_episode_steps / 2
    return rollouts.episodes(rollouts.succeeded) if short else rollouts
