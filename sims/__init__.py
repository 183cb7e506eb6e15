"""Simulators: one task is a scene, an instruction and a measured success; single and batched.

A family of tasks is a module with `task(name) -> Task`, `make(name, num_worlds, *, threads) -> sims.env.Worlds` and
`scripted(name, num_worlds) -> Controller`. Adding one is that module, a line in `FAMILIES` and its tasks' names.
"""

from __future__ import annotations

from inspect import signature
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

from robot_learn.errors import UserError, unknown
from robot_learn.registry import load
from robot_learn.types import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

    from robot_learn.scene import Scene
    from sims.env import BatchEnv as BatchEnv
    from sims.env import Reward, SingleEnv

    Controller = Callable[[Scene, np.ndarray], np.ndarray]

FAMILIES = {
    "mujoco": "sims.gym",
    "metaworld": "sims.metaworld",
    "uav": "sims.uav",
    "franka": "sims.franka",
    "soft": "sims.soft",
    "maniskill": "sims.maniskill",
}
_NAMES = {
    "mujoco": (
        "hopper ant hopper-front-flip hopper-back-flip ant-lie-down ant-wave-leg ant-jump half-cheetah walker "
        "walker-hop humanoid cart-pole"
    ),
    "metaworld": (
        "assembly basketball bin-picking box-close button-press button-press-topdown "
        "button-press-topdown-wall button-press-wall coffee-button coffee-pull coffee-push dial-turn "
        "disassemble door-close door-lock door-open door-unlock drawer-close drawer-open faucet-close "
        "faucet-open hammer hand-insert handle-press handle-press-side handle-pull handle-pull-side "
        "lever-pull peg-insert-side peg-unplug-side pick-out-of-hole pick-place pick-place-wall plate-slide "
        "plate-slide-back plate-slide-back-side plate-slide-side push push-back push-wall reach reach-wall "
        "shelf-place soccer stick-pull stick-push sweep sweep-into window-close window-open"
    ),
    "uav": "gate tube",
    "franka": "reach push pick-cube pour drawer",
    "soft": "straighten-rope fold-cloth pass-water",
    "maniskill": (
        "pick-cube stack-cube push-cube pull-cube stack-pyramid lift-peg-upright peg-insertion-side "
        "plug-charger poke-cube pull-cube-tool place-sphere roll-ball two-robot-pick-cube "
        "two-robot-stack-cube lift-cube turn-faucet open-cabinet-drawer open-cabinet-door push-chair"
    ),
}
TASKS = tuple(f"{family}/{name}" for family, names in _NAMES.items() for name in names.split())


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
    randomise: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
    observe: Literal["state", "pixels"] = "state",
    image_size: Sequence[int] = (128, 128),
    camera: str | None = None,
    **options: Any,
) -> BatchEnv:
    """`num_envs` worlds of a task as one `gymnasium.vector.VectorEnv`.

    `reward` is a reward function, "expert" (upstream's own), "sparse" (1 at success) or None (0).
    `randomise` is a table of parameter ranges to draw from at each reset (`sims.ranges`); `parameters` gives values
    that stay, a number or (num_envs,) each: `make(name, 3, parameters={"mass": [0.5, 1, 2]})`.
    `options` go to the family, e.g. ManiSkill's `device="cuda"` and `assets="partnet"`.
    With `observe="pixels"` observations are pictures of `image_size` (height, width), uint8, from `camera`.
    """
    from sims.env import BatchEnv

    counts: dict[str, Any] = {"num_envs": num_envs, "threads": 1 if threads is None else threads}
    for what, count in counts.items():
        if not (isinstance(count, Integral) and int(count) >= 1):
            raise UserError(f"{what}: wanted a whole number from 1, came {count!r}")
    make_worlds = _from_family(name, "make")
    for option in options:
        allowed = [word for word in signature(make_worlds).parameters if word not in ("name", "num_worlds", "threads")]
        if option not in allowed:
            raise unknown(f"option of {name}", option, [*signature(make).parameters][1:-1] + allowed)
    worlds = make_worlds(name.partition("/")[2], num_envs, threads=threads, **options)
    if randomise is not None or parameters is not None:
        from sims.randomise import RandomisedWorlds

        worlds = RandomisedWorlds(worlds, randomise, parameters)
    if observe not in ("state", "pixels"):
        raise unknown("kind of observation", observe, ("state", "pixels"))
    if observe == "pixels":
        from sims.pixels import PixelWorlds

        worlds = PixelWorlds(worlds, image_size, camera)
    return BatchEnv(worlds, reward=reward, max_episode_steps=max_episode_steps, autoreset=autoreset)


def randomisable(name: str) -> tuple[str, ...]:
    """The parameters of a task that `randomise` and `parameters` of `make` may name."""
    from sims.randomise import allowed_parameters

    worlds = _from_family(name, "make")(name.partition("/")[2], 1, threads=1)
    try:
        return allowed_parameters(worlds)
    finally:
        worlds.close()


def scripted(name: str, num_envs: int = 1) -> Controller:
    """A hand-written controller of a task: actions (N, act_dim) from the scene and the observations of N worlds.

    It keeps the phase of each world's episode and starts over where `scene.steps` is 0.

    Raises:
        UserError: nobody has written one for this task.
    """
    found: Controller = _from_family(name, "scripted")(name.partition("/")[2], num_envs)
    return found


def make_single(name: str, *, reward: Reward = None, render_mode: str | None = None, **options: Any) -> SingleEnv:
    """One world of a task as a `gymnasium.Env`; options as those of `make`."""
    from sims.env import SingleEnv

    return SingleEnv(make(name, 1, reward=reward, autoreset=False, threads=1, **options), render_mode=render_mode)
