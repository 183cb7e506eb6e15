"""What scores mean: win rates, calibration, and the parts that reward models are made of."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit
from scipy.stats import rankdata

from rewards.preference.calibration import (
    best_inverse_temperature,
    calibration,
    expected_calibration_error,
    loss,
    wilson,
)
from rewards.preference.comparisons import held_out
from rewards.preference.descent import DescentConfig, descend
from rewards.preference.encoders import evaluate, generators_of, network
from rewards.preference.ratings import balanced, class_log_probabilities
from rewards.preference.spo import rarity, references, win_rate
from rewards.preference.surf import Crop, SurfConfig, pseudo_labels
from robot_learn.errors import UserError

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(2, 300))


def test_a_win_rate_is_the_mean_probability_of_beating_the_references() -> None:
    reference = RNG.normal(size=(2, 50))
    expected = expit(3.0 * (SCORES[:, :, None] - reference[:, None, :])).mean(axis=2)
    np.testing.assert_allclose(win_rate(SCORES, reference, 3.0), expected, atol=1e-4)


def test_a_win_rate_lies_between_0_and_1_keeps_the_order_and_forgets_a_constant() -> None:
    paid = win_rate(SCORES, SCORES, 2.0)
    assert 0.0 <= paid.min() <= paid.max() <= 1.0
    for row, scores in zip(paid, SCORES, strict=True):
        np.testing.assert_array_equal(rankdata(row), rankdata(scores))
    np.testing.assert_allclose(paid, win_rate(SCORES + 7.0, SCORES + 7.0, 2.0), atol=1e-5)
    assert paid.mean() == pytest.approx(0.5, abs=1e-3)  # who plays against themselves wins half of the games


def test_a_sharp_win_rate_is_the_share_of_references_below() -> None:
    paid = win_rate(SCORES[:1], SCORES[:1], 1e5)
    np.testing.assert_allclose(paid[0], (rankdata(SCORES[0]) - 0.5) / 300, atol=0.01)


def test_references_are_all_frames_or_a_draw_that_is_the_same_each_time() -> None:
    assert references(5).tolist() == [0, 1, 2, 3, 4]
    drawn = references(100_000)
    assert len(np.unique(drawn)) == len(drawn) == 2048
    np.testing.assert_array_equal(drawn, references(100_000))
    with pytest.raises(UserError, match="wanted scores"):
        win_rate(SCORES, SCORES[:, :0])


def test_calibration_finds_the_factor_that_logits_were_divided_by() -> None:
    logits = RNG.normal(size=20_000) * 3.0
    labels = (RNG.random(20_000) < expit(logits)).astype(float)
    assert best_inverse_temperature(logits / 4.0, labels) == pytest.approx(4.0, rel=0.1)
    judged = calibration(logits / 4.0, labels)
    assert judged.calibrated_loss == pytest.approx(loss(logits, labels), abs=1e-3)
    assert judged.calibrated_loss < judged.loss
    assert judged.calibration_error < 0.02 < expected_calibration_error(logits / 4.0, labels)
    assert judged.low is not None
    assert judged.accuracy is not None
    assert judged.low < judged.accuracy


def test_ties_are_no_part_of_the_accuracy() -> None:
    judged = calibration(np.array([1.0, -1.0, 2.0]), np.array([1.0, 1.0, 0.5]))
    assert (judged.pairs, judged.decided, judged.accuracy) == (3, 2, 0.5)
    assert calibration(np.ones(2), np.full(2, 0.5)).accuracy is None


def test_wilson_contains_the_share_and_shrinks_with_the_number() -> None:
    assert wilson(1.0, 20) == pytest.approx((0.8389, 1.0), abs=1e-4)
    assert np.diff(wilson(0.7, 1000))[0] < np.diff(wilson(0.7, 10))[0]


def test_held_out_rows_are_apart_the_same_each_time_and_never_none() -> None:
    learned, judged = held_out(50, 0.1, 0)
    assert (len(learned), len(judged)) == (45, 5)
    assert set(learned) | set(judged) == set(range(50))
    np.testing.assert_array_equal(held_out(50, 0.1, 0)[1], judged)
    assert [len(rows) for rows in held_out(2, 0.01, 0)] == [1, 1]
    with pytest.raises(UserError, match="2 labels or more"):
        held_out(1, 0.1, 0)


@pytest.mark.parametrize("frames", [RNG.normal(size=(20, 6)), RNG.integers(0, 255, (20, 24, 20, 3), dtype=np.uint8)])
def test_a_member_of_a_stack_is_what_it_is_alone(frames: np.ndarray) -> None:
    both = network(frames, (8,), generators_of([1, 2], 1), output="tanh")
    alone = network(frames, (8,), generators_of([2], 1), output="tanh")
    np.testing.assert_allclose(evaluate(both, frames)[1], evaluate(alone, frames)[0], atol=1e-6)


def test_pictures_go_through_the_same_convolutions_as_in_torch() -> None:
    frames = RNG.integers(0, 255, (5, 32, 32, 3), dtype=np.uint8)
    made = network(frames, (8,), generators_of([0, 1], 1), output="linear")
    hidden = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    for (weight, bias), kernel, stride in zip(made.convolutions, (5, 3, 3, 3), (3, 2, 2, 2), strict=True):
        hidden = torch.nn.functional.leaky_relu(
            torch.nn.functional.conv2d(hidden, weight[1], bias[1], stride, kernel // 2)
        )
    hidden = torch.nn.functional.leaky_relu(hidden.flatten(1) @ made.layers[0][0][1] + made.layers[0][1][1])
    expected = hidden @ made.layers[1][0][1] + made.layers[1][1][1]
    np.testing.assert_allclose(evaluate(made, frames)[1], expected.detach().numpy(), atol=1e-5)


def test_pictures_that_are_too_small_are_refused() -> None:
    with pytest.raises(UserError, match="16 pixels or more"):
        network(np.zeros((2, 8, 8, 3), np.uint8), (8,), generators_of([0], 1), output="tanh")


def test_descent_keeps_the_weights_of_each_members_best_epoch() -> None:
    weight = torch.zeros(2, 1, requires_grad=True)
    target = torch.tensor([[0.045], [10.0]])
    steps: list[torch.Tensor] = []

    def judge() -> torch.Tensor:
        steps.append(weight.detach().clone())
        return (weight - target).square().sum(dim=1)

    def away(batch: torch.Tensor) -> torch.Tensor:
        return -weight.sum(dim=1)  # every step goes up by the learning rate

    config = DescentConfig(learning_rate=0.02, batch_size=4, max_epochs=20, patience=3)
    rngs = [np.random.default_rng(member) for member in range(2)]
    result = descend([weight], away, judge, 4, rngs, config)
    assert result.best.tolist() == [1, 19]  # the first one passed its target at once, the second never came to it
    assert weight[0].item() == pytest.approx(steps[1][0].item())
    assert weight[1].item() == pytest.approx(steps[19][1].item())


def test_bad_settings_of_a_descent_are_refused() -> None:
    with pytest.raises(UserError, match="batch_size is 0"):
        DescentConfig(batch_size=0)
    with pytest.raises(UserError, match="learning rate above 0"):
        DescentConfig(learning_rate=float("nan"))


def test_a_segment_in_the_middle_of_a_class_most_likely_has_that_grade() -> None:
    middles = (torch.arange(5) + 0.5) / 5
    probabilities = class_log_probabilities(middles, 5, 4.0).exp()
    torch.testing.assert_close(probabilities.sum(dim=-1), torch.ones(5))
    assert probabilities.argmax(dim=-1).tolist() == [0, 1, 2, 3, 4]
    odds = probabilities[2, 2].log() - probabilities[2, 1].log()
    assert odds.item() == pytest.approx(4.0, rel=1e-4)
    even = class_log_probabilities(torch.tensor([0.4]), 5, 4.0).exp()[0]
    assert even[1].item() == pytest.approx(even[2].item())


def test_balanced_batches_have_every_class_equally_often() -> None:
    classes = np.array([0] * 95 + [2] * 5)
    drawn = classes[np.concatenate([balanced(classes)(np.random.default_rng(seed)) for seed in range(20)])]
    assert (drawn == 2).mean() == pytest.approx(0.5, abs=0.05)


def test_only_sure_pairs_get_pseudo_labels() -> None:
    sure, said = pseudo_labels(torch.tensor([-4.0, -1.0, 0.0, 1.0, 4.0]), SurfConfig(confidence=0.95))
    assert sure.tolist() == [1, 0, 0, 0, 1]
    assert said[[0, 4]].tolist() == [0, 1]


def test_a_crop_shows_a_stretch_of_both_segments_of_one_length_from_moments_of_their_own() -> None:
    segments = np.arange(2000).reshape(50, 2, 20)
    cropped = Crop(np.random.default_rng(0), SurfConfig(shortest_crop=0.5))(segments)
    lengths = np.array([[len(np.unique(side)) for side in pair] for pair in cropped])
    np.testing.assert_array_equal(lengths[:, 0], lengths[:, 1])
    assert lengths.min() >= 10
    assert len(np.unique(lengths)) > 3
    first = cropped - segments[..., :1]
    assert (np.diff(np.sort(np.unique(first[0, 0]))) == 1).all()  # without gaps
    assert (first.min(axis=2)[:, 0] != first.min(axis=2)[:, 1]).any()
    np.testing.assert_array_equal(Crop(np.random.default_rng(0), SurfConfig(shortest_crop=1.0))(segments), segments)


def test_rarity_counts_the_tenfolds_that_a_frame_is_better_than() -> None:
    found = rarity(np.random.default_rng(0).permutation(100_000)[None].astype(float))[0]
    assert (found >= 1).mean() == pytest.approx(0.1, abs=1e-4)
    assert (found >= 2).mean() == pytest.approx(0.01, abs=1e-4)
    assert found.max() == pytest.approx(5 + np.log10(2), abs=1e-4), "the best of all is its own half"
    assert found.min() == pytest.approx(0, abs=1e-4)


def test_frames_of_equal_score_are_equally_rare_and_only_the_order_counts() -> None:
    tied = np.round(SCORES, 1)
    shares = np.stack([(rankdata(-row) - 0.5) / len(row) for row in tied])
    np.testing.assert_allclose(rarity(tied), -np.log10(shares), atol=1e-6)
    np.testing.assert_array_equal(rarity(SCORES), rarity(np.exp(SCORES)))
