"""Gymnasium's Humanoid (v5), equal to the upstream environment step for step; success is ours and is measured.

Model, time steps, observations, terminations and the expert reward are upstream's. It has trunk, legs and arms, balls
for feet and hands; its left hip is a mirror image of its right one, its shoulders are not.
"""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np

from robot_learn.scene import Field, Schema
from robot_learn.types import Task
from sims.env import Values
from sims.gym.bodies import CAMERAS, Forward, model, radius, torques
from sims.mujoco_task import MujocoTask, View

DISTANCE = 5.0  # [m] forward, upright, within 15 s: an average of 0.33 m/s
CONTACT = 0.02  # [m] at most under a foot that counts as being on the floor
CONTROL_DT = 0.015  # [s]
FRAME_SKIP = 5
SIDES = ("right", "left")
POINTS = {
    "right foot": ("right_foot", (0.0, 0.0, 0.1)),
    "left foot": ("left_foot", (0.0, 0.0, 0.1)),
    "right hand": ("right_hand", (0.18, 0.18, 0.18)),
    "left hand": ("left_hand", (0.18, -0.18, 0.18)),
}

# In the order of upstream's coordinates.
_WAIST = {
    "turn": "the hips against the trunk, positive to the left; from -0.79 to 0.79",
    "bend": "the trunk over the hips; from -1.31 (bent forward) to 0.52 (bent back)",
    "lean": "the trunk to the side, positive to the right; from -0.61 to 0.61",
}
_LEG = {
    "hip_spread": ("hips", "thigh to the side; from -0.44 (apart) to 0.09 (together)"),
    "hip_turn": ("hips", "leg about its own axis; from -1.05 (outward) to 0.61 (inward)"),
    "hip_swing": ("hips", "thigh in the walking direction; from -1.92 (raised in front) to 0.35 (behind)"),
    "knee": ("thigh", "from -2.79 (shin folded back) to -0.03 (straight)"),
}
_SHOULDERS = {
    "right": "-1.48 (upper arm up) to 1.05 (across the chest), -1.48 (elbow behind) to 1.05 (elbow up in front)",
    "left": "-1.05 (upper arm across the chest) to 1.48 (up), -1.05 (elbow up in front) to 1.48 (elbow behind)",
}

ACTION = torques(
    *(f"waist {joint}" for joint in ("bend", "turn", "lean")),
    *(f"{side} {joint.replace('_', ' ')}" for side in SIDES for joint in _LEG),
    *(f"{side} {joint}" for side in SIDES for joint in ("shoulder 1", "shoulder 2", "elbow")),
    limit=0.4,
)


def _end(side: str, limb: str, end: str) -> tuple[Field, Field]:
    """Where a foot or a hand is."""
    return (
        Field(f"{side}_{limb}.{end}_height", (), "m", "world", f"height of the lowest point of the {side} {end}"),
        Field(f"{side}_{limb}.{end}_ahead", (), "m", "world", f"how far ahead of the torso, along +x, the {end} is"),
    )


def _leg(side: str) -> tuple[Field, ...]:
    contact = f"1 where the {side} foot is on the floor (at most {CONTACT:g} m above it), else 0"
    return (
        *(Field(f"{side}_leg.{joint}_angle", (), "rad", *told) for joint, told in _LEG.items()),
        *(
            Field(f"{side}_leg.{joint}_velocity", (), "rad/s", frame, f"rate of the {joint} angle")
            for joint, (frame, _) in _LEG.items()
        ),
        *_end(side, "leg", "foot"),
        Field(f"{side}_leg.foot_contact", (), "1", "world", contact),
    )


def _arm(side: str) -> tuple[Field, ...]:
    angles = f"shoulder 1, shoulder 2, elbow: {_SHOULDERS[side]}, -1.57 (straight) to 0.87 (folded)"
    return (
        Field(f"{side}_arm.angles", (3,), "rad", "torso", angles),
        Field(f"{side}_arm.velocities", (3,), "rad/s", "torso", "rates of these angles"),
        *_end(side, "arm", "hand"),
    )


SCHEMA = Schema(
    (
        Field("torso.position", (3,), "m", "world", "middle of the chest; z: 1.4 when dropped, 1.28 standing"),
        Field("torso.quaternion", (4,), "1", "world", "orientation of the torso (w, x, y, z); upright 1, 0, 0, 0"),
        Field("torso.velocity", (3,), "m/s", "world", "velocity of the torso; the first number is forward"),
        Field("torso.angular_velocity", (3,), "rad/s", "torso", "angular velocity of the torso"),
        *(Field(f"waist.{joint}_angle", (), "rad", "torso", told) for joint, told in _WAIST.items()),
        *(Field(f"waist.{joint}_velocity", (), "rad/s", "torso", f"rate of the {joint} angle") for joint in _WAIST),
        *(field for side in SIDES for field in _leg(side)),
        *(field for side in SIDES for field in _arm(side)),
    )
)


def _start(model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
    """Upright, the feet 11 cm above the floor, off by upstream's noise."""
    data.qpos[:] += rng.uniform(-1e-2, 1e-2, model.nq)
    data.qvel[:] = rng.uniform(-1e-2, 1e-2, model.nv)


def _finish(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Contact forces, which are observed, and feet and hands as they are now; what upstream reads stays as it was."""
    mujoco.mj_rnePostConstraint(model, data)
    mujoco.mj_kinematics(model, data)


def read(view: View) -> Values:
    """Every field of `SCHEMA`."""
    qpos, qvel = view["qpos"], view["qvel"]
    angles, rates = qpos[:, 7:], qvel[:, 6:]
    found = {
        "torso.position": qpos[:, 0:3],
        # A reset's noise leaves it unnormalised in qpos, as upstream observes it; MuJoCo simulates the unit one.
        "torso.quaternion": qpos[:, 3:7] / np.linalg.norm(qpos[:, 3:7], axis=1, keepdims=True),
        "torso.velocity": qvel[:, 0:3],
        "torso.angular_velocity": qvel[:, 3:6],
    }
    joints = [f"waist.{joint}" for joint in _WAIST] + [f"{side}_leg.{joint}" for side in SIDES for joint in _LEG]
    for index, name in enumerate(joints):
        found[f"{name}_angle"], found[f"{name}_velocity"] = angles[:, index], rates[:, index]
    for index, side in enumerate(SIDES, start=4):
        arm = slice(3 * index - 1, 3 * index + 2)
        found[f"{side}_arm.angles"], found[f"{side}_arm.velocities"] = angles[:, arm], rates[:, arm]
        for limb, end in (("leg", "foot"), ("arm", "hand")):
            place = view.site(f"{side} {end}")
            found[f"{side}_{limb}.{end}_height"] = place[:, 2] - radius(view.model, f"{side}_{end}")
            found[f"{side}_{limb}.{end}_ahead"] = place[:, 0] - qpos[:, 0]
        found[f"{side}_leg.foot_contact"] = (found[f"{side}_leg.foot_height"] <= CONTACT).astype(np.float64)
    return found


def _observe(view: View) -> np.ndarray:
    parts = (view["cinert"][:, 1:], view["cvel"][:, 1:], view["qfrc_actuator"][:, 6:], view["cfrc_ext"][:, 1:])
    flat = (part.reshape(view.num_worlds, -1) for part in parts)
    return np.concatenate([view["qpos"][:, 2:], view["qvel"], *flat], axis=1)


def healthy(view: View) -> np.ndarray:
    """Upstream's: the torso neither low nor thrown up, (N,)."""
    height = view["qpos"][:, 2]
    return np.asarray((height > 1.0) & (height < 2.0))


def _centre_x(view: View) -> np.ndarray:
    return view["subtree_com"][:, 0, 0]  # of all that has mass; a substep behind qpos, as upstream reads it


FORWARD = Forward(CONTROL_DT, _centre_x)


def _success(view: View) -> np.ndarray:
    return healthy(view) & (FORWARD.way(view) >= DISTANCE)


def _expert_reward(view: View, actions: np.ndarray) -> np.ndarray:
    contact = np.minimum(5e-7 * np.sum(np.square(view["cfrc_ext"]), axis=(1, 2)), 10.0)
    effort = np.sum(np.square(actions.astype(np.float64)), axis=1)  # upstream squares what MuJoCo was given
    return np.asarray(1.25 * FORWARD.velocity(view) + 5.0 * healthy(view) - 0.1 * effort - contact)


WALK = MujocoTask(
    task=Task(
        name="mujoco/humanoid",
        instruction="Make the humanoid robot walk forward, along +x, as fast as it can without falling.",
        schema=SCHEMA,
        action=ACTION,
        max_episode_steps=1000,
        control_dt=CONTROL_DT,
    ),
    model=model("humanoid", POINTS),
    frame_skip=FRAME_SKIP,
    start=_start,
    read=read,
    success=_success,
    expert_reward=_expert_reward,
    cameras={name: replace(camera, distance=3.2) for name, camera in CAMERAS.items()},
    finish=_finish,
    terminated=lambda view: ~healthy(view),
    observe=_observe,
    obs_dim=348,
    begin=FORWARD.begin,
    update=FORWARD.update,
    kept=("qpos", "qvel", "cinert", "cvel", "qfrc_actuator", "cfrc_ext", "subtree_com", "site_xpos"),
    clip_actions=False,  # upstream passes them on, and MuJoCo clips
)
