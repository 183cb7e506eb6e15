"""The filter that plans an end at rest: on a pendulum with too little torque to stop at once, and on a quadrotor."""

from __future__ import annotations

import casadi as ca
import numpy as np
import pytest

from controllers.constraint import Uncertainty, of_system
from controllers.safety_filter.limits import Box, ControlBox, JointSpeed, Region, StateBox
from controllers.safety_filter.predictive import PredictiveFilter
from controllers.systems import game, quaternion, uav
from robot_learn.errors import UserError

PENDULUM = game("pendulum")
SYSTEM = PENDULUM.system
TORQUE = 8.0  # [N m]; holding the pendulum level takes 5
REACH = 1.5  # [rad]
LEARNED = of_system(SYSTEM, PENDULUM.truth, Uncertainty(PENDULUM.truth, 0.03 * np.eye(2)))


def pendulum_filter() -> PredictiveFilter:
    limits = [ControlBox("torque", (-TORQUE,), (TORQUE,)), StateBox("angle", (0,), (-REACH,), (REACH,))]
    return PredictiveFilter(SYSTEM, limits, [LEARNED], horizon=25, seconds=30.0)


def test_at_full_torque_it_stops_before_the_limit_and_holds_there() -> None:
    safety, state, angles = pendulum_filter(), np.zeros(2), []
    for _ in range(40):
        said = safety.filter(state, np.array([TORQUE]))
        assert said.feasible
        state = SYSTEM.step(state, said.action)
        angles.append(state[0])
    assert max(angles) <= REACH
    assert angles[-1] > REACH - 0.01
    assert abs(state[1]) < 1e-2
    assert said.active == ("angle",)
    assert said.action[0] == pytest.approx(10 / 2 * np.sin(angles[-1]), abs=0.05)  # m g l / 2 sin: what holds it


def test_without_it_the_limits_are_broken() -> None:
    state, broken = np.zeros(2), False
    for _ in range(40):
        state = SYSTEM.step(state, np.array([TORQUE]))
        broken |= bool(abs(state[0]) > REACH)
    assert broken


def test_what_can_still_be_stopped_passes_bit_for_bit() -> None:
    safety, state = pendulum_filter(), np.zeros(2)
    for wanted in (0.5, -0.3, 0.1):
        said = safety.filter(state, np.array([wanted]))
        assert said.action[0] == wanted
        assert not said.changed
        state = SYSTEM.step(state, said.action)


def test_where_no_plan_is_found_the_last_one_is_carried_through_to_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    safety, state = pendulum_filter(), np.array([0.9, 1.5])
    first = safety.filter(state, np.array([TORQUE]))
    assert first.feasible
    state = SYSTEM.step(state, first.action)
    monkeypatch.setattr(safety._strict, "solve", lambda *_: None)
    for _ in range(30):  # beyond the plan's end
        said = safety.filter(state, np.array([TORQUE]))
        assert said.feasible
        assert said.braking
        state = SYSTEM.step(state, said.action)
        assert abs(state[0]) <= REACH
    assert abs(state[1]) < 1e-2


def test_from_outside_it_says_so_and_comes_back() -> None:
    safety, state = pendulum_filter(), np.array([1.6, 0.0])
    first = safety.filter(state, np.array([TORQUE]))
    assert (first.feasible, first.violated) == (False, ("angle",))
    assert first.action[0] < 5  # less than what holds it there
    for _ in range(25):
        state = SYSTEM.step(state, safety.filter(state, np.array([TORQUE])).action)
        assert state[0] <= 1.6
    assert state[0] <= REACH


def test_an_action_that_is_no_number_is_answered_with_a_safe_one() -> None:
    said = pendulum_filter().filter(np.array([0.3, 0.0]), np.array([np.nan]))
    assert np.isfinite(said.action).all()
    assert said.size == np.inf


def test_each_world_has_a_plan_of_its_own_until_it_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    safety = pendulum_filter()
    left, right = np.array([-1.0, -1.5]), np.array([1.0, 1.5])
    actions = [safety.filter(state, np.zeros(1), world).action for world, state in enumerate((left, right))]
    monkeypatch.setattr(safety._strict, "solve", lambda *_: None)
    for world, (state, action) in enumerate(zip((left, right), actions, strict=True)):
        assert safety.filter(SYSTEM.step(state, action), np.zeros(1), world).feasible
    safety.forget(0)
    assert set(safety._kept) == {1}


def upright(x: ca.SX) -> ca.SX:
    return ca.vertcat(x[:6], x[6:10] / ca.norm_2(x[6:10]), x[10:])


def hovering(x: ca.SX, u: ca.SX) -> ca.SX:
    """Level, without motion, under equal thrusts that carry the weight."""
    R = quaternion.rotation(x[6:10])
    return ca.vertcat(x[3:6], R[0, 2], R[1, 2], x[10:13], u - uav.HOVER)


def test_a_quadrotor_told_to_fall_stays_above_the_ground() -> None:
    system = game("uav-gate").system
    limits = [
        ControlBox("thrust", (0.0,) * 4, (0.6,) * 4),
        Region("room", Box((-2.0, 0.0, 0.2), (9.0, 10.0, 8.0)), ("body",), "in"),
    ]
    safety = PredictiveFilter(
        system,
        limits,
        points=lambda x: {"body": x[:3]},
        horizon=10,
        rest=hovering,
        hold=np.full(4, uav.HOVER),
        in_order=upright,
        seconds=30.0,
    )
    state = np.array([0.0, 5.0, 0.6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], dtype=np.float64)
    for _ in range(12):
        said = safety.filter(state, np.zeros(4))
        assert said.feasible
        state = system.step(state, said.action)
        assert state[2] >= 0.2
    assert state[2] < 0.3


def test_what_cannot_be_planned_for_is_refused() -> None:
    with pytest.raises(UserError, match="give in_order"):
        PredictiveFilter(game("uav-gate").system, [])
    with pytest.raises(UserError, match="the reactive filter's"):
        PredictiveFilter(SYSTEM, [JointSpeed("a", *((0.0,),) * 5)])
    with pytest.raises(UserError, match="horizon of at least 2"):
        PredictiveFilter(SYSTEM, [], horizon=1)
    with pytest.raises(UserError, match="wanted 2 finite states and 1 controls"):
        pendulum_filter().filter(np.array([np.nan, 0.0]), np.zeros(1))
