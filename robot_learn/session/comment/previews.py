"""The preview that a page shows: one at a time, made in the background, and gone when the program changes."""

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
        self._making: tuple[Path, float] | None = None  # where it will lie, since when
        self._newest: Path | None = None
        self._unwanted = 0  # that are still to end, before the one that is being made

    @property
    def busy(self) -> bool:
        return self._making is not None

    def begin(self, program: str, weights: Mapping[str, float]) -> None:
        """Preview a program with weights of its terms.

        Raises:
            UserError: one is being made.
        """
        if self._making is not None:
            raise UserError(f"a preview is being made: wait for it, it takes about {self._seconds:g} s")
        folder = self._folder / f"{time.time_ns()}-{uuid.uuid4().hex[:6]}"
        self._newest, self._making = None, (folder, time.monotonic())
        self.worker.ask(Show(program, dict(weights), folder, self._seconds))
        for old in sorted(self._folder.glob("[0-9]*"))[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def forget(self) -> None:
        """Show none, and end the one that is being made."""
        if self._making is not None:
            self._unwanted += 1
            self.worker.interrupt()
        self._newest = self._making = None

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
        folder, self._making = self._making[0], None
        if done.error or done.interrupted:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            self._newest = folder
        return done.error

    def files(self) -> dict[str, Path]:
        if self._newest is None:
            return {}
        name = self._newest.name
        return {
            f"preview-{name}.mp4": self._newest / "preview.mp4",
            f"preview-{name}.json": self._newest / "preview.json",
        }

    def state(self) -> dict[str, Any] | None:
        """Of the one that is being made, or of the newest."""
        if self._making is not None:
            return {"busy": round(time.monotonic() - self._making[1]), "of": self._seconds}
        summary = None if self._newest is None else read_summary(self._newest)
        if summary is None:
            return None
        video, traces = (name if path.exists() else None for name, path in self.files().items())
        return summary | {"video": video, "traces": traces}


def read_summary(folder: Path) -> dict[str, Any] | None:
    """What came of a preview; None where there is none, or not all of it."""
    try:
        found: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found
