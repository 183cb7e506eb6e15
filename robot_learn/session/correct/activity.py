"""Correct a robot while it moves: `robot_learn.alignment.session` on a page.

The robot drives by the clock, plan after plan. Each plan has a number, and what a person says is said about the one
that they saw, however late it arrives; a push makes the plan anew at once. Without a living page the robot stands.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from controllers.alignment.cuts import Correction
from controllers.mpc import Plan
from controllers.systems import SYSTEMS
from robot_learn.alignment.events import OUTCOMES
from robot_learn.alignment.record import open_session
from robot_learn.errors import UserError, unknown
from robot_learn.runs import Run
from robot_learn.session.activity import Offer, Person, Place
from robot_learn.session.correct.draw import Picture
from robot_learn.session.correct.driving import Driving
from robot_learn.session.correct.ends import Check, read_result
from robot_learn.session.correct.questions import Asking
from robot_learn.session.correct.record import begin_run, keep_constraint, newest_run
from robot_learn.session.correct.region import Drawn, Region
from robot_learn.session.correct.stage import stage
from robot_learn.session.correct.view import ABOUT, Known, about_plan, charted, spoken

IMAGINED = 0.1  # [s] a control step that the robot only imagines


def offers(place: Place) -> Sequence[Offer]:
    known = [Offer(name, title, f"{name}: {text}") for name, (title, text) in ABOUT.items()]
    return known + [Offer(name, name) for name in SYSTEMS if name not in ABOUT]


def open_activity(what: str, place: Place) -> CorrectActivity:
    """The newest session with this system in the place's folder, or a new one.

    Raises:
        UserError: there is no such system, or the recorded session cannot be gone on with.
    """
    check(what, place)
    return CorrectActivity(what, place)


def check(what: str, place: Place) -> None:
    if what not in SYSTEMS:
        raise unknown("system", what, SYSTEMS)


class CorrectActivity:
    """See the module's text."""

    name = "correct"

    def __init__(self, system: str, place: Place) -> None:
        self._system, self._place = system, place
        self._stage = stage(system)
        self.scene = self._stage.scene
        self._acts = {
            "push": self._push,
            "stop": self._stop,
            "fine": self._fine,
            "undo": self._undo,
            "confirm": self._confirm,
            "pause": self._pause,
            "step": self._step,
            "speed": self._speed,
            "ask": self._ask,
            "skip": self._skip,
            "satisfied": self._satisfied,
            "again": self._again,
        }
        self._begin(newest_run(place, system))

    def _begin(self, run: Run | None) -> None:
        """Open a recorded session, or a new one; the robot waits for the person."""
        self._run, setting = begin_run(run, self._place, self._system)
        self.session, self._recording, _ = open_session(self._run)
        session = self.session
        self._asking = Asking(session, on=setting.asked)
        self._check = Check(session, setting.seed, self._run)
        if read_result(self._run) is not None:
            session.satisfied()
        self.driving = Driving(session, "ready" if session.outcome is None else OUTCOMES[session.outcome])
        self._region = Region(session.game.system, self._stage.grid, self._stage.charts)
        self._drawn: Drawn | None = None
        self._known = Known(session, dict(self._stage.says))
        self._picture = Picture(self._stage)
        self._wanted = -1  # lessons that the region was last drawn for
        self._kept: tuple[int, str] = (0, "")  # lessons and the outcome that the constraint on the disk is of
        if session.outcome:
            self._check.begin()  # a killed server may have left it half done
        self._keep()
        self._look(time.monotonic())

    # --- The activity.

    def state(self) -> dict[str, Any]:
        session, driving, shown = self.session, self.driving, self._shown
        return self._known.told() | {
            "title": self._stage.title,
            "wish": self._stage.wish,
            "run": str(self._run.path),
            "phase": session.phase,
            "why": driving.why,
            "ended": driving.ended,
            "speed": driving.speed,
            "episode": session.episode,
            "step": session.step_number,
            "plan": about_plan(driving.number, session.plan, session.learner.theta),
            "question": self._asking.told(),
            "asks": self._asking.on,
            "check": self._check.told(),
            "shown": self._check.shown(),
            "undecided": None if self._drawn is None else round(self._drawn.undecided, 3),
            "charts": charted(self._stage.charts, self._drawn, shown.states),
        }

    def live(self) -> dict[str, Any]:
        seconds = self.session.plan_seconds[-50:]
        return {
            "plan_ms": round(1000 * float(np.median(seconds))) if seconds else None,
        }

    def lessons(self) -> int:
        return len(self.session.entries)

    def do(self, what: str, arguments: dict[str, Any], who: Person) -> dict[str, Any] | None:
        if what not in self._acts:
            raise unknown("act", what, self._acts)
        if not who.holds:
            raise UserError("another page holds the controls: take them first")
        answer = self._acts[what](arguments)
        self._look(time.monotonic())
        return answer

    def tick(self, now: float) -> None:
        self._asking.poll(self.session)
        self._keep()  # not in `do`: a page waits for its answer, and the corrections themselves are on the disk by then
        self._check.poll()
        if self.driving.is_due(now) and not self._waits:
            self._advance(now)
        drawn = self._region.poll(now)
        if drawn is not None:
            self._drawn = drawn
            self._picture.draw(drawn)
        self._look(now)

    def absent(self, seconds: float) -> None:
        if self.driving.moves:
            self.driving.halt("the page was gone")

    def files(self) -> Mapping[str, Path]:
        return {}

    def close(self) -> None:
        self._region.close()
        self._asking.close()
        self._check.close()
        self._recording.close(self.session)

    # --- What the robot does.

    @property
    def _waits(self) -> bool:
        """For an answer to its question, or until it has found one."""
        return self._asking.open is not None or self._asking.thinking

    @property
    def _shown(self) -> Plan:
        """The plan that is drawn: the one it asks about, that of a held-out episode, or the one that it follows."""
        if self._asking.open is not None:
            return self._asking.open.plan
        return self._check.plan or self.session.plan

    def _advance(self, now: float) -> None:
        if self.driving.ended and self._asking.due(self.session):
            self._asking.think(self.session)
            return
        self.driving.advance(now)
        if self.session.outcome:
            self._check.begin()

    def _keep(self) -> None:
        """The constraint, where something was learned or taken back or the session has ended."""
        now = (self.lessons(), self.session.outcome or "")
        if now != self._kept:
            self._kept = now
            keep_constraint(self._run, self.session)

    def _look(self, now: float) -> None:
        """Draw everything where it is now, and have the region drawn anew where something was learned."""
        alone = self._check.look(now)
        asked, shown = self._asking.open is not None, self._shown
        share = self.driving.share(now) if alone is None else alone
        if asked:
            share = (now / IMAGINED) % len(shown.controls)
        self._picture.look(shown, share, now, asked=asked)
        # Under another orientation of the hand the region is another one.
        key = len(self.session.entries) * 100_000 + (self.session.step_number if self._stage.turns else 0)
        if key != self._wanted:
            self._wanted = key
            self._region.want(self.session.learner.hypotheses, self.session.state)

    # --- What the person does.

    def _push(self, arguments: dict[str, Any]) -> dict[str, Any]:
        name, directions = str(arguments.get("direction")), self.session.game.directions
        if name not in directions:
            raise unknown("direction", name, directions)
        return self._say("push", arguments, directions[name])

    def _stop(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if self._asking.open is not None:
            return self._say("stop", arguments)
        if self.driving.ended:
            raise UserError("the episode is over already; the next one begins in a moment")
        answer = self._say("stop", arguments)
        if self.session.outcome is None:
            self.driving.halt("stopped by you")
        return answer

    def _fine(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return self._say("fine", arguments)

    def _say(self, kind: str, arguments: dict[str, Any], direction: np.ndarray | None = None) -> dict[str, Any]:
        """A correction of the plan that the person saw, or the answer to the robot's question."""
        about, asked = arguments.get("about"), self._asking.open
        plan = self.driving.seen(about if isinstance(about, int) else None) if asked is None else asked.plan
        said = Correction(kind, plan.states[0], plan.controls, plan.target, direction)  # type: ignore[arg-type]
        with self.driving.anew():
            if asked is None:
                self.session.take(said)
            else:
                self.session.answer(said)
                self._asking.close_question()
        return self._learned()

    def _undo(self, arguments: dict[str, Any]) -> dict[str, Any]:
        said = self.session.learner.corrections[-1:]
        with self.driving.anew():
            self.session.undo()
        self._check.forget()
        (last,) = said
        return self._learned() | {"text": spoken(self.session, last.kind, last.direction)}

    def _confirm(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(meant := arguments.get("meant"), bool):
            raise UserError("confirm: wanted whether it was meant, true or false")
        with self.driving.anew():
            self.session.confirm(meant)
        return self._learned()

    def _learned(self) -> dict[str, Any]:
        """What a page is told at once: which lesson it was, and which plan minds it."""
        if self.session.outcome:
            self._check.begin()
        return {"lesson": len(self.session.entries), "plan": self.driving.number}

    def _pause(self, arguments: dict[str, Any]) -> None:
        if self.session.outcome:
            raise UserError(f"the session is over: {OUTCOMES[self.session.outcome]}")
        if arguments.get("paused", not self.session.paused):
            self.driving.halt("paused")
        else:
            self.driving.go()

    def _step(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """One control step in a pause, so that one can look at plan after plan."""
        if self.session.phase != "paused" or self._waits:
            raise UserError("single steps are for pauses: pause first")
        self.session.pause(False)
        self._advance(time.monotonic())
        if self.session.outcome is None:
            self.driving.halt("paused")
        return {"plan": self.driving.number}

    def _speed(self, arguments: dict[str, Any]) -> None:
        self.driving.faster(1 if arguments.get("by") == 1 else -1)

    def _ask(self, arguments: dict[str, Any]) -> None:
        """Whether the robot may ask before an episode."""
        self._asking.on = bool(arguments.get("on", not self._asking.on))

    def _skip(self, arguments: dict[str, Any]) -> None:
        self._asking.close_question()

    def _satisfied(self, arguments: dict[str, Any]) -> None:
        self._asking.close_question()
        self.session.satisfied()
        self.driving.halt(OUTCOMES["satisfied"])
        self._check.begin()

    def _again(self, arguments: dict[str, Any]) -> None:
        """A new session with the same system."""
        if not self.session.outcome:
            raise UserError("this session is not over yet: say that you are satisfied first")
        self.close()
        self._begin(None)
