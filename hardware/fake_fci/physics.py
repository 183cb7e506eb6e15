"""The arm itself: MuJoCo with torque motors, the controller's inner loops around it, and what its sensors would tell.

The inner loops are joint impedance and Cartesian impedance, as Franka's controller has them: springs and dampers
towards the reference, with the arm's own dynamics fed forward. Weight is carried by the model itself (gravity
compensation).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import mujoco
import numpy as np

from hardware.fake_fci.kinematics import Skeleton, difference
from hardware.fake_fci.motion import DT, Reference
from robot_learn.errors import UserError
from robot_learn.franka import ArmParameters

# Defaults of the joint impedance [Nm/rad]; it is damped critically for the inertia that each joint feels.
JOINT_STIFFNESS = (3000.0, 3000.0, 3000.0, 2500.0, 2500.0, 2000.0, 2000.0)
CARTESIAN_STIFFNESS = (3000.0, 3000.0, 3000.0, 300.0, 300.0, 300.0)  # [N/m, Nm/rad]
_SPARE_STIFFNESS, _SPARE_DAMPING = (
    10.0,
    5.0,
)  # [Nm/rad], [Nms/rad] of the joint that the Cartesian impedance leaves free
_FLOATING = 2.0  # [Nms/rad] while the arm is guided by hand
_FILTER = 2 * np.pi * 50.0 * DT / (1 + 2 * np.pi * 50.0 * DT)  # of external torques: first order, 50 Hz
_NEEDED = ("joint1", "joint2", "joint3", "joint4", "joint5", "joint6", "joint7")


@dataclass(eq=False)
class Tool:
    """What is at the end of the arm. Lengths in m, masses in kg; inertias about the centre, along the flange's axes."""

    F_T_NE: np.ndarray  # (4, 4) nominal end effector, seen from the flange
    NE_T_EE: np.ndarray = field(default_factory=lambda: np.eye(4))
    EE_T_K: np.ndarray = field(default_factory=lambda: np.eye(4))
    mass: float = 0.0
    centre: np.ndarray = field(default_factory=lambda: np.zeros(3))
    inertia: np.ndarray = field(default_factory=lambda: np.zeros((3, 3)))
    load: float = 0.0
    load_centre: np.ndarray = field(default_factory=lambda: np.zeros(3))
    load_inertia: np.ndarray = field(default_factory=lambda: np.zeros((3, 3)))

    @property
    def F_T_EE(self) -> np.ndarray:  # noqa: N802 - frames keep their names
        return np.asarray(self.F_T_NE @ self.NE_T_EE)


@dataclass(eq=False)
class Sensed:
    """What the controller knows of the arm after a tick; seen from the base."""

    q: np.ndarray  # (7,) [rad]
    dq: np.ndarray  # (7,) [rad/s]
    tau_J: np.ndarray  # noqa: N815 - (7,) [Nm] in the joints, weight included
    tau_ext: np.ndarray  # (7,) [Nm] filtered; positive is what the arm does to the world
    O_F_ext: np.ndarray  # (6,) [N, Nm] the same as a wrench at the stiffness frame, along the base's axes
    K_F_ext: np.ndarray  # (6,) [N, Nm] the same along the stiffness frame's axes
    O_T_EE: np.ndarray  # (4, 4)


class Physics:
    """One arm in its world. Between calls `data` is as `mj_step1` leaves it: all poses belong to the newest state.

    Args:
        model: joints, degrees of freedom and actuators 0 to 6 are the arm's, actuators being torques; time step 1 ms.
            What carries the arm's weight is set in it (body_gravcomp, before it was compiled).
        data: stepped by this object and by nobody else.

    Raises:
        UserError: the model is none of an arm with torque motors at 1 ms.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, arm: ArmParameters) -> None:
        _check(model)
        self.model, self.data, self.arm = model, data, arm
        self.skeleton = Skeleton(model)
        self.tool = _tool(model, self.skeleton)
        self.joint_stiffness = np.array(JOINT_STIFFNESS)
        self.cartesian_stiffness = np.array(CARTESIAN_STIFFNESS)
        self.pushing = False  # somebody has written data.xfrc_applied
        self._diagonal = model.dof_Madr[:7]
        self._wide, self._product = np.zeros(model.nv), np.zeros(model.nv)
        self.refresh()

    def refresh(self) -> None:
        """Begin anew from what is in `data`; whoever changes positions there calls this."""
        mujoco.mj_forward(self.model, self.data)
        mujoco.mj_step1(self.model, self.data)
        self._tau_ext = np.zeros(7)
        self.sensed = self._sense(self._gravity())

    def look(self) -> None:
        """Tell anew what is sensed, after the end effector has become another."""
        self.sensed = self._sense(self.sensed.tau_J)

    # Inner loops: torques (7,) [Nm] beside the weight's.

    def joint_impedance(self, reference: Reference) -> np.ndarray:
        """Springs and dampers in the joints."""
        q, dq = self.sensed.q, self.sensed.dq
        damping = 2 * np.sqrt(self.joint_stiffness * self.data.qM[self._diagonal])
        spring = self.joint_stiffness * (reference.q - q) + damping * (reference.dq - dq)
        return np.asarray(spring + self._feedforward(reference))

    def cartesian_impedance(self, reference: Reference) -> np.ndarray:
        """A spring and damper at the end effector; the spare joint is drawn weakly to the reference's."""
        here = self.sensed.O_T_EE
        J = self.skeleton.jacobian(here[:3, 3], self.data)
        felt = 1 / np.maximum(np.sum(J**2 / self.data.qM[self._diagonal], axis=1), 1e-6)  # [kg, kg m^2], roughly
        damping = 2 * np.sqrt(self.cartesian_stiffness * felt)
        wrench = self.cartesian_stiffness * difference(here, reference.pose)
        wrench += damping * (reference.twist - J @ self.sensed.dq)
        spare = _SPARE_STIFFNESS * (reference.q - self.sensed.q) + _SPARE_DAMPING * (reference.dq - self.sensed.dq)
        spare -= J.T @ np.linalg.solve(J @ J.T + 1e-6 * np.eye(6), J @ spare)
        return np.asarray(J.T @ wrench + spare + self._feedforward(reference))

    def floating(self) -> np.ndarray:
        """Nothing but damping: the arm can be led by the hand."""
        return np.asarray(-_FLOATING * self.sensed.dq)

    def coriolis(self) -> np.ndarray:
        """Coriolis and centrifugal torques (7,), as motors feel them."""
        return np.asarray(self.data.qfrc_bias[:7] - self._gravity())

    def _gravity(self) -> np.ndarray:
        return np.array(self.data.qfrc_gravcomp[:7])

    def _feedforward(self, reference: Reference) -> np.ndarray:
        self._wide[:7] = reference.ddq
        mujoco.mj_mulM(self.model, self.data, self._product, self._wide)
        return np.asarray(self._product[:7] + self.coriolis() + self.model.dof_damping[:7] * reference.dq)

    def step(self, tau: np.ndarray) -> Sensed:
        """One millisecond with these torques (7,) [Nm] beside those that carry arm and load, as far as motors can."""
        weight = self._gravity()
        if self.tool.load:
            tau = tau + self._load_torque()
        limit = self.arm.torque
        applied = np.clip(tau + weight, -limit, limit)
        self.data.ctrl[:7] = applied - weight
        mujoco.mj_step2(self.model, self.data)
        tau_ext = self._external()
        damping = self.model.dof_damping[:7] * self.data.qvel[:7]
        mujoco.mj_step1(self.model, self.data)
        self._tau_ext = self._tau_ext + _FILTER * (tau_ext - self._tau_ext)
        self.sensed = self._sense(applied - damping)
        return self.sensed

    def _load_torque(self) -> np.ndarray:
        flange = self.skeleton.flange(self.data)
        at = flange[:3, 3] + flange[:3, :3] @ self.tool.load_centre
        weight = self.skeleton.to_base(-self.tool.load * self.model.opt.gravity)
        return np.asarray(self.skeleton.jacobian(at, self.data)[:3].T @ weight)

    def _external(self) -> np.ndarray:
        """Torques (7,) with which the arm resists all that is not itself, in the step just made: contacts and pushes.

        The sign is the controller's: what its sensors say beyond its model, so what the arm does to the world.
        """
        data = self.data
        torque = np.array(data.qfrc_constraint[:7])
        if data.nl or data.nf:  # the ends of ranges and dry friction are the arm's own
            kind = data.efc_type[: data.nefc]
            own = data.efc_force[: data.nefc] * ((kind == _FRICTION) | (kind == _LIMIT))
            felt = np.zeros(self.model.nv)
            mujoco.mj_mulJacTVec(self.model, data, felt, own)
            torque -= felt[:7]
        if self.pushing:
            known = data.qfrc_passive - data.qfrc_bias + data.qfrc_applied + data.qfrc_actuator
            torque += (data.qfrc_smooth - known)[:7]
        if self.tool.load:
            torque += self._load_torque()
        return np.asarray(-torque)

    def _sense(self, tau_J: np.ndarray) -> Sensed:
        pose = self.skeleton.flange(self.data) @ self.tool.F_T_EE
        O_F, K_F = np.zeros(6), np.zeros(6)
        if np.abs(self._tau_ext).max() > 1e-6:
            O_T_K = pose @ self.tool.EE_T_K
            J = self.skeleton.jacobian(O_T_K[:3, 3], self.data)
            # The wrench at K that explains the torques best; the damping keeps it finite at singular postures.
            O_F = np.linalg.solve(J @ J.T + 1e-8 * np.eye(6), J @ self._tau_ext)
            R = O_T_K[:3, :3].T
            K_F = np.concatenate([R @ O_F[:3], R @ O_F[3:]])
        q, dq = np.array(self.data.qpos[:7]), np.array(self.data.qvel[:7])
        return Sensed(q, dq, tau_J, self._tau_ext, O_F, K_F, pose)


_FRICTION, _LIMIT = int(mujoco.mjtConstraint.mjCNSTR_FRICTION_DOF), int(mujoco.mjtConstraint.mjCNSTR_LIMIT_JOINT)


def _check(model: mujoco.MjModel) -> None:
    names = tuple(model.joint(i).name for i in range(min(7, model.njnt)))
    if names != _NEEDED or model.nu < 7:
        raise UserError(
            f"fake arm: wanted a model whose first joints are {', '.join(_NEEDED)}, came {', '.join(names)}"
        )
    if np.any(model.actuator_biastype[:7] != int(mujoco.mjtBias.mjBIAS_NONE)) or np.any(
        model.actuator_gainprm[:7, 0] != 1.0
    ):
        raise UserError("fake arm: wanted a model whose first seven actuators are torques, came servos")
    if abs(model.opt.timestep - DT) > 1e-9:
        raise UserError(f"fake arm: wanted a model with a time step of {DT} s, came {model.opt.timestep} s")


def _tool(model: mujoco.MjModel, skeleton: Skeleton) -> Tool:
    """The hand as the model has it; without one, a bare flange."""
    try:
        tcp, hand = model.site("tcp"), model.body("hand").id
    except KeyError:
        return Tool(np.eye(4))
    data = skeleton.data
    skeleton.move(np.zeros(7))
    O_T_F = skeleton.flange()
    inverse = np.linalg.inv(O_T_F)
    O_T_NE = np.eye(4)
    O_T_NE[:3, :3] = np.stack([skeleton.to_base(axis) for axis in data.site_xmat[tcp.id].reshape(3, 3).T], axis=1)
    O_T_NE[:3, 3] = skeleton.to_base(data.site_xpos[tcp.id] - data.body("link0").xpos)
    parts = [i for i in range(model.nbody) if i == hand or model.body_parentid[i] == hand]
    masses = model.body_mass[parts]
    centres = np.stack([skeleton.to_base(data.xipos[i] - data.body("link0").xpos) for i in parts])
    centre = masses @ centres / masses.sum()
    inertia = np.zeros((3, 3))
    for i, mass, at in zip(parts, masses, centres, strict=True):
        axes = np.stack([skeleton.to_base(axis) for axis in data.ximat[i].reshape(3, 3).T], axis=1)
        off = at - centre
        inertia += axes @ np.diag(model.body_inertia[i]) @ axes.T + mass * (off @ off * np.eye(3) - np.outer(off, off))
    R = inverse[:3, :3]
    return Tool(
        inverse @ O_T_NE,
        mass=float(masses.sum()),
        centre=R @ centre + inverse[:3, 3],
        inertia=R @ inertia @ R.T,
    )
