"""What a video shows, in words, before there is a robot: from this the first reward is written."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from rewards.models.messages import Message
from rewards.video.forms import Form, check_codes, read_form
from rewards.video.prompts import Shown

_SYSTEM = """\
You watch a video of a body in motion and say what it does, so that somebody who does not see it can have a robot of
another build move like it. Each picture is a sheet of frames, numbered, with the time of each, and in its upper left
corner a number of three digits.

Say what you see, not what you expect: which way it faces, which limbs are on the ground in each frame, whether it
rises, turns or travels, and in what order. Say it in words that any body understands (torso, limbs, ground, forward),
not in names of sports or animals. Where pictures cannot tell (rhythm, how quickly it rises), trust the figures. Looks,
colours and camera do not matter.

Answer with one ```json block of this schema and nothing after it:

{form}"""

_USER = """\
# The video

{count} sheet(s), {seconds:.1f} s of it, filmed at {fps:g} frames a second. {phase}

# What was measured

{figures}

Describe."""


class Description(Form):
    """What a model says of a video alone."""

    codes: tuple[str, ...] = Field(description="the three digits on every sheet, in order")
    body: str = Field(
        min_length=5, max_length=300, description="what moves: its torso, and how many limbs it stands on"
    )
    motion: str = Field(min_length=10, max_length=800, description="what it does, from the first frame to the last")
    phases: tuple[str, ...] = Field(min_length=1, max_length=8, description="in their order, one sentence each")
    travels: str = Field(min_length=2, max_length=200, description="where to and how quickly, or that it stays")
    contacts: str = Field(min_length=2, max_length=300, description="which limbs touch the ground, when, and together")
    posture: str = Field(min_length=2, max_length=300, description="how the torso is held: height, lean, turning")
    never: tuple[str, ...] = Field(default=(), max_length=6, description="what it plainly does not do")

    def text(self) -> str:
        """For the editor, who sees no picture."""
        return self.model_dump_json(indent=1, exclude={"codes"})


def describe(video: Shown, figures: str) -> tuple[Message, ...]:
    """Asks what a video shows."""
    phase = "" if video.period is None else f"The frames show even phases of its stride of {video.period:.2f} s."
    text = _USER.format(
        count=len(video.sheets),
        seconds=video.seconds,
        fps=round(video.fps, 2),
        phase=phase or "The frames are where most of the motion is.",
        figures=figures,
    )
    return Message("system", _SYSTEM.format(form=Description.asked())), Message("user", text, video.pictures)


def read_description(text: str, codes: Sequence[str]) -> Description:
    """Raises:
    UnreadableFormError: it is no description, or its author did not see the pictures.
    """
    found = read_form(text, Description)
    check_codes("codes", found.codes, codes)
    return found
