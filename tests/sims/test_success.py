"""Success can be reached on every task: by a scripted controller, or by a policy that was trained beforehand.

`policies/` holds the trained ones, for bodies that nobody can write a controller for by hand; its README says how each
was made.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sims
from robot_learn.policy import load_policy
from sims.env import BatchEnv
from tests.sims.conftest import needs_extra

WORLDS = 4
SEED = 500_000  # among the training seeds: a policy may have met them, and that is all that is asked here
POLICIES = Path(__file__).parent / "policies"


def controller(name: str) -> Callable[[Any, np.ndarray], np.ndarray]:
    trained = POLICIES / f"{name.partition('/')[2]}.npz"
    if not trained.exists():
        return sims.scripted(name, WORLDS)
    policy = load_policy(trained)
    return lambda scene, observations: policy.predict(observations, deterministic=True)[0]


def reached(env: BatchEnv, control: Callable[[Any, np.ndarray], np.ndarray]) -> np.ndarray:
    """In which worlds (N,) the first episode has success at some step."""
    observations, _ = env.reset(seed=SEED)
    assert not env.worlds.success().any(), "success at the reset"
    found, running = np.zeros(env.num_envs, dtype=bool), np.ones(env.num_envs, dtype=bool)
    for _ in range(env.task.max_episode_steps):
        observations, _, terminated, truncated, info = env.step(control(env.scene, observations))
        found |= info["success"] & running
        running &= ~(terminated | truncated | found)
        if not running.any():
            break
    return found


@pytest.mark.parametrize("name", sims.TASKS)
def test_success_is_reached_by_a_controller_and_not_by_doing_nothing(name: str) -> None:
    needs_extra(name)
    env = sims.make(name, WORLDS)
    assert reached(env, controller(name)).sum() >= WORLDS // 2
    still = np.clip(np.zeros((WORLDS, env.task.act_dim)), env.single_action_space.low, env.single_action_space.high)
    assert not reached(env, lambda scene, observations: still.astype(np.float32)).any()
    env.close()
