"""Simulators: one task is a scene, an instruction and a measured success; single and batched.

A family of tasks is a module with `task(name) -> Task`, `make(name, num_worlds, *, threads) -> sims.env.Worlds` and
`scripted(name, num_worlds) -> Controller`. Adding one is that module, a line in `FAMILIES` and its tasks' names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from robot_learn.errors import unknown
from robot_learn.registry import load
from robot_learn.types import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from robot_learn.scene import Scene
    from sims.env import BatchEnv as BatchEnv
    from sims.env import Reward, SingleEnv

    Controller = Callable[[Scene, np.ndarray], np.ndarray]

FAMILIES = {"mujoco": "sims.locomotion", "metaworld": "sims.metaworld"}
_METAWORLD = (
    "assembly basketball bin-picking box-close button-press button-press-topdown button-press-topdown-wall "
    "button-press-wall coffee-button coffee-pull coffee-push dial-turn disassemble door-close door-lock door-open "
    "door-unlock drawer-close drawer-open faucet-close faucet-open hammer hand-insert handle-press "
    "handle-press-side handle-pull handle-pull-side lever-pull peg-insert-side peg-unplug-side pick-out-of-hole "
    "pick-place pick-place-wall plate-slide plate-slide-back plate-slide-back-side plate-slide-side push push-back "
    "push-wall reach reach-wall shelf-place soccer stick-pull stick-push sweep sweep-into window-close window-open"
)
_NAMES = {"mujoco": ["hopper", "ant"], "metaworld": _METAWORLD.split()}
TASKS = tuple(f"{family}/{name}" for family, names in _NAMES.items() for name in names)


def _from_family(task_name: str, attribute: str) -> Any:
    if task_name not in TASKS:
        raise unknown("task", task_name, TASKS)
    family = task_name.partition("/")[0]
    return load({family: f"{FAMILIES[family]}:{attribute}"}, family, kind="task family")


def task(name: str) -> Task:
    """The task `name`, e.g. "metaworld/drawer-open".

    Raises:
        UserError: there is no such task; the message names the closest one.
    """
    found: Task = _from_family(name, "task")(name.partition("/")[2])
    return found


def make(
    name: str,
    num_envs: int = 1,
    *,
    reward: Reward = None,
    max_episode_steps: int | None = None,
    autoreset: bool = True,
    threads: int | None = None,
) -> BatchEnv:
    """`num_envs` worlds of a task as one `gymnasium.vector.VectorEnv`.

    `reward` is a reward function, "expert" (upstream's own), "sparse" (1 at success) or None (0).
    """
    from sims.env import BatchEnv

    worlds = _from_family(name, "make")(name.partition("/")[2], num_envs, threads=threads)
    return BatchEnv(worlds, reward=reward, max_episode_steps=max_episode_steps, autoreset=autoreset)


def scripted(name: str, num_envs: int = 1) -> Controller:
    """A hand-written controller of a task: actions (N, act_dim) from the scene and the observations of N worlds.

    It keeps the phase of each world's episode and starts over where `scene.steps` is 0.

    Raises:
        UserError: nobody has written one for this task.
    """
    found: Controller = _from_family(name, "scripted")(name.partition("/")[2], num_envs)
    return found


def make_single(name: str, *, reward: Reward = None, render_mode: str | None = None) -> SingleEnv:
    """One world of a task as a `gymnasium.Env`."""
    from sims.env import SingleEnv

    return SingleEnv(make(name, 1, reward=reward, autoreset=False, threads=1), render_mode=render_mode)
