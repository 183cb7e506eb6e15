"""The judge of the filter's benchmark sees what is broken, and the benchmark's rows say it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from controllers import filter_bench
from controllers.filter_bench import Judge, distance
from controllers.safety_filter.limits import Ball, Box, HalfSpace
from robot_learn.errors import UserError

REACH = filter_bench.reach()
JUDGE = Judge(REACH)


def at(*p: float) -> np.ndarray:
    return np.array([[*p, 1.0, 0.0, 0.0, 0.0]])


@pytest.mark.parametrize(
    ("state", "limit", "room"),
    [
        (at(0.4, -0.6, 0.7), 0, 0.1),  # the workspace ends at x = 0.5
        (at(0.53, -0.6, 0.7), 0, -0.03),
        (at(-0.4, -0.5, 0.63), 1, 0.01),  # the post's radius is 0.12
        (at(-0.4, -0.5, 0.6), 1, -0.02),
        (at(0.15, -0.3, 0.34), 2, -0.01),  # the crate's lid
    ],
)
def test_the_judge_measures_the_room_to_a_limit(state: np.ndarray, limit: int, room: float) -> None:
    assert JUDGE.hard(state)[0, limit] == pytest.approx(room, abs=1e-12)


def test_the_judge_sees_a_hand_that_is_too_fast() -> None:
    state = at(0.2, -0.6, 0.7)[0]
    assert JUDGE.step(state, np.array([0.4, 0.0, 0.0, 0, 0, 0])) == pytest.approx(0.0)  # the twist's own bound
    assert JUDGE.step(state, np.array([0.39, 0.39, 0.0, 0, 0, 0])) == pytest.approx(0.5 - 0.39 * np.sqrt(2))


def test_distances_are_signed() -> None:
    p = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.3], [0.2, 0.2, 0.0]])
    np.testing.assert_allclose(distance(Ball((0.0, 0.0, 0.0), 0.1), p), [-0.1, 0.2, np.sqrt(0.08) - 0.1])
    np.testing.assert_allclose(distance(HalfSpace((0.0, 0.0, 1.0), 0.1), p), [-0.1, 0.2, -0.1])
    box = Box((-0.1, -0.1, -0.1), (0.1, 0.1, 0.1))
    np.testing.assert_allclose(distance(box, p), [-0.1, 0.2, np.sqrt(0.02)])


def test_a_row_of_starts_outside_counts_what_became_worse_and_ends_inside() -> None:
    row = filter_bench.measure(REACH, JUDGE, "towards a limit", 3, seed=5, outside=True)
    assert row["feasible"] < 1.0
    assert (row["hard broken"], row["made worse"], row["safe in the end"]) == (0, 0, 1.0)


def test_a_policy_that_there_is_not_is_named() -> None:
    with pytest.raises(UserError, match="no policy 'kind'; allowed: random"):
        filter_bench.measure(REACH, JUDGE, "kind", 1, seed=0)


def test_the_benchmark_has_a_row_for_every_system_and_policy_that_json_can_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(filter_bench, "STEPS", 2)
    rows = filter_bench.run(episodes=1)
    assert json.loads(json.dumps(rows)) == rows
    titles = {(row["system"], row["policy"]) for row in rows}
    assert len(titles) == len(rows) == 2 * (len(filter_bench.POLICIES) + 1)
    assert all(row["hard broken"] == row["learned broken"] == 0 for row in rows)
