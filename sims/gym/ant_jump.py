"""The ant jumps up from standing, lands on its feet and stands; then it may jump again.

A jump is as high as its lowest foot came, and counts when the ant has stood for a while after it. Motors that push with
half of their strength, from legs stretched out flat, lift it by half a metre; all of it would be several metres.
"""

from __future__ import annotations

import numpy as np

from robot_learn.scene import Field, Scene, Schema
from robot_learn.types import Task
from sims.env import Values
from sims.gym import ant, ant_stance
from sims.gym.bodies import counted
from sims.mujoco_task import Memory, MujocoTask, View
from sims.rendering import Camera

HEIGHT = 0.2  # [m] at least, under the lowest foot at the top of a jump that succeeds
# It stands after a jump when, for STOOD_FOR without a break:
GROUNDED = 0.08  # [m] at most, under every foot
LEVEL = 0.9  # at least, the upward part of the torso's axis: within 26 degrees
SPEED = 0.7  # [m/s] at most, of the torso
STOOD_FOR = 0.4  # [s]
CONTACT = 0.02  # [m] at most under a foot that counts as being on the floor
HIGHEST = 0.8  # [m] no more counts
TOO_HIGH = 1.0  # [m] from here on it costs: an ant that flies off does not jump
FLAT, BENT = 0.55, 1.0  # [rad] size of the ankles' bend, lying flat and standing
GRAVITY = 9.81  # [m/s^2]

_CONTACTS = f"1 for each foot on the floor (at most {CONTACT:g} m above it), else 0: {ant.LEGS}"
FIELDS = (*ant_stance.FIELDS, Field("legs.foot_contacts", (4,), "1", "world", _CONTACTS))


def _read(view: View) -> Values:
    contacts = (ant_stance.heights(view) <= CONTACT).astype(np.float64)
    return ant_stance.read(view) | {"legs.foot_contacts": contacts}


def _lost(view: View) -> np.ndarray:
    """Turned over, or so high or fast that the simulation has come apart, (N,)."""
    qpos, qvel = view["qpos"], view["qvel"]
    sane = np.isfinite(qpos).all(axis=1) & np.isfinite(qvel).all(axis=1) & (np.abs(qpos[:, 2]) < 5.0)
    return np.asarray(~sane | (ant_stance.up(view)[:, 2] < 0))


def _stands(view: View) -> np.ndarray:
    slow = np.linalg.norm(view["qvel"][:, 0:3], axis=1) <= SPEED
    level = ant_stance.up(view)[:, 2] >= LEVEL
    return np.asarray(slow & level & (ant_stance.heights(view).max(axis=1) <= GROUNDED))


def _crouch(view: View) -> np.ndarray:
    """How far its legs are stretched out, with which a jump is wound up, (N,): 0 standing, 1 flat."""
    bend = np.abs(view["qpos"][:, 8::2]).mean(axis=1)
    return np.asarray(np.clip((BENT - bend) / (BENT - FLAT), 0.0, 1.0))


def _begin(view: View) -> Memory:
    """Steps stood in a row; of the present jump how far it was wound up, promised and came [m]; the best; the pay."""
    return dict.fromkeys(("stood", "wound", "promised", "top", "best", "pay"), np.zeros(view.num_worlds))


def _update(view: View) -> Memory:
    """A best of a jump is paid for once, so that what leads to it is learned first; a landing pays and begins anew."""
    memory, lowest, rise = view.memory, ant_stance.heights(view).min(axis=1), np.clip(view["qvel"][:, 2], 0.0, None)
    stood = counted(_stands(view), memory["stood"])
    top = np.clip(lowest, memory["top"], HIGHEST)
    level = np.clip(ant_stance.up(view)[:, 2], 0.0, 1.0)
    promised = np.clip(level * (lowest + np.square(rise) / (2 * GRAVITY)), memory["promised"], HIGHEST)
    wound = np.where(top <= GROUNDED, np.maximum(memory["wound"], _crouch(view)), memory["wound"])
    landed = (stood * ant.CONTROL_DT >= STOOD_FOR) & (top > GROUNDED)
    gained = wound - memory["wound"] + 5.0 * (promised - memory["promised"]) + 5.0 * (top - memory["top"])
    return {
        "stood": stood,
        **{name: np.where(landed, 0.0, one) for name, one in (("wound", wound), ("promised", promised), ("top", top))},
        "best": np.where(landed, np.maximum(memory["best"], top), memory["best"]),
        "pay": gained + np.where(landed, 30.0 * top, 0.0),
    }


def _success(view: View) -> np.ndarray:
    return np.asarray(view.memory["best"] >= HEIGHT)


def _expert_reward(view: View, actions: np.ndarray) -> np.ndarray:
    level = np.clip(ant_stance.up(view)[:, 2], 0.0, 1.0)
    heights = np.clip(ant_stance.heights(view), 0.0, None)
    down = np.exp(-10.0 * heights.max(axis=1))
    still = np.exp(-np.sum(np.square(view["qvel"][:, 0:3]), axis=1))
    landing = view.memory["top"] * level * down * still
    over = np.clip(heights.min(axis=1) - TOO_HIGH, 0.0, None)
    effort = np.mean(np.square(np.clip(actions, -1.0, 1.0)), axis=1)
    # A fall costs less than the way up pays: jumps are learned first, and landings, which pay most, after them.
    fall = 2.0 * _lost(view)
    return np.asarray(view.memory["pay"] + 2.0 * landing + 0.05 * level - over - fall - 0.02 * effort)


def jump(scene: Scene, observations: np.ndarray) -> np.ndarray:
    """Torques (N, 8) that stretch the legs out for 1 s, push off and stand again, every 3 s."""
    signs, order = np.array([1.0, -1.0, -1.0, 1.0]), [3, 0, 1, 2]  # of the bends; of the motors among the legs
    phase = (np.asarray(scene.steps) % 60)[:, None]
    bend, rate = signs * scene.legs.ankle_angles, signs * scene.legs.ankle_velocities
    goal = np.where(phase < 20, FLAT, BENT)
    ankles = np.where((phase >= 20) & (phase < 25), 0.55, 0.5 * (goal - bend) - 0.08 * rate) * signs
    hips = -0.5 * scene.legs.hip_angles - 0.08 * scene.legs.hip_velocities
    torques = np.stack([hips[:, order], ankles[:, order]], axis=2)
    return np.asarray(np.clip(torques.reshape(len(bend), 8), -1.0, 1.0))


JUMP = MujocoTask(
    task=Task(
        name="mujoco/ant-jump",
        instruction="Make the four-legged robot jump up as high as it can, land on its feet and stand.",
        schema=Schema(FIELDS),
        action=ant.ACTION,
        max_episode_steps=150,
        control_dt=ant.CONTROL_DT,
    ),
    model=ant_stance.BODY,
    frame_skip=ant.FRAME_SKIP,
    start=ant_stance.start,
    read=_read,
    success=_success,
    expert_reward=_expert_reward,
    cameras={
        "side": Camera((0.0, 0.0, 0.7), 4.2, 90, -12, follow="torso"),
        "front": Camera((0.0, 0.0, 0.7), 4.2, 180, -12, follow="torso"),
    },
    terminated=_lost,
    begin=_begin,
    update=_update,
    kept=ant_stance.KEPT,
)
