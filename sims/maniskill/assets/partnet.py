"""Articulated objects of PartNet-Mobility, where ManiSkill's download of them lies on this machine's disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from robot_learn.errors import UserError

Category = Literal["faucet", "cabinet_drawer", "cabinet_door", "chair"]
# ManiSkill's names for what is to be downloaded; it keeps drawers and doors together.
_DOWNLOADS = {"cabinet_drawer": "partnet_mobility_cabinet", "cabinet_door": "partnet_mobility_cabinet"}


def models(category: Category) -> dict[str, dict[str, Any]]:
    """ManiSkill's notes on the models of that category that are on the disk, by their number.

    Raises:
        UserError: none is there.
    """
    from mani_skill import PACKAGE_ASSET_DIR
    from mani_skill.utils.io_utils import load_json

    known = load_json(PACKAGE_ASSET_DIR / "partnet_mobility" / "meta" / f"info_{category}_train.json")
    found = {number: notes for number, notes in known.items() if urdf(number) is not None}
    if not found:
        download = _DOWNLOADS.get(category, f"partnet_mobility_{category}")
        raise UserError(
            f"assets 'partnet': none of the {len(known)} PartNet-Mobility models of {category} is in {folder()}; "
            f"get them with `python -m mani_skill.utils.download_asset {download}`, or use assets 'procedural' "
            "(MS_ASSET_DIR says where ManiSkill looks)"
        )
    return found


def folder() -> Path:
    """Where ManiSkill keeps the models."""
    from mani_skill import ASSET_DIR

    return Path(ASSET_DIR) / "partnet_mobility" / "dataset"


def urdf(number: str) -> Path | None:
    """The file that describes a model, or None where it is not on the disk."""
    for name in ("mobility_cvx.urdf", "mobility_fixed.urdf"):
        path = folder() / number / name
        if path.exists():
            return path
    return None


def draw(category: Category, rng: np.random.Generator) -> tuple[str, dict[str, Any]]:
    """The number of a model at random, and ManiSkill's notes on it."""
    found = models(category)
    number = sorted(found)[rng.integers(len(found))]
    return number, found[number]


def builder(scene: Any, number: str, notes: dict[str, Any], *, fixed: bool = True, density: float = 1000.0) -> Any:
    """A ManiSkill articulation builder for a model, at the scale that ManiSkill gives it."""
    loader = scene.create_urdf_loader()
    loader.fix_root_link = fixed
    loader.scale = notes.get("scale", 1.0)
    loader.load_multiple_collisions_from_file = True
    loader.set_density(density)
    return loader.parse(str(urdf(number)))["articulation_builders"][0]
