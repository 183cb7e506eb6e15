"""Asking where it matters: the situation in which the surviving hypotheses disagree most about the answer.

A correction during an episode comes where the robot happens to be, and often too late. Before an episode the robot can
instead imagine it, and show the person the plan of which it can least foretell what they will say: that it must not be,
or which way it should rather go. Given theta the answer is determined, so what it tells on average is the entropy of
the answers that the hypotheses would give (Houlsby et al., "Bayesian Active Learning for Classification and Preference
Learning", arXiv 1112.5745).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from controllers.alignment.cuts import Correction
from controllers.alignment.ellipsoid import EmptyInteriorError, NotConvergedError
from controllers.alignment.learner import Learner
from controllers.mpc import Gradients, Mpc, Plan
from controllers.systems.system import Game, System

Answer = Callable[[Plan, Gradients], Correction]


@dataclass(frozen=True, eq=False)
class Question:
    """A plan to show to the person."""

    plan: Plan
    gradients: Gradients
    bits: float  # of information that the answer gives on average
    unsafe: float  # share of the hypotheses that would have the person stop the robot


def question(
    game: Game, learner: Learner, rng: np.random.Generator, *, steps: int = 60, samples: int = 128
) -> Question | None:
    """The most telling plan on the way to each of the game's targets, driven by what is known; None if none is safe.

    Args:
        steps: of control that each episode is imagined for.
        samples: hypotheses that are asked for their answer.
    """
    try:
        thetas = learner.hypotheses.sample(samples, rng)
    except (EmptyInteriorError, NotConvergedError):
        return None
    best: Question | None = None
    for number in range(game.targets):
        for plan in _imagine(game, learner.imagination, learner.theta, number, steps, rng):
            gradients = learner.mpc.gradients(plan)
            answers = _answers(game.system, plan, gradients, thetas)
            found = Question(plan, gradients, _entropy(answers), float((answers[:, 0] > 0).mean()))
            if best is None or found.bits > best.bits:
                best = found
    return best


def _answers(system: System, plan: Plan, gradients: Gradients, thetas: np.ndarray) -> np.ndarray:
    """(n, 1 + nu) what whoever has theta (n, r) in mind would say: whether to stop, and else each push's sign."""
    g = plan.offset + thetas @ plan.phi
    downhill = -(gradients.cost * -g[:, None] + system.gamma * thetas @ gradients.features)  # times -g > 0
    signs = np.where(g[:, None] < 0, np.sign(downhill), 0.0)
    return np.column_stack([g >= 0, signs])


def _entropy(answers: np.ndarray) -> float:
    """In bits, of the rows of an array."""
    _, counts = np.unique(answers, axis=0, return_counts=True)
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def _imagine(game: Game, mpc: Mpc, theta: np.ndarray, number: int, steps: int, rng: np.random.Generator) -> Iterator[Plan]:
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
