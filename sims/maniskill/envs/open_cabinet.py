"""Open a drawer, or a door, of a cabinet with a Fetch: one arm on a base that drives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import sapien
import torch
from mani_skill.agents.robots.fetch.fetch import FETCH_WHEELS_COLLISION_BIT
from mani_skill.sensors.camera import CameraConfig
from mani_skill.utils import sapien_utils
from mani_skill.utils.building.ground import build_ground
from mani_skill.utils.geometry.rotation_conversions import quaternion_apply
from mani_skill.utils.registration import register_env
from mani_skill.utils.structs.pose import Pose

from sims.maniskill.assets import cabinet, partnet
from sims.maniskill.assets.plan import build
from sims.maniskill.envs import robots
from sims.maniskill.envs.objects import Made, ObjectEnv

TARGET = 0.9  # of the range, as in ManiSkill 2 (ManiSkill 3 is content with 0.75)
STILL = (0.1, 1.0)  # a link slower than this is still, as in ManiSkill [m/s], [rad/s]
# Base x, y, yaw; torso, head pan, shoulder pan, head tilt, shoulder lift, upper arm roll, elbow, forearm roll, wrist
# flex, wrist roll; fingers. The hand points forward, 0.75 m high.
_REST = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.8, 0.0, 1.85, 0.0, -1.05, 0.0, 0.05, 0.05)
_WRIST = 12


class OpenCabinet(ObjectEnv):
    """Success: the drawer or door is open by 90 % of its range and still.

    Attributes for all worlds: `grip` (N, 3) the middle of the bar to pull, in the frame of the link that opens;
    `target_opening` and `full_opening` (N,) [m] or [rad].
    """

    SUPPORTED_ROBOTS = ("robot_learn_fetch",)
    opens: cabinet.Kind
    wrist_roll: float  # [rad] at which the fingers close on the bar

    def __init__(self, *args: Any, robot_uids: str = robots.SteeredFetch.uid, **kwargs: Any) -> None:
        super().__init__(*args, robot_uids=robot_uids, **kwargs)

    @property
    def _default_human_render_camera_configs(self) -> CameraConfig:
        pose = sapien_utils.look_at([-2.2, -1.8, 1.9], [-0.6, 0.0, 0.5])
        return CameraConfig("render_camera", pose, 512, 512, 1, 0.01, 100)

    def _load_agent(self, options: dict[str, Any]) -> None:
        super()._load_agent(options, sapien.Pose(p=[-1.5, 0, 0]))

    def _load_scene(self, options: dict[str, Any]) -> None:
        self.ground = build_ground(self.scene)
        # The wheels are dummies that would drag on the ground; the base slides on joints of its own.
        self.ground.set_collision_group_bit(group=2, bit_idx=FETCH_WHEELS_COLLISION_BIT, bit=1)
        self._load_objects()

    def _make_object(self, world: int, rng: np.random.Generator) -> Made:
        if self.assets == "partnet":
            return self._make_partnet(world, rng)
        drawn = cabinet.draw(rng, self.opens)
        built = build(cabinet.plan(drawn), self.scene, self._object_name(world), scene_idxs=[world])
        facts = {
            "grip": cabinet.grip(drawn),
            "full_opening": drawn.travel if self.opens == "drawer" else drawn.swing,
            "start": 0.0,
            "height": 0.0,
        }
        return Made(built, {"link": built.links_map[cabinet.target_name(drawn)]}, facts)

    def _make_partnet(self, world: int, rng: np.random.Generator) -> Made:
        number, notes = partnet.draw("cabinet_drawer" if self.opens == "drawer" else "cabinet_door", rng)
        builder = partnet.builder(self.scene, number, notes)
        builder.set_scene_idxs([world])
        for link in builder.link_builders:
            link.collision_groups[2] |= 1 << 29  # neither its parts nor the ground rub against it
        built = builder.build(name=self._object_name(world))
        kinds = ("prismatic",) if self.opens == "drawer" else ("revolute", "revolute_unwrapped")
        links = [link for link, joint in zip(built.links, built.joints, strict=True) if joint.type[0] in kinds]
        link = links[rng.integers(len(links))]
        low, high = (float(limit) for limit in link.joint.limits.reshape(2))
        lowest = min(one.compute_global_aabb_tight()[0][2] for one in built._objs[0].links if one.collision_shapes)
        facts = {"grip": _bar(link), "full_opening": high - low, "start": low, "height": -float(lowest)}
        return Made(built, {"link": link}, facts)

    def _initialize_episode(self, env_idx: torch.Tensor, options: dict[str, Any]) -> None:
        with torch.device(self.device):
            count = len(env_idx)
            position = torch.zeros((count, 3))
            position[:, 2] = self.height[env_idx]
            self.object.set_pose(Pose.create_from_pq(position))
            shut = self.object.get_qlimits()[env_idx, :, 0]
            self.object.set_qpos(shut)
            self.object.set_qvel(torch.zeros_like(shut))
            qpos = torch.tensor(_REST).repeat(count, 1)
            qpos[:, 3:13] += 0.02 * torch.randn((count, 10))
            qpos[:, 3] = qpos[:, 3].clamp(min=0.0)
            qpos[:, _WRIST] += self.wrist_roll
            distance = 1.5 + 0.2 * torch.rand(count)
            around = math.pi * (0.95 + 0.1 * torch.rand(count))
            qpos[:, 0], qpos[:, 1] = distance * torch.cos(around), distance * torch.sin(around)
            qpos[:, 2] = around - math.pi + math.pi * 0.05 * (2 * torch.rand(count) - 1)
            self.agent.robot.set_pose(sapien.Pose())
            self.agent.reset(qpos)
            self.target_opening = TARGET * self.full_opening
            self._settle_kinematics()

    @property
    def opening(self) -> torch.Tensor:
        """(N,) [m] or [rad] how far it is open."""
        opening: torch.Tensor = self.link.joint.qpos - self.start
        return opening

    @property
    def grip_position(self) -> torch.Tensor:
        """(N, 3) [m] the middle of the bar, in the world."""
        pose = self.link.pose
        place: torch.Tensor = pose.p + quaternion_apply(pose.q, self.grip)
        return place

    def evaluate(self) -> dict[str, torch.Tensor]:
        opened = self.opening >= self.target_opening
        slow = torch.linalg.norm(self.link.linear_velocity, dim=1) <= STILL[0]
        slow &= torch.linalg.norm(self.link.angular_velocity, dim=1) <= STILL[1]
        return {"success": opened & slow, "is_open": opened}

    def _get_obs_extra(self, info: dict[str, Any]) -> dict[str, torch.Tensor]:
        return {"tcp_pose": self.agent.tcp.pose.raw_pose, "grip": self.grip_position, "opening": self.opening}

    def compute_dense_reward(self, obs: Any, action: torch.Tensor, info: dict[str, Any]) -> torch.Tensor:
        """Come to the bar, open, let it come to rest: 0 to 5."""
        away = torch.linalg.norm(self.grip_position - self.agent.tcp.pose.p, dim=1)
        opened = torch.clamp(self.opening / self.target_opening, 0.0, 1.0)
        speed = torch.linalg.norm(self.link.linear_velocity, dim=1)
        reward = 1 - torch.tanh(3 * away) + 3 * opened + info["is_open"] * 0.5 * (1 - torch.tanh(5 * speed))
        return torch.where(info["success"], torch.full_like(reward, 5.0), reward)


def _bar(link: Any) -> np.ndarray:
    """The middle of what PartNet calls a handle, (3,) in the frame of its link; else of the whole link."""
    render = link._objs[0].entity.find_component_by_type(sapien.render.RenderBodyComponent)
    named = [shape for shape in render.render_shapes if "handle" in shape.name] if render is not None else []
    points = [
        shape.local_pose.p + part.vertices * getattr(shape, "scale", 1.0)
        for shape in named
        if hasattr(shape, "parts")
        for part in shape.parts
    ]
    if not points:
        return np.asarray(link._objs[0].cmass_local_pose.p)
    corners = np.concatenate(points)
    return np.asarray((corners.min(axis=0) + corners.max(axis=0)) / 2)


@register_env("RobotLearn-OpenCabinetDrawer-v1", max_episode_steps=200)
class OpenCabinetDrawer(OpenCabinet):
    """Drawers have bars that lie along y: the fingers close up and down."""

    opens, wrist_roll = "drawer", math.pi / 2


@register_env("RobotLearn-OpenCabinetDoor-v1", max_episode_steps=200)
class OpenCabinetDoor(OpenCabinet):
    """Doors have upright bars: the fingers close sideways."""

    opens, wrist_roll = "door", 0.0
