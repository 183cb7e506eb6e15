"""The robots of the mobile tasks: a Fetch with few knobs to turn, and two Panda arms on a base that rolls anywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import sapien
from gymnasium import spaces
from mani_skill import PACKAGE_ASSET_DIR
from mani_skill.agents.base_agent import BaseAgent
from mani_skill.agents.controllers import (
    PDBaseForwardVelControllerConfig,
    PDBaseVelControllerConfig,
    PDJointPosController,
    PDJointPosControllerConfig,
)
from mani_skill.agents.registration import register_agent
from mani_skill.agents.robots import Fetch

from sims.maniskill.assets.plan import Shape, Stuff, attach, turn

BASE_JOINTS = ["root_x_axis_joint", "root_y_axis_joint", "root_z_rotation_joint"]


class HoldController(PDJointPosController):  # type: ignore[misc]
    """Keeps joints where they are at a reset; takes no action."""

    def _initialize_action_space(self) -> None:
        self.single_action_space = spaces.Box(np.empty(0), np.empty(0), dtype=np.float32)

    def reset(self) -> None:
        super().reset()
        self.set_drive_targets(self._target_qpos)

    def set_action(self, action: Any) -> None:
        pass


@dataclass
class HoldControllerConfig(PDJointPosControllerConfig):  # type: ignore[misc]
    """Of a `HoldController`."""

    controller_cls = HoldController


def hold(joints: list[str], stiffness: float, damping: float, force: float) -> HoldControllerConfig:
    """Joints that stay where they are at a reset."""
    return HoldControllerConfig(joints, None, None, stiffness, damping, force, normalize_action=False)


@register_agent()
class SteeredFetch(Fetch):  # type: ignore[misc]
    """ManiSkill's Fetch, steered by base speed, base turn, hand displacement and gripper; torso and head stay put."""

    uid = "robot_learn_fetch"

    @property
    def _controller_configs(self) -> dict[str, Any]:
        upstream = super()._controller_configs["pd_ee_delta_pos"]
        base = PDBaseForwardVelControllerConfig(
            self.base_joint_names, lower=[-1.0, -1.5], upper=[1.0, 1.5], damping=1000, force_limit=500
        )
        body = hold(self.body_joint_names, 1e5, 1e4, 1e5)
        return {"base_and_hand": {"arm": upstream["arm"], "gripper": upstream["gripper"], "base": base, "body": body}}


ARMS = ("left", "right")
STEERED = (1, 2, 4)  # joints of an arm that actions move: pan, shoulder, elbow
_SHOULDER = (0.12, 0.24, 0.32)  # where the left arm is mounted on the base, in the base's frame [m]
_GREY, _WHITE = (0.25, 0.27, 0.30), (0.88, 0.89, 0.90)
# Fists forward and a little down, 0.5 m above the floor; the hands' long side upright.
REST_ARM = (0.0, 1.0, 0.0, -1.5, 0.0, 3.74, math.pi / 4 + math.pi / 2, 0.0, 0.0)


@register_agent()
class DualPanda(BaseAgent):  # type: ignore[misc]
    """Two Panda arms, fists closed, on a base that moves along x and y and turns."""

    uid = "robot_learn_dual_panda"
    urdf_path = f"{PACKAGE_ASSET_DIR}/robots/panda/panda_v2.urdf"

    @property
    def _controller_configs(self) -> dict[str, Any]:
        steered = [f"{arm}_panda_joint{i}" for arm in ARMS for i in STEERED]
        held = [f"{arm}_panda_joint{i}" for arm in ARMS for i in range(1, 8) if i not in STEERED]
        fingers = [f"{arm}_panda_finger_joint{i}" for arm in ARMS for i in (1, 2)]
        return {
            "base_and_arms": {
                "base": PDBaseVelControllerConfig(
                    BASE_JOINTS, lower=[-1, -1, -1.5], upper=[1, 1, 1.5], damping=2000, force_limit=1000
                ),
                "arms": PDJointPosControllerConfig(steered, -0.1, 0.1, 1e3, 1e2, 100, use_delta=True),
                "rest": hold(held + fingers, 1e3, 1e2, 100),
            }
        }

    def _load_articulation(self, initial_pose: Any = None) -> None:
        builder = self.scene.create_articulation_builder()
        builder.initial_pose = sapien.Pose() if initial_pose is None else initial_pose
        base = _rolling_base(builder, seen=self.scene.can_render())
        for arm, side in zip(ARMS, (1, -1), strict=True):
            loader = self.scene.create_urdf_loader()
            loader.name = arm
            parsed = loader.parse(self.urdf_path)["articulation_builders"][0]
            x, y, z = _SHOULDER
            _graft(builder, parsed, f"{arm}_", base, sapien.Pose((x, side * y, z)))
        for link in builder.link_builders:
            link.collision_groups[2] |= 1 << 28  # the robot's parts do not collide with each other
        self.robot = builder.build(name=self.uid, fix_root_link=True)
        self.robot_link_names = [link.name for link in self.robot.get_links()]

    def _after_init(self) -> None:
        self.base_link = self.robot.links_map["base"]
        self.left_hand = self.robot.links_map["left_panda_hand_tcp"]
        self.right_hand = self.robot.links_map["right_panda_hand_tcp"]

    def rest(self) -> np.ndarray:
        """Joint positions (21,) at rest, the base at the origin, in the order of the articulation."""
        arm_joints = [*(f"panda_joint{i}" for i in range(1, 8)), "panda_finger_joint1", "panda_finger_joint2"]
        wanted = {f"{arm}_{joint}": q for arm in ARMS for joint, q in zip(arm_joints, REST_ARM, strict=True)}
        return np.array([wanted.get(joint.name, 0.0) for joint in self.robot.active_joints], dtype=np.float32)


def _rolling_base(builder: Any, *, seen: bool) -> Any:
    """Links from the world to the base: along x, along y, about z."""
    link = builder.create_link_builder()
    link.set_name("world")
    link.set_mass_and_inertia(1.0, sapien.Pose(), (0.1, 0.1, 0.1))
    for name, kind, axis in zip(BASE_JOINTS, ("prismatic", "prismatic", "revolute"), np.eye(3), strict=True):
        frame = sapien.Pose(q=turn((1.0, 0.0, 0.0), tuple(axis)))
        link = builder.create_link_builder(link)
        link.set_joint_name(name)
        link.set_joint_properties(kind, [(-np.inf, np.inf)], frame, frame)
        link.set_name("base" if name == BASE_JOINTS[-1] else name.removesuffix("_joint"))
        if name != BASE_JOINTS[-1]:
            link.set_mass_and_inertia(1.0, sapien.Pose(), (0.1, 0.1, 0.1))
    wheels = tuple(
        Shape("cylinder", (0.057, 0.02), (x, y, 0.062), (0.0, 1.0, 0.0), Stuff(_GREY))
        for x in (-0.2, 0.2)
        for y in (-0.24, 0.24)
    )
    for shape in (
        Shape("box", (0.26, 0.22, 0.11), (0.0, 0.0, 0.16), stuff=Stuff(_WHITE, 800.0)),
        Shape("box", (0.10, 0.30, 0.025), (0.10, 0.0, 0.295), stuff=Stuff(_GREY, 500.0)),
        *wheels,
    ):
        attach(link, shape, seen=seen)
    return link


def _graft(builder: Any, arm: Any, prefix: str, mount: Any, pose: sapien.Pose) -> None:
    """Add the links of another articulation's builder to this one, its root fixed to the link `mount` at `pose`."""
    made: dict[int, Any] = {}
    for old in arm.link_builders:
        new = builder.create_link_builder(made[old.parent.index] if old.parent else mount)
        new.set_name(prefix + old.name)
        new.visual_records, new.collision_records = old.visual_records, old.collision_records
        if not old._auto_inertial:
            new.set_mass_and_inertia(old._mass, old._cmass_local_pose, old._inertia)
        record = old.joint_record
        new.set_joint_name(prefix + (record.name or "mount"))
        kind, limits, in_parent = record.joint_type, record.limits, record.pose_in_parent
        if old.parent is None:
            kind, limits, in_parent = "fixed", [], pose
        new.set_joint_properties(kind, limits, in_parent, record.pose_in_child, record.friction, record.damping)
        made[old.index] = new
