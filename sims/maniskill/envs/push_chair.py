"""Push a swivel chair to a place on the floor with two arms on a base that rolls anywhere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import sapien
import torch
from mani_skill.sensors.camera import CameraConfig
from mani_skill.utils import sapien_utils
from mani_skill.utils.building.ground import build_ground
from mani_skill.utils.geometry.rotation_conversions import quaternion_apply
from mani_skill.utils.registration import register_env
from mani_skill.utils.structs.pose import Pose

from sims.maniskill.assets import chair, partnet
from sims.maniskill.assets.plan import build
from sims.maniskill.envs import robots
from sims.maniskill.envs.objects import Made, ObjectEnv

# As in ManiSkill 2's PushChair.
NEAR = 0.15  # [m]
UPRIGHT = 0.05 * math.pi  # [rad]
STILL = (0.1, 0.2)  # [m/s], [rad/s]


@register_env("RobotLearn-PushChair-v1", max_episode_steps=200)
class PushChair(ObjectEnv):
    """Success: the chair's column is within 0.15 m of the target, upright within 9 degrees, and still.

    Attributes for all worlds: `target` (N, 3) [m] on the floor.
    """

    SUPPORTED_ROBOTS = ("robot_learn_dual_panda",)

    def __init__(self, *args: Any, robot_uids: str = robots.DualPanda.uid, **kwargs: Any) -> None:
        super().__init__(*args, robot_uids=robot_uids, **kwargs)

    @property
    def _default_human_render_camera_configs(self) -> CameraConfig:
        pose = sapien_utils.look_at([-1.8, -3.0, 2.2], [0.3, 0.0, 0.4])
        return CameraConfig("render_camera", pose, 512, 512, 1, 0.01, 100)

    def _load_agent(self, options: dict[str, Any]) -> None:
        super()._load_agent(options, sapien.Pose())

    def _load_scene(self, options: dict[str, Any]) -> None:
        self.ground = build_ground(self.scene)
        self.target = torch.zeros((self.num_envs, 3), device=self.device)
        self._load_objects()
        self._load_mark()

    def _load_mark(self) -> None:
        builder = self.scene.create_actor_builder()
        builder.initial_pose = sapien.Pose(p=[1.5, 0.0, 0.0])
        if self.scene.can_render():
            red = sapien.render.RenderMaterial(base_color=[0.9, 0.15, 0.1, 1.0])
            flat = sapien.Pose(p=[0.0, 0.0, 0.002], q=[math.sqrt(0.5), 0.0, math.sqrt(0.5), 0.0])
            builder.add_cylinder_visual(pose=flat, radius=NEAR, half_length=0.002, material=red)
        self.mark = builder.build_kinematic(name="mark")

    def _make_object(self, world: int, rng: np.random.Generator) -> Made:
        if self.assets == "partnet":
            return self._make_partnet(world, rng)
        drawn = chair.draw(rng)
        built = build(chair.plan(drawn), self.scene, self._object_name(world), scene_idxs=[world])
        facts = {"height": 0.001, "upright": (0.0, 0.0, 1.0)}
        return Made(built, {"link": built.links_map["column"], "seat": built.links_map["seat"]}, facts)

    def _make_partnet(self, world: int, rng: np.random.Generator) -> Made:
        number, notes = partnet.draw("chair", rng)
        builder = partnet.builder(self.scene, number, notes, fixed=False)
        builder.set_scene_idxs([world])
        built = builder.build(name=self._object_name(world))
        lowest = min(one.compute_global_aabb_tight()[0][2] for one in built._objs[0].links if one.collision_shapes)
        facts = {"height": -float(lowest), "upright": (0.0, 0.0, 1.0)}
        return Made(built, {"link": built.links[0], "seat": built.links[0]}, facts)

    def _initialize_episode(self, env_idx: torch.Tensor, options: dict[str, Any]) -> None:
        """The robot faces the chair, and the target lies behind the chair, up to 20 degrees off the line."""
        with torch.device(self.device):
            count = len(env_idx)
            around = 0.5 * (2 * torch.rand(count) - 1)
            ahead = torch.stack([torch.cos(around), torch.sin(around)], dim=1)
            yaw = 2 * math.pi * torch.rand(count)
            position = torch.zeros((count, 3))
            position[:, 2] = self.height[env_idx]
            turned = torch.zeros((count, 4))
            turned[:, 0], turned[:, 3] = torch.cos(yaw / 2), torch.sin(yaw / 2)
            self.object.set_pose(Pose.create_from_pq(position, turned))
            rest = torch.zeros_like(self.object.get_qpos()[env_idx])
            self.object.set_qpos(rest)
            self.object.set_qvel(rest)
            qpos = torch.as_tensor(self.agent.rest()).repeat(count, 1)
            qpos[:, 3:17] += 0.02 * torch.randn((count, 14))
            qpos[:, :2] = -(1.35 + 0.2 * torch.rand((count, 1))) * ahead
            qpos[:, 2] = around + math.radians(5) * (2 * torch.rand(count) - 1)
            self.agent.reset(qpos)
            off = around + math.radians(20) * (2 * torch.rand(count) - 1)
            reach = 1.0 + 0.6 * torch.rand((count, 1))
            place = torch.zeros((count, 3))
            place[:, :2] = reach * torch.stack([torch.cos(off), torch.sin(off)], dim=1)
            self.target[env_idx] = place
            self.mark.set_pose(Pose.create_from_pq(place))
            self._settle_kinematics()

    @property
    def tilt(self) -> torch.Tensor:
        """(N,) [rad] between the chair's column and the vertical."""
        upright = quaternion_apply(self.link.pose.q, self.upright)
        return torch.acos(upright[:, 2].clamp(-1.0, 1.0))

    def evaluate(self) -> dict[str, torch.Tensor]:
        away = torch.linalg.norm((self.link.pose.p - self.target)[:, :2], dim=1)
        still = torch.linalg.norm(self.link.linear_velocity, dim=1) <= STILL[0]
        still &= torch.linalg.norm(self.link.angular_velocity, dim=1) <= STILL[1]
        tilt = self.tilt
        return {"success": (away <= NEAR) & (tilt <= UPRIGHT) & still, "away": away, "tilt": tilt}

    def _get_obs_extra(self, info: dict[str, Any]) -> dict[str, torch.Tensor]:
        return {"chair_pose": self.link.pose.raw_pose, "target": self.target}

    def compute_dense_reward(self, obs: Any, action: torch.Tensor, info: dict[str, Any]) -> torch.Tensor:
        """Bring the hands to the chair's far side from the target, push it there, stop it, keep it upright: 0 to 5."""
        seat, target = self.link.pose.p[:, :2], self.target[:, :2]
        way = target - seat
        behind = seat - 0.25 * way / torch.linalg.norm(way, dim=1, keepdim=True).clamp(min=1e-3)
        hands = (self.agent.left_hand.pose.p + self.agent.right_hand.pose.p)[:, :2] / 2
        reach = 1 - torch.tanh(2 * torch.linalg.norm(hands - behind, dim=1))
        near = 1 - torch.tanh(1.5 * (info["away"] - NEAR).clamp(min=0.0))
        speed = torch.linalg.norm(self.link.linear_velocity, dim=1)
        there = (info["away"] <= NEAR) * (1 - torch.tanh(5 * speed))
        reward = (reach + 2.5 * near + there) * torch.cos(info["tilt"]).clamp(min=0.0)
        return torch.where(info["success"], torch.full_like(reward, 5.0), reward)
