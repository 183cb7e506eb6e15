"""A scripted controller is a list of stages: each says where the hand should be, and when the next one begins.

A stage is a function of what can be seen now, in all worlds at once, to a `Wish`. Each world is in a stage of its own.
Steering is that of ManiSkill's "pd_ee_delta_pos" and "pd_ee_delta_pose": a step covers some four tenths of the
displacement that is asked for, so a good deal more than the error is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from robot_learn.scene import Scene

OPEN, CLOSED = 1.0, -1.0  # of the gripper
_GAIN = 20.0  # [1/m] action per error of position; 25 would arrive in one step
_TURNING_GAIN = 20.0  # [1/rad] action per error of orientation
_ALONG = np.eye(3)


@dataclass(frozen=True)
class Now:
    """What a stage may look at, N worlds."""

    scene: Scene
    began: dict[str, np.ndarray]  # the scene's values when the world's stage began
    since: np.ndarray  # (N,) steps that the stage has lasted
    prefix: str = ""  # of the groups of the robot whose stage it is

    def __getitem__(self, name: str) -> np.ndarray:
        value: np.ndarray = self.scene[name]
        return value

    @property
    def hand(self) -> np.ndarray:
        """(N, 3) [m] where this robot's fingertips are."""
        return self[f"{self.prefix}hand.position"]

    @property
    def hand_quaternion(self) -> np.ndarray:
        """(N, 4) (w, x, y, z) how this robot's hand is turned."""
        return self[f"{self.prefix}hand.quaternion"]

    @property
    def start(self) -> np.ndarray:
        """(N, 3) [m] where this robot's fingertips were when the stage began."""
        return self.began[f"{self.prefix}hand.position"]


@dataclass(frozen=True, eq=False)
class Wish:
    """What a stage wants of one hand, N worlds."""

    position: np.ndarray  # (N, 3) [m] where the point between the fingertips should be, in the world
    gripper: float = OPEN
    over: np.ndarray | None = None  # (N,) bool: go on to the next stage; None: this is the last one
    again: np.ndarray | None = None  # (N,) bool: back to the first stage of this act, because something slipped
    orientation: np.ndarray | None = None  # (N, 4) (w, x, y, z) of the hand; None: as it is
    speed: float = 1.0  # the largest displacement to ask for, x 0.1 m


Stage = Callable[[Now], Wish]


@dataclass(eq=False)
class Hand:
    """Takes one robot through the acts of a script, each of them a few stages."""

    acts: Sequence[Sequence[Stage]]
    prefix: str = ""  # of the robot's groups in the scene
    facing: float = 0.0  # [rad] where the robot looks, from +x towards +y: its actions are in its own frame
    turns: bool = False  # does an action have three numbers for turning the hand?
    grips: bool = True  # and one for the gripper?
    began: dict[str, np.ndarray] = field(default_factory=dict)
    at: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))
    since: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))

    def __call__(self, scene: Scene) -> np.ndarray:
        """Actions of this robot (N, 3, 4, 6 or 7)."""
        if len(self.at) != scene.num_worlds:
            self.at, self.since = (np.zeros(scene.num_worlds, dtype=int) for _ in range(2))
            self.began = {name: scene[name].copy() for name in scene.schema.names}
        self._enter(scene, np.asarray(scene.steps) == 0, 0)
        now = Now(scene, self.began, self.since, self.prefix)
        actions = np.zeros((scene.num_worlds, 3 + 3 * self.turns + self.grips), dtype=np.float32)
        came_from = self.at.copy()
        stages = [stage for act in self.acts for stage in act]
        firsts = np.repeat(np.cumsum([0, *map(len, self.acts[:-1])]), [len(act) for act in self.acts])
        for number in np.unique(came_from):
            here = came_from == number
            wish = stages[number](now)
            actions[here] = self._towards(scene, wish)[here]
            if wish.over is not None:
                self._later(here & wish.over, number + 1)
            if wish.again is not None:
                self._later(here & wish.again, int(firsts[number]))
        self.since = self.since + 1
        for number in np.unique(self.at[self.at != came_from]):
            self._enter(scene, (self.at != came_from) & (self.at == number), int(number))
        return actions

    def _later(self, worlds: np.ndarray, stage: int) -> None:
        self.at = np.where(worlds, stage, self.at)

    def _enter(self, scene: Scene, worlds: np.ndarray, stage: int) -> None:
        """A stage begins in some worlds (N,) bool."""
        if not worlds.any():
            return
        self.at, self.since = np.where(worlds, stage, self.at), np.where(worlds, 0, self.since)
        for name, kept in self.began.items():
            kept[worlds] = scene[name][worlds]

    def _towards(self, scene: Scene, wish: Wish) -> np.ndarray:
        error = wish.position - scene[f"{self.prefix}hand.position"]
        parts = [_limited(_about_z(error, -self.facing) * _GAIN, wish.speed)]
        if self.turns:
            wanted = scene[f"{self.prefix}hand.quaternion"] if wish.orientation is None else wish.orientation
            turn = rotation_vector(times(wanted, inverse(scene[f"{self.prefix}hand.quaternion"])))
            # Upstream's sign: an action of +1 turns by -0.1 rad.
            parts.append(_limited(-_about_z(turn, -self.facing) * _TURNING_GAIN, 1.0))
        # Where the arm cannot reach what is asked for, it does not move at all: then ask for less.
        speeds = [
            np.linalg.norm(scene[f"{self.prefix}hand.{name}"], axis=1) for name in ("velocity", "angular_velocity")
        ]
        stuck = (self.since > 1) & (speeds[0] < 0.02) & (speeds[1] < 0.1)
        parts = [np.where(stuck[:, None], 0.3 * part, part) for part in parts]
        if self.grips:
            parts.append(np.full((len(error), 1), wish.gripper))
        return np.concatenate(parts, axis=1).astype(np.float32)


@dataclass(eq=False)
class Script:
    """The controller of a task with one or more robots."""

    hands: Sequence[Hand]

    def __call__(self, scene: Scene, observations: np.ndarray) -> np.ndarray:
        return np.concatenate([hand(scene) for hand in self.hands], axis=1)


def _limited(vectors: np.ndarray, longest: float) -> np.ndarray:
    """Rows (N, 3), shortened where they are longer than that."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors * np.minimum(1.0, longest / np.maximum(lengths, 1e-9)))


def _about_z(vectors: np.ndarray, angle: float) -> np.ndarray:
    """Rows (N, 3) turned about +z."""
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(vectors @ np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]))


def offset(positions: np.ndarray, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    """Points (N, 3) displaced by the same vector."""
    return np.asarray(positions + np.array([x, y, z]))


def at_height(positions: np.ndarray, height: float | np.ndarray) -> np.ndarray:
    """Points (N, 3) moved up or down to z = height."""
    moved = positions.copy()
    moved[:, 2] = height
    return moved


def near(a: np.ndarray, b: np.ndarray, distance: float) -> np.ndarray:
    """(N,) bool: rows at most that far apart."""
    close: np.ndarray = np.linalg.norm(a - b, axis=1) <= distance
    return close


def times(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Products of quaternions (N, 4), (w, x, y, z)."""
    aw, ax, ay, az = np.moveaxis(a, -1, 0)
    bw, bx, by, bz = np.moveaxis(b, -1, 0)
    return np.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        axis=-1,
    )


def inverse(quaternions: np.ndarray) -> np.ndarray:
    """Of quaternions (N, 4) of length one."""
    return np.asarray(quaternions * np.array([1.0, -1.0, -1.0, -1.0]))


def turned(quaternions: np.ndarray, vectors: np.ndarray | Sequence[float]) -> np.ndarray:
    """Vectors (N, 3), or one for all (3,), turned by quaternions (N, 4)."""
    pure = np.concatenate([np.zeros((len(quaternions), 1)), np.broadcast_to(vectors, (len(quaternions), 3))], axis=1)
    return times(times(quaternions, pure), inverse(quaternions))[:, 1:]


def about(axis: Sequence[float] | np.ndarray, angles: np.ndarray | float) -> np.ndarray:
    """Quaternions (N, 4) of turns by angles (N,) [rad] about an axis (3,) of length one."""
    half = np.atleast_1d(np.asarray(angles, dtype=float))[:, None] / 2
    return np.concatenate([np.cos(half), np.sin(half) * np.asarray(axis)], axis=1)


def rotation_vector(quaternions: np.ndarray) -> np.ndarray:
    """Axis times angle (N, 3) [rad], the shorter way round."""
    shorter = quaternions * np.where(quaternions[:, :1] < 0, -1.0, 1.0)
    sines = np.linalg.norm(shorter[:, 1:], axis=1, keepdims=True)
    angles = 2 * np.arctan2(sines, shorter[:, :1])
    return np.asarray(shorter[:, 1:] / np.maximum(sines, 1e-9) * angles)
