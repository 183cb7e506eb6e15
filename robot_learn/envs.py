"""What training and evaluation ask of an environment, and which seeds they give it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from gymnasium.spaces import Box

from robot_learn.errors import UserError
from robot_learn.scene import Scene
from robot_learn.types import RewardFn, Task

# Training seeds its worlds below this number and evaluation far above it, so that no episode that is
# reported was ever trained on. `Generator` streams of different seeds are independent. Previews, sweeps and the choice
# between rewards (validation), whose results training may use, have their own seeds in between.
TRAIN_SEEDS = 2**20
PREVIEW_SEED0 = 2**23
SWEEP_SEED0 = 2**24
VALIDATION_SEED0 = 2**25
EVAL_SEED0 = 2**30


class BatchEnv(Protocol):
    """A `gymnasium.vector.VectorEnv` of N worlds of one task that resets a finished world within the step.

    `info["success"]` (N,) is measured after the step and before the reset; `info["reward_terms"]`, where a reward
    function is set, maps names to (N,); `info["final_obs"]` (N, obs_dim) is valid in the rows where
    `info["_final_obs"]` (N,) is true. Both are there only in steps in which some world ends.
    """

    task: Task
    num_envs: int
    single_observation_space: Box
    single_action_space: Box

    @property
    def scene(self) -> Scene: ...

    @property
    def reward_fn(self) -> RewardFn | None: ...

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Observations (N, obs_dim); world i starts from seed + i, or from the i-th of several seeds."""
        ...

    def step(self, actions: np.ndarray, /) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Observation (N, obs_dim), reward, terminated, truncated (N,) and info, for actions (N, act_dim)."""
        ...

    def snapshot(self) -> Any:
        """The whole state of the batch, random generators included, as something that pickles."""
        ...

    def restore(self, snapshot: Any, /) -> None: ...

    def render_world(self, index: int, width: int, height: int, /) -> np.ndarray:
        """One world as (height, width, 3) uint8."""
        ...


def first_train_seed(seed: int, num_envs: int) -> int:
    """The seed of world 0 in training; worlds of two training seeds share none.

    Raises:
        UserError: the seed would leave the range that is set apart for training.
    """
    limit = TRAIN_SEEDS // num_envs
    if not 0 <= seed < limit:
        raise UserError(f"seed {seed}: wanted 0 to {limit - 1}, so that {num_envs} worlds stay below {TRAIN_SEEDS}")
    return seed * num_envs
