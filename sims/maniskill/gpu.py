"""N ManiSkill worlds in one batch on a GPU, as `sims.env.Worlds` whose scene is made of torch tensors.

ManiSkill simulates all worlds at once and draws the starts of those that are reset together from one generator. So a
seed fixes a batch, but a world's start depends on the whole batch, unlike on the CPU; and a restored world goes on from
the same poses and velocities, not to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robot_learn.errors import UserError
from robot_learn.types import Task
from sims.maniskill import building
from sims.maniskill.sources import Glance, Source
from sims.maniskill.spec import Spec
from sims.maniskill.studio import Studio
from sims.maniskill.worlds import seed_of, spaces


def demand_gpu() -> None:
    """Raises UserError where a batch cannot be simulated on a GPU, before anything is fetched from anywhere."""
    import sapien.physx
    import torch

    if not torch.cuda.is_available():
        raise UserError(
            'device="cuda": wanted an NVIDIA GPU that PyTorch can use, and torch.cuda.is_available() says there is '
            'none; on the CPU the same worlds run with device="cpu"'
        )
    version = sapien.physx.version()
    folder = Path.home() / ".sapien" / "physx" / version
    if not any((folder / name).exists() for name in ("libPhysXGpu_64.so", "PhysXGpu_64.dll")):
        url = f"github.com/sapien-sim/physx-precompiled/releases/download/{version}"
        raise UserError(
            f'device="cuda": SAPIEN simulates on a GPU with NVIDIA\'s PhysX library, which is not in {folder}; '
            f"nothing is downloaded unasked. Download {url}/linux-so.zip and unzip it there, or let SAPIEN do it: "
            "python -c 'import sapien.physx; sapien.physx.enable_gpu()'"
        )


class GpuWorlds:
    """N worlds; see `sims.env.Worlds`. `read` returns float32 tensors on the device, everything else is numpy."""

    def __init__(
        self, name: str, spec: Spec, num_worlds: int, *, assets: str = "procedural", backend: str = "physx_cuda"
    ) -> None:
        if backend == "physx_cuda":
            demand_gpu()
        import torch

        self._torch = torch
        self.task: Task = spec.task(f"maniskill/{name}")
        self.num_worlds, self._spec, self._assets = num_worlds, spec, assets
        self.observation_space, self.action_space = spaces(spec)
        self.cameras = tuple(spec.cameras)
        self.env = building.make(spec, num_envs=num_worlds, backend=backend, assets=assets)
        self._studio: Studio | None = None
        self._seeds = np.zeros(num_worlds, dtype=np.int64)
        self._once: dict[str, Any] = {}
        self._look()

    def _look(self) -> None:
        """Read all fields; those that are constant within an episode were read at its start."""
        self._glance, self._values = Glance(self.env), dict[str, Any]()
        for told in self._spec.entries:
            name, source = told.field.name, told.source
            if not isinstance(source, Source):
                self._values[name] = source.function(*(self._values[given] for given in source.inputs))
            elif name in self._once:
                self._values[name] = self._once[name]
            else:  # a copy, for ManiSkill's tensors are views of the simulator's memory
                self._values[name] = source.batched(self._glance).to(self._torch.float32).clone()

    def reset(self, indices: Sequence[int], rngs: Sequence[np.random.Generator]) -> None:
        chosen = list(indices)
        self._seeds[chosen] = [seed_of(rng) for rng in rngs]
        # ManiSkill seeds torch with the first seed of the list, whichever worlds are reset.
        seeds = [int(self._seeds[chosen[0]]), *self._seeds[1:].tolist()]
        options = {} if len(chosen) == self.num_worlds else {"env_idx": self._index(chosen)}
        with building.building(visuals=False):
            self.env.reset(seed=seeds, options=options)
        self._once = {}
        self._look()
        constants = [
            told.field.name for told in self._spec.entries if isinstance(told.source, Source) and told.source.once
        ]
        self._once = {name: self._values[name] for name in constants}

    def _index(self, indices: Sequence[int]) -> Any:
        return self._torch.tensor(list(indices), device=self.env.device, dtype=self._torch.int64)

    def step(self, actions: np.ndarray) -> None:
        if np.isnan(actions).any():
            raise UserError("actions: wanted numbers, came NaN")
        given = self._torch.as_tensor(np.asarray(actions, dtype=np.float32), device=self.env.device)
        self.env._step_action(self._by_robot(given))
        self.env._elapsed_steps += 1
        self._look()

    def _by_robot(self, actions: Any) -> Any:
        """ManiSkill wants a dictionary where there are several robots."""
        if not hasattr(self.env.agent, "agents"):
            return actions
        parts: dict[str, Any] = {}
        begin = 0
        for name, robot in self.env.agent.agents_dict.items():
            size = robot.single_action_space.shape[0]
            parts[name] = actions[:, begin : begin + size]
            begin += size
        return parts

    def observe(self) -> np.ndarray:
        flat = [self._values[name].reshape(self.num_worlds, -1) for name in self.task.schema.names]
        observations: np.ndarray = self._torch.cat(flat, dim=1).cpu().numpy().astype(np.float64)
        return observations

    def read(self) -> dict[str, Any]:
        return dict(self._values)

    def success(self) -> np.ndarray:
        found = self._glance.evaluation["success"] if self._spec.success is None else self._spec.success(self._values)
        return np.asarray(found.cpu(), dtype=bool)

    def terminated(self) -> np.ndarray:
        if self._spec.failure is None:
            return np.zeros(self.num_worlds, dtype=bool)
        return np.asarray(self._spec.failure(self._values).cpu(), dtype=bool)

    def expert_reward(self, actions: np.ndarray) -> np.ndarray:
        given = self._torch.as_tensor(np.asarray(actions, dtype=np.float32), device=self.env.device)
        if self._spec.reward is not None:
            found = self._spec.reward(self._values, given)
        else:
            info = {"elapsed_steps": self.env._elapsed_steps, **self._glance.evaluation}
            found = self.env.compute_normalized_dense_reward(obs=None, action=given, info=info)
        return np.asarray(found.cpu(), dtype=np.float64)

    def snapshot(self, index: int) -> Any:
        rows = _rows(self.env.get_state_dict(), index)
        once = {name: value[index].cpu() for name, value in self._once.items()}
        return {
            "seed": int(self._seeds[index]),
            "state": rows,
            "once": once,
            "steps": int(self.env._elapsed_steps[index]),
        }

    def restore(self, index: int, snapshot: Any) -> None:
        where = self._index([index])
        whole = _with_row(self.env.get_state_dict(), snapshot["state"], index)
        self.env.set_state_dict(whole)
        self.env._elapsed_steps[where] = snapshot["steps"]
        for name, value in snapshot["once"].items():
            self._once[name] = self._once[name].clone()
            self._once[name][index] = value.to(self.env.device)
        self._seeds[index] = snapshot["seed"]
        self._look()

    def render(self, index: int, width: int, height: int, camera: str | None = None) -> np.ndarray:
        if self._studio is None:
            self._studio = Studio(self._spec, self._assets)
        look = self._spec.cameras[camera or self.cameras[0]]
        pose = _rows(self.env.get_state_dict(), index)
        return self._studio.posed(int(self._seeds[index]), pose, look, width, height)

    def pictures(
        self, width: int, height: int, camera: str | None = None, indices: Sequence[int] | None = None
    ) -> np.ndarray:
        wanted = range(self.num_worlds) if indices is None else indices
        return np.stack([self.render(index, width, height, camera) for index in wanted])

    def close(self) -> None:
        if self._studio is not None:
            self._studio.close()
        self.env.close()


def _rows(state: Any, index: int) -> Any:
    """World `index` of a nested dictionary of tensors (N, ...), as (1, ...) on the CPU."""
    if isinstance(state, dict):
        return {name: _rows(value, index) for name, value in state.items()}
    return state[index : index + 1].cpu().clone()


def _with_row(state: Any, row: Any, index: int) -> Any:
    if isinstance(state, dict):
        return {name: _with_row(value, row[name], index) for name, value in state.items()}
    changed = state.clone()
    changed[index] = row[0].to(state.device)
    return changed
