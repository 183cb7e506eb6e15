"""Which of two robots moves more like a video: judged blindly, in both orders, and a disagreement is a draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from rewards.video.forms import Form, UnreadableFormError, check_codes, read_form


class _Seen(Form):
    codes: tuple[str, ...] = Field(description="the three digits on every sheet, in order")


class VerdictForm(_Seen):
    """Which of two is closer."""

    better: Literal["a", "b", "same"]
    confidence: float = Field(ge=0.0, le=1.0)
    why: str = Field(min_length=3, max_length=500)


class RankingForm(_Seen):
    """The order of several, the closest first."""

    order: tuple[int, ...] = Field(description="all robots by number, the closest first")
    why: str = Field(min_length=3, max_length=800)


@dataclass(frozen=True)
class Judgement:
    """What both orders came to together."""

    winner: Literal["new", "old", "draw"]
    confidence: float
    why: tuple[str, ...]


def read_verdict(text: str, codes: Sequence[str]) -> VerdictForm:
    """Raises:
    UnreadableFormError: it is no verdict, or its author did not see the pictures.
    """
    found = read_form(text, VerdictForm)
    check_codes("codes", found.codes, codes)
    return found


def read_ranking(text: str, codes: Sequence[str], count: int) -> RankingForm:
    """Raises:
    UnreadableFormError: it is no order of so many robots, or its author did not see the pictures.
    """
    found = read_form(text, RankingForm)
    check_codes("codes", found.codes, codes)
    if sorted(found.order) != list(range(1, count + 1)):
        raise UnreadableFormError(f"order: wanted every number from 1 to {count} once, came {list(found.order)}")
    return found


def combine(new_first: VerdictForm, old_first: VerdictForm) -> Judgement:
    """From the verdict where A was the new robot and the one where A was the old."""
    first = {"a": "new", "b": "old"}.get(new_first.better, "draw")
    second = {"a": "old", "b": "new"}.get(old_first.better, "draw")
    why = (new_first.why, old_first.why)
    if first == second == "new":
        return Judgement("new", min(new_first.confidence, old_first.confidence), why)
    if first == second == "old":
        return Judgement("old", min(new_first.confidence, old_first.confidence), why)
    return Judgement("draw", 0.0, why)


def borda(rankings: Sequence[tuple[Sequence[int], Sequence[int]]], count: int) -> list[int]:
    """Candidates (from 0), the best first, from several rankings.

    Each is (shown, order): which candidate stood at each place of the sheets, and the places in the order of the reply.
    Points for each ranking are how many candidates stand behind; of equal sums the earlier candidate comes first.
    """
    points = [0] * count
    for shown, order in rankings:
        for behind, place in enumerate(reversed(order)):
            points[shown[place - 1]] += behind
    return sorted(range(count), key=lambda candidate: -points[candidate])
