"""Where the arm's points are and how they move: forward kinematics, Jacobians, and joint velocities for a twist.

The two arms share their kinematics. A MuJoCo model of frames alone, without mass or shape, is built from the published
Denavit-Hartenberg parameters; its `mj_kinematics` takes 2 microseconds, so that a 1 kHz loop can ask several times.
"""

from __future__ import annotations

import functools

import mujoco
import numpy as np
from scipy.linalg.lapack import dposv

from robot_learn import franka as published
from robot_learn.inverse_kinematics import within

POINTS = ("elbow", "wrist", "flange", "hand", "fingertip")  # "hand": where the fingers begin; "fingertip": between them
TIP = POINTS.index("fingertip")
LEVER = 0.25  # [m] what a wrong turn costs in least squares: 1 rad/s as much as 0.25 m/s
_SCALE = np.array([1.0, 1.0, 1.0, LEVER, LEVER, LEVER])
_DAMPING = 0.02**2 * np.eye(6)  # well under the square of the scaled Jacobian's usual singular values

_HEIGHTS = (
    ("flange", published.FLANGE_HEIGHT),
    ("hand", published.FLANGE_HEIGHT + published.FINGER_HEIGHT),
    ("fingertip", published.FLANGE_HEIGHT + published.TCP_HEIGHT),
)


@functools.cache
def _model() -> mujoco.MjModel:
    """Frames alone; nobody writes to it."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    body = spec.worldbody
    for i, twist in enumerate(published.DH_TWIST):
        length, offset = published.DH_LENGTH[i], published.DH_OFFSET[i]
        body = body.add_body(name=f"link{i + 1}", explicitinertial=True, mass=1.0, inertia=[1.0, 1.0, 1.0])
        body.quat = [np.cos(twist / 2), np.sin(twist / 2), 0.0, 0.0]
        body.pos = [length, -np.sin(twist) * offset, np.cos(twist) * offset]
        body.add_joint(name=f"joint{i + 1}", axis=[0, 0, 1])
        if i == 3:
            body.add_site(name="elbow")
        if i == 5:
            body.add_site(name="wrist")
    angle = published.HAND_ANGLE
    for name, height in _HEIGHTS:
        body.add_site(name=name, pos=[0, 0, height], quat=[np.cos(angle / 2), 0, 0, np.sin(angle / 2)])
    return spec.compile()


class Kinematics:
    """The arm's points at the joint positions that it was last placed at. One thread at a time."""

    def __init__(self) -> None:
        self._model = _model()
        self._data = mujoco.MjData(self._model)
        assert [self._model.site(i).name for i in range(len(POINTS))] == list(POINTS)
        self._qpos = self._data.qpos
        self._R = self._data.site_xmat[TIP].reshape(3, 3)  # stays a view of the model's memory
        self._J = np.zeros((len(POINTS), 3, 7))
        self.axes: np.ndarray = self._data.xaxis  # (7, 3) of the joints, in the base's frame
        self._rows = list(self._J)
        self._stacked = self._J.reshape(-1, 7)
        self.points: np.ndarray = (
            self._data.site_xpos
        )  # (5, 3) [m] `POINTS` in the base's frame; overwritten by `place`

    def place(self, q: np.ndarray) -> None:
        """Put the joints at q (7,) [rad]; `points` and `T_base_ee` follow."""
        self._qpos[:] = q
        mujoco.mj_kinematics(self._model, self._data)

    def T_base_ee(self) -> np.ndarray:  # noqa: N802
        """Pose (4, 4) of the point between the fingertips, with the hand's axes."""
        T = np.zeros((4, 4))
        T[:3, :3], T[:3, 3], T[3, 3] = self._R, self.points[TIP], 1.0
        return T

    def point_jacobians(self) -> np.ndarray:
        """(15, 7): times joint velocities, those of `POINTS`, three rows each. Overwritten by the next call."""
        mujoco.mj_comPos(self._model, self._data)
        for site, rows in enumerate(self._rows):
            mujoco.mj_jacSite(self._model, self._data, rows, None, site)
        return self._stacked

    def jacobian(self) -> np.ndarray:
        """(6, 7): times joint velocities, the twist [m/s, rad/s] of the point between the fingertips, base's axes."""
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_jacSite(self._model, self._data, self._rows[TIP], None, TIP)
        return np.concatenate([self._rows[TIP], self.axes.T])


def joint_velocities(
    J: np.ndarray, twist: np.ndarray, idle: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Joint velocities (7,) between `low` and `high` that move the hand with a twist (6,) [m/s, rad/s] as nearly as
    damped least squares can, and otherwise keep close to `idle` (7,) [rad/s].

    Args:
        J: Jacobian (6, 7) of the point between the fingertips.
    """
    return within(_SCALE[:, None] * J, _SCALE * twist, idle, _DAMPING, low, high, linear)


def linear(A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """x of A x = b, A symmetric and positive definite; in a fifth of the time of numpy's, which matters at 1 kHz."""
    _, x, failed = dposv(A, b)
    return np.linalg.solve(A, b) if failed else np.asarray(x)


def turn(R_base_from: np.ndarray, R_base_to: np.ndarray) -> np.ndarray:
    """The rotation vector (3,) [rad], base's axes, that takes one orientation (3, 3) to another; at most pi long."""
    quaternion, vector = np.zeros(4), np.zeros(3)
    mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(R_base_to @ R_base_from.T).ravel())
    mujoco.mju_quat2Vel(vector, quaternion, 1.0)
    return vector


def forward(q: np.ndarray) -> np.ndarray:
    """T_base_ee (4, 4) at q (7,) [rad]."""
    kinematics = Kinematics()
    kinematics.place(q)
    return kinematics.T_base_ee()


def levers() -> np.ndarray:
    """How far (7,) [m] any of `POINTS` can be from each joint's axis at most, whatever the joints are."""
    shoulder_elbow = np.hypot(published.DH_OFFSET[2], published.DH_LENGTH[3])
    elbow_wrist = np.hypot(published.DH_OFFSET[4], published.DH_LENGTH[4])
    wrist_tip = np.hypot(published.DH_LENGTH[6], published.FLANGE_HEIGHT + published.TCP_HEIGHT)
    forearm, upper = elbow_wrist + wrist_tip, shoulder_elbow + elbow_wrist + wrist_tip
    third = published.DH_LENGTH[3] + forearm  # the elbow stands so far from joint 3's axis
    return np.array([upper, upper, third, forearm, wrist_tip, wrist_tip, 0.0])


def bending() -> np.ndarray:
    """M (7, 7) [m] that bounds how joint motion bends the path of any of `POINTS`.

    The second derivative of a point by joints i <= j is axis_i x (axis_j x (point - anchor_j)), no longer than the
    point's distance from axis j. So along a straight line of joint positions with velocity v (7,) the point's
    acceleration is at most |v|' M |v|, and over a straight step s (7,) its path leaves its chord by at most
    |s|' M |s| / 8.
    """
    reach = levers()
    later = np.maximum(*np.indices((7, 7)))
    return np.asarray(reach[later])
