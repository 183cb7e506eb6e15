"""Scripted controllers for pegs, a plug and a tool."""

from __future__ import annotations

import numpy as np

from sims.maniskill.scripted_moves import carried, pointing_down
from sims.maniskill.scripted_stages import (
    CLOSED,
    OPEN,
    Hand,
    Now,
    Script,
    Stage,
    Wish,
    about,
    at_height,
    inverse,
    near,
    offset,
    rotation_vector,
    times,
    turned,
)


def _along(now: Now, thing: str) -> np.ndarray:
    """(N, 3) where the x axis of a thing points."""
    return turned(now[f"{thing}.quaternion"], [1.0, 0.0, 0.0])


def _take(thing: str, along: np.ndarray | float, *, height: float = 0.0) -> list[Stage]:
    """Grasp a thing across its x axis, `along` [m] from its position on that axis and `height` above it."""

    def spot(now: Now) -> np.ndarray:
        return offset(now[f"{thing}.position"] + along * _along(now, thing), z=height)

    def above(now: Now) -> Wish:
        target, how = offset(spot(now), z=0.09), pointing_down(now, _along(now, thing))
        ready = near(target[:, :2], now.hand[:, :2], 0.01) & _turned_to(now, how, 0.05)
        return Wish(target, OPEN, ready | (now.since > 40), orientation=how)

    def down(now: Now) -> Wish:
        how = pointing_down(now, _along(now, thing))
        return Wish(spot(now), OPEN, near(spot(now), now.hand, 0.006) | (now.since > 20), orientation=how, speed=0.5)

    def close(now: Now) -> Wish:
        over = (now[f"{thing}.grasped"] > 0.5) & (now.since > 2)
        return Wish(now.start, CLOSED, over, again=now.since > 12)

    return [above, down, close]


def _turned_to(now: Now, orientation: np.ndarray, angle: float) -> np.ndarray:
    """(N,) bool: the hand is that way to within an angle [rad]."""
    away: np.ndarray = np.linalg.norm(rotation_vector(times(orientation, inverse(now.hand_quaternion))), axis=1)
    return away < angle


def _bring(thing: str, position: np.ndarray, orientation: np.ndarray, now: Now, speed: float = 1.0) -> Wish:
    """Bring what is held to a pose."""
    target, how = carried(now, thing, position, orientation)
    return Wish(target, CLOSED, orientation=how, speed=speed)


def _lift_upright() -> Script:
    """Bring the peg near the robot and turn the hand back towards the base: only there the wrist can turn so far."""

    def upright(now: Now, height: float, over: np.ndarray | None = None) -> Wish:
        position = at_height(now.scene.initial["peg.position"], height)
        position[:, 0] = -0.22
        # The peg's x axis down: a quarter turn about y.
        orientation = times(about([0.0, 1.0, 0.0], np.pi / 2), now.scene.initial["peg.quaternion"])
        target, how = carried(now, "peg", position, orientation)
        return Wish(target, CLOSED, over, orientation=how, speed=0.5)

    def turn_it(now: Now) -> Wish:
        return upright(now, 0.18, abs(_along(now, "peg")[:, 2]) > 0.999)

    def lower(now: Now) -> Wish:
        return upright(now, 0.12)

    return Script([Hand([[*_take("peg", 0.0), turn_it, lower]], turns=True)])


def _insert() -> Script:
    """Bring a peg in front of its hole, then push it in along the axis."""

    def place(now: Now, before: float) -> tuple[np.ndarray, np.ndarray]:
        """Position and orientation of the peg with its head `before` the middle of the hole [m]."""
        back = now["peg.half_size"][:, :1] + before
        return now["hole.position"] - back * now["hole.axis"], now["hole.quaternion"]

    def raise_it(now: Now) -> Wish:
        _, orientation = place(now, 0.0)
        _, how = carried(now, "peg", now["peg.position"], orientation)
        target = at_height(now.start, now["hole.position"][:, 2] + 0.01)
        return Wish(target, CLOSED, _turned_to(now, how, 0.1) & near(target, now.hand, 0.03), orientation=how)

    def in_front(now: Now) -> Wish:
        position, orientation = place(now, 0.0)
        position = position - (now["peg.half_size"][:, :1] + 0.03) * now["hole.axis"]
        target, how = carried(now, "peg", position, orientation)
        over = near(target, now.hand, 0.003) & _turned_to(now, how, 0.02)
        return Wish(target, CLOSED, over, orientation=how, speed=0.6)

    def push(now: Now) -> Wish:
        position, orientation = place(now, -0.005)
        gone = ((now["peg.position"] - position) * now["hole.axis"]).sum(1, keepdims=True)
        target, how = carried(now, "peg", position + np.minimum(gone + 0.02, 0.0) * now["hole.axis"], orientation)
        return Wish(target, CLOSED, orientation=how, speed=0.4)

    return Script([Hand([[*_take("peg", -0.05), raise_it, in_front, push]], turns=True)])


def _plug() -> Script:
    def goal(now: Now, before: float) -> tuple[np.ndarray, np.ndarray]:
        return now["socket.position"] - before * now["socket.axis"], now["socket.goal_quaternion"]

    def in_front(now: Now) -> Wish:
        target, how = carried(now, "charger", *goal(now, 0.04))
        over = near(target, now.hand, 0.001) & _turned_to(now, how, 0.01) & (now.since > 10)
        return Wish(target, CLOSED, over, orientation=how, speed=0.6)

    def push(now: Now) -> Wish:
        position, orientation = goal(now, 0.0)
        gone = ((now["charger.position"] - position) * now["socket.axis"]).sum(1, keepdims=True)
        position = position + np.minimum(gone + 0.006, 0.0) * now["socket.axis"]
        target, how = carried(now, "charger", position, orientation)
        return Wish(target, CLOSED, orientation=how, speed=0.3)

    def raise_it(now: Now) -> Wish:
        position, orientation = goal(now, 0.0)
        lifted = at_height(now.began["charger.position"], position[:, 2])
        target, how = carried(now, "charger", lifted, orientation)
        return Wish(target, CLOSED, near(target, now.hand, 0.02), orientation=how, speed=0.6)

    return Script([Hand([[*_take("charger", -0.02), raise_it, in_front, push]], turns=True)])


def _poke() -> Script:
    def ahead(now: Now, gap: float) -> np.ndarray:
        """Where the middle of the peg is to be for its head to be `gap` [m] before the cube's centre."""
        position = now["cube.position"].copy()
        position[:, 0] -= 0.12 + gap
        return at_height(position, 0.03)

    def line_up(now: Now) -> Wish:
        target, how = carried(now, "peg", ahead(now, 0.07), now.scene.initial["peg.quaternion"])
        return Wish(target, CLOSED, near(target, now.hand, 0.008), orientation=how, speed=0.4)

    def push(now: Now) -> Wish:
        position = at_height(now["goal.position"], 0.03)
        position[:, 0] -= 0.12 + 0.02 + 0.025
        target, how = carried(now, "peg", position, now.scene.initial["peg.quaternion"])
        return Wish(target, CLOSED, orientation=how, speed=0.4)

    return Script([Hand([[*_take("peg", -0.09), line_up, push]], turns=True)])


def _pull_with_tool() -> Script:
    def hook_at(now: Now, x: float, z: float) -> np.ndarray:
        """Where the hand goes so that the hook's inner side is `x` beyond the cube's centre and the tool at z."""
        tool = now["cube.position"] + np.array([x - 0.15, -0.062, 0.0])
        return at_height(now.hand + tool - now["tool.position"], now.hand[:, 2] + z - now["tool.position"][:, 2])

    def over_it(now: Now) -> Wish:
        target = hook_at(now, 0.03, 0.17)
        return Wish(target, CLOSED, near(target, now.hand, 0.012) | (now.since > 40), speed=0.5)

    def down(now: Now) -> Wish:
        target = hook_at(now, 0.03, 0.027)
        return Wish(target, CLOSED, near(target, now.hand, 0.008) | (now.since > 20), speed=0.3)

    def pull(now: Now) -> Wish:
        return Wish(at_height(offset(now.hand, x=-0.1), now.start[:, 2]), CLOSED, speed=0.4)

    return Script([Hand([[*_tool(), over_it, down, pull]])])


def _tool() -> list[Stage]:
    """Take the tool by its handle, as near to its middle as the arm's reach allows once the hook is behind the cube."""

    def spot(now: Now) -> np.ndarray:
        cube = now.scene.initial["cube.position"]
        furthest = np.sqrt(0.79**2 - (cube[:, 1] - 0.062) ** 2) - 0.615  # [m] of the hand, where the cube is
        handle = np.clip(furthest - (cube[:, 0] - 0.115), 0.01, 0.11)
        return np.asarray(now["tool.position"] + np.stack([handle, 0 * handle, 0 * handle], axis=1))

    def above(now: Now) -> Wish:
        target = offset(spot(now), z=0.1)
        return Wish(target, OPEN, near(target[:, :2], now.hand[:, :2], 0.01))

    def down(now: Now) -> Wish:
        return Wish(spot(now), OPEN, near(spot(now), now.hand, 0.008) | (now.since > 20), speed=0.5)

    def close(now: Now) -> Wish:
        return Wish(now.start, CLOSED, (now["tool.grasped"] > 0.5) & (now.since > 3), now.since > 12)

    def raise_it(now: Now) -> Wish:
        target = at_height(now.start, 0.17)
        return Wish(target, CLOSED, near(target, now.hand, 0.02), speed=0.5)

    return [above, down, close, raise_it]


SCRIPTS = {
    "lift-peg-upright": _lift_upright,
    "peg-insertion-side": _insert,
    "plug-charger": _plug,
    "poke-cube": _poke,
    "pull-cube-tool": _pull_with_tool,
}
