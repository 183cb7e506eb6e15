"""Every task of the registry as others see it: the environment checkers of Gymnasium and of Stable-Baselines3."""

from __future__ import annotations

import warnings

import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check
from stable_baselines3.common.env_checker import check_env as sb3_check

import sims
from tests.sims.conftest import needs_extra


@pytest.mark.parametrize("name", sims.TASKS)
def test_a_single_environment_passes_both_checkers(name: str) -> None:
    needs_extra(name)
    env = sims.make_single(name, reward="sparse", render_mode="rgb_array")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice, e.g. on bounds; faults are raised
        gymnasium_check(env, skip_render_check=True)  # pictures have tests of their own
        sb3_check(env, skip_render_check=True)
    env.close()
