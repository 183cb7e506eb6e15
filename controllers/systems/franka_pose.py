"""The hand of a Franka arm, steered by its twist, that has to pass a narrow place in a way that only the person knows.

The state is the flange's pose, the arm's joints following as they can. Numbers of cost and features: Xie et al.,
arXiv 2407.04216, sections VI and VII. Poses are T_world_flange, quaternions (w, x, y, z).
"""

from __future__ import annotations

from collections.abc import Callable

import casadi as ca
import numpy as np
from scipy.optimize import lsq_linear

from controllers.systems import quaternion
from controllers.systems.system import Game, Situation, System

CONTROL_DT = 0.1  # [s]
HORIZON = 20
PLACE_X, HALF_WIDTH = -0.15, 0.15  # [m] of the narrow place
UPRIGHT = np.array([0.0, -np.sqrt(0.5), 0.0, np.sqrt(0.5)])  # orientation at a roll of 0
ROLLS = np.linspace(-np.pi / 4, 3 * np.pi / 4, 10)  # [rad] about the world's x axis, from upright
_SOFTNESS, _ROLL_SHARPNESS, _HEIGHT_SHARPNESS, _HEIGHT_SHARE = 50.0, 1.8, 12.0, 0.05
_WEIGHTS = (0.0,) + tuple(0.9**k for k in range(5)) + (0.0,) * (HORIZON - 5)
ROLL_TOLERANCE = 0.03  # 1 - cos of the angle to the wanted orientation
_OFFSET = -0.8
_BEST_ROLL = 0.3  # what the wanted roll adds to g: so much less may the height be off
_STATE = (*(f"position {axis} [m]" for axis in "xyz"), *(f"orientation q{part}" for part in "wxyz"))
_CONTROL = (*(f"velocity {axis} [m/s]" for axis in "xyz"), *(f"angular velocity {axis} [rad/s]" for axis in "xyz"))
_DIRECTIONS = {
    "left": np.array([0.0, 0, 0, -1, 0, 0]),
    "right": np.array([0.0, 0, 0, 1, 0, 0]),
    "up": np.array([0.0, 0, 1, 0, 0, 0]),
    "down": np.array([0.0, 0, -1, 0, 0, 0]),
}


def rolled(angles: float | np.ndarray) -> np.ndarray:
    """(..., 4) upright, then turned by angles (...) [rad] about the world's x axis."""
    half = np.asarray(angles)[..., None] / 2
    w, x, y, z = UPRIGHT
    return np.asarray(np.cos(half) * UPRIGHT + np.sin(half) * np.array([-x, w, -z, y]))


_ROLLED = rolled(ROLLS)


def dynamics(x: ca.SX, u: ca.SX) -> ca.SX:
    """One explicit Euler step of the pose under a twist in the world's axes."""
    return x + CONTROL_DT * ca.vertcat(u[:3], quaternion.rate_in_world(x[3:7], u[3:]))


def stage_cost(x: ca.SX, u: ca.SX, target: ca.SX) -> ca.SX:
    pose = 2.0 * ca.sumsqr(x[:3] - target[:3]) + 1.0 * quaternion.apart(x[3:7], target[3:7])
    return pose + ca.dot(ca.DM([30.0, 30.0, 1.0]), u[:3] ** 2) + 0.85 * ca.sumsqr(u[3:])


def terminal_cost(x: ca.SX, target: ca.SX) -> ca.SX:
    return 80.0 * ca.sumsqr(x[:3] - target[:3]) + 60.0 * quaternion.apart(x[3:7], target[3:7])


def near(x: ca.SX) -> ca.SX:
    """From 0 to 1: how much the hand is at the narrow place."""
    return 1.0 / (1.0 + ca.exp(-_SOFTNESS * (HALF_WIDTH**2 - (x[0] - PLACE_X) ** 2)))


def _features(x: ca.SX, heights: np.ndarray) -> ca.SX:
    """Ten bumps over the hand's roll and ten over its height, all of them at the narrow place only."""
    rolls = [quaternion.apart(x[3:7], ca.SX(q)) ** 2 for q in _ROLLED]
    return near(x) * ca.vertcat(
        ca.exp(-(_ROLL_SHARPNESS**2) * ca.vertcat(*rolls)),
        _HEIGHT_SHARE * ca.exp(-(_HEIGHT_SHARPNESS**2) * (x[2] - ca.DM(heights)) ** 2),
    )


def _truth(heights: np.ndarray, low: float, high: float, roll: float) -> np.ndarray:
    """(20,) a theta under which g, in the middle of the place, grows with the distance from the wanted height and roll.

    A bounded least-squares fit of two bowls. The rolls' one is fitted to hands that turn about the other axes, too: the
    bumps fade there, and what fades in the wrong way would be a way round the wanted roll.
    """
    full = sum(_WEIGHTS) * float(ca.DM(near(ca.SX([PLACE_X]))))  # what a hand that stays there adds up to
    z = np.linspace(low - 0.2, high + 0.2, 80)
    over_height = full * _HEIGHT_SHARE * np.exp(-(_HEIGHT_SHARPNESS**2) * (z[:, None] - heights) ** 2)
    off = np.abs(z - (low + high) / 2) / ((high - low) / 2)
    wanted_height = np.minimum(-0.3 + 1.2 * off**2, 1.4)
    angle, aside = (part.ravel() for part in np.meshgrid(np.linspace(-0.9, 2.5, 60), np.radians([0, 0, 15, 30, 45])))
    # Turns about perpendicular axes multiply the cosines of their half angles.
    bumps = 2.0 * (1.0 - (np.cos((angle[:, None] - ROLLS) / 2) * np.cos(aside[:, None] / 2)) ** 2)
    over_roll = full * np.exp(-(_ROLL_SHARPNESS**2) * bumps**2)
    tilt = 2.0 * (1.0 - (np.cos((angle - roll) / 2) * np.cos(aside / 2)) ** 2)
    steep, gentle = 0.6 * tilt / ROLL_TOLERANCE, 0.6 + 10.0 * (np.sqrt(tilt) - np.sqrt(ROLL_TOLERANCE))
    wanted_roll = _BEST_ROLL + np.where(tilt < ROLL_TOLERANCE, steep, gentle)  # downhill from everywhere
    found = [
        lsq_linear(rows / tolerance[:, None], wanted / tolerance, bounds=(-2.5, 4.5)).x
        for rows, wanted, tolerance in (
            (over_roll, wanted_roll, 0.1 + 0.3 * np.abs(wanted_roll)),
            (over_height, wanted_height, 0.2 + np.abs(wanted_height)),
        )
    ]
    return np.concatenate(found)


def _passed_at(low: float, high: float, roll: float) -> Callable[[np.ndarray], bool]:
    wanted = rolled(roll)

    def passed(states: np.ndarray) -> bool:
        """Where the hand was nearest to the middle of the place, its height and its roll were right."""
        middle = states[np.argmin(np.abs(states[:, 0] - PLACE_X))]
        if abs(middle[0] - PLACE_X) > 0.05:
            return False  # it never came there
        tilt = 2.0 * (1.0 - float(middle[3:7] @ wanted) ** 2)
        return bool(low < middle[2] < high and tilt < ROLL_TOLERANCE)

    return passed


def _reached(state: np.ndarray, target: np.ndarray) -> bool:
    return bool(np.linalg.norm(state[:3] - target[:3]) < 0.05)


def _in_order(state: np.ndarray) -> np.ndarray:
    return quaternion.normalised(state, 3)


def _game(
    name: str,
    heights: np.ndarray,
    low: float,
    high: float,
    roll: float,
    initial: np.ndarray,
    targets: tuple[float, float, float],
) -> Game:
    def features(x: ca.SX) -> ca.SX:
        return _features(x, heights)

    def start(rng: np.random.Generator, episode: int) -> Situation:
        state = initial.copy()
        state[:3] += rng.uniform(-0.02, 0.02, 3)
        return Situation(state, np.array([-0.6, -0.5, targets[episode % 3], *UPRIGHT]))

    system = System(
        name=name,
        version=1,
        state=_STATE,
        control=_CONTROL,
        target=_STATE,
        horizon=HORIZON,
        control_dt=CONTROL_DT,
        dynamics=dynamics,
        stage_cost=stage_cost,
        terminal_cost=terminal_cost,
        features=features,
        weights=_WEIGHTS,
        offset=_OFFSET,
        theta_low=np.full(20, -3.0),
        theta_high=np.full(20, 5.0),
        gamma=1.5,
        control_low=np.full(6, -np.inf),
        control_high=np.full(6, np.inf),
        after=_in_order,
    )
    return Game(
        system=system,
        truth=_truth(heights, low, high, roll),
        start=start,
        max_steps=200,
        reached=_reached,
        passed=_passed_at(low, high, roll),
        directions=_DIRECTIONS,
        targets=3,
    )


# Through a tilted slot: the hand comes rolled the other way and has to end upright.
REACH = _game(
    "franka-reach",
    np.linspace(0.2, 0.9, 10),
    0.37,
    0.48,
    np.pi / 4,
    np.array([0.33, -0.5, 0.498, *rolled(-np.pi / 4)]),
    (0.4, 0.5, 0.6),
)
# With a full cup over an obstacle: upright and high.
POUR = _game(
    "franka-pour",
    np.linspace(0.1, 1.2, 10),
    0.52,
    0.8,
    0.0,
    np.array([0.33, -0.5, 0.55, *rolled(np.pi / 3)]),
    (0.5, 0.6, 0.7),
)
