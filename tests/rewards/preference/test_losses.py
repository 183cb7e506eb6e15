"""Losses of labels: against scipy, what a wrong label can do, and what does not depend on the order of a pair."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.special import expit

from rewards.preference.losses import (
    check_confusion,
    confused,
    cross_entropy,
    mae,
    smoothed,
    symmetric_confusion,
)
from robot_learn.errors import UserError

LOGITS = torch.linspace(-6, 6, 25)
EVEN = symmetric_confusion(torch.tensor(0.3))
SLANTED = torch.tensor([[0.9, 0.1], [0.35, 0.65]])  # a source that says "first" too often
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
LOSSES: dict[str, Loss] = {
    "cross-entropy": cross_entropy,
    "mae": mae,
    "confusion": lambda logits, labels: confused(logits, labels, EVEN),
}


@pytest.mark.parametrize("label", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("name", LOSSES)
def test_swapping_a_pair_and_its_label_leaves_the_loss_unchanged(name: str, label: float) -> None:
    labels = torch.full_like(LOGITS, label)
    one, other = LOSSES[name](LOGITS, labels), LOSSES[name](-LOGITS, 1.0 - labels)
    torch.testing.assert_close(one, other, atol=2e-6, rtol=1e-5)


def test_a_source_that_leans_to_one_side_leans_to_the_other_when_pairs_are_swapped() -> None:
    labels = torch.ones_like(LOGITS)
    turned = SLANTED.flip(0, 1)
    torch.testing.assert_close(confused(LOGITS, labels, SLANTED), confused(-LOGITS, 1 - labels, turned))


@pytest.mark.parametrize("label", [0.0, 0.2, 0.5, 1.0])
def test_cross_entropy_and_mae_are_what_their_formulas_say(label: float) -> None:
    p, labels = expit(LOGITS.numpy().astype(np.float64)), torch.full_like(LOGITS, label)
    expected = -(label * np.log(p) + (1 - label) * np.log1p(-p))
    np.testing.assert_allclose(cross_entropy(LOGITS, labels).numpy(), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mae(LOGITS, labels).numpy(), 2 * np.abs(p - label), atol=1e-6)


def test_a_tie_is_cheapest_where_both_are_equal() -> None:
    ties = torch.full_like(LOGITS, 0.5)
    for loss in LOSSES.values():
        assert LOGITS[loss(LOGITS, ties).argmin()] == 0.0


def test_mae_costs_2_at_most_and_cross_entropy_as_much_as_it_likes() -> None:
    sure, wrong = torch.tensor([50.0]), torch.tensor([0.0])
    assert mae(sure, wrong).item() == pytest.approx(2.0)
    assert cross_entropy(sure, wrong).item() == pytest.approx(50.0)


def test_labels_flipped_alike_leave_the_minimiser_of_mae_where_it_was() -> None:
    ones, e = torch.ones_like(LOGITS), 0.3
    expected = (1 - e) * mae(LOGITS, ones) + e * mae(LOGITS, 1 - ones)
    torch.testing.assert_close(expected, (1 - 2 * e) * mae(LOGITS, ones) + 2 * e)


def test_a_source_without_errors_costs_its_cross_entropy() -> None:
    labels = torch.rand(25, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        confused(LOGITS, labels, torch.eye(2)), cross_entropy(LOGITS, labels), atol=1e-4, rtol=1e-3
    )


@pytest.mark.parametrize("confusion", [EVEN, SLANTED])
@pytest.mark.parametrize("truth", [0.2, 0.8])
def test_forward_correction_is_cheapest_at_the_true_preference(confusion: torch.Tensor, truth: float) -> None:
    said = (1 - truth) * confusion[0, 1] + truth * confusion[1, 1]  # how often the source says "second"
    grid = torch.linspace(-4, 4, 4001)
    corrected = confused(grid, torch.full_like(grid, float(said)), confusion)
    assert expit(grid[corrected.argmin()].item()) == pytest.approx(truth, abs=2e-3)
    plain = cross_entropy(grid, torch.full_like(grid, float(said)))
    assert expit(grid[plain.argmin()].item()) == pytest.approx(float(said), abs=2e-3)


def test_smoothing_draws_labels_to_a_tie() -> None:
    labels = torch.tensor([0.0, 0.5, 1.0])
    torch.testing.assert_close(smoothed(labels, 0.2), torch.tensor([0.1, 0.5, 0.9]))
    torch.testing.assert_close(smoothed(labels, 0.0), labels)


def test_a_table_of_gold_pairs_is_reduced_to_what_was_decided() -> None:
    gold = np.array([[[0.6, 0.2, 0.2], [0.1, 0.8, 0.1], [0.1, 0.4, 0.5]]])
    np.testing.assert_allclose(check_confusion(gold, 1)[0], [[0.75, 0.25], [1 / 6, 5 / 6]], rtol=1e-6)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (np.eye(2), "wanted the shape"),
        (np.array([[[0.9, 0.2], [0.1, 0.9]]]), "source 0: wanted two rows"),
        (np.array([[[0.4, 0.6], [0.6, 0.4]]]), "no better than a coin"),
        (np.array([[[np.nan, 0.6], [0.6, 0.4]]]), "wanted two rows"),
    ],
)
def test_a_table_that_is_no_confusion_is_refused_with_its_source(table: np.ndarray, says: str) -> None:
    with pytest.raises(UserError, match=says):
        check_confusion(table, 1)
