"""Asking where it matters: the plan on whose safety the surviving hypotheses disagree most.

A correction during an episode comes where the robot happens to be. Before an episode the robot can instead imagine a
few, each one driven by another theta that is still possible, and show the person the plan that divides those thetas
most evenly: whatever the answer, about half of them go. (For preferences this is volume removal; Sadigh et al.,
"Active Preference-Based Learning of Reward Functions", RSS 2017.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from controllers.alignment.cuts import Correction
from controllers.alignment.learner import Learner, Lesson
from controllers.mpc import Gradients, Mpc, Plan
from controllers.systems.system import Game

Answer = Callable[[Plan, Gradients], Correction]


@dataclass(frozen=True, eq=False)
class Question:
    """A plan to show, and how divided the hypotheses are about it."""

    plan: Plan
    unsafe: float  # share of the hypotheses that hold it to be unsafe

    @property
    def division(self) -> float:
        """From 0, where all agree, to 1, where one half holds it to be safe and the other does not."""
        return 2.0 * min(self.unsafe, 1.0 - self.unsafe)


def question(
    game: Game, learner: Learner, rng: np.random.Generator, *, imagined: int = 4, steps: int = 60, samples: int = 128
) -> Question | None:
    """The most divisive plan of a few imagined episodes; None where the set is too thin to be sampled from.

    Args:
        imagined: episodes, each one driven by another theta of the set, each one towards another target.
        steps: of control that each is imagined for.
        samples: thetas that are asked for their opinion.
    """
    thetas = learner.hypotheses.sample(samples, rng)
    mpc = Mpc(game.system) if learner.imagination is None else learner.imagination
    learner.imagination = mpc
    best: Question | None = None
    for number in range(imagined):
        for plan in _imagine(game, mpc, thetas[number % len(thetas)], number, steps, rng):
            shares = float((plan.offset + thetas @ plan.phi >= 0).mean())
            found = Question(plan, shares)
            if best is None or found.division > best.division:
                best = found
    return best


def ask(
    game: Game, learner: Learner, answer: Answer, rng: np.random.Generator, *, at_least: float = 0.3
) -> Lesson | None:
    """Ask one question where there is one worth asking, and learn from the answer.

    Args:
        answer: the person, who says for a plan which way it should rather go, that it must not be, or that it is fine.
        at_least: how divided the hypotheses have to be.
    """
    asked = question(game, learner, rng)
    if asked is None or asked.division < at_least:
        return None
    return learner.correct(answer(asked.plan, learner.mpc.gradients(asked.plan)))


def _imagine(game: Game, mpc: Mpc, theta: np.ndarray, number: int, steps: int, rng: np.random.Generator) -> list[Plan]:
    situation = game.start(rng, number)
    state, plans = situation.state, []
    mpc.forget()
    for step in range(min(steps, game.max_steps)):
        plan = mpc.plan(state, theta, situation.target, shift=step > 0)
        if plan.status == "failed":
            break
        plans.append(plan)
        state = game.system.step(state, plan.controls[0])
        if game.reached(state, situation.target):
            break
    return plans
