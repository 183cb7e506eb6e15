"""Reward models as files: plain .npz without any pickle, written whole or not at all."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rewards.preference import REWARD_MODELS
from rewards.preference.calibration import Calibration
from robot_learn.errors import UserError, unknown
from robot_learn.registry import load as imported

FORMAT = 1


class RewardModel(Protocol):
    """What every reward model offers; its `fit(frames, labels, config, seeds)` makes S of them at once."""

    @property
    def calibrations(self) -> tuple[Calibration, ...]:
        """Of each seed, on labels that were held out."""
        ...

    def rewards(self, frames: np.ndarray) -> np.ndarray:
        """(S, F) float32: what each seed's model pays for frames, those after a step."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything, as arrays without objects; the class makes a model of them by `from_arrays`."""
        ...


def save(path: Path, kind: str, model: RewardModel, about: Mapping[str, str] | None = None) -> None:
    """Write a model of a kind in REWARD_MODELS, with words `about` it, such as what its frames are."""
    arrays: dict[str, Any] = {f"model/{name}": value for name, value in model.arrays().items()}
    arrays |= {f"about/{name}": np.asarray(value) for name, value in (about or {}).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.stem}.{os.getpid()}.npz")
    try:
        np.savez(unfinished, format=np.asarray(FORMAT), kind=np.asarray(kind), **arrays)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def load(path: Path) -> tuple[str, Any, dict[str, str]]:
    """Kind, model and the words about it, as `save` wrote them.

    Raises:
        UserError: there is no such file, it is damaged, or it holds no reward model.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        kind, version = str(arrays["kind"]), int(arrays["format"])
    except FileNotFoundError:
        raise UserError(f"reward model {str(path)!r}: there is no such file") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"reward model {str(path)!r}: no file of a reward model: {error}") from error
    if version != FORMAT:
        raise UserError(f"reward model {str(path)!r} is of format {version}, wanted {FORMAT}")
    if kind not in REWARD_MODELS:
        raise unknown("kind of reward model", kind, REWARD_MODELS)
    found: dict[str, dict[str, np.ndarray]] = {"model": {}, "about": {}}
    for name, value in arrays.items():
        group, _, rest = name.partition("/")
        if group in found and rest:
            found[group][rest] = value
    try:
        model = imported(REWARD_MODELS, kind, kind="reward model").from_arrays(found["model"])
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"reward model {str(path)!r} is damaged: {error}") from error
    return kind, model, {name: str(value) for name, value in found["about"].items()}
