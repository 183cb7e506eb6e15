"""Few-shot prompts that were recorded: each holds its examples, so it replays whatever becomes of the library."""

from __future__ import annotations

import re

from rewards.language.prompt import examples_in
from rewards.models.messages import Message, file_stem
from rewards.models.recordings import HOW_TO_ASK, Recording, Recordings, read
from robot_learn.errors import UserError


def recorded_prompt(
    recordings: Recordings, label: str, zero_shot: tuple[Message, ...], count: int, sample: int = 0
) -> tuple[Message, ...]:
    """The recorded prompt that is `zero_shot` with `count` examples before it; the oldest, where there are several.

    The oldest, so that what a command replays does not change when further replies are recorded.

    Args:
        recordings: where to look.
        label: the task's name.
        zero_shot: today's prompt of the task without examples.
        count: how many examples.
        sample: of which the reply is wanted.

    Raises:
        UserError: there is none; the message says with how many examples the task is recorded.
    """
    name = re.compile(file_stem(label, "") + r"[0-9a-f]{16}\.json")
    found = [read(path) for path in sorted(recordings.folder.glob("*.json")) if name.fullmatch(path.name)]
    shots = [(len(examples_in(one.messages)), one) for one in found if _is_opening(one, label, zero_shot)]
    dated = [(one.replies[sample].date, one) for shot, one in shots if shot == count and sample in one.replies]
    if dated:
        return min(dated, key=lambda pair: pair[0])[1].messages
    have = ", ".join(f"{shot} (sample {_samples(one)})" for shot, one in sorted(shots, key=lambda pair: pair[0]))
    raise UserError(
        f"no recorded reply for {label!r} with {count} example{'s' if count > 1 else ''}, sample {sample}; "
        f"recorded numbers of examples: {have or 'none'}; {HOW_TO_ASK}"
    )


def _is_opening(recording: Recording, label: str, zero_shot: tuple[Message, ...]) -> bool:
    """Whether a recording is of a task's first prompt, zero-shot or with anything before it."""
    if recording.label != label or len(recording.messages) != len(zero_shot):
        return False
    *before, last = recording.messages
    return tuple(before) == zero_shot[:-1] and last.text.endswith(zero_shot[-1].text)


def _samples(recording: Recording) -> str:
    return ", ".join(str(sample) for sample in sorted(recording.replies))
