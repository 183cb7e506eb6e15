"""Gymnasium's HalfCheetah (v5), equal to the upstream environment step for step; success is ours and is measured.

Model, time steps, observations and the expert reward are upstream's, which never ends an episode: a cheetah on its back
goes on. Success asks for one on its feet.
"""

from __future__ import annotations

import mujoco
import numpy as np

from robot_learn.scene import Field, Scene, Schema
from robot_learn.types import Task
from sims.env import Values
from sims.gym.bodies import Forward, model, radius, torques
from sims.mujoco_task import MujocoTask, View
from sims.rendering import Camera

DISTANCE = 50.0  # [m] forward, the right way up, within 50 s: an average of 1 m/s
CONTACT = 0.02  # [m] at most under a foot that counts as being on the floor
CONTROL_DT = 0.05  # [s]
FORWARD = Forward(CONTROL_DT)
LEGS = ("back_leg", "front_leg")
JOINTS = ("thigh", "shin", "foot")

# Of each joint's wave in the hand-written run, back leg first [rad]; found by the cross-entropy method.
MIDDLE = np.array([-0.02, -0.23, -0.07, -0.17, 0.54, -0.32])
SWING = np.array([0.11, 0.1, 0.67, 0.11, 0.51, 0.14])
PHASE = np.array([4.11, 3.62, 5.6, 5.21, 5.48, 5.06])

# Each foot is a capsule; its ends, from upstream's centre, half length and turn about the sideways axis.
_FEET = {"bfoot": ((0.03, -0.097), 0.094, -0.27), "ffoot": ((0.045, -0.07), 0.07, -0.6)}
POINTS = {
    f"{foot} {end}": (foot, (x + sign * half * np.sin(turn), 0.0, z + sign * half * np.cos(turn)))
    for foot, ((x, z), half, turn) in _FEET.items()
    for end, sign in (("heel", 1.0), ("toe", -1.0))
}
CAMERAS = {
    "side": Camera((0.0, 0.0, 0.5), 3.2, 90, -12, follow="torso"),
    "front": Camera((0.0, 0.0, 0.5), 3.2, 150, -15, follow="torso"),
}

_RANGES = {
    "back_leg": ((-0.52, 1.05), (-0.785, 0.785), (-0.4, 0.785)),
    "front_leg": ((-1.0, 0.7), (-1.2, 0.87), (-0.5, 0.5)),
}
_ABOVE = {"thigh": "torso", "shin": "thigh", "foot": "shin"}
_PITCH = (
    "turn of the torso about its sideways axis; 0 level, positive is nose down; counts on through whole turns, so that "
    "3.14 and -3.14 are on its back"
)


def _leg(leg: str) -> tuple[Field, ...]:
    """The fields of one leg."""
    name = leg.replace("_", " ")
    angles = [
        Field(
            f"{leg}.{joint}_angle",
            (),
            "rad",
            _ABOVE[joint],
            f"{joint} of the {name}, {low:g} to {high:g}; 0 as it stands, positive swings its lower end back",
        )
        for joint, (low, high) in zip(JOINTS, _RANGES[leg], strict=True)
    ]
    rates = [
        Field(f"{leg}.{joint}_velocity", (), "rad/s", _ABOVE[joint], f"rate of the {joint}'s angle") for joint in JOINTS
    ]
    contact = f"1 where the {name}'s foot is on the floor (at most {CONTACT:g} m above it), else 0"
    return (
        *angles,
        *rates,
        Field(
            f"{leg}.foot_height", (), "m", "world", f"height of the lowest point of the {name}'s foot above the floor"
        ),
        Field(f"{leg}.foot_ahead", (), "m", "world", "how far ahead of the torso's centre, along +x, the toe is"),
        Field(f"{leg}.foot_contact", (), "1", "world", contact),
    )


TASK = Task(
    name="mujoco/half-cheetah",
    instruction="Make the two-legged cheetah run forward, along +x, as fast as it can.",
    schema=Schema(
        (
            Field("torso.x", (), "m", "world", "how far along +x (forward) the torso's centre is"),
            Field("torso.height", (), "m", "world", "height of the torso's centre; 0.7 when dropped, 0.58 standing"),
            Field("torso.pitch", (), "rad", "world", _PITCH),
            Field("torso.x_velocity", (), "m/s", "world", "forward velocity of the torso"),
            Field("torso.z_velocity", (), "m/s", "world", "upward velocity of the torso"),
            Field("torso.pitch_velocity", (), "rad/s", "world", "rate of the pitch"),
            *_leg("back_leg"),
            *_leg("front_leg"),
        )
    ),
    action=torques("back thigh", "back shin", "back foot", "front thigh", "front shin", "front foot"),
    max_episode_steps=1000,
    control_dt=CONTROL_DT,
)


def _start(model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
    data.qpos[:] += rng.uniform(-0.1, 0.1, model.nq)
    data.qvel[:] = 0.1 * rng.standard_normal(model.nv)


def _feet(view: View) -> Values:
    """Height, place and contact of each foot, (N,) each."""
    found = {}
    for leg, foot in zip(LEGS, _FEET, strict=True):
        ends = np.stack([view.site(f"{foot} {end}")[:, 2] for end in ("heel", "toe")])
        height = ends.min(axis=0) - radius(view.model, foot)
        found[f"{leg}.foot_height"] = height
        found[f"{leg}.foot_ahead"] = view.site(f"{foot} toe")[:, 0] - view["qpos"][:, 0]
        found[f"{leg}.foot_contact"] = (height <= CONTACT).astype(np.float64)
    return found


def _read(view: View) -> Values:
    qpos, qvel = view["qpos"], view["qvel"]
    torso = {
        "torso.x": qpos[:, 0],
        "torso.height": view.position("torso")[:, 2],
        "torso.pitch": qpos[:, 2],
        "torso.x_velocity": qvel[:, 0],
        "torso.z_velocity": qvel[:, 1],
        "torso.pitch_velocity": qvel[:, 2],
    }
    names = [f"{leg}.{joint}" for leg in LEGS for joint in JOINTS]
    angles = {f"{name}_angle": qpos[:, 3 + i] for i, name in enumerate(names)}
    return torso | angles | {f"{name}_velocity": qvel[:, 3 + i] for i, name in enumerate(names)} | _feet(view)


def _observe(view: View) -> np.ndarray:
    return np.concatenate([view["qpos"][:, 1:], view["qvel"]], axis=1)


def _success(view: View) -> np.ndarray:
    return np.asarray((np.cos(view["qpos"][:, 2]) > 0.0) & (FORWARD.way(view) >= DISTANCE))


def _expert_reward(view: View, actions: np.ndarray) -> np.ndarray:
    return np.asarray(FORWARD.velocity(view) - 0.1 * np.sum(np.square(actions), axis=1))


def run(scene: Scene, observations: np.ndarray) -> np.ndarray:
    """Torques (N, 6) that drive the joints along waves at 3 Hz, 1.7 m/s fast; nothing keeps it from falling over."""
    time = np.asarray(scene.steps)[:, None] * CONTROL_DT
    wanted = MIDDLE + SWING * np.sin(6 * np.pi * time + PHASE)
    angles = np.stack([scene[f"{leg}.{joint}_angle"] for leg in LEGS for joint in JOINTS], axis=1)
    return np.asarray(np.clip(2.0 * (wanted - angles), -1.0, 1.0))


RUN = MujocoTask(
    task=TASK,
    model=model("half_cheetah", POINTS),
    frame_skip=5,
    start=_start,
    read=_read,
    success=_success,
    expert_reward=_expert_reward,
    cameras=CAMERAS,
    observe=_observe,
    obs_dim=17,
    begin=FORWARD.begin,
    update=FORWARD.update,
    kept=("qpos", "qvel", "xpos", "site_xpos"),
    clip_actions=False,  # upstream passes them on, and MuJoCo clips
)
