"""Scripted controllers for a sphere, a ball, and cubes that two robots handle together."""

from __future__ import annotations

import numpy as np

from sims.maniskill.scripted_moves import fetch, lift, lost, rest, set_down
from sims.maniskill.scripted_stages import CLOSED, OPEN, Hand, Now, Script, Wish, at_height, near, offset

_QUARTER = np.pi / 2
_CRADLE = 0.2  # of the gripper: fingertips so far apart that a ball leans on both of them


def _place_sphere() -> Script:
    def bin_floor(now: Now) -> np.ndarray:
        return offset(now["bin.position"], z=0.0235)

    # Held above its middle, so that the fingertips stay above the walls of the bin.
    acts = [*fetch("sphere", depth=-0.007), lift("sphere"), *set_down("sphere", bin_floor), rest]
    return Script([Hand([acts])])


def _roll_ball() -> Script:
    """Push the ball from behind, ever faster so that it stays between the fingertips, and stop: it rolls on."""

    def way(now: Now) -> np.ndarray:
        """(N, 3) of length one, level: from where the ball lay to the goal."""
        apart = (now["goal.position"] - now.scene.initial["ball.position"]) * np.array([1.0, 1.0, 0.0])
        return np.asarray(apart / np.linalg.norm(apart, axis=1, keepdims=True))

    def behind(now: Now) -> np.ndarray:
        return at_height(now["ball.position"] - 0.09 * way(now), 0.03)

    def above(now: Now) -> Wish:
        target = offset(behind(now), z=0.12)
        return Wish(target, _CRADLE, over=near(target, now.hand, 0.03) | (now.since > 25))

    def down(now: Now) -> Wish:
        return Wish(behind(now), _CRADLE, over=near(behind(now), now.hand, 0.004) | (now.since > 12))

    def strike(now: Now) -> Wish:
        origin, forth = now.scene.initial["ball.position"], way(now)
        gone = ((now.hand - origin) * forth).sum(1) + 0.012 + 0.003 * now.since
        return Wish(at_height(origin + forth * gone[:, None], 0.03), _CRADLE, over=now.hand[:, 1] < 0.32)

    def halt(now: Now) -> Wish:
        return Wish(now.start, _CRADLE)

    return Script([Hand([[above, down, strike, halt]], facing=-_QUARTER)])


def _away(now: Now) -> Wish:
    """Backwards and up, out of the way of the other robot."""
    side = -1.0 if now.prefix == "left_" else 1.0
    target = now.start.copy()
    target[:, 1:] = (0.3 * side, 0.25)
    return Wish(target, OPEN)


def _hand_over() -> Script:
    def middle(now: Now) -> np.ndarray:
        spot = now.began["cube.position"].copy()
        spot[:, 1:] = (0.0, 0.021)
        return spot

    def wait(now: Now) -> Wish:
        given = (now["cube.position"][:, 1] > -0.03) & (now["cube.grasped_by_left"] < 0.5)
        gone = now["left_hand.position"][:, 1] < -0.1
        return Wish(now.start, OPEN, over=given & gone)

    def carry(now: Now) -> Wish:
        return Wish(now.hand + now["goal.position"] - now["cube.position"], CLOSED, again=lost(now, "cube"))

    bring = [*fetch("cube", grasped="cube.grasped_by_left"), lift("cube"), *set_down("cube", middle), _away]
    take = [*fetch("cube", grasped="cube.grasped_by_right"), lift("cube"), carry]
    return Script([Hand([bring], "left_", _QUARTER), Hand([[wait], take], "right_", -_QUARTER)])


def _stack_by_two() -> Script:
    def hold(now: Now) -> Wish:
        target = now.start.copy()
        target[:, 1:] = (-0.25, 0.25)
        over = (now["right_hand.position"][:, 1] > 0.1) & near(
            now["green_cube.position"][:, :2], now["goal.position"][:, :2], 0.06
        )
        return Wish(target, CLOSED, over, lost(now, "blue_cube"))

    def on_top(now: Now) -> np.ndarray:
        return offset(now.began["green_cube.position"], z=0.041)

    def at_the_edge(now: Now) -> np.ndarray:
        """As near to the goal as the right robot can bring a cube that it holds."""
        spot = now["goal.position"].copy()
        spot[:, 1:] = (-0.015, 0.021)
        return spot

    def wait(now: Now) -> Wish:
        return Wish(now.start, OPEN, over=now["blue_cube.position"][:, 2] > 0.15)

    def behind(now: Now) -> np.ndarray:
        return at_height(offset(now["green_cube.position"], y=0.07), 0.02)

    def above(now: Now) -> Wish:
        target = offset(behind(now), z=0.1)
        return Wish(target, CLOSED, over=near(target, now.hand, 0.02))

    def down(now: Now) -> Wish:
        return Wish(behind(now), CLOSED, over=near(behind(now), now.hand, 0.01) | (now.since > 15))

    def push(now: Now) -> Wish:
        target = now["green_cube.position"].copy()
        target[:, 1] = now.hand[:, 1] - 0.1
        arrived = near(now["green_cube.position"][:, :2], now["goal.position"][:, :2], 0.045)
        return Wish(at_height(target, 0.02), CLOSED, arrived | (now.since > 40), speed=0.2)

    def draw_back(now: Now) -> Wish:
        target = offset(now.start, y=0.05)
        at_goal = near(now["green_cube.position"][:, :2], now["goal.position"][:, :2], 0.055)
        back = near(target, now.hand, 0.02)
        return Wish(target, CLOSED, back & at_goal, back & ~at_goal)

    bring = [*fetch("green_cube"), lift("green_cube"), *set_down("green_cube", at_the_edge)]
    left = [*fetch("blue_cube"), lift("blue_cube", 0.2), hold, *set_down("blue_cube", on_top), _away]
    return Script(
        [
            Hand([left], "left_", _QUARTER),
            Hand([[wait], bring, [above, down, push, draw_back, _away]], "right_", -_QUARTER),
        ]
    )


SCRIPTS = {
    "place-sphere": _place_sphere,
    "roll-ball": _roll_ball,
    "two-robot-pick-cube": _hand_over,
    "two-robot-stack-cube": _stack_by_two,
}
