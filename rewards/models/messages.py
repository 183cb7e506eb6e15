"""What is said to a language model and what it answers: the same for every back end."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from robot_learn.errors import UserError

Role = Literal["system", "user", "assistant"]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Role
    text: str
    images: tuple[bytes, ...] = ()  # PNG files, shown after the text; of user messages only

    def __post_init__(self) -> None:
        if self.images and self.role != "user":
            raise UserError(f"images belong to user messages, not to a message of role {self.role!r}")
        for image in self.images:
            if not image.startswith(_PNG_SIGNATURE):
                raise UserError(f"an image of a message is a PNG file as bytes; got {image[:8]!r}...")

    def as_json(self) -> dict[str, Any]:
        """Role, text and the sha256 of each image: all that a model sees, and all that is hashed."""
        return {"role": self.role, "text": self.text, "images": [image_hash(image) for image in self.images]}


@dataclass(frozen=True)
class Request:
    """One call of a model.

    The messages alone identify a prompt (`prompt_hash`). `sample` counts the replies to one prompt, so that several of
    them can be recorded. The sampling settings go to live back ends; None leaves the choice to the endpoint.
    """

    messages: tuple[Message, ...]  # optionally one system message, then user and assistant in turn, a user last
    label: str = ""  # what it is for, e.g. the task's name: shown to people, never to the model
    sample: int = 0
    temperature: float | None = None
    seed: int | None = None  # `seed + sample` is sent, so that samples of one seed differ
    max_tokens: int | None = None  # of the reply
    refused: int = 0  # how many replies before this one did not pass a check: shown to people, never to the model

    def __post_init__(self) -> None:
        roles = [message.role for message in self.messages]
        turns = roles[1:] if roles[:1] == ["system"] else roles
        if len(turns) % 2 == 0 or any(role != ("user", "assistant")[i % 2] for i, role in enumerate(turns)):
            raise UserError(f"messages are [system], user, assistant, ..., user; got: {', '.join(roles) or 'none'}")
        if self.sample < 0:
            raise UserError(f"sample counts from 0; got {self.sample}")

    @property
    def prompt_hash(self) -> str:
        return prompt_hash(self.messages)

    def settings(self) -> dict[str, float | int]:
        """The sampling settings that were chosen, for provenance."""
        chosen = {"temperature": self.temperature, "seed": self.seed, "max_tokens": self.max_tokens}
        return {name: value for name, value in chosen.items() if value is not None}


@dataclass(frozen=True)
class Usage:
    """Tokens of one call, as the endpoint counted them; None where it did not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None

    def as_json(self) -> dict[str, int | None]:
        return {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens}


@dataclass(frozen=True)
class Reply:
    """What a model answered, verbatim, and where that came from."""

    text: str
    model: str  # as the endpoint, or the person who carried the reply, names it
    date: str  # ISO 8601, when the model replied
    source: str  # the back end that asked the model: "openai:MODEL", "anthropic:MODEL", "mailbox"
    usage: Usage = Usage()
    finish_reason: str = "unknown"  # "stop", "length" (cut off at max_tokens), or the endpoint's own word

    def provenance(self) -> dict[str, Any]:
        """All but the text, as JSON."""
        return {
            "model": self.model,
            "date": self.date,
            "source": self.source,
            "usage": self.usage.as_json(),
            "finish_reason": self.finish_reason,
        }

    @classmethod
    def from_json(cls, text: str, provenance: dict[str, Any]) -> Reply:
        """The inverse of `provenance()`."""
        return cls(
            text=text,
            model=provenance["model"],
            date=provenance["date"],
            source=provenance["source"],
            usage=Usage(**provenance["usage"]),
            finish_reason=provenance["finish_reason"],
        )


class Client(Protocol):
    """Anything that answers a request: a recording, an endpoint, a person with a mailbox."""

    @property
    def spec(self) -> str:
        """The words that `connect` takes for this back end, e.g. "openai:MODEL"."""
        ...

    def complete(self, request: Request) -> Reply:
        """The model's reply.

        Raises:
            UserError: there is no reply to be had; the message says what to do about it.
        """
        ...


def image_hash(image: bytes) -> str:
    return hashlib.sha256(image).hexdigest()


def prompt_hash(messages: Sequence[Message]) -> str:
    """The sha256 of the canonical JSON of the messages (images by their own sha256): what a recording is found by.

    Neither the model nor the sampling settings enter: they are facts about a reply, not about what was asked.
    """
    canonical = json.dumps([message.as_json() for message in messages], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def file_stem(label: str, digest: str) -> str:
    """The name of the files of one prompt: readable, and found by its hash."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", label).strip("-") or "prompt"
    return f"{slug}-{digest[:16]}"


def transcript(messages: Sequence[Message]) -> str:
    """The whole conversation as one readable text; images are named `image_1.png`, `image_2.png` ... in their order."""
    parts = []
    number = 1
    for message in messages:
        parts.append(f"===== {message.role} =====\n\n{message.text.strip()}\n")
        for _ in message.images:
            parts.append(f"[see image_{number}.png]\n")
            number += 1
    return "\n".join(parts)
