"""What gold pairs say of a source: the simulated teacher's settings come back."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from rewards.preference.gold import accuracy_by_difference, noise
from robot_learn.errors import UserError


def test_the_counts_are_by_truth_and_answer_and_abstentions_stand_apart() -> None:
    found = noise([0.0, 1.0, 0.5, None, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0, 1.0, 0.5])
    assert found.counts == ((1, 1, 1), (1, 0, 0), (0, 0, 1))
    assert found.abstained == 1
    assert found.decided == 3
    assert found.accuracy == pytest.approx(2 / 3)


def test_the_error_rate_of_a_source_is_found_within_its_interval() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400).astype(float)
    said = np.where(rng.random(400) < 0.2, 1 - truth, truth)
    found = noise(said.tolist(), truth.tolist())
    assert found.interval is not None
    assert found.interval[0] < 0.8 < found.interval[1]
    assert found.confusion()[::2, ::2] == pytest.approx(np.array([[0.8, 0.2], [0.2, 0.8]]), abs=0.08)


def test_a_confusion_is_a_distribution_in_each_row_and_never_sure() -> None:
    found = noise([1.0] * 5, [1.0] * 5).confusion()
    assert found.sum(axis=1) == pytest.approx(1.0)
    assert (found > 0).all()
    assert noise([1.0] * 5, [1.0] * 5).confusion()[2].tolist() == pytest.approx([1 / 8, 1 / 8, 6 / 8])


def test_the_confusion_is_what_the_reward_models_take() -> None:
    from rewards.preference.losses import check_confusion

    table = noise([1.0] * 9 + [0.0], [1.0] * 9 + [0.0]).confusion()[None]
    assert check_confusion(table, 1).shape == (1, 2, 2)


def test_a_source_that_never_decides_has_no_accuracy() -> None:
    found = noise([0.5, None], [1.0, 1.0])
    assert found.accuracy is None
    assert found.interval is None


def test_bins_are_equally_full_rise_and_leave_true_ties_out() -> None:
    differences = np.concatenate([np.zeros(10), np.linspace(-1, 1, 101)[:100]])
    bins = accuracy_by_difference([1.0] * 110, differences, bins=9)
    assert sum(one.pairs for one in bins) == 99
    assert {one.pairs for one in bins} == {11}
    assert all(a.high <= b.low for a, b in pairwise(bins))


def test_accuracy_rises_with_the_difference_for_a_noisy_source() -> None:
    rng = np.random.default_rng(0)
    differences = rng.normal(size=3000)
    said = (rng.random(3000) < 1 / (1 + np.exp(-3 * differences))).astype(float).tolist()
    bins = accuracy_by_difference(said, differences, bins=5)
    shares = [one.accuracy or 0.0 for one in bins]
    assert shares == sorted(shares)
    assert shares[0] < 0.66
    assert shares[-1] > 0.97


def test_ties_and_abstentions_are_counted_and_count_half_for_a_learner_that_takes_all() -> None:
    (one,) = accuracy_by_difference([1.0, 0.0, 0.5, None], np.ones(4), bins=1)
    assert (one.right, one.wrong, one.ties, one.abstained) == (1, 1, 1, 1)
    assert one.accuracy == 0.5
    assert one.accuracy_of_all == 0.5


def test_as_many_answers_as_pairs_are_wanted() -> None:
    with pytest.raises(UserError, match="2 answers to 1 pairs"):
        noise([0.0, 1.0], [1.0])
    with pytest.raises(UserError, match="2 answers and 1"):
        accuracy_by_difference([0.0, 1.0], np.ones(1))
