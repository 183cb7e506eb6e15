"""A robot's controllers without torch: one world on the CPU takes an action in a tenth of upstream's time.

Upstream's controllers are written for batches on a GPU; for one world nearly all of their time is the overhead of
torch. Here the same arithmetic, in float32 like theirs, is done on SAPIEN's own objects. Controllers that are not known
here, or that remember a target of their own, go through upstream's code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

Drive = Callable[[np.ndarray], None]  # (act_dim,) float32 in; sets the targets of the joints' drives


def bind(agent: Any) -> Drive:
    """What `agent.set_action` does, for the only world of a CPU environment; several robots take one flat action."""
    agents = agent.agents if hasattr(agent, "agents") else [agent]
    parts: list[tuple[int, int, Drive]] = []
    begin = 0
    for robot in agents:
        parts += [(begin + low, begin + high, drive) for low, high, drive in _parts(robot.controller)]
        begin += robot.single_action_space.shape[0]

    def drive_all(action: np.ndarray) -> None:
        for low, high, drive in parts:
            drive(action[low:high])

    return drive_all


def interpolates(agent: Any) -> bool:
    """Does some controller act between the substeps of a control step?"""
    agents = agent.agents if hasattr(agent, "agents") else [agent]
    parts = [part for robot in agents for part in _leaves(robot.controller)]
    return any(getattr(part.config, "interpolate", False) for part in parts)


def _leaves(controller: Any) -> list[Any]:
    return list(controller.controllers.values()) if hasattr(controller, "controllers") else [controller]


def _parts(controller: Any) -> list[tuple[int, int, Drive]]:
    if not hasattr(controller, "controllers"):
        return [(0, controller.single_action_space.shape[0], _drive(controller))]
    mapping = controller.action_mapping
    return [(*mapping[name], _drive(part)) for name, part in controller.controllers.items()]


def _drive(controller: Any) -> Drive:
    from mani_skill.agents.controllers import passive_controller, pd_ee_pose, pd_joint_pos, pd_joint_vel

    makers: dict[type, Callable[[Any], Drive]] = {
        passive_controller.PassiveController: lambda _: lambda _: None,
        pd_ee_pose.PDEEPosController: _ee_position,
        pd_ee_pose.PDEEPoseController: _ee_pose,
        pd_joint_pos.PDJointPosController: _joint_position,
        pd_joint_pos.PDJointPosMimicController: _mimicked_position,
        pd_joint_vel.PDJointVelController: _joint_velocity,
    }
    config = controller.config
    remembers = getattr(config, "use_target", False) or getattr(config, "interpolate", False)
    unusual = not getattr(config, "normalize_action", True) and hasattr(config, "ee_link")
    if type(controller) not in makers or remembers or unusual:
        return _upstream(controller)
    return makers[type(controller)](controller)


def _upstream(controller: Any) -> Drive:
    import torch

    return lambda action: controller.set_action(torch.from_numpy(action)[None])


def _scale(controller: Any) -> Callable[[np.ndarray], np.ndarray]:
    """From [-1, 1] to the controller's range, where it normalises."""
    if not controller._normalize_action:
        return lambda action: action
    low, high = controller.action_space_low.numpy(), controller.action_space_high.numpy()
    middle, half = 0.5 * (high + low), 0.5 * (high - low)

    def scale(action: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = middle + half * np.minimum(np.maximum(action, -1), 1)
        return scaled

    return scale


def _setter(controller: Any) -> Callable[[np.ndarray], None]:
    joints = [joint._objs[0] for joint in controller.joints]

    def set_targets(targets: np.ndarray) -> None:
        for joint, target in zip(joints, targets.tolist(), strict=True):
            joint.set_drive_target(target)

    return set_targets


def _joint_position(controller: Any) -> Drive:
    scale, set_targets = _scale(controller), _setter(controller)
    if not controller.config.use_delta:
        count = len(controller.joints)
        return lambda action: set_targets(np.broadcast_to(scale(action), count))
    robot, indices = controller.articulation._objs[0], controller.active_joint_indices.numpy()
    return lambda action: set_targets(robot.qpos[indices] + scale(action))


def _mimicked_position(controller: Any) -> Drive:
    """Fingers that follow one another: the joint commanded, and the other at multiplier x target + offset."""
    scale, set_targets = _scale(controller), _setter(controller)
    robot, indices = controller.articulation._objs[0], controller.active_joint_indices.numpy()
    led, leads, followers = (
        getattr(controller, name).numpy()
        for name in ("control_joint_indices", "mimic_control_joint_indices", "mimic_joint_indices")
    )
    multiplier, offset = controller._multiplier.numpy(), controller._offset.numpy()
    delta, targets = controller.config.use_delta, np.zeros(len(controller.joints), dtype=np.float32)

    def drive(action: np.ndarray) -> None:
        targets[led] = robot.qpos[indices][led] + scale(action) if delta else scale(action)
        targets[followers] = targets[leads] * multiplier + offset
        set_targets(targets)

    return drive


def _joint_velocity(controller: Any) -> Drive:
    scale, joints = _scale(controller), [joint._objs[0] for joint in controller.joints]

    def drive(action: np.ndarray) -> None:
        for joint, velocity in zip(joints, scale(action).tolist(), strict=True):
            joint.set_drive_velocity_target(velocity)

    return drive


def _solver(controller: Any) -> Callable[[Any], None]:
    """Inverse kinematics from where the arm is to a pose in the robot's base; where it fails, the arm stays."""
    kinematics, set_targets = controller.kinematics, _setter(controller)
    robot, model = controller.articulation._objs[0], kinematics.pmodel
    order, mask = kinematics.pmodel_active_joint_indices.numpy(), kinematics.qmask.numpy()
    controlled, end = kinematics.pmodel_controlled_joint_indices.numpy(), kinematics.end_link_idx
    indices = controller.active_joint_indices.numpy()

    def solve(pose: Any) -> None:
        start = robot.qpos
        found, converged, _ = model.compute_inverse_kinematics(
            end, pose, initial_qpos=start[order], active_qmask=mask, max_iterations=100
        )
        set_targets(found[controlled].astype(np.float32) if converged else start[indices])

    return solve


def _times(a: Iterable[Any], b: Iterable[Any]) -> tuple[Any, Any, Any, Any]:
    """Product of quaternions (w, x, y, z) of float32 numbers, in upstream's order of additions."""
    (aw, ax, ay, az), (bw, bx, by, bz) = a, b
    return (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )


def _turned(q: np.ndarray, vector: np.ndarray) -> np.ndarray:
    w, x, y, z = q
    return np.array(_times(_times(q, (np.float32(0), *vector)), (w, -x, -y, -z))[1:])


def _at_base(controller: Any) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    """Position (3,) and quaternion (4,) of the hand in the frame of the robot's base, float32."""
    root, hand = controller.root_link._objs[0].entity, controller.ee_link._objs[0].entity
    upright = np.array([1, 0, 0, 0], dtype=np.float32)

    def at_base() -> tuple[np.ndarray, np.ndarray]:
        base, pose = root.pose, hand.pose
        p, q = pose.p, pose.q
        inverse = base.q * np.array([1, -1, -1, -1], dtype=np.float32)
        if np.array_equal(inverse, upright):  # then the formulas below give just this
            p = p - base.p
        else:
            p = _turned(inverse, -base.p) + _turned(inverse, p)
            q = np.array(_times(inverse, q))
        return p, -q if q[0] < 0 else q

    return at_base


def _ee_position(controller: Any) -> Drive:
    """The hand's position moves by the action, along the axes of the robot's base; its orientation stays."""
    import sapien

    config = controller.config
    if config.frame != "root_translation" or not config.use_delta:
        return _upstream(controller)
    scale, solve, at_base = _scale(controller), _solver(controller), _at_base(controller)

    def drive(action: np.ndarray) -> None:
        p, q = at_base()
        solve(sapien.Pose(scale(action) + p, q))

    return drive


def _ee_pose(controller: Any) -> Drive:
    """Position as in `_ee_position`; then the hand turns by Euler angles about the axes of the robot's base."""
    import sapien

    config = controller.config
    if config.frame != "root_translation:root_aligned_body_rotation" or not config.use_delta:
        return _upstream(controller)
    low, high = controller.action_space_low.numpy()[:3], controller.action_space_high.numpy()[:3]
    middle, half, turn = 0.5 * (high + low), 0.5 * (high - low), np.float32(config.rot_lower)
    solve, at_base = _solver(controller), _at_base(controller)

    def drive(action: np.ndarray) -> None:
        angles = action[3:]
        norm = np.sqrt(np.sum(angles * angles))
        angles = (angles * (1 / norm) if norm > 1 else angles) * turn
        p, q = at_base()
        target = np.array(_times(_from_euler(angles), q))
        solve(sapien.Pose(p + (middle + half * np.minimum(np.maximum(action[:3], -1), 1)), target))

    return drive


def _from_euler(angles: np.ndarray) -> np.ndarray:
    """Quaternion (w, x, y, z) of R_x(a) R_y(b) R_z(c), angles (3,) [rad]."""
    (ca, cb, cc), (sa, sb, sc) = np.cos(angles.astype(np.float64) / 2), np.sin(angles.astype(np.float64) / 2)
    return np.array(
        [
            ca * cb * cc - sa * sb * sc,
            sa * cb * cc + ca * sb * sc,
            ca * sb * cc - sa * cb * sc,
            ca * cb * sc + sa * sb * cc,
        ],
        dtype=np.float32,
    )
