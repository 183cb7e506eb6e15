"""What our ManiSkill environments with an articulated object have in common: one such object in each world.

One world on the CPU gets another object at each reset, and with it a new scene: an object alone could be replaced five
times as fast, but PhysX would then remember what had touched the one before. On a GPU, where all worlds are one scene,
each world keeps the object that it was given first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from mani_skill.envs.sapien_env import BaseEnv
from mani_skill.utils.structs import Articulation, Link

from robot_learn.errors import UserError

Assets = Literal["procedural", "partnet"]


@dataclass(frozen=True)
class Made:
    """An object that was built into one world."""

    articulation: Any  # of ManiSkill
    links: dict[str, Any]  # its links that matter, by name; "link" is the one that the task is about
    facts: dict[str, Any]  # numbers and vectors by name


class ObjectEnv(BaseEnv):  # type: ignore[misc]
    """`object` is the articulation; its links and facts are attributes by their names, each for all worlds (N, ...)."""

    highest_reward = 5.0

    def __init__(
        self, *args: Any, robot_uids: str, num_envs: int = 1, assets: Assets = "procedural", **kwargs: Any
    ) -> None:
        if assets not in ("procedural", "partnet"):
            raise UserError(f"assets {assets!r}: wanted 'procedural' or 'partnet'")
        self.assets = assets
        often = int(num_envs == 1)
        super().__init__(*args, robot_uids=robot_uids, num_envs=num_envs, reconfiguration_freq=often, **kwargs)

    def _make_object(self, world: int, rng: np.random.Generator) -> Made:
        """Draw an object and build it into one world, under the name `self._object_name(world)`."""
        raise NotImplementedError

    def _object_name(self, world: int) -> str:
        return f"object-{world}"

    def _load_objects(self) -> None:
        """To be called by `_load_scene`."""
        made = [self._make_object(world, self._object_rng(world)) for world in range(self.num_envs)]
        if self.num_envs == 1:
            self.object, links = made[0].articulation, made[0].links
        else:
            for one in made:
                self.remove_from_state_dict_registry(one.articulation)
            self.object = Articulation.merge([one.articulation for one in made], name="object")
            links = {name: Link.merge([one.links[name] for one in made], name=name) for name in made[0].links}
            self.add_to_state_dict_registry(self.object)
        for name, link in links.items():
            setattr(self, name, link)
        for name in made[0].facts:
            stacked = np.array([one.facts[name] for one in made], dtype=np.float32)
            setattr(self, name, torch.as_tensor(stacked, device=self.device))

    def _object_rng(self, world: int) -> np.random.Generator:
        return np.random.default_rng(self._batched_episode_rng[world].randint(2**31))

    def _settle_kinematics(self) -> None:
        """On a GPU, poses of links follow what was set only after this; on the CPU they do at once."""
        if self.gpu_sim_enabled:
            self.scene._gpu_apply_all()
            self.scene.px.gpu_update_articulation_kinematics()
            self.scene._gpu_fetch_all()

    def compute_normalized_dense_reward(self, obs: Any, action: torch.Tensor, info: dict[str, Any]) -> torch.Tensor:
        reward: torch.Tensor = self.compute_dense_reward(obs, action, info)
        return reward / self.highest_reward
