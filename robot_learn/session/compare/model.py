"""When the reward model learns again, what it thinks, and how well it does: a row in curve.jsonl after each fit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rewards.preference.labels import Label, PairKey
from robot_learn.session.background import Done, Worker
from robot_learn.session.compare.answers import Answers
from robot_learn.session.compare.learner import LEAST, Learned, Lesson
from robot_learn.session.compare.questions import Questions

EVERY = 5  # new labels, after which it learns again
CHOSEN = 12  # pairs that it chooses at once, for each pair of a question


class Model:
    """The page's side of the learner."""

    def __init__(self, pupil: Worker, path: Path, answers: Answers, questions: Questions) -> None:
        self._pupil, self._path, self._answers, self._questions = pupil, path, answers, questions
        self.curve = _rows(path)
        self.thoughts: dict[PairKey, float] = {}  # P(second preferred) of what is asked soon
        self.trouble: str | None = None
        self._learned_from = 0  # labels; after a restart it learns anew
        self._looked_at = -1  # lines of answers

    @property
    def busy(self) -> bool:
        return self._pupil.busy

    def choose_anew(self) -> None:
        """Another sampler: choose again, whether or not there are new labels."""
        self._learned_from, self._looked_at = 0, -1

    def tick(self, labels_now: Sequence[Label] | None, open_pairs: Sequence[PairKey]) -> Learned | None:
        """What was learned since the last look."""
        found = None
        for said in self._pupil.poll():
            if isinstance(said, Learned):
                found = said
                self._taught(said)
            elif isinstance(said, Done) and said.error:
                self.trouble = said.error
        if labels_now is not None:
            self._teach(tuple(labels_now), tuple(open_pairs))
        return found

    def is_due(self) -> bool:
        """Whether it is idle and something was said since it was last asked this."""
        if self._pupil.busy or self._answers.lines == self._looked_at:
            return False
        self._looked_at = self._answers.lines
        return True

    def _teach(self, labels: tuple[Label, ...], open_pairs: tuple[PairKey, ...]) -> None:
        decided = sum(label.answer.label is not None for label in labels)
        if decided < LEAST or abs(decided - self._learned_from) < EVERY:
            return
        self._learned_from = decided
        setting = self._questions.setting
        asked = (*(label.pair for label in labels), *open_pairs, *self._questions.gold)
        wanted = CHOSEN * setting.clips // 2
        several = len({label.teacher for label in labels}) > 1
        self._pupil.ask(
            Lesson(labels, open_pairs, asked, wanted, setting.segment, setting.sampler, setting.seed, several)
        )

    def _taught(self, said: Learned) -> None:
        self.trouble, self.thoughts = None, said.thoughts
        self._questions.chosen = list(said.chosen)
        point: dict[str, Any] = {name: said.judged[name] for name in ("accuracy", "low", "high", "decided")}
        point |= {"labels": said.labels, "seconds": round(said.seconds, 2)}
        point |= {"of_each": None if said.of_each is None else said.of_each["accuracy"]}
        if self.curve and self.curve[-1] | {"seconds": 0} == point | {"seconds": 0}:
            return  # learned anew after a restart
        self.curve.append(point)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(point) + "\n")


def _rows(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file of figures; what a crash left of the last one is passed over."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found
