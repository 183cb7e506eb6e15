"""Answers of people: held for a while, on the disk at once, and among the labels afterwards."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from rewards.preference.labels import LabelFile, read_labels
from robot_learn.errors import UserError
from robot_learn.session.compare.answers import HELD, Answers, Given, Question, best_worst
from robot_learn.types import Segment

LENGTHS = np.full(40, 20)


def question(number: int, count: int = 2) -> Question:
    return Question(tuple(Segment(number, start, 4) for start in range(0, 4 * count, 4)), "drawn")


def given(number: int, label: float | None = 1.0, who: str = "ann") -> Given:
    return Given(who, question(number), (label,), confidence=0.67, seconds=1.5, foretold=0.4, images=("a", "b"))


def opened(folder: Path) -> Answers:
    return Answers(folder / "answers.jsonl", LabelFile(folder / "labels.jsonl", dataset_hash="d", lengths=LENGTHS))


def on_file(folder: Path) -> list[tuple[int, float | None]]:
    return [(label.first.episode, label.answer.label) for label in read_labels(folder / "labels.jsonl")]


@pytest.mark.parametrize(("best", "worst"), itertools.permutations(range(4), 2))
def test_best_and_worst_decide_five_of_six_pairs_as_every_utility_that_agrees_does(best: int, worst: int) -> None:
    labels = best_worst(4, best, worst)
    assert labels.count(None) == 1
    for middle in ((0.4, 0.6), (0.6, 0.4)):
        utility = dict(zip([n for n in range(4) if n not in (best, worst)], middle, strict=True))
        utility |= {best: 1.0, worst: 0.0}
        for (first, second), label in zip(itertools.combinations(range(4), 2), labels, strict=True):
            assert label in (None, float(utility[second] > utility[first]))


@pytest.mark.parametrize(("best", "worst"), [(1, 1), (4, 0), (0, -1)])
def test_best_and_worst_are_two_of_those_that_are_shown(best: int, worst: int) -> None:
    with pytest.raises(UserError, match="two different ones of 4"):
        best_worst(4, best, worst)


def test_the_last_three_are_held_and_the_others_are_labels_in_their_order(tmp_path: Path) -> None:
    answers = opened(tmp_path)
    for number in range(5):
        answers.give(given(number, label=number % 2))
        assert len(on_file(tmp_path)) == max(0, number + 1 - HELD)
        assert len((tmp_path / "answers.jsonl").read_bytes().splitlines()) == number + 1
    assert on_file(tmp_path) == [(0, 0.0), (1, 1.0)]
    assert [one.question for one in answers.held("ann")] == [question(n) for n in (2, 3, 4)]
    (label, *_) = read_labels(tmp_path / "labels.jsonl")
    assert (label.teacher, label.answer.confidence, label.answer.images) == ("human:ann", 0.67, ("a", "b"))
    answers.close()
    assert [episode for episode, _ in on_file(tmp_path)] == [0, 1, 2, 3, 4]


def test_what_is_taken_back_is_no_label_and_can_be_answered_otherwise(tmp_path: Path) -> None:
    answers = opened(tmp_path)
    for number in range(4):
        answers.give(given(number))
    assert answers.undo("ann") == question(3)
    assert answers.undo("ann") == question(2)
    answers.give(given(2, label=0.0))
    assert answers.undo("ann") == question(2)
    assert answers.undo("ann") == question(1)
    assert answers.undo("ann") is None, "the first is settled"
    answers.give(given(1, label=None))
    answers.close()
    assert on_file(tmp_path) == [(0, 1.0), (1, None)]


def test_people_are_held_apart(tmp_path: Path) -> None:
    answers = opened(tmp_path)
    for number in range(4):
        answers.give(given(number))
    answers.give(given(0, label=0.0, who="bob"))
    assert answers.people() == ["ann", "bob"]
    assert answers.undo("bob") == question(0)
    assert answers.undo("bob") is None
    assert len(answers.held("ann")) == HELD
    answers.finish("ann")
    assert len(on_file(tmp_path)) == 4
    assert answers.undo("ann") is None


def test_a_killed_process_loses_no_answer_and_no_undo(tmp_path: Path) -> None:
    answers = opened(tmp_path)
    for number in range(5):
        answers.give(given(number, label=0.0))
    answers.undo("ann")
    again = opened(tmp_path)  # the other one was never closed
    assert again.given == answers.given
    assert again.held("ann") == answers.held("ann")
    assert again.lines == answers.lines == 6
    assert again.undo("ann") == question(3)
    assert again.undo("ann") == question(2)
    assert again.undo("ann") is None
    again.close()
    assert on_file(tmp_path) == [(0, 0.0), (1, 0.0)]


def test_what_was_settled_and_did_not_reach_the_labels_is_added(tmp_path: Path) -> None:
    answers = opened(tmp_path)
    for number in range(5):
        answers.give(given(number))
    lines = (tmp_path / "labels.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "labels.jsonl").write_text(lines[0])  # killed before the second was written
    again = opened(tmp_path)
    assert on_file(tmp_path) == [(0, 1.0), (1, 1.0)]
    assert again.held("ann") == answers.held("ann")


def test_half_of_a_question_of_four_is_completed(tmp_path: Path) -> None:
    answers = opened(tmp_path)
    answers.give(Given("ann", question(0, 4), best_worst(4, 2, 0)))
    answers.finish("ann")
    lines = (tmp_path / "labels.jsonl").read_text().splitlines(keepends=True)
    assert len(lines) == 5
    (tmp_path / "labels.jsonl").write_text("".join(lines[:2]))
    opened(tmp_path)
    assert sorted((tmp_path / "labels.jsonl").read_text().splitlines(keepends=True)) == sorted(lines)


def test_questions_of_two_and_of_four_are_taken_back_whole(tmp_path: Path) -> None:
    answers = opened(tmp_path)
    answers.give(given(0))
    answers.give(Given("ann", question(1, 4), best_worst(4, 0, 3)))
    answers.give(Given("ann", question(2, 4), (None,) * 6))
    assert answers.undo("ann") == question(2, 4)
    assert answers.undo("ann") == question(1, 4)
    answers.give(Given("ann", question(1, 4), (0.5,) * 6))
    answers.close()
    assert on_file(tmp_path) == [(0, 1.0), *[(1, 0.5)] * 6]


def test_what_did_not_fit_on_a_full_disk_is_written_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = opened(tmp_path)
    for number in range(3):
        answers.give(given(number, label=number % 2))
    add = answers.labels.add

    def full(*_: object) -> None:
        raise UserError("cannot write labels: no space left on device")

    monkeypatch.setattr(answers.labels, "add", full)
    for number in (3, 4):
        with pytest.raises(UserError, match="no space"):
            answers.give(given(number, label=number % 2))
    monkeypatch.setattr(answers.labels, "add", add)
    assert answers.undo("ann") == question(4)
    answers.give(given(4, label=0.5))
    assert on_file(tmp_path) == [(0, 0.0), (1, 1.0)]
    answers.close()
    assert on_file(tmp_path) == [(0, 0.0), (1, 1.0), (2, 0.0), (3, 1.0), (4, 0.5)]


def test_one_question_is_answered_once(tmp_path: Path) -> None:
    answers = opened(tmp_path)
    answers.give(given(0))
    with pytest.raises(UserError, match="answered already"):
        answers.give(given(0, label=0.0))
    assert answers.lines == 1


def test_a_torn_line_was_never_acknowledged_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    answers = opened(tmp_path)
    answers.give(given(0))
    answers.give(given(1))
    journal = tmp_path / "answers.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-7])
    again = opened(tmp_path)
    assert [one.question for one in again.given["ann"]] == [question(0)]
    journal.write_bytes(whole + json.dumps({"do": "give", "who": "ann"}).encode() + b"\n")
    with pytest.raises(UserError, match=r"answers.jsonl, line 3: not an answer"):
        opened(tmp_path)
