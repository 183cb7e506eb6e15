"""What is wanted, made into what may be wanted here: the first stage of the governor.

Joints are clipped one by one where their ranges end, so that the others go on. Motion into a wall is taken off, so that
the arm slides along it. All else scales the whole vector, so that the hand keeps its direction. The targets leave room
for the braking motion, so that the proofs of `governor.py` rarely have to refuse a step; they are no part of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hardware.kinematics import LEVER, POINTS, TIP, Kinematics, linear
from hardware.limits import Envelope
from hardware.workspace import Workspace
from robot_learn.franka import ArmParameters

WALL_TIME = 0.12  # [s] before a wall a velocity may take no less to reach it
_LATE = 1.5  # of the acceleration limit, in v^2 = 1.5 a d; braking itself would allow 2
_NEARLY = 0.98  # of the hand's speed is what is aimed at
_SKIN = 0.001  # [m] that points keep from walls at rest
_CHANGED = 1e-9  # [rad/s]
_ON_HAND = POINTS.index("flange")  # it and the points after it turn with the hand
_DAMPING = 1e-4 * np.eye(6)  # of the least squares
_AXES = np.eye(6)
_NO_EFFECT = 0.05  # of the motion that is asked for: the joints cannot move the point off that wall


@dataclass(slots=True, eq=False)
class Here:
    """Where the arm stands at a tick."""

    reference: np.ndarray  # (7,) [rad]
    angles: list[float]  # the same
    range_up: list[float]  # (7,) [rad] that the joints' ranges leave each joint to go up, and down
    range_down: list[float]
    lead_up: list[float]  # (7,) [rad] that the lead over the measured joints leaves
    lead_down: list[float]
    kinematics: Kinematics  # placed at the reference, until the next look
    J: np.ndarray  # (15, 7) of the arm's points
    points: np.ndarray  # (5, 3) [m]
    nearest: float  # [m] to a wall

    def hand_jacobian(self) -> np.ndarray:
        """(6, 7) of the point between the fingertips."""
        return np.concatenate([self.J[3 * TIP :], self.kinematics.axes.T])

    def speed(self, velocity: np.ndarray) -> float:
        """Of the fastest point [m/s], under joint velocities (7,) [rad/s]."""
        x: list[float] = self.J.dot(velocity).tolist()
        return math.sqrt(max([a * a + b * b + c * c for a, b, c in zip(x[::3], x[1::3], x[2::3], strict=True)]))


@dataclass(frozen=True, eq=False)
class Slope:
    """A wall close by: a point should approach it no faster than `limit` [m/s].

    Below 0 it should go away from it: so near to a wall the proofs let it go nowhere else.
    """

    point: int  # index into `POINTS`
    axis: int  # of the base, that the wall stands across
    sign: float  # 1: the wall lies in that direction; -1: in the other
    row: np.ndarray  # (7,) times joint velocities, how fast the point approaches [m/s]
    limit: float
    name: str


class Target:
    """Looks where the arm stands, and shapes targets there.

    Args:
        step: (7,) [rad/s] that a velocity may change by in a tick.
        wiggle: (7,) [rad], `slack` [m]: how much further than their ends braking motions may go.
    """

    def __init__(
        self,
        parameters: ArmParameters,
        envelope: Envelope,
        acceleration: np.ndarray,
        wiggle: np.ndarray,
        slack: float,
    ) -> None:
        self._lead, self._hand_speed = envelope.lead, envelope.hand_speed
        self._low = parameters.lower + envelope.joint_margin + wiggle
        self._high = parameters.upper - envelope.joint_margin - wiggle
        self._lower, self._upper = parameters.lower.tolist(), parameters.upper.tolist()
        share = envelope.velocity_share
        self._share = share
        self._fastest: list[float] = (share * parameters.velocity).tolist()
        self._acceleration: list[float] = acceleration.tolist()
        # Twice the braking and the offset of each joint's curve; without curves, ones that allow everything.
        self._curve: list[tuple[float, float]] = [(math.inf, 0.0)] * 7
        if parameters.braking is not None and parameters.velocity_offset is not None:
            twice = (2 * parameters.braking).tolist()
            self._curve = list(zip(twice, parameters.velocity_offset.tolist(), strict=True))
        self._ends = list(zip(self._lower, self._upper, self._fastest, self._curve, strict=True))
        self._kinematics, self._workspace = Kinematics(), Workspace(envelope)
        self._kept = slack + _SKIN
        self._zone = envelope.hand_speed * WALL_TIME + self._kept  # [m] in which walls are felt

    def look(self, reference: np.ndarray, measured: np.ndarray) -> Here:
        """Where an arm stands that was sent to `reference` (7,) [rad] and is at `measured` (7,) [rad]."""
        rooms = self.rooms(reference, measured)
        self._kinematics.place(reference)
        points = self._kinematics.points.copy()
        J = self._kinematics.point_jacobians()
        nearest = self._workspace.nearest(points)
        up, down, lead_up, lead_down = rooms
        return Here(
            reference, reference.tolist(), up, down, lead_up, lead_down, self._kinematics, J, points, nearest
        )  # fmt: skip

    def rooms(self, reference: np.ndarray, measured: np.ndarray) -> list[list[float]]:
        """Four of (7,) [rad]: what ranges leave each joint to go up and down, and what the lead does."""
        ahead = reference - measured
        rooms = np.empty((4, 7))
        # Room in the range is counted from whichever is further out, the reference or the measured joint.
        np.subtract(self._high, np.maximum(reference, measured), out=rooms[0])
        np.subtract(np.minimum(reference, measured), self._low, out=rooms[1])
        np.subtract(self._lead, ahead, out=rooms[2])
        np.add(self._lead, ahead, out=rooms[3])
        np.maximum(rooms, 0.0, out=rooms)
        found: list[list[float]] = rooms.tolist()
        return found

    def too_fast(self, positions: list[float], velocities: list[float]) -> list[int]:
        """The joints whose velocities [rad/s] are over their share of the published ones at positions (7,) [rad].

        |velocity| <= share (-offset + sqrt(2 braking room)), without the root.
        """
        found, share = [], self._share
        for joint, (at, rate, (lower, upper, fastest, (twice, offset))) in enumerate(
            zip(positions, velocities, self._ends, strict=True)
        ):
            if rate > 0.0:
                room, speed = upper - at, rate
            else:
                room, speed = at - lower, -rate
            if speed > fastest or (speed and (room <= 0.0 or (speed / share + offset) ** 2 > twice * room)):
                found.append(joint)
        return found

    def _allowed(self, joint: int, position: float, velocity: float) -> float:
        """The largest speed [rad/s] that is not `too_fast` in the direction of `velocity`."""
        room = self._upper[joint] - position if velocity > 0 else position - self._lower[joint]
        twice, offset = self._curve[joint]
        curve = self._share * (math.sqrt(twice * room) - offset) if room > 0.0 else 0.0
        return min(self._fastest[joint], max(0.0, curve))

    def __call__(self, here: Here, wanted: np.ndarray, velocity: list[float]) -> tuple[list[float], list[str]]:
        """The target (7,) [rad/s] and what limited it.

        Args:
            wanted: (7,) [rad/s], anything.
            velocity: (7,) [rad/s] how the arm moves.
        """
        target: list[float] = wanted.tolist()
        if not math.isfinite(sum(target)):
            return [0.0] * 7, ["not finite"]
        limited: list[str] = []
        over = max([abs(rate) / fastest for rate, fastest in zip(target, self._fastest, strict=True)])
        if over > 1.0:
            target = [rate / over for rate in target]
            limited.append("joint velocity")
        if over == 0.0:
            return target, limited
        times = sorted([abs(rate) / most for rate, most in zip(velocity, self._acceleration, strict=True)])
        target = self._clip(here, target, velocity, times, limited)
        v = np.array(target)
        slower = 1.0
        if here.nearest < self._zone:
            slopes = self._slopes(here, times[-1])
            for slope in slopes:
                v = _along(slope, here, v, limited)
            target = self._clip(here, v.tolist(), velocity, times, limited)
            v = np.array(target)
            slower = min((_share(slope, v) for slope in slopes), default=1.0)
        slower = min(slower, self._slower(here, target, limited))
        speed = here.speed(v)
        if speed * slower > _NEARLY * self._hand_speed:
            slower = _NEARLY * self._hand_speed / speed
            limited.append("hand speed")
        return [slower * rate for rate in target], limited

    def _clip(
        self, here: Here, target: list[float], velocity: list[float], times: list[float], limited: list[str]
    ) -> list[float]:
        """Each joint no faster than it can stop in its range, when the others take up to `times` [s] to brake."""
        clipped = []
        slowest, second = times[-1], times[-2]
        joints = zip(target, velocity, self._acceleration, here.range_up, here.range_down, strict=True)
        for rate, moves, acceleration, up, down in joints:
            room = up if rate > 0 else down
            # Joints brake together: this one takes as long as the slowest of the others.
            others = slowest if abs(moves) < acceleration * slowest else second
            if rate * rate > _LATE * acceleration * room or abs(rate) * others > _LATE * room:
                most = min(math.sqrt(_LATE * acceleration * room), _LATE * room / (others + 1e-9))
                if abs(rate) > most + _CHANGED and "joint range" not in limited:
                    limited.append("joint range")
                rate = math.copysign(most, rate)
            clipped.append(rate)
        return clipped

    def _slower(self, here: Here, target: list[float], limited: list[str]) -> float:
        """How much of a target (7,) [rad/s] the published velocities and the lead allow."""
        slower = 1.0
        for i in self.too_fast(here.angles, target):
            slower = min(slower, self._allowed(i, here.angles[i], target[i]) / abs(target[i]))
            if "joint velocity" not in limited:
                limited.append("joint velocity")
        for rate, most, up, down in zip(target, self._acceleration, here.lead_up, here.lead_down, strict=True):
            lead = up if rate > 0 else down
            if (slower * rate) ** 2 > _LATE * most * lead:
                slower = math.sqrt(_LATE * most * lead) / abs(rate)
                if "lead" not in limited:
                    limited.append("lead")
        return slower

    def _near(self, distance: float) -> float:
        """How much nearer [m] a point should come to a wall; a little back where it has come too near.

        One that somebody pushed beyond a wall is not drawn back: nobody has asked for that motion.
        """
        return max(-_SKIN if distance > 0.0 else 0.0, distance - self._kept)

    def _slopes(self, here: Here, time: float) -> list[Slope]:
        """The walls close by, as limits of how fast joint motion may approach them when it takes `time` [s] to stop."""
        found = []
        time = max(time, WALL_TIME)
        rows = here.J.reshape(len(POINTS), 3, 7)
        inside = self._workspace.inside(here.points)
        for side, point, axis in np.argwhere(inside < self._zone).tolist():
            distance = inside.item(side, point, axis)
            sign = 1.0 if side else -1.0
            limit = self._near(distance) / time
            found.append(Slope(point, axis, sign, sign * rows[point, axis], limit, "workspace"))
        if not self._workspace.outer:
            return found
        before = self._workspace.before(here.points)
        clear = before.max(axis=(0, 3))  # (boxes, points)
        for box, point in np.argwhere(clear < self._zone).tolist():
            side, axis = divmod(int(before[:, box, point].argmax()), 3)
            sign = -1.0 if side else 1.0
            limit = self._near(float(clear[box, point])) / time
            found.append(Slope(point, axis, sign, sign * rows[point, axis], limit, "keep-out"))
        return found


def _along(slope: Slope, here: Here, v: np.ndarray, limited: list[str]) -> np.ndarray:
    """`v` (7,) with what is too fast towards a wall taken off.

    By the joint motion that moves the point straight off the wall, without turning the hand where the point is on it:
    pressing against a wall then neither slides the hand along it nor tilts it.
    """
    over = float(slope.row @ v) - slope.limit
    if over <= 0:
        return v
    if slope.name not in limited:
        limited.append(slope.name)
    J = here.J[3 * slope.point : 3 * slope.point + 3]
    if slope.point >= _ON_HAND:
        J = np.concatenate([J, LEVER * here.kinematics.axes.T])
    off = J.T @ linear(J @ J.T + _DAMPING[: len(J), : len(J)], _AXES[: len(J), slope.axis])
    effect = slope.sign * float(slope.row @ off)
    return v if effect < _NO_EFFECT else np.asarray(v - off * (slope.sign * over / effect))


def _share(slope: Slope, v: np.ndarray) -> float:
    """How much of `v` a wall allows."""
    toward, most = float(slope.row @ v), max(0.0, slope.limit)
    return 1.0 if toward <= most + _CHANGED else most / toward
