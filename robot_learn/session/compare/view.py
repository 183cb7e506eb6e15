"""What the page of a comparison knows, as JSON. What the model thinks of a pair is in it once the answer is settled."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any, Protocol

from rewards.preference.labels import PairKey
from rewards.preference.pairs import SAMPLERS
from robot_learn.errors import UserError
from robot_learn.preferences import judge
from robot_learn.session.compare.answers import Answers, Given, Question
from robot_learn.session.compare.films import file_name
from robot_learn.session.compare.seats import Seat

if TYPE_CHECKING:
    from rewards.preference.labels import LabelFile
    from robot_learn.data.dataset import Dataset
    from robot_learn.session.compare.model import Model
    from robot_learn.session.compare.questions import Questions
    from robot_learn.session.compare.seats import Seats

RECENT = 8  # answers that are shown


def instruction(task: str) -> str:
    """What the robot should do, in a sentence; of a task that is none of ours, nobody knows."""
    import sims

    try:
        return sims.task(task).instruction
    except UserError:
        return ""


def identity_of(question: Question) -> str:
    """A name of a question, by which an answer says what it answers."""
    return "|".join(f"{s.episode}:{s.start}+{s.length}" for s in question.segments)


class Shown(Protocol):
    """What there is to tell of a session."""

    what: str
    dataset: Dataset
    goal: str
    labels: LabelFile
    answers: Answers
    gold: Any
    model: Model
    questions: Questions
    seats: Seats
    filmed: set[str]
    film_trouble: str | None


def state(compare: Shown) -> dict[str, Any]:
    answers, model, setting = compare.answers, compare.model, compare.questions.setting
    people = answers.people()
    return {
        "dataset": compare.what,
        "task": compare.dataset.task,
        "goal": compare.goal,
        "segment": setting.segment,
        "clips": setting.clips,
        "sampler": setting.sampler,
        "samplers": list(SAMPLERS),
        "confidence": compare.seats.asks_confidence,
        "people": {who: _seat(compare, who, seat) for who, seat in compare.seats.by_name.items()},
        "learning": {
            "curve": model.curve,
            "busy": model.busy,
            "trouble": model.trouble,
            "foretold": list(foretold(answers)),
        },
        "labels": {"count": len(compare.labels.labels), "file": compare.labels.path.name},
        "agreement": [pair for pair in (_agreement(answers, *two) for two in combinations(people, 2)) if pair["of"]],
        "film_trouble": compare.film_trouble,
    }


def foretold(answers: Answers) -> tuple[int, int]:
    """How many settled answers to drawn pairs the model had foretold, of how many."""
    seen = [
        one
        for who, given in answers.given.items()
        for one in given[: len(given) - len(answers.held(who))]
        if one.foretold is not None and one.question.origin == "drawn" and one.labels[0] in (0.0, 1.0)
    ]
    return sum(_is_right(one) for one in seen), len(seen)


def _is_right(one: Given) -> bool:
    assert one.foretold is not None
    assert one.labels[0] is not None
    return (one.foretold > 0.5) == (one.labels[0] > 0.5)


def _seat(compare: Shown, who: str, seat: Seat) -> dict[str, Any]:
    given, held = compare.answers.given.get(who, []), compare.answers.held(who)
    question = seat.question
    last = len(given) - len(held)
    return {
        "answered": len(given),
        "target": seat.target,
        "can_undo": len(held),
        "question": None if question is None else _question(compare, question),
        "exhausted": not seat.queue,
        "recent": [_recent(one, number >= last) for number, one in enumerate(given)][-RECENT:],
        "result": _result(compare, who) if seat.resting or not seat.queue else None,
    }


def _question(compare: Shown, question: Question) -> dict[str, Any]:
    films = [file_name(segment) for segment in question.segments]
    return {"id": identity_of(question), "films": films, "ready": all(name in compare.filmed for name in films)}


def _recent(one: Given, held: bool) -> dict[str, Any]:
    """An answer in words; the model's opinion once nobody can change the answer for it."""
    known = not held and one.foretold is not None and one.labels[0] in (0.0, 1.0)
    shown = {"said": said(one), "held": held, "seconds": one.seconds, "confidence": one.confidence}
    return shown | ({"foretold": one.foretold, "right": _is_right(one)} if known else {})


def said(one: Given) -> str:
    """What was answered, in a word or two."""
    if one.skipped:
        return "skipped"
    if all(label == 0.5 for label in one.labels):
        return "equal"
    if len(one.labels) == 1:
        return "second" if (one.labels[0] or 0.0) > 0.5 else "first"
    wins: dict[int, float] = dict.fromkeys(range(len(one.question.segments)), 0.0)
    for (first, second), label in zip(combinations(wins, 2), one.labels, strict=True):
        value = 0.5 if label is None else label
        wins[first] -= value - 0.5
        wins[second] += value - 0.5
    return f"{max(wins, key=wins.__getitem__) + 1} best, {min(wins, key=wins.__getitem__) + 1} worst"


def _result(compare: Shown, who: str) -> dict[str, Any]:
    """Counts, and how right somebody was where the answer is known."""
    spoken = compare.answers.said(who)
    return judge.report(compare.dataset, list(spoken), spoken, compare.gold)


def _agreement(answers: Answers, one: str, other: str) -> dict[str, Any]:
    """Of the pairs on which both prefer something, on how many they prefer the same."""
    first, second = (_directed(answers, who) for who in (one, other))
    both = [pair for pair in first if pair in second]
    return {"who": [one, other], "same": sum(first[pair] == second[pair] for pair in both), "of": len(both)}


def _directed(answers: Answers, who: str) -> dict[frozenset[Any], Any]:
    """Which segment somebody prefers, by pair."""

    def better(pair: PairKey, label: float) -> Any:
        return pair[1] if label > 0.5 else pair[0]

    spoken = answers.said(who).items()
    return {frozenset(pair): better(pair, a.label) for pair, a in spoken if a.label is not None and a.label != 0.5}
