"""Where the fields of a ManiSkill scene come from.

A source reads a quantity in two ways with the same result: of one world on the CPU, straight from SAPIEN's objects
(a microsecond), and of all worlds on a GPU, from ManiSkill's torch structures.

Objects are named by their path of attributes from the ManiSkill environment: "cube" is `env.cube`, "agent.tcp" is
`env.agent.tcp`; "agent.robot:panda_hand" is a link of an articulation. Actors, links and articulations are meant, that
is ManiSkill's own structures. All numbers are SI, in the world frame, quaternions (w, x, y, z).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from robot_learn.scene import Array

MIN_FORCE, MAX_ANGLE = 0.5, 85.0  # [N], [degrees] upstream's defaults for a finger that holds

Reader = Callable[[], Any]  # the value of one world now: an array-like of the source's shape


class Glance:
    """A ManiSkill environment as it stands after one step; its `evaluate()` runs once at most."""

    def __init__(self, env: Any) -> None:
        self.env = env

    @cached_property
    def evaluation(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.env.evaluate()
        return found


@dataclass(frozen=True)
class Source:
    """A quantity of the simulator."""

    shape: tuple[int, ...]
    unit: str
    frame: str
    batched: Callable[[Glance], Any]  # (N, *shape) torch
    bind: Callable[[Any], Reader] | None = None  # environment -> reader of its only world; None: slowly, by `batched`
    once: bool = False  # constant within an episode: read at its start alone


@dataclass(frozen=True)
class Derived:
    """A quantity computed of other fields, all worlds at once: (N, *shape) each, numpy or torch.

    The function uses operators and methods that both have, so that one text serves both.
    """

    shape: tuple[int, ...]
    unit: str
    frame: str
    function: Callable[..., Array]
    inputs: tuple[str, ...]  # names of fields, listed earlier in the schema


def find(env: Any, path: str) -> Any:
    """ManiSkill's structure of that path, e.g. "agent.robot:panda_hand"."""
    attributes, _, link = path.partition(":")
    found = env
    for name in attributes.split("."):
        found = getattr(found, name)
    return found.links_map[link] if link else found


def raw(structure: Any) -> Any:
    """SAPIEN's own object of the only world: an entity, a link or an articulation."""
    return structure._objs[0]


def entity(structure: Any) -> Any:
    """The entity of the only world that an actor or a link is: it has a pose."""
    found = raw(structure)
    return getattr(found, "entity", found)


def _body(structure: Any) -> Any:
    """The part of an actor or link that moves: an entity's rigid body component, a link itself."""
    import sapien.physx

    found = raw(structure)
    if hasattr(found, "linear_velocity"):
        return found
    return found.find_component_by_type(sapien.physx.PhysxRigidDynamicComponent)


def position(path: str) -> Source:
    """Origin of an actor's or a link's frame, (3,) [m]."""

    def bind(env: Any) -> Reader:
        thing = entity(find(env, path))
        return lambda: thing.pose.p

    return Source((3,), "m", "world", lambda glance: find(glance.env, path).pose.p, bind)


def quaternion(path: str) -> Source:
    """Orientation of an actor or a link, (4,) (w, x, y, z)."""

    def bind(env: Any) -> Reader:
        thing = entity(find(env, path))
        return lambda: thing.pose.q

    return Source((4,), "1", "world", lambda glance: find(glance.env, path).pose.q, bind)


def linear_velocity(path: str) -> Source:
    """Velocity of the centre of mass of an actor or a link, (3,) [m/s]; not of static actors."""

    def bind(env: Any) -> Reader:
        body = _body(find(env, path))
        return lambda: body.linear_velocity

    return Source((3,), "m/s", "world", lambda glance: find(glance.env, path).linear_velocity, bind)


def angular_velocity(path: str) -> Source:
    """Angular velocity of an actor or a link, (3,) [rad/s]; not of static actors."""

    def bind(env: Any) -> Reader:
        body = _body(find(env, path))
        return lambda: body.angular_velocity

    return Source((3,), "rad/s", "world", lambda glance: find(glance.env, path).angular_velocity, bind)


def rotate(quaternions: Array, vectors: Array) -> Array:
    """Vectors (N, 3) turned by quaternions (N, 4); numpy or torch: v + 2 u x (u x v + w v) with q = (w, u)."""
    w, u = quaternions[:, :1], quaternions[:, 1:]
    return vectors + 2 * _cross(u, _cross(u, vectors) + w * vectors)


def _cross(a: Array, b: Array) -> Array:
    """Rows a x b, (N, 3); of two numpy arrays or two torch tensors."""
    left, right = a[:, [1, 2, 0]], a[:, [2, 0, 1]]
    return left * b[:, [2, 0, 1]] - right * b[:, [1, 2, 0]]


def _offset(env: Any, offset: str | Sequence[float], like: Any) -> Any:
    """A vector in an object's frame, (N, 3) torch: an attribute of the environment, or the same numbers for all."""
    import torch

    if isinstance(offset, str):
        return torch.as_tensor(find(env, offset), device=like.device, dtype=like.dtype).reshape(-1, 3).expand_as(like)
    return torch.tensor(tuple(offset), device=like.device, dtype=like.dtype).expand_as(like)


def point(path: str, offset: str | Sequence[float]) -> Source:
    """A point that is fixed in the frame of an actor or a link, (3,) [m] in the world.

    `offset` [m] is the point in that frame, or the path of an attribute (N, 3) of the environment that holds it.
    """

    def batched(glance: Glance) -> Any:
        pose = find(glance.env, path).pose
        return pose.p + rotate(pose.q, _offset(glance.env, offset, pose.p))

    def bind(env: Any) -> Reader:
        import sapien

        structure = find(env, path)
        thing, local = entity(structure), sapien.Pose(_offset(env, offset, structure.pose.p)[0].tolist())
        return lambda: (thing.pose * local).p

    return Source((3,), "m", "world", batched, bind)


def direction(path: str, axis: str | Sequence[float]) -> Source:
    """A direction that is fixed in the frame of an actor or a link, (3,) of length one in the world.

    `axis` is the direction in that frame, or the path of an attribute (N, 3) of the environment that holds it.
    """

    def batched(glance: Glance) -> Any:
        pose = find(glance.env, path).pose
        return rotate(pose.q, _offset(glance.env, axis, pose.p))

    def bind(env: Any) -> Reader:
        import sapien

        structure = find(env, path)
        thing, local = entity(structure), sapien.Pose(_offset(env, axis, structure.pose.p)[0].tolist())
        return lambda: (sapien.Pose(q=thing.pose.q) * local).p

    return Source((3,), "1", "world", batched, bind)


def _joints(env: Any, path: str, names: Sequence[str]) -> list[int]:
    """Indices of joints, by name, among the active joints of an articulation."""
    active = [joint.name for joint in find(env, path).active_joints]
    return [active.index(name) for name in names]


def _of_joints(path: str, names: Sequence[str], unit: str, attribute: str) -> Source:
    def batched(glance: Glance) -> Any:
        rows = getattr(find(glance.env, path), attribute)[:, _joints(glance.env, path, names)]
        return rows[:, 0] if len(names) == 1 else rows

    def bind(env: Any) -> Reader:
        thing, indices = raw(find(env, path)), np.array(_joints(env, path, names))
        if len(names) == 1:
            index = int(indices[0])
            return lambda: getattr(thing, attribute)[index]
        return lambda: getattr(thing, attribute)[indices]

    return Source(() if len(names) == 1 else (len(names),), unit, "", batched, bind)


def joint_positions(path: str, *names: str, unit: str = "rad") -> Source:
    """Positions of joints of an articulation, e.g. joint_positions("agent.robot", "panda_joint1"); a number for one."""
    return _of_joints(path, names, unit, "qpos")


def joint_velocities(path: str, *names: str, unit: str = "rad/s") -> Source:
    """Velocities of joints of an articulation; a number for one joint."""
    return _of_joints(path, names, unit, "qvel")


def attribute(path: str, shape: tuple[int, ...] = (), *, unit: str = "1", frame: str = "", once: bool = True) -> Source:
    """An attribute (N, *shape) of the environment, a tensor; by default it is constant within an episode.

    A joint's limit, a handle's target angle or an object's size is best made an attribute by the environment.
    """

    def batched(glance: Glance) -> Any:
        import torch

        value = torch.as_tensor(find(glance.env, path), device=glance.env.device)
        return value.expand(glance.env.num_envs, *shape) if value.ndim == len(shape) else value.reshape(-1, *shape)

    return Source(shape, unit, frame, batched, once=once)


def evaluated(key: str) -> Source:
    """What ManiSkill's `evaluate()` says under `key`, as a number, 0 or 1 for a flag. It costs an evaluation a step."""

    def batched(glance: Glance) -> Any:
        return glance.evaluation[key].float()

    return Source((), "1", "", batched)


def constant(*numbers: float, unit: str = "1", frame: str = "") -> Source:
    """The same in all worlds: a number, or a vector."""
    shape = () if len(numbers) == 1 else (len(numbers),)

    def batched(glance: Glance) -> Any:
        import torch

        value = torch.tensor(numbers[0] if len(numbers) == 1 else numbers, device=glance.env.device)
        return value.expand(glance.env.num_envs, *shape)

    return Source(shape, unit, frame, batched, once=True)


def derived(
    function: Callable[..., Array], *inputs: str, shape: tuple[int, ...] = (), unit: str = "1", frame: str = ""
) -> Derived:
    """A function of fields that are listed earlier in the schema, all worlds at once, numpy or torch."""
    return Derived(shape, unit, frame, function, inputs)


def grasped(path: str, agent: str = "agent") -> Source:
    """1 while a Panda holds an actor or a link between its fingers, else 0: upstream's `agent.is_grasping(actor)`.

    That is, each finger is pressed by at least 0.5 N, within 85 degrees of the direction in which it opens.
    """

    def batched(glance: Glance) -> Any:
        return find(glance.env, agent).is_grasping(find(glance.env, path)).float()

    def bind(env: Any) -> Reader:
        grip, body = _Grip(find(env, agent), env.scene.px), _body(find(env, path))
        return lambda: float(grip(body))

    return Source((), "1", "", batched, bind)


def quicken_grasps(env: Any) -> None:
    """Have the Pandas of one world answer `is_grasping`, of which upstream's rewards live, without torch.

    It was most of what those rewards cost; upstream's own stays that of the class.
    """
    import torch
    from mani_skill.agents.robots import Panda

    def answer(grip: _Grip, thing: Any, min_force: float = MIN_FORCE, max_angle: float = MAX_ANGLE) -> Any:
        return torch.tensor([grip(_body(thing), min_force, max_angle)])

    for robot in getattr(env.agent, "agents", [env.agent]):
        if isinstance(robot, Panda):  # a Fetch opens the other way round
            robot.is_grasping = partial(answer, _Grip(robot, env.scene.px))


class _Grip:
    """The two fingers of a Panda in one world."""

    def __init__(self, robot: Any, system: Any) -> None:
        self._sides = ((raw(robot.finger1_link), 1.0), (raw(robot.finger2_link), -1.0))
        self._system = system

    def __call__(self, body: Any, min_force: float = MIN_FORCE, max_angle: float = MAX_ANGLE) -> bool:
        """Whether each finger is pressed by at least a force [N], within an angle [degrees] of where it opens to."""
        contacts = self._system.get_contacts()
        for finger, side in self._sides:
            force = _impulse(finger, body, contacts) / self._system.timestep
            strength = float(np.linalg.norm(force))
            if strength < min_force:
                return False
            opening = side * finger.entity_pose.to_transformation_matrix()[:3, 1]
            if np.degrees(np.arccos(np.clip(opening @ force / strength, -1.0, 1.0))) > max_angle:
                return False
        return True


def _impulse(finger: Any, body: Any, contacts: Any) -> np.ndarray:
    """The impulse (3,) [N s] on a finger by a body in the last substep."""
    total = np.zeros(3)
    for contact in contacts:
        one, other = contact.bodies
        if one == finger and other == body:
            total += sum(touch.impulse for touch in contact.points)
        elif one == body and other == finger:
            total -= sum(touch.impulse for touch in contact.points)
    return total


def force_between(one: str, other: str) -> Source:
    """The force on an actor or link by another in the last substep, (3,) [N]."""

    def batched(glance: Glance) -> Any:
        pair = find(glance.env, one), find(glance.env, other)
        return glance.env.scene.get_pairwise_contact_forces(*pair)

    def bind(env: Any) -> Reader:
        bodies, system = [_body(find(env, path)) for path in (one, other)], env.scene.px
        return lambda: _impulse(bodies[0], bodies[1], system.get_contacts()) / system.timestep

    return Source((3,), "N", "world", batched, bind)
