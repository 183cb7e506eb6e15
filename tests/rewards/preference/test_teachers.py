"""What every teacher in the registry must do."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rewards.models import Reply, Request
from rewards.preference import TEACHERS
from rewards.preference.goals import Goal
from rewards.preference.query import Query, Teacher
from robot_learn.errors import UserError
from robot_learn.registry import load
from robot_learn.types import Segment
from tests.rewards.preference import squares


class Obliging:
    """A model that says "a" of every pair and fills its sheet."""

    spec = "test:obliging"

    def complete(self, request: Request) -> Reply:
        lines = [json.dumps({"pair": number, "better": "a", "confidence": 1}) for number in range(1, 5)]
        return Reply("\n".join(lines), "obliging", "2026-01-01", self.spec)


MADE: dict[str, Callable[[Path], dict[str, object]]] = {
    "simulated": lambda folder: {},
    "human": lambda folder: {"read_key": lambda: "1", "folder": folder, "say": lambda text: None},
    "vlm": lambda folder: {"client": Obliging(), "sheet": 4},
    "vision": lambda folder: {"gauge": Goal(squares.picture(1.0))},
}


@pytest.fixture(params=TEACHERS)
def teacher(request: pytest.FixtureRequest, tmp_path: Path) -> Teacher:
    made: Teacher = load(TEACHERS, request.param, kind="teacher")(**MADE[request.param](tmp_path))
    return made


def test_a_teacher_answers_every_query_once_with_a_probability_or_nothing(teacher: Teacher) -> None:
    answers = list(teacher.answers(squares.queries(4)))
    assert len(answers) == 4
    for answer in answers:
        assert answer.label is None or 0.0 <= answer.label <= 1.0
        assert 0.0 <= answer.confidence <= 1.0


def test_the_same_queries_get_the_same_answers(teacher: Teacher) -> None:
    first, second = (list(teacher.answers(squares.queries(4))) for _ in range(2))
    assert first == second


def test_a_teacher_has_a_name_that_begins_with_its_kind_and_says_how_many_it_looks_at(teacher: Teacher) -> None:
    kind = next(kind for kind, path in TEACHERS.items() if path.endswith(f":{type(teacher).__name__}"))
    assert teacher.name.startswith(f"{kind}:")
    assert "\n" not in teacher.name
    assert teacher.batch >= 0


def test_answers_come_one_by_one_so_that_each_can_be_stored(teacher: Teacher) -> None:
    assert inspect.isgenerator(teacher.answers(squares.queries(4)))


def test_who_cannot_see_what_it_needs_says_so(teacher: Teacher) -> None:
    with pytest.raises(UserError, match="wants"):
        list(teacher.answers([Query(Segment(0, 0), Segment(0, 1), squares.INSTRUCTION)]))
