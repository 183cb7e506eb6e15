"""Motion generators: what each millisecond's command makes the arm follow, and the checks that it must pass.

The controller differentiates commands by backward differences over one tick and refuses what is beyond the published
limits: a reflex. A command that did not come is replaced by going on with the last acceleration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hardware.fake_fci.kinematics import Skeleton, difference, elbow_of, is_pose, moved
from hardware.fake_fci.udp import RobotCommand
from robot_learn.franka import ArmParameters

DT = 0.001  # [s]
# What a client may be off because states come to it as float32: one step of numbers between 2 and 4, twice, for both of
# two samples may be rounded. Of positions that is differentiated up to three times, of velocities up to two.
_ROUNDING = 2 * 2.4e-7
OF_POSITIONS = (_ROUNDING / DT, _ROUNDING / DT**2, _ROUNDING / DT**3)  # in velocity, acceleration and jerk
OF_VELOCITIES = (_ROUNDING, _ROUNDING / DT, _ROUNDING / DT**2)
Allowed = tuple[float, float, float]
_JOINT_ERRORS = (
    "position_limits_violation",
    "velocity_limits_violation",
    "velocity_discontinuity",
    "acceleration_discontinuity",
)


@dataclass(frozen=True, eq=False)
class Reference:
    """What the arm follows at a tick, and its derivatives; in Cartesian motions the joints follow from the pose."""

    q: np.ndarray  # (7,) [rad]
    dq: np.ndarray  # (7,) [rad/s]
    ddq: np.ndarray  # (7,) [rad/s^2]
    pose: np.ndarray  # (4, 4) O_T_EE
    twist: np.ndarray  # (6,) [m/s, rad/s] of the end effector
    acceleration: np.ndarray  # (6,) [m/s^2, rad/s^2]
    elbow: np.ndarray  # (3, 2) elbow and its first two derivatives

    @staticmethod
    def at_rest(q: np.ndarray, pose: np.ndarray) -> Reference:
        """Standing still at joint positions q (7,)."""
        elbow = np.zeros((3, 2))
        elbow[0] = elbow_of(q)
        return Reference(q.copy(), np.zeros(7), np.zeros(7), pose, np.zeros(6), np.zeros(6), elbow)


@dataclass(frozen=True, eq=False)
class Generators:
    """The generators of one arm.

    Attributes:
        arm: whose limits are checked.
        skeleton: to find joint positions for poses; it is left where the reference is.
        F_T_EE: (4, 4) the end effector, seen from the flange.
    """

    arm: ArmParameters
    skeleton: Skeleton
    F_T_EE: np.ndarray

    def joints(
        self,
        before: Reference,
        q: np.ndarray,
        dq: np.ndarray,
        allowed: Allowed = OF_VELOCITIES,
        prefix: str = "joint_motion_generator_",
    ) -> tuple[Reference, tuple[str, ...]]:
        """The reference at joint positions and velocities q, dq (7,), and the errors that they are."""
        ddq = (dq - before.dq) / DT
        errors = self._joint_errors(before, q, dq, ddq, allowed)
        if not np.isfinite(q + ddq).all():
            return before, tuple(prefix + error for error in errors)
        self.skeleton.move(q)
        pose = self.skeleton.flange() @ self.F_T_EE
        twist = self.skeleton.jacobian(pose[:3, 3]) @ dq
        following = Reference(q, dq, ddq, pose, twist, (twist - before.twist) / DT, _elbow(q, dq, ddq))
        return following, tuple(prefix + error for error in errors)

    def _joint_errors(
        self,
        before: Reference,
        q: np.ndarray,
        dq: np.ndarray,
        ddq: np.ndarray,
        allowed: Allowed,
    ) -> list[str]:
        # Each says what must hold, so that a number that is none fails it.
        velocity, acceleration, jerk = allowed
        bounds = self.arm.velocity_bounds(before.q)
        inside = (q >= self.arm.lower) & (q <= self.arm.upper)
        slow = (dq >= bounds[0] - velocity) & (dq <= bounds[1] + velocity)
        steady = np.abs(ddq) <= self.arm.acceleration + acceleration
        smooth = np.abs(ddq - before.ddq) <= (self.arm.jerk + jerk) * DT
        if (inside & slow & steady & smooth).all():
            return []
        held = (inside.all(), slow.all(), steady.all(), smooth.all())
        return [name for name, holds in zip(_JOINT_ERRORS, held, strict=True) if not holds]

    def joint_position(
        self, before: Reference, command: RobotCommand, *, first: bool
    ) -> tuple[Reference, tuple[str, ...]]:
        q = command.q.copy()
        if first and not np.all(np.abs(q - before.q) <= self.arm.velocity * DT):
            return before, ("joint_position_motion_generator_start_pose_invalid",)
        return self.joints(before, q, (q - before.q) / DT, OF_POSITIONS)

    def joint_velocity(
        self, before: Reference, command: RobotCommand, *, first: bool
    ) -> tuple[Reference, tuple[str, ...]]:
        dq = command.dq.copy()
        return self.joints(before, before.q + dq * DT, dq)

    def cartesian_position(
        self, before: Reference, command: RobotCommand, *, first: bool
    ) -> tuple[Reference, tuple[str, ...]]:
        if not is_pose(command.pose):
            return before, ("cartesian_position_motion_generator_invalid_frame",)
        twist = difference(before.pose, command.pose) / DT
        if first and not _slower(twist, self.arm.translation[0], self.arm.rotation[0]):
            return before, ("cartesian_position_motion_generator_start_pose_invalid",)
        return self._pose(before, command.pose.copy(), twist, command.elbow, OF_POSITIONS, first=first)

    def cartesian_velocity(
        self, before: Reference, command: RobotCommand, *, first: bool
    ) -> tuple[Reference, tuple[str, ...]]:
        if not np.all(np.isfinite(command.twist)):
            return before, ("cartesian_motion_generator_velocity_limits_violation",)
        twist = command.twist.copy()
        pose = moved(before.pose, twist * DT)
        return self._pose(before, pose, twist, command.elbow, OF_VELOCITIES, first=first)

    def _pose(
        self,
        before: Reference,
        pose: np.ndarray,
        twist: np.ndarray,
        elbow: np.ndarray | None,
        allowed: Allowed,
        *,
        first: bool,
    ) -> tuple[Reference, tuple[str, ...]]:
        """The reference with the end effector at a pose, moving by a twist (6,)."""
        acceleration = (twist - before.twist) / DT
        errors = self._cartesian_errors(before, twist, acceleration, allowed)
        errors += self._elbow_errors(before, elbow, first=first)
        if errors:
            return before, tuple(errors)
        O_T_F = pose @ np.linalg.inv(self.F_T_EE)
        q = self.skeleton.reach(O_T_F, before.q, None if elbow is None else float(elbow[0]))
        if q is None:
            return before, ("cartesian_motion_generator_joint_position_limits_violation",)
        following, wrong = self.joints(before, q, (q - before.q) / DT, allowed, "cartesian_motion_generator_joint_")
        return replace(following, pose=pose, twist=twist, acceleration=acceleration), wrong

    def _cartesian_errors(
        self, before: Reference, twist: np.ndarray, acceleration: np.ndarray, allowed: Allowed
    ) -> list[str]:
        jerk = (acceleration - before.acceleration) / DT
        names = ("velocity_limits_violation", "velocity_discontinuity", "acceleration_discontinuity")
        limits = zip(self.arm.translation, self.arm.rotation, allowed, strict=True)
        return [
            f"cartesian_motion_generator_{name}"
            for name, value, (linear, turning, more) in zip(names, (twist, acceleration, jerk), limits, strict=True)
            if not _slower(value, linear + more, turning + more)
        ]

    def _elbow_errors(self, before: Reference, elbow: np.ndarray | None, *, first: bool) -> list[str]:
        if elbow is None:
            return []
        errors = []
        if not self.arm.lower[2] <= elbow[0] <= self.arm.upper[2]:
            errors.append("cartesian_motion_generator_elbow_limit_violation")
        if first and not abs(elbow[0] - before.q[2]) <= self.arm.velocity[2] * DT:
            errors.append("cartesian_motion_generator_start_elbow_invalid")
        if elbow[1] != elbow_of(before.q)[1]:
            errors.append("cartesian_motion_generator_elbow_sign_inconsistent")
        return errors

    def lost(self, before: Reference) -> Reference:
        """The reference where no command came: the last acceleration goes on, as far as velocities are allowed."""
        low, high = self.arm.velocity_bounds(before.q)
        dq = np.clip(before.dq + before.ddq * DT, low, high)
        q = np.clip(before.q + dq * DT, self.arm.lower, self.arm.upper)
        following, _ = self.joints(before, q, dq)
        return following

    def brake(self, before: Reference, share: float = 0.9) -> Reference:
        """One tick of slowing down at nearly the largest acceleration."""
        step = share * self.arm.acceleration * DT
        dq = before.dq - np.clip(before.dq, -step, step)
        q = np.clip(before.q + dq * DT, self.arm.lower, self.arm.upper)
        following, _ = self.joints(before, q, dq)
        return following

    def may_end(self, last: Reference, *, cartesian: bool) -> tuple[str, ...]:
        """The errors of ending a motion here: it must have come to rest, as far as one tick of braking goes."""
        if cartesian and not _slower(last.twist, self.arm.translation[1] * DT, self.arm.rotation[1] * DT):
            return ("cartesian_motion_generator_velocity_discontinuity",)
        if not np.all(np.abs(last.dq) <= self.arm.acceleration * DT + OF_POSITIONS[0]):
            prefix = "cartesian_motion_generator_joint_" if cartesian else "joint_motion_generator_"
            return (prefix + "velocity_discontinuity",)
        return ()


def _slower(twist: np.ndarray, translation: float, rotation: float) -> bool:
    """Whether both halves (3,) of a twist or its derivative are short enough; False if a number is none."""
    linear, turning = float(twist[:3] @ twist[:3]), float(twist[3:] @ twist[3:])
    return linear <= translation**2 and turning <= rotation**2


def _elbow(q: np.ndarray, dq: np.ndarray, ddq: np.ndarray) -> np.ndarray:
    return np.array([elbow_of(q), [dq[2], 0.0], [ddq[2], 0.0]])
