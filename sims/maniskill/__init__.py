"""ManiSkill: tasks simulated by SAPIEN's PhysX, on the CPU spread over processes, or in one batch on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np

from robot_learn.errors import UserError, unknown
from robot_learn.scene import Scene
from robot_learn.types import Task
from sims.env import Worlds
from sims.maniskill.spec import Spec

# Modules with a table `SPECS` of tasks, and the module of their scripted controllers.
_TABLES = {
    "sims.maniskill.upstream_tasks": "sims.maniskill.scripted_upstream",
    "sims.maniskill.own_tasks": "sims.maniskill.scripted_own",
}
Controller = Callable[[Scene, np.ndarray], np.ndarray]


def _tables() -> dict[str, Mapping[str, Spec]]:
    return {module: import_module(module).SPECS for module in _TABLES if find_spec(module) is not None}


def spec_of(name: str) -> Spec:
    """The spec of a task, e.g. "pick-cube"."""
    tables = _tables()
    for specs in tables.values():
        if name in specs:
            return specs[name]
    raise unknown("ManiSkill task", name, [known for specs in tables.values() for known in specs])


def task(name: str) -> Task:
    """The task `name`, e.g. "pick-cube"."""
    return spec_of(name).task(f"maniskill/{name}")


def make(
    name: str,
    num_worlds: int,
    *,
    threads: int | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    assets: Literal["procedural", "partnet"] = "procedural",
    exact: bool = True,
) -> Worlds:
    """N worlds of a task.

    Args:
        name: of the task, e.g. "pick-cube".
        num_worlds: N.
        threads: how many processes to use on the CPU; by default one a core where there are many worlds.
        device: "cuda" simulates all worlds in one batch on a GPU.
        assets: "partnet" takes ManiSkill's PartNet-Mobility models where they are on this machine.
        exact: see `sims.maniskill.worlds.ManiSkillWorlds`.

    Raises:
        UserError: an option has no such value, or something that it needs is missing.
    """
    spec = spec_of(name)
    if assets not in ("procedural", "partnet"):
        raise UserError(f"assets {assets!r}: wanted 'procedural' or 'partnet'")
    if device == "cuda":
        from sims.maniskill.gpu import GpuWorlds

        return GpuWorlds(name, spec, num_worlds, assets=assets)
    if device != "cpu":
        raise UserError(f"device {device!r}: wanted 'cpu' or 'cuda'")
    from sims.maniskill.worlds import ManiSkillWorlds

    return ManiSkillWorlds(name, spec, num_worlds, threads=threads, assets=assets, exact=exact)


def upstream(name: str) -> Any:
    """ManiSkill's own environment of a task as a plain Gymnasium one, to be measured against."""
    from sims.maniskill.building import upstream as make_upstream

    return make_upstream(spec_of(name))


def scripted(name: str, num_worlds: int) -> Controller:
    """A scripted controller of a task: from the scene and the observations of N worlds to actions (N, act_dim)."""
    for module, specs in _tables().items():
        if name in specs and find_spec(_TABLES[module]) is not None:
            controller: Controller = import_module(_TABLES[module]).scripted(name, num_worlds)
            return controller
    raise UserError(f"no scripted controller is known for maniskill/{name}")
