"""What no praise of a model gets past: a robot that fell, froze, flew apart or hardly moves is never accepted.

A critic of still pictures passes a falling humanoid for a landing one. These gates look at the physics alone, and veto.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rewards.video.signals import Track, signals


@dataclass(frozen=True)
class Gates:
    """What a motion must keep to."""

    fallen_share: float = 0.2  # of the rollouts, that may end in a fall
    least_activity: float = 0.05  # [rad/s] mean speed of the joints,
    still_share: float = 0.5  # of the last half of a rollout, that may pass at less than that
    least_seconds: float = 0.5  # that a rollout must last
    highest_speed: float = 50.0  # [m/s] of the torso, beyond which the simulation has come apart

    def veto(self, tracks: Sequence[Track]) -> tuple[str, ...]:
        """Why these rollouts of one policy cannot be accepted, a sentence each; empty: they can."""
        if not tracks:
            return ("nothing was seen of the robot",)
        found = []
        if any(not _is_finite(track) or _speed(track) > self.highest_speed for track in tracks):
            return ("the simulation came apart: positions or speeds are no sane numbers",)
        fallen = float(np.mean([track.ended for track in tracks]))
        if fallen > self.fallen_share:
            found.append(f"it fell in {fallen:.0%} of {len(tracks)} rollouts; at most {self.fallen_share:.0%} may")
        short = [track.seconds for track in tracks if track.seconds < self.least_seconds]
        if short:
            found.append(f"a rollout lasted {min(short):.2f} s; wanted {self.least_seconds:g} s")
        frozen = float(np.mean([self._freezes(track) for track in tracks]))
        if frozen > self.fallen_share:
            found.append(f"it stands still in {frozen:.0%} of {len(tracks)} rollouts")
        return tuple(found)

    def _freezes(self, track: Track) -> bool:
        """Its joints move less than they must, from the start or after a while."""
        rates = np.abs(np.diff(track.joints, axis=0)).mean(axis=1) / track.dt
        late = rates[len(rates) // 2 :]
        return bool(
            signals(track).activity < self.least_activity or (late < self.least_activity).mean() > self.still_share
        )


def _is_finite(track: Track) -> bool:
    return all(bool(np.isfinite(values).all()) for values in (track.position, track.tilt, track.joints))


def _speed(track: Track) -> float:
    return float(np.linalg.norm(np.diff(track.position, axis=0), axis=1).max() / track.dt)
