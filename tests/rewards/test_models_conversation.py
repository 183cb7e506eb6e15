"""Replies that cannot be read go back with the reason, and what was said on the way is kept."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from rewards.models.conversation import NotAnsweredError, ask
from rewards.models.messages import Message, Reply, Request
from robot_learn.errors import UserError


@dataclass
class Says:
    texts: list[str]
    requests: list[Request] = field(default_factory=list)
    spec: str = "says"

    def complete(self, request: Request) -> Reply:
        self.requests.append(request)
        return Reply(self.texts[len(self.requests) - 1], "model", "2026-01-01T00:00:00Z", "test")


def number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{text!r} is no number") from None


PROMPT = (Message("user", "how many?"),)


def test_a_reply_that_cannot_be_read_goes_back_with_the_reason() -> None:
    client = Says(["many", "", "3"])
    answered = ask(PROMPT, client, number, label="count")
    assert answered.value == 3
    assert len(answered.replies) == 3
    assert [message.role for message in answered.messages] == ["user", "assistant"] * 3
    assert "'many' is no number" in client.requests[1].messages[-1].text
    assert client.requests[2].messages[3].text == "(empty reply)"
    assert [request.refused for request in client.requests] == [0, 1, 2]
    assert answered.model == "model"


def test_patience_ends_and_the_error_tells_all_reasons() -> None:
    with pytest.raises(NotAnsweredError, match=r"reply 1: 'a' is no number(.|\n)*reply 2: 'b'") as raised:
        ask(PROMPT, Says(["a", "b", "3"]), number, label="count", repairs=1)
    assert [reply.text for reply in raised.value.replies] == ["a", "b"]
