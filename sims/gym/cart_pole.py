"""Balancing a pole on a cart: the model and the time steps of Gymnasium's InvertedPendulum (v5).

Upstream starts within 0.01 of rest and stops at 0.2 rad; here the pole starts leaning and moving, so that it falls
within a second unless the cart catches it, and it counts as fallen where the cart can no longer catch it.
"""

from __future__ import annotations

import mujoco
import numpy as np

from robot_learn.scene import Field, Scene, Schema
from robot_learn.types import ActionComponent, Task
from sims.env import Values
from sims.gym.bodies import counted, model
from sims.mujoco_task import Memory, MujocoTask, View
from sims.rendering import Camera

UPRIGHT = 0.05  # [rad] a pole that leans no further is balanced
HELD = 2.0  # [s] for so long without a break
FALLEN = 0.8  # [rad]
LEAN, MOTION = 0.15, 0.3  # a start is uniform within: [rad] of lean; [m/s] and [rad/s]
CONTROL_DT = 0.04  # [s]
# Feedback on position, lean and their rates: the LQR of the linearised model, rounded, for costs of (1, 10, 0.1, 0.1)
# on these and of 1 on the force.
GAINS = np.array([0.72, 6.8, 0.92, 1.08])


def _start(model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
    data.qpos[:] = rng.uniform(-1, 1, 2) * (0.1, LEAN)
    data.qvel[:] = rng.uniform(-MOTION, MOTION, 2)


def _read(view: View) -> Values:
    qpos, qvel = view["qpos"], view["qvel"]
    return {
        "cart.position": qpos[:, 0],
        "cart.velocity": qvel[:, 0],
        "pole.angle": qpos[:, 1],
        "pole.angular_velocity": qvel[:, 1],
    }


def _upright(view: View) -> np.ndarray:
    return np.asarray(np.abs(view["qpos"][:, 1]) <= UPRIGHT)


def _begin(view: View) -> Memory:
    return {"held": np.zeros(view.num_worlds)}


def _update(view: View) -> Memory:
    return {"held": counted(_upright(view), view.memory["held"])}


def _success(view: View) -> np.ndarray:
    return np.asarray(view.memory["held"] * CONTROL_DT >= HELD)


def _fallen(view: View) -> np.ndarray:
    return np.asarray(np.abs(view["qpos"][:, 1]) > FALLEN)


def _expert_reward(view: View, actions: np.ndarray) -> np.ndarray:
    position, angle = view["qpos"].T
    effort = np.sum(np.square(actions), axis=1)
    return np.asarray(np.exp(-np.square(angle / 0.1)) - 0.2 * np.square(position) - 0.01 * effort)


def balance(scene: Scene, observations: np.ndarray) -> np.ndarray:
    """Linear feedback: forces (N, 1) that bring cart and pole to rest in the middle."""
    state = (scene.cart.position, scene.pole.angle, scene.cart.velocity, scene.pole.angular_velocity)
    return np.asarray(np.clip(np.stack(state, axis=1) @ GAINS, -3.0, 3.0)[:, None])


BALANCE = MujocoTask(
    task=Task(
        name="mujoco/cart-pole",
        instruction="Balance the pole on the cart.",
        schema=Schema(
            (
                Field("cart.position", (), "m", "world", "where the cart is along its rail, x; -1 to 1, 0 the middle"),
                Field("cart.velocity", (), "m/s", "world", "velocity of the cart, positive to +x"),
                Field("pole.angle", (), "rad", "world", "lean of the pole; 0 upright, positive leans to +x"),
                Field("pole.angular_velocity", (), "rad/s", "world", "rate of the lean"),
            )
        ),
        action=(ActionComponent("cart_force", -3.0, 3.0, "force on the cart to +x, in units of 100 N"),),
        max_episode_steps=200,
        control_dt=CONTROL_DT,
    ),
    model=model("inverted_pendulum"),
    frame_skip=2,
    start=_start,
    read=_read,
    success=_success,
    expert_reward=_expert_reward,
    cameras={"side": Camera((0.0, 0.0, 0.25), 2.4, 90, -5), "front": Camera((0.0, 0.0, 0.25), 2.4, 180, -5)},
    terminated=_fallen,
    begin=_begin,
    update=_update,
    kept=("qpos", "qvel"),
)
