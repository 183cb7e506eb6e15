"""Turn a faucet on with a Panda."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import sapien
import torch
from mani_skill.envs.utils import randomization
from mani_skill.sensors.camera import CameraConfig
from mani_skill.utils import sapien_utils
from mani_skill.utils.geometry.rotation_conversions import quaternion_apply
from mani_skill.utils.registration import register_env
from mani_skill.utils.scene_builder.table import TableSceneBuilder
from mani_skill.utils.structs.pose import Pose

from sims.maniskill.assets import faucet, partnet
from sims.maniskill.assets.plan import BRASS, build
from sims.maniskill.envs.objects import Made, ObjectEnv

TARGET = 0.9  # of the handle's range, as in ManiSkill
# The hand starts 0.35 m in front of its usual place and high, fingers down: clear of every faucet.
_REST = (0.0, -0.55, 0.0, -2.55, 0.0, 2.0, math.pi / 4, 0.04, 0.04)


@register_env("RobotLearn-TurnFaucet-v1", max_episode_steps=200)
class TurnFaucet(ObjectEnv):
    """Success: the handle is turned past 90 % of its range.

    Attributes for all worlds: `grip` (N, 3) where the handle is pushed and `axis` (N, 3) its axis, both in the frame of
    the handle's link, which lies on the axis; `target_angle` (N,) and `full_angle` (N,) [rad].
    """

    SUPPORTED_ROBOTS = ("panda",)

    def __init__(self, *args: Any, robot_uids: str = "panda", **kwargs: Any) -> None:
        super().__init__(*args, robot_uids=robot_uids, **kwargs)

    @property
    def _default_human_render_camera_configs(self) -> CameraConfig:
        pose = sapien_utils.look_at([-0.45, 0.55, 0.5], [0.05, 0.0, 0.1])
        return CameraConfig("render_camera", pose, 512, 512, 1, 0.01, 100)

    def _load_agent(self, options: dict[str, Any]) -> None:
        super()._load_agent(options, sapien.Pose(p=[-0.615, 0, 0]))

    def _load_scene(self, options: dict[str, Any]) -> None:
        self.table_scene = TableSceneBuilder(self, robot_init_qpos_noise=0.02)
        self.table_scene.build()
        self._load_objects()

    def _make_object(self, world: int, rng: np.random.Generator) -> Made:
        if self.assets == "partnet":
            return self._make_partnet(world, rng)
        drawn = faucet.draw(rng)
        pose = sapien.Pose([0.08, 0.0, 0.0])
        built = build(faucet.plan(drawn), self.scene, self._object_name(world), pose=pose, scene_idxs=[world])
        facts = {
            "grip": faucet.grip(drawn),
            "axis": faucet.axis(drawn),
            "start": 0.0,
            "full_angle": drawn.handle_range,
            "height": 0.0,
        }
        return Made(built, {"link": built.links_map["handle"]}, facts)

    def _make_partnet(self, world: int, rng: np.random.Generator) -> Made:
        number, notes = partnet.draw("faucet", rng)
        builder = partnet.builder(self.scene, number, notes, density=notes.get("density", BRASS))
        builder.set_scene_idxs([world])
        builder.initial_pose = sapien.Pose([0.08, 0.0, notes["offset"][2]])
        built = builder.build(name=self._object_name(world))
        for joint in built.active_joints:
            joint.set_friction(1.0)
            joint.set_drive_properties(0, 10.0)
        switches = [row[0] for row in notes["semantics"] if row[2] == "switch"]
        link = built.links_map[switches[rng.integers(len(switches))]]
        link.joint.set_friction(faucet.FRICTION)
        link.joint.set_drive_properties(0, faucet.DAMPING)
        low, high = (float(limit) for limit in link.joint.limits.reshape(2))
        turning = link._objs[0].joint.pose_in_child.to_transformation_matrix()[:3, 0]
        facts = {
            "grip": np.asarray(link._objs[0].cmass_local_pose.p),
            "axis": turning,
            "start": low if math.isfinite(low) else 0.0,
            "full_angle": (high if math.isfinite(high) else math.pi / 2) - (low if math.isfinite(low) else 0.0),
            "height": notes["offset"][2] + 0.01,
        }
        return Made(built, {"link": link}, facts)

    def _initialize_episode(self, env_idx: torch.Tensor, options: dict[str, Any]) -> None:
        with torch.device(self.device):
            count = len(env_idx)
            self.table_scene.initialize(env_idx)
            rest = torch.tensor(_REST).repeat(count, 1)
            rest[:, :7] += 0.02 * torch.randn((count, 7))
            self.agent.reset(rest)
            position = torch.zeros((count, 3))
            position[:, 0] = 0.05 + 0.07 * torch.rand(count)
            position[:, 1] = 0.10 * torch.rand(count) - 0.05
            position[:, 2] = self.height[env_idx]
            turned = randomization.random_quaternions(
                count, lock_x=True, lock_y=True, bounds=(-math.pi / 12, math.pi / 12)
            )
            self.object.set_pose(Pose.create_from_pq(position, turned))
            self.object.set_qpos(self._closed()[env_idx])
            self.object.set_qvel(torch.zeros_like(self._closed()[env_idx]))
            self.target_angle = TARGET * self.full_angle
            self._settle_kinematics()

    def _closed(self) -> torch.Tensor:
        lower = self.object.get_qlimits()[..., 0]
        return torch.where(torch.isfinite(lower), lower, torch.zeros_like(lower))

    @property
    def angle(self) -> torch.Tensor:
        """(N,) [rad] how far the handle is turned from its start."""
        angle: torch.Tensor = self.link.joint.qpos - self.start
        return angle

    @property
    def grip_position(self) -> torch.Tensor:
        """(N, 3) [m] where the handle is pushed, in the world."""
        pose = self.link.pose
        place: torch.Tensor = pose.p + quaternion_apply(pose.q, self.grip)
        return place

    def evaluate(self) -> dict[str, torch.Tensor]:
        return {"success": self.angle > self.target_angle}

    def _get_obs_extra(self, info: dict[str, Any]) -> dict[str, torch.Tensor]:
        return {"tcp_pose": self.agent.tcp.pose.raw_pose, "grip": self.grip_position, "angle": self.angle}

    def compute_dense_reward(self, obs: Any, action: torch.Tensor, info: dict[str, Any]) -> torch.Tensor:
        """Come to the side of the grip from which it is pushed, then turn: 0 to 5."""
        pose, hand = self.link.pose, self.agent.tcp.pose.p
        grip = self.grip_position
        push = torch.cross(quaternion_apply(pose.q, self.axis), grip - pose.p, dim=1)
        push = push / torch.linalg.norm(push, dim=1, keepdim=True).clamp(min=1e-6)
        away = torch.linalg.norm(hand - (grip - 0.02 * push), dim=1)
        turned = torch.clamp(self.angle / self.target_angle, 0.0, 1.0)
        reward = 1 - torch.tanh(5 * away) + 3 * turned
        return torch.where(info["success"], torch.full_like(reward, 5.0), reward)
