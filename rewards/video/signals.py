"""What was measured of a motion, so that a critique stands on figures: pictures tell no speed, scale or timing.

Of a rollout everything is known: speed, height, tilt, which feet are down and when. Of a video only what can be told
without knowing the body: how long a stride takes, how quickly things go up. What both tell stands side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rewards.video.motion import Motion, period_of
from robot_learn.errors import UserError

SLOW = 0.02  # [picture heights/s] of the ground, below which it stands still


@dataclass(frozen=True, eq=False)
class Track:
    """One robot's motion, T moments apart by `dt`; what is not known of a body is None."""

    dt: float  # [s]
    position: np.ndarray  # (T, 3) [m] of the torso; x is forward, z up
    tilt: np.ndarray  # (T,) [rad] of the torso about its sideways axis, summed over turns; forward is positive
    joints: np.ndarray  # (T, J) [rad]
    feet: np.ndarray | None = None  # (T, F) bool: on the ground
    names: tuple[str, ...] = ()  # of the feet
    ended: bool = False  # by a fall, before its time

    def __post_init__(self) -> None:
        count = len(self.position)
        lengths = [len(self.tilt), len(self.joints), count if self.feet is None else len(self.feet)]
        if count < 2 or set(lengths) != {count} or not self.dt > 0:
            raise UserError(f"motion: wanted 2 or more moments of one length, came {count} positions and {lengths}")
        if self.feet is not None and self.feet.shape[1] != len(self.names):
            raise UserError(f"motion: {self.feet.shape[1]} feet with {len(self.names)} names")

    @property
    def seconds(self) -> float:
        return (len(self.position) - 1) * self.dt


@dataclass(frozen=True)
class Signals:
    """Figures of one motion. Lengths are metres, times seconds."""

    seconds: float
    speed: float  # [m/s] forward, mean
    height: tuple[float, float, float]  # least, mean, most of the torso
    rise: float  # most above where it began
    tilt: tuple[float, float]  # [deg] least and most
    turns: float  # of the torso about its sideways axis, from the first moment to the last
    swing: float  # [rad] mean range of the joints
    activity: float  # [rad/s] mean speed of the joints
    period: float | None
    regularity: float  # autocorrelation after a period, 0 to 1
    flight: float | None = None  # share of the time without a foot on the ground
    duty: Mapping[str, float] = field(default_factory=dict)  # by foot: share of the time that it is down
    phase: Mapping[str, float] = field(default_factory=dict)  # by foot: when it comes down after the first foot, 0 to 1
    fell: bool = False


def signals(track: Track) -> Signals:
    """What a motion comes to."""
    heights, tilt = track.position[:, 2], np.degrees(track.tilt)
    moved = np.abs(np.diff(track.joints, axis=0)) / track.dt
    period, regularity = period_of(track.joints, track.dt)
    found = Signals(
        seconds=track.seconds,
        speed=float((track.position[-1, 0] - track.position[0, 0]) / track.seconds),
        height=(float(heights.min()), float(heights.mean()), float(heights.max())),
        rise=float(heights.max() - heights[0]),
        tilt=(float(tilt.min()), float(tilt.max())),
        turns=float((track.tilt[-1] - track.tilt[0]) / (2 * np.pi)),
        swing=float(np.ptp(track.joints, axis=0).mean()),
        activity=float(moved.mean()),
        period=period,
        regularity=regularity,
        fell=track.ended,
    )
    if track.feet is None:
        return found
    down = track.feet.astype(bool)
    offsets = None if period is None else foot_phases(down, period, track.dt)
    return Signals(
        **{
            **found.__dict__,
            "flight": float((~down.any(axis=1)).mean()),
            "duty": dict(zip(track.names, down.mean(axis=0).tolist(), strict=True)),
            "phase": {} if offsets is None else dict(zip(track.names, offsets.tolist(), strict=True)),
        }
    )


def foot_phases(down: np.ndarray, period: float, dt: float) -> np.ndarray:
    """(F,) shares of the period by which each foot comes down after the first one; NaN of a foot that never does so.

    The angle of each foot's contact at the period's frequency, which needs no touch-down to be seen cleanly.
    """
    times = np.arange(len(down)) * dt
    whole = int(times[-1] // period) * period
    used = times < max(whole, period)
    turn = np.exp(-2j * np.pi * times[used] / period)
    strength = (down[used] - down[used].mean(axis=0)).T @ turn
    angle = np.where(np.abs(strength) > 1e-9, np.angle(strength), np.nan)
    return np.asarray(np.mod((angle[0] - angle) / (2 * np.pi), 1.0))


def table(robot: Signals) -> str:
    """The figures for a prompt, one a line."""
    low, mean, high = robot.height
    rows = [
        f"robot: {robot.seconds:.1f} s seen" + (", ended by a fall" if robot.fell else ""),
        f"robot: forward speed {robot.speed:.2f} m/s",
        f"robot: height of the torso {low:.2f} to {high:.2f} m, mean {mean:.2f}, {robot.rise:.2f} above its start",
        f"robot: tilt {robot.tilt[0]:.0f} to {robot.tilt[1]:.0f} deg; {robot.turns:+.2f} whole turns in all",
        f"robot: joints swing by {robot.swing:.2f} rad, at {robot.activity:.2f} rad/s on average",
        "robot: " + _rhythm(robot.period, robot.regularity),
    ]
    if robot.flight is not None:
        rows.append(f"robot: no foot on the ground for {robot.flight:.0%} of the time")
    for foot, share in robot.duty.items():
        when = robot.phase.get(foot, float("nan"))
        late = "" if np.isnan(when) else f", comes down {when:.2f} of a stride after the first foot"
        rows.append(f"robot: {foot} on the ground {share:.0%} of the time{late}")
    return "\n".join(rows)


def video_rows(motion: Motion, of: str = "video") -> list[str]:
    """What can be told of a film without knowing the body, one a line; of two films in the same units."""
    told = "no motion that repeats itself" if motion.period is None else f"repeats itself every {motion.period:.2f} s"
    most = float(np.abs(motion.upward).max())
    return [
        f"{of}: {told}",
        f"{of}: what moves goes up or down by up to {most:.2f} picture heights a second",
        f"{of}: {_passing(float(np.median(motion.ground)))}",
    ]


def _passing(ground: float) -> str:
    if abs(ground) < SLOW:
        return "the ground stands still in the picture"
    side, other = ("left", "right") if ground < 0 else ("right", "left")
    speed = f"{abs(ground):.2f} picture heights a second"
    return f"the ground goes by to the {side} at {speed}: the camera, and what it follows, go to the {other}"


def _rhythm(period: float | None, regularity: float) -> str:
    if period is None:
        return f"no stride that repeats itself (likeness after any time at most {regularity:.2f})"
    return f"repeats itself every {period:.2f} s (likeness {regularity:.2f} of 1)"


def differences(robot: Signals, before: Signals) -> Sequence[str]:
    """What changed from one round's robot to the next, for the history in a prompt."""
    pairs = [
        ("forward speed", before.speed, robot.speed, "m/s"),
        ("mean height", before.height[1], robot.height[1], "m"),
        ("rise", before.rise, robot.rise, "m"),
        ("whole turns", before.turns, robot.turns, ""),
        ("swing of the joints", before.swing, robot.swing, "rad"),
    ]
    return [f"{name}: {old:.2f} to {new:.2f} {unit}".rstrip() for name, old, new, unit in pairs]
