"""The controller's state, written into the message that goes to the client each millisecond."""

from __future__ import annotations

import numpy as np

from hardware.fake_fci.control import Control
from hardware.fake_fci.errors import ERRORS
from hardware.fake_fci.kinematics import elbow_of
from hardware.fake_fci.messages import CONTROLLERS, GENERATORS, ROBOT_MODES, StateMessage
from hardware.fake_fci.motion import DT

GRAVITY = (0.0, 0.0, -9.81)  # [m/s^2] as clients' models take it from the state


def settle(message: StateMessage, control: Control) -> None:
    """Write what changes by a request only: the end effector and the load."""
    fields, tool = message.fields, control.physics.tool
    fields["F_T_EE"][:] = tool.F_T_EE.T.ravel()
    fields["F_T_NE"][:] = tool.F_T_NE.T.ravel()
    fields["NE_T_EE"][:] = tool.NE_T_EE.T.ravel()
    fields["EE_T_K"][:] = tool.EE_T_K.T.ravel()
    fields["m_ee"][...], fields["F_x_Cee"][:], fields["I_ee"][:] = tool.mass, tool.centre, tool.inertia.T.ravel()
    fields["m_load"][...], fields["F_x_Cload"][:] = tool.load, tool.load_centre
    fields["I_load"][:] = tool.load_inertia.T.ravel()
    fields["O_ddP_O"][:] = GRAVITY


def write(message: StateMessage, control: Control, message_id: int) -> None:
    """Write what changes from tick to tick."""
    fields, reference, sensed = message.fields, control.reference, control.physics.sensed
    fields["message_id"][...] = message_id
    fields["dtau_J"][:] = (sensed.tau_J - fields["tau_J"]) / DT if message_id > 1 else 0.0
    for name in ("q", "theta"):
        fields[name][:] = sensed.q
    for name in ("dq", "dtheta"):
        fields[name][:] = sensed.dq
    fields["tau_J"][:], fields["tau_J_d"][:] = sensed.tau_J, control.tau_d
    fields["tau_ext_hat_filtered"][:] = sensed.tau_ext
    fields["O_F_ext_hat_K"][:], fields["K_F_ext_hat_K"][:] = sensed.O_F_ext, sensed.K_F_ext
    fields["O_T_EE"][:] = sensed.O_T_EE.T.ravel()
    fields["elbow"][:] = elbow_of(sensed.q)
    fields["q_d"][:], fields["dq_d"][:], fields["ddq_d"][:] = reference.q, reference.dq, reference.ddq
    fields["O_T_EE_d"][:] = fields["O_T_EE_c"][:] = reference.pose.T.ravel()
    fields["O_dP_EE_d"][:] = fields["O_dP_EE_c"][:] = reference.twist
    fields["O_ddP_EE_c"][:] = reference.acceleration
    fields["elbow_d"][:], fields["elbow_c"][:] = reference.elbow[0], reference.elbow[0]
    fields["delbow_c"][:], fields["ddelbow_c"][:] = reference.elbow[1], reference.elbow[2]
    collisions = control.collisions
    fields["joint_contact"][:], fields["joint_collision"][:] = collisions.joint_contact, collisions.joint_collision
    fields["cartesian_contact"][:] = collisions.cartesian_contact
    fields["cartesian_collision"][:] = collisions.cartesian_collision
    _modes(fields, control)


def _modes(fields: dict[str, np.ndarray], control: Control) -> None:
    motion = control.motion
    fields["motion_generator_mode"][...] = 0 if motion is None else GENERATORS.index(motion.generator) + 1
    fields["controller_mode"][...] = CONTROLLERS.index("other" if motion is None else motion.controller)
    fields["robot_mode"][...] = ROBOT_MODES.index(control.mode)
    fields["control_command_success_rate"][...] = control.success_rate
    for name, errors in (("errors", control.errors), ("reflex_reason", control.reflex_reason)):
        flags = fields[name]
        if errors or flags.any():
            flags[:] = [error in errors for error in ERRORS]
