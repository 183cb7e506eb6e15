"""Asking where it matters: the plan on whose safety the surviving hypotheses disagree most.

A correction during an episode comes where the robot happens to be, and often too late. Before an episode the robot can
instead imagine it, driven by what it knows so far, and show the person the plan that about half of the hypotheses hold
to be unsafe. (For preferences this is volume removal; Sadigh et al., "Active Preference-Based Learning of Reward
Functions", RSS 2017. The entropy of the whole answer, the directions of pushes included, was tried as a measure: it
finds plans of which everything is unknown and nothing matters, and teaches no faster than plans drawn at random.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from controllers.alignment.ellipsoid import EmptyInteriorError, NotConvergedError
from controllers.alignment.learner import Learner
from controllers.mpc import Gradients, Mpc, Plan
from controllers.systems.system import Game


@dataclass(frozen=True, eq=False)
class Question:
    """A plan to show to the person, who says that it must not be, or which way it should rather go."""

    plan: Plan
    gradients: Gradients
    unsafe: float  # share of the hypotheses that hold it to be unsafe

    @property
    def division(self) -> float:
        """From 0, where all hypotheses agree, to 1, where one half of them holds the plan to be unsafe."""
        return 2.0 * min(self.unsafe, 1.0 - self.unsafe)


def question(
    game: Game, learner: Learner, rng: np.random.Generator, *, steps: int = 60, samples: int = 128
) -> Question | None:
    """The most divisive plan on the way to each of the game's targets; None where there is none.

    Args:
        steps: of control that each episode is imagined for.
        samples: hypotheses that are asked for their opinion.
    """
    try:
        thetas = learner.hypotheses.sample(samples, rng)
    except (EmptyInteriorError, NotConvergedError):
        return None
    best, closest = None, np.inf
    for number in range(game.targets):
        for plan in _imagine(game, learner.imagination, learner.theta, number, steps, rng):
            unsafe = float((plan.offset + thetas @ plan.phi >= 0).mean())
            if abs(unsafe - 0.5) < closest:
                best, closest = (plan, unsafe), abs(unsafe - 0.5)
    if best is None:
        return None
    return Question(best[0], learner.mpc.gradients(best[0]), best[1])


def _imagine(
    game: Game, mpc: Mpc, theta: np.ndarray, number: int, steps: int, rng: np.random.Generator
) -> Iterator[Plan]:
    situation = game.start(rng, number)
    state = situation.state
    mpc.forget()
    for step in range(min(steps, game.max_steps)):
        plan = mpc.plan(state, theta, situation.target, shift=step > 0)
        if plan.status == "failed":
            return
        yield plan
        state = game.system.step(state, plan.controls[0])
        if game.reached(state, situation.target):
            return
