"""Training from data in a run folder: checkpoints, figures, and a policy a seed that every other command understands.

runs/metaworld-drawer-open-iql-20260131-142501/
    config.json versions.json       what was asked; `offline` names data, algorithm, settings, seeds, rewards
    rewards.npz labels.jsonl        copies of what was given in place of the data's own rewards
    progress.csv tensorboard/ checkpoint.pkl
    seed-0/ seed-1/ ...             a run folder each: policy.npz critic.npz evaluation.json

Ctrl-C finishes the updates that are under way, saves and returns; a second one stops at once. Resumed or not, and
however many seeds learn at a time, the result is the same to the bit on one machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from robot_learn import checkpoint
from robot_learn.errors import UserError
from robot_learn.metrics import Metrics
from robot_learn.offline import ALGORITHMS
from robot_learn.offline.critics import MlpCritic
from robot_learn.offline.learner import Critic, Learner, configured
from robot_learn.offline.tensors import Tensors
from robot_learn.registry import load
from robot_learn.runs import CHECKPOINT, POLICY, Run
from robot_learn.training import first_interrupt, threads

CRITIC = "critic.npz"
ROUND_SECONDS = 1.0  # between two looks at Ctrl-C
CHECKPOINT_SECONDS = 30.0
FIRST_ROUND = 10  # updates, from which the pace is known


@dataclass(frozen=True)
class Progress:
    """A moment of a training. A rate counts the updates of all seeds."""

    updates: int  # of each seed
    total_updates: int
    updates_per_second: float
    seconds_left: float
    losses: Mapping[str, np.ndarray]  # (S,) each, means since the last one


@dataclass(frozen=True)
class Outcome:
    """How a session of training ended."""

    updates: int  # of each seed
    seconds: float  # of this session
    interrupted: bool
    learners: Sequence[Learner]


def settings(algorithm: str, updates: int, changes: Mapping[str, Any]) -> Any:
    """An algorithm's config for so many updates: what decays over a training does so over this one.

    Raises:
        UserError: there is no such algorithm or setting.
    """
    kind = load(ALGORITHMS, algorithm, kind="algorithm").Config
    if any(entry.name == "total_updates" for entry in fields(kind)):
        changes = {"total_updates": updates, **changes}
    return configured(kind, **changes)


def learners(tensors: Tensors, algorithm: str, config: Any, seeds: Sequence[int], workers: int) -> list[Learner]:
    """The seeds, divided among so many learners, which can then learn at the same time."""
    kind = load(ALGORITHMS, algorithm, kind="algorithm")
    rows = tensors.rewards_of(len(seeds))
    groups = np.array_split(np.arange(len(seeds)), max(1, min(workers, len(seeds))))
    made = []
    for group in groups:
        mine = replace(tensors, rewards=rows[group[0] : group[-1] + 1]) if len(tensors.rewards) > 1 else tensors
        made.append(kind(mine, config, [seeds[index] for index in group]))
    return made


def train(
    run: Run,
    tensors: Tensors,
    algorithm: str,
    config: Any,
    seeds: Sequence[int],
    *,
    updates: int,
    workers: int = 1,
    on_progress: Callable[[Progress], None] | None = None,
) -> Outcome:
    """Train to `updates` of each seed, from the run's checkpoint where it has one; policies are written at the end.

    Args:
        workers: seeds that learn at a time, each on one core.

    Raises:
        UserError: the run was begun with other settings.
        KeyboardInterrupt: on the second Ctrl-C.
    """
    run.settle("learner", {"algorithm": algorithm, "seeds": [*seeds], **asdict(config)})
    with threads(1):
        made = learners(tensors, algorithm, config, seeds, workers)
        if run.has(CHECKPOINT):
            _restore(run, made)
        began, done = time.monotonic(), made[0].updates
        with (
            Metrics(run, resumed_at=done) as metrics,
            first_interrupt() as interrupt,
            ThreadPoolExecutor(workers) as pool,
        ):
            rounds = _Rounds(run, made, pool, metrics, updates, on_progress)
            while made[0].updates < updates and not interrupt.is_set():
                rounds.next()
            rounds.save()
    if made[0].updates >= updates:
        write_policies(run, made)
    return Outcome(made[0].updates, time.monotonic() - began, made[0].updates < updates, made)


class _Rounds:
    """Learns for about a second at a time."""

    def __init__(
        self,
        run: Run,
        made: Sequence[Learner],
        pool: ThreadPoolExecutor,
        metrics: Metrics,
        total: int,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._run, self._made, self._pool, self._metrics, self._total = run, made, pool, metrics, total
        self._on_progress = on_progress
        self._size, self._saved_at, self._saved = FIRST_ROUND, time.monotonic(), made[0].updates

    def next(self) -> None:
        size = min(self._size, self._total - self._made[0].updates)
        began = time.monotonic()
        found = list(self._pool.map(lambda learner: learner.train(size), self._made))
        seconds = max(time.monotonic() - began, 1e-6)
        losses = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
        updates, seeds = self._made[0].updates, [seed for learner in self._made for seed in learner.seeds]
        row = {f"{name}/{seed}": float(v) for name, part in losses.items() for seed, v in zip(seeds, part, strict=True)}
        self._metrics.write({"steps": updates, **row})
        self._check(losses, seeds)
        if self._on_progress is not None:
            left = (self._total - updates) * seconds / size
            self._on_progress(Progress(updates, self._total, size * len(seeds) / seconds, left, losses))
        self._size = max(1, min(4 * self._size, math.ceil(size * ROUND_SECONDS / seconds)))
        if time.monotonic() - self._saved_at > CHECKPOINT_SECONDS:
            self.save()

    def _check(self, losses: Mapping[str, np.ndarray], seeds: Sequence[int]) -> None:
        for name, values in losses.items():
            if not np.isfinite(values).all():
                seed = seeds[int(np.argmax(~np.isfinite(values)))]
                raise UserError(
                    f"run {self._run.path}: the {name} loss of seed {seed} is not finite after "
                    f"{self._made[0].updates} updates: try a smaller learning_rate, or another reward_scale; "
                    f"the last checkpoint, at {self._saved}, is kept"
                )

    def save(self) -> None:
        """Write a checkpoint; the last one stays valid until it is there."""
        self._saved, self._saved_at = self._made[0].updates, time.monotonic()
        states = [learner.state() for learner in self._made]
        checkpoint.save({"format": checkpoint.FORMAT, "learners": states}, self._run.file(CHECKPOINT))


def _restore(run: Run, made: Sequence[Learner]) -> None:
    states = checkpoint.load(run.file(CHECKPOINT)).get("learners", [])
    if len(states) != len(made):
        raise UserError(f"run {run.path} was begun with {len(states)} workers: resume it with as many")
    for learner, state in zip(made, states, strict=True):
        learner.load_state(state)


def write_policies(run: Run, made: Sequence[Learner]) -> list[Run]:
    """A run folder a seed, with its policy, and its critic where the algorithm has one."""
    written = []
    for learner in made:
        critics: Sequence[Critic | None] = learner.critics() or [None] * len(learner.seeds)
        for seed, policy, critic in zip(learner.seeds, learner.policies(), critics, strict=True):
            folder = seed_run(run, seed)
            policy.save(folder.file(POLICY))
            if isinstance(critic, MlpCritic):
                critic.save(folder.file(CRITIC))
            written.append(folder)
    return written


def seed_run(run: Run, seed: int) -> Run:
    """The folder of one seed, made where it is not there yet. Its returns are measured under the task's own reward."""
    name = f"seed-{seed}"
    if (run.path / name).is_dir():
        return Run.open(run.path / name)
    config = {**{key: value for key, value in run.config.items() if key not in ("task", "seed")}, "reward": "expert"}
    return Run.create(run.path, task=run.config["task"], seed=seed, config=config, name=name)
