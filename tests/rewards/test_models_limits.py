"""The cache, the budget, and the strings that name a client."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from rewards.models import Budget, Message, Reply, Request, Usage, connect
from rewards.models.limits import Budgeted, Cached
from robot_learn.errors import UserError

ASK = Request((Message("user", "x" * 400),))


@dataclass
class Counting:
    """Answers with the number of the call."""

    spec: str = "openai:m"
    usage: Usage = field(default_factory=lambda: Usage(100, 50))
    asked: list[Request] = field(default_factory=list)

    def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        return Reply(f"answer {len(self.asked)}", "m", "2026-01-01", self.spec, self.usage)


def test_what_makes_another_reply_likely_makes_another_cache_entry(tmp_path: Path) -> None:
    client = Counting()
    variants = [
        ASK,
        Request((Message("user", "other"),)),
        replace(ASK, sample=1),
        replace(ASK, temperature=1.0),
        replace(ASK, seed=1),
        replace(ASK, max_tokens=9),
    ]
    first = [Cached(client, tmp_path).complete(variant) for variant in variants]
    second = [Cached(client, tmp_path).complete(replace(variant, label="other")) for variant in variants]
    assert first == second
    assert len({reply.text for reply in first}) == len(client.asked) == len(variants)


def test_another_model_does_not_answer_from_the_cache_of_the_first(tmp_path: Path) -> None:
    Cached(Counting("openai:m"), tmp_path).complete(ASK)
    other = Counting("openai:n")
    Cached(other, tmp_path).complete(ASK)
    assert len(other.asked) == 1


def test_a_damaged_cache_file_is_named(tmp_path: Path) -> None:
    Cached(Counting(), tmp_path).complete(ASK)
    (file,) = tmp_path.iterdir()
    file.write_text("{")
    with pytest.raises(UserError, match=file.name):
        Cached(Counting(), tmp_path).complete(ASK)


def test_the_call_that_would_pass_the_cap_on_tokens_is_not_made() -> None:
    client = Counting()
    budgeted = Budgeted(client, Budget(max_tokens=400))  # the prompt is estimated at 101 tokens, a call takes 150
    budgeted.complete(ASK)
    budgeted.complete(ASK)
    with pytest.raises(UserError, match="budget of 400 tokens: 300 tokens are spent"):
        budgeted.complete(ASK)
    assert len(client.asked) == 2


def test_the_longest_reply_that_was_allowed_must_fit_in_too() -> None:
    client = Counting()
    with pytest.raises(UserError, match="budget"):
        Budgeted(client, Budget(max_tokens=400)).complete(replace(ASK, max_tokens=300))
    assert client.asked == []


def test_cost_is_tokens_times_price() -> None:
    budget = Budget(max_cost=1.0, price=(3000.0, 4000.0))
    client = Counting()
    Budgeted(client, budget).complete(ASK)
    assert budget.cost == pytest.approx(100 * 0.003 + 50 * 0.004)
    Budgeted(client, budget).complete(ASK)
    with pytest.raises(UserError, match="budget of 1"):
        Budgeted(client, budget).complete(ASK)


def test_a_cap_on_cost_needs_a_price() -> None:
    with pytest.raises(UserError, match="price"):
        Budget(max_cost=1.0)


def test_an_endpoint_that_does_not_count_is_charged_by_length() -> None:
    budget = Budget()
    Budgeted(Counting(usage=Usage()), budget).complete(ASK)
    assert budget.input_tokens == 101
    assert budget.output_tokens > 0


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("openia:gpt", "did you mean 'openai'"),
        ("", "allowed: anthropic, mailbox, openai, recordings"),
        ("openai", "openai:MODEL"),
        ("anthropic:", "anthropic:MODEL"),
        ("mailbox", "mailbox:FOLDER"),
    ],
)
def test_a_wrong_name_of_a_client_is_an_error_that_says_how_it_goes(spec: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        connect(spec)


@pytest.mark.parametrize("spec", ["recordings", "recordings:somewhere", "openai:org/m:7b", "mailbox:box"])
def test_a_client_knows_the_words_that_it_was_connected_by(spec: str) -> None:
    assert connect(spec).spec == spec


def test_a_mailbox_is_not_recorded_before_its_model_is_known(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="record it afterwards"):
        connect(f"mailbox:{tmp_path}", record=tmp_path)
