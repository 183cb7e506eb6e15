"""What a person does to a plan, as half-spaces of the parameters theta.

Xie et al., "Safe MPC Alignment with Human Directional Feedback" (arXiv 2407.04216), section IV: a push in a direction a
says that a is no step uphill of what the person would have the robot minimise, <-grad B(u, theta_H), a> >= 0, and that
the plan is still safe. Multiplied by -g > 0, both are linear in theta. A stop and a "this was fine" are labels as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from controllers.mpc import Gradients, Mpc
from controllers.systems.system import System
from robot_learn.errors import UserError

Kind = Literal["push", "stop", "fine"]
Source = Literal["push", "safe", "stop"]
_NOTHING = 1e-9  # a normal so short against its offset says nothing about theta


@dataclass(frozen=True, eq=False)
class Cut:
    """The half-space normal' theta <= offset, which the true theta lies in."""

    normal: np.ndarray  # (r,), of length 1
    offset: float
    source: Source


@dataclass(frozen=True, eq=False)
class Correction:
    """What a person said about a plan, and all that is needed to learn from it again."""

    kind: Kind
    state: np.ndarray  # (nx,) that the plan starts from
    controls: np.ndarray  # (N, nu) of the plan
    target: np.ndarray  # (nt,)
    direction: np.ndarray | None = None  # (nu,) of a push, for the plan's first control

    def __post_init__(self) -> None:
        if (self.kind == "push") != (self.direction is not None):
            raise UserError(f"a {self.kind} with direction {self.direction}: pushes have one, and nothing else does")


def cuts(mpc: Mpc, correction: Correction, *, axes: bool = False) -> list[Cut]:
    """The cuts of a correction: for a push one per direction and "still safe"; for a stop or a "fine" one.

    Args:
        axes: whether each number of a push's direction is meant by itself, as by a simulated person who gives the sign
            of every component. Then each makes a cut of its own.

    A direction's part that points out of the control's bounds is left out: nobody can follow it. The rest is taken with
    the full gradient. With the bounds' multipliers at the optimum that is what keeps the cut right, and it makes it a
    deep one where the push leads away from an active bound.
    """
    system = mpc.system
    _, phi = mpc.evaluate(correction.state, correction.controls, correction.target)
    if correction.kind == "stop":
        return _cut(-phi, system.offset, "stop")
    found = _cut(phi, -system.offset, "safe")
    if correction.direction is not None:
        if np.shape(correction.direction) != (system.nu,):
            raise UserError(f"push: wanted {system.nu} numbers, came {np.shape(correction.direction)}")
        gradients = mpc.gradients_of(correction.state, correction.controls, correction.target)
        direction = _feasible(system, correction.controls[0], correction.direction)
        parts = np.diag(direction)[direction != 0] if axes else direction[None]
        for part in parts:
            found = push_cut(system, phi, gradients, part) + found
    return found


def push_cut(system: System, phi: np.ndarray, gradients: Gradients, direction: np.ndarray) -> list[Cut]:
    """At most one cut: h' theta <= b with h = -<a, grad J> phi + gamma (dphi/du) a and b = <a, grad J> phi_0."""
    slope = float(gradients.cost @ direction)
    normal = -slope * phi + system.gamma * (gradients.features @ direction)
    return _cut(normal, slope * system.offset, "push")


def _cut(normal: np.ndarray, offset: float, source: Source) -> list[Cut]:
    length = float(np.linalg.norm(normal))
    if not np.isfinite(length) or length <= _NOTHING * max(1.0, abs(offset)):
        return []
    return [Cut(normal / length, offset / length, source)]


def _feasible(system: System, control: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The direction without what leads out of the bounds that the control stands at."""
    room = 1e-6 * np.maximum(1.0, np.abs(control))
    out_above = (control >= system.control_high - room) & (direction > 0)
    out_below = (control <= system.control_low + room) & (direction < 0)
    return np.where(out_above | out_below, 0.0, direction)
