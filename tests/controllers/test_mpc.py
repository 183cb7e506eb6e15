"""Plans are optima of the cost with its barrier: by other solvers, by gradients, and whatever they started from."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import casadi as ca
import numpy as np
import pytest
from scipy.optimize import minimize

from controllers.mpc import Mpc, Plan
from controllers.systems import game, pendulum
from controllers.systems.system import System
from robot_learn.errors import UserError
from tests.controllers.drives import NAMES, barrier, controller, midway, random_plan, slope, truthful

each_system = pytest.mark.parametrize("name", NAMES)

SYSTEM, TRUTH = pendulum.SYSTEM, pendulum.TRUTH
LATE = (0.0,) * 20 + (0.5,) + (0.0,) * 19 + (2.0,)  # step weights, the last one among them


def bounded(torque: float) -> System:
    return dataclasses.replace(SYSTEM, control_low=np.full(1, -torque), control_high=np.full(1, torque))


def objective(
    controls: np.ndarray, state: np.ndarray, theta: np.ndarray, weights: tuple[float, ...] = SYSTEM.weights
) -> np.ndarray:
    """B of many sequences of torques (n, 40) of the pendulum, in numpy alone; inf where unsafe."""
    angle, speed = (np.full(len(controls), number) for number in state)
    cost, g = 0.1 * (controls**2).sum(axis=1), np.full(len(controls), -3.0)
    for k in range(41):
        g += weights[k] * (theta[0] * angle + theta[1] * speed)
        if k < 40:
            torque = controls[:, k] - 5 * np.sin(angle) - 0.4 * speed
            angle, speed = angle + 0.02 * speed, speed + 0.02 * 3 * torque
    cost += 25 * (angle - np.pi) ** 2 + 10 * speed**2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(g < 0, cost - 0.1 * np.log(-g), np.inf)


def differences(controls: np.ndarray, *args: Any) -> np.ndarray:
    """(40,) of the objective at controls (40,), all of them in one batch."""
    h = 1e-5 * np.eye(40)
    above, below = np.split(objective(np.vstack([controls + h, controls - h]), *args), 2)
    with np.errstate(invalid="ignore"):  # both unsafe: a search by scipy went too far
        return np.asarray((above - below) / 2e-5)


def relative(gradient: np.ndarray, plan: Plan, name: str) -> float:
    """A gradient of B in shares of the cost's part of it, or of the cost's curvature where that vanishes."""
    return float(np.linalg.norm(gradient) / max(1.0, np.linalg.norm(controller(name).gradients(plan).cost)))


# --- The optimum.


@each_system
def test_fatrop_and_ipopt_find_the_same_plan(name: str) -> None:
    played, at = game(name), midway(name)
    plans = []
    for mpc in (controller(name), Mpc(played.system, solver="ipopt")):
        mpc.forget()
        plans.append(mpc.plan(at.states[0], played.truth, at.target))
    assert [plan.status for plan in plans] == ["solved", "solved"]
    assert [plan.solver for plan in plans] == ["fatrop", "ipopt"]
    values = [barrier(name, at.states[0], plan.controls, played.truth, at.target) for plan in plans]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-8)
    np.testing.assert_allclose(plans[0].controls, plans[1].controls, atol=2e-5 * np.abs(at.controls).max())


@pytest.mark.parametrize(
    ("weights", "theta"), [(SYSTEM.weights, TRUTH), (LATE, 0.75 * TRUTH)], ids=["next step", "late steps"]
)
def test_the_pendulums_plan_is_the_one_that_scipy_finds(weights: tuple[float, ...], theta: np.ndarray) -> None:
    state = np.array([1.0, 2.0])
    args = (state, theta, weights)
    plan = Mpc(dataclasses.replace(SYSTEM, weights=weights)).plan(state, theta)
    assert plan.status == "solved"
    found = minimize(
        lambda u: objective(u[None], *args)[0],
        np.zeros(40),
        jac=lambda u: differences(u, *args),
        options={"gtol": 1e-6, "maxiter": 500},
    )
    np.testing.assert_allclose(objective(plan.controls.T, *args)[0], found.fun, rtol=1e-9)
    np.testing.assert_allclose(plan.controls[:, 0], found.x, atol=1e-4)
    assert plan.g(theta) > -0.5  # the constraint matters


@each_system
def test_at_the_optimum_the_barriers_gradient_vanishes(name: str) -> None:
    plans = truthful(name).plans
    for plan in (plans[0], plans[len(plans) // 2], midway(name)):
        assert relative(slope(name, plan, plan.theta), plan, name) < 1e-6
    other = random_plan(name, np.random.default_rng(0))
    assert relative(slope(name, other, game(name).truth), other, name) > 1e-4  # no such thing elsewhere


@each_system
def test_gradients_are_the_differences_of_what_is_evaluated(name: str) -> None:
    mpc, rng, h = controller(name), np.random.default_rng(1), 1e-5
    plan = midway(name)
    controls = plan.controls * (1 + 0.05 * rng.standard_normal(plan.controls.shape))
    gradients = mpc.gradients_of(plan.states[0], controls, plan.target)
    for i in range(mpc.system.nu):
        beside = [controls.copy(), controls.copy()]
        beside[0][0, i] += h
        beside[1][0, i] -= h
        (cost, phi), (less, lower) = (mpc.evaluate(plan.states[0], u, plan.target) for u in beside)
        assert gradients.cost[i] == pytest.approx((cost - less) / (2 * h), rel=1e-5, abs=1e-5)
        np.testing.assert_allclose(gradients.features[:, i], (phi - lower) / (2 * h), rtol=1e-5, atol=1e-7)


@each_system
def test_a_plan_adds_up_features_and_cost_of_the_states_that_its_controls_lead_to(name: str) -> None:
    system, plan = game(name).system, midway(name)
    x, u, target = ca.SX.sym("x", system.nx), ca.SX.sym("u", system.nu), ca.SX.sym("t", len(system.target))
    step = ca.Function("step", [x, u], [system.dynamics(x, u)])
    stage = ca.Function("stage", [x, u, target], [system.stage_cost(x, u, target)])
    last = ca.Function("last", [x, target], [system.terminal_cost(x, target)])
    felt = ca.Function("felt", [x], [system.features(x)])
    states, cost = [plan.states[0]], 0.0
    for control in plan.controls:
        cost += float(stage(states[-1], control, plan.target))
        states.append(np.array(step(states[-1], control)).ravel())
    np.testing.assert_allclose(plan.states, states, atol=1e-10)
    assert plan.cost == pytest.approx(cost + float(last(states[-1], plan.target)), rel=1e-12)
    phi = np.sum([w * np.array(felt(x)).ravel() for w, x in zip(system.weights, states, strict=True)], axis=0)
    np.testing.assert_allclose(plan.phi, phi, atol=1e-12)
    assert plan.g(plan.theta) == pytest.approx(system.offset + phi @ plan.theta)
    assert plan.g(plan.theta) < 0


def test_the_weight_of_the_last_step_counts() -> None:
    state, theta = np.array([1.0, 2.0]), 0.75 * TRUTH
    plan = Mpc(dataclasses.replace(SYSTEM, weights=LATE)).plan(state, theta)
    np.testing.assert_allclose(plan.phi, 0.5 * plan.states[20] + 2 * plan.states[40], atol=1e-10)
    assert np.abs(differences(plan.controls[:, 0], state, theta, LATE)).max() < 1e-5
    without = Mpc(dataclasses.replace(SYSTEM, weights=(*LATE[:-1], 0.0))).plan(state, theta)
    assert np.abs(without.controls - plan.controls).max() > 0.01


# --- One problem for all.


def test_nothing_is_rebuilt_for_a_new_theta_state_or_target(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    build = ca.nlpsol

    def counted(name: str, *args: Any) -> Any:
        built.append(name)
        return build(name, *args)

    monkeypatch.setattr("controllers.mpc.ca.nlpsol", counted)
    mpc, rng = Mpc(SYSTEM), np.random.default_rng(2)
    thetas = [TRUTH, TRUTH / 2, np.array([-2.0, -1.0])]
    plans = [mpc.plan(rng.uniform(0, 1, 2), theta) for theta in thetas]
    assert built == ["fatrop"]
    assert len({plan.controls[0, 0] for plan in plans}) == len(thetas)


@each_system
def test_a_warm_start_does_not_change_the_plan(name: str) -> None:
    mpc, plans = controller(name), truthful(name).plans
    warm = plans[len(plans) // 2]  # planned after its predecessor, shifted
    mpc.forget()
    mpc.plan(warm.states[0], warm.theta, warm.target)
    again = mpc.plan(warm.states[0], warm.theta, warm.target, shift=False)
    atol = 1e-5 * max(1e-2, np.abs(warm.controls).max())
    np.testing.assert_allclose(again.controls, warm.controls, atol=atol)
    mpc.forget()
    np.testing.assert_allclose(mpc.plan(warm.states[0], warm.theta, warm.target).controls, warm.controls, atol=atol)


def test_to_forget_makes_the_next_plan_repeat_itself_bit_by_bit() -> None:
    mpc, state = Mpc(SYSTEM), np.array([0.6, 0.9])
    first = mpc.plan(state, TRUTH)
    mpc.plan(np.array([2.0, 0.1]), TRUTH / 2)
    mpc.forget()
    np.testing.assert_array_equal(mpc.plan(state, TRUTH).controls, first.controls)


# --- Bounds.


def test_bounds_are_kept_and_the_gradient_pushes_against_the_active_ones() -> None:
    state, torque = np.array([0.6, 0.9]), 2.5
    plan = Mpc(bounded(torque)).plan(state, TRUTH)
    controls = plan.controls[:, 0]
    assert plan.status == "solved"
    assert np.abs(controls).max() <= torque
    gradient = differences(controls, state, TRUTH)
    above, below = controls > torque - 1e-6, controls < -torque + 1e-6
    inside = ~above & ~below
    assert above.any()
    assert inside.any()
    assert (gradient[above] < 0).all()  # more would be better
    assert (gradient[below] > 0).all()
    scale = np.abs(gradient).max()
    assert np.abs(gradient[inside]).max() < 1e-5 * scale


def test_bounds_that_nothing_touches_change_nothing() -> None:
    state = np.array([0.6, 0.9])
    free = Mpc(SYSTEM).plan(state, TRUTH)
    wide = Mpc(bounded(10 * np.abs(free.controls).max())).plan(state, TRUTH)
    np.testing.assert_allclose(wide.controls, free.controls, atol=1e-5)


# --- What is hard, and what is wrong.


def test_a_hopeless_start_gives_a_plan_that_is_not_solved() -> None:
    """No torque within the bounds slows the pendulum down enough by the next step."""
    mpc = Mpc(bounded(1.0))
    plan = mpc.plan(np.array([3.0, 10.0]), TRUTH)
    assert plan.status == "failed"
    assert plan.g(TRUTH) >= 0
    assert np.isfinite(plan.controls).all()
    assert np.isfinite(plan.states).all()
    assert np.abs(plan.controls).max() <= 1.0
    assert mpc.plan(np.array([0.6, 0.9]), TRUTH).status == "solved"  # and the next one starts from sense


@each_system
def test_no_theta_of_the_box_makes_planning_raise_or_call_an_unsafe_plan_solved(name: str) -> None:
    system, mpc, rng = game(name).system, controller(name), np.random.default_rng(3)
    start = midway(name)
    for _ in range(3):
        theta = rng.uniform(system.theta_low, system.theta_high)
        mpc.forget()
        plan = mpc.plan(start.states[0], theta, start.target)
        assert np.isfinite(plan.controls).all()
        assert plan.status == "failed" or plan.g(theta) < 0


@each_system
def test_the_middle_of_the_box_is_solved_for(name: str) -> None:
    """The theta that every learner begins with."""
    system, start = game(name).system, truthful(name).plans[0]
    controller(name).forget()
    middle = (system.theta_low + system.theta_high) / 2
    assert controller(name).plan(start.states[0], middle, start.target).status == "solved"


@pytest.mark.parametrize(
    ("state", "theta", "target", "said"),
    [
        (np.zeros(3), TRUTH, None, "state: wanted 2 numbers, came 3"),
        (np.zeros(2), np.zeros(5), None, "theta: wanted 2 numbers, came 5"),
        (np.zeros(2), TRUTH, np.zeros(3), "target: wanted 0 numbers, came 3"),
        (np.array([0.0, np.nan]), TRUTH, None, "state: wanted finite numbers"),
        (np.zeros(2), np.array([np.inf, 0.0]), None, "theta: wanted finite numbers"),
    ],
)
def test_wrong_sizes_and_numbers_are_named(
    state: np.ndarray, theta: np.ndarray, target: np.ndarray | None, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        Mpc(SYSTEM).plan(state, theta, target)


def test_a_target_that_is_needed_is_asked_for() -> None:
    system = game("franka-joints").system
    with pytest.raises(UserError, match="target: wanted 3 numbers, came 0"):
        controller("franka-joints").plan(np.zeros(system.nx), np.zeros(system.r))


def test_an_unknown_solver_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UserError, match="fatrop, ipopt"):
        Mpc(SYSTEM, solver="acados")  # type: ignore[arg-type]


def test_a_drive_that_once_never_came_back_from_the_solver_is_planned() -> None:
    """An iterate ran away there, along ever longer quaternions; the plan is an ordinary one."""
    state = np.array([0.919, 5.815, 1.776, 4.457, 0.562, 2.842, 0.982, 0.107, 0.146, -0.053, 1.993, -0.5, -0.103])
    mpc = controller("uav-gate")
    mpc.forget()
    for scale in (0.0, 0.5, 1.0):
        plan = mpc.plan(state, scale * game("uav-gate").truth, np.array([19.0, 9.0, 9.0]), shift=False)
        assert plan.status == "solved"


HARD = """
import sys
import numpy as np
from controllers.mpc import Mpc
from controllers.systems import game

stored = dict(np.load(sys.argv[1]))
planner = Mpc(game("uav-gate").system)
planner._warm = stored.pop("guess")
print(planner.plan(stored["state"], stored["theta"], stored["target"], shift=False).status)
"""


def test_a_plan_that_a_watchdog_would_run_away_from_is_found() -> None:
    # In a process of its own: where it fails, it never returns.
    command = [sys.executable, "-c", HARD, str(Path(__file__).parent / "watchdog.npz")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["solved"]
