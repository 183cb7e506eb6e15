"""What corrections say of theta, held against the theta of whoever gave them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from controllers.alignment.cuts import Correction, Cut, cuts, push_cut
from controllers.alignment.human import SimulatedHuman
from controllers.mpc import Mpc, Plan
from controllers.systems import game, pendulum
from robot_learn.errors import UserError
from tests.controllers.drives import NAMES, controller, midway, random_plan, slope, truthful

each_system = pytest.mark.parametrize("name", NAMES)


def said(kind: str, plan: Plan, direction: np.ndarray | None = None) -> Correction:
    return Correction(kind, plan.states[0], plan.controls, plan.target, direction)  # type: ignore[arg-type]


def excess(cut: Cut, theta: np.ndarray) -> float:
    """How far beyond the cut theta is, in shares of how long it is."""
    return float(cut.normal @ theta - cut.offset) / max(1.0, float(np.linalg.norm(theta)))


def talkative(name: str, rng: np.random.Generator) -> SimulatedHuman:
    """Has something to say of every plan."""
    return SimulatedHuman(game(name).system, game(name).truth, rng, closeness=1e6, probability=1.0)


@each_system
def test_a_push_cuts_through_the_theta_that_the_plan_was_made_with(name: str) -> None:
    mpc, plans = controller(name), truthful(name).plans
    rng = np.random.default_rng(0)
    for plan in (plans[0], midway(name)):
        direction = rng.standard_normal(mpc.system.nu)
        found = push_cut(mpc.system, plan.phi, mpc.gradients(plan), direction)
        assert all(abs(excess(cut, plan.theta)) < 1e-6 for cut in found)
    assert found  # where the constraint is felt


@each_system
@pytest.mark.parametrize("axes", [False, True], ids=["one cut", "a cut an axis"])
def test_the_truth_is_in_every_cut_that_a_faultless_person_leads_to(name: str, axes: bool) -> None:
    mpc, rng, truth = controller(name), np.random.default_rng(1), game(name).truth
    person, made = talkative(name, rng), 0
    for _ in range(25):
        plan = random_plan(name, rng)
        correction = person.watch(plan, mpc.gradients(plan))
        assert correction is not None
        found = cuts(mpc, correction, axes=axes)
        assert max((excess(cut, truth) for cut in found), default=0.0) < 1e-9
        made += len(found)
    assert made > 25


@each_system
def test_a_push_the_other_way_excludes_the_truth_unless_it_is_the_plans_own_theta(name: str) -> None:
    mpc, rng, truth = controller(name), np.random.default_rng(2), game(name).truth
    plan = random_plan(name, rng)
    while plan.g(truth) >= 0 or np.linalg.norm(plan.phi) < 1e-3 * np.linalg.norm(midway(name).phi):
        plan = random_plan(name, rng)
    uphill = np.sign(slope(name, plan, truth))
    found = cuts(mpc, said("push", plan, uphill))
    assert [cut.source for cut in found] == ["push", "safe"]
    assert excess(found[0], truth) > 0
    assert excess(found[1], truth) < 0


@each_system
def test_how_hard_the_push_is_does_not_matter(name: str) -> None:
    mpc, plan = controller(name), random_plan(name, np.random.default_rng(3))
    direction = np.random.default_rng(4).standard_normal(mpc.system.nu)
    soft, hard = (cuts(mpc, said("push", plan, size * direction)) for size in (0.01, 100.0))
    assert len(soft) == len(hard) == 2
    for one, other in zip(soft, hard, strict=True):
        np.testing.assert_allclose(one.normal, other.normal, atol=1e-12)
        assert one.offset == pytest.approx(other.offset)
        assert np.linalg.norm(one.normal) == pytest.approx(1.0)


@each_system
def test_a_push_cut_is_the_barriers_slope_along_it(name: str) -> None:
    """-g(theta) <grad B(theta), a> <= 0 and the cut are the same half-space, for any theta and no optimum."""
    mpc, rng = controller(name), np.random.default_rng(5)
    plan = random_plan(name, rng)
    direction = rng.standard_normal(mpc.system.nu)
    (cut,) = push_cut(mpc.system, plan.phi, mpc.gradients(plan), direction)
    box = mpc.system.theta_low, mpc.system.theta_high
    thetas = rng.uniform(*box, (30, mpc.system.r))
    uphill = np.array([-plan.g(theta) * (slope(name, plan, theta) @ direction) for theta in thetas])
    beyond = np.array([cut.normal @ theta - cut.offset for theta in thetas])
    np.testing.assert_allclose(beyond / np.abs(beyond).max(), uphill / np.abs(uphill).max(), atol=1e-9)


@each_system
def test_a_stop_excludes_the_theta_that_the_plan_was_made_with(name: str) -> None:
    plan = midway(name)
    (cut,) = cuts(controller(name), said("stop", plan))
    assert cut.source == "stop"
    assert excess(cut, plan.theta) > 0
    theta = plan.theta + plan.phi * (0.1 - plan.g(plan.theta)) / (plan.phi @ plan.phi)  # g = 0.1
    assert excess(cut, theta) < 0


@each_system
def test_fine_says_what_a_push_says_beside_its_direction(name: str) -> None:
    mpc, plan = controller(name), midway(name)
    (fine,) = cuts(mpc, said("fine", plan))
    *_, safe = cuts(mpc, said("push", plan, np.ones(mpc.system.nu)))
    assert fine.source == safe.source == "safe"
    np.testing.assert_array_equal(fine.normal, safe.normal)
    assert fine.offset == safe.offset
    (stop,) = cuts(mpc, said("stop", plan))
    np.testing.assert_array_equal(stop.normal, -fine.normal)  # the other side of the same plane
    assert stop.offset == pytest.approx(-fine.offset)


@each_system
def test_with_axes_each_number_of_a_direction_cuts_by_itself(name: str) -> None:
    mpc, plan = controller(name), random_plan(name, np.random.default_rng(6))
    direction = np.random.default_rng(7).choice([-1.0, 1.0], mpc.system.nu)
    direction[0] = 0.0 if mpc.system.nu > 1 else 1.0
    found = cuts(mpc, said("push", plan, direction), axes=True)
    assert len(found) == np.count_nonzero(direction) + 1
    assert sorted(cut.source for cut in found)[-1] == "safe"
    alone = [cuts(mpc, said("push", plan, part))[0] for part in np.diag(direction) if part.any()]
    for cut in alone:
        assert min(np.linalg.norm(cut.normal - other.normal) for other in found) < 1e-12


def test_a_plan_that_the_constraint_does_not_feel_teaches_nothing() -> None:
    mpc, system = controller("uav-gate"), game("uav-gate").system
    far = np.zeros(system.nx)
    far[0], far[6] = -1000.0, 1.0
    controls, target = np.full((system.horizon, 4), 0.245), np.zeros(3)
    for kind, direction in (("push", np.ones(4)), ("stop", None), ("fine", None)):
        assert cuts(mpc, Correction(kind, far, controls, target, direction)) == []  # type: ignore[arg-type]


# --- At the bounds of a control: a pendulum whose motor is at its limit.


@pytest.fixture(scope="module")
def at_the_limit() -> tuple[Mpc, Plan]:
    bounds = {"control_low": np.full(1, -4.0), "control_high": np.full(1, 4.0)}
    mpc = Mpc(dataclasses.replace(pendulum.SYSTEM, **bounds))  # type: ignore[arg-type]
    plan = mpc.plan(np.array([0.6, 0.5]), pendulum.TRUTH)
    assert plan.controls[0] == pytest.approx(4.0, abs=1e-6)
    return mpc, plan


def test_a_push_out_of_the_bounds_says_only_that_the_plan_is_safe(at_the_limit: tuple[Mpc, Plan]) -> None:
    mpc, plan = at_the_limit
    assert [cut.source for cut in cuts(mpc, said("push", plan, np.ones(1)))] == ["safe"]
    assert [cut.source for cut in cuts(mpc, said("push", plan, np.ones(1)), axes=True)] == ["safe"]


def test_a_push_away_from_a_bound_cuts_deep(at_the_limit: tuple[Mpc, Plan]) -> None:
    """Whoever pushes back wants even less than the bound allows: the plan's theta is left outside by a margin."""
    mpc, plan = at_the_limit
    push, _ = cuts(mpc, said("push", plan, -np.ones(1)))
    assert push.source == "push"
    assert excess(push, plan.theta) > 1e-3


# --- What a correction has to have.


@pytest.mark.parametrize(("kind", "direction"), [("push", None), ("stop", np.ones(1)), ("fine", np.ones(1))])
def test_pushes_have_a_direction_and_nothing_else_does(kind: str, direction: np.ndarray | None) -> None:
    with pytest.raises(UserError, match=kind):
        Correction(kind, np.zeros(2), np.zeros((40, 1)), np.zeros(0), direction)  # type: ignore[arg-type]
