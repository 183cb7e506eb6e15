"""Datasets on a device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from robot_learn.data.dataset import Dataset
from robot_learn.errors import UserError
from robot_learn.offline.learner import Batches
from robot_learn.offline.reward_scale import episode_chances
from robot_learn.offline.tensors import Tensors, to_tensors
from tests.robot_learn.offline.toy_data import random_dataset

LOW, HIGH = np.array([-2.0, 0.0]), np.array([2.0, 1.0])


def made(dataset: Dataset) -> Tensors:
    return to_tensors(dataset, LOW, HIGH)


def test_a_step_leads_from_its_frame_to_the_next_one_of_the_same_episode() -> None:
    dataset = random_dataset(episodes=3, length=4)
    tensors = made(dataset)
    raw = tensors.frames.numpy() * tensors.obs_scale + tensors.obs_mean
    np.testing.assert_allclose(raw[tensors.before], dataset.observations[dataset.frame_before], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(raw[tensors.before + 1], dataset.observations[dataset.frame_after], rtol=1e-5, atol=1e-5)
    assert len(tensors.frames) == dataset.num_steps + 3  # each once


def test_observations_are_standardised_and_a_column_that_never_moves_is_not_blown_up() -> None:
    dataset = random_dataset()
    dataset.observations[:, 1] = 7.0
    tensors = made(dataset)
    frames = tensors.frames.numpy()
    assert np.abs(frames.mean(0)).max() < 1e-4
    np.testing.assert_allclose(np.delete(frames.std(0), 1), 1.0, atol=2e-3)
    assert np.all(frames[:, 1] == 0.0)
    np.testing.assert_array_equal(tensors.standardised(dataset.observations).numpy(), frames)
    assert np.abs(tensors.standardised(np.full((1, 5), 7.01)).numpy()[0, 1]) < 20.0


def test_actions_fill_the_unit_range_and_what_lies_beyond_is_clipped() -> None:
    dataset = random_dataset(episodes=1, length=3)
    assert dataset.actions is not None
    dataset.actions[:] = [[-2.0, 0.0], [2.0, 0.5], [3.0, -1.0]]
    expected = np.array([[-1.0, -1.0], [1.0, 0.0], [1.0, -1.0]])
    np.testing.assert_allclose(made(dataset).actions.numpy(), expected)
    np.testing.assert_allclose(made(dataset).scaled(dataset.actions).numpy(), expected)


def test_other_rewards_are_checked_for_shape_and_numbers() -> None:
    tensors = made(random_dataset())
    steps = tensors.num_steps
    assert tensors.with_rewards(np.arange(steps)).rewards.shape == (1, steps)
    two = tensors.with_rewards(np.zeros((2, steps)))
    assert two.rewards_of(2).shape == (2, steps)
    with pytest.raises(UserError, match="2 rows, wanted 1 or one for each seed, 3"):
        two.rewards_of(3)
    with pytest.raises(UserError, match=f"wanted {steps} steps"):
        tensors.with_rewards(np.zeros(steps - 1))
    bad = np.zeros((2, steps))
    bad[1, 4] = np.nan
    with pytest.raises(UserError, match=r"rewards\[1, 4\] is not finite"):
        tensors.with_rewards(bad)


def test_pairs_are_checked_for_steps_and_labels() -> None:
    tensors = made(random_dataset())
    pairs = tensors.with_pairs(np.zeros((3, 2, 4)), np.array([0.0, 0.5, 1.0])).pairs
    assert pairs is not None
    assert pairs.weights.tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(UserError, match=r"steps are \(3, 2\), wanted \(3, 2, length\)"):
        tensors.with_pairs(np.zeros((3, 2)), np.zeros(3))
    with pytest.raises(UserError, match=f"there are {tensors.num_steps} from 0"):
        tensors.with_pairs(np.full((3, 2, 1), tensors.num_steps), np.zeros(3))
    with pytest.raises(UserError, match=r"labels\[1\] is nan"):
        tensors.with_pairs(np.zeros((3, 2, 1)), np.array([0.0, np.nan, 1.0]))


def test_a_dataset_that_was_only_watched_and_a_range_of_another_width_are_refused() -> None:
    dataset = random_dataset()
    with pytest.raises(UserError, match="actions are 2 wide, the range has shape"):
        to_tensors(dataset, np.zeros(3), np.ones(3))
    object.__setattr__(dataset, "actions", None)
    with pytest.raises(UserError, match="has no actions"):
        made(dataset)


CHANCES, LENGTHS = np.array([[0.0, 0.2, 0.7, 0.1], [0.25, 0.25, 0.25, 0.25]]), np.array([30, 50, 5, 15])


@pytest.mark.parametrize("weighted", [False, True])
def test_the_steps_of_a_seed_depend_neither_on_its_neighbours_nor_on_how_many_are_drawn_at_once(weighted: bool) -> None:
    both, one = ((CHANCES, LENGTHS), (CHANCES[1:], LENGTHS)) if weighted else (None, None)
    together, alone = Batches([4, 9], 100, 7, both), Batches([9], 100, 7, one)
    first = together.draw(10)
    assert first.shape == (10, 2, 7)
    pieces = [alone.draw(count) for count in (1, 6, 3)]
    assert all(np.array_equal(a, b[:, 0]) for a, b in zip(np.split(first[:, 1], [1, 7]), pieces, strict=True))
    kept = alone.state()
    after = alone.draw(3)
    alone.load_state(kept)
    assert np.array_equal(alone.draw(3), after)


def test_steps_come_as_often_as_their_episodes_are_meant_to() -> None:
    drawn, count = Batches([4, 9], 100, 500, (CHANCES, LENGTHS)).draw(80), 40_000
    for seed, chances in enumerate(CHANCES):
        wanted = np.repeat(chances / LENGTHS, LENGTHS)
        found = np.bincount(drawn[:, seed].flatten(), minlength=100)
        likely = wanted > 0
        assert (found[~likely] == 0).all()
        assert chisquare(found[likely], count * wanted[likely]).pvalue > 1e-4


@pytest.mark.parametrize("weight", [0.0, 3.0])
def test_the_best_episode_is_looked_at_as_much_more_often_as_was_asked(weight: float) -> None:
    """Whatever is added to or multiplies the rewards of episodes of one length; a step counts, not an episode."""
    rewards = torch.tensor([[0.0] * 4 + [1.0] * 4 + [0.5] * 4, [7.0] * 12])
    equal = np.full(3, 4)
    chances = episode_chances(rewards, equal, weight)
    assert chances[0] / chances[0, 0] == pytest.approx(np.exp([0.0, weight, weight / 2]))
    assert episode_chances(3.0 * rewards - 5.0, equal, weight) == pytest.approx(chances)
    assert chances[1] == pytest.approx(1 / 3)
    lengths = np.array([2, 8, 2])
    assert episode_chances(rewards[1:] * 0.0, lengths, weight)[0] == pytest.approx(lengths / 12)
