"""Long work that can be cut and gone on with: its settings and decisions are one JSON file, written whole each time."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from robot_learn.errors import UserError, unknown
from robot_learn.runs import atomic_write

T = TypeVar("T")


def write_json(path: Path, value: Any) -> None:
    """A JSON file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write((json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Raises:
    UserError: the file is damaged.
    """
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path}: damaged ({error}); delete it, and the same command makes it anew") from error


def open_state(path: Path, kind: str, version: int, build: Callable[[dict[str, Any]], T]) -> T:
    """What `build` makes of a state file without its "format".

    Args:
        kind: what it is a state of, for messages: "search".
        version: of the format.

    Raises:
        UserError: there is none, or it is of another version or kind.
    """
    try:
        stored = json.loads(path.read_bytes())
        if stored.pop("format", None) != version:
            raise UserError(f"{path}: wanted a {kind} of format {version}")
        return build(stored)
    except FileNotFoundError:
        raise UserError(f"{path.parent} is no {kind}: it has no {path.name}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: not a stored {kind}: {error!r}") from error


def merged(config: Any, wanted: Mapping[str, Any], free: Collection[str], *, kind: str, folder: Path) -> dict[str, Any]:
    """The fields of a stored config (a dataclass) with other values of those that may change.

    Raises:
        UserError: a setting is unknown, or one that is not `free` differs; the message says which.
    """
    stored = asdict(config)
    for name in wanted:
        if name not in stored:
            raise unknown(f"setting of a {kind}", name, stored)
    differing = [name for name in wanted if wanted[name] != stored[name] and name not in free]
    if differing:
        listed = "; ".join(f"{name} was {stored[name]!r}, now {wanted[name]!r}" for name in differing)
        raise UserError(f"{folder} holds another {kind}: {listed}. Name another folder, or leave that out")
    return stored | dict(wanted)
