"""The upper level: how what the robot does differs from what the video shows, in names that can be acted on.

The scheme of "A Language-Model-Assisted Bi-Level Programming for Reward Learning from Internet Videos" (2024): a
vision-language model compares, a language model edits. What it says here is typed, and grounded: it is given what was
measured in the video and of the robot, which pictures tell badly (speed, height, timing).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from robot_learn.errors import UserError

MOST_PROBLEMS = 4
_BLOCK = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)


class UnreadableCritiqueError(UserError):
    """A reply that is no critique. The message is meant for the model that wrote it."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Problem(_Strict):
    """One difference."""

    problem: str = Field(
        min_length=3, max_length=400, description="what the robot does and the video does not, or not so"
    )
    body_part: str = Field(min_length=2, max_length=80, description="which part of the body shows it")
    phase: str = Field(min_length=2, max_length=80, description="when: push-off, flight, landing, all the time, ...")
    quantity: Literal["speed", "height", "posture", "rotation", "timing", "contact", "amplitude", "symmetry", "effort"]
    direction: Literal["more", "less", "earlier", "later", "steadier", "reverse"]
    confidence: float = Field(ge=0.0, le=1.0)


class Critique(_Strict):
    """What a model says of a video and a rollout."""

    video_codes: tuple[str, ...] = Field(description="the three digits on each sheet of the video, in order")
    robot_codes: tuple[str, ...] = Field(description="the three digits on each sheet of the robot, in order")
    video: str = Field(min_length=10, max_length=800, description="what the body in the video does")
    robot: str = Field(min_length=10, max_length=800, description="what the robot does")
    likeness: float = Field(ge=0.0, le=10.0, description="10: the same motion as far as their bodies allow")
    keep: tuple[str, ...] = Field(default=(), max_length=6, description="what is right and must stay")
    problems: tuple[Problem, ...] = Field(max_length=MOST_PROBLEMS, description="the most important first")


def read_critique(text: str, *, video_codes: Sequence[str], robot_codes: Sequence[str]) -> Critique:
    """The critique in a reply, whose sheets carried these numbers.

    Raises:
        UnreadableCritiqueError: it is none, or its author did not see the pictures.
    """
    found = _BLOCK.findall(text)
    if len(found) != 1:
        raise UnreadableCritiqueError(f"wanted exactly one ```json block in the reply, came {len(found)}")
    try:
        critique = Critique.model_validate_json(found[0])
    except ValidationError as error:
        raise UnreadableCritiqueError(f"the critique is not in the form that was asked for:\n{faults(error)}") from None
    for what, said, wanted in (
        ("video", critique.video_codes, video_codes),
        ("robot", critique.robot_codes, robot_codes),
    ):
        if tuple(said) != tuple(wanted):
            raise UnreadableCritiqueError(
                f"{what}_codes are {list(said)}, which is not what is written on the sheets of the {what}: look at the "
                "pictures again, and if you see none, say so and stop"
            )
    return critique


def faults(error: ValidationError) -> str:
    """What a schema refused: key, what was wanted, what came."""
    lines = []
    for fault in error.errors(include_url=False):
        key = ".".join(str(part) for part in fault["loc"]) or "(the whole)"
        came = json.dumps(fault.get("input"), default=str)
        lines.append(f"- {key}: {fault['msg']}; came {came[:120]}")
    return "\n".join(lines)


def form(model: type[BaseModel]) -> str:
    """A schema as JSON, for a prompt."""
    return json.dumps(model.model_json_schema(), indent=1)
