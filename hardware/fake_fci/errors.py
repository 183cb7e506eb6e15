"""What a controller may say has gone wrong: its error flags, and the status bytes of its answers, by version."""

from __future__ import annotations

# In the order of the flags in a robot state, by libfranka's public names.
ERRORS = (
    "joint_position_limits_violation",
    "cartesian_position_limits_violation",
    "self_collision_avoidance_violation",
    "joint_velocity_violation",
    "cartesian_velocity_violation",
    "force_control_safety_violation",
    "joint_reflex",
    "cartesian_reflex",
    "max_goal_pose_deviation_violation",
    "max_path_pose_deviation_violation",
    "cartesian_velocity_profile_safety_violation",
    "joint_position_motion_generator_start_pose_invalid",
    "joint_motion_generator_position_limits_violation",
    "joint_motion_generator_velocity_limits_violation",
    "joint_motion_generator_velocity_discontinuity",
    "joint_motion_generator_acceleration_discontinuity",
    "cartesian_position_motion_generator_start_pose_invalid",
    "cartesian_motion_generator_elbow_limit_violation",
    "cartesian_motion_generator_velocity_limits_violation",
    "cartesian_motion_generator_velocity_discontinuity",
    "cartesian_motion_generator_acceleration_discontinuity",
    "cartesian_motion_generator_elbow_sign_inconsistent",
    "cartesian_motion_generator_start_elbow_invalid",
    "force_controller_desired_force_tolerance_violation",
    "start_elbow_sign_inconsistent",
    "communication_constraints_violation",
    "power_limit_violation",
    "cartesian_motion_generator_joint_position_limits_violation",
    "cartesian_motion_generator_joint_velocity_limits_violation",
    "cartesian_motion_generator_joint_velocity_discontinuity",
    "cartesian_motion_generator_joint_acceleration_discontinuity",
    "cartesian_position_motion_generator_invalid_frame",
    "controller_torque_discontinuity",
    "joint_p2p_insufficient_torque_for_planning",
    "tau_j_range_violation",
    "instability_detected",
    "joint_move_in_wrong_direction",
    "cartesian_spline_motion_generator_violation",
    "joint_via_motion_generator_planning_joint_limit_violation",
    "base_acceleration_initialization_timeout",
    "base_acceleration_invalid_reading",
)
# Velocity discontinuity: the acceleration is too high; acceleration discontinuity: the jerk is.

_SAFETY_SINCE = 6  # the version that added the safety functions' statuses, in the middle of the lists

# Statuses by name, in the order of their numbers; one in brackets is there since version 6 only.
_STATUSES = {
    "plain": ("success", "not_possible", "[safety]"),
    "setter": ("success", "not_possible", "invalid_argument", "[safety]"),
    "move": (
        "success",
        "motion_started",
        "preempted",
        "[preempted_safety]",
        "[safety]",
        "not_possible",
        "start_at_singular_pose",
        "invalid_argument",
        "reflex",
        "emergency",
        "input_error",
        "aborted",
    ),
    "stop": ("success", "not_possible", "[safety]", "emergency", "reflex", "aborted"),
    "recovery": ("success", "not_possible", "[safety]", "manual", "reflex", "emergency", "aborted"),
}
_KIND = {"Move": "move", "StopMove": "stop", "AutomaticErrorRecovery": "recovery"}


def statuses(request: str, version: int) -> tuple[str, ...]:
    """The outcomes that a request may have, in the order of their numbers in the protocol of that version."""
    kind = _KIND.get(request, "setter" if request.startswith("Set") else "plain")
    if version >= _SAFETY_SINCE:
        return tuple(name.strip("[]") for name in _STATUSES[kind])
    return tuple(name for name in _STATUSES[kind] if not name.startswith("["))


def status(request: str, outcome: str, version: int) -> int:
    """The status byte that tells of an outcome, e.g. ("Move", "motion_started", 10) -> 1."""
    return statuses(request, version).index(outcome)
