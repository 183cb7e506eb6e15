"""Limits as data: what they mean, and what is said where they make no sense."""

from __future__ import annotations

import json
from typing import Any

import casadi as ca
import numpy as np
import pytest

from controllers.safety_filter.limits import (
    Ball,
    Box,
    ControlBox,
    HalfSpace,
    JointSpeed,
    Limit,
    Region,
    Shape,
    SpeedLimit,
    StateBox,
    from_data,
    rows,
    to_data,
)
from controllers.systems import franka_joints as arm
from controllers.systems import game
from robot_learn.errors import UserError
from robot_learn.franka import FR3, HOME

REACH = game("franka-reach").system
ALL: list[Limit] = [
    StateBox("height", (2,), (0.1,), (0.9,)),
    ControlBox("twist", (-1.0,) * 6, (1.0,) * 6),
    Region("table", HalfSpace((0.0, 0.0, 1.0), 0.05), ("hand",), "out"),
    Region("reach", Ball((0.0, 0.0, 0.3), 0.8), ("hand",), "in", margin=0.01),
    Region("crate", Box((0.0, 0.0, 0.0), (0.1, 0.2, 0.3)), ("hand",), "out"),
    SpeedLimit("speed", "hand", 0.5),
]


def hand(x: ca.SX) -> dict[str, ca.SX]:
    return {"hand": x[:3]}


def h(limits: list[Limit], state: np.ndarray, after: np.ndarray) -> np.ndarray:
    made = rows(REACH, limits, points=hand)
    x, then = ca.SX.sym("x", 7), ca.SX.sym("then", 7)
    return np.array(ca.Function("h", [x, then], [made.symbols(x, then)])(state, after)).ravel()


def at(p: Any) -> np.ndarray:
    return np.array([*p, 1.0, 0.0, 0.0, 0.0])


def test_limits_go_through_json_unharmed() -> None:
    speed = JointSpeed("speed", *(tuple(float(i) for i in range(7)),) * 5)
    assert from_data(json.loads(json.dumps(to_data([*ALL, speed])))) == [*ALL, speed]


def test_every_row_has_a_name_that_tells_its_limit() -> None:
    made = rows(REACH, ALL, points=hand)
    assert made.names == ("height", "height", "table (hand)", "reach (hand)", "crate (hand)", "speed")
    assert list(made.of_state) == [True] * 5 + [False]
    assert h(ALL, at((0, 0, 0.5)), at((0, 0, 0.5))).size == len(made.names)


@pytest.mark.parametrize(
    ("shape", "inside"),
    [
        (HalfSpace((0.0, 0.6, 0.8), 0.1), lambda p: 0.6 * p[1] + 0.8 * p[2] <= 0.1),
        (Ball((0.1, -0.2, 0.3), 0.25), lambda p: np.linalg.norm(p - [0.1, -0.2, 0.3]) <= 0.25),
        (Box((-0.2, -0.3, -0.1), (0.2, 0.1, 0.4)), lambda p: (np.abs(p - [0, -0.1, 0.15]) <= [0.2, 0.2, 0.25]).all()),
    ],
)
def test_a_region_is_kept_on_the_right_side_of_its_shape(shape: Shape, inside: Any) -> None:
    for p in np.random.default_rng(0).uniform(-0.6, 0.6, (60, 3)):
        out = h([Region("a", shape, ("hand",), "out", margin=0.0)], at(p), at(p))
        kept_in = h([Region("a", shape, ("hand",), "in", margin=0.0)], at(p), at(p))
        assert (out < 0).any() == inside(p)
        assert (kept_in >= 0).all() == inside(p)


def test_outside_of_a_box_the_distance_is_that_to_its_nearest_point() -> None:
    low, high = np.array([-0.2, -0.3, -0.1]), np.array([0.2, 0.1, 0.4])
    region: list[Limit] = [Region("a", Box(tuple(low), tuple(high)), ("hand",), "out", margin=0.0)]
    for p in np.random.default_rng(1).uniform(-0.8, 0.8, (40, 3)):
        distance = np.linalg.norm(p - np.clip(p, low, high))
        if distance > 0:
            assert h(region, at(p), at(p)).item() == pytest.approx(distance, abs=1e-4)


def test_a_speed_limit_is_met_exactly_at_its_speed_and_smooth_at_rest() -> None:
    limit: list[Limit] = [SpeedLimit("speed", "hand", 0.5)]
    moved = 0.05 * np.array([0.6, 0.0, 0.8])  # in a step of 0.1 s
    assert h(limit, at((0, 0, 0)), at(moved)).item() == pytest.approx(0.0, abs=1e-12)
    assert h(limit, at((0, 0, 0)), at(0.99 * moved)).item() > 0
    assert h(limit, at((0, 0, 0)), at(1.01 * moved)).item() < 0


def test_joint_speeds_shrink_towards_the_ends_as_published() -> None:
    published = (FR3.lower, FR3.upper, FR3.velocity, FR3.velocity_offset, FR3.braking)
    ranges = [tuple(np.asarray(numbers)) for numbers in published]
    limit = JointSpeed("speed", *ranges)
    for share in (-0.1, 0.0, 0.01, 0.05, 0.5, 0.97, 1.0, 1.1):
        q = FR3.lower + share * (FR3.upper - FR3.lower)
        np.testing.assert_allclose(limit.bounds(q), FR3.velocity_bounds(q), atol=1e-12)
    made = rows(arm.SYSTEM, [limit], points=arm.points)
    assert (made.bounds(FR3.upper)[1] == 0).all()
    assert (made.bounds(np.array(HOME))[1] <= arm.SYSTEM.control_high).all()


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ([ALL[0], ALL[0]], "two limits are named 'height'"),
        ([StateBox("a", (2,), (0.1,), (0.1,))], "not below its upper"),
        ([StateBox("a", (9,), (0.1,), (0.2,))], "the state has the numbers 0 to 6"),
        ([ControlBox("a", (0.0,), (1.0,))], "wanted 6 bounds, came 1 and 1"),
        ([Region("a", HalfSpace((0.0, 0.0, 2.0), 0.0), ("hand",), "out")], "the normal's length is 2.0"),
        ([SpeedLimit("a", "hnd", 1.0)], "did you mean 'hand'"),
        ([JointSpeed("a", *((0.0,) * 7,) * 5)], "wanted 6 joints"),
    ],
)
def test_limits_that_make_no_sense_are_named(limits: list[Limit], says: str) -> None:
    with pytest.raises(UserError, match=says):
        rows(REACH, limits, points=hand)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"kind": "Regoin"}, "no limit named 'Regoin'; did you mean 'Region'"),
        ({"kind": "SpeedLimit", "name": "a"}, "wanted name, point, highest"),
        ({"kind": "Region", "shape": {"kind": "Bal"}}, "did you mean 'Ball'"),
    ],
)
def test_data_that_is_no_limit_is_refused(data: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        from_data([data])
