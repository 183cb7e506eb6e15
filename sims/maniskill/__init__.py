"""ManiSkill: tasks simulated by SAPIEN's PhysX, on the CPU spread over processes, or in one batch on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from robot_learn.errors import UserError
from robot_learn.scene import Scene
from robot_learn.types import Task
from sims.env import Worlds
from sims.maniskill.tables import UPSTREAM, spec_of

Controller = Callable[[Scene, np.ndarray], np.ndarray]


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
    from sims.maniskill import scripted_own, scripted_upstream

    scripts = scripted_upstream if name in UPSTREAM else scripted_own
    found: Controller = scripts.scripted(name, num_worlds)
    return found
