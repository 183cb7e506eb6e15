"""Scripted controllers of our own ManiSkill tasks: from the scene alone to actions, for N worlds at once.

They serve as demonstrations, and show that a task can be done at all.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from robot_learn.errors import unknown
from robot_learn.scene import Scene

Controller = Callable[[Scene, np.ndarray], np.ndarray]
_STEP = 0.1  # [m] or [rad] that an action of 1 means, for a hand and for a joint


def scripted(name: str, num_worlds: int) -> Controller:
    """The controller of the task `name`, e.g. "turn-faucet": (scene, observations) -> actions (N, act_dim)."""
    if name not in _CONTROLLERS:
        raise unknown("scripted controller", name, _CONTROLLERS)
    return _CONTROLLERS[name](num_worlds)


def _rows(vectors: np.ndarray) -> np.ndarray:
    """Lengths (N,) of rows (N, d)."""
    lengths: np.ndarray = np.linalg.norm(vectors, axis=-1)
    return lengths


def _about(axes: np.ndarray, angles: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Vectors (N, 3) turned about unit axes (N, 3) by angles (N,): Rodrigues' formula."""
    c, s = np.cos(angles)[:, None], np.sin(angles)[:, None]
    along = (axes * vectors).sum(-1, keepdims=True) * axes
    return np.asarray(c * vectors + s * np.cross(axes, vectors) + (1 - c) * along)


def _flat_turn(angles: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Vectors (N, 2) turned counter-clockwise by angles (N,)."""
    c, s = np.cos(angles), np.sin(angles)
    return np.stack([c * vectors[:, 0] - s * vectors[:, 1], s * vectors[:, 0] + c * vectors[:, 1]], axis=1)


def _wrapped(angles: np.ndarray) -> np.ndarray:
    return np.asarray((angles + np.pi) % (2 * np.pi) - np.pi)


class _Phases:
    """A number for each world that starts over with its episode, and how many steps it has been what it is."""

    def __init__(self, num_worlds: int) -> None:
        self.now = np.zeros(num_worlds, dtype=np.int64)
        self.age = np.zeros(num_worlds, dtype=np.int64)

    def begin(self, scene: Scene) -> None:
        """At each step first."""
        fresh = np.asarray(scene.steps) == 0
        self.now[fresh], self.age[fresh] = 0, 0
        self.age += ~fresh

    def move(self, before: int, after: int, where: np.ndarray) -> None:
        """From one phase to another in the worlds named."""
        moved = (self.now == before) & where
        self.now[moved], self.age[moved] = after, 0


def _lift_cube(num_worlds: int) -> Controller:
    """Over the cube, down, close, up."""
    phases = _Phases(num_worlds)

    def act(scene: Scene, observations: np.ndarray) -> np.ndarray:
        hand, cube = scene.robot.hand_position, scene.cube_a.position
        phases.begin(scene)
        phases.move(0, 1, (_rows((hand - cube)[:, :2]) < 0.01))
        phases.move(1, 2, (_rows(hand - cube) < 0.01) | (phases.age > 20))
        phases.move(2, 3, phases.age >= 4)
        phases.move(3, 0, (scene.cube_a.grasped == 0) & (phases.age > 6))
        target = cube.copy()
        target[:, 2] += np.where(phases.now == 0, 0.08, 0.0)
        target[phases.now == 3] = scene.initial.cube_a.position[phases.now == 3] + (0.0, 0.0, 0.24)
        shut = phases.now >= 2
        return np.concatenate([(target - hand) / _STEP, np.where(shut, -1.0, 1.0)[:, None]], axis=1).clip(-1, 1)

    return act


def _turn_faucet(num_worlds: int) -> Controller:
    """Over the side of the handle from which it is pushed, down to it, and around."""
    phases = _Phases(num_worlds)
    clear, before, contact, ahead = 0.10, 0.05, 0.018, 0.07  # [m]

    def act(scene: Scene, observations: np.ndarray) -> np.ndarray:
        hand, grip, axis = scene.robot.hand_position, scene.handle.position, scene.handle.axis
        arm = grip - scene.handle.pivot_position
        push = np.cross(axis, arm)
        push /= _rows(push)[:, None]
        # The fingertips reach below a handle that they push sideways, so that they do not ride up on it.
        deep = np.where(abs(axis[:, 2]) > 0.5, 0.010, 0.0)[:, None] * (0.0, 0.0, 1.0)
        start = grip - before * push - deep
        over = start.copy()
        over[:, 2] = np.maximum(start[:, 2], grip[:, 2]) + clear
        off = hand - grip
        aside = _rows(off - (off * push).sum(-1, keepdims=True) * push)
        phases.begin(scene)
        phases.move(0, 1, _rows((hand - over)[:, :2]) < 0.015)
        phases.move(1, 2, (_rows(hand - start) < 0.015) | (phases.age > 25))
        slipped = (aside > 0.03) | ((off * push).sum(-1) > 0.02)
        phases.move(2, 0, slipped & (phases.age > 3))
        turned = _about(axis, np.minimum(ahead / _rows(arm), 0.7), arm)
        way = np.cross(axis, turned)
        onward = scene.handle.pivot_position + turned - contact * way / _rows(way)[:, None] - deep
        target = np.choose(phases.now[:, None], [over, start, onward])
        low = (phases.now == 0) & (hand[:, 2] < over[:, 2] - 0.03)
        target[low, :2] = hand[low, :2]  # first up, then across
        done = scene.handle.angle > scene.handle.target_angle + 0.02
        target[done] = hand[done]
        return np.concatenate([(target - hand) / _STEP, -np.ones((num_worlds, 1))], axis=1).clip(-1, 1)

    return act


def _fetch(scene: Scene, target: np.ndarray, heading: np.ndarray, grip: np.ndarray, reach: float) -> np.ndarray:
    """Actions (N, 6) that bring the hand to a target, the base to a heading and the hand `reach` ahead of the base."""
    way = target - scene.robot.hand_position
    own = scene.robot.base_heading
    flat = _flat_turn(-own, way[:, :2])
    ahead = _flat_turn(-own, target[:, :2] - scene.robot.base_position)[:, 0]
    forward = 1.5 * (ahead - reach)
    turn = 2.0 * _wrapped(heading - own)
    columns = [*(flat / _STEP).T, way[:, 2] / _STEP, grip, forward.clip(-0.5, 0.5), turn.clip(-0.6, 0.6)]
    return np.stack(columns, axis=1).clip(-1, 1)


def _open(num_worlds: int, kind: str) -> Controller:
    """To the front of the bar, around it, close, and along the way on which the bar goes."""
    phases = _Phases(num_worlds)
    reach = 0.72

    def act(scene: Scene, observations: np.ndarray) -> np.ndarray:
        hand, bar = scene.robot.hand_position, scene.handle.position
        front = bar - (0.12, 0.0, 0.0)
        phases.begin(scene)
        aligned = (_rows((hand - front)[:, 1:]) < 0.012) & (abs(hand - front)[:, 0] < 0.03)
        phases.move(0, 1, aligned & (abs(_wrapped(scene.robot.base_heading)) < 0.06))
        phases.move(1, 2, (_rows(hand - bar) < 0.015) | (phases.age > 40))
        phases.move(2, 3, phases.age >= 8)
        phases.move(3, 0, (_rows(hand - bar) > 0.09) & (phases.age > 3))
        heading = np.zeros(num_worlds)
        if kind == "drawer":
            opened = scene.drawer.opening >= scene.drawer.target_opening + 0.01
            onward = np.where(opened[:, None], hand, bar - (0.06, 0.0, 0.0))
        else:
            opened = scene.door.angle >= scene.door.target_angle + 0.02
            arm = bar - scene.door.hinge_position
            sense = np.sign(scene.initial.handle.position[:, 1] - scene.door.hinge_position[:, 1])
            up = np.stack([np.zeros(num_worlds), np.zeros(num_worlds), sense], axis=1)
            onward = scene.door.hinge_position + _about(up, 0.07 / _rows(arm[:, :2]), arm)
            onward = np.where(opened[:, None], hand, onward)
        target = np.choose(phases.now[:, None], [front, bar, bar, onward])
        return _fetch(scene, target, heading, np.where(phases.now >= 2, -1.0, 1.0), reach)

    return act


def _push_chair(num_worlds: int) -> Controller:
    """Behind the chair as seen from the target, fists together, then forward, slower and slower."""
    phases = _Phases(num_worlds)

    def act(scene: Scene, observations: np.ndarray) -> np.ndarray:
        chair, base = scene.chair.position[:, :2], scene.robot.base_position
        own = scene.robot.base_heading
        way = scene.target.position[:, :2] - chair
        left = _rows(way)
        along = way / left[:, None].clip(1e-3)
        heading = np.arctan2(along[:, 1], along[:, 0])
        behind = chair - base
        aside = along[:, 0] * behind[:, 1] - along[:, 1] * behind[:, 0]
        phases.begin(scene)
        straight = (abs(aside) < 0.04) & (abs(_wrapped(heading - own)) < 0.06)
        phases.move(0, 1, straight & (phases.age > 8))
        # A chair that is let go rolls on for about 0.3 s times its speed.
        phases.move(1, 2, left < 0.03 + 0.3 * (scene.chair.velocity[:, :2] * along).sum(-1))
        phases.move(2, 0, (phases.age > 15) & (left > 0.12))
        far = (behind * along).sum(-1)
        speed = np.where(phases.now == 1, np.minimum(0.4, 0.08 + 0.5 * left), 2.0 * (far - 1.5)).clip(-0.5, 0.5)
        sideways = 2.0 * aside
        velocity = speed[:, None] * along + sideways[:, None] * np.stack([-along[:, 1], along[:, 0]], axis=1)
        turn = 2.0 * _wrapped(heading - own)
        rest = phases.now == 2
        velocity[rest], turn[rest] = 0.0, 0.0
        velocity[rest] = -0.3 * along[rest] * (phases.age[rest] < 10)[:, None]
        action = np.zeros((num_worlds, 9))
        action[:, :2], action[:, 2] = _flat_turn(-own, velocity), turn / 1.5
        for column, hand, side in (
            (3, scene.robot.left_hand_position, 0.1),
            (6, scene.robot.right_hand_position, -0.1),
        ):
            action[:, column] = 2.0 * (side - _flat_turn(-own, hand[:, :2] - base)[:, 1]) / _STEP
        return action.clip(-1, 1)

    return act


_CONTROLLERS: dict[str, Callable[[int], Controller]] = {
    "lift-cube": _lift_cube,
    "turn-faucet": _turn_faucet,
    "open-cabinet-drawer": lambda num_worlds: _open(num_worlds, "drawer"),
    "open-cabinet-door": lambda num_worlds: _open(num_worlds, "door"),
    "push-chair": _push_chair,
}
