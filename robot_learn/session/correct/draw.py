"""What of a session of corrections is drawn in 3-D: the robot on its way, its plan, and what it holds to be unsafe."""

from __future__ import annotations

import numpy as np

from controllers.mpc import Plan
from robot_learn.session.correct.region import Drawn
from robot_learn.session.correct.stage import Stage
from robot_learn.session.scene import Colour
from robot_learn.session.shapes import sphere, tube

SURE, MAYBE = "unsafe for sure", "unsafe perhaps"
_COLOURS: dict[str, Colour] = {SURE: (0.86, 0.12, 0.16, 0.36), MAYBE: (0.95, 0.62, 0.1, 0.15)}
EVERY = 1 / 36  # [s] at most so often: an arm that follows a pose costs a millisecond
SETTLED = 12  # pictures of the same state, after which an arm has come to it
_PLAN, _ASKED = (0.15, 0.42, 0.95, 1.0), (0.6, 0.25, 0.85, 1.0)


class Picture:
    """Bodies of a stage; what is the same as before costs nothing."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._ball = sphere(2.2 * stage.thickness, 10)
        self._drawn: tuple[Plan, bool] | None = None
        self._same, self._share, self._due = 0, -1.0, 0.0

    def look(self, plan: Plan, share: float, now: float, *, asked: bool) -> None:
        """The robot so far along its plan, in control steps; a plan that it asks about is only imagined."""
        fresh = self._drawn is None or self._drawn[0] is not plan or self._drawn[1] != asked
        self._same = 0 if fresh or share != self._share else self._same + 1
        if now < self._due or self._same > SETTLED:
            return
        self._share, self._due = share, max(now, self._due + EVERY)
        whole = min(int(share), len(plan.states) - 1)
        here, ahead = plan.states[whole], plan.states[min(whole + 1, len(plan.states) - 1)]
        self._stage.place(here + (share - whole) * (ahead - here))
        if not fresh:
            return
        self._drawn = (plan, asked)
        scene, points, colour = self._stage.scene, self._stage.points(plan.states), _ASKED if asked else _PLAN
        scene.put("plan", tube(_apart(points), self._stage.thickness), colour)
        scene.put("plan end", self._ball, colour)
        scene.place("plan end", points[-1])
        self._stage.aim(plan.target)

    def draw(self, drawn: Drawn) -> None:
        """The region anew."""
        for name, mesh in ((SURE, drawn.surely), (MAYBE, drawn.maybe)):
            if mesh is None:
                self._stage.scene.remove(name)
            else:
                self._stage.scene.put(name, mesh, _COLOURS[name])


def _apart(points: np.ndarray) -> np.ndarray:
    """Points (n, 3) without those that lie where the one before lies: a pipe has no direction there."""
    moved = np.linalg.norm(np.diff(points, axis=0), axis=1) > 1e-6
    kept = points[np.concatenate([[True], moved])]
    return kept if len(kept) > 1 else np.vstack([kept, kept + np.array([0.0, 0.0, 1e-4])])
