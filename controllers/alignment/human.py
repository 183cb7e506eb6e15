"""A simulated person, who has a theta in mind and tells it to nobody.

The rule is that of Xie et al. (arXiv 2407.04216, section VI-A): where the plan is safe but nearly not, push now and
then along sign(-grad B_H) on the first control; where it is unsafe, stop the robot. That person never moves a robot
that is too timid, so one thing is added: a robot that makes no headway is pushed as well, by the same rule.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from controllers.alignment.cuts import Correction
from controllers.mpc import Gradients, Plan
from controllers.systems.system import System


@dataclass(eq=False)
class SimulatedHuman:
    """Watches plans and sometimes says something; see the module's text for the rule."""

    system: System
    truth: np.ndarray  # (r,)
    rng: np.random.Generator
    closeness: float = 1 / 12  # epsilon over -phi_0: how near to unsafe a plan is pushed; .25 for the pendulum
    probability: float = 0.3  # of a push at a step where one is due
    mistaken: float = 0.0  # share of pushes that go the wrong way
    patience: int = 10  # steps without headway
    _seen: list[np.ndarray] = field(default_factory=list)

    def begin(self) -> None:
        """A new episode."""
        self._seen.clear()

    def watch(self, plan: Plan, gradients: Gradients) -> Correction | None:
        """What the person says at a step."""
        self._seen.append(plan.states[0])
        g = plan.g(self.truth)
        if g >= 0:
            return self._say(plan, "stop")
        due = g > self.closeness * plan.offset or self._stuck()
        if not due or self.rng.random() >= self.probability:
            return None
        self._seen.clear()
        return self._push(plan, gradients, g)

    def answer(self, plan: Plan, gradients: Gradients) -> Correction:
        """What the person says when asked about a plan: to stop, or which way it should rather go."""
        g = plan.g(self.truth)
        if g >= 0:
            return self._say(plan, "stop")
        return self._push(plan, gradients, g)

    def meant(self, correction: Correction, plan: Plan, gradients: Gradients) -> bool:
        """What the person says when asked whether a correction was meant; they err as often as with a push."""
        if correction.direction is None:
            return (plan.g(self.truth) >= 0) == (correction.kind == "stop")
        again = self._push(plan, gradients, plan.g(self.truth)).direction
        return again is not None and np.array_equal(again, correction.direction)

    def _push(self, plan: Plan, gradients: Gradients, g: float) -> Correction:
        downhill = -(gradients.cost + self.system.gamma * (gradients.features.T @ self.truth) / -g)
        direction = np.sign(downhill)
        if self.rng.random() < self.mistaken:
            direction = -direction
        return Correction("push", plan.states[0], plan.controls, plan.target, direction)

    def _say(self, plan: Plan, kind: str) -> Correction:
        return Correction(kind, plan.states[0], plan.controls, plan.target)  # type: ignore[arg-type]

    def _stuck(self) -> bool:
        """Whether the robot has come nowhere in the last steps."""
        if len(self._seen) <= self.patience:
            return False
        before, now = self._seen[-1 - self.patience], self._seen[-1]
        return bool(np.linalg.norm(now - before) < 0.005 * self.patience * self.system.control_dt * self.system.nx**0.5)
