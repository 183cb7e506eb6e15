"""Who corrects: rules of learning by name, and the loop in which a simulated person watches a session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from controllers.alignment.human import SimulatedHuman
from controllers.alignment.learner import Rule
from controllers.systems.system import Game
from robot_learn.alignment.session import PERSON, QUESTIONS, Session, generator, plan_of
from robot_learn.errors import unknown

RULES = {
    "paper": Rule.paper(),
    "stops": Rule(silence=False),
    "full": Rule(),
    "ask": Rule(silence=False),
    "forgiving": Rule(mistakes=0.1),
}
ASKING = ("ask",)  # rules under which the robot asks a question before an episode
# The paper's epsilon: from g > -epsilon on, a plan is nearly unsafe. Where even a robot that knows the truth comes so
# near that it would be pushed for ever, a twelfth of phi_0, as the paper's is on the pendulum.
EPSILON = 0.25
SMALLER_EPSILON = {"franka-reach": 0.8 / 12, "franka-joints": 0.8 / 12}
GOOD_IN_A_ROW = 6  # episodes, at least one a target, after which a person has seen enough
REACTION = 0.5  # [s] of a person at a keyboard


def rule_named(name: str, *, keyboard: bool = False) -> Rule:
    """A rule. Of a key's push, which is one direction, the numbers mean nothing each by itself.

    Raises:
        UserError: there is no such rule.
    """
    if name not in RULES:
        raise unknown("rule", name, RULES)
    return replace(RULES[name], axes=False) if keyboard else RULES[name]


def epsilon_of(system: str) -> float:
    """How near to unsafe a plan has to come before the simulated person pushes it."""
    return SMALLER_EPSILON.get(system, EPSILON)


@dataclass(eq=False)
class Person:
    """A simulated person who plays through a session: see `controllers.alignment.human` for what they say, and when.

    Args:
        mistaken: share of pushes that go the wrong way.
    """

    game: Game
    seed: int
    mistaken: float = 0.0
    asked: bool = False  # before every episode

    def __post_init__(self) -> None:
        system = self.game.system
        closeness = epsilon_of(system.name) / -system.offset
        self._human = SimulatedHuman(
            system, self.game.truth, np.random.default_rng(), closeness, mistaken=self.mistaken
        )
        self._episode: int | None = None

    def play(self, session: Session, on_step: Callable[[], None] | None = None) -> None:
        """Watch and correct until the session is over."""
        if self.has_seen_enough(session):
            session.satisfied()
        while session.outcome is None:
            self._turn(session)
            if on_step is not None:
                on_step()

    def _turn(self, session: Session) -> None:
        if session.episode != self._episode:
            self._episode = session.episode
            self._human.rng = generator(PERSON, self.seed, session.episode)
            self._human.begin()
            if self.asked:
                rng = generator(QUESTIONS, self.seed, session.episode)
                while session.outcome is None and session.ask(self._human.answer, rng) is not None:
                    pass
        correction = None if session.outcome else self._human.watch(session.plan, session.gradients)
        if correction is not None:
            session.take(correction)
            self._answer_doubts(session)
        if self.has_seen_enough(session):
            session.satisfied()
        session.step()
        if self.has_seen_enough(session):
            session.satisfied()

    def _answer_doubts(self, session: Session) -> None:
        mpc = session.learner.mpc
        while session.outcome is None and (number := session.learner.doubted) is not None:
            said = session.learner.corrections[number - 1]
            gradients = mpc.gradients_of(said.state, said.controls, said.target)
            session.confirm(self._human.meant(said, plan_of(mpc, said), gradients))

    def has_seen_enough(self, session: Session) -> bool:
        """Every target was reached well and without a word in a row, or theta is as near as the paper wants it."""
        if self.game.accuracy is not None:
            error = float(np.linalg.norm(session.learner.theta - self.game.truth))
            return bool(session.entries) and error < self.game.accuracy
        return session.good >= max(GOOD_IN_A_ROW, self.game.targets)
