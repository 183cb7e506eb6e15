"""The previews that a page shows: one is made at a time, in the background, and the newest of each round is kept.

A round has one of its own: what was seen of weights is there again when a model's edit of the same round is rejected.
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robot_learn.errors import UserError
from robot_learn.session.background import Done, Worker
from robot_learn.session.comment.work import Show

KEPT = 12  # folders of the newest ones


class Previews:
    def __init__(self, folder: Path, worker: Worker, seconds: float) -> None:
        self._folder, self.worker, self._seconds = folder, worker, seconds
        self._making: tuple[int, Path, float] | None = None  # of which round, where it will lie, since when
        self._made: dict[int, Path] = {}  # the newest of each round
        self._unwanted = 0  # that are still to end, before the one that is being made

    @property
    def busy(self) -> bool:
        return self._making is not None

    def begin(self, number: int, program: str, weights: Mapping[str, float]) -> None:
        """Preview a program with weights of its terms, for the round that wrote it or whose weights are changed.

        One of another round that is being made gives way.

        Raises:
            UserError: one of this round is being made.
        """
        if self._making is not None and self._making[0] == number:
            raise UserError(f"a preview is being made: wait for it, it takes about {self._seconds:g} s")
        self._stop()
        folder = self._folder / f"{time.time_ns()}-{uuid.uuid4().hex[:6]}"
        self._made.pop(number, None)
        self._making = (number, folder, time.monotonic())
        self.worker.ask(Show(program, dict(weights), folder, self._seconds))
        for old in sorted(self._folder.glob("[0-9]*"))[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def forget(self, number: int | None = None) -> None:
        """Show none of a round, or of any, and end the one that is being made."""
        if number is None:
            self._made.clear()
        else:
            self._made.pop(number, None)
        if self._making is not None and number in (None, self._making[0]):
            self._stop()

    def _stop(self) -> None:
        if self._making is not None:
            self._unwanted += 1
            self.worker.interrupt()
        self._making = None

    def poll(self) -> tuple[bool, str | None]:
        """Whether something has come, and what went wrong."""
        came, error = False, None
        for said in self.worker.poll():
            if not isinstance(said, Done):
                continue
            came = True
            if self._unwanted:
                self._unwanted -= 1
            else:
                error = self._ended(said)
        return came, error

    def _ended(self, done: Done) -> str | None:
        assert self._making is not None
        (number, folder, _), self._making = self._making, None
        if done.error or done.interrupted:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            self._made[number] = folder
        return done.error

    def files(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for folder in self._made.values():
            for suffix in ("mp4", "json"):
                found[f"preview-{folder.name}.{suffix}"] = folder / f"preview.{suffix}"
        return found

    def state(self, number: int | None) -> dict[str, Any] | None:
        """Of a round: the one that is being made, or the newest."""
        if self._making is not None and self._making[0] == number:
            return {"busy": round(time.monotonic() - self._making[2]), "of": self._seconds}
        folder = None if number is None else self._made.get(number)
        summary = None if folder is None else read_summary(folder)
        if folder is None or summary is None:
            return None
        names = {"video": f"preview-{folder.name}.mp4", "traces": f"preview-{folder.name}.json"}
        return summary | {kind: name if self.files()[name].exists() else None for kind, name in names.items()}


def read_summary(folder: Path) -> dict[str, Any] | None:
    """What came of a preview; None where there is none, or not all of it."""
    try:
        found: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found
