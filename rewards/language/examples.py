"""Rewards that a policy did its task with, kept as examples for the next prompt.

A library is a folder with one JSON file a task: what was asked, in what scene, the program, how well a policy trained
on it did, and who wrote it. One comes with the package; a user's own grows beside it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from rewards.models.recordings import write_atomically
from robot_learn.errors import UserError

SHIPPED = Path(__file__).parent.parent / "examples"
LEAST_RATE, LEAST_EPISODES = 0.9, 20  # what a program must have shown to be an example

Origin = Literal["zero-shot", "few-shot", "refined", "file"]

_FORMAT = 1
_Z = 1.959964  # of a 95 % interval


@dataclass(frozen=True)
class Measured:
    """How often policies that were trained on a program passed the hidden test, on starts that training never saw."""

    successes: int
    episodes: int
    train_seeds: tuple[int, ...]  # of the trainings that were measured
    steps: int  # control steps of each training

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.episodes or self.episodes < 1 or self.steps < 0:
            raise UserError(f"wanted 0 <= successes <= episodes, an episode, and steps >= 0; got {asdict(self)}")

    @property
    def rate(self) -> float:
        return self.successes / self.episodes

    @property
    def lower_bound(self) -> float:
        """Of Wilson's 95 % score interval of the rate (JASA 1927): 10 of 10 is less sure a success than 50 of 50."""
        if not self.successes:
            return 0.0
        weight = _Z * _Z / self.episodes
        spread = math.sqrt(self.rate * (1 - self.rate) / self.episodes + weight / (4 * self.episodes))
        return (self.rate + weight / 2 - _Z * spread) / (1 + weight)


@dataclass(frozen=True)
class Example:
    """A solved task."""

    task: str  # "metaworld/drawer-open"
    instruction: str  # "Open a drawer by its handle."
    schema: str  # the scene and the action as a model saw them: `schema_text`
    program: str
    measured: Measured
    origin: Origin  # how the program came about; "file": it was given, by a person perhaps
    model: str  # who wrote it, where that is known
    date: str  # ISO 8601, when it was written; "" where that is not known


@dataclass(frozen=True)
class Library:
    """A folder of examples. One that does not exist yet is empty."""

    folder: Path = SHIPPED

    def all(self) -> tuple[Example, ...]:
        """Every example, by task name.

        Raises:
            UserError: a file in the folder is no example.
        """
        return tuple(sorted((read(path) for path in self.folder.glob("*.json")), key=lambda example: example.task))

    def path(self, task: str) -> Path:
        """Where the example of a task lies, whether or not there is one."""
        return self.folder / f"{re.sub(r'[^A-Za-z0-9]+', '-', task).strip('-')}.json"

    def add(self, example: Example, *, check: Callable[[str], object]) -> Example:
        """Keep an example and return the one that the library now has of the task: the better of the old and this one.

        The better one has the higher lower bound of its success rate; the old one stays where both are equal.

        Args:
            check: raises a UserError when the program is none for the example's task.

        Raises:
            UserError: the program does not pass the check, was not successful enough, or was not measured enough.
        """
        _refuse_weak(example)
        try:
            check(example.program)
        except UserError as error:
            raise UserError(f"no example of {example.task!r}: the program does not pass the check: {error}") from error
        path = self.path(example.task)
        known = read(path) if path.exists() else None
        if known is not None and known.task != example.task:
            raise UserError(f"{path} is of {known.task!r}, so there is no place for {example.task!r}: rename the task")
        if known is not None and known.measured.lower_bound >= example.measured.lower_bound:
            return known
        write_atomically(path, _to_text(example))
        return example


def best(libraries: Iterable[Library]) -> tuple[Example, ...]:
    """The best example of each task over all libraries, by task name; of equals the one of the first library."""
    found: dict[str, Example] = {}
    for library in libraries:
        for example in library.all():
            known = found.get(example.task)
            if known is None or example.measured.lower_bound > known.measured.lower_bound:
                found[example.task] = example
    return tuple(found[task] for task in sorted(found))


def read(path: Path) -> Example:
    """One file of a library.

    Raises:
        UserError: it is none.
    """
    try:
        stored: dict[str, Any] = json.loads(path.read_bytes())
        if stored["format"] != _FORMAT or stored["origin"] not in get_args(Origin):
            raise UserError(f"{path}: wanted an example of format {_FORMAT}, from {' or '.join(get_args(Origin))}")
        measured = dict(stored["measured"])
        return Example(
            task=str(stored["task"]),
            instruction=str(stored["instruction"]),
            schema="\n".join(stored["schema"]),
            program="\n".join(stored["program"]),
            measured=Measured(**measured | {"train_seeds": tuple(measured["train_seeds"])}),
            origin=stored["origin"],
            model=str(stored["model"]),
            date=str(stored["date"]),
        )
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not an example: {error!r}") from error


def _to_text(example: Example) -> str:
    """JSON with one string a line, so that people can read the program; joined by line feeds it is the text again."""
    lines: dict[str, Sequence[str]] = {name: getattr(example, name).split("\n") for name in ("schema", "program")}
    return json.dumps({"format": _FORMAT, **asdict(example), **lines}, indent=1, ensure_ascii=False) + "\n"


def _refuse_weak(example: Example) -> None:
    measured = example.measured
    if measured.episodes < LEAST_EPISODES:
        came = f"measured on {measured.episodes} episodes"
    elif measured.rate < LEAST_RATE:
        came = f"successful in {measured.successes} of {measured.episodes} episodes"
    else:
        return
    wanted = f"{LEAST_RATE:.0%} of at least {LEAST_EPISODES} episodes"
    raise UserError(f"no example of {example.task!r}: {came}; wanted {wanted}")
