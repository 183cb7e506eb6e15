"""An episode ends where it should, and what is counted of it is what happened."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from controllers.alignment.cuts import Correction
from controllers.alignment.human import SimulatedHuman
from controllers.alignment.learner import Learner, Rule
from controllers.alignment.play import Episode, Moment, Watch, play
from controllers.mpc import Gradients, Mpc, Plan
from controllers.systems import game
from controllers.systems.system import Game
from tests.controllers.drives import controller

SHORT = dataclasses.replace(game("pendulum"), max_steps=5)


def said_at(said: dict[int, str]) -> Watch:
    """Somebody who says something at some steps, and pushes to the right."""
    steps = iter(range(1000))

    def watch(plan: Plan, gradients: Gradients) -> Correction | None:
        kind = said.get(next(steps))
        direction = np.ones(1) if kind == "push" else None
        if kind is None:
            return None
        return Correction(kind, plan.states[0], plan.controls, plan.target, direction)  # type: ignore[arg-type]

    return watch


def played(
    game: Game, watch: Watch, learner: Learner | None = None, episode: int = 0, seed: int = 0
) -> tuple[list[Moment], Episode]:
    """All moments of an episode, and what became of it."""
    moments: list[Moment] = []
    learner = Learner(controller("pendulum"), Rule(silence=False)) if learner is None else learner

    def through() -> Iterator[Moment]:
        done = yield from play(game, learner, watch, episode, np.random.default_rng(seed))
        results.append(done)

    results: list[Episode] = []
    moments.extend(through())
    return moments, results[0]


def test_an_episode_that_comes_nowhere_ends_after_its_steps() -> None:
    moments, done = played(SHORT, said_at({}))
    assert [moment.step for moment in moments] == [0, 1, 2, 3, 4]
    assert [moment.over for moment in moments] == [False] * 4 + [True]
    assert len(done.states) == 6
    assert not done.stopped
    assert not done.reached
    assert not done.passed(SHORT)


def test_a_stop_ends_the_episode_before_the_robot_moves() -> None:
    moments, done = played(SHORT, said_at({2: "stop"}))
    assert len(moments) == 3
    assert moments[-1].over
    assert done.stopped
    assert len(done.states) == 3  # the start and two steps
    assert not done.passed(SHORT)


def test_reaching_ends_the_episode() -> None:
    nearby = dataclasses.replace(SHORT, reached=lambda state, target: True, passed=lambda states: True)
    moments, done = played(nearby, said_at({}))
    assert len(moments) == 1
    assert moments[0].over
    assert done.reached
    assert done.passed(nearby)
    assert not done.passed(dataclasses.replace(nearby, passed=lambda states: False))


def test_pushes_are_counted_and_stops_and_praise_are_not_among_them() -> None:
    moments, done = played(SHORT, said_at({0: "push", 1: "fine", 3: "push", 4: "stop"}))
    assert done.pushes == 2
    assert [moment.correction.kind if moment.correction else None for moment in moments] == [
        "push",
        "fine",
        None,
        "push",
        "stop",
    ]
    assert [moment.lesson is not None for moment in moments] == [True, True, False, True, True]


def test_plans_that_are_unsafe_by_the_truth_are_counted() -> None:
    for truth, unsafe in (([-100.0, -100.0], 0), ([100.0, 100.0], 5)):
        assert played(dataclasses.replace(SHORT, truth=np.array(truth)), said_at({}))[1].unsafe == unsafe


def test_the_robot_goes_where_its_system_takes_it_and_noise_throws_it() -> None:
    calm = dataclasses.replace(SHORT, noise=None)
    moments, done = played(calm, said_at({}))
    for moment, before, after in zip(moments, done.states[:-1], done.states[1:], strict=True):
        np.testing.assert_array_equal(moment.plan.states[0], before)
        np.testing.assert_array_equal(after, calm.system.step(before, moment.plan.controls[0]))
    loud = dataclasses.replace(SHORT, noise=np.array([0.0, 10.0]))
    moments, done = played(loud, said_at({}))
    after = loud.system.step(done.states[0], moments[0].plan.controls[0])
    assert done.states[1][0] == after[0]
    assert abs(done.states[1][1] - after[1]) > 0.1


def test_the_same_seed_plays_the_same_episode() -> None:
    first, second = (played(SHORT, said_at({1: "push"}), seed=4)[1] for _ in range(2))
    np.testing.assert_array_equal(first.states, second.states)
    assert (played(SHORT, said_at({1: "push"}), seed=5)[1].states[0] != first.states[0]).any()


def test_silence_teaches_only_where_nobody_spoke() -> None:
    learner = Learner(controller("pendulum"), Rule(silence=True, depth=0.0))
    seen: list[int] = []
    watched = learner.watched
    learner.watched = lambda plan: bool(seen.append(1)) or watched(plan)  # type: ignore[method-assign, func-returns-value]
    played(SHORT, said_at({1: "push", 2: "fine"}), learner)
    assert len(seen) == 3


def test_each_plan_begins_one_step_further_than_the_last_and_the_first_one_from_rest() -> None:
    mpc = Mpc(SHORT.system)
    learner, shifts, plan = Learner(mpc), [], mpc.plan

    def planned(*args: Any, shift: bool) -> Plan:
        shifts.append(shift)
        return plan(*args, shift=shift)

    mpc.plan = planned  # type: ignore[method-assign]
    played(SHORT, said_at({}), learner)
    assert shifts == [False, True, True, True, True]


def test_while_a_person_teaches_the_truth_is_never_excluded_and_in_the_end_nothing_is_stopped() -> None:
    pendulum = game("pendulum")
    learner = Learner(controller("pendulum"))
    person = SimulatedHuman(pendulum.system, pendulum.truth, np.random.default_rng(1), closeness=0.25)
    episodes = []
    for number in range(12):
        person.begin()
        moments, done = played(pendulum, person.watch, learner, number, seed=number)
        assert learner.hypotheses.contains(pendulum.truth)
        assert done.unsafe == done.stopped  # whatever was unsafe was stopped
        assert done.pushes == sum(m.correction.kind == "push" for m in moments if m.correction)
        episodes.append(done)
    assert episodes[0].stopped
    assert all(done.passed(pendulum) for done in episodes[-3:])
    assert len(learner.corrections) == sum(done.pushes + done.stopped for done in episodes) > 3


def test_who_stops_looking_stops_the_game() -> None:
    learner = Learner(controller("pendulum"))
    moments = play(SHORT, learner, said_at({}), 0, np.random.default_rng(0))
    next(moments)
    moments.close()
    assert next(moments, None) is None


@pytest.mark.parametrize("episode", [0, 1, 2])
def test_the_episodes_number_decides_on_the_target(episode: int) -> None:
    arm = dataclasses.replace(game("franka-joints"), max_steps=1)
    learner = Learner(controller("franka-joints"))
    moments, done = played(arm, said_at({}), learner, episode)
    np.testing.assert_array_equal(done.situation.target, arm.start(np.random.default_rng(9), episode).target)
    np.testing.assert_array_equal(moments[0].plan.target, done.situation.target)
    assert moments[0].episode == episode
