"""The filter of one step: equal to an independent solver where that can tell, and never off what was promised."""

from __future__ import annotations

import casadi as ca
import cvxpy as cp
import numpy as np
import pytest

from controllers import filter_bench
from controllers.safety_filter.limits import Ball, Box, ControlBox, HalfSpace, Limit, Region, StateBox
from controllers.safety_filter.reactive import ReactiveFilter
from controllers.systems import franka_joints as arm
from controllers.systems import game
from robot_learn.errors import UserError
from robot_learn.franka import FR3

REACH = filter_bench.reach()
SYSTEM = REACH.system
TWIST: Limit = ControlBox("twist", (-0.4,) * 3 + (-1.5,) * 3, (0.4,) * 3 + (1.5,) * 3)


def hand(x: ca.SX) -> dict[str, ca.SX]:
    return {"hand": x[:3]}


def at(*p: float) -> np.ndarray:
    return np.array([*p, 1.0, 0.0, 0.0, 0.0])


def test_what_keeps_every_limit_passes_bit_for_bit() -> None:
    safety, wanted = REACH.filter(), np.array([0.05, -0.02, 0.01, 0.1, 0.0, -0.1])
    said = safety.filter(at(0.4, -0.6, 0.7), wanted)
    np.testing.assert_array_equal(said.action, wanted)
    assert (said.changed, said.active, said.feasible, said.size) == (False, (), True, 0.0)
    assert said.explain() == "as wanted"


def test_on_linear_limits_it_finds_the_optimum_that_cvxpy_finds() -> None:
    low, high, alpha = FR3.lower + 0.1, FR3.upper - 0.1, 0.4
    safety = ReactiveFilter(arm.SYSTEM, [StateBox("range", tuple(range(7)), tuple(low), tuple(high))], alpha=alpha)
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(20):
        q = rng.uniform(low, high)
        q[:3] = (high - 0.05)[:3]  # near to some ends
        wanted = rng.uniform(-1.5, 1.5, 7) * FR3.velocity
        u = cp.Variable(7)
        after = q + arm.CONTROL_DT * u
        asked = [
            after - low >= (1 - alpha) * (q - low) + alpha * 1e-4,
            high - after >= (1 - alpha) * (high - q) + alpha * 1e-4,
            u >= -FR3.velocity / 2,
            u <= FR3.velocity / 2,
        ]
        cp.Problem(cp.Minimize(cp.sum(cp.multiply(safety.weight, (u - wanted) ** 2))), asked).solve(solver="CLARABEL")
        said = safety.filter(q, wanted)
        np.testing.assert_allclose(said.action, u.value, atol=1e-4)
        held += "range" in said.active
    assert held > 5


def test_it_slides_along_a_wall_and_names_it() -> None:
    safety = ReactiveFilter(
        SYSTEM, [TWIST, Region("table", HalfSpace((0.0, 0.0, 1.0), 0.1), ("hand",), "out")], points=hand
    )
    said = safety.filter(at(0.0, 0.0, 0.11), np.array([0.3, 0.1, -0.4, 0.0, 0.0, 0.0]))
    np.testing.assert_allclose(said.action[[0, 1, 3, 4, 5]], [0.3, 0.1, 0.0, 0.0, 0.0], atol=1e-6)
    assert -0.4 < said.action[2] < 0
    assert said.active == ("table (hand)",)
    assert said.explain() == "held by table (hand)"


def test_it_goes_around_a_ball_instead_of_stopping_before_it() -> None:
    ball = Region("ball", Ball((0.0, 0.0, 0.5), 0.1), ("hand",), "out")
    safety = ReactiveFilter(SYSTEM, [TWIST, ball], points=hand)
    state = at(-0.3, 0.02, 0.5)
    nearest = np.inf
    for _ in range(40):
        said = safety.filter(state, np.array([0.4, 0.0, 0.0, 0.0, 0.0, 0.0]))
        state = SYSTEM.step(state, said.action)
        nearest = min(nearest, float(np.linalg.norm(state[:3] - [0.0, 0.0, 0.5])))
    assert 0.1 <= nearest < 0.12
    assert state[0] > 0.2


@pytest.mark.parametrize("setting", [filter_bench.reach(), filter_bench.joints()], ids=["reach", "joints"])
@pytest.mark.parametrize("policy", ["bang-bang at the learned", "stuck at full speed"])
def test_adversaries_break_limits_without_it_and_none_with_it(setting: filter_bench.Setting, policy: str) -> None:
    row = filter_bench.measure(setting, filter_bench.Judge(setting), policy, 3, seed=1)
    assert row["broken without"] == 1.0
    assert (row["feasible"], row["hard broken"], row["learned broken"]) == (1.0, 0, 0)
    assert row["changed"] > 0.2


def test_a_slow_policy_that_comes_near_to_nothing_is_left_alone() -> None:
    row = filter_bench.measure(REACH, filter_bench.Judge(REACH), "harmless", 3, seed=2)
    assert (row["changed"], row["broken without"]) == (0.0, 0.0)


def test_from_outside_it_goes_back_in_and_says_where_it_was() -> None:
    ball = Region("ball", Ball((0.0, 0.0, 0.5), 0.1), ("hand",), "out")
    safety = ReactiveFilter(SYSTEM, [TWIST, ball], points=hand)
    state, depth = at(0.05, 0.0, 0.5), [0.05]
    inwards = np.array([-0.4, 0.0, 0.0, 0.0, 0.0, 0.0])
    first = safety.filter(state, inwards)
    assert (first.feasible, first.violated) == (False, ("ball (hand)",))
    assert first.explain().startswith("outside of ball (hand); ")
    for _ in range(10):
        state = SYSTEM.step(state, safety.filter(state, inwards).action)
        depth.append(float(np.linalg.norm(state[:3] - [0.0, 0.0, 0.5])))
    assert (np.diff(depth[:8]) > -1e-9).all()
    assert depth[-1] >= 0.1


def test_between_two_limits_that_no_action_can_keep_it_makes_neither_worse() -> None:
    """The hand is too low for one limit and too high for the other."""
    limits: list[Limit] = [
        TWIST,
        Region("floor", HalfSpace((0.0, 0.0, 1.0), 0.5), ("hand",), "out"),
        Region("ceiling", HalfSpace((0.0, 0.0, 1.0), 0.4), ("hand",), "in"),
    ]
    safety = ReactiveFilter(SYSTEM, limits, points=hand)
    for wish in (-0.4, 0.4):
        said = safety.filter(at(0.0, 0.0, 0.45), np.array([0.1, 0.0, wish, 0.0, 0.0, 0.0]))
        assert set(said.violated) == {"floor (hand)", "ceiling (hand)"}
        assert abs(said.action[2]) < 1e-6
        assert not said.feasible


def test_an_action_that_is_no_number_is_answered_with_braking() -> None:
    said = REACH.filter().filter(at(0.4, -0.6, 0.7), np.array([0.1, np.nan, 0.0, 0.0, 0.0, 0.0]))
    np.testing.assert_array_equal(said.action, np.zeros(6))
    assert said.braking
    assert said.size == np.inf


def test_what_cannot_be_filtered_is_refused() -> None:
    safety = REACH.filter()
    with pytest.raises(UserError, match="the state is not finite"):
        safety.filter(np.full(7, np.nan), np.zeros(6))
    with pytest.raises(UserError, match="wanted a state of 7 numbers and an action of 6, came 6 and 7"):
        safety.filter(np.zeros(6), np.zeros(7))
    with pytest.raises(UserError, match="use the predictive filter"):
        ReactiveFilter(game("pendulum").system, [])
    with pytest.raises(UserError, match="alpha is 0"):
        ReactiveFilter(SYSTEM, [], alpha=0)
    with pytest.raises(UserError, match="exclude zero"):
        ReactiveFilter(SYSTEM, [ControlBox("a", (0.1,) * 6, (0.2,) * 6)])


def test_a_weight_says_what_is_given_up_first() -> None:
    wall = Region("wall", HalfSpace((0.6, 0.8, 0.0), 0.1), ("hand",), "in")
    wanted = np.array([0.3, 0.3, 0.0, 0.0, 0.0, 0.0])
    changes = []
    for weight in (np.array([100.0, 1, 1, 1, 1, 1]), np.array([1.0, 100, 1, 1, 1, 1])):
        safety = ReactiveFilter(SYSTEM, [TWIST, wall], points=hand, weight=weight)
        changes.append(np.abs(safety.filter(at(0.06, 0.07, 0.5), wanted).action - wanted))
    assert changes[0][0] < changes[0][1]
    assert changes[1][1] < changes[1][0]


def test_a_box_that_is_kept_out_of_is_not_cut_at_its_edge() -> None:
    """Fast past an edge, looked at far more often than the filter looks."""
    crate = Box((-0.1, -0.1, 0.0), (0.1, 0.1, 0.4))
    region = Region("crate", crate, ("hand",), "out")
    safety = ReactiveFilter(SYSTEM, [TWIST, region], points=hand)
    rng = np.random.default_rng(4)
    for _ in range(40):
        state = at(-0.11, rng.uniform(0.08, 0.12), 0.2)
        after = SYSTEM.step(state, safety.filter(state, np.array([0.4, rng.uniform(0, 0.4), 0, 0, 0, 0])).action)
        way = state[:3] + np.linspace(0, 1, 500)[:, None] * (after - state)[:3]
        assert filter_bench.distance(crate, way).min() >= -1e-9
