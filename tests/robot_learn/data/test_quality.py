"""Quality figures against cases whose answer is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from robot_learn.data.dataset import Dataset
from robot_learn.data.quality import BINS, COMPONENTS, NEIGHBOURS, divergence, neighbours, occupancy, quality
from robot_learn.errors import UserError
from tests.robot_learn.data import made


def test_one_place_fills_one_cell_and_a_uniform_block_has_the_entropy_of_its_sides() -> None:
    assert occupancy(np.zeros((100, 3)))[:2] == (1 / BINS**COMPONENTS, 0.0)
    rng = np.random.default_rng(0)
    share, entropy, explained = occupancy(rng.uniform(-1.0, 1.0, (20_000, 3)) * (3.0, 2.0, 1.0))
    edges = np.linspace(-2 / np.sqrt(3), 2 / np.sqrt(3), BINS + 1)  # two deviations of a side of half length 1
    side = np.diff(edges.clip(-1.0, 1.0)) / 2.0
    assert entropy == pytest.approx(-(side * np.log(side)).sum() / np.log(BINS), abs=0.02)
    assert 0.85 < share <= 1.0
    assert explained == pytest.approx(1.0)


def test_more_spread_states_cover_more() -> None:
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 2, (5000, 3)) + 0.01 * rng.standard_normal((5000, 3))
    ball = rng.standard_normal((5000, 3))
    assert occupancy(corners)[0] < 0.1 * occupancy(ball)[0]
    assert occupancy(corners)[1] < occupancy(ball)[1]


def test_neighbours_are_the_nearest_of_other_episodes() -> None:
    rng = np.random.default_rng(1)
    states, episodes = rng.standard_normal((200, 2)), np.repeat(np.arange(20), 10)
    found = neighbours(states, episodes)
    for row in range(200):
        distances = np.where(episodes == episodes[row], np.inf, np.linalg.norm(states - states[row], axis=1))
        np.testing.assert_array_equal(found[row], np.argsort(distances)[:NEIGHBOURS])


def test_neighbours_that_do_not_exist_are_missing() -> None:
    assert (neighbours(np.zeros((5, 1)), np.zeros(5, dtype=int)) == -1).all()


def test_divergence_is_0_where_like_states_act_alike_and_1_where_chance_acts() -> None:
    rng = np.random.default_rng(2)
    states, episodes = rng.uniform(-1, 1, (3000, 2)), np.arange(3000)
    near = neighbours(states, episodes)
    assert divergence(states, near) < 0.01
    assert divergence(rng.standard_normal((3000, 2)), near) == pytest.approx(1.0, abs=0.05)
    assert divergence(np.ones((3000, 2)), near) == 0.0


def test_figures_of_episodes_are_those_of_the_dataset() -> None:
    data = made.dataset(tuple(range(3, 23)))
    found = quality(data)
    first = [int(np.argmax(row)) + 1 for row in np.split(data.success, data.starts[1:]) if row.any()]
    assert found.success_rate == pytest.approx(data.succeeded.mean())
    assert found.success_step == np.median(first)
    assert found.return_best_tenth == pytest.approx(np.sort(data.returns)[-2:].mean())
    assert found.action_divergence == pytest.approx(1.0, abs=0.3)  # the toy acts by chance
    assert quality(dataclasses.replace(data, actions=None)).action_divergence is None


def test_a_number_that_never_changes_does_not_matter() -> None:
    data = made.dataset((30, 30, 30))
    padded: Dataset = dataclasses.replace(data, observations=np.pad(data.observations, ((0, 0), (0, 3))))
    assert quality(padded) == quality(data)


def test_where_there_are_no_numbers_pictures_tell_states_apart() -> None:
    data = made.dataset((30, 30, 30), images=32)
    blind = dataclasses.replace(data, observations=np.zeros((len(data.observations), 0), dtype=np.float32))
    assert 0 < quality(blind).coverage < 1
    assert 0 < quality(blind).transition_diversity < 2
    with pytest.raises(UserError, match="there are none"):
        quality(dataclasses.replace(blind, images=None))
    with pytest.raises(UserError, match="no number of its states ever changes"):
        quality(dataclasses.replace(data, observations=np.ones_like(data.observations)))
