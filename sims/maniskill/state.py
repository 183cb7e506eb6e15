"""The physical state of one ManiSkill world on the CPU: all that can be read of it and written back."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

State = dict[str, Any]


def take(env: Any) -> State:
    """Poses, velocities and drive targets of everything, what controllers remember, the clock."""
    return {
        "bodies": {name: _body(actor._objs[0]) for name, actor in env.scene.actors.items()},
        "articulations": {name: _articulation(found._objs[0]) for name, found in env.scene.articulations.items()},
        "controllers": copy.deepcopy(env.agent.get_controller_state()),
        "steps": int(env._elapsed_steps[0]),
    }


def put(env: Any, state: State) -> None:
    """Write a state into a world of the same build."""
    for name, values in state["bodies"].items():
        _put_body(env.scene.actors[name]._objs[0], values)
    for name, values in state["articulations"].items():
        _put_articulation(env.scene.articulations[name]._objs[0], values)
    if state["controllers"]:
        env.agent.set_controller_state(copy.deepcopy(state["controllers"]))
    env._elapsed_steps[:] = state["steps"]


def recall(env: Any, names: Sequence[str]) -> State:
    """Attributes of the environment, copied."""
    return {name: copy.deepcopy(getattr(env, name)) for name in names}


def remind(env: Any, values: State) -> None:
    """Set attributes of the environment to copies of `values`."""
    for name, value in values.items():
        setattr(env, name, copy.deepcopy(value))


def _dynamic(entity: Any) -> Any:
    """The part of an entity that has a velocity, None for static and kinematic ones."""
    import sapien.physx

    body = entity.find_component_by_type(sapien.physx.PhysxRigidDynamicComponent)
    return None if body is None or body.kinematic else body


def _body(entity: Any) -> State:
    found: State = {"p": entity.pose.p.copy(), "q": entity.pose.q.copy()}
    body = _dynamic(entity)
    if body is not None:
        found |= {"linear": body.linear_velocity.copy(), "angular": body.angular_velocity.copy()}
        found["asleep"] = bool(body.is_sleeping)
    return found


def _put_body(entity: Any, values: State) -> None:
    import sapien

    entity.pose = sapien.Pose(values["p"], values["q"])
    body = _dynamic(entity)
    if body is not None:
        body.linear_velocity, body.angular_velocity = values["linear"], values["angular"]
        if values["asleep"]:
            body.put_to_sleep()


def _articulation(robot: Any) -> State:
    return {
        "p": robot.root_pose.p.copy(),
        "q": robot.root_pose.q.copy(),
        "linear": robot.root_linear_velocity.copy(),
        "angular": robot.root_angular_velocity.copy(),
        "qpos": robot.qpos.copy(),
        "qvel": robot.qvel.copy(),
        "qf": robot.qf.copy(),
        "targets": [(joint.drive_target.copy(), joint.drive_velocity_target.copy()) for joint in robot.active_joints],
    }


def _put_articulation(robot: Any, values: State) -> None:
    import sapien

    robot.set_root_pose(sapien.Pose(values["p"], values["q"]))
    robot.set_root_linear_velocity(values["linear"])
    robot.set_root_angular_velocity(values["angular"])
    robot.set_qpos(values["qpos"])
    robot.set_qvel(values["qvel"])
    robot.set_qf(values["qf"])
    for joint, (position, velocity) in zip(robot.active_joints, values["targets"], strict=True):
        joint.set_drive_target(position)
        joint.set_drive_velocity_target(velocity)
