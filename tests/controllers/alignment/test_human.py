"""The simulated person keeps to the rule: stops what is unsafe, pushes what nearly is, and downhill."""

from __future__ import annotations

import numpy as np
import pytest

from controllers.alignment.cuts import Correction
from controllers.alignment.human import SimulatedHuman
from controllers.mpc import Gradients, Plan
from controllers.systems import game, pendulum
from tests.controllers.drives import NAMES, barrier, controller, planned, random_plan

TRUTH = pendulum.TRUTH
GRADIENTS = Gradients(np.array([-3.0]), np.array([[0.1], [0.5]]))


def plan_with(g: float, at: float = 0.0) -> Plan:
    """A plan of the pendulum, with only what a person looks at: g under the truth and where the robot is."""
    phi = TRUTH * (g + 3.0) / (TRUTH @ TRUTH)
    nothing = np.zeros((40, 1))
    state = np.array([[at, 0.0]])
    return Plan("solved", "fatrop", 0.0, np.zeros(2), np.zeros(0), state, nothing, 0.0, phi, -3.0)


def person(seed: int = 0, **rule: float) -> SimulatedHuman:
    return SimulatedHuman(pendulum.SYSTEM, TRUTH, np.random.default_rng(seed), **rule)  # type: ignore[arg-type]


def watched(human: SimulatedHuman, g: float, count: int) -> list[Correction | None]:
    """What is said of plans of a robot that moves on."""
    return [human.watch(plan_with(g, at=float(step)), GRADIENTS) for step in range(count)]


@pytest.mark.parametrize("g", [1e-12, 0.3, 5.0])
def test_an_unsafe_plan_is_always_stopped(g: float) -> None:
    assert {said.kind for said in watched(person(probability=0.0), g, 20) if said} == {"stop"}
    assert None not in watched(person(), g, 20)


@pytest.mark.parametrize("g", [-0.26, -1.0, -2.9])
def test_a_robot_that_moves_far_from_the_boundary_is_left_alone(g: float) -> None:
    assert watched(person(probability=1.0), g, 200) == [None] * 200


def test_near_the_boundary_the_share_of_pushes_is_the_probability() -> None:
    said = watched(person(), -0.24, 2000)
    assert {one.kind for one in said if one} == {"push"}
    share = sum(one is not None for one in said) / 2000
    assert share == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / 2000))


def test_closeness_is_in_shares_of_the_offset() -> None:
    assert None not in watched(person(probability=1.0, closeness=0.5), -1.49, 20)
    assert watched(person(probability=1.0, closeness=0.5), -1.51, 20) == [None] * 20


def test_a_wrong_push_is_the_opposite_one_and_as_frequent_as_asked_for() -> None:
    right, wrong = (watched(person(probability=1.0, mistaken=share), -0.2, 2000)[0] for share in (0.0, 1.0))
    assert right is not None
    assert wrong is not None
    np.testing.assert_array_equal(wrong.direction, -np.asarray(right.direction))
    some = watched(person(probability=1.0, mistaken=0.2), -0.2, 2000)
    flipped = np.mean([(one.direction != right.direction).all() for one in some if one])
    assert flipped == pytest.approx(0.2, abs=4 * np.sqrt(0.2 * 0.8 / 2000))


@pytest.mark.parametrize("name", NAMES)
def test_a_small_step_along_a_push_lowers_the_persons_barrier(name: str) -> None:
    rng, truth = np.random.default_rng(1), game(name).truth
    human = SimulatedHuman(game(name).system, truth, rng, closeness=1.0, probability=1.0)
    pushed = 0
    while pushed < 5:
        plan = random_plan(name, rng)
        said = human.watch(plan, controller(name).gradients(plan))
        if said is None or said.kind != "push":
            continue
        assert said.direction is not None
        assert set(np.abs(said.direction)) <= {0.0, 1.0}
        after = plan.controls.copy()
        after[0] += 1e-6 * said.direction
        here, there = (barrier(name, plan.states[0], u, truth, plan.target) for u in (plan.controls, after))
        assert there < here
        pushed += 1


def test_whoever_waits_before_a_robot_that_stands_still_pushes_it() -> None:
    human = person(probability=1.0)
    said = [human.watch(plan_with(-2.0), GRADIENTS) for _ in range(25)]
    at = [step for step, one in enumerate(said) if one is not None]
    assert at == [10, 21]  # patience, and patience again: a push is given time


def test_a_new_episode_is_waited_for_anew() -> None:
    human = person(probability=1.0)
    for _ in range(10):
        assert human.watch(plan_with(-2.0), GRADIENTS) is None
    human.begin()
    assert human.watch(plan_with(-2.0), GRADIENTS) is None


def test_whoever_is_asked_answers_at_once_and_pushes_however_far_the_boundary() -> None:
    human = person(probability=0.0)
    answers = [human.answer(plan_with(g), GRADIENTS) for g in (0.1, -0.2, -2.9)]
    assert [answer.kind for answer in answers] == ["stop", "push", "push"]
    assert answers[0].direction is None


def test_a_correction_is_of_the_plan_that_was_seen() -> None:
    state, controls = np.array([1.0, 1.7]), np.full((40, 1), 0.5)
    plan = planned("pendulum", state, controls, np.zeros(0))
    said = person(probability=1.0, closeness=1.0).watch(plan, controller("pendulum").gradients(plan))
    assert said is not None
    np.testing.assert_array_equal(said.state, state)
    np.testing.assert_array_equal(said.controls, controls)
