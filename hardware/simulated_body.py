"""A simulated arm's body: MuJoCo's joints under the arm's own joint controller, what they feel, and the gripper.

The controller is the one inside a Franka arm in its velocity mode: it integrates the velocities that it is sent to a
reference, and holds the joints to that reference with a spring and a damper. Arm and base frame stand at the world's
origin.
"""

from __future__ import annotations

import mujoco
import numpy as np

from hardware.arm import Gripper
from hardware.kinematics import Kinematics
from robot_learn.errors import UserError

_SPRING = 30.0  # [1/s] spring over damper: 9000 Nm/rad where the damper is 300 Nm s/rad; settles in 0.1 s
_DAMPER = np.array([300.0, 300.0, 300.0, 300.0, 60.0, 60.0, 60.0])  # [Nm s/rad] of the servos that we make of motors
_SMOOTHING = 0.005  # [s] of the external torques, as the arm's own estimate is smoothed
_SINGULAR = 1e-4 * np.eye(6)  # of the least squares that makes a wrench of torques
_LIMIT, _FRICTION = mujoco.mjtConstraint.mjCNSTR_LIMIT_JOINT, mujoco.mjtConstraint.mjCNSTR_FRICTION_DOF
_STILL, _BLOCKED = 0.005, 0.002  # [m/s], [m] off what is wanted: the fingers hold something


class Body:
    """Joints "joint1" to "joint7", actuators of the same names, velocity servos or torque motors, perhaps a "gripper".

    Args:
        model: stepped at `tick` or a whole part of it. The gripper's force limit is lowered to `grip_force` [N] until
            `close`.

    Raises:
        UserError: the model lacks a joint or an actuator, or has none of these kinds.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, tick: float, grip_force: float) -> None:
        self.model, self.data, self._tick = model, data, tick
        names = [f"joint{i}" for i in range(1, 8)]
        joints = [_number(model, mujoco.mjtObj.mjOBJ_JOINT, name) for name in names]
        self._positions, self._velocities = model.jnt_qposadr[joints], model.jnt_dofadr[joints]
        self._actuators = np.array([_number(model, mujoco.mjtObj.mjOBJ_ACTUATOR, name) for name in names])
        self._servos = _are_servos(model, self._actuators)
        self._substeps = round(tick / model.opt.timestep)
        if self._substeps < 1 or abs(self._substeps * model.opt.timestep - tick) > 1e-9:
            raise UserError(
                f"the model's timestep is {model.opt.timestep:g} s; wanted the arm's tick, {tick:g} s, or a whole part"
            )
        self._kinematics = Kinematics()
        self._external = np.zeros(7)
        self._gripper = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_ACTUATOR, "gripper")
        self._force_range = model.actuator_forcerange[self._gripper].copy()
        if self.has_gripper:
            strongest = min(grip_force, float(self._force_range[1]) or grip_force)
            model.actuator_forcerange[self._gripper] = [-strongest, strongest]

    @property
    def has_gripper(self) -> bool:
        return bool(self._gripper >= 0)

    @property
    def q(self) -> np.ndarray:
        """(7,) [rad]"""
        return np.asarray(self.data.qpos[self._positions])

    @property
    def dq(self) -> np.ndarray:
        """(7,) [rad/s]"""
        return np.asarray(self.data.qvel[self._velocities])

    @property
    def torques(self) -> np.ndarray:
        """(7,) [Nm] of the motors, with what carries the arm's weight."""
        return np.asarray((self.data.qfrc_actuator + self.data.qfrc_gravcomp)[self._velocities])

    @property
    def external_torques(self) -> np.ndarray:
        """(7,) [Nm] from contacts and from forces that were applied, smoothed."""
        return self._external.copy()

    def T_base_ee(self) -> np.ndarray:  # noqa: N802
        """(4, 4) of the point between the fingertips."""
        self._kinematics.place(self.q)
        return self._kinematics.T_base_ee()

    def external_wrench(self) -> np.ndarray:
        """(6,) [N, Nm] at the point between the fingertips, base's axes, that would give the external torques."""
        if not self._external.any():
            return np.zeros(6)
        self._kinematics.place(self.q)
        J = self._kinematics.jacobian()
        return np.asarray(np.linalg.solve(J @ J.T + _SINGULAR, J @ self._external))

    def gripper(self, now: float) -> Gripper | None:
        """The gripper as it is."""
        if not self.has_gripper:
            return None
        opening = float(self.data.actuator_length[self._gripper])
        still = abs(float(self.data.actuator_velocity[self._gripper])) < _STILL
        grasped = still and opening > float(self.data.ctrl[self._gripper]) + _BLOCKED
        return Gripper(opening, grasped, now)

    def grip(self, opening: float) -> None:
        """Move the fingers so far apart [m]."""
        if self.has_gripper:
            self.data.ctrl[self._gripper] = opening

    def step(self, q_reference: np.ndarray, dq_reference: np.ndarray) -> None:
        """One tick towards a reference (7,) [rad], (7,) [rad/s]."""
        for _ in range(self._substeps):
            pulled = dq_reference + _SPRING * (q_reference - self.q)
            if self._servos:
                self.data.ctrl[self._actuators] = pulled
            else:
                self.data.ctrl[self._actuators] = _DAMPER * (pulled - self.dq)
            mujoco.mj_step(self.model, self.data)
        self._feel()

    def close(self) -> None:
        """Give the gripper its force limit back."""
        if self.has_gripper:
            self.model.actuator_forcerange[self._gripper] = self._force_range

    def _feel(self) -> None:
        """Smooth what contacts and applied forces do to the joints."""
        data = self.data
        forces = data.qfrc_constraint + data.qfrc_applied
        if data.nl + data.nf:
            forces -= self._own_forces()
        if data.xfrc_applied.any():
            forces += self._pushes()
        self._external += (forces[self._velocities] - self._external) * (self._tick / _SMOOTHING)

    def _own_forces(self) -> np.ndarray:
        """Of the joints' limits and friction (nv,), which MuJoCo counts among constraints and which are no contacts."""
        kinds, forces = self.data.efc_type, np.zeros(self.model.nv)
        own = (kinds == _LIMIT) | (kinds == _FRICTION)
        mujoco.mj_mulJacTVec(self.model, self.data, forces, np.where(own, self.data.efc_force, 0.0))
        return forces

    def _pushes(self) -> np.ndarray:
        """Of forces that were applied to bodies (nv,)."""
        data, forces = self.data, np.zeros(self.model.nv)
        for body in np.flatnonzero(data.xfrc_applied.any(axis=1)):
            force, torque = data.xfrc_applied[body, :3], data.xfrc_applied[body, 3:]
            mujoco.mj_applyFT(self.model, data, force, torque, data.xipos[body], int(body), forces)
        return forces


def _number(model: mujoco.MjModel, kind: mujoco.mjtObj, name: str) -> int:
    number = int(mujoco.mj_name2id(model, kind, name))
    if number < 0:
        raise UserError(f"a simulated arm needs a {kind.name.removeprefix('mjOBJ_').lower()} {name!r} in its model")
    return number


def _are_servos(model: mujoco.MjModel, actuators: np.ndarray) -> bool:
    """Whether the controls are velocities; if not, they are torques."""
    gains, biases = model.actuator_gainprm[actuators, 0], model.actuator_biasprm[actuators]
    plain = model.actuator_biastype[actuators] == mujoco.mjtBias.mjBIAS_NONE
    if (plain & (gains == 1.0)).all():
        return False
    if (~plain & (biases[:, 1] == 0) & (biases[:, 2] == -gains)).all():
        return True
    raise UserError("a simulated arm needs velocity servos or torque motors of gain 1 as its seven actuators")
