"""A quadrotor that has to learn where it may fly: through a gate that only the person sees, or within a tube.

Numbers of vehicle, cost and features: Xie et al., arXiv 2407.04216, section VI. Rotors stand at the ends of two arms
along the body's x and y axes and push along its z axis.
"""

from __future__ import annotations

import casadi as ca
import numpy as np

from controllers.systems import quaternion
from controllers.systems.system import Game, Situation, System, telling_apart

MASS, INERTIA, SPAN, DRAG_RATIO, GRAVITY = 0.1, 0.01, 1.2, 1.0, 9.8  # [kg], [kg m^2], [m], [m], [m/s^2]
CONTROL_DT = 0.1  # [s]
HORIZON = 15
HOVER = MASS * GRAVITY / 4  # [N] of each rotor at rest
_MIXER = ca.DM(
    [[0, -SPAN / 2, 0, SPAN / 2], [-SPAN / 2, 0, SPAN / 2, 0], [DRAG_RATIO, -DRAG_RATIO, DRAG_RATIO, -DRAG_RATIO]]
)
_LEVEL = ca.DM([1.0, 0.0, 0.0, 0.0])

STATE = (
    *(f"position {axis} [m]" for axis in "xyz"),
    *(f"velocity {axis} [m/s]" for axis in "xyz"),
    *(f"attitude q{part}" for part in "wxyz"),
    *(f"body rate {axis} [rad/s]" for axis in "xyz"),
)
CONTROL = tuple(f"{place} thrust [N]" for place in ("front", "right", "back", "left"))
TARGET = tuple(f"position {axis} [m]" for axis in "xyz")
DIRECTIONS = {
    "forward": np.array([-1.0, 0.0, 1.0, 0.0]),
    "back": np.array([1.0, 0.0, -1.0, 0.0]),
    "right": np.array([0.0, -1.0, 0.0, 1.0]),
    "left": np.array([0.0, 1.0, 0.0, -1.0]),
    "up": np.array([1.0, 1.0, 1.0, 1.0]),
    "down": np.array([-1.0, -1.0, -1.0, -1.0]),
}


def dynamics(x: ca.SX, u: ca.SX) -> ca.SX:
    """One explicit Euler step of a rigid body under four thrusts."""
    velocity, q, omega = x[3:6], x[6:10], x[10:13]
    lift = quaternion.rotation(q) @ ca.vertcat(0, 0, ca.sum1(u))
    # All moments of inertia are equal, so that turning exerts no gyroscopic torque.
    rates = ca.vertcat(
        velocity, lift / MASS - ca.vertcat(0, 0, GRAVITY), quaternion.rate_in_body(q, omega), _MIXER @ u / INERTIA
    )
    return x + CONTROL_DT * rates


def _cost(x: ca.SX, target: ca.SX, weights: tuple[float, float, float, float]) -> ca.SX:
    tilt = ca.trace(ca.DM.eye(3) - quaternion.rotation(x[6:10])) / 2
    parts = ca.vertcat(ca.sumsqr(x[:3] - target), ca.sumsqr(x[3:6]), tilt, ca.sumsqr(x[10:13]))
    cost: ca.SX = ca.dot(ca.SX(weights), parts)
    return cost


def stage_cost(x: ca.SX, u: ca.SX, target: ca.SX) -> ca.SX:
    return _cost(x, target, (5e-4, 2.0, 0.01, 0.05)) + 1e-4 * ca.sumsqr(u)


def terminal_cost(x: ca.SX, target: ca.SX) -> ca.SX:
    return _cost(x, target, (10.0, 6.0, 1.0, 5.0))


def _in_order(state: np.ndarray) -> np.ndarray:
    return quaternion.normalised(state, 6)


def _at(position: tuple[float, float, float]) -> np.ndarray:
    return np.array([*position, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], dtype=np.float64)


def _system(name: str, **rest: object) -> System:
    given = {
        "version": 1,
        "state": STATE,
        "control": CONTROL,
        "target": TARGET,
        "horizon": HORIZON,
        "control_dt": CONTROL_DT,
        "dynamics": dynamics,
        "stage_cost": stage_cost,
        "terminal_cost": terminal_cost,
        "offset": -1.0,
        "control_low": np.full(4, -np.inf),
        "control_high": np.full(4, np.inf),
        "after": _in_order,
    }
    return System(name=name, **(given | rest))  # type: ignore[arg-type]


# --- The gate: a wall at WALL_X with an opening, of which the robot knows nothing.

WALL_X = 10.0  # [m]
OPENING = np.array([[3.5, 6.5], [4.0, 5.4]])  # [m] y, z
TARGETS = np.array([[19.0, y, 9.0] for y in (1.0, 5.0, 9.0)])
_BUMP_X, _CENTRES, _SHARPNESS = 9.8, np.linspace(0.0, 10.0, 10), 0.45  # [m], [m], [1/m]


def gate_features(x: ca.SX) -> ca.SX:
    """Ten bumps in (x, y) and ten in (x, z), all of them in the plane of the wall."""
    across = [(x[0] - _BUMP_X) ** 2 + (x[i] - c) ** 2 for i in (1, 2) for c in _CENTRES]
    bumps: ca.SX = ca.exp(-(_SHARPNESS**2) * ca.vertcat(*across))
    return bumps


def _gate_truth() -> np.ndarray:
    """(20,) a theta that tells the opening from the rest of the wall; see `telling_apart`."""
    grid = np.linspace(-0.5, 10.5, 45)
    y, z = (part.ravel() for part in np.meshgrid(grid, grid))
    phi = np.exp(
        -(_SHARPNESS**2) * np.concatenate([(y[:, None] - _CENTRES) ** 2, (z[:, None] - _CENTRES) ** 2], axis=1)
    )
    depth = np.min([y - OPENING[0, 0], OPENING[0, 1] - y, z - OPENING[1, 0], OPENING[1, 1] - z], axis=0)
    return telling_apart(phi, depth > 0.35, depth < -0.05, -1.0, (np.full(20, -60.0), np.full(20, 60.0)))


def gate_start(rng: np.random.Generator, episode: int) -> Situation:
    return Situation(_at((0.1, rng.uniform(4.0, 6.0), 0.5)), TARGETS[episode % len(TARGETS)])


def near_target(state: np.ndarray, target: np.ndarray) -> bool:
    return bool(np.linalg.norm(state[:3] - target) < 0.5)


def through_the_gate(states: np.ndarray) -> bool:
    """Every crossing of the wall's plane lies in the opening, and there is one."""
    before, after = states[:-1, :3], states[1:, :3]
    crossed = (before[:, 0] < WALL_X) != (after[:, 0] < WALL_X)
    if not crossed.any():
        return False
    share = (WALL_X - before[crossed, 0]) / (after[crossed, 0] - before[crossed, 0])
    where = (before[crossed] + share[:, None] * (after[crossed] - before[crossed]))[:, 1:]
    return bool(((where > OPENING[:, 0]) & (where < OPENING[:, 1])).all())


GATE = Game(
    system=_system(
        "uav-gate",
        features=gate_features,
        weights=(0.0,) * 5 + tuple(0.8**k for k in range(10)) + (0.0,),
        theta_low=np.full(20, -80.0),
        theta_high=np.full(20, 100.0),
        gamma=50.0,
    ),
    truth=_gate_truth(),
    start=gate_start,
    max_steps=400,
    reached=near_target,
    passed=through_the_gate,
    directions=DIRECTIONS,
    targets=len(TARGETS),
)


# --- The tube: a slanted corridor that must not be left, while what is to be reached may lie beside it.

TUBE_AXIS = np.array([[0.0, 5.0, 5.0], [15.0, 5.0, 8.0]])  # [m] from here to there
TUBE_RADIUS = 1.5  # [m] in planes of constant x
_TUBE_SCALE = np.array([15.0, 5.0, 10.0])  # [m] positions are measured in, y and z from the tube's beginning
_SLOPE = (TUBE_AXIS[1] - TUBE_AXIS[0])[1:] / TUBE_AXIS[1, 0]  # of y and z over x


def tube_features(x: ca.SX) -> ca.SX:
    """Powers of x, y and z up to the third, and the products of two of them, all scaled to about 1."""
    at = (x[:3] - ca.DM(TUBE_AXIS[0])) / ca.DM(_TUBE_SCALE)
    powers = [at[i] ** k for i in range(3) for k in (3, 2, 1)]
    return ca.vertcat(*powers, at[0] * at[1], at[0] * at[2], at[1] * at[2])


def _tube_truth() -> np.ndarray:
    """(12,) with which g of a single position is ((y - y_c(x))^2 + (z - z_c(x))^2) / radius^2 - 1, exactly."""
    sx, sy, sz = _TUBE_SCALE
    ky, kz = _SLOPE * sx
    share = 1.0 / TUBE_RADIUS**2
    truth = np.zeros(12)
    truth[1] = share * (ky**2 + kz**2)  # x^2
    truth[4], truth[7] = share * sy**2, share * sz**2  # y^2, z^2
    truth[9], truth[10] = -2 * share * sy * ky, -2 * share * sz * kz  # x y, x z
    return truth


def _tube_start(rng: np.random.Generator, episode: int) -> Situation:
    aside = rng.uniform(-0.5, 0.5, 2)
    target = np.array([19.0, (2.0, 5.0, 8.0)[episode % 3], 9.0])
    return Situation(_at((0.1, 5.0 + aside[0], 5.0 + aside[1])), target)


def _through_the_tube(states: np.ndarray) -> bool:
    """Never further from the axis than the radius, as far as the tube goes."""
    along = states[states[:, 0] < TUBE_AXIS[1, 0]]
    aside = along[:, 1:3] - TUBE_AXIS[0, 1:] - along[:, :1] * _SLOPE
    return bool((np.linalg.norm(aside, axis=1) < TUBE_RADIUS).all())


def _past_the_tube(state: np.ndarray, target: np.ndarray) -> bool:
    return bool(state[0] > TUBE_AXIS[1, 0])


TUBE = Game(
    system=_system(
        "uav-tube",
        features=tube_features,
        weights=(0.0,) * 4 + (1.0,) + (0.0,) * 11,
        theta_low=np.full(12, -80.0),
        theta_high=np.full(12, 200.0),
        gamma=60.0,
    ),
    truth=_tube_truth(),
    start=_tube_start,
    max_steps=200,
    reached=_past_the_tube,
    passed=_through_the_tube,
    directions=DIRECTIONS,
    targets=3,
)
