"""The reward model that learns while a person compares, in a process of its own, and what it would like to ask next."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit

from rewards.preference.labels import Label, PairKey
from robot_learn.data.dataset import Dataset
from robot_learn.errors import UserError
from robot_learn.session.background import Work

if TYPE_CHECKING:
    from rewards.preference.bradley_terry import BradleyTerry

MEMBERS = 5  # of the ensemble, whose disagreement says what to ask
LEAST = 6  # decided labels, before which there is nothing to learn
LEAST_EACH = 16  # decided labels of everybody, before a reward of each one's own is learned
HELD_OUT = 0.2  # of the labels: the model is stopped and judged by these
EPOCHS, PATIENCE = 150, 20  # of a few steps each, for there are few labels


@dataclass(frozen=True)
class Lesson:
    """What the model learns from, and what it is asked."""

    labels: tuple[Label, ...]
    about: tuple[PairKey, ...]  # pairs of which it shall say what it thinks
    asked: tuple[PairKey, ...]  # pairs that it need not choose
    wanted: int  # how many pairs it shall choose
    segment: int  # steps of each of their segments
    sampler: str
    seed: int
    of_each: bool = False  # learn a reward of each person's own as well


@dataclass(frozen=True)
class Learned:
    """What came of a lesson."""

    labels: int  # that prefer something or are ties
    judged: dict[str, Any]  # on held-out labels, as `calibration` has it
    thoughts: dict[PairKey, float]  # P(second preferred) of the pairs that it was asked about
    chosen: tuple[PairKey, ...]
    seconds: float
    of_each: dict[str, Any] | None = None  # held-out accuracy of the model with a reward of each person's own


def learner(dataset_name: str, root: str | None, model_file: Path) -> Work:
    """Learns from each lesson anew, keeps the newest model in `model_file`, and yields what it has learned."""
    import torch

    from rewards.preference.stored import save
    from robot_learn.data.store import load

    torch.set_num_threads(1)
    dataset = load(dataset_name, root, in_memory=0)

    def work(lesson: Lesson) -> Iterator[Learned]:
        learned, model = learn(dataset, lesson)
        save(model_file, "bradley-terry", model, {"inputs": "states", "task": dataset.task, "source": "session"})
        yield learned

    return work


def learn(dataset: Dataset, lesson: Lesson) -> tuple[Learned, BradleyTerry]:
    """One lesson: a model of all labels, its judgement, its thoughts and its choice.

    Raises:
        UserError: there are too few labels, or the sampler is none.
    """
    from rewards.preference.bradley_terry import BradleyTerry
    from rewards.preference.pair_loss import BradleyTerryConfig
    from robot_learn.preferences import reward

    began = time.monotonic()
    config = BradleyTerryConfig(
        members=MEMBERS,
        hidden=(64, 64),  # of a model that is there again in a second; `reward fit` makes the one that is trained on
        inverse_temperature=1.0,  # segments are sums of many steps: even so they can differ widely
        held_out=HELD_OUT,
        learning_rate=1e-3,
        max_epochs=EPOCHS,
        patience=PATIENCE,
    )
    model = reward.fit(dataset, lesson.labels, config=config, seeds=(lesson.seed,))
    assert isinstance(model, BradleyTerry)
    members = model.inverse_temperature * model.member_rewards(dataset.observations)[:, dataset.frame_after]
    learned = Learned(
        labels=sum(label.answer.label is not None for label in lesson.labels),
        judged=model.calibrations[0].to_json(),
        thoughts=thoughts(dataset, members, lesson.about),
        chosen=_choice(dataset, members, lesson),
        seconds=time.monotonic() - began,
        of_each=_of_each(dataset, lesson) if lesson.of_each else None,
    )
    return learned, model


def thoughts(dataset: Dataset, members: np.ndarray, pairs: tuple[PairKey, ...]) -> dict[PairKey, float]:
    """P(second preferred) by the mean of an ensemble's opinions, from its rewards (K, M) of every step."""
    found = {}
    for first, second in pairs:
        returns = [members[:, dataset.steps_of(segment)].sum(axis=1) for segment in (first, second)]
        found[first, second] = float(expit(returns[1] - returns[0]).mean())
    return found


def _choice(dataset: Dataset, members: np.ndarray, lesson: Lesson) -> tuple[PairKey, ...]:
    from robot_learn.preferences.ask import Choice, choose

    if lesson.wanted < 1:
        return ()
    choice = Choice(lesson.wanted, lesson.segment, sampler=lesson.sampler, seed=lesson.seed + len(lesson.labels))
    try:
        return tuple(choose(dataset, choice, members=members, asked=lesson.asked))
    except UserError:  # a small dataset has no more pairs
        return ()


def _of_each(dataset: Dataset, lesson: Lesson) -> dict[str, Any] | None:
    """Held-out accuracy of one model that knows who said what (Poddar et al., 2024): where it is far above that of the
    common reward, people want different things.
    """
    from rewards.preference.latent import LatentConfig
    from robot_learn.preferences import reward

    said: dict[str, int] = {}
    for label in lesson.labels:
        said[label.source] = said.get(label.source, 0) + (label.answer.label is not None)
    heard = {source for source, count in said.items() if count >= LEAST_EACH}
    if len(heard) < 2:
        return None
    labels = [label for label in lesson.labels if label.source in heard]
    config = LatentConfig(max_epochs=150, patience=60, inverse_temperature=1.0, held_out=HELD_OUT)
    model = reward.fit(dataset, labels, kind="users", config=config, seeds=(lesson.seed,))
    return model.calibrations[0].to_json()
