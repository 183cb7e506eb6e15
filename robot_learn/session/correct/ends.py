"""The end of a session of corrections: episodes that nobody learned from, driven in a thread, and kept."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from robot_learn.alignment.held_out import HeldOut, held_out
from robot_learn.alignment.session import Session
from robot_learn.errors import UserError
from robot_learn.runs import Run

RESULT = "held_out.json"


def read_result(run: Run) -> dict[str, Any] | None:
    """What came of a session that was over; None where it was not."""
    return run.read_json(RESULT) if run.has(RESULT) else None


class Check:
    """Held-out episodes after a session's end; what came of them is kept with the session."""

    def __init__(self, session: Session, seed: int, run: Run) -> None:
        self._session, self._seed, self._run = session, seed, run
        self._pool = ThreadPoolExecutor(1, "held-out")
        self._future: Future[HeldOut] | None = None
        self._found = read_result(run)
        self._error = ""

    def begin(self) -> None:
        """Once; the session is over, so that nobody else needs the learner's imagination."""
        if self._future is None and self._found is None:
            session, learner = self._session, self._session.learner
            self._future = self._pool.submit(held_out, session.game, learner.imagination, learner.theta, self._seed)

    def poll(self) -> None:
        if self._future is None or not self._future.done() or self._found is not None:
            return
        try:
            self._found = {"outcome": self._session.outcome, **asdict(self._future.result())}
            self._run.write_json(RESULT, self._found)
        except UserError as error:
            self._error = str(error)

    def forget(self) -> None:
        """The session goes on after all: what was checked holds no more."""
        if self._future is not None:
            self._future.cancel()
        self._future, self._found, self._error = None, None, ""
        self._run.file(RESULT).unlink(missing_ok=True)

    def told(self) -> dict[str, Any] | None:
        """For the page; None before the end."""
        if self._error:
            return {"error": self._error}
        if self._found is not None:
            return self._found
        return None if self._future is None else {"running": True}

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
