"""Replies of real models, stored verbatim and found by the hash of the exact prompt.

A folder of recordings holds one readable JSON file per prompt (`LABEL-HASH.json`: the prompt in full, and its replies
by sample number) and `images/` with the PNG files of the prompts. The prompt is hashed again when a file is read, so a
recording can only ever answer the prompt that it was made from.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rewards.models.messages import Client, Message, Reply, Request, file_stem, image_hash, prompt_hash
from robot_learn.errors import UserError

SHIPPED = Path(__file__).parent.parent / "recordings"

HOW_TO_ASK = (
    "to ask a model, name one: openai:MODEL (key in OPENAI_API_KEY; OPENAI_BASE_URL for your own vLLM, Ollama or "
    "llama.cpp server), anthropic:MODEL (key in ANTHROPIC_API_KEY), or mailbox:FOLDER (writes the prompt to a file and "
    "takes the reply from one; needs no network)"
)

_FORMAT = 1
FIRST_TURN = 2  # messages of a conversation in which nothing was answered yet
SHOWN = 8  # names of a list, in a message


class NotRecordedError(UserError):
    """Nobody recorded a reply to this prompt, or not this sample of it."""


@dataclass(frozen=True)
class Recording:
    """One prompt and the replies that it got."""

    label: str
    messages: tuple[Message, ...]
    replies: dict[int, Reply] = field(default_factory=dict)  # by sample number
    settings: dict[int, dict[str, float | int]] = field(default_factory=dict)  # by sample number


@dataclass(frozen=True)
class Recordings:
    """The back end that answers from a folder of recordings."""

    folder: Path = SHIPPED

    @property
    def spec(self) -> str:
        return "recordings" if self.folder == SHIPPED else f"recordings:{self.folder}"

    def labels(self) -> set[str]:
        """What there are recordings of, e.g. task names."""
        return {str(json.loads(path.read_bytes())["label"]) for path in sorted(self.folder.glob("*.json"))}

    def complete(self, request: Request) -> Reply:
        """The recorded reply, bit for bit.

        Raises:
            NotRecordedError: this prompt, or this sample of it, is not recorded.
        """
        recording = load(self.folder, request)
        if recording is not None and request.sample in recording.replies:
            return recording.replies[request.sample]
        raise NotRecordedError(_missing(self.folder, request, recording))


@dataclass(frozen=True)
class Recorded:
    """A live back end whose replies are recorded as they come.

    A sample that this back end has answered before is not asked again, so an interrupted conversation goes on where it
    stopped; a sample that another back end has answered is refused before anything is asked.
    """

    client: Client
    folder: Path

    @property
    def spec(self) -> str:
        return self.client.spec

    def complete(self, request: Request) -> Reply:
        recording = load(self.folder, request)
        known = None if recording is None else recording.replies.get(request.sample)
        if known is not None and known.source == self.spec:
            return known
        if known is not None:
            raise UserError(_taken(self.folder, request, known))
        reply = self.client.complete(request)
        add(self.folder, request, reply)
        return reply


def recorded(client: Client, folder: Path | str) -> Recorded:
    """`client`, with every reply recorded in `folder`."""
    return Recorded(client, Path(folder))


def add(folder: Path, request: Request, reply: Reply) -> Path:
    """Store the reply to a request and return the file. The same reply twice is stored once.

    Raises:
        UserError: another reply is recorded as this sample.
    """
    recording = load(folder, request) or Recording(request.label, request.messages)
    known = recording.replies.get(request.sample)
    if known is not None and known.text != reply.text:
        raise UserError(_taken(folder, request, known))
    if known is None:
        recording.replies[request.sample] = reply
        recording.settings[request.sample] = request.settings()
        _save(folder, recording)
    return _path(folder, request.label, request.prompt_hash)


def load(folder: Path, request: Request) -> Recording | None:
    """What is recorded for a prompt, whatever label it was recorded under; None when nothing is.

    The pictures are those of the request, so recordings of many large ones replay without them in the folder.

    Raises:
        UserError: a file was edited: its prompt is not the one of its hash.
    """
    for path in sorted(folder.glob(f"*-{request.prompt_hash[:16]}.json")):
        return read(path, [image for message in request.messages for image in message.images])
    return None


def read(path: Path, images: Sequence[bytes] = ()) -> Recording:
    """One file of recordings.

    Args:
        images: PNG files that need not be read again.

    Raises:
        UserError: it is none, or was edited, or a picture is missing.
    """
    document, known = _read_json(path), {image_hash(image): image for image in images}
    try:
        messages = tuple(
            Message(
                turn["role"],
                "\n".join(turn["text"]),
                tuple(known.get(digest) or _image(path, digest) for digest in turn["images"]),
            )
            for turn in document["messages"]
        )
        replies = {entry["sample"]: Reply.from_json("\n".join(entry["text"]), entry) for entry in document["replies"]}
        settings = {entry["sample"]: entry["settings"] for entry in document["replies"]}
        recording = Recording(document["label"], messages, replies, settings)
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: not a recording: {error!r} is missing or of another type") from error
    if not prompt_hash(messages).startswith(path.stem.rpartition("-")[2]):
        raise UserError(f"{path}: its prompt was changed since it was recorded; restore the file or delete it")
    return recording


def listing(folder: Path) -> dict[str, list[str]]:
    """Labels of all recordings in a folder, and the first 16 digits of the hashes of their prompts."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.json")):
        found.setdefault(_read_json(path)["label"], []).append(path.stem.rpartition("-")[2])
    return found


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file or nothing; line ends are kept as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    partial.write_bytes(content if isinstance(content, bytes) else content.encode())
    partial.replace(path)


def _save(folder: Path, recording: Recording) -> None:
    digest = prompt_hash(recording.messages)
    for message in recording.messages:
        for image in message.images:
            write_atomically(_image_path(folder, image_hash(image)), image)
    replies = [
        {"sample": sample, **reply.provenance(), "settings": recording.settings[sample], "text": _lines(reply.text)}
        for sample, reply in sorted(recording.replies.items())
    ]
    document = {
        "format": _FORMAT,
        "label": recording.label,
        "prompt_hash": digest,
        "replies": replies,
        "messages": [{**message.as_json(), "text": _lines(message.text)} for message in recording.messages],
    }
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    write_atomically(_path(folder, recording.label, digest), text)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path}: not a recording: {error}") from error
    if not isinstance(document, dict) or document.get("format") != _FORMAT or "label" not in document:
        raise UserError(f"{path}: not a recording of format {_FORMAT}")
    return document


def _image(path: Path, digest: str) -> bytes:
    file = _image_path(path.parent, digest)
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: its image {file} cannot be read: {error.strerror}") from error


def _image_path(folder: Path, digest: str) -> Path:
    return folder / "images" / f"{digest}.png"


def _path(folder: Path, label: str, digest: str) -> Path:
    existing = sorted(folder.glob(f"*-{digest[:16]}.json"))
    return existing[0] if existing else folder / f"{file_stem(label, digest)}.json"


def _lines(text: str) -> list[str]:
    """One JSON string per line, so that people can read the file; joined by line feeds it is the text again."""
    return text.split("\n")


def _taken(folder: Path, request: Request, known: Reply) -> str:
    return (
        f"sample {request.sample} of this prompt for {request.label or 'no label'!r} is recorded already, from "
        f"{known.model}, in {_path(folder, request.label, request.prompt_hash)}; choose another sample number"
    )


def _missing(folder: Path, request: Request, recording: Recording | None) -> str:
    """What was wanted, what is recorded, what to do."""
    wanted = f"no recorded reply for {request.label or 'this prompt'!r} (prompt {request.prompt_hash[:16]}"
    wanted += f", sample {request.sample})"
    known = listing(folder)
    names = sorted(known)
    if recording is None and len(request.messages) > FIRST_TURN:
        return f"{wanted}: this conversation was not recorded, only others were; {HOW_TO_ASK}"
    if recording is not None:
        have = f"recorded samples of this prompt: {', '.join(str(sample) for sample in sorted(recording.replies))}"
    elif request.label in known:
        have = f"recorded for {request.label!r} is another prompt ({', '.join(known[request.label])}): it has changed"
    else:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        have = f"recorded: {', '.join(names[:SHOWN]) or 'nothing'}{more} (in {folder})"
    return f"{wanted}; {have}; {HOW_TO_ASK}"
