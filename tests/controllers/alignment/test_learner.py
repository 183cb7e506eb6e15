"""Learning shrinks what is possible as fast as promised, keeps the truth, and can be undone."""

from __future__ import annotations

import numpy as np
import pytest

from controllers.alignment.cuts import Correction, cuts
from controllers.alignment.human import SimulatedHuman
from controllers.alignment.hypotheses import ELLIPSOID_SHRINKS
from controllers.alignment.learner import Learner, Rule
from controllers.mpc import Plan
from controllers.systems import game
from robot_learn.errors import UserError
from tests.controllers.drives import controller, midway, random_plan, truthful

SYSTEMS = ("pendulum", "reacher", "franka-reach")
ALL = Rule()


def lessons(name: str, count: int, rule: Rule = ALL, seed: int = 0) -> tuple[Learner, list[Plan]]:
    """A learner that has been corrected so many times, each time about its plan from a state of a truthful drive."""
    mpc, played = controller(name), game(name)
    learner, rng = Learner(mpc, rule), np.random.default_rng(seed)
    person = SimulatedHuman(played.system, played.truth, rng, closeness=1e6, probability=1.0)
    plans: list[Plan] = []
    while len(plans) < count:
        start = truthful(name).plans[rng.integers(len(truthful(name).plans))]
        mpc.forget()
        plan = mpc.plan(start.states[0], learner.theta, start.target)
        learner.correct(person.answer(plan, mpc.gradients(plan)))
        plans.append(plan)
    return learner, plans


def push(plan: Plan, direction: np.ndarray) -> Correction:
    return Correction("push", plan.states[0], plan.controls, plan.target, direction)


def say(kind: str, plan: Plan) -> Correction:
    return Correction(kind, plan.states[0], plan.controls, plan.target)  # type: ignore[arg-type]


def test_a_push_that_was_not_meant_leaves_nothing_behind_and_can_be_denied_only_where_mistakes_are_expected() -> None:
    learner, plans = lessons("pendulum", 4, Rule(silence=False, mistakes=0.1))
    before = learner.hypotheses
    learner.correct(say("stop", plans[-1]))  # all that was said about that plan holds it to be safe
    number = len(learner.corrections)
    learner.confirm(number, meant=False)
    assert number not in learner.hypotheses.corrections
    assert learner.hypotheses.contains(before.centre)
    learner.undo()
    assert len(learner.corrections) == number
    with pytest.raises(UserError, match="no correction 9"):
        learner.confirm(9, meant=True)
    with pytest.raises(UserError, match="in doubt"):
        Learner(controller("pendulum")).confirm(1, meant=True)


def optimal(name: str, learner: Learner) -> Plan:
    """The learner's own plan from where the constraint is felt."""
    at = midway(name)
    learner.mpc.forget()
    return learner.mpc.plan(at.states[0], learner.theta, at.target)


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("rule", [ALL, Rule.paper()], ids=["all", "paper"])
def test_the_truth_stays_possible(name: str, rule: Rule) -> None:
    learner, _ = lessons(name, 8, rule)
    assert learner.hypotheses.contains(game(name).truth)
    assert len(learner.corrections) == 8
    assert learner.hypotheses.contains(learner.theta)


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("direction", [-1.0, 1.0])
def test_a_push_against_an_optimal_plan_takes_its_share_of_the_volume(name: str, direction: float) -> None:
    """Either way: what matters is that the cut goes through the centre."""
    learner = Learner(controller(name), Rule.paper())
    for _ in range(3):
        before, plan = learner.hypotheses, optimal(name, learner)
        lesson = learner.correct(push(plan, np.full(learner.mpc.system.nu, direction)))
        if not lesson.cuts or lesson.cuts[0].source != "push":
            pytest.fail("the push taught nothing")
        assert lesson.log_volume <= before.log_volume - ELLIPSOID_SHRINKS + 1e-5
        assert learner.hypotheses.central == before.central + 1
        assert lesson.log_volume == learner.hypotheses.log_volume


def test_to_undo_brings_back_the_very_set_and_theta() -> None:
    learner, plans = lessons("franka-reach", 3)
    hypotheses, theta = learner.hypotheses, learner.theta.copy()
    last = say("fine", midway("franka-reach"))
    learner.correct(push(plans[-1], np.ones(6)))
    learner.correct(last)
    learner.watched(plans[0])
    assert learner.undo() is last
    learner.undo()
    assert learner.hypotheses is hypotheses
    np.testing.assert_array_equal(learner.theta, theta)
    assert len(learner.corrections) == 3


def test_with_everything_undone_it_is_as_on_the_first_day() -> None:
    learner, _ = lessons("pendulum", 4)
    for _ in range(4):
        learner.undo()
    system = game("pendulum").system
    np.testing.assert_allclose(learner.theta, (system.theta_low + system.theta_high) / 2, atol=1e-6)
    assert learner.corrections == []
    with pytest.raises(UserError, match="no correction"):
        learner.undo()


def test_the_same_corrections_in_a_new_learner_lead_to_the_same_theta() -> None:
    learner, _ = lessons("franka-reach", 4)
    again = Learner(learner.mpc)
    for correction in learner.corrections:
        again.correct(correction)
    np.testing.assert_array_equal(again.theta, learner.theta)


@pytest.mark.parametrize("name", SYSTEMS)
def test_silence_before_safe_plans_keeps_the_truth(name: str) -> None:
    learner, rng, taught = Learner(controller(name), Rule(depth=0.0)), np.random.default_rng(2), 0
    for _ in range(40):
        plan = random_plan(name, rng)
        if plan.g(game(name).truth) < 0:
            taught += learner.watched(plan)
    assert taught > 0
    assert learner.hypotheses.contains(game(name).truth)
    assert learner.corrections == []


def test_silence_says_no_more_than_that_the_plan_is_safe() -> None:
    learner = Learner(controller("pendulum"), Rule(depth=0.0))
    plan = midway("pendulum")
    said = learner.watched(plan)
    (fine,) = cuts(learner.mpc, say("fine", plan))
    assert said
    np.testing.assert_allclose(learner.hypotheses.normals[-1], fine.normal)
    assert learner.hypotheses.offsets[-1] == pytest.approx(fine.offset)
    assert learner.hypotheses.sources == ("safe",)


def test_silence_that_would_say_little_says_nothing() -> None:
    learner = Learner(controller("pendulum"), Rule(depth=0.5))
    before, plan = learner.hypotheses, midway("pendulum")
    while learner.watched(plan):
        assert learner.hypotheses is not before
        before = learner.hypotheses
    assert learner.hypotheses is before


def test_the_papers_rule_hears_pushes_only() -> None:
    learner = Learner(controller("pendulum"), Rule.paper())
    box, plan = learner.hypotheses, midway("pendulum")
    assert not learner.watched(plan)
    assert learner.correct(say("stop", plan)).cuts == ()
    assert learner.hypotheses is box
    found = learner.correct(push(plan, np.ones(1))).cuts
    assert [cut.source for cut in found] == ["push", "safe"]


def test_corrections_that_nothing_explains_leave_a_set_and_a_theta_and_can_be_undone() -> None:
    learner, plan = Learner(controller("pendulum")), midway("pendulum")
    learner.correct(say("fine", plan))
    hypotheses, theta = learner.hypotheses, learner.theta
    lesson = learner.correct(say("stop", plan))  # it was fine, and it was not
    assert lesson.verdict.misspecified
    np.testing.assert_array_equal(learner.theta, theta)
    learner.undo()
    assert learner.hypotheses is hypotheses
    assert len(learner.corrections) == 1
