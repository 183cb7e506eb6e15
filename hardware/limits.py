"""The safety envelope: everything that a laboratory sets about how its arm may move, in one value and one file.

Numbers are shares of what the manufacturer publishes, or stricter limits of our own; an envelope can only be stricter
than what is published (`check`). As a file it is TOML or JSON with the same names; what a file leaves out stays as it
is here.
"""

from __future__ import annotations

import dataclasses
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hardware.kinematics import POINTS
from robot_learn.errors import UserError, unknown
from robot_learn.franka import GRIP_FORCE, ArmParameters

Triple = tuple[float, float, float]
STRONGEST_THRESHOLD = 100.0  # [Nm or N] that a collision threshold may have; the arm's own default is 20


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class Box:
    """A box along the base's axes and the points of the arm (`POINTS`) that it is about.

    Raises:
        UserError: corners in the wrong order or not finite, an unknown point.
    """

    low: Triple  # [m] corners, in the base's frame
    high: Triple
    points: tuple[str, ...] = POINTS
    name: str = "box"

    def __post_init__(self) -> None:
        sizes = (len(tuple(self.low)), len(tuple(self.high)))
        if sizes != (3, 3) or not all(map(_is_number, (*self.low, *self.high))):
            raise UserError(
                f"{self.name}: wanted low and high of three finite numbers [m], came {self.low}, {self.high}"
            )
        if not all(low < high for low, high in zip(self.low, self.high, strict=True)):
            raise UserError(f"{self.name}: low {self.low} must be under high {self.high} along each axis")
        for point in self.points:
            if point not in POINTS:
                raise unknown(f"point of the arm, for {self.name},", str(point), POINTS)


@dataclass(frozen=True)
class Envelope:
    """How the arm may move.

    Only the reference that the arm is sent is held to this; how far the arm may be pushed off it is the arm's own
    stiffness. Boxes are about `POINTS` of the arm, not about its skin: make keep-out boxes larger by 0.1 m.

    Raises:
        UserError: a number that is no number or out of its range.
    """

    velocity_share: float = 0.5  # of the joints' published velocities, also where those depend on position
    acceleration_share: float = 0.5
    jerk_share: float = 0.5
    joint_margin: float = 0.1  # [rad] that joints keep from the ends of their ranges
    hand_speed: float = 0.25  # [m/s] of each of `POINTS`
    lead: float = 0.05  # [rad] between the reference and the measured joints, should the arm be held
    # The fingers end 1 cm past the point between them, so that they stay off a table at the height of the base.
    workspace: tuple[Box, ...] = (Box((-0.4, -0.75, 0.01), (0.85, 0.75, 1.2), name="workspace"),)
    keep_out: tuple[Box, ...] = ()
    grip_force: float = 30.0  # [N]
    collision_torque: float = 30.0  # [Nm] of each joint at which the arm stops itself
    collision_force: float = 30.0  # [N] at the hand, and [Nm] / 1 m
    command_period: float = 0.04  # [s] at which commands are expected
    slow_after: float = 2.5  # [periods] without a fresh command until the arm decelerates,
    finish_after: float = 10.0  # and until the motion is finished and must be started anew
    heartbeat: float = 0.3  # [s] without a sign of the person who watches, where one is required
    start_joints: float = 0.8  # [rad] between the measured joints and a joint target that is accepted
    start_distance: float = 0.3  # [m] between the measured hand and a pose that is accepted
    start_turn: float = 1.0  # [rad]
    filter_time: float = 0.0005  # [s] that a learned filter may take within a tick

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not _is_number(value) or not low <= value <= high:
                raise UserError(f"{name}: wanted a number from {low:g} to {high:g}, came {value!r}")
        if self.finish_after < self.slow_after:
            raise UserError(f"finish_after {self.finish_after:g} comes before slow_after {self.slow_after:g}")

    def check(self, parameters: ArmParameters, tick: float = 0.001) -> None:
        """See that it is no looser than what is published of an arm that gets a command each `tick` [s].

        Raises:
            UserError: which limit is, and what is allowed.
        """
        if self.hand_speed > parameters.translation[0]:
            raise UserError(f"hand_speed: {self.hand_speed:g} m/s is over the published {parameters.translation[0]:g}")
        if self.grip_force > GRIP_FORCE:
            raise UserError(f"grip_force: {self.grip_force:g} N is over the published {GRIP_FORCE:g}")
        smallest = least_margin(self, parameters, tick)
        if self.joint_margin < smallest:
            raise UserError(
                f"joint_margin: {self.joint_margin:g} rad is too little; the published velocity limits near the ends "
                f"of the joints' ranges ask for at least {math.ceil(1000 * smallest) / 1000:g}"
            )
        if (parameters.upper - parameters.lower).min() <= 2 * self.joint_margin:
            raise UserError(f"joint_margin: {self.joint_margin:g} rad leaves a joint no range")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as in a file; `from_dict` takes them back."""
        return dataclasses.asdict(self)

    def save(self, path: Path) -> None:
        """Write it to a .toml or .json file.

        Raises:
            UserError: another kind of file.
        """
        if _kind(path) == "json":
            path.write_text(json.dumps(self.as_dict(), indent=2, default=float) + "\n", encoding="utf-8")
            return
        plain = {key: value for key, value in self.as_dict().items() if key not in _BOXES}
        lines = [f"{key} = {float(value)}" for key, value in plain.items()]
        for key in _BOXES:
            if not getattr(self, key):
                lines.insert(0, f"{key} = []")
            for box in getattr(self, key):
                lines += ["", f"[[{key}]]"]
                lines += [
                    f"{name} = {json.dumps(value, default=float)}" for name, value in dataclasses.asdict(box).items()
                ]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


_BOXES = ("workspace", "keep_out")
_TINY = 1e-4
_RANGES = {
    "velocity_share": (0.01, 1.0),
    "acceleration_share": (0.01, 1.0),
    "jerk_share": (0.01, 1.0),
    "joint_margin": (0.0, 1.0),
    "hand_speed": (_TINY, 3.0),
    "lead": (0.001, 0.5),
    "grip_force": (1.0, GRIP_FORCE),
    "collision_torque": (1.0, STRONGEST_THRESHOLD),
    "collision_force": (1.0, STRONGEST_THRESHOLD),
    "command_period": (0.001, 1.0),
    "slow_after": (1.0, 100.0),
    "finish_after": (1.0, 1000.0),
    "heartbeat": (0.01, 5.0),
    "start_joints": (0.0, 3.0),
    "start_distance": (0.0, 1.0),
    "start_turn": (0.0, math.pi),
    "filter_time": (_TINY, 0.1),
}


def load(path: Path) -> Envelope:
    """Read an envelope from a .toml or .json file.

    Raises:
        UserError: no such file, no TOML or JSON, an unknown key, a value of another kind or out of its range.
    """
    kind = _kind(path)
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if kind == "json" else tomllib.loads(text)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path}: not valid {kind.upper()}: {error}") from error
    try:
        return from_dict(values)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def from_dict(values: Mapping[str, Any]) -> Envelope:
    """An envelope of plain values, by name.

    Raises:
        UserError: an unknown key, a value of another kind or out of its range.
    """
    if not isinstance(values, Mapping):
        raise UserError(f"wanted names and values of an envelope, came {type(values).__name__}")
    allowed = [field.name for field in dataclasses.fields(Envelope)]
    for key in values:
        if key not in allowed:
            raise unknown("setting of an envelope", key, allowed)
    boxes = {key: _boxes(key, values[key]) for key in _BOXES if key in values}
    return Envelope(**{**values, **boxes})


def _boxes(key: str, values: Any) -> tuple[Box, ...]:
    if not isinstance(values, (list, tuple)) or not all(isinstance(value, Mapping) for value in values):
        raise UserError(f"{key}: wanted a list of boxes, each with low and high, came {values!r}")
    allowed = [field.name for field in dataclasses.fields(Box)]
    for number, value in enumerate(values):
        for name in value:
            if name not in allowed:
                raise unknown(f"part of {key}[{number}]", name, allowed)
        for name in ("low", "high"):
            if not isinstance(value.get(name), (list, tuple)):
                raise UserError(f"{key}[{number}]: wanted {name} as three numbers [m], came {value.get(name)!r}")
        if not isinstance(value.get("points", POINTS), (list, tuple)):
            raise UserError(f"{key}[{number}]: wanted points as a list of names, came {value['points']!r}")
    return tuple(
        Box(
            tuple(value["low"]),
            tuple(value["high"]),
            tuple(value.get("points", POINTS)),
            str(value.get("name", f"{key}[{number}]")),
        )
        for number, value in enumerate(values)
    )


def window(envelope: Envelope, parameters: ArmParameters, tick: float) -> int:
    """Ticks of the moving average that keeps the jerk: ceil(2 acceleration / (jerk tick))."""
    ratio = envelope.acceleration_share * parameters.acceleration / (envelope.jerk_share * parameters.jerk * tick)
    return max(1, math.ceil(2 * float(ratio.max()) - 1e-9))


def least_margin(envelope: Envelope, parameters: ArmParameters, tick: float) -> float:
    """The smallest joint margin [rad] at which what the filter still holds is within the published velocities.

    There the share of the velocity that is allowed, share (-offset + sqrt(2 braking margin)), is what the velocity
    can change by while the filter empties.
    """
    if parameters.braking is None or parameters.velocity_offset is None:
        return 0.0
    change = envelope.acceleration_share * parameters.acceleration * tick * (window(envelope, parameters, tick) + 1)
    needed = (parameters.velocity_offset + change / envelope.velocity_share) ** 2 / (2 * parameters.braking)
    return float(needed.max())


def _kind(path: Path) -> str:
    kind = Path(path).suffix.lstrip(".").lower()
    if kind not in ("json", "toml"):
        raise UserError(f"{path}: an envelope is a .toml or a .json file")
    return kind
