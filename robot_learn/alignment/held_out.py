"""Whether what was learned serves: episodes that nobody learned from, of the same game."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controllers.mpc import Mpc
from controllers.systems.system import Game, Situation
from robot_learn.alignment.session import HELD_OUT, generator
from robot_learn.errors import UserError

PER_TARGET = 3
_DRAWS = 100  # of a start, before the game counts as one without any safe start


@dataclass(frozen=True)
class HeldOut:
    """What became of the episodes; nobody stops them. Unsafe is by the game's own truth."""

    episodes: int
    passed: int  # reached the target, as the game wants it, measured on geometry, and no plan was unsafe
    geometry: int  # passed but for plans that were unsafe
    steps: int
    unsafe: int  # steps with an unsafe plan


def held_out(game: Game, mpc: Mpc, theta: np.ndarray, seed: int, *, per_target: int = PER_TARGET) -> HeldOut:
    """Fresh episodes, the same number for each target, under theta (r,)."""
    episodes = [_episode(game, mpc, theta, seed, number) for number in range(per_target * game.targets)]
    return HeldOut(
        episodes=len(episodes),
        passed=sum(good and not unsafe for good, _, unsafe in episodes),
        geometry=sum(good for good, _, _ in episodes),
        steps=sum(steps for _, steps, _ in episodes),
        unsafe=sum(unsafe for _, _, unsafe in episodes),
    )


def _episode(game: Game, mpc: Mpc, theta: np.ndarray, seed: int, number: int) -> tuple[bool, int, int]:
    """Whether the geometry was right, the steps taken, and how many of them with an unsafe plan."""
    system, rng = game.system, generator(HELD_OUT, seed, number)
    situation = _start(game, mpc, rng, number)
    states, unsafe, reached = [situation.state], 0, False
    mpc.forget()
    while not reached and len(states) <= game.max_steps:
        plan = mpc.plan(states[-1], theta, situation.target, shift=len(states) > 1)
        unsafe += plan.g(game.truth) >= 0
        state = system.step(states[-1], plan.controls[0])
        if game.noise is not None:
            state = state + game.noise * rng.standard_normal(system.nx)
        states.append(state)
        reached = game.reached(state, situation.target)
    return bool(reached and game.passed(np.array(states))), len(states) - 1, int(unsafe)


def _start(game: Game, mpc: Mpc, rng: np.random.Generator, number: int) -> Situation:
    """A start from which the truth has a safe plan: from others nobody can pass."""
    for _ in range(_DRAWS):
        situation = game.start(rng, number)
        mpc.forget()
        if mpc.plan(situation.state, game.truth, situation.target, shift=False).g(game.truth) < 0:
            return situation
    raise UserError(f"{game.system.name}: none of {_DRAWS} starts has a safe plan, even by the game's own truth")
