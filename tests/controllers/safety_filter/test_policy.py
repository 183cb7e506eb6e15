"""Any policy in one line: batches, conversions, and what passes untouched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from controllers import filter_bench
from controllers.safety_filter.policy import SafePolicy
from controllers.safety_filter.reactive import ReactiveFilter
from robot_learn.types import Policy

SAFE = np.array([0.4, -0.6, 0.7, 1.0, 0.0, 0.0, 0.0])
AT_THE_WALL = np.array([0.4, -0.6, 0.0531, 1.0, 0.0, 0.0, 0.0])
DOWN = np.array([0.0, 0.0, -1.0, 0.0, 0.0, 0.0], dtype=np.float32)  # in shares of the bounds
BOUND = np.array([0.4, 0.4, 0.4, 1.5, 1.5, 1.5])


class Stubborn:
    """Always the same."""

    def __init__(self, action: np.ndarray) -> None:
        self.action = action

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        first = next(iter(observation.values())) if isinstance(observation, dict) else observation
        return (self.action if first.ndim == 1 else np.tile(self.action, (len(first), 1))), state


@pytest.fixture(scope="module")
def safety() -> ReactiveFilter:
    return filter_bench.reach().filter()


def wrapped(safety: ReactiveFilter, **more: Any) -> SafePolicy:
    return SafePolicy(Stubborn(DOWN), safety, control_of=lambda a: a * BOUND, action_of=lambda u: u / BOUND, **more)


def test_it_is_a_policy_again(safety: ReactiveFilter) -> None:
    assert isinstance(wrapped(safety), Policy)


def test_of_a_batch_only_what_would_break_a_limit_is_changed(safety: ReactiveFilter) -> None:
    policy = wrapped(safety)
    actions, _ = policy.predict(np.array([SAFE, AT_THE_WALL, SAFE]))
    assert actions.shape == (3, 6)
    assert actions.dtype == np.float32
    np.testing.assert_array_equal(actions[[0, 2]], [DOWN, DOWN])
    assert [said.changed for said in policy.last] == [False, True, False]
    assert actions[1][2] > -0.01
    assert policy.last[1].active == ("workspace (hand)",)


def test_one_observation_gives_one_action_and_the_state_goes_through(safety: ReactiveFilter) -> None:
    memory = (np.ones(2),)
    action, after = wrapped(safety).predict(AT_THE_WALL, memory)
    assert action.shape == (6,)
    assert after is memory


def test_observations_by_name_are_taken_apart(safety: ReactiveFilter) -> None:
    policy = wrapped(safety, state_of=lambda o: np.concatenate([o["place"], o["turn"]]))
    both = np.array([SAFE, AT_THE_WALL])
    actions, _ = policy.predict({"place": both[:, :3], "turn": both[:, 3:]})
    np.testing.assert_array_equal(actions, wrapped(safety).predict(both)[0])


def test_the_filter_forgets_the_worlds_whose_episode_begins() -> None:
    forgotten: list[int] = []

    class Remembering:
        def filter(self, state: np.ndarray, action: np.ndarray, world: int = 0) -> Any:
            return filter_bench.reach().filter().filter(state, action, world)

        def forget(self, world: int = 0) -> None:
            forgotten.append(world)

    SafePolicy(Stubborn(DOWN), Remembering()).predict(np.array([SAFE, SAFE]), None, np.array([False, True]))
    assert forgotten == [1]
