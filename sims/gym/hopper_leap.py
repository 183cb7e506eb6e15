"""The dense reward of the hopper's flips: each step pays for what it adds to the best so far of a few things.

A flip is won at the take-off, long before the turn is seen. So what is paid for is, in the order in which they are
learned: bending the leg on the floor, to wind up; the turn that the flight promises, which a ballistic body's angular
momentum and moment of inertia tell from the first moment on; drawing the leg in; the turn itself; and standing upright
after it. A best cannot be earned twice, and a fall costs nothing but what could have followed.
"""

from __future__ import annotations

import mujoco
import numpy as np

from sims.mujoco_task import Memory, View

WHOLE_TURN = 2 * np.pi
GRAVITY = 9.81  # [m/s^2]
LANDING = 0.45  # [m] height of the body's centre of mass over a leg that is drawn in
OFF = 2.0  # [rad] a flight that promises so much is worth tucking in for
KEPT = ("xipos", "subtree_com", "subtree_linvel", "subtree_angmom")


def refresh(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Bring positions, and the motion of the whole body, up to the state after the last substep."""
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_comVel(model, data)
    mujoco.mj_subtreeVel(model, data)


def inertia(view: View) -> np.ndarray:
    """Of the whole body about its centre of mass, across the plane that it moves in, (N,) [kg m^2]."""
    mass, own = view.model.body_mass[1:], view.model.body_inertia[1:, 1]
    arms = view["xipos"][:, 1:] - view["subtree_com"][:, 1:2]
    return np.asarray(np.sum(mass * np.sum(np.square(arms), axis=2) + own, axis=1))


def outlook(view: View) -> np.ndarray:
    """How far the body will have turned, (N,) [rad] forward, if it flies on as it is now until it lands."""
    centre, rise = view["subtree_com"][:, 1, 2], view["subtree_linvel"][:, 1, 2]
    flight = (rise + np.sqrt(np.square(rise) + 2 * GRAVITY * np.clip(centre - LANDING, 0.0, None))) / GRAVITY
    spin = view["subtree_angmom"][:, 1, 1] / inertia(view)
    return np.asarray(view["qpos"][:, 2] + spin * flight)


def _bent(view: View) -> np.ndarray:
    """How far hip and knee are bent, as far as a leap needs it, (N,) [rad]."""
    hip, knee = -view["qpos"][:, 3:5].T
    return np.asarray(np.clip(hip, 0.0, 2.0) + np.clip(knee, 0.0, 1.0))


def begin(view: View) -> Memory:
    """Nothing achieved yet."""
    return dict.fromkeys(("wound", "promised", "tucked", "turned", "gain"), np.zeros(view.num_worlds))


def update(view: View, sign: float, on_foot: np.ndarray) -> Memory:
    """The best so far of each, (N,) [rad], and what the last step added to them; `sign` is 1 forward, -1 backward."""
    memory = view.memory
    wound = np.maximum(memory["wound"], np.where(on_foot & (memory["turned"] < 1.0), _bent(view), 0.0))
    promised = np.clip(sign * outlook(view), memory["promised"], WHOLE_TURN)
    turned = np.clip(sign * view["qpos"][:, 2], memory["turned"], WHOLE_TURN)
    flies = ~on_foot & (promised >= OFF)
    tucked = np.maximum(memory["tucked"], np.where(flies, np.clip(-view["qpos"][:, 4], 0.0, 2.0), 0.0))
    best = {"wound": wound, "promised": promised, "tucked": tucked, "turned": turned}
    return best | {"gain": np.sum([best[name] - memory[name] for name in best], axis=0)}


def reward(view: View, actions: np.ndarray, sign: float, stands: np.ndarray) -> np.ndarray:
    """What the last step gained, and each moment upright, still and standing after a turn, (N,)."""
    over, rate = sign * view["qpos"][:, 2] - WHOLE_TURN, view["qvel"][:, 2]
    upright = np.exp(-np.square(over / 0.5)) * (1.0 + np.exp(-np.square(rate)) + 2.0 * stands)
    effort = np.sum(np.square(np.clip(actions, -1.0, 1.0)), axis=1)
    return np.asarray(20.0 * view.memory["gain"] + upright - 1e-3 * effort)
