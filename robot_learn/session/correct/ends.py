"""The end of a session of corrections: episodes that nobody learned from, driven in a thread, shown and kept."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import numpy as np

from controllers.mpc import Mpc, Plan
from controllers.systems.system import Game
from robot_learn.alignment.held_out import PER_TARGET, HeldOut, held_out
from robot_learn.alignment.session import Session
from robot_learn.errors import UserError
from robot_learn.runs import Run
from robot_learn.session.correct.driving import LINGER

RESULT = "held_out.json"
SHOWN = 3  # of the held-out episodes; each takes as long as an episode of the session


def read_result(run: Run) -> dict[str, Any] | None:
    """What came of a session that was over; None where it was not. Without "passed" it was not checked to the end."""
    return run.read_json(RESULT) if run.has(RESULT) else None


def shown(game: Game) -> int:
    """How many of the held-out episodes a person sees."""
    return min(SHOWN, PER_TARGET * game.targets)


class Film:
    """The first held-out episodes, shown once and by the clock, while a thread still drives them."""

    def __init__(self, game: Game) -> None:
        self._game = game
        self._frames: list[tuple[int, Plan]] = []  # number of the episode and what it did at each of its steps
        self._at, self._began = -1, 0.0

    def add(self, episode: int, plan: Plan) -> None:
        if episode < SHOWN:
            self._frames.append((episode, plan))

    def look(self, now: float) -> float | None:
        """How far the robot is on its way to the next step, from 0 to 1; None before there is anything to see."""
        if not self._frames:
            return None
        if self._at < 0:
            self._at, self._began = 0, now
        while self._at + 1 < len(self._frames) and now >= self._began + self._lasts:
            self._began = max(self._began + self._lasts, now - self._dt)
            self._at += 1
        return min(max((now - self._began) / self._dt, 0.0), 1.0)

    @property
    def plan(self) -> Plan | None:
        """The one that is shown; at the end the last one stays."""
        return self._frames[self._at][1] if self._at >= 0 else None

    def told(self, *, complete: bool) -> dict[str, Any] | None:
        """For the page: which episode one sees, and whether its plan is unsafe; None before, and at the end."""
        if self._at < 0 or (complete and self._at + 1 == len(self._frames)):
            return None
        episode, plan = self._frames[self._at]
        return {"episode": episode + 1, "of": shown(self._game), "unsafe": bool(plan.g(self._game.truth) >= 0)}

    @property
    def _dt(self) -> float:
        return self._game.system.control_dt

    @property
    def _lasts(self) -> float:
        """[s] of the step that is shown, with the rest at an episode's end."""
        ends = self._frames[self._at][0] != self._frames[self._at + 1][0]
        return self._dt + (LINGER if ends else 0.0)


class Filmed(Mpc):
    """Plans, and puts on film what it plans under one theta: under the game's truth, starts are only sought."""

    def __init__(self, game: Game, theta: np.ndarray, film: Film) -> None:
        super().__init__(game.system)
        self._theta, self._film, self._episode = theta, film, -1

    def plan(
        self, state: np.ndarray, theta: np.ndarray, target: np.ndarray | None = None, *, shift: bool = True
    ) -> Plan:
        made = super().plan(state, theta, target, shift=shift)
        if theta is self._theta:
            self._episode += not shift
            self._film.add(self._episode, made)
        return made


class Check:
    """Held-out episodes after a session's end; what came of them is kept with the session."""

    def __init__(self, session: Session, seed: int, run: Run) -> None:
        self._session, self._seed, self._run = session, seed, run
        self._pool = ThreadPoolExecutor(1, "held-out")
        self._future: Future[HeldOut] | None = None
        self._film = Film(session.game)
        found = read_result(run)
        self._found = found if found and "passed" in found else None
        self._error = ""

    def begin(self) -> None:
        """Once. That the session is over is on the disk first."""
        if self._future is None and self._found is None:
            game, theta, film = self._session.game, self._session.learner.theta, self._film
            self._run.write_json(RESULT, {"outcome": self._session.outcome})
            self._future = self._pool.submit(
                lambda: held_out(game, Filmed(game, theta, film), theta, self._seed),
            )

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
        self._film = Film(self._session.game)
        self._run.file(RESULT).unlink(missing_ok=True)

    def look(self, now: float) -> float | None:
        """See `Film.look`."""
        return self._film.look(now)

    @property
    def plan(self) -> Plan | None:
        """Of the held-out episode that is shown; None where none is."""
        return self._film.plan

    def shown(self) -> dict[str, Any] | None:
        """See `Film.told`."""
        return self._film.told(complete=self._future is None or self._future.done())

    def told(self) -> dict[str, Any] | None:
        """For the page; None before the end."""
        if self._error:
            return {"error": self._error}
        if self._found is not None:
            return self._found
        if self._future is None:
            return None
        game = self._session.game
        return {"running": True, "episodes": PER_TARGET * game.targets, "shown": shown(game)}

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
