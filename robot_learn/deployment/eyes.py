"""A camera beside a simulated arm, by the very file that describes a real one: same place, same lens angle, same code.

The simulated camera stands where the file's calibration says, sees as wide and as often, and as late; only its lens is
ideal. Tags that the file describes are stuck on the things. What the camera is to find is known by nobody else then.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np

from hardware.vision import described
from hardware.vision.calibration import Calibration
from hardware.vision.cameras import RenderedCamera
from hardware.vision.described import Described
from hardware.vision.objects import CameraObjects
from hardware.vision.tags import picture
from robot_learn.deployment.objects import ObjectPoses, Poses
from robot_learn.errors import UserError
from sims import franka
from sims.franka import stickers
from sims.mujoco_task import MujocoTask
from sims.rendering import Camera, Renderer

EYE = "eye"  # the camera's name in the model
_TAG, _BORDER = 6, 1  # modules of a tag's black square (of 4x4 ones), and of the white around it


class Eye:
    """What the file at `path` describes, in the world of a task: first its model, then its pictures.

    Raises:
        UserError: the file is wrong, or the task has no such thing.
    """

    def __init__(self, path: Path, task: str) -> None:
        self.path, self._told = path, described.described(path)
        self._ideal = _ideal(self._told.calibration)
        self.definition: MujocoTask = franka.dressed(task, self._dress)

    def _dress(self, spec: mujoco.MjSpec) -> None:
        """Tags on the things, and the camera."""
        for name, tags in self._told.tags.items():
            body = spec.body(name)
            if body is None:
                raise UserError(f"{self.path}: tags of {name!r}, and this task's world has no such thing")
            for tag in tags:
                drawn = picture(tag.number, self._told.dictionary, border=_BORDER)
                modules = drawn.shape[0] / 16
                size = tag.size * modules / (modules - 2 * _BORDER)
                stickers.stick(spec, body, f"tag{tag.number}", drawn, size, tag.T_object_tag)
        T = self._ideal.T_base_camera
        eye = spec.worldbody.add_camera(name=EYE, pos=T[:3, 3], xyaxes=[*T[:3, 0], *-T[:3, 1]])
        eye.fovy = float(np.degrees(2 * np.arctan(self._ideal.height / 2 / self._ideal.matrix[1, 1])))

    def open(
        self, model: mujoco.MjModel, snapshot: Callable[[mujoco.MjData], None], clock: Callable[[], float]
    ) -> CameraObjects:
        """Its eye in a world.

        Args:
            snapshot: copies how the world is now into data of the model.
            clock: [s] by which it is asked.
        """
        camera = _Pictures(model, snapshot, clock, self._told, self._ideal)
        return described.load(self.path, camera=camera, calibration=self._ideal)


class _Pictures(RenderedCamera):
    """The world's pictures; the renderer is made at the first one."""

    def __init__(
        self,
        model: mujoco.MjModel,
        snapshot: Callable[[mujoco.MjData], None],
        clock: Callable[[], float],
        told: Described,
        calibration: Calibration,
    ) -> None:
        super().__init__(self._draw, clock, period=told.period, delay=told.delay)
        self._model, self._snapshot, self._data = _without_marks(model), snapshot, mujoco.MjData(model)
        self._size = calibration.width, calibration.height
        self._renderer: Renderer | None = None

    def _draw(self) -> np.ndarray:
        if self._renderer is None:
            self._renderer = Renderer(self._model, *self._size, light=True)
        self._snapshot(self._data)
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        return self._renderer.render(self._data, Camera(name=EYE))

    def close(self) -> None:
        """Let pictures and renderer go; whoever reads again has new ones."""
        super().close()
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None


def _without_marks(model: mujoco.MjModel) -> mujoco.MjModel:
    """A model to draw from, without what no camera would see: marks of where something shall be."""
    drawn = copy.copy(model)
    marks = model.body_mocapid[model.geom_bodyid] >= 0
    drawn.geom_rgba[marks, 3] = 0.0
    return drawn


def _ideal(calibration: Calibration) -> Calibration:
    """The same camera with a lens that is straight and square."""
    matrix = np.array(calibration.matrix, dtype=float)
    matrix[0, 0], matrix[:2, 2] = matrix[1, 1], [(calibration.width - 1) / 2, (calibration.height - 1) / 2]
    return replace(calibration, matrix=matrix, distortion=np.zeros(5))


class Without:
    """A source that says nothing of some things, whatever it knows."""

    def __init__(self, source: ObjectPoses, hidden: Collection[str]) -> None:
        self._source, self._hidden = source, frozenset(hidden)

    def poses(self, time: float) -> Poses:
        return {name: seen for name, seen in self._source.poses(time).items() if name not in self._hidden}
