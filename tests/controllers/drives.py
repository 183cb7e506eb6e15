"""What the tests of systems, controller and cuts share: one controller a system, drives with it, and random plans."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from controllers.mpc import Mpc, Plan
from controllers.systems import SYSTEMS, game
from controllers.systems.system import Game

NAMES = tuple(SYSTEMS)


@dataclass(frozen=True, eq=False)
class Drive:
    """An episode under one theta, nobody watching."""

    plans: list[Plan]
    states: np.ndarray  # (T + 1, nx)
    reached: bool
    unsafe: int  # plans that are so by the truth


@cache
def controller(name: str) -> Mpc:
    """The one of this process: whoever uses it lets it forget."""
    return Mpc(game(name).system)


def drive(game: Game, mpc: Mpc, theta: np.ndarray, episode: int, *, until_unsafe: bool = False) -> Drive:
    """One episode; `until_unsafe` ends it with the first plan that is."""
    rng = np.random.default_rng(episode)
    situation = game.start(rng, episode)
    mpc.forget()
    plans: list[Plan] = []
    states, reached, unsafe = [situation.state], False, 0
    while len(plans) < game.max_steps and not reached and not (until_unsafe and unsafe):
        plans.append(mpc.plan(states[-1], theta, situation.target, shift=bool(plans)))
        unsafe += plans[-1].g(game.truth) >= 0
        state = game.system.step(states[-1], plans[-1].controls[0])
        if game.noise is not None:
            state = state + game.noise * rng.standard_normal(game.system.nx)
        states.append(state)
        reached = game.reached(state, situation.target)
    return Drive(plans, np.array(states), reached, unsafe)


@cache
def truthful(name: str, episode: int = 0) -> Drive:
    """An episode under the true theta."""
    return drive(game(name), controller(name), game(name).truth, episode)


def midway(name: str) -> Plan:
    """A plan of a truthful drive in which the constraint is felt as much as in no other."""
    plans = truthful(name).plans
    return max(plans, key=lambda plan: float(np.linalg.norm(plan.phi)))


def planned(name: str, state: np.ndarray, controls: np.ndarray, target: np.ndarray) -> Plan:
    """Any controls (N, nu) as a plan, made by nobody's theta."""
    mpc = controller(name)
    cost, phi = mpc.evaluate(state, controls, target)
    states = [state]
    for control in controls:
        states.append(mpc.system.step(states[-1], control))
    nobody = np.full(mpc.system.r, np.nan)
    return Plan(
        "solved", "fatrop", 0.0, nobody, target, np.array(states), controls, cost, phi, mpc.system.offset
    )  # fmt: skip


def random_plan(name: str, rng: np.random.Generator) -> Plan:
    """Near one of a truthful drive, but no optimum."""
    plans = truthful(name).plans
    plan = plans[rng.integers(len(plans))]
    size = 0.3 * np.abs(plan.controls).mean() + 1e-3
    return planned(name, plan.states[0], plan.controls + size * rng.standard_normal(plan.controls.shape), plan.target)


def barrier(name: str, state: np.ndarray, controls: np.ndarray, theta: np.ndarray, target: np.ndarray) -> float:
    """B = J - gamma ln(-g), from its definition."""
    mpc = controller(name)
    cost, phi = mpc.evaluate(state, controls, target)
    return float(cost - mpc.system.gamma * np.log(-(mpc.system.offset + phi @ theta)))


def slope(name: str, plan: Plan, theta: np.ndarray) -> np.ndarray:
    """(nu,) of B with respect to the first control, by the chain rule."""
    mpc = controller(name)
    gradients = mpc.gradients(plan)
    return np.asarray(gradients.cost + mpc.system.gamma * (theta @ gradients.features) / -plan.g(theta))
