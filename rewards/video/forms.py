"""Replies in a form: exactly one block of JSON that fits a schema, or words that tell its author what to mend."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from robot_learn.errors import UserError

_BLOCK = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)
F = TypeVar("F", bound="Form")


class UnreadableFormError(UserError):
    """A reply that is not in the form that was asked for. The message is meant for the model that wrote it."""


class Form(BaseModel):
    """What a model fills in: no key is unknown, none that is needed is missing."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    @classmethod
    def asked(cls) -> str:
        """The schema as JSON, for a prompt."""
        return json.dumps(cls.model_json_schema(), indent=1)


def read_form(text: str, kind: type[F]) -> F:
    """The form in a reply.

    Raises:
        UnreadableFormError: there is no block of JSON or more than one, or a key is not what it must be.
    """
    blocks = _BLOCK.findall(text)
    if len(blocks) != 1:
        raise UnreadableFormError(f"wanted exactly one ```json block in the reply, came {len(blocks)}")
    try:
        return kind.model_validate_json(blocks[0])
    except ValidationError as error:
        lines = ["the reply is not in the form that was asked for:"]
        for fault in error.errors(include_url=False):
            key = ".".join(str(part) for part in fault["loc"]) or "(the whole)"
            came = json.dumps(fault.get("input"), default=str)
            lines.append(f"- {key}: {fault['msg']}; came {came[:120]}")
        raise UnreadableFormError("\n".join(lines)) from None


def check_codes(what: str, said: Sequence[str], written: Sequence[str]) -> None:
    """Raises:
    UnreadableFormError: the numbers are not those that are written on the sheets, so they were not seen.
    """
    if tuple(said) != tuple(written):
        raise UnreadableFormError(
            f"{what} are {list(said)}, which is not what is written on the sheets: look at the pictures again, and if "
            "you see none, say so and stop"
        )
