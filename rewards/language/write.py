"""From a task to a checked reward program: ask, check, hand the errors back, and keep where it came from."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from rewards.language.prompt import examples_in
from rewards.models.messages import Client, Message, Reply, Request, transcript
from rewards.models.recordings import write_atomically
from robot_learn.errors import UserError
from robot_learn.types import Task

P = TypeVar("P")

_FENCE = re.compile(r"^[ ]{0,3}(`{3,}|~{3,})[ \t]*([\w+-]*)[^\n`]*$")
_REWARD = re.compile(r"^def\s+reward\b", re.MULTILINE)
_PYTHON = ("python", "py", "python3")

_REPAIR = "{error}\n\nMend this and answer with the whole program again, in exactly one fenced ```python block."


class NoProgramError(UserError):
    """A reply without a program in it. The message is meant for the model that wrote it."""


class NotWrittenError(UserError):
    """No reply passed the check."""

    def __init__(self, text: str, attempts: tuple[Attempt, ...], transcript: str) -> None:
        super().__init__(text)
        self.attempts = attempts
        self.transcript = transcript  # the whole conversation


@dataclass(frozen=True)
class Attempt:
    """One reply and what the check said."""

    prompt_hash: str
    reply: Reply
    error: str | None  # None: the program was accepted


@dataclass(frozen=True)
class WrittenReward(Generic[P]):
    """A program that a language model wrote and that passed the check, with all that was said on the way."""

    program: P  # what `check` returned
    text: str  # the program as the model wrote it
    task_name: str
    sample: int
    messages: tuple[Message, ...]  # the whole conversation, the accepted reply last
    attempts: tuple[Attempt, ...]

    @property
    def replies(self) -> tuple[Reply, ...]:
        return tuple(attempt.reply for attempt in self.attempts)

    def provenance(self) -> dict[str, Any]:
        """Who wrote the program, when, in answer to what: plain JSON. Few-shot, "examples" are their instructions."""
        counted = [reply.usage for reply in self.replies]
        final = self.replies[-1]
        examples = examples_in(self.messages)
        return {
            "task": self.task_name,
            "model": final.model,
            "date": final.date,
            "source": final.source,
            "prompt_hash": self.attempts[0].prompt_hash,
            "sample": self.sample,
            **({"examples": list(examples)} if examples else {}),
            "program_sha256": hashlib.sha256(self.text.encode()).hexdigest(),
            "usage": {
                "input_tokens": _total([usage.input_tokens for usage in counted]),
                "output_tokens": _total([usage.output_tokens for usage in counted]),
            },
            "attempts": [
                {"prompt_hash": attempt.prompt_hash, **attempt.reply.provenance(), "error": attempt.error}
                for attempt in self.attempts
            ],
        }

    def save(self, folder: Path | str) -> None:
        """Write reward.py, prompt.txt, reply.txt (all rounds, when there were repairs), provenance.json, and
        conversation.json, from which `load_conversation` goes on.
        """
        folder = Path(folder)
        conversation = [{"role": message.role, "text": message.text} for message in self.messages]
        opening = len(self.messages) - 2 * len(self.attempts) + 1  # before the first reply
        write_atomically(folder / "reward.py", self.text)
        write_atomically(folder / "prompt.txt", transcript(self.messages[:opening]))
        rounds = self.messages[opening:]
        write_atomically(folder / "reply.txt", rounds[0].text if len(rounds) == 1 else transcript(rounds))
        write_atomically(folder / "conversation.json", json.dumps(conversation, indent=1, ensure_ascii=False) + "\n")
        write_atomically(folder / "provenance.json", json.dumps(self.provenance(), indent=1) + "\n")


def converse(
    task: Task,
    messages: tuple[Message, ...],
    client: Client,
    *,
    check: Callable[[str], P],
    max_repairs: int = 3,
    sample: int = 0,
    folder: Path | str | None = None,
    temperature: float | None = None,
    seed: int | None = None,
) -> WrittenReward[P]:
    """Go on with a conversation, whose last message is the user's, until a reply holds a program that passes the check.

    A reply that does not pass the check gets the check's own words back, at most `max_repairs` times. Each round is a
    longer conversation with a hash of its own, so a recorded repair replays like any other reply.

    Args:
        check: makes a program of a text, or raises a UserError that tells the model what to mend.
        max_repairs: how many replies beyond the first may be asked for.
        sample: which of several replies to the same prompt.
        folder: where the transcript of a failure is put, as transcript.txt.
        temperature, seed: for live back ends.

    Raises:
        NotWrittenError: no reply passed the check; the error lists what was wrong with each.
        UserError: the client has no reply.
    """
    attempts: list[Attempt] = []
    for _ in range(max_repairs + 1):
        request = Request(messages, task.name, sample, temperature, seed, refused=len(attempts))
        reply = client.complete(request)
        # An empty turn is refused by some endpoints, and would read badly in a transcript.
        messages += (Message("assistant", reply.text if reply.text.strip() else "(empty reply)"),)
        try:
            text = extract_code(reply)
            program = check(text)
        except UserError as error:
            attempts.append(Attempt(request.prompt_hash, reply, str(error)))
            messages += (Message("user", _REPAIR.format(error=error)),)
            continue
        attempts.append(Attempt(request.prompt_hash, reply, None))
        return WrittenReward(program, text, task.name, sample, messages, tuple(attempts))
    raise _not_written(task, messages[:-1], tuple(attempts), folder)


def load_conversation(folder: Path | str) -> tuple[Message, ...] | None:
    """The conversation that a saved program came from, its accepted reply last; None where none is kept."""
    path = Path(folder) / "conversation.json"
    if not path.is_file():
        return None
    try:
        return tuple(Message(turn["role"], turn["text"]) for turn in json.loads(path.read_bytes()))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a conversation: {error!r}") from error


def extract_code(reply: Reply | str) -> str:
    """The program in a reply: its fenced Python block, or the whole reply when that is bare code.

    Of several blocks the last one that defines `reward` counts, since models correct themselves as they write. A fence
    that is never closed reaches to the end of the reply.

    Raises:
        NoProgramError: there is no block that defines `reward`; the message tells the model what to do.
    """
    text = reply if isinstance(reply, str) else reply.text
    cut_off = not isinstance(reply, str) and reply.finish_reason == "length"
    plain = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    blocks = _blocks(plain)
    found = [block.code for block in blocks if _REWARD.search(block.code)]
    if cut_off and (not found or not blocks[-1].closed):
        raise NoProgramError("the reply was cut off at its token limit; reason less and give the whole program")
    if found:
        return found[-1]
    if not blocks and plain.lstrip().startswith(("def ", "#", '"""', "import ", "from ")) and _REWARD.search(plain):
        return plain.strip("\n") + "\n"
    if any(block.language in _PYTHON for block in blocks):
        raise NoProgramError("the Python block of the reply does not define the function reward(scene, action)")
    raise NoProgramError("the reply has no fenced ```python block that defines the function reward(scene, action)")


@dataclass(frozen=True)
class _Block:
    """A fenced block of a reply."""

    language: str  # after the opening fence, in small letters
    code: str
    closed: bool


def _blocks(text: str) -> list[_Block]:
    blocks: list[_Block] = []
    fence, language = "", ""
    lines: list[str] = []
    for line in text.split("\n"):
        match = _FENCE.match(line)
        if not fence and match:
            fence, language, lines = match[1], match[2].lower(), []
        elif fence and match and match[1].startswith(fence) and not match[2]:
            blocks.append(_Block(language, "\n".join(lines).strip("\n") + "\n", closed=True))
            fence = ""
        elif fence:
            lines.append(line)
    if fence:
        blocks.append(_Block(language, "\n".join(lines).strip("\n") + "\n", closed=False))
    return blocks


def _total(counts: list[int | None]) -> int | None:
    """The sum, or None where an endpoint did not count."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _not_written(
    task: Task, messages: tuple[Message, ...], attempts: tuple[Attempt, ...], folder: Path | str | None
) -> NotWrittenError:
    whole = transcript(messages)
    where = "name a folder to keep the transcript"
    if folder is not None:
        path = Path(folder) / "transcript.txt"
        write_atomically(path, whole)
        where = f"transcript: {path}"
    model = attempts[-1].reply.model
    errors = "\n".join(f"reply {number}: {attempt.error}" for number, attempt in enumerate(attempts, start=1))
    count = f"{len(attempts)} replies" if len(attempts) > 1 else "the only reply"
    text = f"{model} wrote no valid reward for {task.name!r}: {count} did not pass the check; {where}\n{errors}"
    return NotWrittenError(text, attempts, whole)
