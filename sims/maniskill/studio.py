"""Pictures of ManiSkill worlds: one world with visuals, put where the world to be shown is."""

from __future__ import annotations

from typing import Any

import numpy as np

from sims.maniskill.spec import Look, Spec
from sims.maniskill.world import Snapshot, World


class Studio:
    """The worlds that simulate have no visuals; this one has, and takes the place of any of them.

    Raises:
        UserError: there is no Vulkan device; the message says how to get one.
    """

    def __init__(self, spec: Spec, assets: str) -> None:
        self._world = World(spec, assets, visuals=True)
        self._cameras: dict[tuple[Look, int, int], Any] = {}
        self._scene: Any = None

    def picture(self, snapshot: Snapshot, look: Look, width: int, height: int) -> np.ndarray:
        """A world as it stood when `snapshot` was taken, (height, width, 3) uint8, upright."""
        self._world.restore(snapshot)
        return self._take(look, width, height)

    def posed(self, seed: int, state: Any, look: Look, width: int, height: int) -> np.ndarray:
        """A world of that seed with a state of ManiSkill's own kind, as `get_state_dict` tells it of one world."""
        self._world.reset(seed)
        self._world.env.set_state_dict(state)
        return self._take(look, width, height)

    def _take(self, look: Look, width: int, height: int) -> np.ndarray:
        env = self._world.env
        if env.scene is not self._scene:  # rebuilt by a reset: its cameras are gone with it
            self._cameras, self._scene = {}, env.scene
        for hidden in env._hidden_objects:
            hidden.show_visual()
        camera = self._camera(look, width, height)
        env.scene.sub_scenes[0].update_render()
        camera.take_picture()
        colours: np.ndarray = camera.get_picture("Color")[..., :3]
        if colours.dtype != np.uint8:  # what it is depends on the shader
            colours = (np.clip(colours, 0, 1) * 255).round().astype(np.uint8)
        return np.ascontiguousarray(colours)

    def _camera(self, look: Look, width: int, height: int) -> Any:
        from mani_skill.utils.sapien_utils import look_at

        if (look, width, height) not in self._cameras:
            camera = self._scene.sub_scenes[0].add_camera("", width, height, look.field_of_view, 0.01, 20.0)
            camera.entity.set_pose(look_at(look.eye, look.target).sp)
            self._cameras[look, width, height] = camera
        return self._cameras[look, width, height]

    def close(self) -> None:
        self._cameras.clear()
        self._world.close()
