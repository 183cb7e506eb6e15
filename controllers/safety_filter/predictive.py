"""A safety filter that plans: the action nearest to the policy's from which there is a safe way to rest.

Wabersich & Zeilinger, "A predictive safety filter for learning-based control of constrained nonlinear dynamical
systems" (Automatica 129, 2021), with rest as the terminal safe set: a plan that was found and checked is kept, and
where the next one is not found the kept one, a step further, is what is done. After its end the robot holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np

from controllers.constraint import LearnedConstraint
from controllers.safety_filter.limits import JointSpeed, Limit, Points, default_weight, rows, straight
from controllers.safety_filter.result import Filtered
from controllers.systems.system import System
from robot_learn.errors import UserError

Rest = Callable[[ca.SX, ca.SX], ca.SX]
_INSIDE = 1e-3  # by which plans are made inside of what is verified, in the units of h
_AT_REST = 1e-3  # what a state at rest may move in a step
_LATER = 1e-3  # what the later controls count beside the first, so that the plan is unique
_GIVE_UP = 1e3  # cost of what a plan breaks of a limit
_EXACT = 1e-9


@dataclass(frozen=True, eq=False)
class _Way:
    """Controls, where they lead, and whether that is safe."""

    controls: np.ndarray  # (N, nu), the last one of which holds
    room: np.ndarray  # (m,) the least h of each row, between the steps as well
    at_rest: bool

    def is_safe(self, floor: np.ndarray) -> bool:
        return self.at_rest and bool((self.room >= floor).all())


class PredictiveFilter:
    """The nearest action from which limits can be kept until the system is at rest, and so for good.

    Args:
        horizon: control steps within which the system must be able to come to rest.
        rest: what is zero (any number of rows) of a state and a control that holds it; by default that the dynamics
            leave the state as it is. Rows that depend on each other make plans harder to find.
        hold: a control (nu,) that is near to holding the system at rest; by default zero.
        in_order: the system's `after` for symbols, where it has one: plans are made with the steps as they really are.
        seconds: that the search for one plan may take.

    It keeps a plan for each world that it is asked about.
    """

    def __init__(
        self,
        system: System,
        limits: Sequence[Limit],
        learned: Sequence[LearnedConstraint] = (),
        *,
        points: Points | None = None,
        horizon: int = 20,
        rest: Rest | None = None,
        enlarge: float = 1.0,
        learned_margin: float = 0.01,
        weight: np.ndarray | None = None,
        hold: np.ndarray | None = None,
        in_order: Callable[[ca.SX], ca.SX] | None = None,
        checks: int = 5,
        seconds: float = 1.0,
    ) -> None:
        if horizon < 2 or checks < 1:
            raise UserError(f"wanted a horizon of at least 2 and at least 1 check, came {horizon} and {checks}")
        if any(isinstance(limit, JointSpeed) for limit in limits):
            raise UserError("joint speeds that depend on the angles are the reactive filter's; give a ControlBox here")
        if system.after is not None and in_order is None:
            raise UserError(
                f"{system.name} puts its states in order after a step; give in_order, which does so in plans"
            )
        self.system, self.horizon = system, horizon
        self.rows = rows(system, limits, learned, points, enlarge=enlarge, learned_margin=learned_margin)
        self.low, self.high = self.rows.widest
        self.weight = default_weight(weight, self.low, self.high)
        self.hold = np.clip(np.zeros(system.nu) if hold is None else hold, self.low, self.high)
        self._shares = np.arange(1, checks + 1) / checks
        x, after = ca.SX.sym("x", system.nx), ca.SX.sym("after", system.nx)
        self._h = ca.Function("h", [x, after], [self.rows.symbols(x, after)])
        rest = rest or (lambda x, u: system.dynamics(x, u) - x)
        self.in_order = in_order or (lambda x: x)
        self._strict = _Program(self, rest, elastic=False, seconds=seconds)
        self._elastic = _Program(self, rest, elastic=True, seconds=seconds)
        self._kept: dict[int, np.ndarray] = {}

    def forget(self, world: int = 0) -> None:
        """A new episode begins in a world."""
        self._kept.pop(world, None)

    def filter(self, state: np.ndarray, action: np.ndarray, world: int = 0) -> Filtered:
        """The action (nu,) to take at a state (nx,) instead of the wanted one, in one of several worlds.

        A wanted action that is not finite is answered with the plan that was kept, or else with coming to rest.

        Raises:
            UserError: a size is wrong, or the state is not finite.
        """
        began = time.perf_counter()
        state, wanted = np.asarray(state, dtype=np.float64).ravel(), np.asarray(action, dtype=np.float64).ravel()
        if state.size != self.system.nx or wanted.size != self.system.nu or not np.isfinite(state).all():
            raise UserError(f"{self.system.name}: wanted {self.system.nx} finite states and {self.system.nu} controls")
        now = np.array(self._h(state, state)).ravel()
        broken = self.rows.of_state & (now < -_EXACT)
        floor = np.where(broken, now, 0.0) - _EXACT
        way, braking = self._safe_way(state, wanted, floor, bool(broken.any()), world)
        self._kept[world] = np.concatenate([way.controls[1:], way.controls[-1:]])
        kept = way.controls[0]
        change = np.sqrt(self.weight) * (kept - wanted)
        size = float(np.linalg.norm(change)) if np.isfinite(wanted).all() else np.inf
        changed = size > 1e-6
        near = way.room < floor + 3 * _INSIDE
        bound = changed and bool(((kept <= self.low) | (kept >= self.high))[np.abs(change) > 1e-6].any())
        return Filtered(
            action=kept,
            changed=changed,
            size=size,
            active=(*(self._named(near) if changed else ()), *(("control bounds",) if bound else ())),
            violated=self._named(broken),
            feasible=not broken.any() and way.is_safe(floor),
            braking=braking,
            seconds=time.perf_counter() - began,
        )

    def _safe_way(
        self, state: np.ndarray, wanted: np.ndarray, floor: np.ndarray, is_broken: bool, world: int
    ) -> tuple[_Way, bool]:
        """The best way that there is, and whether it is one that only comes to rest."""
        guess = self._kept.get(world)
        finite = bool(np.isfinite(wanted).all())
        aim = np.clip(wanted, self.low, self.high) if finite else self.hold
        if finite and not is_broken:
            way = self._planned(self._strict, state, aim, guess)
            for candidate in (self._snapped(state, aim, way), way):
                if candidate is not None and candidate.is_safe(floor):
                    return candidate, False
        fallback = None if guess is None else self._checked(state, guess)
        if fallback is not None and fallback.is_safe(floor):
            return fallback, True
        softened = self._planned(self._elastic, state, aim, guess)
        found = [way for way in (softened, fallback) if way is not None]
        found.append(self._checked(state, np.tile(self.hold, (self.horizon, 1))))
        best = min(found, key=lambda way: float(np.maximum(-way.room, 0).sum()))
        return best, best is not softened

    def _planned(self, program: _Program, state: np.ndarray, aim: np.ndarray, guess: np.ndarray | None) -> _Way | None:
        if guess is None:
            guess = np.tile(self.hold, (self.horizon, 1))
        controls = program.solve(state, aim, guess)
        return None if controls is None else self._checked(state, np.clip(controls, self.low, self.high))

    def _snapped(self, state: np.ndarray, aim: np.ndarray, way: _Way | None) -> _Way | None:
        """A way whose first control is almost the wanted one, with just that."""
        if way is None or np.sqrt(self.weight @ (way.controls[0] - aim) ** 2) > 0.01:
            return None
        return self._checked(state, np.concatenate([aim[None], way.controls[1:]]))

    def _checked(self, state: np.ndarray, controls: np.ndarray) -> _Way:
        """Roll it out as the system really steps, and look between the steps as well."""
        room = np.full(len(self.rows.names), np.inf)
        for control in controls:
            between = straight(self.system, state, control, self._shares)
            room = np.minimum(room, np.array(self._h(state, between.T)).min(axis=1, initial=np.inf))
            before, state = state, between[-1]
        moved = float(np.abs(state - before).max())
        return _Way(controls, room, bool(np.isfinite(state).all()) and moved <= _AT_REST)

    def _named(self, which: np.ndarray) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name, one in zip(self.rows.names, which, strict=True) if one))


class _Program:
    """min |u_0 - wanted|^2 over (x_0, u_0, x_1, ...), written stage after stage.

    An elastic one has a further control in each stage: by how much the stage breaks the limits.
    """

    def __init__(self, safety: PredictiveFilter, rest: Rest, *, elastic: bool, seconds: float) -> None:
        system, limits, horizon = safety.system, safety.rows, safety.horizon
        weight, hold = ca.DM(safety.weight), ca.DM(safety.hold)
        self.nx, self.nu, self.horizon = system.nx, system.nu, horizon
        self._extra = int(elastic)
        start, wanted = ca.SX.sym("start", system.nx), ca.SX.sym("wanted", system.nu)
        variables, low, high, constraints, equal = [], [], [], [], []
        cost, free = ca.SX(0), np.full(system.nx, np.inf)
        x = ca.SX.sym("x_0", system.nx)
        for k in range(horizon):
            u, slack = ca.SX.sym(f"u_{k}", system.nu), ca.SX.sym(f"s_{k}", self._extra)
            variables += [x, u, slack]
            low += [-free, limits.widest[0], np.zeros(self._extra)]
            high += [free, limits.widest[1], np.full(self._extra, np.inf)]
            after = safety.in_order(system.dynamics(x, u))
            next_x = ca.SX.sym(f"x_{k + 1}", system.nx)
            stage = [(next_x - after, True)]
            stage += [(x - start, True)] if k == 0 else []
            stage += [(rest(x, u), True)] if k == horizon - 1 else []
            stage.append((limits.symbols(x, after) - _INSIDE + (slack if elastic else 0), False))
            for expression, is_equal in stage:
                constraints.append(expression)
                equal += [is_equal] * expression.numel()
            nearness = (u - wanted) ** 2 if k == 0 else _LATER * (u - hold) ** 2
            cost += ca.dot(weight, nearness) + _GIVE_UP * ca.sum1(slack)
            x = next_x
        variables.append(x)
        program = {
            "x": ca.vertcat(*variables),
            "p": ca.vertcat(start, wanted),
            "f": cost,
            "g": ca.vertcat(*constraints),
        }
        self._bounds: dict[str, Any] = {
            "lbx": np.concatenate([*low, -free]),
            "ubx": np.concatenate([*high, free]),
            "lbg": 0.0,
            "ubg": np.where(equal, 0.0, np.inf),
        }
        options: dict[str, Any] = {"print_time": False, "error_on_fail": False, "show_eval_warnings": False}
        # Not fatrop: faced with a problem that has no answer it may never come back, which a filter must.
        options["ipopt"] = {"print_level": 0, "sb": "yes", "tol": 1e-6, "max_iter": 100, "max_wall_time": seconds}
        self._solver = ca.nlpsol("plan", "ipopt", program, options)
        self._step = system.step

    def solve(self, state: np.ndarray, wanted: np.ndarray, guess: np.ndarray) -> np.ndarray | None:
        """Controls (N, nu) for an action wanted at a state, started from a guess (N, nu); None where there are none."""
        states = [state]
        for control in guess:
            states.append(self._step(states[-1], control))
        slack = np.zeros((self.horizon, self._extra))
        start = np.append(np.hstack([np.array(states[:-1]), guess, slack]).ravel(), states[-1])
        if not np.isfinite(start).all():
            start = np.nan_to_num(start)
        solution = self._solver(x0=start, p=np.concatenate([state, wanted]), **self._bounds)
        size = self.nx + self.nu + self._extra
        flat = np.array(solution["x"]).ravel()[: self.horizon * size].reshape(self.horizon, size)
        controls = flat[:, self.nx : self.nx + self.nu]
        return controls if np.isfinite(controls).all() else None
