"""A safety filter that looks one control step ahead: a discrete-time control barrier function and a small QP.

The action is the one nearest to the policy's for which every limit's h keeps h(x+) >= (1 - alpha) h(x) (Agrawal &
Sreenath, "Discrete control barrier functions for safety-critical control of discrete systems", RSS 2017, eq. 11). The
rows are linearised, at braking first and then at what came out of that, and every step from braking towards the
policy's action is checked on the true dynamics, and on the way to the next state, before it is taken: so what is
returned was verified however good the linearisations are. Braking must leave the state where it is: the filter is for
arms and hands that are told velocities. What has momentum needs `PredictiveFilter`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import casadi as ca
import numpy as np

from controllers.constraint import LearnedConstraint
from controllers.safety_filter.compiled import Compiled
from controllers.safety_filter.limits import Limit, Points, default_weight, rows
from controllers.safety_filter.result import Filtered
from controllers.systems.system import System
from robot_learn.errors import UserError

_ROUNDS = 4  # linearisations at most
_INSIDE = 1e-4  # by which the QP aims inside of what is verified, so that the rest of a linearisation does not matter
_GIVE_UP = 1e4  # cost of giving up the way back from a violation, against squared changes of the action
_SHARES = (1.0, 0.7, 0.4, 0.2, 0.1, 0.03)  # of a step of the linearised problem that are tried on the true one
_EXACT = 1e-9  # rounding that a verification forgives


@dataclass(frozen=True, eq=False)
class _Case:
    """One question to the filter."""

    state: np.ndarray  # (nx,)
    wanted: np.ndarray  # (nu,) within the bounds
    now: np.ndarray  # (m,) h at the state
    asked: np.ndarray  # (m,) what the QP asks of h after the step
    back: np.ndarray  # (m,) how far that is above what is now: a way back, of which a share may be given up
    floor: np.ndarray  # (m,) what h must not fall below, on the way and after it
    low: np.ndarray  # (nu,)
    high: np.ndarray


class ReactiveFilter:
    """The nearest action that keeps limits and learned constraints at the next state and on the way to it.

    Args:
        alpha: share of the room to a limit that one step may take; above 0, at most 1.
        weight: of each number of the action (nu,) in what is near; by default bounds make them comparable.
        checks: states on the straight way to the next one that are verified, the last one included.

    Raises:
        UserError: the limits do not fit the system, or no control leaves its state as it is.
    """

    def __init__(
        self,
        system: System,
        limits: Sequence[Limit],
        learned: Sequence[LearnedConstraint] = (),
        *,
        points: Points | None = None,
        alpha: float = 0.5,
        enlarge: float = 1.0,
        learned_margin: float = 0.01,
        weight: np.ndarray | None = None,
        checks: int = 10,
    ) -> None:
        if not 0 < alpha <= 1:
            raise UserError(f"alpha is {alpha}: wanted above 0 and at most 1")
        if checks < 1:
            raise UserError(f"checks is {checks}: wanted at least 1")
        self.system, self.alpha = system, alpha
        self.rows = rows(system, limits, learned, points, enlarge=enlarge, learned_margin=learned_margin)
        self.brake = np.zeros(system.nu)
        _must_stand_still(system)
        low, high = self.rows.widest
        if not (low <= 0).all() or not (high >= 0).all():
            raise UserError(f"{system.name}: the bounds on the control exclude zero, which is how this filter brakes")
        self.weight = default_weight(weight, low, high)
        self._shares = np.arange(1, checks + 1) / checks
        x, u, after = ca.SX.sym("x", system.nx), ca.SX.sym("u", system.nu), ca.SX.sym("after", system.nx)
        h = self.rows.symbols(x, after)
        dynamics = system.dynamics(x, u)
        slopes = ca.jacobian(h, after) @ ca.jacobian(dynamics, u)
        way = ca.SX.sym("way", system.nx, checks)
        along = ca.horzcat(*(ca.substitute(h, after, way[:, i]) for i in range(checks)))
        self._dynamics = Compiled(ca.Function("dynamics", [x, u], [ca.densify(dynamics)]))
        self._along = Compiled(ca.Function("along", [x, way], [ca.densify(along)]))
        self._linear = Compiled(ca.Function("linear", [x, u, after], [ca.densify(h), ca.densify(slopes)]))
        self._hessian = np.append(self.weight, 1.0)
        self._half = 1 / np.sqrt(self.weight)
        self._qp = Compiled(_qp(system.nu, h.numel()))
        self._unused = (0.0,) * (self._qp.function.n_in() - 7)

    def values(self, state: np.ndarray) -> np.ndarray:
        """h (m,) of a state (nx,); at least zero where a limit is kept."""
        return self._linear(state, self.brake, state)[0]

    def linearised(self, state: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """h (m,) after an action, and its slopes (m, nu)."""
        h, slopes = self._linear(state, action, self.system.step(state, action))
        return h, slopes

    def forget(self, world: int = 0) -> None:
        """A new episode: nothing to forget here."""

    def filter(self, state: np.ndarray, action: np.ndarray, world: int = 0) -> Filtered:
        """The action (nu,) to take at a state (nx,) instead of the wanted one, in any world.

        A wanted action that is not finite is answered with braking.

        Raises:
            UserError: a size is wrong, or the state is not finite.
        """
        began = time.perf_counter()
        state, wanted = np.asarray(state, dtype=np.float64).ravel(), np.asarray(action, dtype=np.float64).ravel()
        if state.size != self.system.nx or wanted.size != self.system.nu:
            raise UserError(
                f"{self.system.name}: wanted a state of {self.system.nx} numbers and an action of {self.system.nu}, "
                f"came {state.size} and {wanted.size}"
            )
        if not np.isfinite(state).all():
            raise UserError(f"{self.system.name}: the state is not finite: {state}")
        case = self._case(state, wanted)
        change: np.ndarray
        if np.isfinite(wanted).all():
            kept, held = self._nearest(case)
            change = np.sqrt(self.weight) * (kept - wanted)
        else:
            kept, held, change = self.brake, np.zeros(case.now.size, dtype=bool), np.full(wanted.size, np.inf)
        size = float(np.linalg.norm(change))
        changed = size > 1e-6
        at_bound = (np.abs(change) > 1e-6) & ((kept <= case.low + _EXACT) | (kept >= case.high - _EXACT))
        violated = self._named(case.now < -_EXACT)
        return Filtered(
            action=kept,
            changed=changed,
            size=size,
            active=(*self._named(held), *(("control bounds",) if at_bound.any() else ())),
            violated=violated,
            feasible=not violated,
            braking=changed and bool(np.abs(kept - self.brake).max() < _EXACT),
            seconds=time.perf_counter() - began,
        )

    def _case(self, state: np.ndarray, wanted: np.ndarray) -> _Case:
        now = self.values(state)
        asked = np.where(self.rows.of_state, now + self.alpha * (_INSIDE - now), _INSIDE)
        back = np.where(self.rows.of_state, np.maximum(asked - now, 0.0), 0.0)
        low, high = self.rows.bounds(state)
        return _Case(state, np.clip(wanted, low, high), now, asked, back, np.minimum(now, 0.0) - _EXACT, low, high)

    def _nearest(self, case: _Case) -> tuple[np.ndarray, np.ndarray]:
        """The action, and which rows (m,) held it: from braking on, each step is checked before it is taken."""
        way, _ = self._way(case.state, case.wanted)
        held = np.zeros(case.now.size, dtype=bool)
        if (way >= case.floor[:, None]).all() and (way[:, -1] >= case.asked - _INSIDE).all():
            return case.wanted, held
        at, after = self.brake, case.state
        for _ in range(_ROUNDS):
            found = self._solve(case, at, after)
            if found is None:
                break
            move, pressed = found[0] - at, found[1]
            tried = ((share, *self._way(case.state, at + share * move)) for share in _SHARES)
            taken = next((one for one in tried if (one[1] >= case.floor[:, None]).all()), None)
            held = pressed
            if taken is None:
                break
            share, _, after = taken
            at = at + share * move
            if np.abs(share * move / self._half).max() < 1e-3:
                break
        return at, held

    def _solve(self, case: _Case, at: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """The QP over (u, s) with rows linearised at an action: s of the way back from a violation is given up."""
        h, slopes = self._linear(case.state, at, after)
        rows_of_qp, least = np.column_stack([slopes, case.back]), case.asked - h + slopes @ at
        given_up = 1.0 if case.back.any() else 0.0
        x, _, multipliers, _ = self._qp(
            self._hessian,
            np.append(-self.weight * case.wanted, given_up * _GIVE_UP),
            rows_of_qp,
            least,
            np.inf,
            np.append(case.low, 0.0),
            np.append(case.high, given_up),
            *self._unused,
        )
        # Its own word is not taken for it: an answer is one that keeps the rows.
        if not np.isfinite(x).all() or (rows_of_qp @ x < least - 1e-6).any():
            return None
        return np.clip(x[:-1], case.low, case.high), np.abs(multipliers) > 1e-9

    def _way(self, state: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """h (m, checks) along the straight way to the state after the action, and that state."""
        (after,) = self._dynamics(state, action)
        system = self.system
        after = after if system.after is None else system.after(after)
        way = state + self._shares[:, None] * (after - state)
        if system.after is not None:
            way = np.array([system.after(one) for one in way])
        (h,) = self._along(state, way.T)
        return h.reshape(-1, len(self._shares)), after

    def _named(self, which: np.ndarray) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name, one in zip(self.rows.names, which, strict=True) if one))


def _must_stand_still(system: System) -> None:
    state = np.linspace(0.2, 0.9, system.nx)
    kept = state if system.after is None else system.after(state)
    if not np.allclose(system.step(kept, np.zeros(system.nu)), kept):
        raise UserError(f"{system.name} does not stand still on command: use the predictive filter")


def _qp(nu: int, count: int) -> ca.Function:
    # DAQP (Arnström, Bemporad & Axehill, IEEE TAC 2022) is exact and was the fastest here of those in CasADi.
    shape = {"h": ca.Sparsity.diag(nu + 1), "a": ca.Sparsity.dense(count, nu + 1)}
    return ca.conic("nearest", "daqp", shape, {"error_on_fail": False})
