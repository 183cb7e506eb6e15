"""A person at a terminal, played by a list of keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from rewards.preference.human import Human, Interview, blocks
from rewards.preference.query import Answer, Query
from robot_learn.errors import UserError
from robot_learn.types import Segment
from tests.rewards.preference import squares

Answers = list[float | None]


def person(tmp_path: Path, keys: str, **settings: object) -> Human:
    pressed: Iterator[str] = iter(keys)
    said: list[str] = []
    return Human(lambda: next(pressed, ""), tmp_path, said.append, **settings)  # type: ignore[arg-type]


def said(human: Human, count: int) -> Answers:
    return [answer.label for answer in human.answers(squares.queries(count))]


@pytest.mark.parametrize(
    ("keys", "labels"),
    [
        ("12=s", [0.0, 1.0, 0.5, None]),
        ("1u2=s1", [1.0, 0.5, None, 0.0]),
        ("11uu22=s", [1.0, 1.0, 0.5, None]),
        ("u1x2?=s", [0.0, 1.0, 0.5, None]),
    ],
)
def test_keys_become_labels_and_undo_goes_back(tmp_path: Path, keys: str, labels: Answers) -> None:
    assert said(person(tmp_path, keys), 4) == labels


@pytest.mark.parametrize("keys", ["12q", "12", "12u2q"])
def test_stopping_keeps_what_was_said(tmp_path: Path, keys: str) -> None:
    assert said(person(tmp_path, keys), 4) == [0.0, 1.0]


def test_an_interrupt_keeps_what_was_said(tmp_path: Path) -> None:
    keys = iter("12")

    def read() -> str:
        try:
            return next(keys)
        except StopIteration:
            raise KeyboardInterrupt from None

    human = Human(read, tmp_path, lambda text: None)
    assert said(human, 4) == [0.0, 1.0]


def test_an_answer_is_handed_over_once_it_can_no_longer_be_taken_back() -> None:
    interview = Interview(10, held=2)
    given: list[Answer] = []
    for _ in range(5):
        interview.choose(1.0)
        given += interview.settled()
    assert len(given) == 3
    assert [interview.undo() for _ in range(3)] == [True, True, False]
    assert interview.position == 3
    interview.stop()
    assert interview.current is None
    assert interview.settled() == []


def test_nothing_is_left_to_answer_at_the_end() -> None:
    interview = Interview(1)
    interview.skip()
    assert interview.current is None
    with pytest.raises(UserError, match="no question left"):
        interview.choose(0.0)


def test_confidence_is_asked_for_where_it_is_wanted(tmp_path: Path) -> None:
    answers = list(person(tmp_path, "1322s", ask_confidence=True).answers(squares.queries(3)))
    assert [(answer.label, answer.confidence) for answer in answers] == [(0.0, 1.0), (1.0, 0.67), (None, 1.0)]


def test_a_pair_of_pictures_is_shown_as_a_file_and_hashed(tmp_path: Path) -> None:
    (answer,) = person(tmp_path, "1").answers(squares.queries(1))
    shown = cv2.imread(str(tmp_path / "pair.png"))
    assert shown is not None
    assert shown.shape[1] > 2 * 320
    assert len(set(answer.images)) == 2


def test_longer_segments_are_shown_as_a_video_of_both_in_step(tmp_path: Path) -> None:
    shown: list[tuple[Path, int, float]] = []
    video: Callable[[Path, list[np.ndarray], float], None] = lambda path, frames, fps: shown.append(  # noqa: E731
        (path, len(frames), fps)
    )
    list(person(tmp_path, "1", video=video).answers([squares.query(0.1, 0.9, steps=7)]))
    assert shown == [(tmp_path / "pair.mp4", 7, 10.0)]


def test_a_terminal_with_colours_gets_two_rows_of_pixels_a_line() -> None:
    picture = np.zeros((20, 40, 3), dtype=np.uint8)
    picture[:, :20] = (255, 0, 0)
    lines = blocks(picture, 40).splitlines()
    assert len(lines) == 10
    assert {line.count("▀") for line in lines} == {40}
    assert "38;2;255;0;0" in lines[0]


def test_a_person_wants_pictures(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no"):
        list(person(tmp_path, "1").answers([Query(Segment(0, 0), Segment(0, 1), "")]))
