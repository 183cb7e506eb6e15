"""Making ManiSkill's environments: never with a question on the terminal, and without visuals unless somebody looks.

SAPIEN refuses even to describe the colour of a cube where there is no Vulkan device. Worlds that only simulate are
built without a renderer; while they are being built, materials and textures are stand-ins that nobody will draw. So
they need no Vulkan, they are built faster, and they are the same everywhere.
"""

from __future__ import annotations

import gc
import importlib
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any
from unittest.mock import patch

from robot_learn.errors import UserError
from sims.maniskill.spec import Spec

COLLECT_EVERY = 64  # builds; it takes as long as ten of them
_builds = count(1)

PACKAGES = "apt-get install -t bookworm-backports mesa-vulkan-drivers libvulkan1"


class _Undrawn:
    """Stands in for a material or a texture: takes any arguments and attributes, and is never asked for anything."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("set_"):
            return lambda *args, **kwargs: None
        raise AttributeError(name)


@contextmanager
def without_visuals() -> Iterator[None]:
    """While this lasts, what is built in SAPIEN has no looks."""
    import sapien.pysapien.render
    import sapien.render
    import sapien.wrapper.urdf_loader
    from mani_skill.utils.building import _mjcf_loader

    # Each of these has its own reference to the two classes.
    places = (sapien.render, sapien.pysapien.render, sapien.wrapper.urdf_loader, _mjcf_loader)
    with ExitStack() as stack:
        for place in places:
            stack.enter_context(patch.multiple(place, RenderMaterial=_Undrawn, RenderTexture2D=_Undrawn))
        yield


def demand_vulkan() -> None:
    """Raises UserError where nothing can be drawn."""
    import sapien.render

    try:
        sapien.render.RenderMaterial()
    except RuntimeError as error:
        raise UserError(
            f"pictures of ManiSkill's worlds need a Vulkan device, and there is none ({error}); on Debian 12 a "
            f"software one, Mesa 25 or newer, comes from the suite bookworm-backports: {PACKAGES}"
        ) from None


def _render_backend() -> str:
    import sapien

    try:
        sapien.Device("cuda")
    except RuntimeError:
        return "cpu"
    return "gpu"


def _refuse(message: str) -> bool:
    raise UserError(
        f"ManiSkill lacks files for this and nothing is downloaded unasked. It says: {message.strip()} "
        "To get them, run: python -m mani_skill.utils.download_asset --help"
    )


@contextmanager
def _collecting_little() -> Iterator[None]:
    """ManiSkill collects garbage at each build, over all objects of the process: set aside those that are there.

    A scene that was built anew leaves its old self behind, megabytes in a circle of references, which set aside nobody
    finds: so now and then all is collected after all.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if next(_builds) % COLLECT_EVERY == 0:
            gc.collect()


@contextmanager
def building(*, visuals: bool) -> Iterator[None]:
    """To be held while an environment is made or may rebuild its scene, as some do at a reset."""
    import mani_skill
    from mani_skill.utils import download_asset

    quiet = patch.object(mani_skill.logger, "level", logging.ERROR)  # it warns of what upstream's own tasks do
    with quiet, patch.object(download_asset, "prompt_yes_no", _refuse), _collecting_little():
        if visuals:
            yield
        else:
            with without_visuals():
                yield


def make(spec: Spec, *, num_envs: int = 1, backend: str = "physx_cpu", visuals: bool = False, assets: str) -> Any:
    """The ManiSkill environment of a spec, without Gymnasium's wrappers.

    Raises:
        UserError: mani_skill is not installed, files are missing, or visuals are wanted and there is no Vulkan device.
    """
    try:
        import gymnasium
        import mani_skill.envs  # noqa: F401, registers environments
    except ModuleNotFoundError as error:
        raise UserError(f"ManiSkill's tasks need the extra: pip install 'robot-learn[maniskill]' ({error})") from None
    importlib.import_module(spec.module)
    options = dict(spec.options) | ({"assets": assets} if spec.takes_assets else {})
    if visuals:
        demand_vulkan()
    with building(visuals=visuals):
        made = gymnasium.make(
            spec.env_id,
            num_envs=num_envs,
            obs_mode="state",
            control_mode=spec.control_mode,
            sim_backend=backend,
            render_backend=_render_backend() if visuals else "none",
            disable_env_checker=True,
            **options,
        )
    env: Any = made.unwrapped
    if abs(1 / env.control_freq - spec.control_dt) > 1e-9:
        raise ValueError(f"{spec.env_id}: its spec says {spec.control_dt} s a step, it takes {1 / env.control_freq} s")
    return env


def upstream(spec: Spec) -> Any:
    """ManiSkill's own environment under its own wrapper for one world on the CPU; only its clock ends an episode."""
    import gymnasium
    import mani_skill.envs  # noqa: F401, registers environments
    import torch
    from mani_skill.utils.wrappers.gymnasium import CPUGymWrapper

    torch.set_num_threads(1)
    env = gymnasium.make(
        spec.env_id,
        obs_mode="state",
        control_mode=spec.control_mode,
        render_backend="none",
        max_episode_steps=spec.max_episode_steps,
        **spec.options,
    )
    return CPUGymWrapper(env, ignore_terminations=True)
