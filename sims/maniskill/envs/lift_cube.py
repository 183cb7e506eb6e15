"""Lift a cube off the table with a Panda."""

from __future__ import annotations

from typing import Any

import sapien
import torch
from mani_skill.envs.sapien_env import BaseEnv
from mani_skill.envs.utils import randomization
from mani_skill.sensors.camera import CameraConfig
from mani_skill.utils import sapien_utils
from mani_skill.utils.building import actors
from mani_skill.utils.registration import register_env
from mani_skill.utils.scene_builder.table import TableSceneBuilder
from mani_skill.utils.structs.pose import Pose

HALF_SIZE = 0.02  # [m]
LIFT = 0.2  # [m]
STILL = 0.2  # [rad/s] no joint of an arm that is still is faster


@register_env("RobotLearn-LiftCube-v1", max_episode_steps=100)
class LiftCube(BaseEnv):  # type: ignore[misc]
    """Success: the cube is 0.2 m above where it lay on the table, and the arm is still."""

    SUPPORTED_ROBOTS = ("panda",)

    def __init__(self, *args: Any, robot_uids: str = "panda", num_envs: int = 1, **kwargs: Any) -> None:
        # In a scene that is used again PhysX treats contacts a little differently: one world gets a new one each time.
        often = int(num_envs == 1)
        super().__init__(*args, robot_uids=robot_uids, num_envs=num_envs, reconfiguration_freq=often, **kwargs)

    @property
    def _default_human_render_camera_configs(self) -> CameraConfig:
        pose = sapien_utils.look_at([0.6, 0.7, 0.6], [0.0, 0.0, 0.15])
        return CameraConfig("render_camera", pose, 512, 512, 1, 0.01, 100)

    def _load_agent(self, options: dict[str, Any]) -> None:
        super()._load_agent(options, sapien.Pose(p=[-0.615, 0, 0]))

    def _load_scene(self, options: dict[str, Any]) -> None:
        self.table_scene = TableSceneBuilder(self, robot_init_qpos_noise=0.02)
        self.table_scene.build()
        self.cube = actors.build_cube(
            self.scene, HALF_SIZE, [0.85, 0.16, 0.14, 1], name="cube", initial_pose=sapien.Pose(p=[0, 0, HALF_SIZE])
        )

    def _initialize_episode(self, env_idx: torch.Tensor, options: dict[str, Any]) -> None:
        with torch.device(self.device):
            count = len(env_idx)
            self.table_scene.initialize(env_idx)
            position = torch.zeros((count, 3))
            position[:, :2] = torch.rand((count, 2)) * 0.2 - 0.1
            position[:, 2] = HALF_SIZE
            turned = randomization.random_quaternions(count, lock_x=True, lock_y=True)
            self.cube.set_pose(Pose.create_from_pq(position, turned))

    def evaluate(self) -> dict[str, torch.Tensor]:
        lifted = self.cube.pose.p[:, 2] - HALF_SIZE
        still = self.agent.is_static(STILL)
        return {
            "success": (lifted >= LIFT) & still,
            "lifted": lifted,
            "is_grasped": self.agent.is_grasping(self.cube),
        }

    def _get_obs_extra(self, info: dict[str, Any]) -> dict[str, torch.Tensor]:
        return {"tcp_pose": self.agent.tcp.pose.raw_pose, "cube_pose": self.cube.pose.raw_pose}

    def compute_dense_reward(self, obs: Any, action: torch.Tensor, info: dict[str, Any]) -> torch.Tensor:
        """Reach, grasp, lift, hold still: 0 to 5."""
        away = torch.linalg.norm(self.cube.pose.p - self.agent.tcp.pose.p, dim=1)
        grasped = info["is_grasped"].float()
        raised = torch.clamp(info["lifted"] / LIFT, 0.0, 1.0)
        speed = torch.linalg.norm(self.agent.robot.qvel[:, :-2], dim=1)
        still = (raised >= 1.0) * (1 - torch.tanh(2 * speed))
        reward = 1 - torch.tanh(5 * away) + grasped + grasped * (2 * raised + still)
        return torch.where(info["success"], torch.full_like(reward, 5.0), reward)

    def compute_normalized_dense_reward(self, obs: Any, action: torch.Tensor, info: dict[str, Any]) -> torch.Tensor:
        return self.compute_dense_reward(obs, action, info) / 5
