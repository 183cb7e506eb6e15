"""What holds for every offline learner in the registry."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from robot_learn.errors import UserError
from robot_learn.offline import ALGORITHMS
from robot_learn.offline.cpl import with_preferences
from robot_learn.offline.critics import MlpCritic, load_critic
from robot_learn.offline.learner import Learner, configured
from robot_learn.offline.tensors import Tensors
from robot_learn.policy import load_policy
from robot_learn.registry import load
from robot_learn.types import Policy
from tests.robot_learn.offline.toys import point_data, point_tensors, random_pairs, success

SMALL: dict[str, Any] = {
    "batch_size": 13,
    "hidden_size": 9,
    "hidden_layers": 2,
    "learning_rate": 1e-3,
}  # odd on purpose
SHORT: dict[str, dict[str, Any]] = {
    "cpl": {"total_updates": 20, "cloning_share": 0.4},  # from cloning to comparing on the way
    "iql": {"total_updates": 20},
}
OPTIONS: dict[str, dict[str, Any]] = {name: {"algorithm": name} for name in ALGORITHMS} | {
    "iql-weighted": {"algorithm": "iql", "episode_weight": 10.0},
    "iql-histogram": {"algorithm": "iql", "bins": 21, "inverse_temperature": 0.05},
    "rebrac-histogram": {"algorithm": "rebrac", "bins": 21},
}
EVERY = pytest.mark.parametrize("name", OPTIONS)
VALUES = {"iql", "td3-bc", "rebrac", "prdc"}  # those that say what an action is worth


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    data = point_data(episodes=20)
    # Centred, so that values begin about right and weights by advantage are not all zero.
    data = data.with_rewards(data.rewards - data.rewards.mean(), "test")
    return with_preferences(point_tensors(data), data, random_pairs(data, 50, 3))


def make(name: str, tensors: Tensors, seeds: tuple[int, ...] = (0, 1, 2), /, **changes: Any) -> Learner:
    options = dict(OPTIONS[name])
    algorithm = str(options.pop("algorithm"))
    kind = load(ALGORITHMS, algorithm, kind="algorithm")
    settings = SMALL | SHORT.get(algorithm, {}) | options | changes
    learner: Learner = kind(tensors, configured(kind.Config, **settings), seeds)
    return learner


def acts(learner: Learner) -> np.ndarray:
    """(S, 7, 2): what each seed does at some observations."""
    observations = np.random.default_rng(5).standard_normal((7, 4))
    return np.array([policy.predict(observations, deterministic=True)[0] for policy in learner.policies()])


@EVERY
def test_the_same_seeds_learn_the_same_and_other_seeds_do_not(name: str, tensors: Tensors) -> None:
    first, again, other = make(name, tensors), make(name, tensors), make(name, tensors, (3, 4, 5))
    losses = [learner.train(20) for learner in (first, again, other)]
    assert np.array_equal(acts(first), acts(again))
    assert not np.isclose(acts(first), acts(other)).all(axis=(1, 2)).any()
    assert all(np.array_equal(value, losses[1][key]) for key, value in losses[0].items())


@EVERY
def test_a_seed_learns_the_same_whatever_learns_beside_it(name: str, tensors: Tensors) -> None:
    together, alone = make(name, tensors), make(name, tensors, (1,))
    losses, losses_alone = together.train(20), alone.train(20)
    assert np.array_equal(acts(together)[1], acts(alone)[0])
    for key, value in losses_alone.items():
        assert losses[key][1] == pytest.approx(value[0], rel=1e-6, abs=1e-7)


@EVERY
def test_training_goes_on_from_a_stored_state_to_the_bit(name: str, tensors: Tensors) -> None:
    through, halves, later = make(name, tensors), make(name, tensors), make(name, tensors)
    through.train(20)
    halves.train(7)
    kept = halves.state()
    halves.train(13)  # which must leave the stored state alone
    later.train(3)
    later.load_state(pickle.loads(pickle.dumps(kept)))
    assert later.updates == 7
    later.train(13)
    assert through.updates == halves.updates == later.updates == 20
    assert np.array_equal(acts(through), acts(halves))
    assert np.array_equal(acts(through), acts(later))


@EVERY
def test_seeds_of_several_batches_are_the_same_seeds(name: str, tensors: Tensors) -> None:
    many, few = make(name, tensors, (0, 1, 2, 3, 4)), make(name, tensors, (3, 0))
    many.train(10)
    few.train(10)
    assert np.array_equal(acts(many)[[3, 0]], acts(few))
    with pytest.raises(UserError, match="seeds in 2 batches, here they are in 1"):
        few.load_state(many.state())


@EVERY
def test_losses_come_by_name_and_one_a_seed(name: str, tensors: Tensors) -> None:
    losses = make(name, tensors).train(20)
    assert losses
    assert all(value.shape == (3,) and np.isfinite(value).all() for value in losses.values())


@EVERY
def test_policies_are_policies_in_the_range_of_the_actions(name: str, tensors: Tensors, tmp_path: Path) -> None:
    learner = make(name, tensors)
    learner.train(10)
    policies = learner.policies()
    assert len(policies) == 3
    observations = np.random.default_rng(1).standard_normal((7, 4)) * 10.0
    for policy in policies:
        assert isinstance(policy, Policy)
        drawn, state = policy.predict(observations)
        assert state is None
        assert drawn.shape == (7, 2)
        assert (np.abs(drawn) <= 1.0).all()
        best, _ = policy.predict(observations, deterministic=True)
        one, _ = policy.predict(observations[0], deterministic=True)
        np.testing.assert_allclose(one, best[0], rtol=1e-5, atol=1e-6)
        with pytest.raises(UserError, match="wants observations"):
            policy.predict(np.zeros((7, 3)))
    policies[0].save(tmp_path / "policy.npz")
    again, _ = load_policy(tmp_path / "policy.npz").predict(observations, deterministic=True)
    assert np.array_equal(again, policies[0].predict(observations, deterministic=True)[0])


@EVERY
def test_a_policy_stays_as_it_was_while_training_goes_on(name: str, tensors: Tensors) -> None:
    learner = make(name, tensors)
    learner.train(10)
    policy, observations = learner.policies()[0], np.ones((2, 4))
    before, _ = policy.predict(observations, deterministic=True)
    learner.train(10)
    assert np.array_equal(policy.predict(observations, deterministic=True)[0], before)
    assert not np.array_equal(learner.policies()[0].predict(observations, deterministic=True)[0], before)


@EVERY
def test_critics_value_actions_or_there_are_none(name: str, tensors: Tensors, tmp_path: Path) -> None:
    learner = make(name, tensors)
    learner.train(10)
    critics = learner.critics()
    assert len(critics) == (3 if OPTIONS[name]["algorithm"] in VALUES else 0)
    rng = np.random.default_rng(1)
    observations, actions = rng.standard_normal((7, 4)), rng.uniform(-1.0, 1.0, (7, 2))
    for critic in critics:
        values = critic(observations, actions)
        assert values.shape == (7,)
        assert np.isfinite(values).all()
        assert not np.array_equal(values, critic(observations, -actions))
        with pytest.raises(UserError, match="critic wants"):
            critic(observations, actions[:, :1])
        assert isinstance(critic, MlpCritic)
        critic.save(tmp_path / "critic.npz")
        assert np.array_equal(load_critic(tmp_path / "critic.npz")(observations, actions), values)


@EVERY
def test_each_seed_can_be_paid_by_rewards_of_its_own(name: str, tensors: Tensors) -> None:
    rng = np.random.default_rng(0)
    rows = rng.uniform(-1.0, 1.0, (3, tensors.num_steps))
    rows[1] = tensors.rewards[0]
    shared = tensors.with_rewards(rows[1])
    together, alone = make(name, tensors.with_rewards(rows)), make(name, shared, (1,))
    together.train(10)
    alone.train(10)
    assert np.array_equal(acts(together)[1], acts(alone)[0])


@EVERY
@pytest.mark.parametrize("seeds", [(), (1, 1), (-1,)])
def test_seeds_that_are_none_twice_or_negative_are_refused(name: str, seeds: tuple[int, ...], tensors: Tensors) -> None:
    with pytest.raises(UserError, match="seeds"):
        make(name, tensors, seeds)


@EVERY
def test_rewards_for_another_number_of_seeds_are_refused(name: str, tensors: Tensors) -> None:
    with pytest.raises(UserError, match="2 rows, wanted 1 or one for each seed, 3"):
        make(name, tensors.with_rewards(np.zeros((2, tensors.num_steps))))


@EVERY
@pytest.mark.parametrize(
    ("setting", "value"), [("batch_size", 0), ("learning_rate", float("nan")), ("hidden_size", 0), ("speling", 1)]
)
def test_a_setting_out_of_range_or_unknown_is_refused_by_name(
    name: str, setting: str, value: Any, tensors: Tensors
) -> None:
    with pytest.raises(UserError, match=setting):
        make(name, tensors, **{setting: value})


FAST: dict[str, Any] = {"batch_size": 128, "hidden_size": 64, "hidden_layers": 2, "learning_rate": 1e-3}
LEARNING: dict[str, tuple[int, dict[str, Any]]] = {  # updates, settings
    "iql": (600, {"gamma": 0.9, "total_updates": 600, "expectile": 0.9, "inverse_temperature": 10.0}),
    "td3-bc": (500, {"gamma": 0.9}),
    "rebrac": (400, {"gamma": 0.9}),
    "prdc": (400, {"gamma": 0.9}),
    "odice": (300, {"gamma": 0.9}),
    "cpl": (
        1000,
        {"total_updates": 1000, "cloning_share": 0.3, "alpha": 0.5, "contrast": 1.0, "dropout": 0.0, "batch_size": 64},
    ),
}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_learning_from_mixed_data_ends_where_theory_says(name: str) -> None:
    """One episode in five goes to the goal; the point is judged by its mean return over 50."""
    data = point_data(episodes=100, good=0.2)
    tensors = with_preferences(point_tensors(data), data, random_pairs(data, 2000, 1))
    updates, settings = LEARNING.get(name, (300, {}))
    learner = make(name, tensors, (0,), **FAST | settings)
    learner.train(updates)
    reached = success(learner.policies()[0]).mean_return
    mixed, good = data.returns.mean(), data.returns[:20].mean()
    if name == "bc":  # it does what the data does
        assert abs(reached - mixed) < 0.25 * (good - mixed)
    elif name == "bc-10":  # which draws from the good episodes only, whose noise it leaves out
        assert reached > good
    else:  # more than half way from the data to its good episodes, none of which has been named
        assert reached > 0.5 * (mixed + good)
