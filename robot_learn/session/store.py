"""session.sqlite: who did what on which page, when, and what came of it; so that nothing is done twice or lost.

An act is written down before it is done and again with its answer. A page that was cut off sends again what was never
acknowledged: what has an answer gets that answer, and what a killed server had begun is looked up in what the learner
itself has on the disk: more lessons than when the act began mean that it was done.
"""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_learn.errors import UserError
from robot_learn.session.activity import Act

FILE = "session.sqlite"
_TABLES = """
CREATE TABLE IF NOT EXISTS acts (
    number TEXT PRIMARY KEY, activity TEXT, subject TEXT, person TEXT, tab TEXT, what TEXT, arguments TEXT,
    came REAL, lessons INTEGER, seconds REAL, answer TEXT, error TEXT
);
CREATE TABLE IF NOT EXISTS timings (activity TEXT, subject TEXT, act TEXT, place TEXT, seconds REAL, at REAL);
"""


@dataclass(frozen=True)
class Known:
    """An act that was done before."""

    answer: dict[str, Any] | None


class Store:
    """Of one thread only.

    Raises:
        UserError: the file cannot be written, or is none of ours.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, isolation_level=None)
            self._base.execute("PRAGMA journal_mode = WAL")
            # A killed process loses nothing; what a power cut takes is only who did it: lessons are the learners' own.
            self._base.execute("PRAGMA synchronous = NORMAL")
            self._base.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            raise UserError(f"cannot write {path}: {error}") from error

    def begin(self, key: tuple[str, str], act: Act, lessons: int) -> Known | None:
        """Note an act before it is done; or what came of it, where it was done before.

        Args:
            lessons: that the learner has on the disk now; -1 where it cannot say.
        """
        found = self._base.execute(
            "SELECT answer, error, lessons, seconds FROM acts WHERE number = ?", (act.number,)
        ).fetchone()
        if found is None:
            row = (act.number, *key, act.who.name, act.who.tab, act.what, json.dumps(act.arguments), time.time())
            self._base.execute(
                "INSERT INTO acts (number, activity, subject, person, tab, what, arguments, came, lessons) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, lessons),
            )
            return None
        answer, error, before, seconds = found
        if error is not None:
            raise UserError(error)
        if seconds is not None or lessons > before:
            return Known(json.loads(answer) if answer else None)
        return None

    def done(self, act: Act, answer: dict[str, Any] | None) -> None:
        text = None if answer is None else json.dumps(answer)
        self._base.execute(
            "UPDATE acts SET answer = ?, seconds = ? WHERE number = ?", (text, time.monotonic() - act.came, act.number)
        )

    def refused(self, act: Act, error: str) -> None:
        self._base.execute("UPDATE acts SET error = ? WHERE number = ?", (error, act.number))

    def timing(self, key: tuple[str, str], act: str, place: str, seconds: float) -> None:
        """How long something took, e.g. from a key to the new plan."""
        self._base.execute("INSERT INTO timings VALUES (?, ?, ?, ?, ?, ?)", (*key, act, place, seconds, time.time()))

    def close(self) -> None:
        self._base.close()
