"""What a robot must keep to, as data with names: boxes, regions for its points, speeds, and learned constraints.

Every limit becomes rows h(x, x+) of the state before and after a control step, at least zero where it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import casadi as ca
import numpy as np

from controllers.constraint import LearnedConstraint, check_fits, held
from controllers.systems.system import System
from robot_learn.errors import UserError, unknown

Points = Callable[[ca.SX], Mapping[str, ca.SX]]  # points (3,) [m] of the robot, by name, of a state
Numbers = tuple[float, ...]
_ROUNDED = 1e-4  # [m] keeps roots smooth: a distance to a shape is at most so much too small


@dataclass(frozen=True)
class StateBox:
    """Some numbers of the state stay between bounds."""

    name: str
    index: tuple[int, ...]
    low: Numbers
    high: Numbers


@dataclass(frozen=True)
class ControlBox:
    """Bounds on the control, tighter than the system's own."""

    name: str
    low: Numbers
    high: Numbers


@dataclass(frozen=True)
class JointSpeed:
    """Joint speeds that shrink towards the ends of the joints' ranges, where the control is the state's speed.

    min(velocity, max(0, -offset + sqrt(2 braking (upper - q)))), and likewise downwards, as published for the FR3.
    """

    name: str
    lower: Numbers  # [rad]
    upper: Numbers
    velocity: Numbers  # [rad/s]
    offset: Numbers  # [rad/s]
    braking: Numbers  # [rad/s^2]

    def bounds(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest speeds (n,) at joint angles (n,)."""
        up, down = (
            np.sqrt(2 * np.array(self.braking) * np.maximum(room, 0.0)) - self.offset
            for room in (self.upper - q, q - self.lower)
        )
        velocity = np.array(self.velocity)
        return -np.clip(down, 0.0, velocity), np.clip(up, 0.0, velocity)


@dataclass(frozen=True)
class HalfSpace:
    """{p: normal' p <= offset}."""

    normal: Numbers  # of length 1
    offset: float  # [m]


@dataclass(frozen=True)
class Ball:
    centre: Numbers  # [m]
    radius: float  # [m]


@dataclass(frozen=True)
class Box:
    low: Numbers  # [m]
    high: Numbers


Shape = HalfSpace | Ball | Box


@dataclass(frozen=True)
class Region:
    """Points of the robot stay inside of a shape, or outside of it.

    `margin` is for what the verification between two control steps may miss. Of any shape that is at most half of the
    way between two states that are verified: 2.5 mm at 0.5 m/s, a control step of 0.1 s and ten checks. A flat wall
    loses nothing, a ball of radius R, passed by in chords of length d, at most d^2 / (8 R).
    """

    name: str
    shape: Shape
    points: tuple[str, ...]
    keep: Literal["in", "out"]
    margin: float = 0.003  # [m]


@dataclass(frozen=True)
class SpeedLimit:
    """A point of the robot is not faster than this."""

    name: str
    point: str
    highest: float  # [m/s]


Limit = StateBox | ControlBox | JointSpeed | Region | SpeedLimit
_KINDS: dict[str, Any] = {kind.__name__: kind for kind in (StateBox, ControlBox, JointSpeed, Region, SpeedLimit)}
_SHAPES: dict[str, Any] = {kind.__name__: kind for kind in (HalfSpace, Ball, Box)}


def to_data(limits: Sequence[Limit]) -> list[dict[str, Any]]:
    """Limits as what JSON can hold."""
    listed = [{"kind": type(limit).__name__, **asdict(limit)} for limit in limits]
    for data, limit in zip(listed, limits, strict=True):
        if isinstance(limit, Region):
            data["shape"]["kind"] = type(limit.shape).__name__
    return listed


def from_data(listed: Sequence[Mapping[str, Any]]) -> list[Limit]:
    """Limits from what `to_data` gave.

    Raises:
        UserError: a kind or a field is not known, or one is missing.
    """
    return [_made(_KINDS, "limit", data) for data in listed]


def _made(kinds: dict[str, Any], what: str, data: Mapping[str, Any]) -> Any:
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    kind = fields.pop("kind", "")
    if kind not in kinds:
        raise unknown(what, str(kind), kinds)
    if isinstance(fields.get("shape"), dict):
        fields["shape"] = _made(_SHAPES, "shape", fields["shape"])
    try:
        return kinds[kind](**fields)
    except TypeError as error:
        raise UserError(f"a {kind}: {error}; wanted {', '.join(kinds[kind].__dataclass_fields__)}") from error


@dataclass(frozen=True, eq=False)
class Rows:
    """All limits of a filter, as symbolic rows and as bounds."""

    names: tuple[str, ...]  # of each row
    hard: np.ndarray  # (m,) it was given, not learned
    of_state: np.ndarray  # (m,) it is about the state after a step, not about the step
    symbols: Callable[[ca.SX, ca.SX], ca.SX]  # h (m,) of the states before and after
    widest: tuple[np.ndarray, np.ndarray]  # bounds (nu,) on the control, wherever the state is
    bounds: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # and those at a state


def rows(
    system: System,
    limits: Sequence[Limit],
    learned: Sequence[LearnedConstraint] = (),
    points: Points | None = None,
    *,
    enlarge: float = 1.0,
    learned_margin: float = 0.01,
) -> Rows:
    """Limits and learned constraints, made ready for a filter.

    Args:
        points: the points of the robot that regions and speed limits are about.
        enlarge: factor of the ellipsoid whose worst hypothesis is to be kept to; 0 trusts its centre alone.
        learned_margin: how much below zero a learned g is kept, in shares of its offset.

    Raises:
        UserError: sizes do not fit, two limits share a name, a point is not known, a constraint is another system's.
    """
    _check(system, limits, learned, points)
    on_states = [limit for limit in limits if not isinstance(limit, ControlBox | JointSpeed)]
    lay = [_rows_of(limit, points, system.control_dt) for limit in on_states]
    lay += [(("learned",), _learned_row(system, constraint, enlarge, learned_margin)) for constraint in learned]
    names = [name for given, _ in lay for name in given]
    hard = np.arange(len(names)) < len(names) - len(learned)
    speeds = {limit.name for limit in limits if isinstance(limit, SpeedLimit)}
    of_state = np.array([name not in speeds for name in names], dtype=bool) | ~hard

    def symbols(x: ca.SX, after: ca.SX) -> ca.SX:
        return ca.vertcat(ca.SX(0, 1), *(expression(x, after) for _, expression in lay))

    boxes = [limit for limit in limits if isinstance(limit, ControlBox)]
    ends = [limit for limit in limits if isinstance(limit, JointSpeed)]
    lows = [np.array(box.low) for box in boxes] + [-np.array(end.velocity) for end in ends]
    highs = [np.array(box.high) for box in boxes] + [np.array(end.velocity) for end in ends]
    low = np.max([system.control_low, *lows], axis=0)
    high = np.min([system.control_high, *highs], axis=0)

    def bounds(state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        now = [end.bounds(state) for end in ends]
        return np.max([low, *(n[0] for n in now)], axis=0), np.min([high, *(n[1] for n in now)], axis=0)

    return Rows(tuple(names), hard, of_state, symbols, (low, high), bounds)


def straight(system: System, state: np.ndarray, action: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """States (K, nx) at shares (K,) of the straight way to the state after the action."""
    after = system.step(state, action)
    way = state + shares[:, None] * (after - state)
    return way if system.after is None else np.array([system.after(one) for one in way])


def default_weight(weight: np.ndarray | None, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """What each number of an action (nu,) counts in what is near; by default its bounds make them comparable."""
    if weight is None:
        half = np.where(np.isfinite(high - low), (high - low) / 2, 1.0)
        return 1 / np.maximum(half, 1e-6) ** 2
    weight = np.asarray(weight, dtype=np.float64).ravel()
    if weight.shape != low.shape or not (weight > 0).all():
        raise UserError(f"weight: wanted {low.size} numbers above zero, came {weight}")
    return weight


Expression = Callable[[ca.SX, ca.SX], ca.SX]


def _rows_of(limit: Limit, points: Points | None, control_dt: float) -> tuple[tuple[str, ...], Expression]:
    """The name of each row and the rows of a limit on states."""
    if isinstance(limit, StateBox):
        box = limit
        listed = list(box.index)
        names = (box.name,) * (2 * len(listed))
        return names, lambda x, after: ca.vertcat(after[listed] - ca.DM(box.low), ca.DM(box.high) - after[listed])
    assert points is not None
    where = points
    if isinstance(limit, SpeedLimit):
        speed = limit

        def slower(x: ca.SX, after: ca.SX) -> ca.SX:
            moved = where(after)[speed.point] - where(x)[speed.point]
            # As good as highest - |v| where they meet, and smooth at rest.
            return (speed.highest - ca.sumsqr(moved) / control_dt**2 / speed.highest) / 2

        return (speed.name,), slower
    assert isinstance(limit, Region)
    region = limit

    def outside(x: ca.SX, after: ca.SX) -> ca.SX:
        found = where(after)
        return ca.vertcat(*(_kept(region, found[point]) for point in region.points))

    each = 6 if region.keep == "in" and isinstance(region.shape, Box) else 1
    return tuple(f"{region.name} ({point})" for point in region.points for _ in range(each)), outside


def _kept(region: Region, p: ca.SX) -> ca.SX:
    """Distances [m] to where a point must not be, less the margin: six rows inside of a box, else one."""
    shape = region.shape
    if isinstance(shape, Box) and region.keep == "in":
        return ca.vertcat(p - ca.DM(shape.low), ca.DM(shape.high) - p) - region.margin
    if isinstance(shape, HalfSpace):
        out = ca.dot(ca.DM(shape.normal), p) - shape.offset
    elif isinstance(shape, Ball):
        out = ca.sqrt(ca.sumsqr(p - ca.DM(shape.centre)) + _ROUNDED**2) - _ROUNDED - shape.radius
    else:
        centre, half = (np.array(shape.low) + shape.high) / 2, (np.array(shape.high) - shape.low) / 2
        beyond = ca.fabs(p - ca.DM(centre)) - ca.DM(half)
        out = ca.sqrt(ca.sumsqr(ca.fmax(beyond, 0)) + _ROUNDED**2) - _ROUNDED + ca.fmin(ca.mmax(beyond), 0)
    return (out if region.keep == "out" else -out) - region.margin


def _learned_row(system: System, learned: LearnedConstraint, enlarge: float, margin: float) -> Expression:
    def row(x: ca.SX, after: ca.SX) -> ca.SX:
        return -held(system, learned, after, robust=True, enlarge=enlarge) + margin * learned.offset

    return row


def _check(
    system: System, limits: Sequence[Limit], learned: Sequence[LearnedConstraint], points: Points | None
) -> None:
    for constraint in learned:
        check_fits(constraint, system)
    names = [limit.name for limit in limits]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two limits are named {name!r}: a name tells which limit held the robot")
    known = set(points(ca.SX.sym("x", system.nx))) if points is not None else set()
    for limit in limits:
        _check_sizes(system, limit)
        wanted = limit.points if isinstance(limit, Region) else (limit.point,) if isinstance(limit, SpeedLimit) else ()
        for point in wanted:
            if point not in known:
                raise unknown(f"point of the robot (for the limit {limit.name!r})", point, known)


def _check_sizes(system: System, limit: Limit) -> None:
    if isinstance(limit, StateBox | ControlBox):
        size = len(limit.index) if isinstance(limit, StateBox) else system.nu
        if not len(limit.low) == len(limit.high) == size:
            raise UserError(f"limit {limit.name!r}: wanted {size} bounds, came {len(limit.low)} and {len(limit.high)}")
        if not all(low < high for low, high in zip(limit.low, limit.high, strict=True)):
            raise UserError(f"limit {limit.name!r}: a lower bound is not below its upper one")
    if isinstance(limit, StateBox) and not all(0 <= i < system.nx for i in limit.index):
        raise UserError(f"limit {limit.name!r}: the state has the numbers 0 to {system.nx - 1}, came {limit.index}")
    if isinstance(limit, JointSpeed):
        sizes = {len(getattr(limit, name)) for name in ("lower", "upper", "velocity", "offset", "braking")}
        if sizes != {system.nu} or system.nx != system.nu:
            raise UserError(f"limit {limit.name!r}: wanted {system.nu} joints, came {sizes}, of {system.nx} states")
    if isinstance(limit, Region) and isinstance(limit.shape, HalfSpace):
        length = float(np.linalg.norm(limit.shape.normal))
        if abs(length - 1) > 1e-6:
            raise UserError(f"limit {limit.name!r}: the normal's length is {length}, wanted 1")
