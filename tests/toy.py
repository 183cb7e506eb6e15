"""A batched toy in numpy with the shape of the real environments: a point that must reach a goal in the plane."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv

from robot_learn.scene import Field, Scene, Schema
from robot_learn.types import ActionComponent, RewardFn, Task

RADIUS = 0.1  # [m] of success
CAGE = 2.0  # [m] from the origin, beyond which an episode terminates when the cage is lethal

SCHEMA = Schema(
    (
        Field("point.position", (2,), "m", "world", "where the point is"),
        Field("goal.position", (2,), "m", "world", "where it must go"),
    )
)


def toy_task(max_episode_steps: int = 20) -> Task:
    action = tuple(ActionComponent(f"point_d{axis}", -1.0, 1.0, f"velocity along {axis}") for axis in "xy")
    return Task("toy/point", "Move the point to the goal.", SCHEMA, action, max_episode_steps, 0.1)


class Reach:
    """Minus the distance to the goal, minus a small price of the action."""

    term_names = ("reach", "effort")

    def evaluate(self, scene: Scene, action: Any) -> tuple[Any, dict[str, Any]]:
        reach = -np.linalg.norm(scene["goal.position"] - scene["point.position"], axis=1)
        effort = -0.01 * np.square(action).sum(axis=1)
        return reach + effort, {"reach": reach, "effort": effort}

    def __call__(self, scene: Scene, action: Any) -> Any:
        return self.evaluate(scene, action)[0]


class PointEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """N points; a finished world is reset within the step, from its own generator."""

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012  gymnasium's own spelling

    def __init__(
        self, num_envs: int = 8, *, max_episode_steps: int = 20, lethal: bool = False, reward_fn: RewardFn | None = None
    ) -> None:
        self.task = toy_task(max_episode_steps)
        self.num_envs = num_envs
        self.single_observation_space = Box(-np.inf, np.inf, (4,), np.float64)
        self.single_action_space = Box(-1.0, 1.0, (2,), np.float32)
        self.observation_space = gymnasium.vector.utils.batch_space(self.single_observation_space, num_envs)
        self.action_space = gymnasium.vector.utils.batch_space(self.single_action_space, num_envs)
        self.reward_fn: RewardFn | None = reward_fn or Reach()
        self.lethal = lethal
        self._rngs = [np.random.default_rng(index) for index in range(num_envs)]
        self._point, self._goal = np.zeros((num_envs, 2)), np.zeros((num_envs, 2))
        self._clock = np.zeros(num_envs, dtype=np.int64)

    @property
    def scene(self) -> Scene:
        return Scene(SCHEMA, {"point.position": self._point.copy(), "goal.position": self._goal.copy()})

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        if seed is not None:
            self._rngs = [np.random.default_rng(seed + index) for index in range(self.num_envs)]
        self._restart(np.ones(self.num_envs, dtype=bool))
        return self._observe(), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        self._point = self._point + 0.2 * np.clip(actions, -1.0, 1.0)
        self._clock = self._clock + 1
        info: dict[str, Any] = {"success": np.linalg.norm(self._goal - self._point, axis=1) < RADIUS}
        reward = np.zeros(self.num_envs)
        if self.reward_fn is not None:
            reward, info["reward_terms"] = self.reward_fn.evaluate(self.scene, actions)
        terminated = self.lethal & (np.linalg.norm(self._point, axis=1) > CAGE)
        truncated = (self._clock >= self.task.max_episode_steps) & ~terminated
        done = terminated | truncated
        if done.any():
            info["final_obs"], info["_final_obs"] = self._observe(), done
            self._restart(done)
        return self._observe(), reward, terminated, truncated, info

    def snapshot(self) -> Any:
        return copy.deepcopy((self._rngs, self._point, self._goal, self._clock))

    def restore(self, snapshot: Any) -> None:
        self._rngs, self._point, self._goal, self._clock = copy.deepcopy(snapshot)

    def render_world(self, index: int, width: int, height: int) -> np.ndarray:
        frame = np.full((height, width, 3), 245, dtype=np.uint8)
        for where, colour in ((self._goal[index], (60, 160, 90)), (self._point[index], (40, 80, 200))):
            column = int(np.clip((where[0] + 2.0) / 4.0, 0.05, 0.95) * width)
            row = int(np.clip((2.0 - where[1]) / 4.0, 0.05, 0.95) * height)
            half = max(width // 40, 1)
            frame[row - half : row + half, column - half : column + half] = colour
        return frame

    def _observe(self) -> np.ndarray:
        return np.hstack([self._point, self._goal - self._point])

    def _restart(self, which: np.ndarray) -> None:
        self._point, self._goal, self._clock = self._point.copy(), self._goal.copy(), self._clock.copy()
        for index in np.flatnonzero(which):
            self._point[index] = self._rngs[index].uniform(-1.0, 1.0, 2)
            self._goal[index] = self._rngs[index].uniform(-1.0, 1.0, 2)
            self._clock[index] = 0
