"""One model for both levels: it sees the pictures and edits the reward in one breath. For comparison only.

The paper finds .38 of the expert's score this way, and .92 where one model compares and another one edits.
"""

from __future__ import annotations

from collections.abc import Sequence

from rewards.language.prompt import schema_text
from rewards.models.messages import Message
from rewards.video.edits import EditsForm
from rewards.video.prompts import Shown
from rewards.video.terms import MOST_TERMS, Terms
from robot_learn.types import Task

_SYSTEM = """\
You write the reward by which a robot learns, in simulation, to move like a body in a video. You see the video and what
the robot does now. Their bodies, colours and cameras differ, and that does not matter: what counts is the motion. The
reward is a sum of named terms, each a function of its own. You change it by edits of terms: add, rewrite, weigh,
remove. A policy is then trained from scratch on the new reward, for about a million steps. Each picture is a sheet of
frames, numbered, with the time of each.

1. Mend the difference that matters most. Give {wanted} alternatives that differ in what they try.
2. A term is felt from where the robot is now. Bounded, about 0 to 1, times a weight. Where an episode ends with a fall,
   a step must be worth more than no step.
3. At most {most} terms. A term's code ends in `def NAME(scene, action):`, which returns one number; constants and
   helpers before it have names that begin with NAME_. What shall cost is negative in the code; weights are above 0.

Reason first, at most 15 lines. Then answer with one ```json block of this schema and nothing after it:

{form}

# The language of the code

{reference}"""

_USER = """\
# What a reward can read

{schema}

One step is {dt:g} s; an episode lasts at most {steps} steps.

# The reward now

{reward}

# What was measured

{figures}

# What was tried before

{history}

# The pictures

The first {video_count} sheet(s) show the video, {robot}.

Edit the reward."""


def edit_seen(
    task: Task,
    terms: Terms | None,
    video: Shown,
    robot: Shown | None,
    figures: str,
    history: Sequence[str],
    reference: str,
    *,
    wanted: int,
) -> tuple[Message, ...]:
    """Asks one model to look and to edit; without a robot there is no reward yet."""
    now = "There is none yet: every edit adds a term." if terms is None else f"```python\n{terms.program()}```"
    text = _USER.format(
        schema=schema_text(task),
        dt=task.control_dt,
        steps=task.max_episode_steps,
        reward=now,
        figures=figures or "Nothing.",
        history="\n".join(f"- {each}" for each in history) or "Nothing.",
        video_count=len(video.sheets),
        robot="there is no robot yet" if robot is None else f"the others the robot, {', '.join(robot.views)}",
    )
    pictures = (*video.pictures, *(() if robot is None else robot.pictures))
    system = _SYSTEM.format(wanted=wanted, most=MOST_TERMS, form=EditsForm.asked(), reference=reference.strip())
    return Message("system", system), Message("user", text, pictures)
