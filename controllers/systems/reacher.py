"""Two links that swing round in a plane, past something that their tip must not come near.

Numbers of links, features and box: Xie et al., arXiv 2407.04216, section VI-B.
"""

from __future__ import annotations

import casadi as ca
import numpy as np

from controllers.systems.system import Game, Situation, System

LENGTH, MASS = 1.0, 1.0  # [m], [kg] of each link, a uniform rod
CONTROL_DT = 0.1  # [s]
HORIZON = 30
STEP = 3  # the predicted step that is looked at
UPRIGHT = np.array([np.pi / 2, 0.0, 0.0, 0.0])
_ROD = MASS * LENGTH**2 / 12  # [kg m^2] about its middle


def tip(x: ca.SX) -> ca.SX:
    """(2,) [m] where the second link ends."""
    first, second = x[0], x[0] + x[1]
    return LENGTH * ca.vertcat(ca.cos(first) + ca.cos(second), ca.sin(first) + ca.sin(second))


def dynamics(x: ca.SX, u: ca.SX) -> ca.SX:
    """One semi-implicit Euler step of M(q) q'' + c(q, q') = u, without gravity.

    The new speed moves the joints: an explicit step of .1 s feeds energy into the links.
    """
    bend, speed = x[1], x[2:4]
    half = LENGTH / 2
    shared = MASS * (half**2 + LENGTH * half * ca.cos(bend)) + _ROD
    far = MASS * half**2 + _ROD
    near = far + MASS * (LENGTH**2 + half**2 + 2 * LENGTH * half * ca.cos(bend)) + _ROD
    swing = MASS * LENGTH * half * ca.sin(bend)
    coriolis = ca.vertcat(-swing * speed[1] ** 2 - 2 * swing * speed[0] * speed[1], swing * speed[0] ** 2)
    # The mass matrix is ((near, shared), (shared, far)).
    inverse = ca.vertcat(ca.horzcat(far, -shared), ca.horzcat(-shared, near)) / (near * far - shared**2)
    after = speed + CONTROL_DT * (inverse @ (u - coriolis))
    return ca.vertcat(x[:2] + CONTROL_DT * after, after)


def stage_cost(x: ca.SX, u: ca.SX, target: ca.SX) -> ca.SX:
    return ca.dot(ca.DM([1.0, 1.0, 0.2, 0.2]), (x - ca.DM(UPRIGHT)) ** 2) + 0.1 * ca.sumsqr(u)


def terminal_cost(x: ca.SX, target: ca.SX) -> ca.SX:
    return ca.dot(ca.DM([20.0, 20.0, 5.0, 5.0]), (x - ca.DM(UPRIGHT)) ** 2)


def features(x: ca.SX) -> ca.SX:
    """tanh of x y, x^2, y^2, x and y of the tip [m]."""
    at = tip(x)
    return ca.tanh(ca.vertcat(at[0] * at[1], at[0] ** 2, at[1] ** 2, at[0], at[1]))


SYSTEM = System(
    name="reacher",
    version=1,
    state=("joint 1 [rad]", "joint 2 [rad]", "speed 1 [rad/s]", "speed 2 [rad/s]"),
    control=("torque 1 [N m]", "torque 2 [N m]"),
    target=(),
    horizon=HORIZON,
    control_dt=CONTROL_DT,
    dynamics=dynamics,
    stage_cost=stage_cost,
    terminal_cost=terminal_cost,
    features=features,
    weights=(0.0,) * STEP + (1.0,) + (0.0,) * (HORIZON - STEP),
    offset=-1.0,
    theta_low=np.full(5, -3.0),
    theta_high=np.full(5, 3.0),
    gamma=2.0,
    control_low=np.full(2, -np.inf),
    control_high=np.full(2, np.inf),
)
# Unsafe is a stretched arm that points to the upper right: it has to bend on its way up.
TRUTH = np.array([1.2, 0.1, -0.1, 0.4, 0.05])


def start(rng: np.random.Generator, episode: int) -> Situation:
    return Situation(np.array([rng.uniform(-1.0, -0.5), rng.uniform(1.4, 2.0), 0.0, 0.0]), np.zeros(0))


def reached(state: np.ndarray, target: np.ndarray) -> bool:
    return bool(np.linalg.norm(state - UPRIGHT) < 0.2)


def unsafe(states: np.ndarray) -> np.ndarray:
    """(T,) how far above zero each state's own value of the constraint is."""
    first, second = states[:, 0], states[:, 0] + states[:, 1]
    x, y = np.cos(first) + np.cos(second), np.sin(first) + np.sin(second)
    return np.asarray(np.tanh(np.stack([x * y, x**2, y**2, x, y], axis=1)) @ TRUTH + SYSTEM.offset)


def passed(states: np.ndarray) -> bool:
    """No state from the one on that the first plan could still change was unsafe."""
    return bool((unsafe(states[STEP:]) < 0.02).all())


GAME = Game(
    system=SYSTEM,
    truth=TRUTH,
    start=start,
    max_steps=150,
    accuracy=0.2,
    reached=reached,
    passed=passed,
    directions={
        "left": np.array([1.0, 0.0]),
        "right": np.array([-1.0, 0.0]),
        "up": np.array([0.0, 1.0]),
        "down": np.array([0.0, -1.0]),
    },
)
