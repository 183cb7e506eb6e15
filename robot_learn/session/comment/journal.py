"""acts.jsonl: who did what about a run, and when; a line an act, on the disk before the act is acknowledged."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from robot_learn.errors import UserError
from robot_learn.session.lines import append, whole


class Journal:
    """Raises:
    UserError: what lies there is no list of acts.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.acts = _acts(path)

    def note(self, what: str, arguments: dict[str, Any], by: str | None, current: int) -> None:
        """Keep an act, and the number of the round that is the current one after it."""
        entry: dict[str, Any] = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "do": what, "by": by}
        entry |= {"args": arguments, "current": current}
        append(self._path, entry)
        self.acts.append(entry)

    def last(self, what: str) -> dict[str, Any]:
        """The arguments of the last act of a kind; none where there was none."""
        return next((dict(act["args"]) for act in reversed(self.acts) if act["do"] == what), {})


def _acts(path: Path) -> list[dict[str, Any]]:
    try:
        return [row for row in map(json.loads, whole(path)) if isinstance(row["args"], dict) and row["do"]]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a list of acts: {error!r}") from error
