"""Nonlinear model predictive control under a constraint that is still being learned.

What is minimised over the controls of the horizon is B = J - gamma ln(-g_theta): the cost with a barrier for the
constraint (Xie et al., arXiv 2407.04216, eq. 6). theta, the state and the target are parameters of one problem that is
built once, so that a correction costs no rebuilding.

The problem is written for solvers that walk along the stages (fatrop; Vanroye et al., "FATROP: A Fast Constrained
Optimal Control Problem Solver", IROS 2023): variables in the order x_0, u_0, x_1, ..., each stage's dynamics first. The
barrier couples all stages, which such a solver cannot use; so the state carries what the constraint has added up to so
far, and the barrier becomes a terminal cost.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

import casadi as ca
import numpy as np

from controllers.systems.system import System
from robot_learn.errors import UserError

Solver = Literal["fatrop", "ipopt"]
Status = Literal["solved", "inaccurate", "failed"]
_FLAT = 1e-6  # slope of B, relative to that of J alone, from which on it counts as none
_SLACK = 1e-3  # by which a warm start is put inside of the barrier, relative to the offset


@dataclass(frozen=True, eq=False)
class Gradients:
    """What a change of the first control does to the whole plan, through the dynamics and with all others held."""

    cost: np.ndarray  # (nu,) of J
    features: np.ndarray  # (r, nu) of phi


@dataclass(frozen=True, eq=False)
class Plan:
    """What the controller intends."""

    status: Status
    solver: Solver
    seconds: float
    theta: np.ndarray  # (r,) that it was made with
    target: np.ndarray  # (nt,)
    states: np.ndarray  # (N + 1, nx), rolled out from the controls
    controls: np.ndarray  # (N, nu)
    cost: float  # J
    phi: np.ndarray  # (r,) features of the whole plan
    offset: float  # phi_0

    def g(self, theta: np.ndarray) -> float:
        """The constraint under some theta (r,); the plan is safe where this is below zero."""
        return float(self.offset + self.phi @ theta)


class Mpc:
    """Plans for one system, each one starting from the last one, shifted.

    Args:
        solver: fatrop, or ipopt, which is also what takes over where fatrop gives up.
        shift: whether the last plan was begun with, so that the next warm start is one step further.
    """

    def __init__(self, system: System, *, solver: Solver = "fatrop", tolerance: float = 1e-8) -> None:
        if solver not in ("fatrop", "ipopt"):
            raise UserError(f"there is no solver {solver!r}; allowed: fatrop, ipopt")
        self.system, self.solver = system, solver
        self._problem = _problem(system)
        self._tolerance = tolerance
        self._solvers: dict[str, ca.Function] = {}
        self._rollout = _rollout(system)
        self._warm: np.ndarray | None = None  # (N, nu) controls to start from

    def forget(self) -> None:
        """A new episode: the next plan starts from rest."""
        self._warm = None

    def plan(
        self, state: np.ndarray, theta: np.ndarray, target: np.ndarray | None = None, *, shift: bool = True
    ) -> Plan:
        """The plan from a state (nx,) under theta (r,); `shift` says that the last plan's first control was taken.

        It never raises for a hard problem: a plan of status "failed" is the best that was found, and may be unsafe.

        Raises:
            UserError: a size is wrong or a number is not finite.
        """
        system = self.system
        state, theta = _sized("state", state, system.nx), _sized("theta", theta, system.r)
        target = _sized("target", np.zeros(0) if target is None else target, len(system.target))
        began = time.perf_counter()
        guess = self._guess(shift)
        order: tuple[Solver, ...] = ("fatrop", "ipopt") if self.solver == "fatrop" else ("ipopt",)
        best: tuple[float, Status, Solver, np.ndarray] | None = None
        for name in order:
            controls, status = self._solve(name, state, theta, target, guess)
            value = self._barrier(state, controls, theta, target) if np.isfinite(controls).all() else np.inf
            if status == "failed" and np.isfinite(value):
                # Safe by its own constraint; the solver may have stopped for rounding's sake, at the optimum.
                status = "solved" if self._stationary(state, controls, theta, target) else "inaccurate"
            # Of two that are as good up to rounding, the one whose solver is content.
            if best is None or (status != "failed" and value <= best[0] + 1e-9 * abs(best[0])) or best[1] == "failed":
                best = (value, status, name, controls)
            if status == "solved":
                break
        assert best is not None
        _, status, name, controls = best
        if not np.isfinite(controls).all():
            controls = guess
        self._warm = controls
        states, cost, phi = (np.array(part) for part in self._rollout["values"](state, controls.T, target))
        seconds = time.perf_counter() - began
        return Plan(
            status, name, seconds, theta, target, states.T, controls, cost.item(), phi.ravel(), system.offset
        )  # fmt: skip

    def gradients(self, plan: Plan) -> Gradients:
        """Total derivatives of J and phi with respect to the plan's first control."""
        return self.gradients_of(plan.states[0], plan.controls, plan.target)

    def gradients_of(self, state: np.ndarray, controls: np.ndarray, target: np.ndarray) -> Gradients:
        """The same for any controls (N, nu) from a state (nx,)."""
        cost, features = self._rollout["gradients"](state, controls.T, target)
        return Gradients(np.array(cost).ravel(), np.array(features))

    def evaluate(self, state: np.ndarray, controls: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        """J and phi (r,) of controls (N, nu) from a state (nx,)."""
        _, cost, phi = self._rollout["values"](state, controls.T, target)
        return np.array(cost).item(), np.array(phi).ravel()

    def _barrier(self, state: np.ndarray, controls: np.ndarray, theta: np.ndarray, target: np.ndarray) -> float:
        cost, phi = self.evaluate(state, controls, target)
        g = self.system.offset + phi @ theta
        return cost - self.system.gamma * np.log(-g) if g < 0 else np.inf

    def _stationary(self, state: np.ndarray, controls: np.ndarray, theta: np.ndarray, target: np.ndarray) -> bool:
        """Whether no control can be changed, within its bounds, to make B less."""
        slope, scale = (np.array(part).T for part in self._rollout["slope"](state, controls.T, theta, target))
        held = (controls <= self.system.control_low) & (slope > 0) | (controls >= self.system.control_high) & (
            slope < 0
        )
        return bool(np.abs(np.where(held, 0.0, slope)).max() <= _FLAT * max(1.0, np.abs(scale).max()))

    def _guess(self, shift: bool) -> np.ndarray:
        system = self.system
        if self._warm is None:
            return np.tile(np.clip(0.0, system.control_low, system.control_high), (system.horizon, 1))
        return np.concatenate([self._warm[1:], self._warm[-1:]]) if shift else self._warm

    def _solve(
        self, name: Solver, state: np.ndarray, theta: np.ndarray, target: np.ndarray, guess: np.ndarray
    ) -> tuple[np.ndarray, Status]:
        problem, system = self._problem, self.system
        if name not in self._solvers:
            self._solvers[name] = _solver(name, problem, self._tolerance)
        states, sums = (np.array(part) for part in self._rollout["start"](state, guess.T, theta))
        sums = sums.ravel()
        # The barrier wants to start inside: as far as it must, what the constraint adds up to is made smaller.
        sums = np.minimum(sums, -system.offset * (1 - _SLACK))
        start = np.concatenate(
            [np.vstack([states[:, :-1], sums[None, :-1], guess.T]).T.ravel(), states[:, -1], sums[-1:]]
        )
        solution = self._solvers[name](
            x0=start,
            p=np.concatenate([state, theta, target]),
            lbx=problem.low,
            ubx=problem.high,
            lbg=0.0,
            ubg=0.0,
        )
        done = self._solvers[name].stats()["success"]
        size = system.nx + 1 + system.nu
        flat = np.array(solution["x"]).ravel()[: system.horizon * size]
        controls = flat.reshape(system.horizon, size)[:, system.nx + 1 :]
        return np.clip(controls, system.control_low, system.control_high), "solved" if done else "failed"


@dataclass(frozen=True, eq=False)
class _Problem:
    expressions: dict[str, ca.SX]
    low: np.ndarray
    high: np.ndarray


def _problem(system: System) -> _Problem:
    """The program over (x_0, s_0, u_0, x_1, ...): s_k is sum_{j<k} weights[j] features(x_j)' theta, and s_N all."""
    x0, theta = ca.SX.sym("x0", system.nx), ca.SX.sym("theta", system.r)
    target = ca.SX.sym("target", len(system.target))
    variables, constraints, low, high = [], [], [], []
    cost, limit = ca.SX(0), np.full(system.nx + 1, np.inf)
    x, s = ca.SX.sym("x_0", system.nx), ca.SX.sym("s_0")
    first = ca.vertcat(x - x0, s)
    for k in range(system.horizon):
        u = ca.SX.sym(f"u_{k}", system.nu)
        variables += [x, s, u]
        low += [-limit, system.control_low]
        high += [limit, system.control_high]
        cost += system.stage_cost(x, u, target)
        after = ca.vertcat(system.dynamics(x, u), s + _adds(system, k, x, u, theta))
        x, s = ca.SX.sym(f"x_{k + 1}", system.nx), ca.SX.sym(f"s_{k + 1}")
        constraints.append(ca.vertcat(x, s) - after)
    variables += [x, s]
    low.append(-limit)
    # A bound where the logarithm ends: interior points never reach it, so that the barrier is always defined.
    high.append(np.append(limit[:-1], -system.offset))
    cost += system.terminal_cost(x, target) - system.gamma * ca.log(-(system.offset + s))
    # The dynamics come first in each stage, then what else is asked of the stage: where the first one begins.
    ordered = [constraints[0], first, *constraints[1:]]
    expressions = {
        "x": ca.vertcat(*variables),
        "p": ca.vertcat(x0, theta, target),
        "f": cost,
        "g": ca.vertcat(*ordered),
    }
    return _Problem(expressions, np.concatenate(low), np.concatenate(high))


def _adds(system: System, k: int, x: ca.SX, u: ca.SX, theta: ca.SX) -> ca.SX:
    """What step k of the plan adds to the constraint; the last one adds what comes after it, too."""
    added = ca.SX(0)
    if system.weights[k]:
        added += system.weights[k] * ca.dot(system.features(x), theta)
    if k == system.horizon - 1 and system.weights[-1]:
        added += system.weights[-1] * ca.dot(system.features(system.dynamics(x, u)), theta)
    return added


def _solver(name: str, problem: _Problem, tolerance: float) -> ca.Function:
    # An iterate that is not finite is stepped back from: no news for whoever asked for a plan.
    options: dict[str, Any] = {"print_time": False, "error_on_fail": False, "show_eval_warnings": False}
    options |= {"calc_lam_p": False}  # sensitivities that nobody asks for
    if name == "fatrop":
        rows = problem.expressions["g"].numel()
        options |= {"structure_detection": "auto", "equality": [True] * rows}
        # Its watchdog takes full steps unasked: where one lands far outside, the search for a direction never ends.
        options["fatrop"] = {"print_level": 0, "tol": tolerance, "max_iter": 200, "mu_init": 1e-2}
        options["fatrop"] |= {"watchdog_shortened_iter_trigger": 0}
    else:
        options["ipopt"] = {"print_level": 0, "sb": "yes", "tol": tolerance, "max_iter": 100}
    return ca.nlpsol(name, name, problem.expressions, options)


def _rollout(system: System) -> dict[str, ca.Function]:
    """Everything about controls that is simply evaluated: columns are steps."""
    x0, target = ca.SX.sym("x0", system.nx), ca.SX.sym("target", len(system.target))
    controls = ca.SX.sym("u", system.nu, system.horizon)
    states, cost = [x0], ca.SX(0)
    for k in range(system.horizon):
        cost += system.stage_cost(states[-1], controls[:, k], target)
        states.append(system.dynamics(states[-1], controls[:, k]))
    cost += system.terminal_cost(states[-1], target)
    weighed = [(w, x) for w, x in zip(system.weights, states, strict=True) if w]
    phi = sum((w * system.features(x) for w, x in weighed), ca.SX.zeros(system.r))
    along = ca.horzcat(*states)
    inputs = [x0, controls, target]
    first, unrolled = controls[:, 0], ca.SX.sym("theta", system.r)
    barrier = cost - system.gamma * ca.log(-(system.offset + ca.dot(phi, unrolled)))
    theta, sums = ca.SX.sym("theta", system.r), [ca.SX(0)]
    for k in range(system.horizon):
        sums.append(sums[-1] + _adds(system, k, states[k], controls[:, k], theta))
    return {
        "start": ca.Function("start", [x0, controls, theta], [along, ca.horzcat(*sums)]),
        "values": ca.Function("values", inputs, [along, cost, phi]),
        "slope": ca.Function(
            "slope", [x0, controls, unrolled, target], [ca.gradient(barrier, controls), ca.gradient(cost, controls)]
        ),
        "gradients": ca.Function("gradients", inputs, [ca.gradient(cost, first), ca.jacobian(phi, first)]),
    }


def _sized(name: str, value: np.ndarray, size: int) -> np.ndarray:
    array = np.asarray(value, dtype=np.float64).ravel()
    if array.size != size:
        raise UserError(f"{name}: wanted {size} numbers, came {array.size}")
    if not np.isfinite(array).all():
        raise UserError(f"{name}: wanted finite numbers, came {array}")
    return array
