"""The batched expert rewards against upstream's own code; the scripted trajectories are in test_equals_upstream."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metaworld.utils import reward_utils

import sims
from sims.metaworld import expert
from tests.sims import oracle

TEXT2REWARD = [
    "window-open",
    "window-close",
    "door-close",
    "drawer-open",
    "drawer-close",
    "door-unlock",
    "sweep-into",
    "button-press",
    "handle-press",
    "handle-press-side",
    "handle-pull",
]
UNIT = st.floats(0.0, 1.0)


def test_the_eleven_tasks_of_text2reward_are_batched() -> None:
    assert sorted(expert.BATCHED) == sorted(TEXT2REWARD)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", TEXT2REWARD)
def test_batched_rewards_equal_upstreams_code_under_random_and_scripted_actions(name: str, dtype: type) -> None:
    env = sims.make(f"metaworld/{name}", 4, max_episode_steps=60)
    worlds = env.worlds
    observations, _ = env.reset(seed=1)
    policy, rng = oracle.Scripted(name, noise=0.05), np.random.default_rng(2)
    seen = []
    for _ in range(80):  # over the end of an episode
        actions = policy(observations)
        actions[2:] = rng.uniform(-1.5, 1.5, (2, 4))  # beyond the bounds too: upstream clips the gripper's effort
        actions = actions.astype(dtype)
        observations, *_ = env.step(actions)
        batched = worlds.expert_reward(actions)
        np.testing.assert_allclose(batched, worlds.upstream_reward(actions), rtol=0, atol=1e-9)  # type: ignore[attr-defined]
        seen.append(batched)
    assert batched.dtype == np.float64
    assert (np.ptp(seen, axis=0) > 0.1).any()
    env.close()


def test_a_float32_grip_gives_upstreams_float32_reward() -> None:
    """Not float64: the two differ in the seventh digit, and a replay of upstream's data would show it."""
    env = sims.make("metaworld/drawer-close", 1)
    env.reset(seed=0)
    action = np.array([[0.0, 0.0, 0.0, 0.3]], dtype=np.float32)
    env.step(action)
    single, double = (env.worlds.expert_reward(action.astype(dtype))[0] for dtype in (np.float32, np.float64))
    assert single == np.float32(single)
    assert 0 < abs(single - double) < 1e-5
    env.close()


@given(
    x=st.floats(-2, 2),
    low=st.floats(-0.5, 0.0),
    high=st.floats(0.0, 0.5),
    margin=st.just(0.0) | st.floats(1e-3, 2.0),
    shape=st.sampled_from(["long_tail", "gaussian"]),
)
def test_tolerance_is_dm_controls(x: float, low: float, high: float, margin: float, shape: str) -> None:
    theirs = reward_utils.tolerance(x, bounds=(low, high), margin=margin, sigmoid=shape)  # type: ignore[arg-type]
    ours = expert.tolerance(np.array([x]), low, high, margin, getattr(expert, shape))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


@given(a=UNIT, b=UNIT)
def test_the_hamacher_product_is_upstreams_symmetric_and_has_one_as_neutral_element(a: float, b: float) -> None:
    one, other = np.array([a]), np.array([b])
    np.testing.assert_allclose(expert.hamacher(one, other), reward_utils.hamacher_product(a, b), rtol=1e-12)
    np.testing.assert_array_equal(expert.hamacher(one, other), expert.hamacher(other, one))
    np.testing.assert_allclose(expert.hamacher(one, np.ones(1)), one, atol=1e-15)
