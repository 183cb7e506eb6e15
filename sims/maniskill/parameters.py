"""Physical parameters of one ManiSkill world on the CPU, by name, as factors of what the environment built.

The names mean what they mean in `sims.parameters`. Gravity is not among them: SAPIEN fixes it when it builds a scene.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from robot_learn.errors import unknown
from sims.parameters import check_factor

Knob = Callable[[float], None]  # sets something to a factor of what it was when the knob was made


class Fitting:
    """The knobs of one world's scene; made while everything in it is nominal.

    `settable` names them: "mass", "friction", "actuator_gain" (drives of the robot), "damping" and "joint_friction" (of
    other articulations), and with the name of an actor or a link "mass:cube" and "friction:cube".
    """

    def __init__(self, env: Any) -> None:
        self._knobs: dict[str, list[Knob]] = {}
        self._applied: dict[str, float] = {}
        for called, body in _bodies(env):
            if _moves(body):
                self._add("mass", called, _mass(body))
            for shape in body.collision_shapes:
                self._add("friction", called, _friction(shape))
        robots = [agent.robot.name for agent in getattr(env.agent, "agents", [env.agent])]
        for found in env.scene.articulations.values():
            for joint in found._objs[0].active_joints:
                if found.name in robots:
                    self._knobs.setdefault("actuator_gain", []).append(_drive(joint))
                elif joint.damping:
                    self._knobs.setdefault("damping", []).append(_damping(joint))
                if joint.friction:
                    self._knobs.setdefault("joint_friction", []).append(_joint_friction(joint))

    def _add(self, name: str, called: str, knob: Knob) -> None:
        for full in (name, f"{name}:{called}"):
            self._knobs.setdefault(full, []).append(knob)

    @property
    def settable(self) -> tuple[str, ...]:
        return tuple(sorted(self._knobs))

    def check(self, factors: Mapping[str, float]) -> None:
        """Raises UserError where there is no such parameter, or a factor is impossible."""
        for name, factor in factors.items():
            check_factor(name, factor)
            if name not in self._knobs:
                raise unknown("parameter", name, self._knobs)

    def apply(self, factors: Mapping[str, float]) -> None:
        """Set all parameters; those not named become nominal. A whole and a part of it multiply."""
        self.check(factors)
        wanted: dict[Knob, float] = {}
        for name in (*self._applied, *factors):
            for knob in self._knobs[name]:
                wanted[knob] = 1.0
        for name, factor in factors.items():
            for knob in self._knobs[name]:
                wanted[knob] *= factor
        for knob, factor in wanted.items():
            knob(factor)
        self._applied = dict(factors)


def _bodies(env: Any) -> Iterator[tuple[str, Any]]:
    """Everything with a shape, and its name."""
    import sapien.physx

    for name, actor in env.scene.actors.items():
        body = actor._objs[0].find_component_by_type(sapien.physx.PhysxRigidBaseComponent)
        if body is not None:
            yield name, body
    for found in env.scene.articulations.values():
        for name, link in found.links_map.items():
            yield name, link._objs[0]


def _moves(body: Any) -> bool:
    import sapien.physx

    if isinstance(body, sapien.physx.PhysxArticulationLinkComponent):
        return True
    return isinstance(body, sapien.physx.PhysxRigidDynamicComponent) and not body.kinematic


def _mass(body: Any) -> Knob:
    mass, inertia = body.mass, body.inertia.copy()

    def turn(factor: float) -> None:
        body.set_mass(mass * factor)
        body.set_inertia(inertia * factor)

    return turn


def _friction(shape: Any) -> Knob:
    import sapien.physx

    shared = shape.physical_material
    static, dynamic, restitution = shared.static_friction, shared.dynamic_friction, shared.restitution
    own: list[Any] = []  # a material of its own, once it is needed: the one it has may be that of many shapes

    def turn(factor: float) -> None:
        if not own:
            own.append(sapien.physx.PhysxMaterial(static, dynamic, restitution))
            shape.set_physical_material(own[0])
        own[0].set_static_friction(static * factor)
        own[0].set_dynamic_friction(dynamic * factor)

    return turn


def _drive(joint: Any) -> Knob:
    stiffness, damping, limit, mode = joint.stiffness, joint.damping, joint.force_limit, joint.drive_mode
    return lambda factor: joint.set_drive_properties(stiffness * factor, damping * factor, limit * factor, mode)


def _damping(joint: Any) -> Knob:
    stiffness, damping, limit, mode = joint.stiffness, joint.damping, joint.force_limit, joint.drive_mode
    return lambda factor: joint.set_drive_properties(stiffness, damping * factor, limit, mode)


def _joint_friction(joint: Any) -> Knob:
    friction = joint.friction
    return lambda factor: joint.set_friction(friction * factor)
