"""A question to a model, kept on disk: asked once, found again, and counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rewards.models import Budget, Client, Message, Reply, Request
from rewards.models.conversation import NotAnsweredError, ask
from rewards.models.limits import Budgeted
from rewards.models.mailbox import NoReplyError
from robot_learn.errors import UserError
from robot_learn.resumable import read_json, write_json

T = TypeVar("T")
REFUSED = ".refused.json"


class BudgetSpentError(Exception):
    """Ends an imitation with the best so far; the text names what is spent."""


@dataclass(frozen=True)
class _Metered(Budgeted):
    """A client whose budget ends the imitation instead of failing."""

    def complete(self, request: Request) -> Reply:
        try:
            self.budget.check(request)
        except UserError:
            raise BudgetSpentError(f"budget of {self.budget.max_tokens:,} tokens spent") from None
        return super().complete(request)


@dataclass(frozen=True)
class Asker:
    """Asks one model.

    What was answered lies in a file of its own, replies verbatim, so that whoever asks again after an interruption
    gets the same and pays nothing. Replies that could not be read lie beside it, and the next try asks for another.
    """

    client: Client
    budget: Budget  # of the imitation, shared by all who ask
    label: str

    def ask(
        self,
        path: Path,
        messages: tuple[Message, ...],
        read: Callable[[str], T],
        show: Callable[[T], Any],
        *,
        what: str,
        sample: int = 0,
    ) -> T:
        """What `read` makes of the reply.

        Args:
            path: the file of the answer.
            show: what people find in the file beside the replies, as plain JSON.
            what: for messages, e.g. "critique".
            sample: which reply to this prompt, where it was asked before.

        Raises:
            NotAnsweredError: no reply could be read; asked again, the model is asked for another one.
            UserError: the model has no reply.
            BudgetSpentError: the request does not fit into the budget.
        """
        if path.exists():
            return read(read_json(path)["replies"][-1])
        refused = len(list(path.parent.glob(f"{path.stem}*{REFUSED}")))
        spent = self._spent()
        client = _Metered(self.client, self.budget)
        try:
            answered = ask(messages, client, read, label=f"{self.label}: {what}", sample=sample + refused)
        except NotAnsweredError as error:
            told = {"tokens": self._spent() - spent, **_told(error.replies, str(error))}
            write_json(path.with_name(f"{path.stem}.{refused}{REFUSED}"), told)
            raise UserError(f"{what}: {error}\n\nrun the same command again to ask for another reply") from error
        told = {"tokens": self._spent() - spent, **_told(answered.replies, *answered.errors)}
        write_json(path, {"answer": show(answered.value), **told})
        return answered.value

    def _spent(self) -> int:
        return self.budget.input_tokens + self.budget.output_tokens


def _told(replies: Sequence[Reply], *errors: str) -> dict[str, Any]:
    return {
        "model": replies[-1].model,
        "date": replies[-1].date,
        "errors": list(errors),
        "replies": [reply.text for reply in replies],
    }


def both(*questions: Callable[[], T]) -> tuple[T, ...]:
    """All answers. Of a mailbox all is asked before it is said what is missing, so that people answer side by side."""
    answers, missing = [], []
    for question in questions:
        try:
            answers.append(question())
        except NoReplyError as error:
            missing.append(str(error))
    if missing:
        raise NoReplyError("\n".join(missing))
    return tuple(answers)


def tokens_in(place: Path) -> int:
    """What all answers in a folder took."""
    return sum(read_json(path).get("tokens", 0) for path in sorted(place.glob("*.json")) if _is_answer(path))


def _is_answer(path: Path) -> bool:
    found = read_json(path)
    return isinstance(found, Mapping) and "replies" in found
