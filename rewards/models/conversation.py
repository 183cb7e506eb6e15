"""Asking until a reply can be read: what was wrong with one goes back to its author, verbatim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from rewards.models.messages import Client, Message, Reply, Request
from robot_learn.errors import UserError

T = TypeVar("T")
REPAIR = "{error}\n\nMend this and answer again, in the form that was asked for."


class NotAnsweredError(UserError):
    """No reply could be read."""

    def __init__(self, text: str, replies: tuple[Reply, ...]) -> None:
        super().__init__(text)
        self.replies = replies


@dataclass(frozen=True)
class Answered(Generic[T]):
    """A reply that was read, and all that was said on the way."""

    value: T
    messages: tuple[Message, ...]  # the whole conversation, the reply that was read last
    replies: tuple[Reply, ...]  # the last one was read
    errors: tuple[str, ...]  # what was wrong with those before it

    @property
    def model(self) -> str:
        return self.replies[-1].model


def ask(
    messages: tuple[Message, ...],
    client: Client,
    read: Callable[[str], T],
    *,
    label: str,
    sample: int = 0,
    repairs: int = 2,
    temperature: float | None = None,
) -> Answered[T]:
    """Send a prompt, and send replies back until one can be read.

    Args:
        read: makes something of a reply's text, or raises a UserError whose words tell the model what to mend.
        repairs: replies beyond the first.

    Raises:
        NotAnsweredError: none could be read.
        UserError: the client has no reply.
    """
    replies: list[Reply] = []
    errors: list[str] = []
    for refused in range(repairs + 1):
        reply = client.complete(Request(messages, label, sample, temperature, refused=refused))
        replies.append(reply)
        # An empty turn is refused by some endpoints, and would read badly in a transcript.
        messages += (Message("assistant", reply.text if reply.text.strip() else "(empty reply)"),)
        try:
            return Answered(read(reply.text), messages, tuple(replies), tuple(errors))
        except UserError as error:
            errors.append(str(error))
            messages += (Message("user", REPAIR.format(error=error)),)
    listed = "\n\n".join(f"reply {index + 1}: {error}" for index, error in enumerate(errors))
    raise NotAnsweredError(f"{label}: no reply of {replies[-1].model} could be read:\n\n{listed}", tuple(replies))
