"""The upper level: how what the robot does differs from what the video shows, in names that can be acted on.

The scheme of "A Language-Model-Assisted Bi-Level Programming for Reward Learning from Internet Videos" (2024): a
vision-language model compares, a language model edits. What it says here is typed, and grounded: it is given what was
measured in the video and of the robot, which pictures tell badly (speed, height, timing).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from rewards.video.forms import Form, check_codes, read_form

MOST_PROBLEMS = 4


class Problem(Form):
    """One difference."""

    problem: str = Field(
        min_length=3, max_length=400, description="what the robot does and the video does not, or not so"
    )
    body_part: str = Field(min_length=2, max_length=80, description="which part of the body shows it")
    phase: str = Field(min_length=2, max_length=80, description="when: push-off, flight, landing, all the time, ...")
    quantity: Literal["speed", "height", "posture", "rotation", "timing", "contact", "amplitude", "symmetry", "effort"]
    direction: Literal["more", "less", "earlier", "later", "steadier", "reverse"]
    confidence: float = Field(ge=0.0, le=1.0)


class Critique(Form):
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
        UnreadableFormError: it is none, or its author did not see the pictures.
    """
    critique = read_form(text, Critique)
    check_codes("video_codes", critique.video_codes, video_codes)
    check_codes("robot_codes", critique.robot_codes, robot_codes)
    return critique
