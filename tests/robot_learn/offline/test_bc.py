from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_learn.errors import UserError
from robot_learn.offline.bc import Bc, Bc10, Bc10Config, BcConfig, best_steps
from tests.robot_learn.offline.toys import point_data, point_tensors

SMALL: dict[str, Any] = {"hidden_size": 16, "batch_size": 32}


def chosen_episodes(returns: list[float], share: float, seed: int = 0) -> set[int]:
    """Which of the episodes, of two steps each, are among the best."""
    rewards = np.repeat(np.array(returns) / 2.0, 2)
    steps = best_steps(np.full(len(returns), 2), rewards, share, np.random.default_rng(seed))
    return {int(step) // 2 for step in steps}


def test_the_best_tenth_are_the_episodes_with_the_highest_returns() -> None:
    returns = np.random.default_rng(0).permutation(30.0 * np.arange(30))
    assert chosen_episodes(list(returns), 0.1) == {*np.argsort(returns)[-3:]}


def test_a_long_episode_is_judged_by_its_sum_and_gives_all_its_steps() -> None:
    steps = best_steps(np.array([1, 5, 2]), np.array([3.0, 1, 1, 1, 1, 1, 0, 4]), 1 / 3, np.random.default_rng(0))
    assert steps.tolist() == [1, 2, 3, 4, 5]


def test_at_least_one_episode_is_kept_and_all_for_a_share_of_one() -> None:
    assert chosen_episodes([1.0, 3.0, 2.0], 0.01) == {1}
    assert chosen_episodes([1.0, 3.0, 2.0], 1.0) == {0, 1, 2}


def test_equal_returns_are_drawn_among_and_better_ones_never_left_out() -> None:
    returns = [5.0, *[1.0] * 19]
    drawn = [chosen_episodes(returns, 0.1, seed) for seed in range(60)]
    assert all(len(episodes) == 2 and 0 in episodes for episodes in drawn)
    assert len(set().union(*drawn)) > 15, "only some of the equal ones ever come"


def test_ten_percent_of_equal_returns_is_plain_cloning_of_a_tenth() -> None:
    data = point_data(episodes=30)
    tensors = point_tensors(data.with_rewards(np.zeros(data.num_steps), "none"))
    tenth = Bc10(tensors, Bc10Config(**SMALL), (4,))
    stack: Any = tenth.stacks[0]
    steps = stack.steps[0]
    assert len(steps) == 3 * 20
    lengths = tensors.lengths[:3]
    part = replace(tensors, before=tensors.before[steps], actions=tensors.actions[steps], lengths=lengths)
    part = replace(part, rewards=tensors.rewards[:, steps], terminated=tensors.terminated[steps])
    plain = Bc(part, BcConfig(**SMALL), (4,))
    assert np.array_equal(tenth.train(25)["actor"], plain.train(25)["actor"])
    observation = np.ones((3, 4))
    first, second = (learner.policies()[0].predict(observation, deterministic=True)[0] for learner in (tenth, plain))
    assert np.array_equal(first, second)


def test_cloning_finds_the_mean_and_the_deviation_of_the_actions() -> None:
    """With nothing to see, the most likely Gaussian is that of the actions' own moments."""
    data, rng = point_data(episodes=20), np.random.default_rng(0)
    actions = np.clip([0.3, -0.5] + [0.1, 0.2] * rng.standard_normal((data.num_steps, 2)), -1.0, 1.0)
    data = replace(data, observations=np.zeros_like(data.observations), actions=actions.astype(np.float32))
    learner = Bc(point_tensors(data), BcConfig(learning_rate=0.01, hidden_layers=0, batch_size=256), (0,))
    learner.train(600)
    (policy,) = learner.policies()
    mean, _ = policy.predict(np.zeros((1, 4)), deterministic=True)
    np.testing.assert_allclose(mean[0], actions.mean(0), atol=0.02)
    drawn, _ = policy.predict(np.zeros((4000, 4)))
    np.testing.assert_allclose(drawn.std(0), actions.std(0), rtol=0.1)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, float("nan")])
def test_a_share_of_no_episodes_is_refused(share: float) -> None:
    with pytest.raises(UserError, match="best_share"):
        BcConfig(best_share=share)
