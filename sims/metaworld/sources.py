"""Where a quantity of a Meta-World scene is read from, and how success is measured: the words of the task table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

Offset = tuple[float, float, float]


@dataclass(frozen=True)
class Point:
    """A position: the frame of a body, a site or a geom, moved by an offset along the world's axes [m]."""

    kind: str  # "body", "site" or "geom"
    name: str
    offset: Offset | None = None


@dataclass(frozen=True)
class Quat:
    """An orientation: a body's (w, x, y, z), or that of a body, site or geom as upstream turns it to (x, y, z, w)."""

    kind: str  # "body", "site", "geom"; "zeros" and "identity" where upstream observes none
    name: str = ""
    xyzw: bool = False


@dataclass(frozen=True)
class Joint:
    """A joint's coordinate [m or rad], found by the joint's name or by the body that it moves, times `sign`."""

    name: str = ""
    of: str = ""
    sign: float = 1.0
    unit: str = "m"


@dataclass(frozen=True)
class Dial:
    """The rim point of upstream's dial: its centre plus 5 cm in the direction that its joint shows."""


def body(name: str, offset: Offset | None = None) -> Point:
    return Point("body", name, offset)


def site(name: str, offset: Offset | None = None) -> Point:
    return Point("site", name, offset)


def geom(name: str) -> Point:
    return Point("geom", name)


ZEROS, IDENTITY = Quat("zeros"), Quat("identity")
Source = Point | Quat | Joint | Dial
Named = tuple[str, Source, str]  # field name, where it is read, its meaning in one line


class State(Protocol):
    """What a measure of success or a batched reward may ask, for all worlds at once."""

    target: np.ndarray  # (N, 3) [m] upstream's target position

    def observed(self, index: int = 0) -> np.ndarray:
        """(N, 3) [m]: the position of an object as the observation shows it."""

    def at(self, source: Source) -> np.ndarray:
        """(N, ...): any source."""

    def fingertips(self) -> np.ndarray:
        """(N, 3) [m]: the point between the fingertips."""

    def grasped(self, rows: np.ndarray) -> np.ndarray:
        """(N,) bool: do both fingers press on the main object? Asked only where `rows` (N,) holds."""

    def start(self, name: str) -> np.ndarray:
        """(N, ...): an attribute of the upstream environment; a view of the simulation shows what it shows now."""


Success = Callable[[State], np.ndarray]


def within(radius: float, source: Source | None = None, scale: Offset | None = None) -> Success:
    """The object (or `source`) lies within `radius` [m] of the target, along scaled axes."""

    def measure(state: State) -> np.ndarray:
        apart = (state.observed() if source is None else state.at(source)) - state.target
        return np.asarray(np.linalg.norm(apart if scale is None else apart * np.array(scale), axis=-1) <= radius)

    return measure


def along(axis: int, radius: float) -> Success:
    """The object lies within `radius` [m] of the target, along one axis of the world."""
    return lambda state: np.abs(state.observed()[:, axis] - state.target[:, axis]) <= radius


def fingertips_within(radius: float) -> Success:
    """The fingertips lie within `radius` [m] of the target."""
    return lambda state: np.linalg.norm(state.fingertips() - state.target, axis=-1) <= radius


def over_peg(state: State) -> np.ndarray:
    """The ring's centre is within 2 cm of the peg's axis and below its top."""
    apart = state.target - state.at(site("RoundNut"))
    return np.asarray((np.linalg.norm(apart[:, :2], axis=-1) < 0.02) & (apart[:, 2] > 0.0))


def in_hoop(state: State) -> np.ndarray:
    """The ball is within 8 cm of a point 5 cm above the hoop, height counted twice."""
    target = state.target.copy()
    target[:, 2] = 0.3
    return np.asarray(np.linalg.norm((state.observed() - target) * np.array([1.0, 1.0, 2.0]), axis=-1) <= 0.08)


def box_closed(state: State) -> np.ndarray:
    return np.asarray(np.linalg.norm(state.observed() - state.target, axis=-1) < 0.08)


def off_peg(state: State) -> np.ndarray:
    return state.observed()[:, 2] > state.target[:, 2]


def nail_driven(state: State) -> np.ndarray:
    return state.at(Joint("NailSlideJoint")) > 0.09


def lever_up(state: State) -> np.ndarray:
    return np.abs(-state.at(Joint("LeverAxis")) - np.pi / 2.0) <= np.pi / 24


def faucet_turned(state: State) -> np.ndarray:
    """Upstream measures from a point beside the handle's end when the faucet is opened."""
    apart = state.observed() + np.array([-0.04, 0.0, 0.03]) - state.target
    return np.asarray(np.linalg.norm(apart, axis=-1) <= 0.07)


def in_hole(state: State) -> np.ndarray:
    """Only the distance in the table's plane counts."""
    return np.asarray(np.linalg.norm((state.observed() - state.target)[:, :2], axis=-1) <= 0.05)


def pushed_with_stick(state: State) -> np.ndarray:
    near = np.linalg.norm(state.observed(1) - state.target, axis=-1) <= 0.12
    lifted = state.observed()[:, 2] - 0.01 > state.start("stick_init_pos")[:, 2]
    return np.asarray(near & lifted & state.grasped(near & lifted))


def pulled_with_stick(state: State) -> np.ndarray:
    handle, end = state.observed(1), state.at(site("stick_end"))
    near = np.linalg.norm(handle - state.target, axis=-1) <= 0.12
    inserted = (end[:, 0] >= handle[:, 0]) & (np.abs(end[:, 1] - handle[:, 1]) <= 0.04)
    return np.asarray(near & inserted & (np.abs(end[:, 2] - handle[:, 2]) <= 0.06))
