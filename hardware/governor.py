"""From wanted joint velocities to ones that may be sent: within all limits, and always able to stop.

Each tick of dt the reference q moves by u dt, where u is what is sent. Three stages make u; the proof goes with them.

1. The target: what is wanted, scaled and clipped to what the envelope allows here (`target.py`). This makes motion
   smooth; nothing below relies on it.
2. The stage-one velocity v goes from where it is to the target on a straight line, by a common fraction for all
   joints, such that no v changes by more than a dt. Joint motions that cancel at the hand keep cancelling.
3. What is sent is the mean of the last n of v, with n = ceil(2 a / (j dt)). So u changes by a dt at most, and that
   change changes by |dv_k - dv_{k-n}| / n <= 2 a dt / n <= j dt^2. As the arm's controller measures them, by backward
   Euler, acceleration and jerk keep their limits whatever is wanted.

To brake is to take v to 0 in N = ceil(max |v_i| / (a_i dt)) equal steps. One such step leaves a v that takes N - 1:
so a braking motion, once begun, is the rest of itself, and it ends N + n - 1 ticks later. The invariant: from the state
after each tick, the braking motion keeps to the envelope. A step is taken only if the braking motion after it is shown
to (`_forbids`); else a fifth of it; else the step of the braking motion that was shown to before. By induction
the invariant holds from any start at rest. What is shown of a braking motion that covers s (7,) in all:

- Joint ranges. Each joint goes one way, but for what the filter still holds, which a constant bounds; so the end tells
  of all of it. Room is counted from the reference or from the measured joint, whichever is further out.
- Published velocities, which shrink towards the ends of the ranges: v keeps what is allowed at the end of the braking
  motion, where joints are furthest out, and it is slower all the way there.
- Lead. The end is no further than `lead` from where the joints are measured now: should the arm be held fast, its
  reference stops there.
- Speeds of the arm's points. Let S be the fastest point's speed under v, T the time that braking takes, and C the most
  that a point's velocity turns in a second, |v|' M |v| (`kinematics.bending`). After t no point is faster than
  (1 - t/T) (S + C t), whose largest value has a closed form (`peak_speed`). The filter's delay is added to S.
- Walls. Over a straight step s of the joints points leave their chords by no more than |s|' M |s| / 8, and by a k-th
  squared of that when the step is cut in k. Both ends of each chord must be that far from the wall. A point that is too
  close to a wall for that may only go away from it: in all that the filter holds, and until it is at rest. Nothing need
  be looked at where walls are further than points can get at the speed that was shown above.

What takes longest, where points are and what the target is, may be thought out before the arm's next state comes, for
the reference that it will have (`keep`). The arm tells that in short floats, so that `again` takes what was thought out
for a reference within `OFF` of the true one. Rooms and ends are counted from the true one; points, and
their velocities under v, are no further off than a little more slack and |v|' M |off|, which are added.

A limit that is passed already, because somebody pushed the arm or it starts so, is only ever passed less. What no
governor can know is what the arm does beyond its reference: how far a person can push it off is its own stiffness.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np

from hardware.kinematics import POINTS, Kinematics, bending, levers
from hardware.limits import Envelope, window
from hardware.target import Here, Target
from hardware.workspace import Workspace
from robot_learn.franka import ArmParameters

_PARTS = (1.0, 0.2)  # of a step, tried in this order, before braking
_CHORD = 0.001  # [m] that a chord may leave its path by before it is divided,
_MOST_CHORDS = 4  # as long as there are no more than these
_ROUNDING = 1e-6  # share of the acceleration that is left to rounding
OFF = 2e-6  # [rad] of each joint between a reference that was thought ahead of and the true one


class Governor:
    """Holds the stage-one velocity and the filter. One thread at a time.

    Raises:
        UserError: the envelope is looser than what is published of the arm.
    """

    def __init__(self, parameters: ArmParameters, envelope: Envelope, tick: float = 0.001) -> None:
        envelope.check(parameters, tick)
        self.parameters, self.envelope, self.tick = parameters, envelope, tick
        self.kinematics, self._workspace = Kinematics(), Workspace(envelope)
        self._n = window(envelope, parameters, tick)
        acceleration = (1 - _ROUNDING) * envelope.acceleration_share * parameters.acceleration
        self._step: list[float] = (acceleration * tick).tolist()  # [rad/s] that v may change in a tick
        wiggle = acceleration * (self._n * tick) ** 2  # [rad] generous: the filter holds a (n^2 - 1) tick^2 / 3
        self._slack = float(levers() @ (wiggle + OFF))  # [m] that the wiggle, and being `OFF`, move a point by
        self._target = Target(parameters, envelope, acceleration, wiggle, self._slack)
        self._M = bending()
        self._delay = (self._n + 1) * tick  # [s]
        self._spread = acceleration * self._n * tick  # [rad/s] between what the filter holds
        self._weights = tick * np.arange(self._n - 1, -1, -1) / self._n  # what a past v still adds to the reference
        self._mean = np.full(self._n, 1 / self._n)
        self._held = np.zeros((self._n, 7))  # the last n of v, newest first

    def reset(self) -> None:
        """Forget all motion; only for an arm at rest."""
        self._held[:] = 0.0

    @property
    def stop_time(self) -> float:
        """How long it takes to come to rest from here [s]."""
        ticks = self._ticks(self._held[0].tolist())
        if ticks:
            return (ticks + self._n - 1) * self.tick
        moving = np.flatnonzero(self._held.any(axis=1))  # v is 0 already; what moved last must leave the filter
        return float(self._n - moving[0]) * self.tick if len(moving) else 0.0

    @property
    def at_rest(self) -> bool:
        """Nothing moves, and nothing is left to be sent."""
        return not self._held.any()

    def brake(self) -> np.ndarray:
        """One step (7,) [rad/s] of the braking motion."""
        return self._send(self._braked(self._held[0].tolist()))

    def keep(self, here: Here) -> Here:
        """What a look found, so that it outlasts the next look."""
        return replace(here, J=here.J.copy())

    def again(self, kept: Here, reference: np.ndarray, measured: np.ndarray) -> Here | None:
        """As `look`, by what was kept of a reference (7,) [rad] as good as this one; None: it is another."""
        if not np.abs(reference - kept.reference).max() <= OFF:
            return None
        up, down, lead_up, lead_down = self._target.rooms(reference, measured)
        return Here(
            reference, reference.tolist(), up, down, lead_up, lead_down, kept.kinematics, kept.J, kept.points,
            kept.nearest,
        )  # fmt: skip

    def preview(self, here: Here, wanted: np.ndarray) -> tuple[list[float], list[str]]:
        """What `wanted` (7,) [rad/s] comes to where the arm stands, in the long run, and what limits it."""
        return self._target(here, wanted, self._held[0].tolist())

    def look(self, reference: np.ndarray, measured: np.ndarray) -> Here:
        """Where the arm stands; see `step`."""
        return self._target.look(reference, measured)

    def step(self, here: Here, wanted: np.ndarray) -> tuple[np.ndarray, list[str]]:
        """One tick.

        Args:
            here: from `look(reference, measured)`: where the arm was sent (7,) [rad], and where it is; finite.
            wanted: (7,) [rad/s], anything.

        Returns:
            what to send (7,) [rad/s], and what limited it.
        """
        return self.toward(here, *self.preview(here, wanted))

    def toward(self, here: Here, target: list[float], limited: list[str]) -> tuple[np.ndarray, list[str]]:
        """The step towards a target (7,) [rad/s] that may be taken; what limited the target is added to."""
        velocity: list[float] = self._held[0].tolist()
        change = [after - before for after, before in zip(target, velocity, strict=True)]
        share = max([abs(part) / step for part, step in zip(change, self._step, strict=True)])
        if share > 1.0:
            limited.append("acceleration")
            change = [part / share for part in change]
        braked = self._braked(velocity)
        rest = self._weights.dot(self._held).tolist()
        for part in _PARTS:
            tried = [
                slow + part * (before + more - slow)
                for slow, before, more in zip(braked, velocity, change, strict=True)
            ]
            forbids = self._forbids(here, tried, rest)
            if not forbids:
                return self._send(tried), limited
            if forbids not in limited:
                limited.append(forbids)
        limited.append("braking")
        return self._send(braked), limited

    def _send(self, velocity: list[float]) -> np.ndarray:
        self._held[1:] = self._held[:-1].copy()
        self._held[0] = velocity
        return np.asarray(self._mean.dot(self._held))

    def _ticks(self, velocity: list[float]) -> int:
        """How many steps it takes to brake."""
        return math.ceil(max([abs(rate) / step for rate, step in zip(velocity, self._step, strict=True)]) - 1e-7)

    def _braked(self, velocity: list[float]) -> list[float]:
        ticks = self._ticks(velocity)
        if ticks <= 1:
            return [0.0] * 7
        return [rate * (ticks - 1) / ticks for rate in velocity]

    def _forbids(self, here: Here, velocity: list[float], rest: list[float]) -> str:
        """What the braking motion from a new v (7,) [rad/s] would break; empty if nothing.

        Args:
            rest: (7,) [rad] what the filter, before it takes the new v, still adds to the reference.
        """
        ticks = self._ticks(velocity)
        factor = self.tick * (ticks + 1) / 2  # the new v counts in full once, and half on average while braking
        covered = [held + factor * rate for held, rate in zip(rest, velocity, strict=True)]
        broken = self._joints(here, velocity, covered)
        if broken:
            return broken
        v = np.array(velocity)
        time, size = ticks * self.tick, np.abs(v)
        bends = self._M.dot(size)
        bend, off = float(bends.dot(size + self._spread)), OFF * float(bends.sum())
        if peak_speed(here.speed(v) + off + bend * self._delay, bend * time) > self.envelope.hand_speed:
            return "hand speed"
        if here.nearest > self.envelope.hand_speed * (time + self._delay) + self._slack:
            return ""
        return self._walls(here, v, np.array(covered), time + self._delay)

    def _joints(self, here: Here, velocity: list[float], covered: list[float]) -> str:
        """Whether joints stay in their rooms, and no faster than published, until they have covered (7,) [rad]."""
        rooms = zip(covered, here.range_down, here.range_up, here.lead_down, here.lead_up, strict=True)
        for way, down, up, lead_down, lead_up in rooms:
            if not -down <= way <= up:
                return "joint range"
            if not -lead_down <= way <= lead_up:
                return "lead"
        ends = [at + way for at, way in zip(here.angles, covered, strict=True)]
        return "joint velocity" if self._target.too_fast(ends, velocity) else ""

    def _walls(self, here: Here, v: np.ndarray, covered: np.ndarray, time: float) -> str:
        """Whether points stay clear of walls while the arm brakes from a new v (7,) [rad/s] and the filter runs out.

        Args:
            covered: (7,) [rad] that the reference will go until it is at rest.
            time: [s] that it takes, with the filter's delay.
        """
        way = np.abs(covered)
        leaves = float(self._M.dot(way).dot(way)) / 8
        chords = min(_MOST_CHORDS, max(1, math.ceil(math.sqrt(leaves / _CHORD))))
        kept = leaves / chords**2 + self._slack
        stops = np.empty((chords, *here.points.shape))
        for chord in range(chords):
            self.kinematics.place(here.reference + covered * ((chord + 1) / chords))
            stops[chord] = self.kinematics.points
        if self._workspace.inner and not self._inside(stops, kept, here, v, time):
            return "workspace"
        if self._workspace.outer and not self._outside(stops, kept, here, v, time):
            return "keep-out"
        return ""

    def _inside(self, stops: np.ndarray, kept: float, here: Here, v: np.ndarray, time: float) -> bool:
        """Whether points, a chord apart at `stops` (chords, 5, 3) [m], stay `kept` [m] inside of the workspace."""
        ends = self._workspace.inside(stops)
        if here.nearest >= kept:
            return bool(np.minimum.reduce(ends, axis=None) >= kept)
        close = self._workspace.inside(here.points) < kept
        if close.any():
            away, turns = self._leaving(here, v, time)
            if (np.stack([away, -away])[close] < turns).any():
                return False
        return bool((ends.min(axis=1)[~close] >= kept).all())

    def _outside(self, stops: np.ndarray, kept: float, here: Here, v: np.ndarray, time: float) -> bool:
        """Whether points, a chord apart at `stops` (chords, 5, 3) [m], stay `kept` [m] before keep-out boxes."""
        before = [self._workspace.before(points) for points in (here.points, *stops)]
        clear = before[0].max(axis=(0, 3)) >= kept  # (boxes, 5)
        for start, end in itertools.pairwise(before):
            if (np.minimum(start, end).max(axis=(0, 3))[clear] < kept).any():
                return False
        if clear.all():
            return True
        away, turns = self._leaving(here, v, time)
        for box, point in np.argwhere(~clear).tolist():
            side, axis = divmod(int(before[0][:, box, point].argmax()), 3)  # the face that it is nearest to leaving by
            if ((away if side else -away)[point, axis] < turns).any():
                return False
        return True

    def _leaving(self, here: Here, v: np.ndarray, time: float) -> tuple[np.ndarray, np.ndarray]:
        """How fast points go along x, y, z (5, 3, n) [m/s] under each velocity that the filter will hold, and by how
        much (n,) [m/s] that can change until the arm is at rest."""
        held = np.concatenate([v[None], self._held[:-1]])
        size = np.abs(held)
        turns = size @ self._M @ (size.max(axis=0) * time + OFF)
        return (here.J @ held.T).reshape(len(POINTS), 3, -1), turns


def peak_speed(speed: float, gain: float) -> float:
    """The largest value of (1 - x) (speed + gain x) for x in [0, 1]; both at least 0."""
    if gain <= speed:
        return speed
    return (speed + gain) ** 2 / (4 * gain)
