"""What models are asked: to compare a robot with a video, to edit its reward, to judge blindly which robot is closer.

Nobody is told what the task is: the video alone says it. The comparing model sees sheets of frames and what was
measured; the editing model sees no picture, but the scene, the reward and the critique.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rewards.language.prompt import schema_text
from rewards.models.messages import Message
from rewards.video.critique import MOST_PROBLEMS, Critique
from rewards.video.edits import EditsForm
from rewards.video.judge import RankingForm, VerdictForm
from rewards.video.sheets import Sheet
from rewards.video.terms import MOST_TERMS, Terms
from robot_learn.types import Task

_COMPARE = """\
You watch a video of a body in motion and a robot in simulation that learns to move like it, and say how they differ.
Their bodies, colours, sizes and cameras differ, and that does not matter: what counts is the motion, as far as the
robot's body can do it. Each picture is a sheet of frames, numbered, with the time of each, and in its upper left
corner a number of three digits.

Say what you see, not what you expect: look first which way it faces, which limbs are on the ground in each frame,
whether it rises, turns or travels. Where pictures cannot tell (speed, height, rhythm), trust the figures: of both films
the same was measured, in the same units, so that the ground which goes by more slowly means a robot that is too slow,
unless its camera stands much further off. Name at most {most} problems, the one that matters most first, each with the
part of the body, the phase of the motion, the quantity that is off, and the direction in which it must change. Say what
is right and must be kept.

Answer with one ```json block of this schema and nothing after it:

{form}"""

_COMPARED = """\
# The video

{video_count} sheet(s), {video_seconds:.1f} s of it, filmed at {video_fps:g} frames a second. {video_phase}

# The robot

{robot_count} sheet(s), in this order: {views}. What its body has: {body}.

# What was measured

{figures}

Compare."""

_EDIT = """\
You write the reward by which a robot learns, in simulation, to move like a body in a video. You do not see the video:
somebody who does tells you how the robot differs from it. The reward is a sum of named terms, each a function of its
own. You change it by edits of terms: add, rewrite, weigh, remove. {training}

1. Mend the problem that matters most; touch nothing that is said to be right.
2. Give {wanted} alternatives that differ in what they try, from the most careful edit to the boldest. They are tried
   beside each other and the best is kept, so they should not all be right for the same reason.
3. A term is felt from where the robot is now: its slope must not vanish there. Bounded, about 0 to 1, times a weight.
   Where an episode ends with a fall, a step must be worth more than no step.
4. Pay for what a body does, in quantities that the scene has: speeds from the change of a position over a step, phases
   of a rhythm from signals that repeat. Time itself is not in the scene.
5. At most {most} terms. A term's code ends in `def NAME(scene, action):`, which returns one number; constants and
   helpers before it have names that begin with NAME_. What shall cost is negative in the code; weights are above 0.

Reason first, at most 15 lines. Then answer with one ```json block of this schema and nothing after it:

{form}

# The language of the code

{reference}"""

_SCRATCH = "A policy is then trained from scratch on the new\nreward, for about a million steps."
_WARM = "The policy that the robot has\nnow is then trained on with the new reward, for about a million steps."
_EDITED = """\
# What a reward can read

{schema}

One step is {dt:g} s; an episode lasts at most {steps} steps.

# The reward now

{reward}

# What the video shows, and how the robot differs

{critique}

# What was measured

{figures}

# What was tried before

{history}

Edit the reward."""

_JUDGE = """\
You see a video of a body in motion and two robots in simulation, A and B, of the same body as each other. Which one
moves more like the video? Their looks do not matter, nor does the camera: only the motion does. Falling, lying or
standing still is never like a motion. Each picture is a sheet of frames with the time of each, and in its upper left
corner a number of three digits. Where pictures cannot tell (speed, rhythm), trust the figures, which were measured of
all films in the same way.

Answer with one ```json block of this schema and nothing after it:

{form}"""

_RANK = """\
You see a video of a body in motion and {count} robots in simulation, all of one body, numbered in the order of their
sheets. Which move more like the video? Looks and cameras do not matter: only the motion does. Falling, lying or
standing still is never like a motion. Each picture is a sheet of frames with the time of each, and in its upper left
corner a number of three digits. Where pictures cannot tell (speed, rhythm), trust the figures, which were measured of
all films in the same way.

Answer with one ```json block of this schema and nothing after it:

{form}"""


@dataclass(frozen=True, eq=False)
class Shown:
    """Sheets of one motion, and how they came about."""

    sheets: tuple[Sheet, ...]
    views: tuple[str, ...]  # of each sheet: "from the side"
    seconds: float
    fps: float
    period: float | None = None

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(sheet.code for sheet in self.sheets)

    @property
    def pictures(self) -> tuple[bytes, ...]:
        return tuple(sheet.picture for sheet in self.sheets)


def compare(task: Task, video: Shown, robot: Shown, figures: str) -> tuple[Message, ...]:
    """Asks for a critique: the sheets of the video first, then those of the robot."""
    phase = "" if video.period is None else f"The frames show even phases of its stride of {video.period:.2f} s."
    text = _COMPARED.format(
        video_count=len(video.sheets),
        video_seconds=video.seconds,
        video_fps=round(video.fps, 2),
        video_phase=phase or "The frames are where most of the motion is.",
        robot_count=len(robot.sheets),
        views=", ".join(robot.views),
        body=", ".join(task.schema.groups()),
        figures=figures,
    )
    system = _COMPARE.format(most=MOST_PROBLEMS, form=Critique.asked())
    return Message("system", system), Message("user", text, (*video.pictures, *robot.pictures))


def edit(
    task: Task,
    terms: Terms | None,
    critique: Critique | str,
    figures: str,
    history: Sequence[str],
    reference: str,
    *,
    wanted: int,
    warm: bool = False,
) -> tuple[Message, ...]:
    """Asks for alternatives; before the first reward the critique is what the video shows, in words."""
    said = (
        critique
        if isinstance(critique, str)
        else critique.model_dump_json(indent=1, exclude={"video_codes", "robot_codes"})
    )
    now = "There is none yet: every edit adds a term." if terms is None else f"```python\n{terms.program()}```"
    text = _EDITED.format(
        schema=schema_text(task),
        dt=task.control_dt,
        steps=task.max_episode_steps,
        reward=now,
        critique=said,
        figures=figures or "Nothing yet.",
        history="\n".join(f"- {each}" for each in history) or "Nothing.",
    )
    training = _WARM if warm else _SCRATCH
    form = EditsForm.asked()
    system = _EDIT.format(wanted=wanted, most=MOST_TERMS, form=form, reference=reference.strip(), training=training)
    return Message("system", system), Message("user", text)


def judge(video: Shown, a: Shown, b: Shown, figures: Sequence[str]) -> tuple[Message, ...]:
    """Asks which of two is closer; nothing says which is the newer. Figures are those of the video, of A and of B."""
    text = f"The first {len(video.sheets)} sheet(s) show the video, the next {len(a.sheets)} robot A, the rest robot B."
    pictures = (*video.pictures, *a.pictures, *b.pictures)
    text += _measured(figures, ("Robot A", "Robot B"))
    return Message("system", _JUDGE.format(form=VerdictForm.asked())), Message("user", text, pictures)


def rank(video: Shown, robots: Sequence[Shown], figures: Sequence[str]) -> tuple[Message, ...]:
    """Asks for the order of several, by one sheet each. Figures are those of the video and of each robot."""
    text = f"The first {len(video.sheets)} sheet(s) show the video, the others robots 1 to {len(robots)}, a sheet each."
    pictures = (*video.pictures, *(robot.pictures[0] for robot in robots))
    text += _measured(figures, [f"Robot {number}" for number in range(1, len(robots) + 1)])
    system = _RANK.format(count=len(robots), form=RankingForm.asked())
    return Message("system", system), Message("user", text, pictures)


def _measured(figures: Sequence[str], names: Sequence[str]) -> str:
    parts = [f"## {name}\n\n{told}" for name, told in zip(("The video", *names), figures, strict=True)]
    return "\n\n# What was measured\n\n" + "\n\n".join(parts)
