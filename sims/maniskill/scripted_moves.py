"""Stages that many scripts share: fetch a thing from above, lift it, set it down, and carry it to a pose."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sims.maniskill.scripted_stages import (
    CLOSED,
    OPEN,
    Now,
    Stage,
    Wish,
    about,
    at_height,
    inverse,
    near,
    offset,
    times,
    turned,
)

_CLEAR = 0.12  # [m] a height of the fingertips above everything that lies on the table


def lost(now: Now, thing: str) -> np.ndarray:
    """(N,) bool: it is no longer between the fingers."""
    return ~near(now[f"{thing}.position"], now.hand, 0.035)


def fetch(thing: str, *, depth: float = 0.0, grasped: str = "") -> list[Stage]:
    """Grasp a thing from above, `depth` [m] below its centre; `grasped` is the flag that tells, if not its own."""
    flag = grasped or f"{thing}.grasped"

    def above(now: Now) -> Wish:
        target = offset(now[f"{thing}.position"], z=0.08)
        return Wish(target, over=near(target[:, :2], now.hand[:, :2], 0.01))

    def down(now: Now) -> Wish:
        target = offset(now[f"{thing}.position"], z=-depth)
        return Wish(target, over=near(target, now.hand, 0.008) | (now.since > 20))

    def close(now: Now) -> Wish:
        target = now.start
        return Wish(target, CLOSED, over=(now[flag] > 0.5) & (now.since > 2), again=now.since > 12)

    return [above, down, close]


def lift(thing: str, height: float = _CLEAR) -> Stage:
    """Straight up, to that height [m]."""

    def stage(now: Now) -> Wish:
        target = at_height(now.start, height)
        return Wish(target, CLOSED, over=now.hand[:, 2] > height - 0.02, again=lost(now, thing))

    return stage


def set_down(thing: str, where: Callable[[Now], np.ndarray]) -> list[Stage]:
    """Put what is held to a spot (N, 3) of its centre from above, let go of it and leave it."""

    def hand_for(now: Now, spot: np.ndarray) -> np.ndarray:
        return np.asarray(now.hand + spot - now[f"{thing}.position"])

    def over_it(now: Now) -> Wish:
        spot = offset(where(now), z=0.06)
        arrived = near(spot, now[f"{thing}.position"], 0.006)
        return Wish(hand_for(now, spot), CLOSED, arrived, lost(now, thing), speed=0.6)

    def down(now: Now) -> Wish:
        spot = where(now)
        arrived = near(spot, now[f"{thing}.position"], 0.004) | (now.since > 20)
        return Wish(hand_for(now, spot), CLOSED, arrived, lost(now, thing), speed=0.3)

    def release(now: Now) -> Wish:
        return Wish(now.start, OPEN, over=now.since > 4)

    def leave(now: Now) -> Wish:
        target = offset(now.start, z=0.1)
        return Wish(target, OPEN, over=near(target, now.hand, 0.02))

    return [over_it, down, release, leave]


def rest(now: Now) -> Wish:
    return Wish(now.start, OPEN)


def pointing_down(now: Now, along: np.ndarray) -> np.ndarray:
    """Orientations (N, 4) of a hand that points straight down, its fingers opening across horizontal axes (N, 3).

    Of the two ways, the one that is nearer to how the hand is.
    """
    sideways = turned(now.hand_quaternion, [1.0, 0.0, 0.0])
    angles = np.arctan2(sideways[:, 1], sideways[:, 0])
    turn = np.arctan2(along[:, 1], along[:, 0]) - angles
    turn = (turn + np.pi / 2) % np.pi - np.pi / 2
    return times(about([0.0, 0.0, 1.0], angles + turn), np.array([[0.0, 1.0, 0.0, 0.0]]))


def carried(now: Now, thing: str, position: np.ndarray, orientation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Position and orientation for the hand that bring what it holds to a position (N, 3) and orientation (N, 4)."""
    turn = times(orientation, inverse(now[f"{thing}.quaternion"]))
    arm = now.hand - now[f"{thing}.position"]
    return position + turned(turn, arm), times(turn, now.hand_quaternion)
