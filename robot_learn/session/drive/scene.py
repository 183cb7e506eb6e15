"""An arm in its task's world as bodies of a page: drawn once, then put where the arm says that all is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import mujoco
import numpy as np

from robot_learn.deployment.objects import movable
from robot_learn.errors import UserError
from robot_learn.franka import FINGER_TRAVEL, HOME
from robot_learn.session.models import add_model, colour_of
from robot_learn.session.scene import Camera, Colour, Scene3D
from sims import franka
from sims.franka.arm import build

_GRAIN = 0.01  # [m] of what is drawn: the arm's visual meshes have 64,000 triangles, a page needs few
_CAMERA = Camera((0.38, 0.0, 0.27), 1.55, azimuth=42.0, elevation=-26.0)  # over the arm's shoulder: its left is left


class ArmScene:
    """Draws the arm, and the things of a task where they are known.

    Args:
        task: "franka/reach"; without, an arm alone.
    """

    def __init__(self, task: str | None = None) -> None:
        self._model = franka.definition(task.partition("/")[2]).model() if task else build("fr3").compile()
        self._data = mujoco.MjData(self._model)
        self._movable = _movable(self._model)
        self._unseen = {self._model.body(name).id for name in self._movable}  # nobody has told where they are
        self.scene = Scene3D(_CAMERA, floor=-0.04 if task else 0.0)
        self._places = [self._drawn(lambda root: root not in self._unseen)]
        self.show(np.array(HOME), 2 * FINGER_TRAVEL, {})

    def show(self, q: np.ndarray, opening: float | None, things: Mapping[str, Sequence[Sequence[float]]]) -> None:
        """Joints (7,) [rad], opening [m], and poses (4, 4) of things by name; what is not named stays where it was."""
        self._data.qpos[:7] = q
        if opening is not None and self._model.nq >= 9:
            self._data.qpos[7:9] = np.clip(opening / 2, 0.0, FINGER_TRAVEL)
        for name, pose in things.items():
            if name in self._movable:
                self._put(*self._movable[name], np.asarray(pose, dtype=np.float64))
                self._reveal(self._model.body(name).id)
        mujoco.mj_kinematics(self._model, self._data)
        for place in self._places:
            place(self._data)

    def _put(self, kind: str, index: int, pose: np.ndarray) -> None:
        quaternion = np.empty(4)
        mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(pose[:3, :3]).ravel())
        if kind == "mocap":
            self._data.mocap_pos[index], self._data.mocap_quat[index] = pose[:3, 3], quaternion
            return
        where = self._model.jnt_qposadr[index]
        self._data.qpos[where : where + 3], self._data.qpos[where + 3 : where + 7] = pose[:3, 3], quaternion

    def _reveal(self, body: int) -> None:
        if body in self._unseen:
            self._unseen.discard(body)
            self._places.append(self._drawn(lambda root: root == body, f"{body}:"))

    def _drawn(self, wanted: Callable[[int], bool], prefix: str = "") -> Callable[[mujoco.MjData], None]:
        """Draw the bodies of some of the trees that hang on the world, by their roots; what moves them."""
        model = self._model

        def colour(geom: int) -> Colour | None:
            return colour_of(model, geom) if wanted(int(model.body_rootid[model.geom_bodyid[geom]])) else None

        return add_model(self.scene, model, prefix=prefix, grain=_GRAIN, colour=colour)


def _movable(model: mujoco.MjModel) -> dict[str, tuple[str, int]]:
    """The things that may stand elsewhere; none where the task has joints of its own, which nobody tells of."""
    try:
        return movable(model)
    except UserError:
        return {}
