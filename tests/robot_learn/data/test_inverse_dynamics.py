"""Actions of watched episodes: told where they can be told, and honest about it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from robot_learn.data import store, videos
from robot_learn.data.dataset import Dataset
from robot_learn.data.features import fit_components, with_features
from robot_learn.data.inverse_dynamics import InverseConfig, InverseDynamics, learn
from robot_learn.errors import UserError
from robot_learn.video import write_video
from tests.robot_learn.data import made

LENGTHS = tuple([12] * 40)
CONFIG = InverseConfig(hidden=(64,), updates=800, learning_rate=3e-3)


@pytest.fixture(scope="module")
def labelled() -> Dataset:
    return made.dataset(LENGTHS, images=32, seed=1)


@pytest.fixture(scope="module")
def model(labelled: Dataset) -> InverseDynamics:
    return learn(labelled, CONFIG)


def test_moves_that_show_in_the_states_are_told_in_episodes_never_seen(model: InverseDynamics) -> None:
    truth = made.dataset((12, 7), seed=2)
    watched = dataclasses.replace(truth, actions=None)
    filled = model.fill(watched)
    assert filled.actions is not None
    assert truth.actions is not None
    assert np.abs(filled.actions - truth.actions).mean() < 0.05
    assert (model.held_out.explained > 0.98).all()
    assert filled.manifest["inverse_dynamics"]["far"] == 0.0
    np.testing.assert_array_equal(filled.observations, watched.observations)


def test_an_action_that_nothing_shows_is_not_claimed_to_be_known(labelled: Dataset) -> None:
    assert labelled.actions is not None
    noise = np.random.default_rng(0).standard_normal((labelled.num_steps, 1)).astype(np.float32)
    blind = dataclasses.replace(labelled, actions=np.concatenate([labelled.actions, noise], axis=1))
    found = learn(blind, CONFIG).held_out
    assert found.explained[2] < 0.2 < 0.9 < found.explained[:2].min()
    assert found.error[2] == pytest.approx(np.sqrt(2 / np.pi), rel=0.25)  # as the mean would do


def test_the_same_seed_gives_the_same_actions(labelled: Dataset) -> None:
    first, again, other = (
        learn(labelled, dataclasses.replace(CONFIG, updates=100, seed=seed)).actions(labelled) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_number_that_never_changed_cannot_mislead(labelled: Dataset) -> None:
    padded = dataclasses.replace(labelled, observations=np.pad(labelled.observations, ((0, 0), (0, 1))))
    elsewhere = dataclasses.replace(padded, observations=padded.observations + np.float32([0, 0, 7]))
    told = learn(padded, dataclasses.replace(CONFIG, updates=200))
    np.testing.assert_array_equal(told.actions(padded), told.actions(elsewhere))


def test_steps_unlike_the_labelled_ones_are_counted(labelled: Dataset, model: InverseDynamics) -> None:
    away = dataclasses.replace(labelled, observations=labelled.observations + 100.0)
    assert model.far(labelled) < 0.01
    assert model.far(away) == 1.0


def test_what_cannot_be_learned_from_is_refused(labelled: Dataset, model: InverseDynamics) -> None:
    with pytest.raises(UserError, match="no actions to learn from"):
        learn(dataclasses.replace(labelled, actions=None))
    with pytest.raises(UserError, match="2 episodes"):
        learn(made.dataset((5,)))
    with pytest.raises(UserError, match="has no features; pictures become features"):
        learn(labelled, inputs="features")
    wider = dataclasses.replace(labelled, observations=np.pad(labelled.observations, ((0, 0), (0, 1))))
    with pytest.raises(UserError, match="are 3 wide, those with actions 2"):
        model.actions(wider)


def test_components_of_pictures_tell_pictures_apart_and_have_deviation_one(labelled: Dataset) -> None:
    encoder = fit_components(labelled.images, features=4)
    features = with_features(labelled, encoder).features
    assert features is not None
    assert features.shape == (len(labelled.observations), 4)
    np.testing.assert_allclose(features.std(axis=0), 1.0, atol=0.05)
    np.testing.assert_allclose(np.corrcoef(features.T) - np.eye(4), 0.0, atol=0.05)
    with pytest.raises(UserError, match="no pictures"):
        with_features(dataclasses.replace(labelled, images=None), encoder)


def test_videos_become_watched_episodes_whose_actions_the_pictures_tell(labelled: Dataset, tmp_path: Path) -> None:
    truth = made.dataset((12, 12), images=32, seed=5)
    assert truth.images is not None
    assert truth.actions is not None
    for number in range(2):
        write_video(tmp_path / f"{number}.mp4", truth.images[13 * number : 13 * number + 13], fps=10)
    watched = store.assemble(list(videos.episodes(tmp_path, size=32)), "toy/point", {})
    assert watched.lengths.tolist() == [12, 12]
    assert watched.actions is None
    assert watched.observations.shape == (26, 0)
    encoder = fit_components(labelled.images, watched.images, features=24)
    told = learn(with_features(labelled, encoder), CONFIG, inputs="features").fill(with_features(watched, encoder))
    assert told.actions is not None
    relation = [np.corrcoef(told.actions[:, axis], truth.actions[:, axis])[0, 1] for axis in range(2)]
    assert min(relation) > 0.5
    store.save(told, "told", tmp_path)
    made.assert_same(store.load("told", tmp_path), told)


def test_a_folder_without_videos_or_with_a_broken_one_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no videos"):
        list(videos.episodes(tmp_path))
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(UserError, match=r"a.mp4 cannot be decoded"):
        list(videos.episodes(tmp_path))
