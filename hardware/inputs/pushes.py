"""Pushes to learn from: each deflection of the hand is said once, as one of the directions that the learner knows.

The learner of corrections (`controllers.alignment`) takes a push as a direction of its system's control, made against
the plan that was shown. What the hand gives is a twist; here it gets the name of the known direction that it points
along, and whoever hears of it (`session.push(name)`, which makes the `Correction`, and the recorder) by a callback.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hardware.inputs import Hand
from robot_learn.errors import UserError

# The words that the learner's games use for directions, as twists of a hand that faces the way the arm faces.
TWISTS: dict[str, tuple[float, float, float, float, float, float]] = {
    "forward": (1, 0, 0, 0, 0, 0),
    "back": (-1, 0, 0, 0, 0, 0),
    "left": (0, 1, 0, 0, 0, 0),
    "right": (0, -1, 0, 0, 0, 0),
    "up": (0, 0, 1, 0, 0, 0),
    "down": (0, 0, -1, 0, 0, 0),
}
_SLANT = 0.7071  # the cosine of the angle that a push may be off a direction


@dataclass(frozen=True, eq=False)
class Push:
    """What a person meant with one deflection."""

    direction: str  # a name that the learner knows
    twist: np.ndarray  # (6,) in [-1, 1], as it was when it counted
    time: float  # [s] the host's monotonic clock
    held: bool  # whether the dead-man switch counted as held


Told = Callable[[Push], None]


def directions(known: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A game's directions (nu,) as unit twists (6,) that a hand can show.

    Directions of six numbers are taken for twists of the hand, as the arm's games have them; of others the names count.

    Raises:
        UserError: there is none.
    """
    twists = {name: np.asarray(way, dtype=float) for name, way in known.items() if np.shape(way) == (6,)}
    if not twists:
        twists = {name: np.array(twist, dtype=float) for name, twist in TWISTS.items() if name in known}
    if not twists:
        raise UserError(f"a hand can push {', '.join(TWISTS)}; these directions are others: {', '.join(known)}")
    return {name: twist / np.linalg.norm(twist) for name, twist in twists.items()}


class Pushes:
    """Makes one push of each deflection and tells it.

    A deflection counts at `enter` and the next one only after the hand was below `leave`: a stick that trembles at the
    threshold is one push. What points along no known direction within 45 degrees is none.

    Args:
        known: by name, unit twists (6,).
        told: who hears of a push, in this order: the learner, the recorder.
    """

    def __init__(self, known: Mapping[str, np.ndarray], *told: Told, enter: float = 0.5, leave: float = 0.25) -> None:
        if not 0.0 < leave < enter <= 1.0:
            raise UserError(f"pushes: wanted 0 < leave < enter <= 1, came {leave:g} and {enter:g}")
        self._known, self._told, self._enter, self._leave = dict(known), told, enter, leave
        self._rested = False

    def update(self, hand: Hand, now: float, *, held: bool) -> Push | None:
        """The push that this reading completes; told to everybody before it is returned."""
        size = float(np.linalg.norm(hand.twist))
        if not np.isfinite(hand.age):
            self._rested = False  # what a source shows when it comes back was not pushed now
        elif size < self._leave:
            self._rested = True
        if not self._rested or size < self._enter:
            return None
        self._rested = False
        name, along = max(((name, float(hand.twist @ way)) for name, way in self._known.items()), key=lambda x: x[1])
        if along < _SLANT * size:
            return None
        push = Push(name, hand.twist, now, held)
        for tell in self._told:
            tell(push)
        return push
