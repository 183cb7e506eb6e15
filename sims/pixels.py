"""Worlds whose observations are pictures; scene, success, rewards and snapshots stay what they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np

from robot_learn.errors import UserError, unknown
from sims.env import Values, Worlds


class PixelWorlds:
    """Worlds around worlds; see `sims.env.Worlds`. Observations are (N, height, width, 3) uint8.

    Args:
        worlds: what is simulated.
        image_size: (height, width) in pixels.
        camera: one of `worlds.cameras`; the first by default.
    """

    def __init__(self, worlds: Worlds, image_size: Sequence[int] = (128, 128), camera: str | None = None) -> None:
        if np.shape(image_size) != (2,) or min(image_size) < 1:
            raise UserError(f"image_size: wanted (height, width), came {image_size!r}")
        if camera is not None and camera not in worlds.cameras:
            raise unknown("camera", camera, worlds.cameras)
        if "observation_noise" in getattr(worlds, "parameters", {}):
            raise UserError("observation_noise is added to numbers; with pictures as observations leave it out")
        self.worlds, self.task, self.num_worlds = worlds, worlds.task, worlds.num_worlds
        self.action_space, self.cameras = worlds.action_space, worlds.cameras
        self.height, self.width = (int(side) for side in image_size)
        self.camera = camera or worlds.cameras[0]
        shape = (self.height, self.width, 3)
        self.observation_space: gymnasium.spaces.Box = gymnasium.spaces.Box(0, 255, shape, np.uint8)

        self._seen = np.zeros((self.num_worlds, *shape), dtype=np.uint8)
        self._stale = np.ones(self.num_worlds, dtype=bool)  # worlds that have changed since they were seen

    def reset(self, indices: Sequence[int], rngs: Sequence[np.random.Generator]) -> None:
        self.worlds.reset(indices, rngs)
        self._stale[list(indices)] = True

    def step(self, actions: np.ndarray) -> None:
        self.worlds.step(actions)
        self._stale[:] = True

    def observe(self) -> np.ndarray:
        # Where some worlds have just been reset, the others were seen after the step.
        stale = np.flatnonzero(self._stale).tolist()
        if stale:
            self._seen[stale] = self.worlds.pictures(self.width, self.height, self.camera, stale)
            self._stale[:] = False
        return self._seen.copy()

    def read(self) -> Values:
        return self.worlds.read()

    def success(self) -> np.ndarray:
        return self.worlds.success()

    def terminated(self) -> np.ndarray:
        return self.worlds.terminated()

    def expert_reward(self, actions: np.ndarray) -> np.ndarray:
        return self.worlds.expert_reward(actions)

    def snapshot(self, index: int) -> Any:
        return self.worlds.snapshot(index)

    def restore(self, index: int, snapshot: Any) -> None:
        self.worlds.restore(index, snapshot)
        self._stale[index] = True

    def render(self, index: int, width: int, height: int, camera: str | None = None) -> np.ndarray:
        return self.worlds.render(index, width, height, camera)

    def pictures(
        self, width: int, height: int, camera: str | None = None, indices: Sequence[int] | None = None
    ) -> np.ndarray:
        return self.worlds.pictures(width, height, camera, indices)

    def close(self) -> None:
        self.worlds.close()
