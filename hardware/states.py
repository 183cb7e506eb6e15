"""A state of an arm as libfranka's clients give it, as an observation: their names, frames and signs become ours."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from hardware.arm import Observation, State
from robot_learn.franka import HAND_ANGLE, TCP_HEIGHT

# By the name of libfranka's robot mode, without the "k" that some clients leave in front.
_STATES: dict[str, State] = {
    "Idle": "idle",
    "Move": "moving",
    "Guiding": "guiding",
    "Reflex": "reflex",
    "UserStopped": "user_stopped",
    "AutomaticErrorRecovery": "recovering",
}


def reader(error_type: type) -> Callable[[Any], Observation]:
    """A function that turns states of one client into observations; `error_type` is that client's class of errors.

    The robot counts forces that it applies to its surroundings as positive; ours act on the robot.
    """
    error_names = [name for name in dir(error_type) if not name.startswith("_") and name != "value"]
    error_names = [name for name in error_names if not callable(getattr(error_type, name))]
    tool: tuple[bytes, np.ndarray | None] = (b"", None)  # the end effector as the robot has it, and from there to ours

    def read(state: Any) -> Observation:
        nonlocal tool
        received = time.monotonic()
        T_flange_given = pose(state.F_T_EE)
        key = T_flange_given.tobytes()
        if key != tool[0]:
            tool = key, _correction(T_flange_given)
        T_base_ee = pose(state.O_T_EE)
        if tool[1] is not None:
            T_base_ee = T_base_ee @ tool[1]
        milliseconds = round(1000 * state.time.to_sec())
        mode = _STATES.get(state.robot_mode.name.removeprefix("k"), "other")
        errors = state.current_errors
        return Observation(
            sequence=milliseconds,
            time=milliseconds / 1000,
            received=received,
            q=np.array(state.q),
            dq=np.array(state.dq),
            q_commanded=np.array(state.q_d),
            torques=np.array(state.tau_J),
            external_torques=-np.array(state.tau_ext_hat_filtered),
            external_wrench=-np.array(state.O_F_ext_hat_K),
            T_base_ee=T_base_ee,
            state=mode,
            errors=() if mode == "moving" else tuple(name for name in error_names if getattr(errors, name)),
            success_rate=float(state.control_command_success_rate) if mode == "moving" else 1.0,
        )

    return read


def pose(given: Any) -> np.ndarray:
    """A pose (4, 4) from 16 numbers, column by column, or from an object with a matrix."""
    if hasattr(given, "matrix"):
        return np.array(given.matrix, float)
    return np.array(given, float).reshape(4, 4).T


def _correction(T_flange_given: np.ndarray) -> np.ndarray | None:
    """From the end effector that is set in the robot to the point between the fingertips; None when they are one."""
    T_flange_ee = np.eye(4)
    T_flange_ee[:2, :2] = [[np.cos(HAND_ANGLE), -np.sin(HAND_ANGLE)], [np.sin(HAND_ANGLE), np.cos(HAND_ANGLE)]]
    T_flange_ee[2, 3] = TCP_HEIGHT
    correction = np.linalg.inv(T_flange_given) @ T_flange_ee
    return None if np.allclose(correction, np.eye(4), atol=1e-4) else correction
