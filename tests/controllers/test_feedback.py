"""Planned feedback policies hold what a sequence of actions alone would drop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box

from controllers.feedback import FeedbackConfig, FeedbackPolicy
from robot_learn.errors import UserError

DT = 0.1


class Pole:
    """Worlds of an unstable body, x'' = 4 x + u; a world ends where |x| > 1, and pays for staying near 0."""

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.single_action_space = Box(-2.0, 2.0, (1,), np.float64)
        self.state = np.tile([0.1, 0.0], (num_envs, 1))

    def snapshot(self) -> Any:
        return list(self.state)

    def restore(self, snapshot: Any) -> None:
        self.state = np.array(snapshot, dtype=np.float64)

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        position, velocity = self.state.T
        velocity = velocity + DT * (4.0 * position + actions[:, 0])
        self.state = np.stack([position + DT * velocity, velocity], axis=1)
        ended = np.abs(self.state[:, 0]) > 1.0
        return self.state, 1.0 - np.square(self.state[:, 0]), ended, np.zeros(self.num_envs, dtype=bool), {}


def run(policy: FeedbackPolicy, world: Pole, steps: int) -> np.ndarray:
    """(M,) the largest |x| on the way."""
    largest = np.abs(world.state[:, 0])
    for step in range(steps):
        actions, _ = policy.predict(world.state, episode_start=np.full(world.num_envs, step == 0))
        world.step(actions)
        largest = np.maximum(largest, np.abs(world.state[:, 0]))
    return largest


def test_an_unstable_body_is_held_in_every_episode() -> None:
    world = Pole(2)
    world.restore([[0.1, 0.0], [-0.2, 0.1]])
    config = FeedbackConfig(horizon=40, replan_every=20)
    policy = FeedbackPolicy(world, Pole(2 * 40), 2, config)
    assert run(policy, world, 200).max() < 0.5, "beyond it, no action within the bounds brings it back"
    assert policy.plans == 10
    fallen = Pole(1)
    for _ in range(40):
        fallen.step(np.zeros((1, 1)))
    assert np.abs(fallen.state[0, 0]) > 1.0, "which doing nothing does not"


def test_a_seed_fixes_the_plan_and_actions_keep_to_the_bounds() -> None:
    config = FeedbackConfig(horizon=10, first_rounds=3, noise=30.0, seed=3)
    first, again = (FeedbackPolicy(Pole(1), Pole(16), 1, config).predict(np.array([[0.1, 0.0]]))[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first).max() <= 2.0


def test_the_kept_policies_are_tried_again_as_they_are() -> None:
    policy = FeedbackPolicy(Pole(1), Pole(16), 1, FeedbackConfig(horizon=5))
    policy.predict(np.array([[0.1, 0.0]]))
    np.testing.assert_array_equal(policy._candidates()[:, :6], policy._gains)
    assert not np.array_equal(policy._candidates()[:, 6:12], policy._gains)


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(UserError, match="horizon is 0"):
        FeedbackConfig(horizon=0)
    with pytest.raises(UserError, match="6 worlds for 1 episodes"):
        FeedbackPolicy(Pole(1), Pole(6), 1)
