"""A seven-joint Franka arm that carries its hand across a low obstacle that only the person knows of.

Here the arm is what its velocity controller makes of it: joint angles that go where joint velocities send them. The
kinematics are the manufacturer's, in Craig's convention of Denavit and Hartenberg.
"""

from __future__ import annotations

import casadi as ca
import numpy as np

from controllers.systems.system import Game, Situation, System
from robot_learn.franka import DH_LENGTH, DH_OFFSET, DH_TWIST, FLANGE_HEIGHT, FR3, TCP_HEIGHT

CONTROL_DT = 0.1  # [s]
HORIZON = 20
REST = np.array([0.0, 0.2, 0.0, -2.1, 0.0, 2.3, np.pi / 4])  # [rad] hand low and half way out
_HAND = FLANGE_HEIGHT + TCP_HEIGHT  # [m] along z of frame 7, between the fingertips


def frames(q: ca.SX) -> list[tuple[ca.SX, ca.SX]]:
    """Rotations (3, 3) and origins (3,) [m], seen from the base, of frames 1 to 7 at joint angles (7,) [rad]."""
    rotation, origin = ca.SX.eye(3), ca.SX.zeros(3)
    found = []
    for i in range(7):
        origin = origin + rotation @ ca.vertcat(
            DH_LENGTH[i], -np.sin(DH_TWIST[i]) * DH_OFFSET[i], np.cos(DH_TWIST[i]) * DH_OFFSET[i]
        )
        rotation = rotation @ _about_x(DH_TWIST[i]) @ _about_z(q[i])
        found.append((rotation, origin))
    return found


def points(q: ca.SX) -> dict[str, ca.SX]:
    """Points of the arm (3,) [m], seen from the base, that must not go everywhere."""
    seen = frames(q)
    along = seen[6][0][:, 2]
    return {
        "elbow": seen[3][1],
        "wrist": seen[5][1],
        "flange": seen[6][1] + FLANGE_HEIGHT * along,
        "hand": seen[6][1] + _HAND * along,
    }


def _about_x(angle: float) -> ca.DM:
    c, s = np.cos(angle), np.sin(angle)
    return ca.DM(np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]]))


def _about_z(angle: ca.SX) -> ca.SX:
    c, s = ca.cos(angle), ca.sin(angle)
    return ca.vertcat(ca.horzcat(c, -s, 0), ca.horzcat(s, c, 0), ca.horzcat(0, 0, 1))


def dynamics(x: ca.SX, u: ca.SX) -> ca.SX:
    return x + CONTROL_DT * u


def stage_cost(x: ca.SX, u: ca.SX, target: ca.SX) -> ca.SX:
    """Towards the target without hurry; the posture settles what seven joints leave open of three coordinates."""
    return 10 * ca.sumsqr(points(x)["hand"] - target) + 3 * ca.sumsqr(u) + 0.05 * ca.sumsqr(x[1:] - REST[1:])


def terminal_cost(x: ca.SX, target: ca.SX) -> ca.SX:
    return 60 * ca.sumsqr(points(x)["hand"] - target)


HEIGHTS = np.linspace(0.1, 0.82, 10)  # [m]
REACHES = np.linspace(0.3, 0.7, 6)  # [m]


def gate(y: ca.SX) -> ca.SX:
    """How much the hand is where it passes from one side of the table to the other."""
    return 1 / (1 + ca.exp(-50 * (0.15**2 - y**2)))


def features(x: ca.SX) -> ca.SX:
    """Gaussian bumps over the hand's height and its distance in front of the base, felt only half way across."""
    hand = points(x)["hand"]
    heights = ca.exp(-((12 * (hand[2] - ca.DM(HEIGHTS))) ** 2))
    reaches = ca.exp(-((12 * (hand[0] - ca.DM(REACHES))) ** 2))
    return gate(hand[1]) * ca.vertcat(heights, reaches)


SYSTEM = System(
    name="franka-joints",
    version=1,
    state=tuple(f"joint {i} [rad]" for i in range(1, 8)),
    control=tuple(f"joint {i} [rad/s]" for i in range(1, 8)),
    target=("hand x [m]", "hand y [m]", "hand z [m]"),
    horizon=HORIZON,
    control_dt=CONTROL_DT,
    dynamics=dynamics,
    stage_cost=stage_cost,
    terminal_cost=terminal_cost,
    features=features,
    weights=(0.0, *(0.9 ** (k - 1) for k in range(1, 6)), *(0.0,) * (HORIZON - 5)),
    offset=-0.8,
    theta_low=np.full(16, -3.0),
    theta_high=np.full(16, 5.0),
    gamma=1.0,
    control_low=-FR3.velocity / 2,
    control_high=FR3.velocity / 2,
)

_Q = ca.SX.sym("q", 7)
_HAND_AT = ca.Function("hand", [_Q], [points(_Q)["hand"]])
TARGETS = np.array([[0.5, 0.4, 0.25], [0.5, 0.4, 0.35], [0.5, 0.4, 0.45]])  # [m]
OBSTACLE = 0.36  # [m] what the person knows to stand half way across, and how high it is


def hand(states: np.ndarray) -> np.ndarray:
    """Where the hand is (N, 3) [m], seen from the base, at joint angles (N, 7)."""
    return np.array(_HAND_AT(np.atleast_2d(states).T)).T


def start(rng: np.random.Generator, episode: int) -> Situation:
    q = REST + np.concatenate([rng.uniform((-0.75,), (-0.6,)), rng.uniform(-0.05, 0.05, 6)])
    return Situation(q, TARGETS[episode % len(TARGETS)])


def reached(state: np.ndarray, target: np.ndarray) -> bool:
    return bool(np.linalg.norm(hand(state)[0] - target) <= 0.03)


def passed(states: np.ndarray) -> bool:
    """The hand was above the obstacle for as long as it was half way across."""
    way = hand(states)
    across = np.abs(way[:, 1]) < 0.08
    return bool((way[across, 2] > OBSTACLE).all())


# Low is forbidden, high is not, and how far out the hand is does not matter.
TRUTH = np.concatenate([np.where(HEIGHTS < OBSTACLE, 1.5, -0.1), np.zeros(len(REACHES))])

_UP, _ACROSS = np.array([0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0]), np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])

GAME = Game(
    system=SYSTEM,
    truth=TRUTH,
    start=start,
    max_steps=100,
    reached=reached,
    passed=passed,
    directions={"left": _ACROSS, "right": -_ACROSS, "up": _UP, "down": -_UP},
    targets=len(TARGETS),
)
