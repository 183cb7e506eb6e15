"""What the tasks on Gymnasium's MuJoCo bodies (v5) share: upstream's models, points on them, views and motors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import mujoco
import numpy as np
from gymnasium.envs.mujoco.ant_v5 import AntEnv
from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv
from gymnasium.envs.mujoco.hopper_v5 import HopperEnv
from gymnasium.envs.mujoco.humanoid_v5 import HumanoidEnv
from gymnasium.envs.mujoco.walker2d_v5 import Walker2dEnv

from robot_learn.errors import unknown
from robot_learn.types import ActionComponent
from sims.mujoco_task import Memory, View
from sims.rendering import Camera

Points = Mapping[
    str, tuple[str, tuple[float, float, float]]
]  # name -> a geom of the body it is fixed to, and where [m]

CAMERAS = {
    "side": Camera((0.0, 0.0, 0.8), 4.0, 90, -15, follow="torso"),
    "front": Camera((0.0, 0.0, 0.8), 4.0, 180, -15, follow="torso"),
}


def upstream(name: str) -> Any:
    """The environment of Gymnasium's that the task `mujoco/<name>` equals, without a time limit.

    Raises:
        UserError: it equals none.
    """
    known: dict[str, Callable[[], Any]] = {
        "hopper": HopperEnv,
        "ant": AntEnv,
        "half-cheetah": HalfCheetahEnv,
        "walker": Walker2dEnv,
        "humanoid": HumanoidEnv,
    }
    if name not in known:
        raise unknown("task with an upstream environment", f"mujoco/{name}", [f"mujoco/{one}" for one in known])
    return known[name]()


@dataclass(frozen=True)
class Build:
    """How to build upstream's model of a body, with sites to read at `points`; they change nothing that moves."""

    body: str  # the name of upstream's file
    points: Points
    change: Callable[[mujoco.MjSpec], None] | None = None  # what a variant of the body has otherwise

    def __call__(self) -> mujoco.MjModel:
        spec = mujoco.MjSpec.from_file(str(files("gymnasium.envs.mujoco") / "assets" / f"{self.body}.xml"))
        for name, (geom, place) in self.points.items():
            spec.geom(geom).parent.add_site(name=name, pos=list(place))
        if self.change is not None:
            self.change(spec)
        return spec.compile()


def model(body: str, points: Points | None = None) -> Build:
    """Upstream's model of a body, with sites at `points`."""
    return Build(body, dict(points or {}))


def radius(model: mujoco.MjModel, geom: str) -> float:
    """Of a ball or capsule [m]; a variant of a body may have thicker limbs than the body itself."""
    return float(model.geom(geom).size[0])


def torques(*joints: str, limit: float = 1.0) -> tuple[ActionComponent, ...]:
    """One motor a joint, its largest torque being `limit` in the action's unit."""
    largest = "as a share of the motor's largest" if limit == 1.0 else f"{limit:g} is the motor's largest"
    return tuple(
        ActionComponent(f"{joint.replace(' ', '_')}_torque", -limit, limit, f"torque on the {joint}, {largest}")
        for joint in joints
    )


def _root_x(view: View) -> np.ndarray:
    return view["qpos"][:, 0]


@dataclass(frozen=True)
class Forward:
    """Remembers how far a body has come along +x. `x` is what upstream's reward takes the velocity of, (N,) [m]."""

    control_dt: float  # [s]
    x: Callable[[View], np.ndarray] = _root_x

    def begin(self, view: View) -> Memory:
        """Where it starts and was last, [m]."""
        return {"start_x": _root_x(view), "x": self.x(view), "last_x": self.x(view)}

    def update(self, view: View) -> Memory:
        """The same a step later."""
        return {**view.memory, "x": self.x(view), "last_x": view.memory["x"]}

    def velocity(self, view: View) -> np.ndarray:
        """Over the last control step, (N,) [m/s]."""
        return np.asarray((view.memory["x"] - view.memory["last_x"]) / self.control_dt)

    def way(self, view: View) -> np.ndarray:
        """From the start on, (N,) [m]."""
        return np.asarray(_root_x(view) - view.memory["start_x"])


def counted(holds: np.ndarray, before: np.ndarray) -> np.ndarray:
    """For how many steps in a row something holds, (N,), from whether it does now and the count before."""
    return np.where(holds, before + 1.0, 0.0)
