"""Who is asked what next, kept on the disk so that a restart asks the same.

queue.json   the settings, and everybody's next questions; written whole whenever they change
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rewards.preference.pairs import SAMPLERS
from robot_learn.errors import UserError, unknown
from robot_learn.runs import atomic_write
from robot_learn.session.compare.answers import Answers, Question
from robot_learn.session.compare.questions import COMPANY, Questions
from robot_learn.types import Segment

AHEAD = 3  # questions that are ready beyond the one that is asked


@dataclass
class Seat:
    """What one person is asked."""

    target: int  # questions
    queue: list[Question] = field(default_factory=list)  # the first is asked now
    resting: bool = False  # done for now: everything is settled, and the result is shown
    undone: set[frozenset[Segment]] = field(default_factory=set)  # taken back: the model may have learned from it

    @property
    def question(self) -> Question | None:
        return self.queue[0] if self.queue and not self.resting else None


class Seats:
    """Everybody's seat, by name."""

    def __init__(self, path: Path, answers: Answers, questions: Questions, target: int) -> None:
        """Raises:
        UserError: the file is none of ours.
        """
        self._path, self._answers, self.questions, self._target = path, answers, questions, target
        self.asks_confidence = False
        self.by_name: dict[str, Seat] = {}
        if path.exists():
            self._read()

    def of(self, who: str) -> Seat:
        """Somebody's seat, a new one for a newcomer."""
        if who not in self.by_name:
            done = len(self._answers.given.get(who, []))
            self.by_name[who] = Seat(max(self._target, done), resting=done >= self._target)
        return self.by_name[who]

    def adjust(self, wanted: dict[str, Any]) -> None:
        """Change how questions are made; what was not answered yet is asked no more.

        Raises:
            UserError: no such sampler or number of films.
        """
        now = self.questions.setting
        clips, sampler = wanted.get("clips", now.clips), wanted.get("sampler", now.sampler)
        if clips not in (2, COMPANY):
            raise UserError(f"clips: wanted 2 or {COMPANY}, came {clips!r}")
        if sampler not in SAMPLERS:
            raise unknown("sampler", str(sampler), SAMPLERS)
        self.asks_confidence = bool(wanted.get("confidence", self.asks_confidence))
        if sampler != now.sampler:
            self.questions.chosen = []
        if (clips, sampler) != (now.clips, now.sampler):
            self.questions.setting = replace(now, clips=clips, sampler=sampler)
            for seat in self.by_name.values():
                seat.queue.clear()

    def fill(self) -> None:
        """Have everybody's next questions ready, and keep them."""
        for who, seat in self.by_name.items():
            said = {frozenset(pair) for pair in self._answers.said(who)}
            # Somebody may have answered elsewhere, at a terminal or in another session.
            seat.queue[:] = [one for one in seat.queue if not any(frozenset(pair) in said for pair in one.pairs)]
            while len(seat.queue) <= AHEAD:
                known = said | {frozenset(pair) for one in seat.queue for pair in one.pairs}
                number = len(self._answers.given.get(who, [])) + len(seat.queue)
                question = self.questions.next_for(who, number, known)
                if question is None:
                    break
                seat.queue.append(question)
        self._keep()

    def make_room(self, ready: set[Segment]) -> None:
        """What is not asked now and not filmed yet gives way to what the model wants to know."""
        for seat in self.by_name.values():
            seat.queue[1:] = [one for one in seat.queue[1:] if ready.issuperset(one.segments)]

    def soon(self) -> Iterator[Segment]:
        """What is shown soon, the questions that are asked now first."""
        for part in (slice(0, 1), slice(1, None)):
            for seat in self.by_name.values():
                yield from (segment for one in seat.queue[part] for segment in one.segments)

    def _keep(self) -> None:
        now = self.questions.setting
        seats = {
            who: {"target": seat.target, "resting": seat.resting, "queue": [one.to_json() for one in seat.queue]}
            for who, seat in self.by_name.items()
        }
        asked = {"clips": now.clips, "sampler": now.sampler, "confidence": self.asks_confidence}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(self._path) as file:
            file.write(json.dumps({"set": asked, "seats": seats}).encode())

    def _read(self) -> None:
        try:
            stored = json.loads(self._path.read_text(encoding="utf-8"))
            self.adjust(stored["set"])
            for who, seat in stored["seats"].items():
                queue = [Question.from_json(one) for one in seat["queue"]]
                target = max(int(seat["target"]), self._target)
                self.by_name[who] = Seat(target, queue, bool(seat["resting"]))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{self._path}: not the questions that were stored: {error!r}; without the file others are drawn"
            ) from error
        self.fill()
