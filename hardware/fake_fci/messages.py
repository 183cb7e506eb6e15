"""The wire format of the robot interface, versions 5 to 10: one table a message, which drives packing and tests.

Everything is little-endian without padding. Of a state the numbers are float64 up to version 9 and float32 in version
10; of a command they are always float64. Poses are 4x4 matrices, column after column.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

ROBOT_PORT, GRIPPER_PORT = 1337, 1338  # compiled into the clients
VERSIONS = (5, 6, 7, 8, 9, 10)
HEADER = struct.Struct("<III")  # command, its number, size of the whole message with this header
LONGEST_REQUEST = 4096  # [byte] a client asks for no more; what says it is longer is not our protocol

_SETTERS = (
    "SetCollisionBehavior",
    "SetJointImpedance",
    "SetCartesianImpedance",
    "SetGuidingMode",
    "SetEEToK",
    "SetNEToEE",
    "SetLoad",
)
_MOTION = ("Connect", "Move", "StopMove")
REQUESTS: dict[int, tuple[str, ...]] = {
    5: (*_MOTION, "GetCartesianLimit", *_SETTERS, "SetFilters", "AutomaticErrorRecovery", "LoadModelLibrary"),
    6: (*_MOTION, *_SETTERS, "AutomaticErrorRecovery", "LoadModelLibrary"),
    7: (*_MOTION, *_SETTERS, "AutomaticErrorRecovery", "LoadModelLibrary"),
    8: (*_MOTION, *_SETTERS, "AutomaticErrorRecovery", "LoadModelLibrary", "GetRobotModel"),
    9: (*_MOTION, *_SETTERS, "AutomaticErrorRecovery", "LoadModelLibrary", "GetRobotModel"),
    10: (*_MOTION, *_SETTERS, "AutomaticErrorRecovery", "GetRobotModel"),
}
_PAYLOADS = {
    "Connect": struct.Struct("<HH"),  # version, port of the client that states are sent to
    "StopMove": struct.Struct("<"),
    "AutomaticErrorRecovery": struct.Struct("<"),
    "GetRobotModel": struct.Struct("<"),
    "SetCollisionBehavior": struct.Struct("<52d"),
    "SetJointImpedance": struct.Struct("<7d"),
    "SetCartesianImpedance": struct.Struct("<6d"),
    "SetGuidingMode": struct.Struct("<7B"),
    "SetEEToK": struct.Struct("<16d"),
    "SetNEToEE": struct.Struct("<16d"),
    "SetLoad": struct.Struct("<13d"),  # mass, centre, inertia
    "SetFilters": struct.Struct("<5d"),
    "GetCartesianLimit": struct.Struct("<i"),
    "LoadModelLibrary": struct.Struct("<BB"),  # architecture, operating system
}
_MOVE = struct.Struct("<II6d")  # controller, motion generator, largest deviations of the path and of the goal
_MOVE_ASYNC = struct.Struct("<II6dB7d")  # and whether targets come at any rate, with the joints' largest velocities
CONTROLLERS = ("joint_impedance", "cartesian_impedance", "external", "other")
GENERATORS = ("joint_position", "joint_velocity", "cartesian_position", "cartesian_velocity", "none")
ROBOT_MODES = ("other", "idle", "move", "guiding", "reflex", "user_stopped", "recovering")

_STATE = (
    ("message_id", 0, "u8"),
    ("O_T_EE", 16, "real"),
    ("O_T_EE_d", 16, "real"),
    ("F_T_EE", 16, "real"),
    ("EE_T_K", 16, "real"),
    ("F_T_NE", 16, "real"),
    ("NE_T_EE", 16, "real"),
    ("m_ee", 0, "real"),
    ("I_ee", 9, "real"),
    ("F_x_Cee", 3, "real"),
    ("m_load", 0, "real"),
    ("I_load", 9, "real"),
    ("F_x_Cload", 3, "real"),
    ("elbow", 2, "real"),
    ("elbow_d", 2, "real"),
    ("tau_J", 7, "real"),
    ("tau_J_d", 7, "real"),
    ("dtau_J", 7, "real"),
    ("q", 7, "real"),
    ("q_d", 7, "real"),
    ("dq", 7, "real"),
    ("dq_d", 7, "real"),
    ("ddq_d", 7, "real"),
    ("joint_contact", 7, "real"),
    ("cartesian_contact", 6, "real"),
    ("joint_collision", 7, "real"),
    ("cartesian_collision", 6, "real"),
    ("tau_ext_hat_filtered", 7, "real"),
    ("O_F_ext_hat_K", 6, "real"),
    ("K_F_ext_hat_K", 6, "real"),
    ("O_dP_EE_d", 6, "real"),
    ("O_ddP_O", 3, "real"),
    ("elbow_c", 2, "real"),
    ("delbow_c", 2, "real"),
    ("ddelbow_c", 2, "real"),
    ("O_T_EE_c", 16, "real"),
    ("O_dP_EE_c", 6, "real"),
    ("O_ddP_EE_c", 6, "real"),
    ("theta", 7, "real"),
    ("dtheta", 7, "real"),
    ("accelerometer_top", 18, "since 10"),
    ("accelerometer_bottom", 18, "since 10"),
    ("motion_generator_mode", 0, "u1"),
    ("controller_mode", 0, "u1"),
    ("errors", 41, "u1"),
    ("reflex_reason", 41, "u1"),
    ("robot_mode", 0, "u1"),
    ("control_command_success_rate", 0, "real"),
)
_COMMAND = (
    ("message_id", 0, "u8"),
    ("q_c", 7, "f8"),
    ("dq_c", 7, "f8"),
    ("O_T_EE_c", 16, "f8"),
    ("O_dP_EE_c", 6, "f8"),
    ("elbow_c", 2, "f8"),
    ("valid_elbow", 0, "u1"),
    ("motion_generation_finished", 0, "u1"),
    ("tau_J_d", 7, "f8"),
    ("torque_command_finished", 0, "since 7"),
)


def _dtype(table: tuple[tuple[str, int, str], ...], kinds: dict[str, str]) -> np.dtype[Any]:
    """The packed type of a message; fields of a kind that is not among `kinds` are not in it."""
    return np.dtype(
        [(name, f"<{kinds[kind]}", (count,) if count else ()) for name, count, kind in table if kind in kinds]
    )


def state_type(version: int) -> np.dtype[Any]:
    """A robot state in the protocol of that version."""
    if version < 10:
        return _dtype(_STATE, {"u8": "u8", "u1": "u1", "real": "f8"})
    return _dtype(_STATE, {"u8": "u8", "u1": "u1", "real": "f4", "since 10": "f4"})


def command_type(version: int) -> np.dtype[Any]:
    """A robot command in the protocol of that version."""
    kinds = {"u8": "u8", "u1": "u1", "f8": "f8"}
    return _dtype(_COMMAND, kinds | {"since 7": "u1"} if version >= 7 else kinds)


def payload(request: str, version: int) -> struct.Struct:
    """What follows the header of a request."""
    if request == "Move":
        return _MOVE_ASYNC if version >= 10 else _MOVE
    return _PAYLOADS[request]


class StateMessage:
    """A robot state to fill in and send; `fields` are views into the bytes.

    Attributes:
        fields: by name, arrays of the field's shape, () for a single number.
    """

    def __init__(self, version: int) -> None:
        self.bytes = bytearray(state_type(version).itemsize)
        record = np.frombuffer(self.bytes, state_type(version))
        self.fields: dict[str, np.ndarray] = {name: record[name][0:1] for name in record.dtype.names or ()}
        self.fields = {
            name: view.reshape(()) if view.ndim == 1 else view.reshape(view.shape[1])
            for name, view in self.fields.items()
        }
