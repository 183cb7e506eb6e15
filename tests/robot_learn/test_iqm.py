"""The interquartile mean: against scipy's trimmed mean, and an interval that behaves as one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, trim_mean

from robot_learn.errors import UserError
from robot_learn.iqm import iqm


def test_it_is_the_mean_of_the_middle_half_of_all_runs_together() -> None:
    assert iqm(np.array([0.0, 1.0, 2.0, 100.0])).value == 1.5
    table = np.random.default_rng(0).normal(size=(5, 3))
    assert iqm(table).value == pytest.approx(trim_mean(table.ravel(), 0.25))
    assert iqm(table).runs == 15


def test_a_lucky_seed_does_not_move_it() -> None:
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    assert iqm(scores).value == iqm(np.array([0.1, 0.2, 0.3, 0.4, 50.0])).value


def test_equal_seeds_leave_no_interval() -> None:
    found = iqm(np.full((5, 2), 0.7))
    assert (found.low, found.high) == pytest.approx((0.7, 0.7))


def test_tasks_are_resampled_apart() -> None:
    # Two tasks without any spread inside: pooled resampling would mix them and see one.
    found = iqm(np.array([[0.0, 1.0]] * 5))
    assert (found.low, found.value, found.high) == pytest.approx((0.5, 0.5, 0.5))


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(100):
        found = iqm(rng.normal(size=30), rng=rng)
        inside += found.low <= norm.mean() <= found.high
    assert 85 <= inside <= 100


@pytest.mark.parametrize("wrong", [np.zeros(0), np.array([0.1, np.nan]), np.zeros((2, 2, 2))])
def test_what_is_no_table_of_scores_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(UserError, match="wanted finite scores"):
        iqm(wrong)
