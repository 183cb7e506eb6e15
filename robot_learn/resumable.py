"""Long work that can be cut and gone on with: its settings and decisions are one JSON file, written whole each time."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from robot_learn.errors import UserError, unknown
from robot_learn.runs import atomic_write

T = TypeVar("T")
C = TypeVar("C", bound=Any)


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


@dataclass
class Resumable(ABC, Generic[C]):
    """A folder of long work: what was asked for, and below that what is known so far."""

    KIND: ClassVar[str]  # for messages: "search"
    FILE: ClassVar[str]
    FREE: ClassVar[tuple[str, ...]]  # settings that may change on the way: when to end, not what is done

    folder: Path
    config: C  # a frozen dataclass

    @classmethod
    @abstractmethod
    def open(cls, folder: Path | str) -> Self:
        """One that was begun before.

        Raises:
            UserError: there is none in the folder, or its file is of another version.
        """

    @classmethod
    def begin(cls, folder: Path | str, config: C) -> Self:
        """A new one, or the one that is in the folder already when it asks for the same.

        Raises:
            UserError: another one is in the folder; the message says what differs.
        """
        if not (Path(folder) / cls.FILE).exists():
            return cls(Path(folder), config)
        return cls.open(folder).changed(asdict(config))

    def changed(self, wanted: Mapping[str, Any]) -> Self:
        """The same with other values of what may change.

        Raises:
            UserError: a setting is unknown, or another one differs; the message says which.
        """
        stored = asdict(self.config)
        for name in wanted:
            if name not in stored:
                raise unknown(f"setting of a {self.KIND}", name, stored)
        differing = [name for name in wanted if wanted[name] != stored[name] and name not in self.FREE]
        if differing:
            listed = "; ".join(f"{name} was {stored[name]!r}, now {wanted[name]!r}" for name in differing)
            raise UserError(
                f"{self.folder} holds another {self.KIND}: {listed}. Name another folder, or leave that out"
            )
        return replace(self, config=replace(self.config, **wanted))
