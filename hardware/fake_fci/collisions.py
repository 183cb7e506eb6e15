"""When the arm has touched something, or is about to touch itself: flags, thresholds and reflexes."""

from __future__ import annotations

from dataclasses import dataclass, field

import mujoco
import numpy as np

from hardware.fake_fci.physics import Sensed

# Thresholds as a controller starts with [Nm], [N, Nm]; a real one keeps those of its last client or of its set-up.
_LOWER, _UPPER = 20.0, 40.0
_CLEARANCE = 0.02  # [m] between parts of the arm at which it stops
_FAR = ("link5", "link6", "link7", "hand", "left_finger", "right_finger")
_NEAR = ("link0", "link1", "link2", "link3")


@dataclass(eq=False)
class Collisions:
    """Thresholds on external torques (7,) [Nm] and on the wrench (6,) [N, Nm], and the flags that follow.

    Above the lower threshold there is a contact, for as long as it lasts; above the upper one a collision, until it is
    cleared. Of each there is one for while the arm accelerates and one for constant velocity ("nominal").
    """

    lower_torque: np.ndarray = field(default_factory=lambda: np.full((2, 7), _LOWER))  # accelerating, nominal
    upper_torque: np.ndarray = field(default_factory=lambda: np.full((2, 7), _UPPER))
    lower_force: np.ndarray = field(default_factory=lambda: np.full((2, 6), _LOWER))
    upper_force: np.ndarray = field(default_factory=lambda: np.full((2, 6), _UPPER))
    joint_contact: np.ndarray = field(default_factory=lambda: np.zeros(7, bool))
    joint_collision: np.ndarray = field(default_factory=lambda: np.zeros(7, bool))
    cartesian_contact: np.ndarray = field(default_factory=lambda: np.zeros(6, bool))
    cartesian_collision: np.ndarray = field(default_factory=lambda: np.zeros(6, bool))

    def set(self, numbers: np.ndarray) -> bool:
        """Take thresholds (52,) in the order of the request; False if they make no sense."""
        if not (np.all(np.isfinite(numbers)) and np.all(numbers >= 0)):
            return False
        torque, force = numbers[:28].reshape(2, 2, 7), numbers[28:].reshape(2, 2, 6)
        if np.any(torque[:, 0] > torque[:, 1]) or np.any(force[:, 0] > force[:, 1]):
            return False
        self.lower_torque, self.upper_torque = torque[:, 0], torque[:, 1]
        self.lower_force, self.upper_force = force[:, 0], force[:, 1]
        return True

    def look(self, sensed: Sensed, *, accelerating: bool) -> tuple[str, ...]:
        """Bring the flags up to date; the reflexes that they call for."""
        case = 0 if accelerating else 1
        torque, force = np.abs(sensed.tau_ext), np.abs(sensed.O_F_ext)
        self.joint_contact = torque > self.lower_torque[case]
        self.cartesian_contact = force > self.lower_force[case]
        hit, struck = torque > self.upper_torque[case], force > self.upper_force[case]
        self.joint_collision = self.joint_collision | hit
        self.cartesian_collision = self.cartesian_collision | struck
        return ("joint_reflex",) * bool(hit.any()) + ("cartesian_reflex",) * bool(struck.any())

    def clear(self) -> None:
        self.joint_collision, self.cartesian_collision = np.zeros(7, bool), np.zeros(6, bool)


class SelfCollision:
    """Whether the hand or the wrist come too near to the base or the upper arm; a part of the pairs each tick."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        geoms = {name: _geoms(model, name) for name in (*_FAR, *_NEAR)}
        # A part that lies at another through the whole range of the joint between them can never be near it by mistake.
        apart = [(far, near) for far in _FAR for near in _NEAR if (far, near) not in (("link5", "link3"),)]
        pairs = [(a, b) for far, near in apart for a in geoms[far] for b in geoms[near]]
        self._batches = [pairs[i::_BATCHES] for i in range(_BATCHES)] if pairs else [[]]
        self._next = 0

    def near(self, data: mujoco.MjData) -> bool:
        """Whether some pair of this tick's part is too close."""
        batch = self._batches[self._next]
        self._next = (self._next + 1) % len(self._batches)
        return any(mujoco.mj_geomDistance(self._model, data, a, b, _CLEARANCE, None) < _CLEARANCE for a, b in batch)


_BATCHES = 8


def _geoms(model: mujoco.MjModel, body: str) -> list[int]:
    """What collides of a body."""
    try:
        number = model.body(body).id
    except KeyError:
        return []
    first, count = model.body_geomadr[number], model.body_geomnum[number]
    return [i for i in range(first, first + count) if model.geom_contype[i] or model.geom_conaffinity[i]]
