"""Which pairs are chosen: against plain references and in cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import bernoulli

from rewards.preference.pairs import SAMPLERS, Pool, gain, k_center, visible_difference
from robot_learn.errors import UserError
from robot_learn.registry import load


def pool(size: int = 50, seed: int = 0) -> Pool:
    rng = np.random.default_rng(seed)
    return Pool(size, rng.normal(size=(3, size, 2)), rng.normal(size=(size, 4)))


def chosen(name: str, candidates: Pool, count: int, seed: int = 0) -> np.ndarray:
    found = load(SAMPLERS, name, kind="sampler")(candidates, count, np.random.default_rng(seed))
    assert isinstance(found, np.ndarray)
    return found


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_takes_as_many_as_asked_none_twice_and_the_same_ones_for_a_seed(name: str) -> None:
    for count in (1, 7, 50):
        found = chosen(name, pool(), count)
        assert len(found) == len(set(found.tolist())) == count
        assert set(found.tolist()) <= set(range(50))
        assert np.array_equal(found, chosen(name, pool(), count))


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("count", [0, 51])
def test_no_sampler_takes_more_than_there_are_or_none(name: str, count: int) -> None:
    with pytest.raises(UserError, match="wanted 1 to 50"):
        chosen(name, pool(), count)


@pytest.mark.parametrize("name", ["disagreement", "entropy", "information-gain"])
def test_a_sampler_that_asks_an_ensemble_wants_one(name: str) -> None:
    with pytest.raises(UserError, match="ensemble"):
        chosen(name, Pool(5), 1)
    with pytest.raises(UserError, match="ensemble"):
        chosen(name, Pool(5, np.zeros((1, 5, 2))), 1)


def test_uniform_takes_every_candidate_equally_often() -> None:
    counts = np.bincount(np.concatenate([chosen("uniform", Pool(10), 3, seed) for seed in range(2000)]), minlength=10)
    assert counts == pytest.approx(600, abs=4 * np.sqrt(600))


def test_the_scores_are_those_of_their_definitions() -> None:
    candidates = pool()
    assert candidates.rewards is not None
    probability = expit(candidates.rewards[..., 1] - candidates.rewards[..., 0])
    entropy = bernoulli(probability.mean(axis=0)).entropy()
    expected = entropy - np.mean([bernoulli(member).entropy() for member in probability], axis=0)
    assert gain(probability) == pytest.approx(expected, abs=1e-12)
    for name, scores in (
        ("disagreement", probability.std(axis=0)),
        ("entropy", entropy),
        ("information-gain", expected),
    ):
        assert chosen(name, candidates, 10).tolist() == np.argsort(-scores)[:10].tolist()


def test_information_gain_passes_over_a_pair_that_all_hold_to_be_a_tie_and_entropy_does_not() -> None:
    tie, disputed, clear = [0.0, 0.0], [4.0, -3.0], [5.0, 5.0]
    second = np.array([tie, disputed, clear]).T  # (members, pairs)
    candidates = Pool(3, np.stack([np.zeros_like(second), second], axis=-1))
    assert chosen("entropy", candidates, 1).tolist() == [0]
    assert chosen("information-gain", candidates, 1).tolist() == [1]
    assert gain(candidates.probabilities())[0] == pytest.approx(0.0, abs=1e-12)


def test_information_is_never_negative_and_at_most_one_answer() -> None:
    probabilities = np.random.default_rng(0).random((5, 200))
    assert (gain(probabilities) >= -1e-12).all()
    assert (gain(probabilities) <= np.log(2)).all()


def test_k_center_takes_one_of_each_cluster_and_keeps_away_from_what_was_asked() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    features = np.concatenate([centre + 0.1 * rng.normal(size=(20, 2)) for centre in centres])
    found = k_center(Pool(60, features=features), 3, rng)
    assert sorted(found // 20) == [0, 1, 2]
    rest = k_center(Pool(60, features=features, asked=centres[:2]), 1, rng)
    assert rest // 20 == 2


def test_k_center_takes_each_of_several_that_look_alike_once() -> None:
    found = k_center(Pool(4, features=np.zeros((4, 2))), 4, np.random.default_rng(0))
    assert sorted(found.tolist()) == [0, 1, 2, 3]


def test_the_visible_difference_is_the_mean_over_the_pixels() -> None:
    first = np.zeros((2, 4, 4, 3), dtype=np.uint8)
    second = first.copy()
    second[1, :, :2] = 200
    assert visible_difference(first, second).tolist() == [0.0, 100.0]
    assert visible_difference(second, first).tolist() == [0.0, 100.0]


def test_pictures_of_different_shapes_cannot_be_compared() -> None:
    with pytest.raises(UserError, match="pictures"):
        visible_difference(np.zeros((1, 4, 4, 3), np.uint8), np.zeros((1, 5, 4, 3), np.uint8))


@pytest.mark.parametrize("bad", [{"rewards": np.zeros((2, 4, 2))}, {"features": np.zeros((4, 2))}])
def test_a_pool_whose_parts_do_not_fit_is_refused(bad: dict[str, np.ndarray]) -> None:
    with pytest.raises(UserError, match="candidates"):
        Pool(5, **bad)
