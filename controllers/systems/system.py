"""What a system is to a controller: dynamics, a cost and features, as symbolic functions; and the game played with it.

All of it is written in CasADi expressions, so that one description gives the plan, its gradients and the cuts. A new
system is one dynamics function, one cost and one feature function in a file of its own, and a line in `SYSTEMS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import casadi as ca
import numpy as np

from robot_learn.errors import UserError


@dataclass(frozen=True, eq=False)
class System:
    """A system and what can be unsafe about it.

    The constraint on a predicted trajectory x_0 .. x_N is, with the parameters theta (r,),

        g_theta = offset + sum_k weights[k] * features(x_k)' theta,      safe where g_theta < 0

    (Xie et al., "Safe MPC Alignment with Human Directional Feedback", arXiv 2407.04216, eq. 4, whose phi_0 is the
    constant `offset` in all of its systems and whose phi is such a sum over predicted steps).
    """

    name: str
    version: int  # of the features: learned parameters mean nothing under others
    state: tuple[str, ...]  # what each number of a state is, with its unit
    control: tuple[str, ...]  # and of a control
    target: tuple[str, ...]  # and of what the cost asks for
    horizon: int  # N, in control steps
    control_dt: float  # [s]
    dynamics: Callable[[ca.SX, ca.SX], ca.SX]  # the state after a control step
    stage_cost: Callable[[ca.SX, ca.SX, ca.SX], ca.SX]  # of state, control, target
    terminal_cost: Callable[[ca.SX, ca.SX], ca.SX]  # of state, target
    features: Callable[[ca.SX], ca.SX]  # (r,) of a state
    weights: tuple[float, ...]  # (N + 1,) of the predicted steps
    offset: float  # phi_0, below zero
    theta_low: np.ndarray  # (r,) the box Theta_0
    theta_high: np.ndarray  # (r,)
    gamma: float  # weight of the barrier -gamma ln(-g)
    control_low: np.ndarray  # (nu,), -inf where there is no bound
    control_high: np.ndarray  # (nu,)
    after: Callable[[np.ndarray], np.ndarray] | None = None  # puts a state in order, e.g. a quaternion's length

    def __post_init__(self) -> None:
        if len(self.weights) != self.horizon + 1:
            raise UserError(f"{self.name}: {len(self.weights)} step weights, wanted {self.horizon + 1}")
        if not self.offset < 0:
            raise UserError(
                f"{self.name}: the offset is {self.offset}; below zero, or nothing would be safe by default"
            )

    @property
    def nx(self) -> int:
        return len(self.state)

    @property
    def nu(self) -> int:
        return len(self.control)

    @property
    def r(self) -> int:
        return len(self.theta_low)

    @cached_property
    def _step(self) -> ca.Function:
        x, u = ca.SX.sym("x", self.nx), ca.SX.sym("u", self.nu)
        return ca.Function("step", [x, u], [self.dynamics(x, u)])

    def step(self, state: np.ndarray, control: np.ndarray) -> np.ndarray:
        """The state (nx,) after a control step, bounds on the control kept."""
        kept = np.clip(control, self.control_low, self.control_high)
        after = np.array(self._step(state, kept)).ravel()
        return after if self.after is None else self.after(after)


@dataclass(frozen=True, eq=False)
class Situation:
    """Where a game starts and what is to be reached."""

    state: np.ndarray  # (nx,)
    target: np.ndarray  # (nt,)


@dataclass(frozen=True, eq=False)
class Game:
    """What a person sees and wants of a system: episodes, the wish that nobody tells the robot, and the keys."""

    system: System
    truth: np.ndarray  # (r,) theta_H, what a simulated human has in mind
    start: Callable[[np.random.Generator, int], Situation]  # of episode 0, 1, ..., which take turns at the targets
    max_steps: int  # control steps of an episode
    reached: Callable[[np.ndarray, np.ndarray], bool]  # is the episode over, of state (nx,) and target
    passed: Callable[[np.ndarray], bool]  # was it a good one, of the states (T + 1, nx); measured on geometry, not on g
    directions: Mapping[str, np.ndarray]  # what a key pushes: (nu,)
    targets: int = 1  # that the episodes take turns at
    accuracy: float | None = None  # |theta - truth| at which a numeric example is learned; None: a person is satisfied
    noise: np.ndarray | None = None  # (nx,) standard deviation of what disturbs each step


def telling_apart(
    phi: np.ndarray, inside: np.ndarray, outside: np.ndarray, offset: float, box: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """(r,) theta in a box that makes `inside` safe and `outside` unsafe by the largest margin, as a linear program.

    Args:
        phi: (n, r) features of n plans.
        inside: (n,) which of them have to be safe; plans that are neither are left to themselves.

    Raises:
        UserError: no theta of the box tells them apart.
    """
    from scipy.optimize import linprog

    sign = np.where(outside, -1.0, 1.0)[inside | outside]
    rows = np.hstack([sign[:, None] * phi[inside | outside], np.ones((len(sign), 1))])
    bounds = [*zip(*box, strict=True), (0.0, None)]
    found = linprog(np.append(np.zeros(phi.shape[1]), -1.0), A_ub=rows, b_ub=-sign * offset, bounds=bounds)
    if found.x is None or found.x[-1] <= 1e-9:
        raise UserError("no theta of the box makes safe what is inside and unsafe what is outside")
    return np.asarray(found.x[:-1])
