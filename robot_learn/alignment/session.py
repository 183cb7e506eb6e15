"""A session: a robot drives, a person watches and corrects, and the robot learns. No user interface in here.

Whoever shows it to a person (a terminal, a page, a simulated person's loop) calls `step` once a control step, passes on
what the person does (`push`, `stop`, `fine`, `undo`, `pause`, `satisfied`) and draws `view()`. What is said is said
about `plan`, the one that is shown: of a moving robot the next plan minds it, in a pause the plan is made anew at once.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from controllers.alignment.cuts import Correction
from controllers.alignment.learner import Learner
from controllers.alignment.questions import question
from controllers.mpc import Gradients, Mpc, Plan
from controllers.systems.system import Game, Situation
from robot_learn.alignment.events import OUTCOMES, Ends, Entry, Finished, Kind, Log, Outcome, Phase, View
from robot_learn.errors import UserError, unknown

STARTS, PERSON, HELD_OUT, QUESTIONS = 1, 2, 3, 4  # what random numbers are for: no two streams of a seed are the same
WORTH_ASKING = 0.3  # how divided the hypotheses have to be about a plan, from 0 to 1
THIN = 1e-7  # of the box's longest side: what is left is thinner than anything that a truth would leave


def generator(stream: int, seed: int, number: int) -> np.random.Generator:
    """The random numbers of one episode, whatever happened in the episodes before."""
    return np.random.default_rng([stream, seed, number])


@dataclass(eq=False)
class Episode:
    """What becomes of an episode while it goes on."""

    situation: Situation
    states: list[np.ndarray]
    pushes: int = 0
    stopped: bool = False
    reached: bool = False
    unsafe: int = 0  # steps at which the plan was unsafe by the game's truth

    def passed(self, game: Game) -> bool:
        return self.reached and not self.stopped and game.passed(np.array(self.states))


class Session:
    """A game that is played with a person; see the module's text.

    Args:
        seed: of the episodes' starts and disturbances.
        reaction: [s] that the person may take to stop the robot. Only after that does silence say anything.
        log: told of every word of the person at once.
    """

    def __init__(
        self,
        game: Game,
        learner: Learner,
        *,
        seed: int = 0,
        ends: Ends | None = None,
        reaction: float = 0.0,
        log: Log | None = None,
        entries: Sequence[Entry] = (),
        episodes: Sequence[Finished] = (),
    ) -> None:
        self.game, self.learner, self.seed, self.ends = game, learner, seed, ends or Ends()
        self.entries, self.episodes = list(entries), list(episodes)
        self.paused = False
        self.outcome: Outcome | None = None
        self.plan_seconds: list[float] = []
        self._log = log
        self._delay = math.ceil(reaction / game.system.control_dt)
        self._doubt = ""
        self._plan: Plan | None = None
        self._shift = False
        self._begin(1 + self.episodes[-1].number if self.episodes else 0)
        self._judge()

    # --- What the person does.

    def push(self, direction: str | np.ndarray) -> Entry:
        """A push, by the name of one of the game's directions or as numbers (nu,), against the plan shown.

        Raises:
            UserError: there is no such direction, or the session is over.
        """
        if isinstance(direction, str):
            if direction not in self.game.directions:
                raise unknown("direction", direction, self.game.directions)
            direction = self.game.directions[direction]
        return self.take(self._about("push", direction))

    def stop(self) -> Entry:
        """The plan shown is unsafe. The episode ends."""
        return self.take(self._about("stop"))

    def fine(self) -> Entry:
        """The plan shown is safe."""
        return self.take(self._about("fine"))

    def take(self, correction: Correction) -> Entry:
        """A correction of the plan shown, made by a simulated person."""
        if self.outcome:
            raise UserError(f"the session is over: {OUTCOMES[self.outcome]}")
        if correction.kind == "stop":
            self._unsaid.clear()  # silence was no consent then: the person was about to stop the robot
        before = self.learner.theta
        lesson = self.learner.correct(correction)
        self._doubt = self._contradiction() if lesson.cuts else ""
        self._episode.pushes += correction.kind == "push"
        self._spoken = True
        entry = self._write(correction.kind, correction, before, lesson.seconds)
        if correction.kind == "stop":
            self._episode.unsafe += self.plan.g(self.game.truth) >= 0
            self._end_episode(stopped=True)
        return entry

    def ask(self, answer: Callable[[Plan, Gradients], Correction], rng: np.random.Generator) -> Entry | None:
        """Show the plan whose answer would tell most, and learn from it; None where no answer would tell enough."""
        asked = None if self.outcome else question(self.game, self.learner, rng)
        if asked is None or asked.division < WORTH_ASKING:
            return None
        return self.answer(answer(asked.plan, asked.gradients))

    def answer(self, said: Correction) -> Entry:
        """Learn from an answer to a question, about a plan that the robot only imagined."""
        before = self.learner.theta
        lesson = self.learner.correct(said)
        self._doubt = self._contradiction() if lesson.cuts else ""
        if not self.step_number:
            self._plan = None  # nobody has seen the episode's first plan yet
        return self._write(said.kind, said, before, lesson.seconds, asked=True)

    def confirm(self, meant: bool) -> Entry:
        """Whether the correction that the robot doubts was meant.

        Raises:
            UserError: it doubts none.
        """
        number = self.learner.doubted
        if number is None:
            raise UserError("the robot doubts none of the corrections")
        before, began = self.learner.theta, time.perf_counter()
        self.learner.confirm(number, meant)
        self._doubt = ""
        about, seconds = self.learner.corrections[number - 1], time.perf_counter() - began
        return self._write("meant" if meant else "denied", about, before, seconds, number=number)

    def undo(self) -> Entry:
        """Forget the last correction, and what silence has said since; a session that it ended goes on.

        Raises:
            UserError: there is none, or the person was satisfied.
        """
        if self.outcome == "satisfied":
            raise UserError("the session is over: the person was satisfied")
        before, began = self.learner.theta, time.perf_counter()
        self.learner.undo()
        self._unsaid.clear()
        self._doubt, self.outcome = "", None
        return self._write("undo", self._about("fine"), before, time.perf_counter() - began)

    def pause(self, paused: bool = True) -> None:
        """Stand still; what is said then is said about the plan shown."""
        self.paused = paused

    def satisfied(self) -> None:
        """The person has nothing more to teach."""
        self.outcome = self.outcome or "satisfied"

    # --- What the robot does.

    @property
    def plan(self) -> Plan:
        """What the robot intends now, under all that was learned so far."""
        if self._plan is None:
            target = self._episode.situation.target
            self._plan = self.learner.mpc.plan(self.state, self.learner.theta, target, shift=self._shift)
            self.plan_seconds.append(self._plan.seconds)
            self._shift = False
        return self._plan

    @property
    def gradients(self) -> Gradients:
        return self.learner.mpc.gradients(self.plan)

    @property
    def state(self) -> np.ndarray:
        """(nx,) where the robot is."""
        return self._episode.states[-1]

    @property
    def phase(self) -> Phase:
        return "over" if self.outcome else "paused" if self.paused else "running"

    def step(self) -> None:
        """One control step along the plan shown, or the next episode's beginning; nothing while paused or over."""
        if self.phase != "running":
            return
        if self._ended:
            self._begin(self.episode + 1)
            return
        plan, game, current = self.plan, self.game, self._episode
        current.unsafe += plan.g(game.truth) >= 0
        if not self._spoken:
            self._unsaid.append(self._about("fine"))
        self._consent(self._delay)
        state = game.system.step(plan.states[0], plan.controls[0])
        if game.noise is not None:
            state = state + game.noise * self._rng.standard_normal(game.system.nx)
        current.states.append(state)
        current.reached = game.reached(state, current.situation.target)
        self._plan, self._shift, self._spoken = None, True, False
        if current.reached or self.step_number == game.max_steps:
            self._end_episode(stopped=False)

    def view(self) -> View:
        hypotheses, learner = self.learner.hypotheses, self.learner
        return View(
            system=self.game.system.name,
            phase=self.phase,
            outcome=self.outcome,
            episode=self.episode,
            step=self.step_number,
            plan=self.plan,
            theta=learner.theta,
            log_volume=hypotheses.log_volume,
            spread=hypotheses.spread,
            still_to_come=hypotheses.bound(learner.rho),
            doubted=self.learner.doubted,
            doubt=self._doubt,
            counts=self.counts,
            good=self.good,
            last=self.entries[-1] if self.entries else None,
        )

    @property
    def counts(self) -> dict[str, int]:
        kinds: tuple[Kind, ...] = ("push", "stop", "fine", "silence", "undo", "meant", "denied")
        return {kind: sum(entry.kind == kind for entry in self.entries) for kind in kinds}

    @property
    def taught(self) -> int:
        """Pushes, stops where the learner learns from them, and other answers to questions."""
        counts, asked = self.counts, sum(entry.asked and entry.kind == "fine" for entry in self.entries)
        answers = asked + counts["meant"] + counts["denied"]
        return counts["push"] + (counts["stop"] if self.learner.rule.stops else 0) + answers

    @property
    def good(self) -> int:
        """How many of the last episodes in a row needed no word."""
        bad = [i for i, episode in enumerate(self.episodes) if not episode.good]
        return len(self.episodes) - (bad[-1] + 1 if bad else 0)

    # --- How it comes about.

    def _begin(self, number: int) -> None:
        self.episode = number
        self._rng = generator(STARTS, self.seed, number)
        situation = self.game.start(self._rng, number)
        self._episode = Episode(situation, [situation.state])
        self._plan = None
        self._shift = self._spoken = self._ended = False
        self._unsaid: deque[Correction] = deque()  # plans that nobody has objected to so far
        self.learner.mpc.forget()

    @property
    def step_number(self) -> int:
        return len(self._episode.states) - 1

    def _end_episode(self, *, stopped: bool) -> None:
        current = self._episode
        current.stopped, self._ended = stopped, True
        if not stopped:
            self._consent(0)
        done = Finished(
            self.episode,
            self.step_number,
            current.pushes,
            stopped,
            current.reached,
            bool(current.passed(self.game)),
            int(current.unsafe),
            np.array(current.states),
        )
        self.episodes.append(done)
        if self._log is not None:
            self._log.finished(done)
        self._judge()

    def _about(self, kind: Literal["push", "stop", "fine"], direction: np.ndarray | None = None) -> Correction:
        plan = self.plan
        return Correction(kind, plan.states[0], plan.controls, plan.target, direction)

    def _consent(self, delay: int) -> None:
        """Learn from plans so old that the person would have stopped them by now."""
        while len(self._unsaid) > delay:
            about = self._unsaid.popleft()
            before, began = self.learner.theta, time.perf_counter()
            if self.learner.watched(plan_of(self.learner.mpc, about)):
                self._write("silence", about, before, time.perf_counter() - began)

    def _write(
        self, kind: Kind, about: Correction, before: np.ndarray, seconds: float, *, asked: bool = False, number: int = 0
    ) -> Entry:
        entry = Entry(
            kind=kind,
            episode=self.episode,
            step=self.step_number,
            state=about.state,
            controls=about.controls,
            target=about.target,
            direction=about.direction,
            theta_before=before,
            theta_after=self.learner.theta,
            log_volume=self.learner.hypotheses.log_volume,
            seconds=seconds,
            about=number,
            asked=asked,
        )
        self.entries.append(entry)
        if self._log is not None:
            self._log.said(entry)
        if self.paused:
            self._plan = None
        self._judge()
        return entry

    def _contradiction(self) -> str:
        """Why no theta can explain all that was said; empty where one can.

        The certificate's rho is too coarse for this: what stops and silence leave may well be thinner than that.
        """
        learner, number = self.learner, len(self.learner.corrections)
        if number in learner.set_aside:
            return ""
        if number not in learner.hypotheses.corrections:
            return "the last correction contradicts those before it"
        side = float((self.game.system.theta_high - self.game.system.theta_low).max())
        return "" if learner.hypotheses.holds_ball(THIN * side) else "hardly any theta explains all corrections"

    def _judge(self) -> None:
        """Whether the session is over."""
        ends, hypotheses = self.ends, self.learner.hypotheses
        standing = len(self.learner.corrections)
        if self.outcome is not None:
            return
        if ends.certain and standing and hypotheses.bound(self.learner.rho) == 0:
            self.outcome = "certain"
        elif ends.misspecified and self._doubt:
            self.outcome = "misspecified"
        elif ends.corrections is not None and self.taught >= ends.corrections:
            self.outcome = "corrections"
        elif ends.episodes is not None and len(self.episodes) >= ends.episodes:
            self.outcome = "episodes"


def correction_of(entry: Entry) -> Correction:
    """What was said; silence is consent."""
    kind: Literal["push", "stop", "fine"] = entry.kind if entry.kind in ("push", "stop") else "fine"
    return Correction(kind, entry.state, entry.controls, entry.target, entry.direction)


def plan_of(mpc: Mpc, correction: Correction) -> Plan:
    """The plan that a correction is about, as far as anybody can learn from it."""
    cost, phi = mpc.evaluate(correction.state, correction.controls, correction.target)
    return Plan(
        status="solved",
        solver=mpc.solver,
        seconds=0.0,
        theta=np.zeros(mpc.system.r),
        target=correction.target,
        states=correction.state[None],
        controls=correction.controls,
        cost=cost,
        phi=phi,
        offset=mpc.system.offset,
    )
