"""A pendulum that is to be swung up without an angle and a speed that the person holds to be too much together."""

from __future__ import annotations

import casadi as ca
import numpy as np

from controllers.systems.system import Game, Situation, System

GRAVITY, LENGTH, MASS, DAMPING = 10.0, 1.0, 1.0, 0.4  # [m/s^2], [m], [kg], [N m s/rad]
INERTIA = MASS * LENGTH**2 / 3  # [kg m^2] of a rod about its end
CONTROL_DT = 0.02  # [s]
HORIZON = 40
UPRIGHT = ca.DM([np.pi, 0.0])


def dynamics(x: ca.SX, u: ca.SX) -> ca.SX:
    """One explicit Euler step of I a'' = -m g l sin(a) / 2 + u - d a'."""
    torque = u - MASS * GRAVITY * LENGTH / 2 * ca.sin(x[0]) - DAMPING * x[1]
    return x + CONTROL_DT * ca.vertcat(x[1], torque / INERTIA)


def stage_cost(x: ca.SX, u: ca.SX, target: ca.SX) -> ca.SX:
    return 0.1 * u**2


def terminal_cost(x: ca.SX, target: ca.SX) -> ca.SX:
    return ca.dot(ca.DM([25.0, 10.0]), (x - UPRIGHT) ** 2)


def features(x: ca.SX) -> ca.SX:
    """Angle [rad] and speed [rad/s]."""
    return x


SYSTEM = System(
    name="pendulum",
    version=1,
    state=("angle [rad], 0 hanging down", "speed [rad/s]"),
    control=("torque [N m]",),
    target=(),
    horizon=HORIZON,
    control_dt=CONTROL_DT,
    dynamics=dynamics,
    stage_cost=stage_cost,
    terminal_cost=terminal_cost,
    features=features,
    weights=(0.0, 1.0) + (0.0,) * (HORIZON - 1),
    offset=-3.0,
    theta_low=np.full(2, -6.0),
    theta_high=np.full(2, 2.0),
    gamma=0.1,
    control_low=np.full(1, -np.inf),
    control_high=np.full(1, np.inf),
)


def start(rng: np.random.Generator, episode: int) -> Situation:
    return Situation(rng.uniform((0.0, 0.0), (2 * np.pi / 3, 3.0)), np.zeros(0))


def reached(state: np.ndarray, target: np.ndarray) -> bool:
    return bool(np.linalg.norm(state - np.array([np.pi, 0.0])) <= 0.15)


TRUTH = np.array([0.6, 1.0])


def passed(states: np.ndarray) -> bool:
    """No state but the first, which the pendulum was put in, was too much."""
    return bool((states[1:] @ TRUTH < -SYSTEM.offset + 0.05).all())


GAME = Game(
    system=SYSTEM,
    truth=TRUTH,
    start=start,
    max_steps=200,
    accuracy=0.02,
    reached=reached,
    passed=passed,
    directions={"left": np.array([-1.0]), "right": np.array([1.0])},
    noise=np.sqrt([1e-5, 4e-5]),
)
