"""A simulated person with a few keys and no more: that of `controllers.alignment.human`, who presses what is nearest.

In process they are handed the session; on the page they read what it shows and press its keys. Who decides is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from controllers.alignment.cuts import Correction
from controllers.alignment.human import SimulatedHuman
from controllers.alignment.learner import Learner, Rule
from controllers.mpc import Gradients, Mpc, Plan
from controllers.systems import game
from controllers.systems.system import Game
from robot_learn.alignment.events import Ends
from robot_learn.alignment.people import GOOD_IN_A_ROW, epsilon_of
from robot_learn.alignment.record import Setting
from robot_learn.alignment.session import PERSON, Session, generator, plan_of


class KeyedHuman:
    """Says "stop", or the name of a direction, or nothing, once a step."""

    def __init__(self, played: Game, mpc: Mpc, seed: int) -> None:
        system = played.system
        self._game, self._mpc, self._seed = played, mpc, seed
        closeness = epsilon_of(system.name) / -system.offset
        self._human = SimulatedHuman(system, played.truth, np.random.default_rng(), closeness)
        self._episode = -1

    def watch(self, episode: int, plan: Plan) -> str | None:
        """What they press, seeing this plan in this episode."""
        if episode != self._episode:
            self._episode = episode
            self._human.rng = generator(PERSON, self._seed, episode)
            self._human.begin()
        gradients = self._mpc.gradients_of(plan.states[0], plan.controls, plan.target)
        said = self._human.watch(plan, gradients)
        if said is None:
            return None
        return "stop" if said.kind == "stop" else self._nearest(plan, gradients)

    def watch_page(self, told: Mapping[str, Any]) -> str | None:
        """The same, of what a page shows."""
        plan = told["plan"]
        state, controls, target = (np.array(plan[name]) for name in ("state", "controls", "target"))
        return self.watch(told["episode"], plan_of(self._mpc, Correction("fine", state, controls, target)))

    def _nearest(self, plan: Plan, gradients: Gradients) -> str:
        """The direction that goes downhill most steeply, under the wish that nobody tells the robot."""
        slope = gradients.cost + self._game.system.gamma * (gradients.features.T @ self._game.truth) / -plan.g(
            self._game.truth
        )
        ways = self._game.directions
        return max(ways, key=lambda name: float(-slope @ ways[name] / np.linalg.norm(ways[name])))


@dataclass(frozen=True)
class Played:
    """How a game went."""

    outcome: str
    pushes: int
    stops: int
    silences: int
    episodes: int
    passed: int  # of the held-out episodes
    held_out: int


def play(setting: Setting, mpc: Mpc, most_episodes: int, on_step: Callable[[], None] | None = None) -> Session:
    """A game in process, with the setting that a page would begin it with."""
    played = game(setting.system)
    learner = Learner(mpc, Rule(**setting.rule), rho=setting.rho)
    ends = Ends(None, most_episodes, misspecified=False)
    session = Session(played, learner, seed=setting.seed, ends=ends, reaction=setting.reaction)
    human = KeyedHuman(played, mpc, setting.seed)
    while session.outcome is None:
        word = human.watch(session.episode, session.plan)
        if word is not None:
            _ = session.stop() if word == "stop" else session.push(word)
        if session.outcome is None:
            session.step()
        if session.good >= max(GOOD_IN_A_ROW, played.targets):
            session.satisfied()
        if on_step is not None:
            on_step()
    return session
