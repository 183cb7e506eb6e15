"""A command of any mode, made into wanted joint velocities, which the governor then holds to limits.

Targets are approached along a straight line, of joints or of the hand, at a speed that falls with the distance: v = k x
close by, and v = sqrt(2 a (x - x0 / 2)) further away than x0 = a / k^2, where both meet with the same slope. Such a
speed never falls faster than `a`; with `a` at half of what the joints may do, they follow and do not overshoot.
"""

from __future__ import annotations

import math

import numpy as np

from hardware.arm import Command
from hardware.kinematics import LEVER, joint_velocities, turn
from hardware.limits import Envelope
from hardware.target import Here
from robot_learn.franka import ArmParameters

GAIN = 8.0  # [1/s] k
HAND_ACCELERATION = 0.6  # [m/s^2] of the hand on its way to a pose; a turn counts by `LEVER`
_NEAR = 0.05  # [m] of a pose, within which the spare joint is left alone more and more
_POSTURE_GAIN = 0.5  # [1/s] how fast the spare joint returns to where it was at the start


def approach(distance: float, acceleration: float, gain: float = GAIN) -> float:
    """How fast to go when so far from the target; in the units of `distance`, per second."""
    near = acceleration / gain**2
    return gain * distance if distance <= near else math.sqrt(2 * acceleration * (distance - near / 2))


class Wanted:
    """Wanted joint velocities of commands.

    Args:
        posture: (7,) [rad] that the hand's modes draw the spare joint to.
    """

    def __init__(self, parameters: ArmParameters, envelope: Envelope, posture: np.ndarray) -> None:
        self._fastest = envelope.velocity_share * parameters.velocity
        self._acceleration: list[float] = (0.5 * envelope.acceleration_share * parameters.acceleration).tolist()
        self._hand_speed = envelope.hand_speed
        self._posture = posture.copy()

    def __call__(self, command: Command, here: Here) -> np.ndarray:
        """Joint velocities (7,) [rad/s] that follow `command` where the arm stands."""
        values = command.values
        match command.mode:
            case "joint_velocity":
                return np.asarray(values, dtype=float)
            case "joint_position":
                return self._to_joints(values - here.reference)
            case "twist":
                return self._to_twist(values, here, 1.0)
            case "pose":
                way, distance = self._to_pose(values, here.kinematics.T_base_ee())
                return self._to_twist(way, here, min(1.0, distance / _NEAR))

    def _to_joints(self, way: np.ndarray) -> np.ndarray:
        sizes = np.abs(way).tolist()
        # All joints share one time scale, so that they arrive together and the line is straight.
        rates = [approach(size, most) / size for size, most in zip(sizes, self._acceleration, strict=True) if size]
        return way * min(rates, default=0.0)

    def _to_pose(self, T_base_target: np.ndarray, T: np.ndarray) -> tuple[np.ndarray, float]:
        way = np.concatenate([T_base_target[:3, 3] - T[:3, 3], turn(T[:3, :3], T_base_target[:3, :3])])
        distance = float(np.sqrt(way[:3] @ way[:3] + LEVER**2 * (way[3:] @ way[3:])))
        if distance == 0.0:
            return way, 0.0
        return way * (min(self._hand_speed, approach(distance, HAND_ACCELERATION)) / distance), distance

    def _to_twist(self, twist: np.ndarray, here: Here, idling: float) -> np.ndarray:
        # Damping lets some of the spare joint's motion through to the hand: none of it near a target.
        idle = idling * _POSTURE_GAIN * (self._posture - here.reference)
        return joint_velocities(here.hand_jacobian(), twist, idle, -self._fastest, self._fastest)
