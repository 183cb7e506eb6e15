"""Where the flange is at given joint positions, how it moves, and which joint positions bring it to a pose.

Poses are seen from the arm's base, T_base_x, named O_T_x as in the protocol; O is the base, F the flange.
"""

from __future__ import annotations

import mujoco
import numpy as np

_ITERATIONS, _CLOSE = 8, 1e-12  # Newton steps at most; [m, rad] a solution is off by less
_DAMPING = 1e-10  # of the least squares; it matters at singular postures only
_STEP = 0.2  # [rad] largest Newton step of a joint


class Skeleton:
    """The arm of a model at joint positions of our choice; the world that the model simulates is not touched.

    Args:
        model: with bodies "link0" and "link7", a site "flange", and the arm's joints first.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self.model, self.data = model, mujoco.MjData(model)
        mujoco.mj_forward(model, self.data)
        base = self.data.body("link0")
        self._R_world_base = base.xmat.reshape(3, 3).copy()
        self._base = base.xpos.copy()
        self._flange, self._link7 = model.site("flange").id, model.body("link7").id
        self._upright = bool(np.allclose(self._R_world_base, np.eye(3), atol=1e-12))
        self._jacobian = np.zeros((6, model.nv))

    def move(self, q: np.ndarray) -> None:
        """Take up joint positions q (7,) [rad]."""
        self.data.qpos[:7] = q
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)

    def flange(self, data: mujoco.MjData | None = None) -> np.ndarray:
        """O_T_F (4, 4), here or in a world's data."""
        found = self.data if data is None else data
        T = np.zeros((4, 4))
        T[3, 3] = 1.0
        R, p = found.site_xmat[self._flange].reshape(3, 3), found.site_xpos[self._flange]
        T[:3, :3] = R if self._upright else self._R_world_base.T @ R
        T[:3, 3] = p - self._base if self._upright else self._R_world_base.T @ (p - self._base)
        return T

    def jacobian(self, point: np.ndarray, data: mujoco.MjData | None = None) -> np.ndarray:
        """J (6, 7) of a point (3,) [m] that moves with the flange, all seen from the base: velocity, then turn."""
        found = self.data if data is None else data
        world = self._base + (point if self._upright else self._R_world_base @ point)
        J = self._jacobian
        mujoco.mj_jac(self.model, found, J[:3], J[3:], world, self._link7)
        if self._upright:
            return J[:, :7].copy()
        return np.concatenate([self._R_world_base.T @ J[:3, :7], self._R_world_base.T @ J[3:, :7]])

    def to_world(self, vector: np.ndarray) -> np.ndarray:
        """A direction (3,) along the base's axes, along the world's."""
        return np.asarray(self._R_world_base @ vector)

    def to_base(self, vector: np.ndarray) -> np.ndarray:
        """A direction (3,) along the world's axes, along the base's."""
        return np.asarray(self._R_world_base.T @ vector)

    def reach(self, O_T_F: np.ndarray, q: np.ndarray, elbow: float | None = None) -> np.ndarray | None:
        """Joint positions (7,) near q with the flange at a pose, and joint 3 at `elbow` [rad] if that is given.

        Without an elbow the joints move as little as they can. The arm is left at the answer.

        Returns:
            None where the pose is out of reach.
        """
        q = q.copy()
        self.move(q)
        for _ in range(_ITERATIONS):
            here = self.flange()
            error = difference(here, O_T_F)
            J = self.jacobian(here[:3, 3])
            if elbow is not None:
                error = np.append(error, elbow - q[2])
                J = np.vstack([J, np.eye(7)[2]])
            if not np.abs(error).max() > _CLOSE:
                return q
            step = J.T @ np.linalg.solve(J @ J.T + _DAMPING * np.eye(len(J)), error)
            q = q + step * min(1.0, _STEP / max(float(np.abs(step).max()), _STEP))
            self.move(q)
        close = np.abs(difference(self.flange(), O_T_F)).max() < 1e-6
        return q if close else None


def difference(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """The small motion (6,) [m, rad] from pose A to pose B (4, 4), along the axes that both are seen in."""
    turn = B[:3, :3] @ A[:3, :3].T
    axis = 0.5 * np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    sine, cosine = float(np.sqrt(axis @ axis)), 0.5 * (turn[0, 0] + turn[1, 1] + turn[2, 2] - 1)
    if sine > 1e-6 or cosine < 0:
        axis = axis * (np.arctan2(sine, cosine) / max(sine, 1e-12))
    return np.concatenate([B[:3, 3] - A[:3, 3], axis])


def moved(T: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """A pose (4, 4) after a motion (6,) [m, rad] along the axes that it is seen in; undoes `difference`."""
    out = T.copy()
    out[:3, 3] += motion[:3]
    angle = float(np.linalg.norm(motion[3:]))
    if angle > 0.0:
        x, y, z = motion[3:] / angle
        K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        out[:3, :3] = (np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * K @ K) @ T[:3, :3]
    return out


def is_pose(T: np.ndarray) -> bool:
    """Whether a matrix (4, 4) is a rigid motion, to the tolerance that float32 asks for."""
    R = T[:3, :3]
    right = np.abs(R @ R.T - np.eye(3)).max() < 1e-4 and np.abs(T[3] - np.array([0, 0, 0, 1.0])).max() < 1e-6
    return bool(right and np.linalg.det(R) > 0)


def elbow_of(q: np.ndarray) -> np.ndarray:
    """What the protocol calls the elbow (2,): the position of joint 3 [rad], and which way joint 4 is bent."""
    return np.array([q[2], 1.0 if q[3] + 0.467 > 0 else -1.0])
