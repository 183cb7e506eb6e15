"""A constraint that was learned from a person, as data: saved, loaded, and asked about states.

A constraint is over a whole predicted trajectory (`controllers.systems.system.System`). Of a single state x it is asked
"what if the robot stopped here": the state held over the horizon, where g is offset + sum(weights) features(x)' theta.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import casadi as ca
import numpy as np

from controllers.systems.system import System
from robot_learn.errors import UserError

FORMAT = 1
_TINY = 1e-6  # keeps the root of |C phi|^2 differentiable where it is zero; it makes the worst g no smaller


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Which other parameters are as good: {centre + shape z, |z| <= 1}."""

    centre: np.ndarray  # (r,)
    shape: np.ndarray  # (r, r) C
    corrections: int = 0  # that it took
    still_to_come: int | None = None  # corrections at most, by the certificate; None: there is no certificate


@dataclass(frozen=True, eq=False)
class LearnedConstraint:
    """Parameters theta and all that gives them a meaning."""

    system: str
    version: int  # of the system's features
    theta: np.ndarray  # (r,)
    offset: float  # phi_0
    gamma: float
    weights: tuple[float, ...]  # (N + 1,) of the predicted steps
    uncertainty: Uncertainty | None = None
    source: dict[str, Any] = field(default_factory=dict)  # where it came from: a session, a game, a date

    def __post_init__(self) -> None:
        sizes: dict[str, tuple[np.ndarray, tuple[int, ...]]] = {"theta": (self.theta, (self.r,))}
        if self.uncertainty is not None:
            sizes |= {"centre": (self.uncertainty.centre, (self.r,))}
            sizes |= {"shape": (self.uncertainty.shape, (self.r, self.r))}
        for name, (array, shape) in sizes.items():
            if array.shape != shape:
                raise UserError(f"learned constraint: {name} is of shape {array.shape}, wanted {shape}")
            if not np.isfinite(array).all():
                raise UserError(f"learned constraint: {name} has numbers that are not finite")

    @property
    def r(self) -> int:
        return self.theta.size


def of_system(
    system: System, theta: np.ndarray, uncertainty: Uncertainty | None = None, **source: Any
) -> LearnedConstraint:
    """The constraint that theta (r,) is in a system.

    Raises:
        UserError: it is not of the size that the system's features have.
    """
    theta = np.array(theta, dtype=np.float64)
    made = LearnedConstraint(
        system.name, system.version, theta, system.offset, system.gamma, system.weights, uncertainty, source
    )
    check_fits(made, system)
    return made


def check_fits(learned: LearnedConstraint, system: System) -> None:
    """Raise unless the constraint means something in the system.

    Raises:
        UserError: it is of another system, of another version of its features, or of another horizon.
    """
    if learned.system != system.name:
        raise UserError(f"this constraint was learned on the system {learned.system!r}, and this is {system.name!r}")
    if learned.version != system.version:
        raise UserError(
            f"{system.name}: this constraint was learned with version {learned.version} of the features, and they are "
            f"at version {system.version}: its numbers mean nothing here; teach it anew"
        )
    if learned.r != system.r:
        raise UserError(f"{system.name}: this constraint has {learned.r} parameters, wanted {system.r}")
    if len(learned.weights) != len(system.weights) or not np.allclose(learned.weights, system.weights):
        raise UserError(f"{system.name}: this constraint weighs the steps of a plan otherwise than the system does")


def save(learned: LearnedConstraint, path: Path) -> None:
    """Write it as JSON; the file is whole or not there.

    Raises:
        UserError: it cannot be written.
    """
    data: dict[str, Any] = {
        "format": FORMAT,
        "system": learned.system,
        "features_version": learned.version,
        "theta": learned.theta.tolist(),
        "offset": learned.offset,
        "gamma": learned.gamma,
        "weights": list(learned.weights),
        "source": learned.source,
    }
    if learned.uncertainty is not None:
        known = learned.uncertainty
        data["uncertainty"] = {
            "centre": known.centre.tolist(),
            "shape": known.shape.tolist(),
            "corrections": known.corrections,
            "still_to_come": known.still_to_come,
        }
    beside = path.with_name(path.name + ".part")
    try:
        beside.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        os.replace(beside, path)
    except OSError as error:
        raise UserError(f"cannot write the constraint {path}: {error.strerror}") from error


def load(path: Path | str, system: System | None = None) -> LearnedConstraint:
    """Read what `save` wrote; with a system, it must fit that.

    Raises:
        UserError: the file is missing or is no constraint, or the constraint does not fit.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        learned = _from_data(data)
    except OSError as error:
        raise UserError(f"cannot read the constraint {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is no learned constraint: {type(error).__name__}: {error}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    if system is not None:
        check_fits(learned, system)
    return learned


def _from_data(data: dict[str, Any]) -> LearnedConstraint:
    if data["format"] != FORMAT:
        raise UserError(f"written in format {data['format']}; this version reads {FORMAT}")
    known = data.get("uncertainty")
    uncertainty = known and Uncertainty(
        np.array(known["centre"], dtype=np.float64),
        np.array(known["shape"], dtype=np.float64),
        int(known["corrections"]),
        known["still_to_come"],
    )
    return LearnedConstraint(
        str(data["system"]),
        int(data["features_version"]),
        np.array(data["theta"], dtype=np.float64),
        float(data["offset"]),
        float(data["gamma"]),
        tuple(float(w) for w in data["weights"]),
        uncertainty,
        dict(data["source"]),
    )


def worst(learned: LearnedConstraint, phi: ca.SX, enlarge: float = 1.0) -> ca.SX:
    """The largest g over the ellipsoid, for features phi (r,) of a plan: offset + phi' d + |C' phi|.

    Args:
        enlarge: the ellipsoid's factor. The largest one that is inscribed in the set of surviving hypotheses covers all
            of the set when it is enlarged r times (John's theorem), and most of it long before.
    """
    if learned.uncertainty is None:
        return learned.offset + ca.dot(phi, ca.DM(learned.theta))
    known = learned.uncertainty
    spread = ca.DM(enlarge * known.shape.T) @ phi
    return learned.offset + ca.dot(phi, ca.DM(known.centre)) + ca.sqrt(ca.sumsqr(spread) + _TINY**2)


class Held:
    """A learned constraint asked about states of its system, with exact gradients.

    Args:
        robust: ask for the worst of the ellipsoid instead of theta.

    Raises:
        UserError: the constraint does not fit the system.
    """

    def __init__(
        self, system: System, learned: LearnedConstraint, *, robust: bool = False, enlarge: float = 1.0
    ) -> None:
        check_fits(learned, system)
        self.system = system
        x = ca.SX.sym("x", system.nx)
        g = held(system, learned, x, robust=robust, enlarge=enlarge)
        self._values = ca.Function("g", [x], [g])
        self._both = ca.Function("g_and_gradient", [x], [g, ca.gradient(g, x)])

    def g(self, states: np.ndarray) -> np.ndarray:
        """(N,) of states (N, nx): safe to stop at where below zero."""
        return np.array(self._values(self._columns(states))).ravel()

    def gradient(self, states: np.ndarray) -> np.ndarray:
        """dg/dx (N, nx) at states (N, nx)."""
        columns = self._columns(states)
        return np.array(self._both(columns)[1]).reshape(self.system.nx, -1, order="F").T

    def _columns(self, states: np.ndarray) -> np.ndarray:
        rows = np.atleast_2d(np.asarray(states, dtype=np.float64))
        if rows.shape[1] != self.system.nx:
            raise UserError(f"{self.system.name}: wanted states of {self.system.nx} numbers, came {rows.shape[1]}")
        return rows.T


def held(system: System, learned: LearnedConstraint, x: ca.SX, *, robust: bool = False, enlarge: float = 1.0) -> ca.SX:
    """g where the state x is held over the whole horizon."""
    phi = sum(learned.weights) * system.features(x)
    if robust:
        return worst(learned, phi, enlarge)
    return learned.offset + ca.dot(phi, ca.DM(learned.theta))
