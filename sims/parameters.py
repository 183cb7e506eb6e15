"""Physical parameters of a MuJoCo model, by name, as factors of their nominal values.

"mass" scales the mass of everything that moves, "mass:torso" that of one body; both together multiply. A parameter is
offered where it does something: a model without springs has no "stiffness".
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import mujoco
import numpy as np

from robot_learn.errors import UserError, unknown

Rows = Any  # which rows of an array: a slice or indices


@dataclass(frozen=True)
class Parameter:
    """What a name stands for: which rows of which arrays of the model a factor multiplies."""

    rows: Callable[[mujoco.MjModel, int | None], dict[str, Rows]]  # by field; of one object, or of all where it is None
    of: str = ""  # the kind of object that "name:OBJECT" means: body, geom, joint or actuator
    inertial: bool = False  # then MuJoCo's derived constants follow from it


def _bodies(model: mujoco.MjModel, body: int | None) -> dict[str, Rows]:
    # A body that is welded to the world has a mass that nothing feels.
    moving = np.flatnonzero(model.body_weldid) if body is None else [body]
    return {"body_mass": moving, "body_inertia": moving}


def _friction(model: mujoco.MjModel, geom: int | None) -> dict[str, Rows]:
    # What touches nothing, or all of whose contacts are frictionless (one-dimensional), has no friction to speak of.
    touches = (model.geom_contype | model.geom_conaffinity) != 0
    touches &= model.geom_condim[touches].max(initial=1) > 1
    if geom is not None:
        return {"geom_friction": [geom] if touches[geom] else []}
    return {"geom_friction": np.flatnonzero(touches), "pair_friction": slice(None), "flex_friction": slice(None)}


def _dofs(field: str, *tendons: str) -> Callable[[mujoco.MjModel, int | None], dict[str, Rows]]:
    def rows(model: mujoco.MjModel, joint: int | None) -> dict[str, Rows]:
        if joint is None:
            return {field: slice(None), **{name: slice(None) for name in tendons}}
        return {field: np.flatnonzero(model.dof_jntid == joint)}

    return rows


def _springs(model: mujoco.MjModel, joint: int | None) -> dict[str, Rows]:
    if joint is not None:
        return {"jnt_stiffness": [joint]}
    return {name: slice(None) for name in ("jnt_stiffness", "tendon_stiffness", "flex_stiffness", "flex_edgestiffness")}


def _actuators(model: mujoco.MjModel, actuator: int | None) -> dict[str, Rows]:
    # Gain, bias and limit together: a servo grows stiffer and stronger, and still stops at its target.
    scalable = model.actuator_gaintype <= mujoco.mjtGain.mjGAIN_AFFINE.value
    scalable &= model.actuator_biastype <= mujoco.mjtBias.mjBIAS_AFFINE.value
    chosen = np.flatnonzero(scalable & ((actuator is None) | (np.arange(model.nu) == actuator)))
    return {"actuator_gainprm": chosen, "actuator_biasprm": chosen, "actuator_forcerange": chosen}


PARAMETERS = {
    "mass": Parameter(_bodies, "body", inertial=True),  # with the inertia, as if the density changed
    "friction": Parameter(_friction, "geom"),  # sliding, torsional and rolling; MuJoCo takes the larger of two geoms'
    "damping": Parameter(_dofs("dof_damping", "tendon_damping", "flex_damping", "flex_edgedamping"), "joint"),
    "joint_friction": Parameter(_dofs("dof_frictionloss", "tendon_frictionloss"), "joint"),
    "armature": Parameter(_dofs("dof_armature"), "joint", inertial=True),
    "stiffness": Parameter(_springs, "joint"),  # of springs
    "actuator_gain": Parameter(_actuators, "actuator"),  # the force for the same command and state, and its limit
    "gravity": Parameter(lambda model, _: {"opt.gravity": slice(None)}),
}
# What mj_setConst computes from masses. The mean inertia, by which the solver only scales its tolerance, stays.
DERIVED = ("body_subtreemass", "body_invweight0", "dof_M0", "dof_invweight0", "tendon_invweight0", "actuator_acc0")
POSITIVE = ("mass",)  # a factor of 0 would leave nothing to accelerate


def field(model: mujoco.MjModel, name: str) -> np.ndarray:
    """An array of a model, e.g. "body_mass" or "opt.gravity", as a view."""
    found: np.ndarray = attrgetter(name)(model)
    return found


class Fitting:
    """The parameters of one model: which there are, and what its arrays become under given factors.

    Args:
        model: it is copied.
        placed: the nominal values of arrays that the task itself changes at a reset. Parameters of these are not
            offered.
    """

    def __init__(self, model: mujoco.MjModel, placed: Mapping[str, np.ndarray]) -> None:
        self._model, self._placed = copy.copy(model), placed.keys()
        for name, value in placed.items():
            field(self._model, name)[:] = value
        self._data = mujoco.MjData(self._model)
        self._rows: dict[str, dict[str, Rows]] = {}
        for name, parameter in PARAMETERS.items():
            self._offer(name, parameter.rows(model, None))
            for index in range(getattr(model, f"n{_PLURAL[parameter.of]}") if parameter.of else 0):
                called = getattr(model, parameter.of)(index).name
                # What the whole does not reach (a body that cannot move), no single one may.
                if called and name in self._rows and (parameter.of != "body" or model.body_weldid[index]):
                    self._offer(f"{name}:{called}", parameter.rows(model, index))
        used = {name for rows in self._rows.values() for name in rows}
        self.nominal = {name: field(model, name).copy() for name in sorted({*used, *DERIVED})}

    def _offer(self, name: str, rows: dict[str, Rows]) -> None:
        matters = any(np.any(field(self._model, array)[chosen]) for array, chosen in rows.items())
        if matters and self._placed.isdisjoint(rows):
            self._rows[name] = rows

    @property
    def settable(self) -> tuple[str, ...]:
        """Names of the parameters that this model has."""
        return tuple(self._rows)

    def arrays(self, factors: Mapping[str, float]) -> dict[str, np.ndarray]:
        """The arrays that the parameters named touch, as they are under these factors; 1 changes no bit.

        Raises:
            UserError: the model has no such parameter, or a factor is impossible.
        """
        found: dict[str, np.ndarray] = {}
        inertial = False
        for name, factor in factors.items():
            check_factor(name, factor)
            if name not in self._rows:
                raise unknown("parameter", name, self._rows)
            for array, rows in self._rows[name].items():
                found.setdefault(array, self.nominal[array].copy())[rows] *= factor
            inertial |= factor != 1.0 and PARAMETERS[name.partition(":")[0]].inertial
        return found | self._derived(found) if inertial else found

    def _derived(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        for name, value in (self.nominal | dict(arrays)).items():
            field(self._model, name)[:] = value
        mujoco.mj_setConst(self._model, self._data)
        return {name: field(self._model, name).copy() for name in DERIVED}


_PLURAL = {"body": "body", "geom": "geom", "joint": "jnt", "actuator": "u"}  # as in model.nbody


def check_factor(name: str, factor: float) -> None:
    """Raises UserError where a parameter cannot have this factor."""
    positive = name.partition(":")[0] in POSITIVE
    if not np.isfinite(factor) or factor < 0 or (positive and factor == 0):
        raise UserError(
            f"parameter {name!r}: wanted a factor {'above 0' if positive else 'of 0 or more'}, came {factor}"
        )
