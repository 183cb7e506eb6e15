"""Upstream's reward of the eleven Meta-World tasks of Text2Reward (Xie et al. 2024), for all worlds at once.

Each function is `compute_reward`, version v2, of the environment of the same name in metaworld 3 (`metaworld/envs`),
after dm_control's `tolerance` (Tassa et al. 2018). What surprises there is kept here and marked "upstream:".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sims.metaworld.sources import Point, State, body, site

Batched = Callable[[State, np.ndarray, np.ndarray], np.ndarray]
Precision = type[np.floating[Any]]
Level = float | np.ndarray  # one number, or (N,)

_X, _Y, _Z = 0, 1, 2
_XZ = [_X, _Z]
_HAND, _OPENING, _OBJECT = slice(0, 3), 3, slice(4, 7)  # of an observation


def length(vectors: np.ndarray) -> np.ndarray:
    """Euclidean lengths (N,) of vectors (N, d)."""
    lengths: np.ndarray = np.linalg.norm(vectors, axis=-1)
    return lengths


def long_tail(x: np.ndarray) -> np.ndarray:
    """1 at 0, 0.1 at 1, falling off as 1 / x^2."""
    return np.asarray(1.0 / ((x * np.sqrt(1 / 0.1 - 1)) ** 2 + 1))


def gaussian(x: np.ndarray) -> np.ndarray:
    """1 at 0, 0.1 at 1, falling off as exp(-x^2)."""
    return np.asarray(np.exp(-0.5 * (x * np.sqrt(-2 * np.log(0.1))) ** 2))


def tolerance(
    x: np.ndarray, low: float, high: float, margin: Level, shape: Callable[[np.ndarray], np.ndarray] = long_tail
) -> np.ndarray:
    """1 where `x` (N,) lies in [low, high], 0.1 a `margin` away from it, 0 everywhere else if the margin is 0."""
    beyond = np.where(x < low, low - x, x - high)
    margin = np.broadcast_to(margin, x.shape)
    scaled = np.divide(beyond, margin, out=np.full_like(x, np.inf), where=margin > 0)
    return np.where(beyond <= 0, 1.0, shape(scaled))


def hamacher(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The Hamacher product ab / (a + b - ab) of two values in [0, 1]; 0 where both are 0."""
    either = a + b - a * b
    return np.asarray(np.divide(a * b, either, out=np.zeros_like(either), where=either > 0))


def with_grip(
    actions: np.ndarray, rows: np.ndarray, formula: Callable[[Precision, np.ndarray], np.ndarray]
) -> np.ndarray:
    """`formula(dtype, closing)` of the gripper's closing effort, 0 to 1, in the precision that upstream uses.

    upstream: a float32 action's effort, where it is neither clipped nor unused (outside `rows`), draws all that follows
    down to float32, since the other factors are plain Python numbers.
    """
    effort = actions[:, 3]
    closing = np.clip(effort, 0, 1)
    own = rows & (effort > 0) & (effort <= 1)
    return np.where(own, formula(actions.dtype.type, closing), formula(np.float64, closing))


# Windows, handles: reach for the handle and bring it to its place, measured along one axis.


def _reach_and_place(
    worlds: State,
    handle: Point,
    start: np.ndarray,
    axis: int,
    goal_start: np.ndarray,
    radius: float,
    reach_shape: Callable[[np.ndarray], np.ndarray] = long_tail,
) -> tuple[np.ndarray, np.ndarray]:
    """Ten times the product of reaching and placing, and the handle's distance to its goal along `axis` [m]."""
    position, target = worlds.at(handle), worlds.target
    apart = np.abs(position[:, axis] - target[:, axis])
    apart_start = np.abs(goal_start[:, axis] - target[:, axis])
    in_place = tolerance(apart, 0, radius, np.abs(apart_start - radius))
    away, away_start = length(position - worlds.fingertips()), length(start - worlds.start("init_tcp"))
    reach = tolerance(away, 0, 0.02, np.abs(away_start - 0.02), reach_shape)
    return 10 * hamacher(reach, in_place), apart


def window_open(worlds: State, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
    # upstream: the handle's way is counted from the window frame's middle, not from the handle.
    start, frame = worlds.start("window_handle_pos_init"), worlds.start("obj_init_pos")
    return _reach_and_place(worlds, site("handleOpenStart"), start, _X, frame, 0.05)[0]


def window_close(worlds: State, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
    start = worlds.start("window_handle_pos_init")
    return _reach_and_place(worlds, site("handleCloseStart"), start, _X, start, 0.05, gaussian)[0]


def handle_press(worlds: State, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
    start = worlds.start("_handle_init_pos")
    reward, apart = _reach_and_place(worlds, site("handleStart"), start, _Z, start, 0.02)
    return np.where(apart <= 0.02, 10.0, reward)


def handle_pull(worlds: State, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
    handle, tip = observations[:, _OBJECT], worlds.fingertips()
    start, tip_start = worlds.start("obj_init_pos"), worlds.start("init_tcp")
    target = worlds.target[:, _Z]
    apart = np.abs(target - handle[:, _Z])
    in_place = tolerance(apart, 0, 0.05, np.abs(target - start[:, _Z]))

    sides = []
    for pad in ("leftpad", "rightpad"):
        pad_y = worlds.at(body(pad))[:, _Y]
        # upstream: the margin depends on where the pad is now, so it shifts while the hand moves.
        margin = np.abs(np.abs(pad_y - start[:, _Y]) - 0.05)
        sides.append(tolerance(np.abs(pad_y - handle[:, _Y]), 0.022, 0.05, margin))
    around = tolerance(length((tip - handle)[:, _XZ]), 0, 0.01, length((start - tip_start)[:, _XZ]) - 0.01)
    caging = hamacher(hamacher(sides[0], sides[1]), around)
    # upstream: "lifted" compares the handle's y with a z, so it always holds.
    held = (length(handle - tip) < 0.035) & (observations[:, _OPENING] > 0)
    held &= handle[:, _Y] - 0.01 > start[:, _Z]

    def score(dtype: Precision, closing: np.ndarray) -> np.ndarray:
        caged, placed = caging.astype(dtype), in_place.astype(dtype)
        grasped = (hamacher(caged, np.where(caging > 0.97, closing, 0).astype(dtype)) + caged) / 2
        return hamacher(grasped, placed) + np.where(held, 1.0 + 5.0 * in_place, 0.0).astype(dtype)

    return np.where(apart < 0.05, 10.0, with_grip(actions, caging > 0.97, score))


# Drawers and doors


def drawer_open(worlds: State, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
    hand, handle = observations[:, _HAND], observations[:, _OBJECT]
    opened = tolerance(length(handle - worlds.target), 0, 0.02, 0.2)
    closed_handle = worlds.target + np.array([0.0, 0.2, 0.0])
    scale = np.array([3.0, 3.0, 1.0])
    away_start = length((closed_handle - worlds.start("init_tcp")) * scale)
    caged = tolerance(length((handle - hand) * scale), 0, 0.01, away_start)
    return np.asarray(5.0 * (caged + opened))


def drawer_close(worlds: State, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
    handle, start, target = observations[:, _OBJECT], worlds.start("obj_init_pos"), worlds.target
    apart = length(handle - target)
    in_place = tolerance(apart, 0, 0.05, np.abs(length(start - target) - 0.05))
    away_start = length(start - worlds.start("init_tcp"))
    reach = tolerance(length(handle - worlds.fingertips()), 0, 0.005, np.abs(away_start - 0.005), gaussian)

    def score(dtype: Precision, closing: np.ndarray) -> np.ndarray:
        reached = hamacher(reach.astype(dtype), closing.astype(dtype))
        return 10 * hamacher(reached, in_place.astype(dtype))

    return np.where(apart <= 0.065, 10.0, with_grip(actions, np.ones(len(actions), dtype=bool), score))


def door_close(worlds: State, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
    handle, target = observations[:, _OBJECT], worlds.target
    apart = length(handle - target)
    in_place = tolerance(apart, 0, 0.05, length(worlds.start("obj_init_pos") - target), gaussian)
    # upstream: the margin is the handle's distance now, and the hand is drawn to the goal instead of to the handle.
    margin = length(worlds.start("hand_init_pos") - handle) + 0.1
    hand_in_place = tolerance(length(worlds.fingertips() - target), 0, 0.25 * 0.05, margin, gaussian)
    return np.where(apart < 0.05, 10.0, 3 * hand_in_place + 6 * in_place)


def door_unlock(worlds: State, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
    hand, lock = observations[:, _HAND], observations[:, _OBJECT]
    shoulder, scale = np.array([0.0, 0.055, 0.07]), np.array([0.25, 1.0, 0.5])
    # upstream: the start is told from the fingertips to the lock's axis, the present from the hand to the lock's end.
    away_start = length((worlds.start("init_tcp") + shoulder - worlds.start("obj_init_pos")) * scale)
    ready = tolerance(length((hand + shoulder - lock) * scale), 0, 0.02, away_start)
    pushed = tolerance(np.abs(worlds.target[:, _X] - lock[:, _X]), 0, 0.005, 0.1)
    return np.asarray(2 * ready + 8 * pushed)


# A button, a block


def button_press(worlds: State, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
    button = observations[:, _OBJECT]
    away = length(button - worlds.fingertips())
    # upstream: the margin is measured to the button as it is now.
    near = tolerance(away, 0, 0.05, length(button - worlds.start("init_tcp")))
    apart = np.abs(worlds.target[:, _Y] - button[:, _Y])
    pressed = tolerance(apart, 0, 0.005, worlds.start("_obj_to_target_init"))
    # upstream: what it calls a closed gripper is the gripper's opening.
    return 2 * hamacher(np.maximum(observations[:, _OPENING], 0.0), near) + np.where(away <= 0.05, 8 * pressed, 0.0)


def sweep_into(worlds: State, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
    block, tip = observations[:, _OBJECT], worlds.fingertips()
    start, tip_start = worlds.start("obj_init_pos"), worlds.start("init_tcp")
    hole = np.concatenate([worlds.target[:, :2], block[:, 2:]], axis=1)
    apart = length(block - hole)
    in_place = tolerance(apart, 0, 0.05, length(start - hole))

    cage, grip = [], []
    for name, side in (("init_left_pad", 1.0), ("init_right_pad", -1.0)):
        # upstream: its "initial" pads are views of the simulation and show where the pads are now.
        gap = side * (worlds.start(name)[:, _Y] - block[:, _Y])
        margin = np.abs(np.abs(gap) - 0.05)
        cage.append(tolerance(gap, 0.02, 0.05, margin))
        grip.append(tolerance(gap, 0.02, 0.025, margin))
    around = tolerance(length((tip - block)[:, _XZ]), 0, 0.01, length((start - tip_start)[:, _XZ]) - 0.01)
    caging = hamacher(hamacher(cage[1], cage[0]), around)
    gripping = np.where(caging > 0.95, hamacher(grip[1], grip[0]), 0.0)
    grasped = (caging + gripping) / 2
    return np.where(apart < 0.05, 10.0, 2 * grasped + 6 * hamacher(grasped, in_place))


BATCHED: dict[str, Batched] = {
    "button-press": button_press,
    "door-close": door_close,
    "door-unlock": door_unlock,
    "drawer-close": drawer_close,
    "drawer-open": drawer_open,
    "handle-press": handle_press,
    "handle-press-side": handle_press,
    "handle-pull": handle_pull,
    "sweep-into": sweep_into,
    "window-close": window_close,
    "window-open": window_open,
}
