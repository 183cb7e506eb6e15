"""Scripted controllers for cubes on a table: pick, stack, push, pull.

The hand points straight down and never turns: a cube that lies askew is turned square by the closing fingers.
"""

from __future__ import annotations

import numpy as np

from sims.maniskill.scripted_moves import fetch, lift, lost, rest, set_down
from sims.maniskill.scripted_stages import CLOSED, Hand, Now, Script, Wish, at_height, near, offset, turned


def _pick() -> Script:
    def carry(now: Now) -> Wish:
        target = now.hand + now["goal.position"] - now["cube.position"]
        return Wish(target, CLOSED, again=lost(now, "cube"))

    return Script([Hand([[*fetch("cube"), carry]])])


def _stack() -> Script:
    def on_top(now: Now) -> np.ndarray:
        return offset(now["green_cube.position"], z=0.041)

    return Script([Hand([[*fetch("red_cube"), lift("red_cube"), *set_down("red_cube", on_top), rest]])])


def _shove(start: float, end: float) -> Script:
    """Fingers closed, sweep a cube along x from `start` of its centre until the hand is at `end` of the goal's [m]."""

    def above(now: Now) -> Wish:
        target = at_height(offset(now["cube.position"], x=start), 0.1)
        return Wish(target, CLOSED, over=near(target, now.hand, 0.02))

    def down(now: Now) -> Wish:
        target = at_height(offset(now["cube.position"], x=start), 0.02)
        return Wish(target, CLOSED, over=near(target, now.hand, 0.015) | (now.since > 25))

    def sweep(now: Now) -> Wish:
        target = at_height(offset(now["goal.position"], x=end), 0.02)
        target[:, 1] = now["cube.position"][:, 1]
        return Wish(target, CLOSED, speed=0.4)

    return Script([Hand([[above, down, sweep]])])


def _reach_along(axis: np.ndarray, quaternions: np.ndarray) -> np.ndarray:
    """(N,) [m] how far a cube of edge 0.04 m that lies flat reaches from its centre along horizontal axes (N, 3)."""
    sides = (abs((turned(quaternions, side) * axis).sum(1)) for side in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]))
    return 0.02 * sum(sides, np.zeros(len(axis)))


def _beside(now: Now) -> np.ndarray:
    """Next to the green cube, on the side away from the blue one, and so that the fingers have room to open."""
    green, blue = now.began["green_cube.position"], now.began["blue_cube.position"]
    across = turned(now.began["hand.quaternion"], [1.0, 0.0, 0.0]) * np.array([1.0, 1.0, 0.0])
    reaches = [_reach_along(across, now.began[f"{colour}_cube.quaternion"]) for colour in ("green", "red")]
    gap = np.minimum(reaches[0] + reaches[1] + 0.002, 0.058)
    side = np.where(((blue - green) * across).sum(1) > 0, -1.0, 1.0)
    return offset(green + across * (gap * side)[:, None], z=0.001)


def _across(now: Now) -> np.ndarray:
    return offset((now["green_cube.position"] + now["red_cube.position"]) / 2, z=0.041)


def _pyramid() -> Script:
    lower = [*fetch("red_cube"), lift("red_cube"), *set_down("red_cube", _beside)]
    upper = [*fetch("blue_cube"), lift("blue_cube"), *set_down("blue_cube", _across)]
    return Script([Hand([lower, [*upper, rest]])])


SCRIPTS = {
    "pick-cube": _pick,
    "stack-cube": _stack,
    "push-cube": lambda: _shove(start=-0.08, end=-0.02),
    "pull-cube": lambda: _shove(start=0.07, end=0.0),
    "stack-pyramid": _pyramid,
}
