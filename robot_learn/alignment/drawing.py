"""Where a plan goes, drawn in characters, with what the person knows to be in the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Segment = tuple[tuple[float, float], tuple[float, float]]
Points = Callable[[np.ndarray], np.ndarray]  # states (N, nx) -> (N, 2)
ROBOT, PLAN, WALL, TARGET = "@", "·", "#", "+"
COLUMNS, ROWS = 36, 12  # two pictures side by side fit into 80 columns


@dataclass(frozen=True)
class Picture:
    """What is to the right, what is up, and what stands there."""

    title: str
    right: str
    up: str
    points: Points
    low: tuple[float, float]  # of the lower left corner; may be above `high`, so that the motion goes to the right
    high: tuple[float, float]
    walls: tuple[Segment, ...] = ()
    target: Callable[[np.ndarray], tuple[float, float]] | None = None  # where the target is, of its numbers


def draw(picture: Picture, states: np.ndarray, target: np.ndarray) -> list[str]:
    """Lines of text: the plan's states (N, nx), the first of them where the robot is."""
    canvas = np.full((ROWS, COLUMNS), " ")
    for start, end in picture.walls:
        _put(canvas, picture, np.linspace(start, end, 200), WALL)
    if picture.target is not None:
        _put(canvas, picture, np.array([picture.target(target)]), TARGET)
    way = picture.points(states)
    _put(canvas, picture, way[1:], PLAN)
    _put(canvas, picture, way[:1], ROBOT)
    lines = ["".join(row) for row in canvas]
    frame = "+" + "-" * COLUMNS + "+"
    (left, bottom), (right, top) = picture.low, picture.high
    scales = (f"right {picture.right} {left:g} to {right:g}", f"up {picture.up} {bottom:g} to {top:g}")
    return [picture.title, frame, *(f"|{line}|" for line in lines), frame, *scales]


def beside(drawn: Sequence[Sequence[str]]) -> list[str]:
    """Drawings next to each other."""
    return ["  ".join(line.ljust(COLUMNS + 2) for line in lines).rstrip() for lines in zip(*drawn, strict=True)]


def _put(canvas: np.ndarray, picture: Picture, points: np.ndarray, sign: str) -> None:
    low, high = np.array(picture.low), np.array(picture.high)
    shares = (points - low) / (high - low)
    for right, up in shares[np.isfinite(shares).all(axis=1)]:
        if 0 <= right <= 1 and 0 <= up <= 1:
            canvas[round((1 - up) * (ROWS - 1)), round(right * (COLUMNS - 1))] = sign


def pictures(system: str) -> tuple[Picture, ...]:
    """How a system is drawn; none where nothing is known about it."""
    found = _PICTURES.get(system)
    return found() if found else ()


def _axes(first: int, second: int) -> Points:
    return lambda states: states[:, [first, second]]


def _pendulum() -> tuple[Picture, ...]:
    # Above the line .6 angle + speed = 3 is what the person holds to be too much.
    line = ((0.0, 3.0), (3.5, 0.9))
    points = _axes(0, 1)
    return (Picture("angle and speed", "angle [rad]", "speed [rad/s]", points, (0.0, -1.0), (3.5, 4.0), (line,)),)


def _gate() -> tuple[Picture, ...]:
    from controllers.systems.uav import OPENING, WALL_X

    (left, right), (bottom, top) = OPENING.tolist()
    across = (((WALL_X, 0.0), (WALL_X, left)), ((WALL_X, right), (WALL_X, 10.0)))
    upright = (((WALL_X, 0.0), (WALL_X, bottom)), ((WALL_X, top), (WALL_X, 10.0)))
    return (
        Picture("from the side", "x [m]", "z [m]", _axes(0, 2), (0.0, 0.0), (20.0, 10.0), upright, _target(0, 2)),
        Picture("from above", "x [m]", "y [m]", _axes(0, 1), (0.0, 0.0), (20.0, 10.0), across, _target(0, 1)),
    )


def _tube() -> tuple[Picture, ...]:
    return (
        Picture("from the side", "x [m]", "z [m]", _axes(0, 2), (0.0, 0.0), (20.0, 10.0), target=_target(0, 2)),
        Picture("from above", "x [m]", "y [m]", _axes(0, 1), (0.0, 0.0), (20.0, 10.0), target=_target(0, 1)),
    )


def _franka(low: float, high: float, wanted: float, around: tuple[float, float]) -> Callable[[], tuple[Picture, ...]]:
    """From the side, with the opening; and the roll, with the one that is wanted at the opening."""

    def found() -> tuple[Picture, ...]:
        from controllers.systems.franka_pose import PLACE_X

        bottom, top = around
        slot = (((PLACE_X, bottom), (PLACE_X, low)), ((PLACE_X, high), (PLACE_X, top)))
        away = np.radians(14)  # about what the game allows
        rolls = (((PLACE_X, -1.0), (PLACE_X, wanted - away)), ((PLACE_X, wanted + away), (PLACE_X, 1.3)))
        return (
            Picture("from the side", "x [m]", "z [m]", _axes(0, 2), (0.4, bottom), (-0.65, top), slot, _target(0, 2)),
            Picture("how it is rolled", "x [m]", "roll [rad]", _x_and_roll, (0.4, -1.0), (-0.65, 1.3), rolls),
        )

    return found


def _joints() -> tuple[Picture, ...]:
    from controllers.systems.franka_joints import OBSTACLE, hand

    walls = (((0.0, 0.0), (0.0, OBSTACLE)),)
    return (
        Picture(
            "from the front", "y [m]", "z [m]", lambda x: hand(x)[:, 1:], (-0.6, 0.0), (0.6, 0.8), walls, _target(1, 2)
        ),
    )


def _x_and_roll(states: np.ndarray) -> np.ndarray:
    """x and the turn about the world's x axis from upright, of states with a quaternion at 3."""
    from controllers.systems.franka_pose import UPRIGHT

    w, x, y, z = states[:, 3:7].T
    uw, ux, uy, uz = UPRIGHT * [1, -1, -1, -1]
    turn_w, turn_x = w * uw - x * ux - y * uy - z * uz, w * ux + x * uw + y * uz - z * uy
    roll = 2 * np.arctan2(turn_x, turn_w)
    return np.column_stack([states[:, 0], (roll + np.pi) % (2 * np.pi) - np.pi])


def _target(first: int, second: int) -> Callable[[np.ndarray], tuple[float, float]]:
    return lambda target: (float(target[first]), float(target[second]))


_PICTURES = {
    "pendulum": _pendulum,
    "uav-gate": _gate,
    "uav-tube": _tube,
    "franka-reach": _franka(0.37, 0.48, np.pi / 4, (0.25, 0.65)),
    "franka-pour": _franka(0.52, 0.8, 0.0, (0.3, 1.0)),
    "franka-joints": _joints,
}
