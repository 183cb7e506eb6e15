"""Policies of other makers behind the safety filter, on a simulated arm that the filter's model only approximates."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box as Space

import sims
from controllers.mppi import Mppi, MppiConfig, MppiPolicy
from controllers.safety_filter.limits import ControlBox, HalfSpace, Region
from controllers.safety_filter.policy import SafePolicy
from controllers.safety_filter.reactive import ReactiveFilter
from controllers.systems import game
from robot_learn.types import Policy
from sims.franka.twist import SPEED

WALL = -0.05  # [m] the fingertips must stay on the side of larger y
LAG = 0.012  # [m] the servos follow a new velocity late
STEPS = 25


def worlds(count: int) -> Any:
    return sims.make("franka/reach", count, reward="expert", threads=1)


def filtered(policy: Policy, env: Any) -> SafePolicy:
    """The filter for the fingertips' position, which turning does not touch."""
    limits = [
        ControlBox("speed", (-SPEED,) * 3 + (-1.0,) * 3, (SPEED,) * 3 + (1.0,) * 3),
        Region("wall", HalfSpace((0.0, 1.0, 0.0), WALL), ("hand",), "out", margin=LAG),
    ]
    safety = ReactiveFilter(game("franka-reach").system, limits, points=lambda x: {"hand": x[:3]})
    upright = np.array([1.0, 0.0, 0.0, 0.0])
    return SafePolicy(
        policy,
        safety,
        state_of=lambda _: np.concatenate([env.scene.robot.tcp_position[0], upright]),
        control_of=lambda action: np.concatenate([SPEED * np.clip(action, -1, 1), np.zeros(3)]),
        action_of=lambda control: control[:3] / SPEED,
    )


def lowest_y(policy: Policy, env: Any, seed: int) -> float:
    observation, _ = env.reset(seed=seed)
    lowest, first = np.inf, np.ones(1, dtype=bool)
    for _ in range(STEPS):
        action, _ = policy.predict(observation, None, first, True)
        observation, *_ = env.step(np.clip(action, -1, 1))
        lowest, first = min(lowest, float(env.scene.robot.tcp_position[0, 1])), np.zeros(1, dtype=bool)
    return lowest


def seed_of_a_goal_behind_the_wall(env: Any) -> int:
    for seed in range(50):
        env.reset(seed=seed)
        if env.scene.goal.position[0, 1] < WALL - 0.1:
            return seed
    raise AssertionError("no goal lies behind the wall")


def ppo(env: Any) -> Policy:
    """A model of Stable-Baselines3 that drives towards the wall whatever it sees."""
    torch = pytest.importorskip("torch")
    from stable_baselines3 import PPO

    class Stage(gymnasium.Env):  # type: ignore[type-arg]
        observation_space = env.single_observation_space
        action_space = Space(-1.0, 1.0, (3,), np.float32)

    model = PPO("MlpPolicy", Stage(), n_steps=8, batch_size=8, device="cpu")
    with torch.no_grad():
        model.policy.action_net.bias.copy_(torch.tensor([0.0, -1.0, 0.0]))
    return model  # type: ignore[no-any-return]


def mppi(env: Any) -> Policy:
    return MppiPolicy(env, Mppi(worlds(32), 1, MppiConfig(horizon=12, replan_every=2)))


@pytest.mark.parametrize("make", [ppo, mppi])
def test_a_wall_that_the_policy_drives_through_is_kept_by_the_filtered_one(make: Any) -> None:
    env = worlds(1)
    seed = seed_of_a_goal_behind_the_wall(env)
    assert lowest_y(make(env), env, seed) < WALL - 0.02
    assert lowest_y(filtered(make(env), env), env, seed) > WALL
