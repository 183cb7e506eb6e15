"""From one string to a client: "recordings", "openai:MODEL", "anthropic:MODEL" or "mailbox:FOLDER"."""

from __future__ import annotations

from pathlib import Path

from rewards.models.endpoints import Anthropic, OpenAI
from rewards.models.limits import Budget, Budgeted, Cached
from rewards.models.mailbox import Mailbox
from rewards.models.messages import Client
from rewards.models.recordings import HOW_TO_ASK, Recordings, recorded
from robot_learn.errors import UserError, unknown

BACK_ENDS = ("recordings", "openai", "anthropic", "mailbox")


def connect(
    spec: str = "recordings",
    *,
    record: Path | str | None = None,
    cache: Path | str | None = None,
    budget: Budget | None = None,
    timeout_s: float = 300.0,
    max_retries: int = 4,
    wait_s: float | None = None,
) -> Client:
    """The client that `spec` names.

    Args:
        spec: "recordings" (those shipped), "recordings:FOLDER", "openai:MODEL", "anthropic:MODEL", "mailbox:FOLDER".
        record: a folder that live replies are recorded in, to be replayed by "recordings:FOLDER".
        cache: a folder of a live model's replies, so that nothing is asked and paid twice.
        budget: caps for a live model; without one, the caps of `Budget()`.
        timeout_s: how long a live model may stay silent [s].
        max_retries: how often a failed call of a live model is tried again.
        wait_s: how long to wait for a mailbox [s]; see `Mailbox`.

    Raises:
        UserError: no back end of that name, or its MODEL or FOLDER is missing.
    """
    name, _, detail = spec.partition(":")
    if name not in BACK_ENDS:
        raise UserError(f"{unknown('back end for models', name, BACK_ENDS)}; {HOW_TO_ASK}")
    if name == "recordings":
        return Recordings(Path(detail)) if detail else Recordings()
    if not detail:
        wanted = "FOLDER" if name == "mailbox" else "MODEL"
        raise UserError(f"model {spec!r}: wanted {name}:{wanted}")
    if name == "mailbox":
        if record is not None:
            raise UserError("a mailbox does not know who answers it: record it afterwards, naming the model")
        return Mailbox(Path(detail), wait_s=wait_s)
    endpoint = OpenAI if name == "openai" else Anthropic
    client: Client = Budgeted(endpoint(detail, timeout_s, max_retries), budget or Budget())
    if cache is not None:
        client = Cached(client, Path(cache))
    return client if record is None else recorded(client, record)
