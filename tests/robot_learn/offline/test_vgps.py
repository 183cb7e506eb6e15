from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import chisquare

from robot_learn.errors import UserError
from robot_learn.offline.bc import Bc, BcConfig
from robot_learn.offline.rebrac import Td3Bc, Td3BcConfig
from robot_learn.offline.vgps import Steered, choose
from robot_learn.types import Policy
from tests.robot_learn.offline.toys import point_data, point_tensors, success


class Scattered:
    """Draws actions uniformly, whatever it sees."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        return self.rng.uniform(-1.0, 1.0, (len(observation), 2)).astype(np.float32), None


def to_the_right(observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
    return np.asarray(actions[:, 0])


def towards_the_goal(observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Minus the distance that is left after the action."""
    return np.asarray(-np.linalg.norm(observations[:, 2:] - 0.2 * actions, axis=1))


def test_it_is_a_policy_and_takes_the_best_of_its_samples() -> None:
    steered = Steered(Scattered(), to_the_right, samples=50)
    assert isinstance(steered, Policy)
    actions, state = steered.predict(np.zeros((200, 4)))
    assert state is None
    assert actions.shape == (200, 2)
    # The largest of 50 uniform numbers on [-1, 1] has the mean 1 - 2 / 51.
    assert actions[:, 0].mean() == pytest.approx(1.0 - 2.0 / 51.0, abs=0.02)
    assert abs(actions[:, 1].mean()) < 0.15
    assert steered.predict(np.zeros(4))[0].shape == (2,)


def test_one_sample_or_no_temperature_leaves_the_policy_as_it_was() -> None:
    plain = Scattered().predict(np.zeros((30, 4)))[0]
    assert np.array_equal(Steered(Scattered(), to_the_right, samples=1).predict(np.zeros((30, 4)))[0], plain)
    free = Steered(Scattered(), to_the_right, samples=10, inverse_temperature=0.0)
    assert abs(free.predict(np.zeros((3000, 4)))[0].mean()) < 0.05


@pytest.mark.parametrize("inverse_temperature", [0.0, 1.0, 4.0])
def test_actions_are_drawn_with_the_probabilities_of_a_softmax(inverse_temperature: float) -> None:
    values, count = np.array([0.3, -0.2, 1.0, 0.9]), 20_000
    drawn = choose(np.tile(values, (count, 1)), inverse_temperature, np.random.default_rng(0))
    wanted = count * softmax(inverse_temperature * values)
    assert chisquare(np.bincount(drawn, minlength=4), wanted).pvalue > 0.01


def test_infinity_is_the_limit_and_values_may_be_huge() -> None:
    values = np.random.default_rng(1).standard_normal((500, 10))
    best = choose(values, np.inf, np.random.default_rng(0))
    assert np.array_equal(best, values.argmax(1))
    assert np.array_equal(best, choose(values, 1e9, np.random.default_rng(0)))
    assert np.array_equal(best, choose(1e30 * values, 1.0, np.random.default_rng(0)))


def test_asked_to_be_deterministic_it_takes_the_best_at_any_temperature() -> None:
    actions, _ = Steered(Scattered(), to_the_right, samples=50, inverse_temperature=0.0).predict(
        np.zeros((200, 4)), deterministic=True
    )
    assert actions[:, 0].mean() > 0.9


def test_a_critic_leads_wandering_to_the_goal() -> None:
    assert success(Scattered()).success_rate < 0.4
    assert success(Steered(Scattered(), towards_the_goal, samples=50)).success_rate > 0.9


def test_a_learned_critic_improves_a_cloned_policy() -> None:
    tensors = point_tensors(point_data(episodes=100, good=0.2))
    fast: dict[str, Any] = {"batch_size": 128, "hidden_size": 64, "learning_rate": 1e-3}
    cloned = Bc(tensors, BcConfig(**fast), (0,))
    valued = Td3Bc(tensors, Td3BcConfig(gamma=0.9, **fast), (0,))
    cloned.train(300)
    valued.train(400)
    policy, critic = cloned.policies()[0], valued.critics()[0]
    before, after = success(policy), success(Steered(policy, critic, samples=50))
    assert after.mean_return > before.mean_return + 5.0
    assert after.successes > before.successes


class Remembers(Scattered):
    def predict(self, *args: Any, **others: Any) -> tuple[np.ndarray, Any]:
        return super().predict(*args, **others)[0], (np.zeros(3),)


def test_what_cannot_be_steered_is_refused() -> None:
    with pytest.raises(UserError, match="remembers"):
        Steered(Remembers(), to_the_right).predict(np.zeros((2, 4)))
    with pytest.raises(UserError, match="dict"):
        Steered(Scattered(), to_the_right).predict({"state": np.zeros((2, 4))})
    nan = np.array([0.0] * 10 + [np.nan] * 10)
    with pytest.raises(UserError, match="observation 1 is not a number"):
        Steered(Scattered(), lambda observations, actions: nan).predict(np.zeros((2, 4)))
    with pytest.raises(UserError, match="samples is 0"):
        Steered(Scattered(), to_the_right, samples=0)
    with pytest.raises(UserError, match="inverse_temperature"):
        Steered(Scattered(), to_the_right, inverse_temperature=float("nan"))
