"""Comparing: a person picks the better of two films, and a reward learns from it meanwhile.

The labels go where `robot-learn label DATASET --teacher human` puts them, so that terminal and page go on with each
other's work. Beside them, in the activity's folder:

    answers.jsonl   every answer, skip and undo; see `answers`
    queue.json      what everybody is asked next; see `seats`
    curve.jsonl     how well the model did after each fit; the newest one is reward-model.npz
    films/          what was shown

Nobody is shown what the model thinks of a pair while they can still change their answer to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rewards.preference.labels import Label, LabelFile, read_labels
from robot_learn.data.layout import find, metadata, names
from robot_learn.data.manifest import dataset_hash, identity
from robot_learn.data.store import load
from robot_learn.errors import UserError, unknown
from robot_learn.session.activity import Offer, Person, Place
from robot_learn.session.background import Background, Done, Worker
from robot_learn.session.compare import view
from robot_learn.session.compare.answers import Answers, Given, best_worst
from robot_learn.session.compare.films import SIZE, digest, file_name, film_maker
from robot_learn.session.compare.learner import learner
from robot_learn.session.compare.model import Model
from robot_learn.session.compare.questions import COMPANY, Questions, Setting, gold_of, segment_of
from robot_learn.session.compare.seats import Seats
from robot_learn.types import Segment

TARGET = 100  # questions to a person, where nobody says how many
MORE = 50  # questions that are added for whoever goes on after these
NOBODY = "human"  # the name of whoever gives none, as at the terminal
TIE = 0.5


def open_activity(what: str, place: Place) -> Compare:
    """Compare segments of a dataset, by name or folder.

    Raises:
        UserError: there is no such dataset, or an option does not fit it.
    """
    return Compare(what, place)


def check(what: str, place: Place) -> None:
    metadata(find(what, place.options.get("root")))


def offers(place: Place) -> Sequence[Offer]:
    """The datasets that lie here."""
    root = place.options.get("root")
    found = []
    for name in names(root):
        told = metadata(find(name, root)).get("robot_learn") or {}
        found.append(Offer(name, name, f"{told.get('task', 'a dataset')}, {told.get('episodes', '?')} episodes"))
    return found


class Compare:
    """See the module's text. Options: root, labels, segment, pairs, sampler, seed, gold, goal, film."""

    name = "compare"
    scene = None

    def __init__(self, what: str, place: Place, films: Worker | None = None, pupil: Worker | None = None) -> None:
        options, root = place.options, place.options.get("root")
        self.what, self.folder = what, place.folder
        self.dataset = load(what, root, in_memory=0)
        path = Path(options["labels"]) if "labels" in options else find(what, root) / "labels-human.jsonl"
        self.labels = LabelFile(path, **identity(self.dataset))
        self.answers = Answers(self.folder / "answers.jsonl", self.labels)
        segment = segment_of(self.dataset, self.labels, options.get("segment"))
        target, seed = _number(options, "pairs", TARGET, least=1), _number(options, "seed", 0)
        self.gold = gold_of(self.dataset, options.get("gold"), segment, max(3, target // 10), seed)
        self.questions = Questions(self.dataset, Setting(segment, seed=seed), list(self.gold))
        self.goal = options.get("goal") or view.instruction(self.dataset.task)
        self.seats = Seats(self.folder / "queue.json", self.answers, self.questions, target)
        if "sampler" in options:
            self.seats.adjust({"sampler": options["sampler"]})
        films_at, size = self.folder / "films", _number(options, "film", SIZE, least=32)
        self.films = films or Background(film_maker, what, root, films_at, size, "film" in options)
        if pupil is None:
            pupil = Background(learner, what, root, self.folder / "reward-model.npz")
            pupil.warm()
        self.model = Model(pupil, self.folder / "curve.jsonl", self.answers, self.questions)
        self._pupil = pupil
        self.filmed = {file.name for file in films_at.glob("[0-9]*.mp4")}
        self.film_trouble: str | None = None
        self._size = self.labels.path.stat().st_size
        self._state: dict[str, Any] | None = None

    # --- What the server asks.

    def state(self) -> dict[str, Any]:
        if self._state is None:
            self._state = view.state(self)
        return self._state

    def do(self, what: str, arguments: dict[str, Any], who: Person) -> dict[str, Any] | None:
        name = " ".join(who.name.split()) or NOBODY
        acts: dict[str, Callable[[], dict[str, Any] | None]] = {
            "meet": lambda: {"you": name},
            "choose": lambda: self._choose(name, arguments),
            "order": lambda: self._order(name, arguments),
            "skip": lambda: self._answer(name, arguments, [None]),
            "undo": lambda: self._undo(name),
            "finish": lambda: self._finish(name),
            "more": lambda: self._more(name),
            "set": lambda: self._set(arguments),
        }
        if what not in acts:
            raise unknown("act", what, acts)
        self._read_again()
        self.seats.of(name)
        self.seats.fill()
        try:
            return acts[what]()
        finally:
            self.film_trouble = None  # it is tried again
            self.seats.fill()
            self._size, self._state = self.labels.path.stat().st_size, None

    def tick(self, now: float) -> None:
        self._film()
        was_busy = self.model.busy
        due = self.model.is_due()
        learned = self.model.tick(self._all_labels() if due else None, self._open_pairs() if due else ())
        if learned is not None:
            self.seats.make_room({s for s in self.seats.soon() if file_name(s) in self.filmed})
            self.seats.fill()
        if learned is not None or self.model.busy != was_busy:
            self._state = None

    def absent(self, seconds: float) -> None:
        """Nothing moves here."""

    def files(self) -> Mapping[str, Path]:
        shown = {file_name(segment) for segment in list(self.seats.soon())} & self.filmed
        return {name: self.folder / "films" / name for name in shown} | {"labels.jsonl": self.labels.path}

    def lessons(self) -> int:
        return self.answers.lines

    def close(self) -> None:
        self.answers.close()
        self.labels.close()
        self.films.close()
        self._pupil.close()

    # --- What a person does.

    def _choose(self, who: str, arguments: dict[str, Any]) -> dict[str, Any]:
        label = arguments.get("label")
        if label not in (0, 1, TIE):
            raise UserError(f"label: wanted 0 (the first), 1 (the second) or 0.5 (equal), came {label!r}")
        return self._answer(who, arguments, [float(label)])

    def _order(self, who: str, arguments: dict[str, Any]) -> dict[str, Any]:
        best, worst = arguments.get("best"), arguments.get("worst")
        if not isinstance(best, int) or not isinstance(worst, int):
            raise UserError(f"wanted the numbers of the best and of the worst, came {best!r} and {worst!r}")
        return self._answer(who, arguments, best_worst(COMPANY, best, worst))

    def _answer(self, who: str, arguments: dict[str, Any], labels: Sequence[float | None]) -> dict[str, Any]:
        """Keep what was said of the question that is named; of another than the one that is asked, nothing."""
        seat = self.seats.of(who)
        question = seat.question
        if question is None or arguments.get("question") != view.identity_of(question):
            return {"stale": True}
        pairs = question.pairs
        if len(labels) == 1 and labels[0] in (None, TIE):
            labels = [*labels] * len(pairs)
        if len(labels) != len(pairs):
            raise UserError(f"this question shows {len(question.segments)} films, and the answer is to another number")
        sure, seconds = (_amount(arguments, name, default) for name, default in (("confidence", 1.0), ("seconds", 0.0)))
        taught = frozenset(question.segments) in seat.undone  # the model may know the answer already
        paths = [self.folder / "films" / file_name(segment) for segment in question.segments]
        one = Given(
            who,
            question,
            tuple(labels),
            confidence=min(1.0, sure),
            seconds=round(seconds, 3),
            foretold=None if taught or len(pairs) > 1 else self.model.thoughts.get(pairs[0]),
            images=tuple(digest(path) for path in paths) if all(path.exists() for path in paths) else (),
        )
        self.answers.give(one)
        seat.queue.pop(0)
        if len(self.answers.given[who]) >= seat.target:
            self._finish(who)
        return {"answered": len(self.answers.given[who])}

    def _undo(self, who: str) -> dict[str, Any]:
        question = self.answers.undo(who)
        if question is None:
            raise UserError("nothing can be taken back: only the last three answers can, and not after the end")
        seat = self.seats.of(who)
        seat.queue.insert(0, question)
        seat.undone.add(frozenset(question.segments))
        return {"answered": len(self.answers.given[who])}

    def _finish(self, who: str) -> None:
        self.answers.finish(who)
        self.seats.of(who).resting = True

    def _more(self, who: str) -> None:
        seat = self.seats.of(who)
        seat.resting = False
        if len(self.answers.given.get(who, [])) >= seat.target:
            seat.target += MORE

    def _set(self, arguments: dict[str, Any]) -> None:
        before = self.questions.setting.sampler
        self.seats.adjust(arguments)
        if self.questions.setting.sampler != before:
            self.model.choose_anew()

    # --- Films and labels.

    def _film(self) -> None:
        """Ask for the films that are shown soon, and take those that are there."""
        for said in self.films.poll():
            self._state = None
            if isinstance(said, Done):
                self.film_trouble = said.error or self.film_trouble
            else:
                self.filmed.add(said)
        if self.films.busy or self.film_trouble:
            return
        missing: list[Segment] = [s for s in dict.fromkeys(self.seats.soon()) if file_name(s) not in self.filmed]
        if missing:
            self.films.ask(missing)

    def _read_again(self) -> None:
        """Labels that somebody added elsewhere: at a terminal, or in another session."""
        size = self.labels.path.stat().st_size
        if size != self._size:
            self.labels.labels[:] = read_labels(self.labels.path, **identity(self.dataset))
            self._size = size

    def _open_pairs(self) -> list[Any]:
        return [pair for seat in self.seats.by_name.values() for one in seat.queue for pair in one.pairs]

    def _all_labels(self) -> list[Label]:
        """Those on file, and those that are still held."""
        told = dataset_hash(self.dataset)
        held = [
            Label(*pair, answer, self.answers.teacher(who), told)
            for who in self.answers.given
            for one in self.answers.held(who)
            for pair, answer in one.told
        ]
        return [*self.labels.labels, *held]


def _number(options: Mapping[str, str], name: str, default: int, *, least: int = 0) -> int:
    given = options.get(name)
    if given is None:
        return default
    if not given.isdecimal() or int(given) < least:
        raise UserError(f"--{name} {given}: wanted a whole number from {least}")
    return int(given)


def _amount(arguments: dict[str, Any], name: str, default: float) -> float:
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise UserError(f"{name}: wanted a number from 0, came {value!r}")
    return float(value)
