"""A game: the controller drives, a person watches and corrects, and the learner learns, step by step."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field

import numpy as np

from controllers.alignment.cuts import Correction
from controllers.alignment.learner import Learner, Lesson
from controllers.mpc import Gradients, Plan
from controllers.systems.system import Game, Situation

Watch = Callable[[Plan, Gradients], Correction | None]


@dataclass(frozen=True, eq=False)
class Moment:
    """One control step of a game."""

    episode: int
    step: int
    plan: Plan
    correction: Correction | None
    lesson: Lesson | None
    over: bool  # the episode ends with this step


@dataclass(eq=False)
class Episode:
    """What became of an episode."""

    situation: Situation
    states: list[np.ndarray] = field(default_factory=list)
    pushes: int = 0
    stopped: bool = False
    reached: bool = False
    unsafe: int = 0  # steps at which the plan was unsafe by the truth

    def passed(self, game: Game) -> bool:
        return self.reached and not self.stopped and game.passed(np.array(self.states))


def play(
    game: Game, learner: Learner, watch: Watch, episode: int, rng: np.random.Generator
) -> Generator[Moment, None, Episode]:
    """One episode, moment by moment; whoever iterates may pause, and stop by iterating no further.

    Args:
        watch: the person; sees every plan and its gradients. A stop ends the episode.
        episode: its number, which decides on the target.

    Returns:
        (as the iterator's value) the `Episode`.
    """
    system, mpc = game.system, learner.mpc
    situation = game.start(rng, episode)
    done = Episode(situation, [situation.state])
    state = situation.state
    mpc.forget()
    for step in range(game.max_steps):
        plan = mpc.plan(state, learner.theta, situation.target, shift=step > 0)
        done.unsafe += plan.g(game.truth) >= 0
        correction = watch(plan, mpc.gradients(plan))
        lesson = None
        if correction is None:
            learner.watched(plan)
        else:
            lesson = learner.correct(correction)
            done.pushes += correction.kind == "push"
            done.stopped = correction.kind == "stop"
        if not done.stopped:
            state = system.step(state, plan.controls[0])
            if game.noise is not None:
                state = state + game.noise * rng.standard_normal(system.nx)
            done.states.append(state)
            done.reached = game.reached(state, situation.target)
        over = done.stopped or done.reached or step + 1 == game.max_steps
        yield Moment(episode, step, plan, correction, lesson, over)
        if over:
            break
    return done
