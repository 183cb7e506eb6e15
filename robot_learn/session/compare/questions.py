"""What is asked next: pairs drawn by chance, pairs that the model wants to know, and pairs whose answer is known.

Drawn pairs are the first of `robot-learn label` with the same seed and length, and the same for everybody: on them
people can be compared with each other, and the model with people, without any choice of its own in the way.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rewards.preference.labels import LabelFile, PairKey, read_labels
from robot_learn.data.dataset import Dataset
from robot_learn.data.manifest import identity
from robot_learn.errors import UserError
from robot_learn.preferences.ask import Choice, candidates, true_differences
from robot_learn.session.compare.answers import Question
from robot_learn.session.compare.films import SECONDS, control_dt
from robot_learn.types import Segment

DRAWN_SHARE = 0.25  # of the questions, once the model can choose
GOLD_SHARE = 0.1  # of the questions, as long as there are any
CLEAREST = 0.05  # of candidates by their true difference: those whose answer counts as known
CANDIDATES = 400  # that are looked at for them
COMPANY = 4  # segments of a question that asks for the best and the worst
TRIES = 50  # for four segments of which no two were compared


@dataclass(frozen=True)
class Setting:
    """How questions are made."""

    segment: int  # steps
    clips: int = 2  # segments of a question: 2, or COMPANY
    sampler: str = "disagreement"
    seed: int = 0


class Questions:
    """Questions for everybody about one dataset. The same answers so far give the same next question."""

    def __init__(self, dataset: Dataset, setting: Setting, gold: Sequence[PairKey]) -> None:
        self.setting, self.gold = setting, tuple(gold)
        self.chosen: list[PairKey] = []  # by the model, the one that it wants most first
        self._stream: Iterator[PairKey] = candidates(dataset, Choice(segment=setting.segment, seed=setting.seed))
        self._drawn: list[PairKey] = []

    def next_for(self, who: str, number: int, known: Collection[frozenset[Segment]]) -> Question | None:
        """The question that somebody is asked as their `number`-th, from 0; None where nothing is left to ask.

        Args:
            known: pairs that they were asked about, or soon are.
        """
        rng = np.random.default_rng([self.setting.seed, zlib.crc32(who.encode()), number])
        gold = [pair for pair in self.gold if frozenset(pair) not in known]
        if gold and rng.random() < GOLD_SHARE:
            return Question(gold[int(rng.integers(len(gold)))], "gold")
        wanted = [pair for pair in self.chosen if frozenset(pair) not in known]
        by_model = bool(wanted) and rng.random() >= DRAWN_SHARE
        origin, source = ("chosen", iter(wanted)) if by_model else ("drawn", self._fresh(known))
        first = next(source, None)
        if first is None:
            return Question(gold[0], "gold") if gold else None
        return Question(self._company(first, source, known) if self.setting.clips > 2 else first, origin)

    def _fresh(self, known: Collection[frozenset[Segment]]) -> Iterator[PairKey]:
        """Drawn pairs that are not known, in the order in which they were drawn."""
        for number in itertools.count():
            if number == len(self._drawn):
                drawn = next(self._stream, None)
                if drawn is None:
                    return
                self._drawn.append(drawn)
            if frozenset(self._drawn[number]) not in known:
                yield self._drawn[number]

    def _company(
        self, first: PairKey, others: Iterator[PairKey], known: Collection[frozenset[Segment]]
    ) -> tuple[Segment, ...]:
        """The segments of two pairs of which no two were compared; of one pair, where there are no such."""
        for other in itertools.islice(others, TRIES):
            four = (*first, *other)
            pairs = itertools.combinations(four, 2)
            if len(set(four)) == COMPANY and not any(frozenset(pair) in known for pair in pairs):
                return four
        return first


def segment_of(dataset: Dataset, labels: LabelFile, given: str | None) -> int:
    """Steps of a segment: what was asked for, else as in the labels that are there, else two seconds' worth.

    Raises:
        UserError: no number, or another than in the labels that are there, which one reward could not learn from.
    """
    there = {label.first.length for label in labels.labels}
    if given is not None and not (given.isdecimal() and int(given) > 0):
        raise UserError(f"--segment {given}: wanted a number of steps from 1")
    if given is not None and there - {int(given)}:
        raise UserError(
            f"--segment {given}: {labels.path} has labels of segments of {min(there)} steps, and a reward learns from "
            "one length; leave --segment out, or name another file with --labels"
        )
    if given is not None:
        return int(given)
    if there:
        return min(there)
    return max(1, min(round(SECONDS / control_dt(dataset.task)), int(np.median(dataset.lengths)) // 2))


def gold_of(dataset: Dataset, path: str | None, segment: int, count: int, seed: int) -> dict[PairKey, float]:
    """Pairs whose answer is known, P(second preferred): from a file, or where the task's own rewards differ most.

    Raises:
        UserError: the file holds no labels of this dataset.
    """
    if path is not None:
        known = read_labels(path, **identity(dataset))
        return {label.pair: label.answer.label for label in known if label.answer.label is not None}
    choice = Choice(segment=segment, seed=seed + 1)
    drawn = list(itertools.islice(candidates(dataset, choice), CANDIDATES))
    differences = true_differences(dataset, drawn)
    if differences is None or not drawn:
        return {}
    clearest = np.argsort(-np.abs(differences), kind="stable")[: max(1, round(CLEAREST * len(drawn)))]
    return {drawn[row]: float(differences[row] > 0) for row in clearest[:count] if differences[row] != 0}
