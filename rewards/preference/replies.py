"""What a model's reply to a comparison says: read strictly, or refused with words that the model can act on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from robot_learn.errors import UserError

T = TypeVar("T")
Better = Literal["a", "b", "same", "unknown"]

_BETTER: tuple[Better, ...] = ("a", "b", "same", "unknown")
_LABELS = {"a": 0.0, "b": 1.0, "same": 0.5}
_KEYS = {"pair", "better", "confidence"}


class UnreadableError(UserError):
    """A reply that is not in the form that was asked for. The message is meant for the model that wrote it."""


@dataclass(frozen=True)
class Verdict:
    """What was said of one pair."""

    better: Better
    confidence: float = 1.0  # 0 to 1

    def turned(self) -> Verdict:
        """The same of the pair in the other order."""
        other: dict[Better, Better] = {"a": "b", "b": "a"}
        return replace(self, better=other.get(self.better, self.better))


def combine(verdicts: Sequence[Verdict]) -> tuple[float | None, float]:
    """Label, P(second preferred), and confidence from the verdicts on one pair in all orders that it was shown in.

    "unknown" anywhere abstains (None); disagreement is a tie; the confidence is the smallest.
    """
    said = {verdict.better for verdict in verdicts}
    confidence = min(verdict.confidence for verdict in verdicts)
    if "unknown" in said:
        return None, confidence
    return (_LABELS[said.pop()] if len(said) == 1 else 0.5), confidence


def read_sheet(text: str, pairs: int) -> tuple[Verdict, ...]:
    """The verdicts on the pairs of a contact sheet, in order: every line of the reply that begins with a brace is one.

    Raises:
        UnreadableError: a line is no verdict, or a pair has none or several.
    """
    found = read_lines(text, range(1, pairs + 1), "pair", lambda line: _verdict(line, pairs))
    return tuple(found[pair] for pair in range(1, pairs + 1))


def read_lines(text: str, wanted: range, what: str, read: Callable[[str], tuple[int, T]]) -> dict[int, T]:
    """What the lines of JSON in a reply say, one for each number in `wanted`.

    Args:
        what: the numbers are of, e.g. "pair".
        read: number and value of one line.

    Raises:
        UnreadableError: a number has no line or several; or `read` says what is wrong with a line.
    """
    found: dict[int, T] = {}
    for line in text.splitlines():
        line = line.strip().strip("`").rstrip(",").strip()
        if not line.startswith("{"):
            continue
        number, value = read(line)
        if number in found:
            raise UnreadableError(f"{what} {number} has more than one line of JSON: wanted exactly one a {what}")
        found[number] = value
    missing = [str(number) for number in wanted if number not in found]
    if missing:
        raise UnreadableError(
            f"there is no line of JSON for {what} {', '.join(missing)}: wanted one for each of {len(wanted)}"
        )
    return found


def read_choice(text: str) -> Verdict:
    """RL-VLM-F's second reply: the last line is 0, 1 or -1.

    Raises:
        UnreadableError: it is something else.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    choices: dict[str, Better] = {"0": "a", "1": "b", "-1": "unknown"}
    if not lines or lines[-1] not in choices:
        raise UnreadableError("wanted a last line that is 0, 1 or -1 and nothing else")
    return Verdict(choices[lines[-1]])


def _verdict(line: str, pairs: int) -> tuple[int, Verdict]:
    try:
        entry: Any = json.loads(line)
    except ValueError as error:
        raise UnreadableError(f"this line is not JSON ({error}): {line[:120]}") from error
    if not isinstance(entry, dict) or set(entry) != _KEYS:
        raise UnreadableError(f'wanted the keys "pair", "better" and "confidence" and no others, came: {line[:120]}')
    pair, better, confidence = entry["pair"], entry["better"], entry["confidence"]
    if not isinstance(pair, int) or isinstance(pair, bool) or not 1 <= pair <= pairs:
        raise UnreadableError(f'"pair" is a whole number from 1 to {pairs}, came: {line[:120]}')
    if better not in _BETTER:
        raise UnreadableError(f'"better" is "a", "b", "same" or "unknown", came: {line[:120]}')
    if not isinstance(confidence, int | float) or isinstance(confidence, bool) or not 0 <= confidence <= 1:
        raise UnreadableError(f'"confidence" is a number from 0 to 1, came: {line[:120]}')
    return pair, Verdict(better, float(confidence))
