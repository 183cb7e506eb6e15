"""What people have answered, on the disk before it is acknowledged, and how long it can be taken back.

    answers.jsonl   a line for each answer, skip and undo, with the question as it was shown and how long it was thought
                    about: nothing is ever changed in it

The last questions of a person are held by an `Interview`, for they can be taken back; what is settled goes to the
file of labels, the very one that `robot-learn label --teacher human` writes and `robot-learn reward fit` reads. After
a crash both files are read, and what was settled in the one and not in the other is added.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from rewards.preference.human import Interview
from rewards.preference.labels import LabelFile, PairKey
from rewards.preference.query import Answer
from robot_learn.errors import UserError
from robot_learn.session.lines import append, whole
from robot_learn.types import Segment

HELD = 3  # questions of a person that can be taken back
ENDLESS = 2**31  # answers that an interview has room for


@dataclass(frozen=True)
class Question:
    """Segments to be compared: two, or several of which the best and the worst are named."""

    segments: tuple[Segment, ...]
    origin: str  # "drawn" by chance, "chosen" by the model, "gold", or "shared" with somebody who answered it

    @property
    def pairs(self) -> tuple[PairKey, ...]:
        return tuple(combinations(self.segments, 2))

    def to_json(self) -> dict[str, Any]:
        return {"segments": [[s.episode, s.start, s.length] for s in self.segments], "origin": self.origin}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Question:
        return cls(tuple(Segment(*map(int, part)) for part in stored["segments"]), str(stored["origin"]))


@dataclass(frozen=True)
class Given:
    """One question and what was said of it."""

    who: str
    question: Question
    labels: tuple[float | None, ...]  # of each of its pairs, P(second preferred); None: nothing was said of that pair
    confidence: float = 1.0
    seconds: float = 0.0  # that it was looked at
    foretold: float | None = None  # of a pair: what the model thought, before, unseen by the person
    images: tuple[str, ...] = ()  # sha256 of what was shown, a film a segment

    @property
    def skipped(self) -> bool:
        return all(label is None for label in self.labels)

    @property
    def told(self) -> tuple[tuple[PairKey, Answer], ...]:
        """What goes among the labels: of a skipped question all pairs, of another those that it decides."""
        shown = tuple(combinations(self.images, 2)) or ((),) * len(self.labels)
        return tuple(
            (pair, Answer(None) if label is None else Answer(label, self.confidence, images=images))
            for pair, label, images in zip(self.question.pairs, self.labels, shown, strict=True)
            if self.skipped or label is not None
        )

    def to_json(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("who", "confidence", "seconds", "foretold")}
        return own | self.question.to_json() | {"labels": list(self.labels), "images": list(self.images)}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Given:
        question, foretold = Question.from_json(stored), stored["foretold"]
        labels = tuple(None if label is None else float(label) for label in stored["labels"])
        if len(labels) != len(question.pairs):
            raise ValueError(f"{len(labels)} labels of {len(question.pairs)} pairs")
        told = (str(stored["who"]), question, labels, float(stored["confidence"]), float(stored["seconds"]))
        return cls(*told, None if foretold is None else float(foretold), tuple(map(str, stored["images"])))


def best_worst(number: int, best: int, worst: int) -> tuple[float | None, ...]:
    """Labels of all pairs of `number` segments of which the best and the worst are known, by number from 0.

    Two clicks decide all pairs but those among the middle ones, of four segments five pairs of six: best-worst scaling
    (Louviere and Woodworth, 1991).

    Raises:
        UserError: these are not two of them.
    """
    if best == worst or not (0 <= best < number and 0 <= worst < number):
        raise UserError(f"wanted two different ones of {number}, came {best + 1} and {worst + 1}")
    labels: list[float | None] = []
    for first, second in combinations(range(number), 2):
        if best in (first, second):
            labels.append(1.0 if second == best else 0.0)
        else:
            labels.append(None if worst not in (first, second) else float(first == worst))
    return tuple(labels)


class Answers:
    """The answers of all people to the questions about one dataset."""

    def __init__(self, journal: Path, labels: LabelFile) -> None:
        """Raises:
        UserError: the journal is damaged.
        """
        self.labels = labels
        self.given: dict[str, list[Given]] = {}  # by person, without what was taken back
        self.lines = 0  # of the journal: it only grows
        self._settled: dict[str, int] = {}  # how many of a person's are among the labels
        self._interviews: dict[str, Interview] = {}
        self._unwritten: dict[str, list[tuple[PairKey, Answer]]] = {}  # what is not among the labels yet, in order
        self._due: dict[str, int] = {}  # how many of these are settled; more than none where the disk was full
        self._path = journal
        for line in whole(journal):
            self._read(line)
        for who in self.given:
            self._take_up(who)

    def teacher(self, who: str) -> str:
        """As `robot-learn label --teacher human` names its labels."""
        return f"human:{who}"

    def people(self) -> list[str]:
        """Whoever answered, here or at a terminal."""
        prefix = self.teacher("")
        teachers = {label.teacher for label in self.labels.labels}
        elsewhere = {teacher.removeprefix(prefix) for teacher in teachers if teacher.startswith(prefix)}
        return sorted({*elsewhere, *(who for who, given in self.given.items() if given)})

    def said(self, who: str) -> dict[PairKey, Answer]:
        """All pairs of which somebody said something or nothing, held answers among them."""
        held = {pair: answer for one in self.held(who) for pair, answer in one.told}
        return self.labels.said(self.teacher(who)) | held

    def held(self, who: str) -> list[Given]:
        """The last answers of somebody: those that can be taken back."""
        return self.given.get(who, [])[self._settled.get(who, 0) :]

    def give(self, one: Given) -> None:
        """Keep an answer; it is on the disk when this returns."""
        known = {frozenset(pair) for pair in self.said(one.who)}
        if any(frozenset(pair) in known for pair, _ in one.told):
            raise UserError("this question was answered already")
        self._write({"do": "give"} | one.to_json())
        self.given.setdefault(one.who, []).append(one)
        self._enter(one)
        self._settle(one.who)

    def undo(self, who: str) -> Question | None:
        """Take the last answer back; the question that is to be asked again, or None where all is settled."""
        if not self.held(who):
            return None
        self._write({"do": "undo", "who": who})
        last = self.given[who].pop()
        for _ in last.told:
            self._interviews[who].undo()
            self._unwritten[who].pop()
        return last.question

    def finish(self, who: str) -> None:
        """Settle everything that somebody said."""
        if self.held(who):
            self._interviews[who].stop()
            self._settle(who)
            del self._interviews[who]

    def close(self) -> None:
        for who in list(self._interviews):
            self.finish(who)

    def _take_up(self, who: str) -> None:
        """After a crash: what was settled is among the labels, or comes there now; the rest is held as it was."""
        among = {frozenset(pair) for pair in self.labels.said(self.teacher(who))}
        given, self._settled[who] = self.given[who], 0
        for number, one in enumerate(given):
            missing = [(pair, answer) for pair, answer in one.told if frozenset(pair) not in among]
            if len(missing) == len(one.told) and number >= len(given) - HELD:
                self._enter(one)
                continue
            for pair, answer in missing:
                self.labels.add(*pair, answer, self.teacher(who))
            self._settled[who] = number + 1

    def _enter(self, one: Given) -> None:
        interview = self._interviews.setdefault(one.who, Interview(ENDLESS))
        self._unwritten.setdefault(one.who, []).extend(one.told)
        for _, answer in one.told:
            if answer.label is None:
                interview.skip()
            else:
                interview.choose(answer.label, answer.confidence, answer.images)

    def _settle(self, who: str) -> None:
        """Pass on what the interview holds no longer: whole questions, of as many pairs as they have."""
        interview = self._interviews[who]
        interview.held = sum(len(one.told) for one in self.held(who)[-HELD:])
        self._due[who] = self._due.get(who, 0) + len(interview.settled())
        kept = 0 if interview.stopped else HELD
        self._settled[who] = max(self._settled.get(who, 0), len(self.given[who]) - kept)
        while self._due[who]:
            pair, answer = self._unwritten[who][0]
            self.labels.add(*pair, answer, self.teacher(who))
            self._unwritten[who].pop(0)
            self._due[who] -= 1

    def _read(self, line: bytes) -> None:
        where = f"{self._path}, line {self.lines + 1}"
        try:
            stored = json.loads(line)
            if stored["do"] == "undo":
                self.given[str(stored["who"])].pop()
            else:
                one = Given.from_json(stored)
                self.given.setdefault(one.who, []).append(one)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise UserError(f"{where}: not an answer that was stored: {error!r}") from error
        self.lines += 1

    def _write(self, entry: dict[str, Any]) -> None:
        append(self._path, entry)
        self.lines += 1
