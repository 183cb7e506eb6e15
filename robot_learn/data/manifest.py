"""What a dataset says of itself: how it came about, what it is worth, and a hash by which others refer to it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from robot_learn.data.dataset import Dataset
from robot_learn.errors import UserError
from robot_learn.runs import versions

GENERATOR, VERSION = "robot-learn collect", 1  # the version changes whenever the same command would give other data
_HASHED = ("lengths", "observations", "actions", "rewards", "terminated", "success")


@dataclass(frozen=True)
class Anchor:
    """The mean return of a reference policy."""

    mean_return: float
    std_return: float  # between episodes
    success_rate: float
    episodes: int
    first_seed: int
    policy: str  # "random", "scripted"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def content_hash(dataset: Dataset) -> str:
    """sha256 of all numbers of the episodes (not of the pictures), whatever file they came from."""
    digest = hashlib.sha256()
    for name in _HASHED:
        value = getattr(dataset, name)
        rows = np.zeros((dataset.num_steps, 0), dtype=np.float32) if value is None else np.ascontiguousarray(value)
        kind = rows.dtype.newbyteorder("<")
        digest.update(f"{name} {kind.str} {rows.shape} ".encode())
        digest.update(rows.astype(kind, copy=False).tobytes())
    return digest.hexdigest()


def dataset_hash(dataset: Dataset) -> str:
    """The hash by which labels and rewards refer to a dataset: of what is stored, whoever pays its steps now."""
    return str(dataset.manifest.get("hash") or content_hash(dataset))


def grown(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest's table `now` of a dataset that may have been added to, with the hashes that it had before."""
    told, earlier = before.get("hash"), list(before.get("earlier", []))
    return {**now, "earlier": earlier + [told] * (told not in (None, now["hash"]))}


def identity(dataset: Dataset) -> dict[str, Any]:
    """By what labels refer to a dataset, as `rewards.preference.labels` takes it."""
    earlier = tuple(dataset.manifest.get("earlier", ()))
    return {"dataset_hash": dataset_hash(dataset), "earlier": earlier, "lengths": dataset.lengths}


def describe(dataset: Dataset) -> dict[str, Any]:
    """The part of a manifest that the episodes themselves tell."""
    returns, lengths = dataset.returns, dataset.lengths
    names, counts = np.unique([""] if dataset.sources is None else dataset.sources, return_counts=True)
    quartiles = np.percentile(returns, [0, 25, 50, 75, 100])
    return {
        "episodes": dataset.num_episodes,
        "steps": dataset.num_steps,
        "episode_length": {"mean": float(lengths.mean()), "min": int(lengths.min()), "max": int(lengths.max())},
        "obs_dim": int(dataset.observations.shape[1]),
        "act_dim": None if dataset.actions is None else int(dataset.actions.shape[1]),
        "images": None if dataset.images is None else list(dataset.images.shape[1:]),
        "features": None if dataset.features is None else int(dataset.features.shape[1]),
        "sources": {
            str(name) or "unknown": float(count / counts.sum()) for name, count in zip(names, counts, strict=True)
        },
        "returns": {
            "mean": float(returns.mean()),
            "std": float(returns.std()),
            "quartiles": [float(value) for value in quartiles],  # minimum, the quartiles, maximum
        },
        "success_rate": float(dataset.succeeded.mean()),
        "hash": content_hash(dataset),
    }


def origin() -> dict[str, Any]:
    """Which program in which surroundings makes a dataset now."""
    found = versions()
    return {
        "generator": GENERATOR,
        "generator_version": VERSION,
        "commit": found.pop("commit"),
        "versions": found,
    }


def normalised(returns: np.ndarray | float, manifest: Mapping[str, Any]) -> np.ndarray:
    """100 (R - R_random) / (R_expert - R_random): 0 is as random, 100 as the expert.

    Raises:
        UserError: the manifest has no anchors, or they are equal.
    """
    anchors = manifest.get("anchors") or {}
    missing = [name for name in ("random", "expert") if name not in anchors]
    if missing:
        raise UserError(f"this dataset has no {' nor '.join(missing)} anchor, so returns cannot be normalised")
    low, high = (float(anchors[name]["mean_return"]) for name in ("random", "expert"))
    if low == high:
        raise UserError(f"the random and the expert anchor are both {low:g}, so returns cannot be normalised")
    return np.asarray(100.0 * (np.asarray(returns, dtype=np.float64) - low) / (high - low))
