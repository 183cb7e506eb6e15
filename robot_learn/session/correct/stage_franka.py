"""A Franka arm that carries its hand through a narrow place, or over an obstacle.

Where the system's state is the flange's pose, the joints follow it here, one damped least-squares step after another.
"""

from __future__ import annotations

import mujoco
import numpy as np

from controllers.systems import franka_joints, franka_pose
from controllers.systems.franka_pose import PLACE_X, rolled
from robot_learn.franka import FR3
from robot_learn.session import shapes
from robot_learn.session.correct.region import Chart, Grid
from robot_learn.session.correct.stage import KNOWN, TARGET, Stage
from robot_learn.session.models import add_model
from robot_learn.session.scene import Camera, Scene3D
from sims.franka import arm

_GRAIN = 0.014  # [m] of the meshes: no more is seen of them
_REACHING = np.array([-0.22, 0.52, -0.78, -1.45, -1.05, 1.02, -0.40])  # [rad] whole way in reach from here
_POURING = np.array([-0.22, 0.52, -0.78, -1.43, -1.07, 1.04, -2.35])
_DAMPING, _MOST, _STEPS = 1e-3, 0.15, 3  # of the least squares; [rad] a step; steps a drawing
_WIDE = 0.16  # [m] half of what is drawn of the place, across the way
_Y = -0.5  # [m] the hand's way lies in this plane
_SAYS = (("left", "roll left"), ("right", "roll right"))


class _Arm:
    """An arm that is drawn."""

    def __init__(self, scene: Scene3D, q: np.ndarray) -> None:
        self.model = arm.build("fr3").compile()
        self.data = mujoco.MjData(self.model)
        self._show = add_model(scene, self.model, groups=(arm.LOOKS,), grain=_GRAIN)
        self._flange = self.model.site("flange").id
        self._rest, self.q = q, q.copy()
        self.joints(q)

    def joints(self, q: np.ndarray) -> None:
        self.q = q
        self.data.qpos[:7], self.data.qpos[7:9] = q, 0.02
        mujoco.mj_kinematics(self.model, self.data)
        self._show(self.data)

    def flange(self, position: np.ndarray, quat_wxyz: np.ndarray) -> None:
        """Follow a pose; one that is far away is come to from the posture of the beginning."""
        if self._error(position, quat_wxyz)[0] > 0.1:
            self.q = self._rest.copy()
            for _ in range(30):
                self._towards(position, quat_wxyz)
        for _ in range(_STEPS):
            self._towards(position, quat_wxyz)
        self.joints(self.q)

    def _error(self, position: np.ndarray, quat_wxyz: np.ndarray) -> tuple[float, np.ndarray]:
        data = self.data
        data.qpos[:7] = self.q
        mujoco.mj_kinematics(self.model, data)
        mujoco.mj_comPos(self.model, data)
        wanted, turn, angle = np.empty(9), np.empty(4), np.empty(3)
        mujoco.mju_quat2Mat(wanted, quat_wxyz)
        mujoco.mju_mat2Quat(turn, (wanted.reshape(3, 3) @ data.site_xmat[self._flange].reshape(3, 3).T).ravel())
        mujoco.mju_quat2Vel(angle, turn, 1.0)
        away = position - data.site_xpos[self._flange]
        return float(np.linalg.norm(away)), np.concatenate([away, angle])

    def _towards(self, position: np.ndarray, quat_wxyz: np.ndarray) -> None:
        _, error = self._error(position, quat_wxyz)
        jacobian = np.zeros((6, self.model.nv))
        mujoco.mj_jacSite(self.model, self.data, jacobian[:3], jacobian[3:], self._flange)
        J = jacobian[:, :7]
        inverse = J.T @ np.linalg.inv(J @ J.T + _DAMPING * np.eye(6))
        idle = 0.05 * ((FR3.lower + FR3.upper) / 2 - self.q)
        step = inverse @ error + idle - inverse @ (J @ idle)
        self.q = np.clip(self.q + np.clip(step, -_MOST, _MOST), FR3.lower, FR3.upper)


def reach() -> Stage:
    wish = "Bring the hand through the tilted slot: rolled by 45 degrees, between 0.37 and 0.48 m high."
    return _pose("Through the slot", wish, _REACHING, 0.37, 0.48, np.pi / 4, cup=False)


def pour() -> Stage:
    wish = "Carry the full cup over the obstacle: upright, and higher than 0.52 m there."
    return _pose("Carry a full cup", wish, _POURING, 0.52, 0.8, 0.0, cup=True)


def _pose(title: str, wish: str, q: np.ndarray, low: float, high: float, roll: float, *, cup: bool) -> Stage:
    scene = Scene3D(Camera((-0.12, _Y, 0.46), 1.75, 42.0, -14.0), floor=0.0)
    follower = _Arm(scene, q)
    scene.put("place", _obstacle(low) if cup else _slot(low, high, roll), KNOWN)
    scene.put("target", shapes.sphere(0.035), TARGET)
    if cup:
        scene.put("cup", _cup(), (0.35, 0.65, 0.95, 1.0))

    def place(state: np.ndarray) -> None:
        follower.flange(state[:3], state[3:7])
        if cup:
            scene.place("cup", state[:3], state[3:7])

    def states(points: np.ndarray, here: np.ndarray) -> np.ndarray:
        """The hand there, turned as it is now."""
        return np.hstack([points, np.tile(here[3:7], (len(points), 1))])

    axes = (
        np.linspace(PLACE_X - 0.22, PLACE_X + 0.22, 12),
        np.array([_Y - _WIDE, _Y + _WIDE]),
        np.linspace(0.2, 0.95, 31),
    )
    return Stage(
        title,
        wish,
        scene,
        place,
        lambda target: scene.place("target", target[:3]),
        lambda x: x[:, :3],
        0.009,
        Grid(axes, states),
        (_roll_chart(),),
        turns=True,
        says=_SAYS,
    )


def _roll_chart() -> Chart:
    """Height and roll in the middle of the place: the two things that matter there."""
    heights, rolls = np.linspace(0.2, 0.95, 31), np.linspace(-1.2, 1.6, 29)

    def states(at: np.ndarray) -> np.ndarray:
        found = np.empty((len(at), 7))
        found[:, 0], found[:, 1], found[:, 2] = PLACE_X, _Y, at[:, 1]
        found[:, 3:] = rolled(at[:, 0])
        return found

    def path(states: np.ndarray) -> np.ndarray:
        return np.column_stack([roll_of(states[:, 3:7]), states[:, 2]])

    return Chart("at the narrow place", "roll [rad]", "height [m]", rolls, heights, states, path)


def roll_of(quaternions: np.ndarray) -> np.ndarray:
    """(N,) [rad] the turn about the world's x axis from upright, of quaternions (N, 4)."""
    w, x, y, z = quaternions.T
    uw, ux, uy, uz = franka_pose.UPRIGHT * [1, -1, -1, -1]
    turn_w, turn_x = w * uw - x * ux - y * uy - z * uz, w * ux + x * uw + y * uz - z * uy
    return np.asarray((2 * np.arctan2(turn_x, turn_w) + np.pi) % (2 * np.pi) - np.pi)


def _slot(low: float, high: float, roll: float) -> shapes.Mesh:
    """A frame around the way through, turned as the hand has to be."""
    c, s = np.cos(roll), np.sin(roll)
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    middle, half, long, bar = np.array([PLACE_X, _Y, (low + high) / 2]), (high - low) / 2 + 0.06, 0.2, 0.012
    bars = [((0.0, 0.0, side * half), (bar, long, bar)) for side in (-1.0, 1.0)]
    bars += [((0.0, side * long, 0.0), (bar, bar, half + bar)) for side in (-1.0, 1.0)]
    frame = shapes.joined([shapes.moved(shapes.box(size), np.array(at), np.eye(3)) for at, size in bars])
    return shapes.moved(frame, middle, turn)


def _obstacle(height: float) -> shapes.Mesh:
    """A board on edge, as high as the cup has to be lifted, less half the cup."""
    top = height - 0.06
    return shapes.moved(shapes.box((0.015, 0.2, top / 2)), np.array([PLACE_X, _Y, top / 2]), np.eye(3))


def _cup() -> shapes.Mesh:
    """In the flange's frame, between the fingers: its axis is up where the hand is upright, along the flange's x."""
    wall = shapes.cylinder(0.036, 0.05, 16)
    along_x = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    return shapes.moved(wall, np.array([0.0, 0.0, 0.1034]), along_x)


def joints() -> Stage:
    scene = Scene3D(Camera((0.35, 0.0, 0.35), 2.1, 215.0, -16.0), floor=0.0)
    follower = _Arm(scene, franka_joints.REST)
    half = franka_joints.OBSTACLE / 2
    scene.put("place", shapes.moved(shapes.box((0.25, 0.015, half)), np.array([0.5, 0.0, half]), np.eye(3)), KNOWN)
    scene.put("target", shapes.sphere(0.03), TARGET)
    heights = np.linspace(0.05, 0.85, 25)

    chart = Chart(
        "half way across",
        "distance [m]",
        "height [m]",
        np.linspace(0.3, 0.7, 21),
        heights,
        _nearest,
        lambda states: franka_joints.hand(states)[:, [0, 2]],
    )
    return Stage(
        "Over a low obstacle",
        "Carry the hand across without touching the board: higher than 0.36 m half way.",
        scene,
        lambda state: follower.joints(state[:7]),
        lambda target: scene.place("target", target),
        franka_joints.hand,
        0.009,
        None,
        (chart,),
    )


def _nearest(at: np.ndarray) -> np.ndarray:
    """(n, 7) joint angles in the plane y = 0 whose hand is nearest to points (n, 2) of it, along x and z."""
    shoulder, elbow, wrist = np.meshgrid(
        np.linspace(-1.2, 1.6, 40), np.linspace(-2.9, -0.3, 40), np.linspace(1.2, 3.4, 12), indexing="ij"
    )
    many = np.tile(franka_joints.REST, (shoulder.size, 1))
    many[:, 1], many[:, 3], many[:, 5] = shoulder.ravel(), elbow.ravel(), wrist.ravel()
    from scipy.spatial import cKDTree

    hands = franka_joints.hand(many)
    _, found = cKDTree(hands[:, [0, 2]]).query(at)
    return np.asarray(many[found])
