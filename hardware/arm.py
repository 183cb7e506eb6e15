"""What an arm is to everything above it: it tells how it is, takes a command, says what it made of it, and stops.

All backends satisfy `Arm`, so that a policy, a person's hand and a test drive any of them alike. Poses are seen from
the arm's base; angles are in radians, lengths in metres, torques in newton metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from robot_learn.errors import UserError, unknown
from robot_learn.franka import ArmParameters

Mode = Literal["joint_velocity", "joint_position", "twist", "pose"]
# "reflex": the arm stopped itself; "user_stopped": somebody pressed the external activation device.
State = Literal["idle", "moving", "guiding", "reflex", "user_stopped", "recovering", "other"]
Stop = Literal["soft", "hard"]  # decelerate within the limits; or as fast as the arm can
SHAPES: dict[Mode, tuple[int, ...]] = {"joint_velocity": (7,), "joint_position": (7,), "twist": (6,), "pose": (4, 4)}


@dataclass(frozen=True, eq=False)
class ArmSpec:
    """What kind of arm it is, and what it takes."""

    name: str  # "fr3"
    parameters: ArmParameters  # limits, as the manufacturer publishes them or the arm tells them
    modes: tuple[Mode, ...]
    tick: float = 0.001  # [s] between two commands that the arm itself gets
    gripper: bool = True
    address: str = ""  # "fci://127.0.0.1"
    versions: tuple[tuple[str, str], ...] = ()  # of the client, the server and the wire protocol, by name


@dataclass(frozen=True, eq=False)
class Gripper:
    """A gripper, as it was last read; it is read rarely, 10 to 50 times a second."""

    opening: float  # [m] between the fingertips
    grasped: bool
    received: float  # [s] the host's monotonic clock
    largest: float = 0.08  # [m]


@dataclass(frozen=True, eq=False)
class Observation:
    """The arm at one of its ticks."""

    sequence: int  # rises with every tick
    time: float  # [s] the arm's clock
    received: float  # [s] the host's monotonic clock when it arrived
    q: np.ndarray  # (7,) [rad]
    dq: np.ndarray  # (7,) [rad/s]
    q_commanded: np.ndarray  # (7,) [rad] what the arm follows; equal to where it was sent last
    torques: np.ndarray  # (7,) [Nm] gravity included
    external_torques: np.ndarray  # (7,) [Nm] as estimated
    external_wrench: np.ndarray  # (6,) [N, Nm] on the hand, along the base's axes
    T_base_ee: np.ndarray  # (4, 4) of the point between the fingertips
    state: State
    errors: tuple[str, ...] = ()  # by libfranka's names, "cartesian_reflex"
    success_rate: float = 1.0  # share of the last 100 commands that reached the arm in time; in a reflex, before it
    gripper: Gripper | None = None

    def age(self, now: float) -> float:
        """How old it is [s] at `now` on the host's monotonic clock."""
        return now - self.received


@dataclass(frozen=True, eq=False)
class Command:
    """What somebody wants of the arm until the next command.

    Raises:
        UserError: an unknown mode, or values of another shape. Values that are not finite are refused by the guard,
            which must be able to tell of them.
    """

    mode: Mode
    values: np.ndarray  # (7,) [rad/s] or [rad]; a twist (6,) [m/s, rad/s]; a pose (4, 4), T_base_ee
    made: float  # [s] the host's monotonic clock when the observation that it answers had arrived
    opening: float | None = None  # [m] wanted between the fingertips; None leaves the gripper alone
    source: str = "policy"  # who wants it; "person" while somebody corrects

    def __post_init__(self) -> None:
        if self.mode not in SHAPES:
            raise unknown("mode of command", str(self.mode), SHAPES)
        if np.shape(self.values) != SHAPES[self.mode]:
            raise UserError(f"command {self.mode}: wanted values {SHAPES[self.mode]}, came {np.shape(self.values)}")


@dataclass(frozen=True, eq=False)
class Applied:
    """What became of a command."""

    dq: np.ndarray  # (7,) [rad/s] joint velocities that it came to, after the guard
    limited: tuple[str, ...] = ()  # what changed it, in order: "joint range", "hand speed", "stale", ...
    sent: float = 0.0  # [s] the host's monotonic clock
    refused: str = ""  # why it was not taken at all; the arm goes on with the one before, which grows old
    opening: float | None = None  # [m] that the gripper was sent to


class ArmError(Exception):
    """The arm would not or could not: what it said, whether it may recover by itself, and what to do."""

    def __init__(
        self, message: str, errors: tuple[str, ...] = (), *, recoverable: bool = False, advice: str = ""
    ) -> None:
        super().__init__(f"{message}; {advice}" if advice else message)
        self.errors, self.recoverable, self.advice = errors, recoverable, advice


@runtime_checkable
class Arm(Protocol):
    """An arm. A context manager: leaving it stops the arm and lets it go, whatever was raised."""

    @property
    def spec(self) -> ArmSpec: ...

    def start(self) -> None:
        """Begin to follow commands, from rest where it is.

        Raises:
            ArmError: it is in no state to move.
        """
        ...

    def observe(self) -> Observation:
        """The newest state.

        Raises:
            ArmError: nothing came for a second.
        """
        ...

    def command(self, command: Command) -> Applied:
        """Follow a command until the next one, within the limits; never waits for the motion.

        Raises:
            ArmError: the arm has stopped by itself since.
        """
        ...

    def wait(self, seconds: float) -> None:
        """Let so much of the arm's time pass; a simulated arm moves only now."""
        ...

    def stop(self, kind: Stop = "soft") -> None:
        """End the motion, at any time, also twice. No certified emergency stop."""
        ...

    def recover(self, by_person: bool = False) -> None:
        """Clear an error that may be cleared; nothing moves (hardware/recovery.py has the rules).

        Args:
            by_person: somebody has looked and clears it. Without, only a loss of communication is, and once at most.

        Raises:
            ArmError: a person must first do something.
        """
        ...

    def close(self) -> None:
        """Stop and disconnect; at any time, also twice."""
        ...

    def __enter__(self) -> Arm: ...

    def __exit__(self, *raised: object) -> None: ...
