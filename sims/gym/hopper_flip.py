"""Front and back flip of Gymnasium's hopper: a whole turn in the air, and a landing on the foot that holds.

The torso's hinge is unbounded, so its angle counts whole turns by itself. Flips of this body as a task: Christiano et
al., "Deep reinforcement learning from human preferences" (2017), section 3.2; Xie et al., "Text2Reward" (2024).
"""

from __future__ import annotations

import numpy as np

from robot_learn.scene import Field, Schema
from robot_learn.types import Task
from sims.env import Values
from sims.gym import hopper_leap
from sims.gym.bodies import CAMERAS, counted, model, radius
from sims.gym.hopper import ACTION, CONTROL_DT, FRAME_SKIP, JOINTS, joints, start
from sims.gym.hopper_leap import WHOLE_TURN
from sims.mujoco_task import Memory, MujocoTask, View

# Landed: at least one whole turn, and then, without a break of LANDED_FOR,
LEAN = 0.3  # [rad] at most, off upright
HEIGHT = 0.9  # [m] at least, of the torso's centre
CLEARANCE = 0.02  # [m] at most, under heel or toe
RATE = 2.0  # [rad/s] at most, of the turning
LANDED_FOR = 0.5  # [s]

POINTS = {
    "head": ("torso_geom", (0.0, 0.0, 0.2)),
    "hip": ("torso_geom", (0.0, 0.0, -0.2)),
    "knee": ("leg_geom", (0.0, 0.0, 0.25)),
    "heel": ("foot_geom", (-0.26, 0.0, 0.1)),
    "toe": ("foot_geom", (0.13, 0.0, 0.1)),
}
# Whose radius is that of the flesh around a point.
_FLESH = {"head": "torso_geom", "hip": "torso_geom", "knee": "thigh_geom", "heel": "foot_geom", "toe": "foot_geom"}

_HEIGHT = "height of the lowest point of the {} above the floor; 0 where it touches, a little less where it presses"
_TURNED = (
    "how far the torso has turned over since it stood upright at the start, head first forward; counts on through "
    "whole turns: 6.28 after one forward, -6.28 after one backward"
)
FIELDS = (
    Field("torso.x", (), "m", "world", "how far along +x (forward) the torso's centre is"),
    Field("torso.height", (), "m", "world", "height of the torso's centre; 1.21 standing with a straight leg"),
    Field("torso.turned", (), "rad", "world", _TURNED),
    Field("torso.lean", (), "rad", "world", "lean of the torso now, -3.14 to 3.14; 0 upright, positive leans forward"),
    Field("torso.head_height", (), "m", "world", _HEIGHT.format("torso's upper end")),
    Field("torso.hip_height", (), "m", "world", _HEIGHT.format("torso's lower end, the hip")),
    Field("torso.x_velocity", (), "m/s", "world", "forward velocity of the torso"),
    Field("torso.z_velocity", (), "m/s", "world", "upward velocity of the torso"),
    Field("torso.turn_velocity", (), "rad/s", "world", "rate of the turning, positive forward"),
    Field("leg.knee_height", (), "m", "world", _HEIGHT.format("knee")),
    Field("foot.heel_height", (), "m", "world", _HEIGHT.format("rear end of the foot")),
    Field("foot.toe_height", (), "m", "world", _HEIGHT.format("front end of the foot")),
    *JOINTS,
)


def lean(turned: np.ndarray) -> np.ndarray:
    """Off the nearest upright [rad], -pi to pi, from the turn since the start."""
    return np.asarray(np.pi - (np.pi - turned) % WHOLE_TURN)


def _height(view: View, point: str) -> np.ndarray:
    return np.asarray(view.site(point)[:, 2] - radius(view.model, _FLESH[point]))


def _read(view: View) -> Values:
    qpos, qvel = view["qpos"], view["qvel"]
    return {
        "torso.x": qpos[:, 0],
        "torso.height": qpos[:, 1],
        "torso.turned": qpos[:, 2],
        "torso.lean": lean(qpos[:, 2]),
        "torso.head_height": _height(view, "head"),
        "torso.hip_height": _height(view, "hip"),
        "torso.x_velocity": qvel[:, 0],
        "torso.z_velocity": qvel[:, 1],
        "torso.turn_velocity": qvel[:, 2],
        "leg.knee_height": _height(view, "knee"),
        "foot.heel_height": _height(view, "heel"),
        "foot.toe_height": _height(view, "toe"),
        **joints(view),
    }


def _fallen(view: View) -> np.ndarray:
    """Head, hip or knee touches the floor: only the foot may, (N,)."""
    return np.asarray(np.min([_height(view, point) for point in ("head", "hip", "knee")], axis=0) <= 0)


def _on_foot(view: View) -> np.ndarray:
    return np.asarray(np.minimum(_height(view, "heel"), _height(view, "toe")) <= CLEARANCE)


def _stands(view: View) -> np.ndarray:
    upright = (np.abs(lean(view["qpos"][:, 2])) <= LEAN) & (view["qpos"][:, 1] >= HEIGHT)
    return np.asarray(upright & _on_foot(view) & (np.abs(view["qvel"][:, 2]) <= RATE))


def _success(view: View) -> np.ndarray:
    return np.asarray(view.memory["landed"] * CONTROL_DT >= LANDED_FOR)


def _begin(view: View) -> Memory:
    return {"landed": np.zeros(view.num_worlds)} | hopper_leap.begin(view)


def _flip(name: str, instruction: str, sign: float) -> MujocoTask:
    """`sign` is 1 for a forward flip, -1 for a backward one."""

    def update(view: View) -> Memory:
        turns = np.round(sign * view["qpos"][:, 2] / WHOLE_TURN)
        landed = counted(_stands(view) & (turns >= 1), view.memory["landed"])
        return {"landed": landed} | hopper_leap.update(view, sign, _on_foot(view))

    def expert_reward(view: View, actions: np.ndarray) -> np.ndarray:
        return hopper_leap.reward(view, actions, sign, _stands(view))

    return MujocoTask(
        task=Task(
            name=name,
            instruction=instruction,
            schema=Schema(FIELDS),
            action=ACTION,
            max_episode_steps=400,
            control_dt=CONTROL_DT,
        ),
        model=model("hopper", POINTS),
        frame_skip=FRAME_SKIP,
        start=start,
        read=_read,
        success=_success,
        expert_reward=expert_reward,
        cameras=CAMERAS,
        finish=hopper_leap.refresh,
        terminated=_fallen,
        begin=_begin,
        update=update,
        kept=("qpos", "qvel", "site_xpos", *hopper_leap.KEPT),
    )


FRONT = _flip("mujoco/hopper-front-flip", "Make the hopper do a front flip and land on its foot.", 1.0)
BACK = _flip("mujoco/hopper-back-flip", "Make the hopper do a back flip and land on its foot.", -1.0)
