"""A mailbox: the prompt goes to a file and the reply comes from one, for labs without a network.

Under the mailbox folder each prompt has a folder of its own, named by its label and hash:

    prompt.txt     the whole conversation, to be handed to a model as it is, with image_1.png, image_2.png ...
    request.json   the same for machines
    reply.txt      the model's reply, verbatim, put there by whoever carries it (reply_1.txt for sample 1, and so on)
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewards.models import recordings
from rewards.models.messages import Message, Reply, Request, file_stem, image_hash, prompt_hash, transcript
from robot_learn.errors import UserError

_POLL_S = 0.5
_UNNAMED = "unnamed (by mailbox)"


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


class NoReplyError(UserError):
    """The prompt lies in the mailbox, and nobody has answered it yet."""


@dataclass(frozen=True)
class Mailbox:
    """The back end that asks through files.

    `wait_s` is how long to wait for a reply: None waits for ever at a terminal and not at all elsewhere, so that a
    script never hangs; 0 never waits: the prompt is written and the error names the file to fill in.
    """

    folder: Path
    wait_s: float | None = None
    say: Callable[[str], None] = _say

    @property
    def spec(self) -> str:
        return f"mailbox:{self.folder}"

    def complete(self, request: Request) -> Reply:
        """The reply that lies in the mailbox, once it is there.

        Raises:
            NoReplyError: there is none in time.
            UserError: it is not UTF-8 text.
        """
        place = self.folder / file_stem(request.label, request.prompt_hash)
        reply_file = place / _reply_name(request.sample)
        _post(place, request)
        if not _has_text(reply_file):
            self._wait(place, reply_file, request.refused)
        date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(reply_file.stat().st_mtime))
        return Reply(_read_text(reply_file), _UNNAMED, date, "mailbox")

    def _wait(self, place: Path, reply_file: Path, refused: int) -> None:
        again = f"reply {refused} was refused, and why stands at the end of the next prompt: " if refused else ""
        wanted = f"{again}give {place / 'prompt.txt'} to a model and put its whole reply, unchanged, into {reply_file}"
        wait_s = self.wait_s
        if wait_s is None:
            wait_s = float("inf") if sys.stdin is not None and sys.stdin.isatty() else 0.0
        if wait_s <= 0:
            raise NoReplyError(f"no reply in the mailbox: {wanted}, then run the same command again")
        limit = "Ctrl-C stops waiting" if wait_s == float("inf") else f"waiting for {wait_s:g} s"
        self.say(f"mailbox: {wanted} ({limit})")
        deadline = time.monotonic() + wait_s
        size = 0
        while True:
            # A reply counts as complete when it has not grown between two looks.
            size_before, size = size, reply_file.stat().st_size if _has_text(reply_file) else 0
            if size and size == size_before:
                return
            if time.monotonic() >= deadline:
                raise NoReplyError(f"no reply in the mailbox within {wait_s:g} s: {wanted}, then run the command again")
            time.sleep(_POLL_S)


def record_mailbox(
    folder: Path | str, recordings_dir: Path | str, *, model: str, date: str | None = None
) -> list[Path]:
    """Turn every answered prompt of a mailbox into recordings, verbatim, and return their files.

    `model` names who replied; `date` is ISO 8601 and defaults to when each reply file was written.

    Raises:
        UserError: nothing is answered, or a prompt was edited after it was written, so the reply is to something else.
    """
    if not model.strip():
        raise UserError("a recording says which model replied: name it")
    written = []
    for place in sorted(path.parent for path in Path(folder).glob("*/request.json")):
        messages, label, samples = _read_request(place)
        for sample, settings in samples.items():
            reply_file = place / _reply_name(sample)
            if not _has_text(reply_file):
                continue
            day = date or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(reply_file.stat().st_mtime))
            reply = Reply(_read_text(reply_file), model, day, "mailbox")
            request = Request(messages, label=label, sample=sample, **settings)
            written.append(recordings.add(Path(recordings_dir), request, reply))
    if not written:
        raise UserError(f"no answered prompt in the mailbox {folder}: wanted FOLDER/*/request.json with a reply.txt")
    return written


def _post(place: Path, request: Request) -> None:
    """Write the prompt; a prompt that is there already gains the sample."""
    samples: dict[int, Any] = {request.sample: request.settings()}
    if (place / "request.json").exists():
        samples = {**_read_request(place)[2], **samples}
    images = [image for message in request.messages for image in message.images]
    for number, image in enumerate(images, start=1):
        recordings.write_atomically(place / f"image_{number}.png", image)
    recordings.write_atomically(place / "prompt.txt", transcript(request.messages))
    document = {
        "label": request.label,
        "samples": {str(sample): samples[sample] for sample in sorted(samples)},
        "messages": [message.as_json() for message in request.messages],
    }
    recordings.write_atomically(place / "request.json", json.dumps(document, indent=1) + "\n")


def _read_request(place: Path) -> tuple[tuple[Message, ...], str, dict[int, Any]]:
    """Messages, label and the settings of each sample that was asked for, with the files checked against each other."""
    path = place / "request.json"
    try:
        document = json.loads(path.read_bytes())
        images = iter(sorted(place.glob("image_*.png"), key=lambda file: int(file.stem.rpartition("_")[2])))
        messages = tuple(
            Message(turn["role"], turn["text"], tuple(next(images).read_bytes() for _ in turn["images"]))
            for turn in document["messages"]
        )
        samples = {int(sample): settings for sample, settings in document["samples"].items()}
        hashes = [digest for turn in document["messages"] for digest in turn["images"]]
        label = str(document["label"])
    except (KeyError, TypeError, ValueError, StopIteration, RuntimeError) as error:
        raise UserError(f"{path}: not a request that this mailbox wrote: {error!r}") from error
    shown = [image_hash(image) for message in messages for image in message.images]
    same_prompt = (place / "prompt.txt").read_bytes() == transcript(messages).encode()
    if shown != hashes or not same_prompt or not place.name.endswith(prompt_hash(messages)[:16]):
        raise UserError(f"{place}: prompt or images were changed since they were written: delete the folder, ask again")
    return messages, label, samples


def _reply_name(sample: int) -> str:
    return "reply.txt" if sample == 0 else f"reply_{sample}.txt"


def _has_text(path: Path) -> bool:
    return path.is_file() and bool(path.read_bytes().strip())


def _read_text(path: Path) -> str:
    """The file verbatim, line ends included."""
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: a reply is UTF-8 text; byte {error.start} is not") from error
