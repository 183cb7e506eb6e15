"""PEBBLE (Lee et al., ICML 2021): preferences asked while a policy learns, and a replay that is always paid anew.

A run alternates: the policy acts in worlds of its own, a teacher compares segments of what it did, the reward model is
fitted to all labels so far, every transition of SAC's replay is paid by the new model, and SAC goes on. Each of these
is a file of the run, so an interrupted run goes on where it was, to the bit.

    RUN/asked/session-00/    what the policy did; a dataset like any other, with the truth where the simulator has one
    RUN/labels/session-00.jsonl   what the teacher said of it
    RUN/model-00.npz  sessions.jsonl   the reward model after it, and its figures

Before the first labels the policy may explore: it is paid for states that are far from those seen so far (PEBBLE's
unsupervised pre-training, a particle estimate of the entropy of states).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

import sims
from rewards.preference.bradley_terry import BradleyTerry
from rewards.preference.comparisons import Comparisons
from rewards.preference.labels import LabelFile, read_labels
from rewards.preference.pair_loss import BradleyTerryConfig
from rewards.preference.query import Teacher
from rewards.preference.spo import references
from rewards.preference.stored import load as load_model
from rewards.preference.stored import save as save_model
from robot_learn import runs
from robot_learn.data.dataset import Dataset
from robot_learn.data.manifest import identity
from robot_learn.data.store import load as load_dataset
from robot_learn.data.store import save as save_dataset
from robot_learn.envs import PREVIEW_SEED0
from robot_learn.errors import UserError
from robot_learn.preferences import replay
from robot_learn.preferences.ask import Choice, ask, choose
from robot_learn.preferences.online_config import SESSION_SEEDS, OnlineConfig
from robot_learn.preferences.reward import LearnedReward, comparisons, live
from robot_learn.preferences.watching import act
from robot_learn.progress import Progress
from robot_learn.runs import Run
from robot_learn.train_config import TrainConfig
from robot_learn.training import train
from robot_learn.types import RewardFn

SESSIONS = "sessions.jsonl"
TeacherOf = Callable[[Dataset, Choice], Teacher]


@dataclass(frozen=True)
class Outcome:
    """How a session of work on the run ended."""

    steps: int
    labels: int
    interrupted: bool  # by Ctrl-C, by a teacher who stopped, or because replies are still to come
    waiting: tuple[str, ...] = ()  # what is to be answered first


def prefer(
    run: Run,
    teacher_of: TeacherOf,
    train_config: TrainConfig,
    config: OnlineConfig,
    *,
    say: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Outcome:
    """Begin a run, or go on with it, until its steps are done.

    Args:
        teacher_of: who is asked, given what the policy did and how pairs are chosen.

    Raises:
        UserError: the settings are others than those that the run was begun with, or the teacher cannot answer.
    """
    if train_config.algorithm != "sac":
        raise UserError(f"algorithm {train_config.algorithm}: wanted sac, whose replay can be paid anew")
    run.settle("prefer", asdict(config))
    loop = _Loop(run, train_config, config, say, on_progress)
    try:
        return loop.go(teacher_of)
    finally:
        loop.close()


class _Loop:
    def __init__(
        self,
        run: Run,
        train_config: TrainConfig,
        config: OnlineConfig,
        say: Callable[[str], None],
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.run, self.train_config, self.config = run, train_config, config
        self.say, self.on_progress = say, on_progress
        self.task = sims.task(run.config["task"])
        self.env = sims.make(self.task.name, train_config.num_envs)
        self.datasets: list[Dataset] = []
        self.labels = 0

    def close(self) -> None:
        self.env.close()

    def go(self, teacher_of: TeacherOf) -> Outcome:
        if not self._explore():
            return self._outcome(interrupted=True)
        for session in range(self.config.sessions):
            waiting = self._ask(session, teacher_of)
            if waiting is not None:
                return self._outcome(interrupted=True, waiting=waiting)
            reward = self._reward(session)
            last = session == self.config.sessions - 1
            until = self.config.explore_steps + (session + 1) * self.config.session_steps
            if not self._train(f"session {session}", self.train_config.total_steps if last else until, reward):
                return self._outcome(interrupted=True)
        replay.export_last(self.run, self.env, self.train_config)
        return self._outcome(interrupted=False)

    def _outcome(self, *, interrupted: bool, waiting: tuple[str, ...] = ()) -> Outcome:
        return Outcome(replay.steps_done(self.run), self.labels, interrupted, waiting)

    def _explore(self) -> bool:
        """Session steps at a time, each paid by distance to what had been seen before it; False when interrupted."""
        several = self.config.session_steps
        for begin in range(0, self.config.explore_steps, several):
            until = min(begin + several, self.config.explore_steps)
            if replay.steps_done(self.run) >= until:
                continue
            name = f"explore-{begin}.npz"
            if not self.run.has(name):  # kept, because a replay that has gone on has seen more
                with runs.atomic_write(self.run.file(name)) as file:
                    np.savez(file, seen=replay.states_seen(self.run, self.env, seed=self.train_config.seed))
            with np.load(self.run.file(name)) as stored:
                reward = replay.Novelty(self.env.worlds.observe, stored["seen"])
            if not self._train(f"explore {begin}", until, reward):
                return False
        return True

    def _ask(self, session: int, teacher_of: TeacherOf) -> tuple[str, ...] | None:
        """None when the session's labels are there; else what they wait for."""
        name = f"session-{session:02d}"
        dataset = self._acted(session, name)
        choice = Choice(
            pairs=self._possible(dataset, self.config.labels_until(session) - self.labels),
            segment=self.config.segment,
            sampler="uniform" if session == 0 else self.config.sampler,
            seed=self.train_config.seed * SESSION_SEEDS + session,
        )
        members = None
        if session > 0:
            model = self._model(session - 1)
            members = model.inverse_temperature * model.member_rewards(dataset.observations)[:, dataset.frame_after]
        pairs = choose(dataset, choice, members=members)
        self.datasets.append(dataset)
        path = self._labels(session)
        with LabelFile(path, **identity(dataset)) as labels:
            self.say(f"session   {session + 1} of {self.config.sessions}: {len(pairs)} pairs")
            outcome = ask(dataset, pairs, teacher_of(dataset, choice), labels, self.task.instruction)
            self.labels += len(labels.labels)
        if outcome.stopped or outcome.waiting:
            return tuple(outcome.waiting)
        return None

    def _possible(self, dataset: Dataset, wanted: int) -> int:
        """As many pairs as there are: of a pole that falls at once, few segments. A later session catches up."""
        segments = int(np.maximum(dataset.lengths - self.config.segment + 1, 0).sum())
        if segments < 2:
            raise UserError(
                f"{self.run.path}: no two segments of {self.config.segment} steps in {dataset.num_episodes} episodes, "
                f"the longest of {dataset.lengths.max()}; wanted a shorter --segment"
            )
        return max(1, min(wanted, segments * (segments - 1) // 2))

    def _acted(self, session: int, name: str) -> Dataset:
        """What the policy does now, as a dataset; it is written once and then read."""
        root = self.run.file("asked")
        if (root / f"{name}-v0").exists():
            return load_dataset(name, root)
        policy = replay.policy_now(self.run, self.env, self.train_config, seed=session)
        first_seed = PREVIEW_SEED0 + SESSION_SEEDS * (self.train_config.seed * 100 + session)
        dataset = act(
            self.task.name,
            policy,
            episodes=self.config.episodes,
            first_seed=first_seed,
            picture_size=self.config.picture_size,
            camera=self.config.camera,
        )
        shutil.rmtree(root / "unfinished-v0", ignore_errors=True)
        save_dataset(dataset, "unfinished", root)
        (root / "unfinished-v0").rename(root / f"{name}-v0")  # there whole or not at all
        return load_dataset(name, root)

    def _labels(self, session: int) -> Path:
        return self.run.file("labels") / f"session-{session:02d}.jsonl"

    def _model(self, session: int) -> BradleyTerry:
        kind, model, _ = load_model(self.run.file(f"model-{session:02d}.npz"))
        if not isinstance(model, BradleyTerry):
            raise UserError(f"{self.run.path}: wanted a bradley-terry model, came {kind}")
        return model

    def _reward(self, session: int) -> LearnedReward:
        """The reward after a session's labels: fitted once, then read. It pays what a frame wins against those seen.

        That is at least 0, so that ending an episode is never a way out. Where a mistake ends it, as on cart-pole, this
        alone teaches not to make it, whatever the labels say: compare with a teacher who tosses a coin.
        """
        frames = np.concatenate([dataset.observations for dataset in self.datasets])
        path = self.run.file(f"model-{session:02d}.npz")
        if not path.exists():
            model = BradleyTerry.fit(
                frames,
                self._comparisons(),
                BradleyTerryConfig(
                    members=self.config.members,
                    hidden=self.config.hidden,
                    inverse_temperature=1.0,  # segments are sums of many steps: even so they can differ widely
                ),
                (self.train_config.seed,),
            )
            save_model(path, "bradley-terry", model, {"inputs": "states", "task": self.task.name})
            self._note(session, model)
        model = self._model(session)
        scores = model.rewards(frames[references(len(frames))])
        return live(self.env, model, reference=scores, segment=self.config.segment)

    def _comparisons(self) -> Comparisons:
        """All labels so far, as rows of all frames so far."""
        parts, first_frame = [], 0
        for session, dataset in enumerate(self.datasets):
            told = read_labels(self._labels(session), **identity(dataset))
            if any(label.answer.label is not None for label in told):
                pairs, _ = comparisons(dataset, told)
                parts.append(replace(pairs, segments=pairs.segments + first_frame))
            first_frame += len(dataset.observations)
        if not parts:
            raise UserError("the teacher preferred nothing in any pair: there is no reward to learn")
        confidence = np.concatenate([part.weights for part in parts])
        segments, labels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("segments", "labels"))
        return Comparisons(segments, labels, confidence=confidence)

    def _note(self, session: int, model: BradleyTerry) -> None:
        """A line of figures, the truth among them where the simulator has one: for people, never for training."""
        dataset = self.datasets[-1]
        paid = model.rewards(dataset.observations)[0, dataset.frame_after]
        known = bool(np.ptp(dataset.rewards) > 0 and np.ptp(paid) > 0)
        judged = model.calibrations[0]
        row: dict[str, Any] = {
            "session": session,
            "steps": replay.steps_done(self.run),
            "labels": self.labels,
            "held_out_accuracy": judged.accuracy,
            "held_out_pairs": judged.pairs,
            "true_return": float(dataset.returns.mean()),
            "success_rate": float(dataset.succeeded.mean()),
            "rank_correlation": float(spearmanr(paid, dataset.rewards)[0]) if known else None,
        }
        with self.run.file(SESSIONS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        accuracy = "–" if judged.accuracy is None else f"{judged.accuracy:.0%}"
        self.say(
            f"reward    {self.labels} labels, right on {accuracy} of {judged.decided} held out; the policy before "
            f"succeeded in {row['success_rate']:.0%} of {dataset.num_episodes} episodes"
        )

    def _train(self, name: str, until: int, reward: RewardFn) -> bool:
        """Go on until so many steps, with a replay that is paid by this reward; False when it was interrupted."""
        resume = self.run.has(runs.CHECKPOINT)
        if resume and replay.steps_done(self.run) >= until:
            return True
        if resume and not (self.run.has(replay.MARK) and self.run.read_json(replay.MARK) == name):
            # Once at each change of the reward: what was paid in a running simulator may differ in the last digit.
            replay.relabel(self.run, self.env, self.train_config, reward)
        self.run.write_json(replay.MARK, name)
        self.env.reward = reward
        config = replace(self.train_config, total_steps=until)
        begun = resume or self.run.has(runs.PROGRESS)
        result = train(self.env, self.run, config, resume=begun, on_progress=self.on_progress)
        return not result.interrupted
