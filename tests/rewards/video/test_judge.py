"""Judgements in both orders: only agreement decides, and rankings are summed whatever the order of the sheets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rewards.video.forms import UnreadableFormError
from rewards.video.judge import VerdictForm, borda, combine, read_ranking, read_verdict

CODES = ("101", "202", "303")


def verdict(better: Any, confidence: float = 0.8) -> VerdictForm:
    return VerdictForm(codes=CODES, better=better, confidence=confidence, why="it looks so")


def block(**said: Any) -> str:
    return f"```json\n{json.dumps(said)}\n```"


@pytest.mark.parametrize(
    ("new_first", "old_first", "winner"),
    [
        ("a", "b", "new"),
        ("b", "a", "old"),
        ("a", "a", "draw"),  # it prefers whatever stands first
        ("same", "b", "draw"),
        ("same", "same", "draw"),
    ],
)
def test_only_what_both_orders_agree_on_wins(new_first: str, old_first: str, winner: str) -> None:
    assert combine(verdict(new_first), verdict(old_first)).winner == winner


def test_the_confidence_is_that_of_the_less_sure() -> None:
    assert combine(verdict("a", 0.9), verdict("b", 0.4)).confidence == 0.4
    assert combine(verdict("a", 0.9), verdict("a", 0.9)).confidence == 0.0


def test_a_verdict_wants_the_codes_of_all_sheets() -> None:
    said = {"better": "a", "confidence": 0.5, "why": "closer"}
    assert read_verdict(block(codes=CODES, **said), CODES).better == "a"
    with pytest.raises(UnreadableFormError, match="look at the pictures again"):
        read_verdict(block(codes=CODES[:2], **said), CODES)


def test_a_ranking_names_every_robot_once() -> None:
    assert read_ranking(block(codes=CODES, order=[2, 1], why="because"), CODES, 2).order == (2, 1)
    for order in ([1], [1, 1], [0, 1], [1, 2, 3]):
        with pytest.raises(UnreadableFormError, match="order"):
            read_ranking(block(codes=CODES, order=order, why="because"), CODES, 2)


def test_rankings_in_other_orders_of_the_sheets_count_for_the_same_candidates() -> None:
    forward = ((0, 1, 2), (3, 1, 2))  # sheets as they are: candidate 2, then 0, then 1
    backward = ((2, 1, 0), (1, 3, 2))  # reversed: place 1 is candidate 2
    assert borda([forward, backward], 3) == [2, 0, 1]
    assert borda([], 3) == [0, 1, 2]
