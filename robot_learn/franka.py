"""What is published about Franka's two seven-axis arms: the FER (first sold as "Panda") and the FR3.

Kinematics and limits are the manufacturer's. Inertias: of the FER those that Gaz, Cognetti, Oliva, Robuffo Giordano and
De Luca identified ("Dynamic Identification of the Franka Emika Panda Robot With Retrieval of Feasible Parameters Using
Penalty-Based Optimization", RA-L 2019), of the FR3 and of the hand those of the manufacturer's own robot description.
With the hand on they give the gravity torques that the controllers report, to 0.01 Nm (tests/sims/test_franka_arm.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_learn.errors import unknown

# Denavit-Hartenberg parameters in Craig's convention: joint i turns about z of frame i, which stands, seen from frame
# i - 1, at Rot_x(twist) Trans_x(length) Trans_z(offset). Both arms share them.
DH_LENGTH = (0.0, 0.0, 0.0, 0.0825, -0.0825, 0.0, 0.088)  # a [m]
DH_OFFSET = (0.333, 0.0, 0.316, 0.0, 0.384, 0.0, 0.0)  # d [m]
DH_TWIST = (0.0, -np.pi / 2, np.pi / 2, np.pi / 2, -np.pi / 2, np.pi / 2, np.pi / 2)  # alpha [rad]
FLANGE_HEIGHT = 0.107  # [m] along z of frame 7
HAND_ANGLE = -np.pi / 4  # [rad] of the hand about the flange's z
TCP_HEIGHT = 0.1034  # [m] from the hand's frame, between the fingertips
FINGER_HEIGHT = 0.0584  # [m] from the hand's frame to the fingers' frames
FINGER_TRAVEL = 0.04  # [m] of each finger: 0 closed
GRIP_FORCE = 70.0  # [N] the hand's continuous grasping force
TORQUE_RATE = 1000.0  # [Nm/s] of a joint
HOME = (0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4)  # [rad] flange level, pointing down


@dataclass(frozen=True)
class Inertia:
    """Mass distribution of one body, in the body's frame."""

    mass: float  # [kg]
    centre: tuple[float, float, float]  # centre of mass [m]
    tensor: tuple[float, float, float, float, float, float]  # about that centre: xx, yy, zz, xy, xz, yz [kg m^2]


@dataclass(frozen=True, eq=False)
class ArmParameters:
    """One arm. Arrays are (7,), base first."""

    lower: np.ndarray  # [rad]
    upper: np.ndarray  # [rad]
    velocity: np.ndarray  # [rad/s]
    acceleration: np.ndarray  # [rad/s^2]
    jerk: np.ndarray  # [rad/s^3]
    torque: np.ndarray  # [Nm]
    translation: tuple[float, float, float]  # of the hand: [m/s], [m/s^2], [m/s^3]
    rotation: tuple[float, float, float]  # of the hand: [rad/s], [rad/s^2], [rad/s^3]
    braking: np.ndarray | None  # [rad/s^2] near the end of a joint's range; None: velocity does not depend on position
    velocity_offset: np.ndarray | None  # [rad/s] goes with `braking`
    friction: np.ndarray  # [Nm] Coulomb friction
    armature: np.ndarray  # [kg m^2] rotor inertia as the arm's torque control leaves it to be felt
    damping: np.ndarray  # [Nm s/rad]
    links: tuple[Inertia, ...]  # links 1 to 7

    def velocity_bounds(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest joint velocities (7,) [rad/s] that are allowed at joint positions q (7,) [rad].

        On the FR3 they shrink towards the ends of the range, so that the arm can still brake:
        min(velocity, max(0, -offset + sqrt(2 braking (upper - q)))).
        """
        if self.braking is None or self.velocity_offset is None:
            return -self.velocity, self.velocity
        room_up, room_down = np.maximum(self.upper - q, 0.0), np.maximum(q - self.lower, 0.0)
        up = np.maximum(np.sqrt(2 * self.braking * room_up) - self.velocity_offset, 0.0)
        down = np.maximum(np.sqrt(2 * self.braking * room_down) - self.velocity_offset, 0.0)
        return -np.minimum(self.velocity, down), np.minimum(self.velocity, up)


BASE = Inertia(2.3966, (-0.0172, 0.0004, 0.0745), (0.0090, 0.0115, 0.0085, 0.0, 0.0020, 0.0))
HAND = Inertia(0.73, (-0.01, 0.0, 0.03), (0.001, 0.0025, 0.0017, 0.0, 0.0, 0.0))
FINGER = Inertia(0.015, (0.0, 0.0, 0.0), (2.375e-6, 2.375e-6, 7.5e-7, 0.0, 0.0, 0.0))

# Torque control hides most of the rotors. Armature, damping and the FR3's friction were identified in torque control on
# an FR3 (MuJoCo Menagerie's model of it); the FER's friction is Gaz's, half of each sigmoid's height.
_ARMATURE = np.array([0.195, 0.195, 0.195, 0.195, 0.074, 0.074, 0.074])
_DAMPING = np.full(7, 0.21)
_TORQUE = np.array([87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0])

FER = ArmParameters(
    lower=np.array([-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973]),
    upper=np.array([2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973]),
    velocity=np.array([2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61]),
    acceleration=np.array([15.0, 7.5, 10.0, 12.5, 15.0, 20.0, 20.0]),
    jerk=np.array([7500.0, 3750.0, 5000.0, 6250.0, 7500.0, 10000.0, 10000.0]),
    torque=_TORQUE,
    translation=(1.7, 13.0, 6500.0),
    rotation=(2.5, 25.0, 12500.0),
    braking=None,
    velocity_offset=None,
    friction=np.array([0.273, 0.436, 0.320, 0.640, 0.420, 0.152, 0.282]),
    armature=_ARMATURE,
    damping=_DAMPING,
    links=(
        Inertia(4.970684, (3.875e-3, 2.081e-3, -0.04762), (0.70337, 0.70661, 9.117e-3, -1.39e-4, 6.772e-3, 0.019169)),
        Inertia(0.646926, (-3.141e-3, -0.02872, 3.495e-3), (7.962e-3, 0.02811, 0.025995, -3.925e-3, 0.010254, 7.04e-4)),
        Inertia(
            3.228604, (0.027518, 0.039252, -0.066502), (0.037242, 0.036155, 0.01083, -4.761e-3, -0.011396, -0.012805)
        ),
        Inertia(
            3.587895, (-0.05317, 0.104419, 0.027454), (0.025853, 0.019552, 0.028323, 7.796e-3, -1.332e-3, 8.641e-3)
        ),
        Inertia(
            1.225946, (-0.011953, 0.041065, -0.038437), (0.035549, 0.029474, 8.627e-3, -2.117e-3, -4.037e-3, 2.29e-4)
        ),
        Inertia(
            1.666555, (0.060149, -0.014117, -0.010517), (1.964e-3, 4.354e-3, 5.433e-3, 1.09e-4, -1.158e-3, 3.41e-4)
        ),
        Inertia(
            0.735522, (0.010517, -4.252e-3, 0.061597), (0.012516, 0.010027, 4.815e-3, -4.28e-4, -1.196e-3, -7.41e-4)
        ),
    ),
)

FR3 = ArmParameters(
    lower=np.array([-2.9007, -1.8361, -2.9007, -3.0770, -2.8763, 0.4398, -3.0508]),
    upper=np.array([2.9007, 1.8361, 2.9007, -0.1169, 2.8763, 4.6216, 3.0508]),
    velocity=np.array([2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26]),
    acceleration=np.full(7, 10.0),
    jerk=np.full(7, 5000.0),
    torque=_TORQUE,
    translation=(3.0, 9.0, 4500.0),
    rotation=(2.5, 17.0, 8500.0),
    braking=np.array([6.0, 2.585, 3.5, 4.0, 17.0, 5.5, 17.0]),
    velocity_offset=np.array([0.6599, 0.2517, 0.2000, 0.3533, 0.5757, 0.4878, 0.4628]),
    friction=np.array([1.137, 1.137, 1.137, 1.137, 0.763, 0.44, 0.248]),
    armature=_ARMATURE,
    damping=_DAMPING,
    links=(
        Inertia(
            2.9274653,
            (4.128e-7, -0.01812513, -0.0386036),
            (0.0239273, 0.0224822, 0.0063501, 1.3318e-5, -1.1405e-4, -1.995e-3),
        ),
        Inertia(
            2.935537,
            (3.1828864e-3, -0.07432216, 8.8146084e-3),
            (0.0419389, 0.0251451, 0.0617021, 2.0257e-4, 4.07778e-3, -4.22522e-3),
        ),
        Inertia(
            2.2449014,
            (0.04070157, -4.8200565e-3, -0.02897308),
            (0.0241014, 0.0197405, 0.0190445, 2.40469e-3, -2.85627e-3, -2.10421e-3),
        ),
        Inertia(
            2.6155956,
            (-0.0459101, 0.0630493, -8.5187868e-3),
            (0.03453, 0.0288816, 0.0412547, 0.0132255, 0.0101514, -9.7628e-4),
        ),
        Inertia(
            2.3271208,
            (-1.6039605e-3, 0.02925363, -0.0972966),
            (0.0516103, 0.0478773, 0.0164236, -5.71517e-3, -3.56732e-3, 0.010674),
        ),
        Inertia(
            1.8170377,
            (0.05971312, -0.04102947, -0.01016927),
            (5.41233e-3, 0.0140583, 0.0160808, 6.19346e-3, 1.42193e-3, -1.31408e-3),
        ),
        Inertia(
            0.6271433,
            (4.5225817e-3, 8.6261921e-3, -0.01616333),
            (2.10924e-4, 1.77186e-4, 5.99319e-5, -2.4333e-5, 4.56448e-5, 8.74407e-5),
        ),
    ),
)

ARMS = {"fer": FER, "fr3": FR3}


def parameters(arm: str) -> ArmParameters:
    """The parameters of `arm`, "fer" or "fr3"."""
    if arm not in ARMS:
        raise unknown("Franka arm", arm, ARMS)
    return ARMS[arm]
