"""Comparing without a page: what is asked, what is kept, and what the person is told when."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rewards.preference.human import Human
from rewards.preference.labels import LabelFile, read_labels
from rewards.preference.query import Answer
from rewards.preference.stored import load as load_model
from robot_learn.data.manifest import identity
from robot_learn.data.store import load, save
from robot_learn.errors import UserError
from robot_learn.preferences import ask as asking
from robot_learn.preferences.ask import Choice, choose, true_differences
from robot_learn.session.activity import Person, Place
from robot_learn.session.background import Work
from robot_learn.session.compare.activity import Compare, offers
from robot_learn.session.compare.films import file_name
from robot_learn.session.compare.learner import LEAST, Lesson, learn, learner
from robot_learn.types import Segment
from tests.robot_learn.preferences import squares
from tests.robot_learn.session.inline import Inline

NAME, SEGMENT = "toy/squares", 4
ANN, BOB, NOBODY = (Person(name, f"tab of {name}", holds=True) for name in ("Ann", "Bob", ""))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    save(squares.dataset(episodes=12, steps=24), NAME, root)
    return root


@pytest.fixture
def place(stored: Path, tmp_path: Path) -> Place:
    options = {
        "root": str(stored),
        "labels": str(tmp_path / "labels.jsonl"),
        "segment": str(SEGMENT),
        "goal": "Go right.",
    }
    return Place(tmp_path / "session", tmp_path, options)


def quick_films(folder: Path) -> Work:
    """Files with the names of films."""

    def work(segments: Sequence[Segment]) -> Iterator[str]:
        folder.mkdir(parents=True, exist_ok=True)
        for segment in segments:
            (folder / file_name(segment)).write_bytes(file_name(segment).encode())
            yield file_name(segment)

    return work


def begun(place: Place, *, hold: bool = False, **options: str) -> Compare:
    """An activity whose films are there at once, and whose model learns at once, or when it is let go."""
    place = Place(place.folder, place.out, {**place.options, **options})
    pupil = learner(NAME, place.options["root"], place.folder / "reward-model.npz")
    made = Compare(NAME, place, Inline(quick_films(place.folder / "films")), Inline(pupil, hold=hold))
    made.do("meet", {}, ANN)
    return settled(made)


def settled(compare: Compare) -> Compare:
    for now in range(4):
        compare.tick(float(now))
    return compare


def seat(compare: Compare, who: Person = ANN) -> dict[str, Any]:
    found: dict[str, Any] = compare.state()["people"][who.name or "human"]
    return found


def asked(compare: Compare, who: Person = ANN) -> str:
    return str(seat(compare, who)["question"]["id"])


def answer(compare: Compare, label: float, who: Person = ANN, **more: Any) -> None:
    compare.do("choose", {"question": asked(compare, who), "label": label, **more}, who)
    settled(compare)


def right_answer(compare: Compare, who: Person = ANN) -> float:
    question = compare.seats.of(who.name).question
    assert question is not None
    differences = true_differences(compare.dataset, [question.pairs[0]])
    assert differences is not None
    return float(differences[0] > 0)


def pairs_on_file(place: Place) -> list[Any]:
    return [label.pair for label in read_labels(place.options["labels"])]


def test_it_asks_what_the_terminal_asks_and_they_go_on_with_each_others_work(place: Place) -> None:
    compare = begun(place)
    compare.do("meet", {}, NOBODY)
    for _ in range(LEAST - 2):  # before the model chooses
        answer(compare, 1.0, NOBODY)
    compare.close()
    dataset = load(NAME, place.options["root"])
    pairs = choose(dataset, Choice(pairs=8, segment=SEGMENT))
    known = set(compare.gold)
    mine = [pair for pair in pairs_on_file(place) if pair not in known]
    assert mine == pairs[: len(mine)]
    assert len(mine) >= 3
    keys = iter("2" * 8)
    human = Human(lambda: next(keys, "q"), place.folder / "asked", say=lambda _: None, inline=False)
    with LabelFile(place.options["labels"], **identity(dataset)) as labels:
        outcome = asking.ask(dataset, pairs, human, labels, "Go right.")
    assert outcome.new == 8 - len(mine)
    again = begun(place)
    again.do("meet", {}, NOBODY)
    question = again.seats.of("human").question
    assert question is not None
    assert not set(question.pairs) & set(pairs)


@dataclass(frozen=True)
class Taught:
    """A session of forty questions, all answered as the rewards say."""

    compare: Compare
    states: list[dict[str, Any]]  # before each answer
    place: Place


@pytest.fixture(scope="module")
def taught(stored: Path, tmp_path_factory: pytest.TempPathFactory) -> Taught:
    folder = tmp_path_factory.mktemp("taught")
    options = {"root": str(stored), "labels": str(folder / "labels.jsonl"), "segment": str(SEGMENT), "pairs": "40"}
    place = Place(folder / "session", folder, options)
    compare, states = begun(place), []
    while seat(compare)["question"] is not None:
        states.append(compare.state())
        answer(compare, right_answer(compare))
    return Taught(compare, states, place)


def test_the_model_learns_while_the_person_answers(taught: Taught) -> None:
    learning = taught.compare.state()["learning"]
    labels = [point["labels"] for point in learning["curve"]]
    assert labels[0] >= LEAST
    assert len(labels) >= 5
    assert labels == sorted(labels)
    assert learning["curve"][-1]["accuracy"] >= 0.6
    right, of = learning["foretold"]
    assert right / of > 0.6
    kind, _, about = load_model(taught.compare.folder / "reward-model.npz")
    assert (kind, about["task"]) == ("bradley-terry", "toy/squares")


def test_what_the_model_thinks_is_told_when_the_answer_can_no_longer_change(taught: Taught) -> None:
    opinions = 0
    for state in taught.states:
        sitting = state["people"]["Ann"]
        assert set(sitting["question"]) == {"id", "films", "ready"}
        assert [one["held"] for one in sitting["recent"]][-3:] == [True] * min(3, len(sitting["recent"]))
        for one in sitting["recent"]:
            assert not (one["held"] and {"foretold", "right"} & set(one))
            opinions += "foretold" in one
    assert opinions


def test_the_model_asks_what_it_wants_to_know_and_a_quarter_is_drawn(taught: Taught) -> None:
    origins = [one.question.origin for one in taught.compare.answers.given["Ann"]]
    assert set(origins[:LEAST]) <= {"drawn", "gold"}
    assert origins[LEAST:].count("chosen") > origins[LEAST:].count("drawn") > 0


def test_gold_pairs_are_mixed_in_and_their_result_is_told_at_the_end(taught: Taught) -> None:
    told = sum(one.question.origin == "gold" for one in taught.compare.answers.given["Ann"])
    assert told >= 2
    for state in taught.states:
        assert state["people"]["Ann"]["result"] is None
        assert "gold" not in json.dumps(state["people"])
    result = seat(taught.compare)["result"]
    assert (result["answered"], result["gold"]["decided"], result["gold"]["accuracy"]) == (40, told, 1.0)
    assert len(read_labels(taught.place.options["labels"])) == 40


def test_lessons_of_every_sampler_choose_pairs_that_were_not_asked(place: Place) -> None:
    dataset = load(NAME, place.options["root"])
    compare = begun(place, hold=True)
    for _ in range(8):
        answer(compare, right_answer(compare))
    compare.close()
    labels = read_labels(place.options["labels"])
    about = choose(dataset, Choice(pairs=30, segment=SEGMENT, seed=9))
    for sampler in compare.state()["samplers"]:
        lesson = Lesson(labels, tuple(about), tuple(label.pair for label in labels), 6, SEGMENT, sampler, 0)
        learned, model = learn(dataset, lesson)
        assert len(set(learned.chosen)) == 6
        assert not set(learned.chosen) & set(lesson.asked)
    returns = model.inverse_temperature * model.member_rewards(dataset.observations)
    for pair, thought in learned.thoughts.items():
        sums = [returns[:, dataset.frames_of(part)].sum(axis=1) for part in pair]
        assert thought == pytest.approx(np.mean(1 / (1 + np.exp(sums[0] - sums[1]))), abs=1e-6)


def test_a_page_that_sends_again_is_answered_once(place: Place) -> None:
    compare = begun(place)
    first = asked(compare)
    answer(compare, 1.0)
    assert compare.do("choose", {"question": first, "label": 0.0}, ANN) == {"stale": True}
    assert compare.lessons() == 1
    assert [one.labels for one in compare.answers.given["Ann"]] == [(1.0,)]


def test_a_killed_server_asks_the_same_question_again(place: Place) -> None:
    compare = begun(place)
    for label in (1.0, 0.0, 0.5, 1.0):
        answer(compare, label)
    compare.do("undo", {}, ANN)
    before = compare.state()
    again = settled(Compare(NAME, place, Inline(quick_films(place.folder / "films")), Inline(lambda _: iter(()))))
    assert again.state()["people"] == before["people"]
    assert again.lessons() == compare.lessons() == 5


def test_what_is_answered_at_a_terminal_meanwhile_is_not_asked_again(place: Place) -> None:
    compare = begun(place)
    question = compare.seats.of("Ann").question
    assert question is not None
    with LabelFile(place.options["labels"], **identity(compare.dataset)) as elsewhere:
        elsewhere.add(*question.pairs[0], Answer(1.0), "human:Ann")
    assert compare.do("choose", {"question": asked(compare), "label": 0.0}, ANN) == {"stale": True}
    assert asked(compare) != "|".join(f"{s.episode}:{s.start}+{s.length}" for s in question.segments)
    answer(compare, 0.0)
    compare.close()
    assert [label.answer.label for label in read_labels(place.options["labels"])] == [1.0, 0.0]


def test_two_people_answer_side_by_side_and_their_agreement_is_counted(place: Place) -> None:
    compare = begun(place, hold=True)
    compare.do("meet", {}, BOB)
    settled(compare)
    for _ in range(24):
        answer(compare, right_answer(compare), ANN)
        answer(compare, 1.0 - right_answer(compare, BOB), BOB)
    pupil = compare.model._pupil
    assert isinstance(pupil, Inline)
    for _ in range(2):  # the lesson of the first answers, and that of all
        pupil.release()
        settled(compare)
    (found,) = compare.state()["agreement"]
    assert found["who"] == ["Ann", "Bob"]
    assert found["same"] == 0
    assert found["of"] >= 4, "drawn pairs are the same for all"
    assert {label.source for label in compare._all_labels()} == {"human:Ann", "human:Bob"}
    last = compare.state()["learning"]["curve"][-1]
    assert last["of_each"] is not None
    assert last["of_each"] > last["accuracy"], "who want opposite things are told apart"


def test_four_films_at_once_make_five_labels(place: Place) -> None:
    compare = begun(place)
    compare.do("set", {"clips": 4}, ANN)
    settled(compare)
    while len(seat(compare)["question"]["films"]) != 4:  # a gold pair comes between
        answer(compare, 0.5)
    question = compare.seats.of("Ann").question
    assert question is not None
    with pytest.raises(UserError, match="shows 4 films"):
        compare.do("choose", {"question": asked(compare), "label": 1.0}, ANN)
    compare.do("order", {"question": asked(compare), "best": 1, "worst": 3}, ANN)
    assert seat(compare)["recent"][-1]["said"] == "2 best, 4 worst"
    compare.do("finish", {}, ANN)
    found = {label.pair: label.answer.label for label in read_labels(place.options["labels"])}
    a, b, c, d = question.segments
    assert {pair: found.get(pair) for pair in question.pairs} == {
        (a, b): 1.0,
        (a, c): None,
        (a, d): 0.0,
        (b, c): 0.0,
        (b, d): 0.0,
        (c, d): 0.0,
    }
    assert (a, c) not in found


def test_who_is_done_may_go_on(place: Place) -> None:
    compare = begun(place, pairs="2")
    answer(compare, 1.0)
    answer(compare, 0.0)
    assert seat(compare)["question"] is None
    assert len(read_labels(place.options["labels"])) == 2
    compare.do("more", {}, ANN)
    assert asked(settled(compare))


def test_confidence_and_the_films_that_were_shown_are_in_the_label(place: Place) -> None:
    compare = begun(place)
    answer(compare, 0.0, confidence=0.33, seconds=2.5)
    compare.close()
    (label,) = read_labels(place.options["labels"])
    assert (label.answer.confidence, len(set(label.answer.images))) == (0.33, 2)
    assert all(len(digest) == 64 for digest in label.answer.images)


def test_films_that_cannot_be_made_are_told_and_tried_again(place: Place) -> None:
    def broken(segments: Sequence[Segment]) -> Iterator[str]:
        if segments:
            raise UserError("its episodes differ")
        yield ""

    films = Inline(broken)
    compare = settled(Compare(NAME, place, films, Inline(lambda _: iter(()))))
    compare.do("meet", {}, ANN)
    settled(compare)
    assert compare.state()["film_trouble"] == "its episodes differ"
    assert len(films.orders) == 1
    compare.do("meet", {}, ANN)
    settled(compare)
    assert len(films.orders) == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"segment": "0"}, "--segment 0: wanted a number of steps from 1"),
        ({"pairs": "many"}, "--pairs many: wanted a whole number from 1"),
        ({"sampler": "luck"}, "no sampler named 'luck'"),
        ({"gold": "nothing.jsonl"}, "nothing.jsonl cannot be read"),
        ({"film": "2"}, "--film 2"),
    ],
)
def test_options_that_do_not_fit_are_refused(place: Place, options: dict[str, str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        begun(Place(place.folder, place.out, {**place.options, **options}))


def test_segments_of_another_length_than_the_labels_are_refused_and_by_default_they_are_taken_over(
    place: Place,
) -> None:
    compare = begun(place)
    answer(compare, 1.0)
    compare.close()
    with pytest.raises(UserError, match="has labels of segments of 4 steps"):
        begun(place, segment="7")
    options = {name: value for name, value in place.options.items() if name != "segment"}
    assert begun(Place(place.folder, place.out, options)).state()["segment"] == SEGMENT


@pytest.mark.parametrize(
    ("what", "arguments", "says"),
    [
        ("choose", {"label": 0.7}, "label: wanted 0"),
        ("choose", {"label": "1"}, "label: wanted 0"),
        ("choose", {"label": 1, "confidence": -1}, "confidence: wanted a number from 0"),
        ("order", {"best": 0, "worst": "x"}, "numbers of the best and of the worst"),
        ("set", {"clips": 3}, "clips: wanted 2 or 4"),
        ("undo", {}, "nothing can be taken back"),
        ("dance", {}, "no act named 'dance'"),
    ],
)
def test_acts_that_mean_nothing_are_refused_and_change_nothing(
    place: Place, what: str, arguments: dict[str, Any], says: str
) -> None:
    compare = begun(place)
    before = asked(compare)
    with pytest.raises(UserError, match=says):
        compare.do(what, {"question": before, **arguments}, ANN)
    assert (asked(compare), compare.lessons()) == (before, 0)


def test_the_home_page_offers_the_datasets_that_lie_here(place: Place) -> None:
    (offer,) = offers(place)
    assert (offer.what, offer.text) == ("toy/squares-v0", "toy/squares, 12 episodes")
