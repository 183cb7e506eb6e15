"""What the server and an activity ask of each other.

All of an activity is called from one thread, the server's work thread, and so needs no locks. What takes longer than a
few milliseconds (a training, a preview, a model's reply) runs in a process or thread of the activity's own, and is
looked at in `tick`. What a person taught is on the disk when `do` returns: only then is it acknowledged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from robot_learn.session.scene import Scene3D

ABSENT_AFTER = 0.3  # [s] without a beat of the page that holds the controls


@dataclass(frozen=True)
class Person:
    """Who acts, on which page."""

    name: str  # as the person typed it; "" for nobody in particular
    tab: str  # of the browser; another one after a reload of another window, the same after a reload of this
    holds: bool  # the controls: of several tabs the one that took them last


@dataclass(frozen=True)
class Act:
    """Something that a person does on a page."""

    number: str  # by the page: an act whose number was seen before is not done again
    what: str
    arguments: dict[str, Any]
    who: Person
    came: float  # time.monotonic() of the frame


@dataclass(frozen=True)
class Place:
    """Where an activity lives."""

    folder: Path  # its own, in the session's folder; not yet made
    out: Path  # where runs lie
    options: Mapping[str, str] = field(default_factory=dict)  # of the command, as far as they were given: "policy", ...

    def run(self, what: str) -> Path:
        """A run by its folder, or by its name alone among those that lie here; messages name it as it was given."""
        inside = self.out / what
        return inside if inside.exists() and not Path(what).exists() else Path(what)


@dataclass(frozen=True)
class Offer:
    """One click on the home page."""

    what: str  # to open the activity with
    title: str
    text: str = ""  # a line about it


class Activity(Protocol):
    """Something that a person does on the page; the server owns the socket, the activity owns the logic."""

    @property
    def name(self) -> str:
        """ "correct", "compare", ...: page/<name>.js shows it."""

    @property
    def scene(self) -> Scene3D | None:
        """The bodies drawn in 3-D, if any."""

    def state(self) -> dict[str, Any]:
        """All that the page needs to draw itself, as JSON; sent when it has changed. The same in every tab."""

    def do(self, what: str, arguments: dict[str, Any], who: Person) -> dict[str, Any] | None:
        """One act of the person: a click, a key. Returns its direct answer.

        Raises:
            UserError: shown on the page that asked.
        """

    def tick(self, now: float) -> None:
        """Simulate, plan, move bodies; called about 60 times a second with time.monotonic(). Must return fast."""

    def absent(self, seconds: float) -> None:
        """No living page holds the controls, for so long by now: the robot must hold. Called at every tick."""

    def files(self) -> Mapping[str, Path]:
        """Videos and pictures that the page may fetch, by the name that the page knows them by."""

    def close(self) -> None:
        """The server ends; everything is on the disk afterwards."""


@runtime_checkable
class Lively(Protocol):
    """An activity with figures that change all the time."""

    def live(self) -> dict[str, Any]:
        """Small and volatile: step, milliseconds, speed. Sent up to 30 times a second, never awaited, never kept."""


@runtime_checkable
class Handled(Protocol):
    """An activity that wants to know what the hand on the controls does, beside the acts."""

    def hand(self, held: tuple[str, ...], axes: tuple[float, ...], who: Person, age: float) -> None:
        """The newest beat of the page that holds the controls: keys held, axes of pads in [-1, 1].

        Called before each tick with the beat's age [s] since the page took it down, network included, by this clock.
        """


@runtime_checkable
class Counted(Protocol):
    """An activity that can tell whether an act was finished when the server was killed before it could say so."""

    def lessons(self) -> int:
        """How many lessons are on the disk; one that is undone counts as another. Every act that teaches adds one."""
