"""Contracts over REWARD_MODELS: what every reward model promises, and what each of them finds out by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from rewards.preference import REWARD_MODELS
from rewards.preference.bradley_terry import BradleyTerry
from rewards.preference.comparisons import Comparisons, Ratings
from rewards.preference.latent import LatentConfig, LatentUsers
from rewards.preference.pair_loss import BradleyTerryConfig
from rewards.preference.ratings import RatedRewards, RatingsConfig
from rewards.preference.regret import Regret, regret, step_rows
from rewards.preference.stored import load, save
from rewards.preference.surf import SurfConfig
from robot_learn.errors import UserError
from robot_learn.registry import load as imported

torch.set_num_threads(1)
RNG = np.random.default_rng(0)
FRAMES = RNG.normal(size=(400, 4)).astype(np.float32)
WORTH = FRAMES[:, 0] - 0.5 * FRAMES[:, 1]  # what the labels are about
PAIRS = RNG.integers(0, 400, (160, 2, 1))
SMALL: dict[str, Any] = {
    "bradley-terry": BradleyTerryConfig(members=2, hidden=(16,), max_epochs=30, learning_rate=1e-2),
    "regret": BradleyTerryConfig(members=2, hidden=(16,), max_epochs=30, learning_rate=1e-2),
    "ratings": RatingsConfig(members=2, hidden=(16,), max_epochs=60, learning_rate=1e-2),
    "users": LatentConfig(hidden=(16,), latent=2, max_epochs=60, learning_rate=1e-2),
}


def labels_of(segments: np.ndarray, worth: np.ndarray = WORTH) -> np.ndarray:
    returns = worth[segments].sum(axis=2)
    return np.asarray(returns[:, 1] > returns[:, 0], dtype=np.float64)


def feedback(kind: str) -> Comparisons | Ratings:
    if kind == "ratings":
        which = RNG.integers(0, 400, (200, 1))
        return Ratings(which, np.digitize(WORTH[which[:, 0]], [-1.0, 0.0, 1.0]), 4)
    return Comparisons(PAIRS, labels_of(PAIRS))


def fitted(kind: str, seeds: tuple[int, ...] = (0,), frames: np.ndarray = FRAMES) -> Any:
    return imported(REWARD_MODELS, kind, kind="reward model").fit(frames, FEEDBACK[kind], SMALL[kind], seeds)


FEEDBACK = {kind: feedback(kind) for kind in REWARD_MODELS}


@cache
def shared(kind: str) -> Any:
    """One of each, of two seeds, for all tests that only look at it."""
    return fitted(kind, (3, 5))


every_kind = pytest.mark.parametrize("kind", REWARD_MODELS)


@every_kind
def test_the_order_is_recovered_from_clean_labels_by_every_seed(kind: str) -> None:
    rewards = shared(kind).rewards(FRAMES)
    assert rewards.shape == (2, len(FRAMES))
    assert rewards.dtype == np.float32
    for row in rewards:
        assert spearmanr(row, WORTH)[0] > 0.9


@every_kind
def test_a_saved_model_pays_the_same_to_the_bit(kind: str, tmp_path: Path) -> None:
    save(tmp_path / "model.npz", kind, shared(kind), {"inputs": "states"})
    back, model, about = load(tmp_path / "model.npz")
    assert (back, about) == (kind, {"inputs": "states"})
    np.testing.assert_array_equal(model.rewards(FRAMES), shared(kind).rewards(FRAMES))
    assert model.calibrations == shared(kind).calibrations
    np.load(tmp_path / "model.npz", allow_pickle=False)


@every_kind
def test_a_seed_gives_the_same_model_again_whoever_stands_beside_it(kind: str) -> None:
    again = fitted(kind, (3, 5)).rewards(FRAMES)
    np.testing.assert_array_equal(again, shared(kind).rewards(FRAMES))
    alone = fitted(kind, (5,)).rewards(FRAMES)[0]
    np.testing.assert_allclose(alone, again[1], atol=1e-5)
    assert np.abs(again[0] - again[1]).max() > 1e-3


@pytest.mark.parametrize("kind", [kind for kind in REWARD_MODELS if isinstance(FEEDBACK[kind], Comparisons)])
def test_pairs_in_the_other_order_with_their_labels_turned_teach_the_same(kind: str) -> None:
    given: Any = FEEDBACK[kind]
    make, config = imported(REWARD_MODELS, kind, kind="reward model"), replace(SMALL[kind], max_epochs=5)
    one, other = (make.fit(FRAMES, pairs, config).rewards(FRAMES) for pairs in (given, given.swapped()))
    np.testing.assert_allclose(one, other, atol=1e-4)


@every_kind
def test_a_frame_that_is_not_finite_is_refused_with_its_row(kind: str) -> None:
    broken = FRAMES.copy()
    broken[17, 2] = np.nan
    with pytest.raises(UserError, match=r"frames\[17\] is not finite"):
        fitted(kind, frames=broken)


@every_kind
def test_frames_of_another_width_are_refused(kind: str) -> None:
    with pytest.raises(UserError, match="wants"):
        shared(kind).rewards(FRAMES[:, :3])


@every_kind
def test_held_out_labels_judge_every_seed(kind: str) -> None:
    for judged in shared(kind).calibrations:
        assert judged.accuracy is not None
        assert judged.low <= judged.accuracy <= judged.high
        assert judged.accuracy > 0.75


def test_a_member_stands_on_its_own_and_the_reward_is_the_mean() -> None:
    model = shared("bradley-terry")
    each = model.member_rewards(FRAMES)
    assert each.shape == (4, len(FRAMES))
    np.testing.assert_allclose(model.rewards(FRAMES)[1], each[2:].mean(axis=0), atol=1e-7)


@pytest.mark.parametrize("loss", ["cross-entropy", "mae", "confusion"])
def test_segments_of_several_steps_are_compared_by_their_sums(loss: Any) -> None:
    segments = RNG.integers(0, 360, (150, 2, 1)) + np.arange(5)
    config = BradleyTerryConfig(members=1, hidden=(16,), max_epochs=30, learning_rate=1e-2, loss=loss)
    model = BradleyTerry.fit(FRAMES, Comparisons(segments, labels_of(segments)), config)
    assert spearmanr(model.rewards(FRAMES)[0], WORTH)[0] > 0.85


def test_ties_pull_two_frames_together_and_preferences_apart() -> None:
    frames = np.eye(3, dtype=np.float32)
    pairs = np.tile([[[0], [1]], [[1], [2]]], (30, 1, 1))
    labels = np.tile([0.5, 1.0], 30)  # 0 and 1 are alike, 2 is better than 1
    config = BradleyTerryConfig(members=1, hidden=(16,), max_epochs=60, learning_rate=1e-2)
    (row,) = BradleyTerry.fit(frames, Comparisons(pairs, labels), config).rewards(frames)
    assert abs(row[0] - row[1]) < 0.1 < 0.4 < row[2] - row[1]


def pictures(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A red square on noise, and where it is."""
    shown = rng.integers(0, 60, (count, 32, 32, 3), dtype=np.uint8)
    at = rng.integers(0, 26, count)
    for picture, left in zip(shown, at, strict=True):
        picture[12:18, left : left + 6] = (230, 20, 20)
    return shown, at


def test_a_reward_is_learned_from_pictures() -> None:
    shown, at = pictures(150, np.random.default_rng(1))
    pairs = np.random.default_rng(2).integers(0, 150, (150, 2, 1))
    config = BradleyTerryConfig(members=2, hidden=(32,), max_epochs=12, learning_rate=2e-3)
    model = BradleyTerry.fit(shown, Comparisons(pairs, labels_of(pairs, at.astype(float))), config, (0,))
    new, new_at = pictures(150, np.random.default_rng(9))
    assert spearmanr(model.rewards(new)[0], new_at)[0] > 0.9
    with pytest.raises(UserError, match="uint8"):
        model.rewards(FRAMES)


def test_advantages_are_at_most_0_and_regret_is_minus_their_sum() -> None:
    assert shared("regret").rewards(FRAMES).max() <= 0.0
    np.testing.assert_allclose(regret(np.array([[-1.0, -2.0], [0.0, 0.0]])), [3.0, 0.0])
    states, actions = np.zeros((5, 3), np.float32), np.ones((5, 2), np.float32)
    assert step_rows(states, actions).shape == (5, 5)
    with pytest.raises(UserError, match="wanted states"):
        step_rows(states, actions[:4])


def test_regret_recovers_the_advantage_of_actions_where_the_state_alone_tells_nothing() -> None:
    rng = np.random.default_rng(4)
    states, actions = rng.normal(size=(600, 2)).astype(np.float32), rng.normal(size=(600, 1)).astype(np.float32)
    advantage = -np.square(actions[:, 0] - states[:, 0])
    segments = rng.integers(0, 590, (400, 2, 1)) + np.arange(3)
    config = BradleyTerryConfig(members=1, hidden=(32, 32), max_epochs=60, learning_rate=5e-3, inverse_temperature=1.0)
    model = Regret.fit(step_rows(states, actions), Comparisons(segments, labels_of(segments, advantage)), config)
    assert spearmanr(model.rewards(step_rows(states, actions))[0], advantage)[0] > 0.8


def users_data(count: int, rng: np.random.Generator) -> Comparisons:
    """Two users who want opposite things."""
    pairs, users = rng.integers(0, 400, (count, 2, 1)), rng.integers(0, 2, count)
    labels = labels_of(pairs, FRAMES[:, 0])
    return Comparisons(pairs, np.where(users == 0, labels, 1.0 - labels), users)


def test_people_of_opposite_tastes_get_rewards_of_their_own_and_one_reward_for_both_pays_nobody() -> None:
    rng = np.random.default_rng(7)
    data = users_data(400, rng)
    model = LatentUsers.fit(FRAMES, data, LatentConfig(hidden=(32, 32), latent=4, max_epochs=100), seeds=(0, 1))
    for seed in (0, 1):
        assert spearmanr(model.rewards(FRAMES, 0)[seed], FRAMES[:, 0])[0] > 0.9
        assert spearmanr(model.rewards(FRAMES, 1)[seed], FRAMES[:, 0])[0] < -0.9
    told = rng.integers(0, 400, (12, 2, 1))
    stranger = Comparisons(told, 1.0 - labels_of(told, FRAMES[:, 0]))
    paid = model.rewards_of(FRAMES, model.posterior(FRAMES, stranger))
    assert all(spearmanr(row, FRAMES[:, 0])[0] < -0.8 for row in paid)
    both = BradleyTerry.fit(FRAMES, Comparisons(data.segments, data.labels), SMALL["bradley-terry"])
    assert abs(spearmanr(both.rewards(FRAMES)[0], FRAMES[:, 0])[0]) < 0.6
    assert both.calibrations[0].accuracy is not None
    assert both.calibrations[0].accuracy < 0.8
    with pytest.raises(UserError, match="user 2: there are 2"):
        model.rewards(FRAMES, 2)


def test_unlabelled_pairs_help_where_labels_are_few() -> None:
    accuracy: dict[str, list[float]] = {"without": [], "with": []}
    test = np.random.default_rng(50).integers(0, 400, (1000, 2))
    truth = WORTH[test[:, 1]] > WORTH[test[:, 0]]
    few = np.random.default_rng(3).integers(0, 400, (24, 2, 1))
    config = BradleyTerryConfig(members=3, hidden=(32,), max_epochs=60, patience=60, learning_rate=3e-3)
    semi: dict[str, Any] = {"unlabelled": RNG.integers(0, 400, (500, 2, 1)), "surf": SurfConfig(confidence=0.9)}
    for name, more in (("without", {}), ("with", semi)):
        model = BradleyTerry.fit(FRAMES, Comparisons(few, labels_of(few)), config, (0, 1, 2), **more)
        paid = model.rewards(FRAMES)
        accuracy[name] = [float(((row[test[:, 1]] > row[test[:, 0]]) == truth).mean()) for row in paid]
    assert np.mean(accuracy["with"]) > np.mean(accuracy["without"]) - 0.01, accuracy
    assert not np.array_equal(accuracy["with"], accuracy["without"])
    with pytest.raises(UserError, match="SURF wants unlabelled"):
        BradleyTerry.fit(FRAMES, Comparisons(few, labels_of(few)), config, surf=SurfConfig())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"labels": np.array([0.0, np.nan])}, r"labels\[1\] is nan"),
        ({"labels": np.array([0.0, 1.5])}, r"labels\[1\] is 1.5"),
        ({"confidence": np.array([-0.1, 1.0])}, r"confidence\[0\]"),
        ({"sources": np.array([0, -1])}, r"sources\[1\]"),
        ({"labels": np.zeros(3)}, r"labels has the shape \(3,\)"),
        ({"segments": np.zeros((2, 3, 1), dtype=int)}, "wanted segments of shape"),
    ],
)
def test_bad_comparisons_are_refused_with_their_row(change: dict[str, Any], says: str) -> None:
    good: dict[str, Any] = {"segments": np.zeros((2, 2, 1), dtype=int), "labels": np.zeros(2)}
    with pytest.raises(UserError, match=says):
        Comparisons(**(good | change))


def test_bad_ratings_are_refused_with_their_row() -> None:
    with pytest.raises(UserError, match=r"classes\[1\] is 4, wanted 0 to 3"):
        Ratings(np.zeros((2, 1), dtype=int), np.array([0, 4]), 4)


def test_a_segment_outside_the_frames_is_refused_with_its_row() -> None:
    pairs = Comparisons(np.array([[[0], [1]], [[2], [400]]]), np.zeros(2))
    with pytest.raises(UserError, match=r"segments\[1\] names frame 400; there are 400"):
        BradleyTerry.fit(FRAMES, pairs)


def test_files_that_are_no_reward_model_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no")
    np.savez(tmp_path / "other.npz", format=1, kind="nothing")
    save(tmp_path / "whole.npz", "regret", shared("regret"))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:500])
    makes: dict[str, str] = {"text.npz": "no file of a reward model", "other.npz": "no kind of reward model"}
    makes |= {"cut.npz": "no file of a reward model", "gone.npz": "there is no such file"}
    for name, says in makes.items():
        with pytest.raises(UserError, match=says):
            load(tmp_path / name)


def test_an_epoch_is_told_as_it_passes() -> None:
    told: list[tuple[int, float]] = []
    tell: Callable[[int, float], None] = lambda epoch, loss: told.append((epoch, loss))  # noqa: E731
    BradleyTerry.fit(
        FRAMES, Comparisons(PAIRS, labels_of(PAIRS)), BradleyTerryConfig(members=1, max_epochs=3), on_epoch=tell
    )
    assert [epoch for epoch, _ in told] == [1, 2, 3]
    assert told[-1][1] < told[0][1]


def test_ratings_are_learned_from_unequal_classes() -> None:
    rng = np.random.default_rng(11)
    which = rng.integers(0, 400, (300, 1))
    rare = (WORTH[which[:, 0]] > 1.6).astype(np.int64)  # about one in fifteen
    assert rare.mean() < 0.15
    config = RatingsConfig(members=1, hidden=(16,), max_epochs=60, learning_rate=5e-3, held_out=0.2)
    (row,) = RatedRewards.fit(FRAMES, Ratings(which, rare, 2), config).rewards(FRAMES)
    good = WORTH > 1.6
    assert (row[good] > 0.5).mean() > 0.8
    assert (row[~good] < 0.5).mean() > 0.9


def test_against_30_percent_of_flipped_labels_mae_and_the_confusion_model_beat_plain_cross_entropy() -> None:
    flips = np.array([[[0.7, 0.3], [0.3, 0.7]]])
    ways: dict[str, tuple[Any, Any]] = {
        "plain": ("cross-entropy", None),
        "mae": ("mae", None),
        "learned": ("confusion", None),
        "from gold pairs": ("confusion", flips),
    }
    right: dict[str, list[float]] = {name: [] for name in ways}
    for dataset in range(3):
        rng = np.random.default_rng([8, dataset])
        pairs, test = rng.integers(0, 400, (500, 2, 1)), rng.integers(0, 400, (2000, 2))
        labels = labels_of(pairs)
        noisy = Comparisons(pairs, np.where(rng.random(500) < 0.3, 1.0 - labels, labels))
        truth = WORTH[test[:, 1]] > WORTH[test[:, 0]]
        for name, (loss, confusion) in ways.items():
            config = BradleyTerryConfig(
                loss=loss, members=1, hidden=(32,), learning_rate=5e-3, max_epochs=30, patience=30
            )
            (row,) = BradleyTerry.fit(FRAMES, noisy, config, confusion=confusion).rewards(FRAMES)
            right[name].append(float(((row[test[:, 1]] > row[test[:, 0]]) == truth).mean()))
    accuracy = {name: np.mean(each) for name, each in right.items()}
    for name in ("mae", "learned", "from gold pairs"):
        assert accuracy[name] > accuracy["plain"] + 0.01, accuracy
    assert accuracy["mae"] > 0.88
