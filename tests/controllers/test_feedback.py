"""Planned feedback policies hold what a sequence of actions alone would drop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box

from controllers.feedback import FeedbackConfig, FeedbackPolicy, Search, Tried
from robot_learn.errors import UserError

DT = 0.1
SHORT = FeedbackConfig(horizon=5, first_rounds=2, rounds=1, patience=1)


class Pole:
    """Worlds of an unstable body, x'' = 4 x + u; a world ends where |x| > 1, and pays for staying near 0."""

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.single_action_space = Box(-2.0, 2.0, (1,), np.float64)
        self.state = np.tile([0.1, 0.0], (num_envs, 1))
        self.restored: list[int] = []
        self.steps = 0

    def snapshot(self) -> Any:
        return list(self.state)

    def restore(self, snapshot: Sequence[Any]) -> None:
        self.state = np.array(snapshot, dtype=np.float64)

    def restore_world(self, index: int, snapshot: Any) -> None:
        self.restored.append(index)
        self.state = self.state.copy()
        self.state[index] = snapshot

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        self.steps += 1
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
    policy = FeedbackPolicy(world, Pole(2 * 40), 2, FeedbackConfig(horizon=40, replan_every=20))
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


def test_a_world_that_falls_tries_the_next_policy_at_once_and_the_others_go_on() -> None:
    simulator = Pole(16)
    config = FeedbackConfig(horizon=40, first_rounds=1, patience=1, noise=30.0)
    FeedbackPolicy(Pole(1), simulator, 1, config).predict(np.array([[0.1, 0.0]]))
    assert simulator.steps == 2 * 40, "for what observations are like, and to plan"
    assert len(simulator.restored) > 3 * 16 * 2, "poles fall within a third of the horizon, if nobody holds them"
    assert np.bincount(simulator.restored, minlength=16).std() > 0.0


def test_old_policies_are_tried_again_before_new_ones_and_the_best_of_all_are_kept() -> None:
    config = FeedbackConfig(kept=2)
    old = [Tried(np.full((1, 3), value), 10.0) for value in (1.0, 2.0)]
    search = Search(old, config, np.random.default_rng(0))
    samples = [search.sample() for _ in range(3)]
    assert [again for _, again in samples] == [True, True, False]
    np.testing.assert_array_equal([gains[0, 0] for gains, _ in samples[:2]], [1.0, 2.0])
    search.add(Tried(samples[2][0], 5.0, True), False)
    search.add(Tried(samples[0][0], 3.0, True), True)
    assert search.best == old, "until all of them are through, what they were worth elsewhere is what is known"
    assert search.bar == -np.inf
    assert not search.holds
    search.add(Tried(samples[1][0], 4.0), True)
    assert [tried.value for tried in search.best] == [5.0, 4.0]
    assert search.bar == 4.0
    assert search.holds
    search.add(Tried(samples[2][0], 6.0, False), False)
    assert [tried.value for tried in search.best] == [6.0, 5.0]
    assert not search.holds


def test_a_search_goes_on_where_nothing_survives_until_patience_ends() -> None:
    simulator = Pole(16)
    lost = np.array([[0.9, 2.0]])
    world = Pole(1)
    world.restore(lost)
    FeedbackPolicy(world, simulator, 1, FeedbackConfig(horizon=10, first_rounds=2, patience=4)).predict(lost)
    assert simulator.steps == 10 + 4 * 2 * 10
    simulator = Pole(16)
    FeedbackPolicy(Pole(1), simulator, 1, FeedbackConfig(horizon=3, first_rounds=2, patience=4)).predict(world.state)
    assert simulator.steps == 3 + 2 * 3


def test_a_new_episode_is_planned_for_at_once_and_held() -> None:
    world, simulator = Pole(2), Pole(32)
    policy = FeedbackPolicy(world, simulator, 2, FeedbackConfig(horizon=40, replan_every=50))
    run(policy, world, 3)
    assert policy.plans == 1
    world.restore_world(0, [0.2, 0.0])
    before = simulator.restored.copy()
    policy.predict(world.state, episode_start=np.array([True, False]))
    assert policy.plans == 2
    assert simulator.restored[len(before) : len(before) + 32] == list(range(32)), "of all worlds"
    largest = np.abs(world.state[:, 0])
    for _ in range(40):
        world.step(policy.predict(world.state)[0])
        largest = np.maximum(largest, np.abs(world.state[:, 0]))
    assert largest.max() < 0.6


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(UserError, match="horizon is 0"):
        FeedbackConfig(horizon=0)
    with pytest.raises(UserError, match="6 worlds for 1 episodes"):
        FeedbackPolicy(Pole(1), Pole(6), 1)
