"""MPPI against the exact answer of a linear-quadratic problem, and what it promises of plans and weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box

from controllers.mppi import Mppi, MppiConfig, MppiPolicy
from robot_learn.errors import UserError

DT, TARGET = 0.1, 1.0


class DoubleIntegrator:
    """Worlds of a point mass on a line; the reward is minus squared distance to the target and effort."""

    def __init__(self, num_envs: int, limit: float = 5.0, ends_beyond: float = np.inf) -> None:
        self.num_envs, self._ends_beyond = num_envs, ends_beyond
        self.single_action_space = Box(-limit, limit, (1,), np.float64)
        self.state = np.zeros((num_envs, 2))

    def restore(self, snapshot: Any) -> None:
        self.state = np.array(snapshot, dtype=np.float64)

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        position, velocity = self.state.T
        velocity = velocity + DT * actions[:, 0]
        self.state = np.stack([position + DT * velocity, velocity], axis=1)
        reward = -np.square(self.state[:, 0] - TARGET) - 0.01 * np.square(actions[:, 0])
        ended = self.state[:, 0] > self._ends_beyond
        return self.state, reward, ended, np.zeros(self.num_envs, dtype=bool), {}


def best_return(horizon: int) -> float:
    """The optimum from rest at 0, by least squares: positions are linear in the actions."""
    response = np.array([[DT * DT * max(0, k - j + 1) for j in range(horizon)] for k in range(horizon)])
    stacked = np.vstack([response, 0.1 * np.eye(horizon)])
    wanted = np.concatenate([np.full(horizon, TARGET), np.zeros(horizon)])
    actions = np.linalg.lstsq(stacked, wanted, rcond=None)[0]
    assert np.abs(actions).max() < 12
    return -float(np.sum(np.square(stacked @ actions - wanted)))


def test_many_rounds_come_close_to_the_optimum_of_a_linear_quadratic_problem() -> None:
    config = MppiConfig(horizon=12, knot_every=2, noise=0.3, temperature=0.1, iterations=40)
    planner = Mppi(DoubleIntegrator(256, limit=12.0), 1, config)
    nothing = planner.returns([np.zeros(2)], np.zeros((1, 256, 12, 1)))[0, 0]
    plan = planner.plan([np.zeros(2)])
    found = planner.returns([np.zeros(2)], np.tile(plan[:, None], (1, 256, 1, 1)))[0, 0]
    assert nothing < found
    assert found >= best_return(12) - 0.02 * (best_return(12) - nothing)


def test_receding_horizon_brings_every_episode_to_its_target_and_holds_it() -> None:
    planner = Mppi(DoubleIntegrator(3 * 64), 3, MppiConfig(horizon=15, knot_every=3))
    world = DoubleIntegrator(3)
    world.restore([[0.0, 0.0], [2.0, 0.0], [-1.0, 1.0]])
    for _ in range(60):
        plan = planner.plan(list(world.state))
        planner.advance()
        world.step(plan[:, 0])
    np.testing.assert_allclose(world.state[:, 0], TARGET, atol=0.05)


def test_the_scale_of_a_reward_and_a_constant_in_it_change_nothing() -> None:
    class Scaled(DoubleIntegrator):
        def step(self, actions: np.ndarray) -> Any:
            state, reward, *rest = super().step(actions)
            return state, 1024.0 * reward + 8.0, *rest

    plans = [Mppi(kind(32)).plan([np.zeros(2)]) for kind in (DoubleIntegrator, Scaled)]
    np.testing.assert_allclose(*plans, atol=1e-6)


def test_plans_keep_to_the_bounds_and_a_seed_fixes_them() -> None:
    config = MppiConfig(noise=3.0, seed=4)
    first, again = (Mppi(DoubleIntegrator(16, limit=0.5), 1, config).plan([np.array([-9.0, 0.0])]) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first).max() <= 0.5
    assert first.mean() > 0.1, "towards the target"


def test_noise_has_the_deviation_that_was_asked_for_at_every_step_and_is_correlated_within_knots() -> None:
    planner = Mppi(DoubleIntegrator(20_000, limit=1e3), 1, MppiConfig(horizon=9, knot_every=4, noise=1e-3))
    drawn = planner._candidates()[0, 1:, :, 0]
    np.testing.assert_allclose(drawn.std(axis=0), 1.0, rtol=0.05)
    assert np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1] > 0.8
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 8])[0, 1]) < 0.05


def test_a_policy_takes_as_many_steps_of_a_plan_as_its_pace_says() -> None:
    class Point(DoubleIntegrator):
        def snapshot(self) -> Any:
            return list(self.state)

    paces = iter([3, 1, 99])
    policy = MppiPolicy(Point(1), Mppi(Point(8), 1, MppiConfig(horizon=6)), pace=lambda seconds: next(paces))
    made = []
    for _ in range(10):
        policy.predict(np.zeros((1, 2)))
        made.append(policy.plans)
    assert made == [1, 1, 1, 2, 3, 3, 3, 3, 3, 3], "and never more than the plan is long"


def test_nothing_counts_after_an_episode_has_ended() -> None:
    planner = Mppi(DoubleIntegrator(2, ends_beyond=0.001), 1, MppiConfig(horizon=6))
    full = np.full((1, 2, 6, 1), 5.0)
    assert planner.returns([np.zeros(2)], full)[0, 0] == pytest.approx(-((0.05 - TARGET) ** 2) - 0.25)


def test_advancing_shifts_a_plan_and_repeats_its_end() -> None:
    planner = Mppi(DoubleIntegrator(2), 1, MppiConfig(horizon=4))
    planner.plans = np.arange(4.0).reshape(1, 4, 1)
    planner.advance(2)
    np.testing.assert_array_equal(planner.plans[0, :, 0], [2, 3, 3, 3])


@pytest.mark.parametrize(
    "wrong",
    [{"horizon": 0}, {"noise": 0.0}, {"temperature": -1.0}, {"replan_every": 0}],
)
def test_settings_that_plan_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="wanted"):
        MppiConfig(**wrong)


def test_worlds_that_cannot_be_shared_out_are_refused() -> None:
    with pytest.raises(UserError, match="5 worlds for 2 episodes"):
        Mppi(DoubleIntegrator(5), 2)
