"""The robot asks where it is unsure: a plan that it only imagines, found between two episodes in a thread."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from controllers.alignment.questions import Question, question
from robot_learn.alignment.session import QUESTIONS, WORTH_ASKING, Session, generator


class Asking:
    """At most one question before each episode, and none before the first correction.

    While it thinks, nobody else may use the learner's imagination; the robot stands still meanwhile.
    """

    def __init__(self, session: Session, *, on: bool) -> None:
        self.on = on
        self.open: Question | None = None
        self._seed, self._about = session.seed, -1
        self._pool = ThreadPoolExecutor(1, "questions")
        self._future: Future[Question | None] | None = None

    @property
    def thinking(self) -> bool:
        return self._future is not None

    def due(self, session: Session) -> bool:
        """Whether to think of a question before the next episode."""
        fresh = session.episode != self._about
        return self.on and fresh and session.outcome is None and bool(session.learner.corrections)

    def think(self, session: Session) -> None:
        self._about = session.episode
        rng = generator(QUESTIONS, self._seed, session.episode)
        self._future = self._pool.submit(question, session.game, session.learner, rng)

    def poll(self, session: Session) -> None:
        """A question that was found becomes open, where its answer would tell enough."""
        if self._future is None or not self._future.done():
            return
        found, self._future = self._future.result(), None
        if found is not None and found.division >= WORTH_ASKING and session.outcome is None:
            self.open = found

    def close_question(self) -> None:
        """It was answered, or the person does not want to."""
        self.open = None

    def told(self) -> dict[str, Any] | None:
        """For the page; None where nothing is asked."""
        if self.thinking:
            return {"thinking": True}
        return None if self.open is None else {"unsafe": round(self.open.unsafe, 3)}

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
