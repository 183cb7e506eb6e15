"""Where datasets lie, what they are called, and the files that each is made of."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import h5py

from robot_learn.errors import UserError, unknown

ROOT_VARIABLE = "ROBOT_LEARN_DATA"
MAIN, METADATA, PENDING, OURS = "main_data.hdf5", "metadata.json", "pending", "robot_learn"
LOCK = "lock"
_NAME = re.compile(r"(?!./[^/]*$)([-\w]+/)*[-\w]+")  # Minari wants two characters or more before the last /


def data_root(root: Path | str | None = None) -> Path:
    """Where datasets lie: `root`, or what ROBOT_LEARN_DATA names, or ./datasets."""
    return Path(root or os.environ.get(ROOT_VARIABLE) or "datasets")


def full_name(name: str) -> str:
    """With the version that each of Minari's names ends in: "a/b" is "a/b-v0".

    Raises:
        UserError: it cannot be a name.
    """
    if not _NAME.fullmatch(name):
        allowed = "letters, digits, - and _, in parts between /, and 2 or more before the last /"
        raise UserError(f"dataset name {name!r}: wanted {allowed}")
    return name if re.search(r"-v\d+$", name) else f"{name}-v0"


def names(root: Path | str | None = None) -> list[str]:
    """Every dataset under the root."""
    base = data_root(root)
    found = (path.parent.parent for path in base.glob(f"**/data/{METADATA}"))
    return sorted(path.relative_to(base).as_posix() for path in found)


def find(name: str, root: Path | str | None = None) -> Path:
    """The folder `data` of a dataset, by name or by the path of its folder.

    Raises:
        UserError: there is none.
    """
    base = data_root(root)
    candidates = [Path(name) / "data", Path(name)]
    if _NAME.fullmatch(name):
        candidates = [base / full_name(name) / "data", base / name / "data", *candidates]
    for folder in candidates:
        if (folder / METADATA).is_file():
            return folder
    known = names(root)
    if not known:
        raise UserError(f"no dataset {name!r}: there is none in {base} (set by --root or {ROOT_VARIABLE}), nor a path")
    raise unknown("dataset", name, known)


def metadata(folder: Path) -> dict[str, Any]:
    """What metadata.json says.

    Raises:
        UserError: it is damaged.
    """
    file = folder / METADATA
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise UserError(f"{file}: wanted a JSON object, came {type(found).__name__}")
    return found


def opened(file: Path) -> h5py.File:
    """An HDF5 file to read.

    Raises:
        UserError: it is missing or damaged.
    """
    try:
        return h5py.File(file, "r")
    except FileNotFoundError:
        raise UserError(f"there is no {file}") from None
    except OSError as error:
        raise UserError(f"{file} is damaged or not HDF5: {error}") from error
