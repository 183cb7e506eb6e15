"""Evaluation: each seed once, the right figures, and an interval that keeps its promise."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from robot_learn.envs import EVAL_SEED0
from robot_learn.errors import UserError
from robot_learn.evaluation import Evaluation, evaluate, wilson_interval
from tests.toy import PointEnv


class ToGoal:
    """Walks straight to the goal, or away from it with a negative gain."""

    def __init__(self, gain: float = 5.0) -> None:
        self.gain = gain
        self.starts: list[np.ndarray] = []

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        self.starts.append(episode_start)
        return np.clip(self.gain * observation[:, 2:], -1, 1).astype(np.float32), state


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_equals_scipys(case: tuple[int, int]) -> None:
    successes, trials = case
    expected = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_a_rate_without_trials_is_an_error() -> None:
    for case in ((0, 0), (3, 2), (-1, 5)):
        with pytest.raises(UserError):
            wilson_interval(*case)


@pytest.mark.parametrize("num_envs", [1, 7, 23, 40])
def test_the_number_of_worlds_does_not_change_the_result(num_envs: int) -> None:
    reference, _ = evaluate(PointEnv(23, lethal=True), ToGoal(-1.0), episodes=23)
    result, _ = evaluate(PointEnv(num_envs, lethal=True), ToGoal(-1.0), episodes=23)
    assert result.episodes == reference.episodes
    assert len({episode.length for episode in result.episodes}) > 3  # short and long ones, one of each seed
    assert [episode.seed for episode in result.episodes] == [EVAL_SEED0 + i for i in range(23)]


def test_figures_equal_those_of_each_episode_run_alone() -> None:
    result, _ = evaluate(PointEnv(9), ToGoal(0.5), episodes=9)
    for episode in result.episodes:
        env, policy = PointEnv(1), ToGoal(0.5)
        observation, _ = env.reset(seed=episode.seed)
        rewards, successes = [], []
        for _ in range(20):
            observation, reward, _, _, info = env.step(policy.predict(observation)[0])
            rewards.append(reward[0])
            successes.append(bool(info["success"][0]))
        assert episode.episode_return == pytest.approx(sum(rewards))
        assert episode.success == any(successes)
        assert episode.success_at_end == successes[-1]
        assert episode.success_step == (successes.index(True) + 1 if any(successes) else None)
        assert episode.length == 20


def test_success_at_any_step_and_at_the_end_are_told_apart() -> None:
    class Passing(ToGoal):
        """At the goal for a moment in the middle, then away."""

        def predict(self, observation: Any, *args: Any, **options: Any) -> tuple[np.ndarray, Any]:
            action, state = super().predict(observation, *args, **options)
            return (action if len(self.starts) <= 14 else np.ones_like(action)), state

    result, _ = evaluate(PointEnv(20), Passing(), episodes=20)
    assert result.success_rate == 1.0
    assert result.success_at_end_rate == 0.0


def test_a_policy_is_told_where_episodes_start() -> None:
    policy = ToGoal()
    evaluate(PointEnv(4), policy, episodes=8)
    assert [bool(start.all()) for start in policy.starts] == ([True] + [False] * 19) * 2


def test_a_trace_holds_the_steps_of_its_own_episode() -> None:
    env = PointEnv(4)
    result, traces = evaluate(env, ToGoal(0.5), episodes=10, trace=[2, 9], video=[6], frame_stride=6)
    assert sorted(traces) == [2, 6, 9]
    for number, trace in traces.items():
        episode = result.episodes[number]
        assert (trace.seed, trace.success_step) == (episode.seed, episode.success_step)
        assert sum(trace.rewards) == pytest.approx(episode.episode_return)
        np.testing.assert_allclose(np.sum(list(trace.terms.values()), axis=0), trace.rewards)
        assert len(trace.success) == episode.length
    assert [len(traces[number].frames) for number in (2, 6, 9)] == [0, 4, 0]
    assert traces[6].frame_steps == [0, 6, 12, 18]
    alone = PointEnv(1)
    alone.reset(seed=traces[6].seed)
    np.testing.assert_array_equal(traces[6].frames[0], alone.render_world(0, 480, 480))


def test_an_evaluation_survives_json() -> None:
    result, _ = evaluate(PointEnv(5), ToGoal(0.5), episodes=5)
    stored = json.loads(json.dumps(result.to_json()))
    assert Evaluation.from_json(stored) == result
    assert stored["success_interval_95"] == list(result.success_interval)
    with pytest.raises(UserError, match="not a stored evaluation"):
        Evaluation.from_json({"task": "toy/point"})


def test_seeds_of_training_and_nothing_to_do_are_refused() -> None:
    with pytest.raises(UserError, match="one of training's"):
        evaluate(PointEnv(2), ToGoal(), first_seed=7)
    with pytest.raises(UserError, match="at least 1"):
        evaluate(PointEnv(2), ToGoal(), episodes=0)


def test_an_episode_that_never_ends_is_an_error() -> None:
    class Endless(PointEnv):
        def step(self, actions: np.ndarray) -> Any:
            self._clock[:] = 0
            return super().step(actions)

    with pytest.raises(UserError, match="ran past max_episode_steps = 20"):
        evaluate(Endless(2), ToGoal(), episodes=2)
