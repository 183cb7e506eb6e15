"""A recording of an arm on the page: play, pause, scrub, faster and slower, and what happened when."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from hardware import recorded
from hardware.records import STATES, names
from robot_learn.deployment import episodes
from robot_learn.errors import UserError, unknown
from robot_learn.runs import Run
from robot_learn.session.activity import Person
from robot_learn.session.drive.scene import ArmScene
from robot_learn.session.scene import Scene3D

RECORDING = "recording:"
SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)


class Replay:
    """An `Activity` that shows what an arm did; nothing can move it.

    Args:
        path: a file of ticks (`hardware.recorded`), or the folder of an episode on an arm.

    Raises:
        UserError: there is no recording.
    """

    name = "drive"

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        folder = self.path if self.path.is_dir() else self.path.parent
        ticks = folder / episodes.TICKS if self.path.is_dir() else self.path
        self._ticks, _ = recorded.load(ticks)
        self._times = self._ticks["time"] - self._ticks["time"][0]
        steps = _steps(folder) if ticks.name == episodes.TICKS else []
        self._who = stretches_of(timed(steps, self._ticks), self._ticks["time"])
        self._events = events(self._ticks)
        self._task = _task(folder)
        self._arm = ArmScene(self._task)
        self._at, self._playing, self._speed = 0.0, False, 1.0
        self._last: float | None = None
        self._show()

    @property
    def scene(self) -> Scene3D | None:
        return self._arm.scene

    @property
    def seconds(self) -> float:
        """How long it is."""
        return float(self._times[-1])

    def state(self) -> dict[str, Any]:
        return {
            "kind": "recording",
            "arm": str(self.path),
            "task": self._task or "",
            "seconds": self.seconds,
            "ticks": len(self._ticks),
            "who": self._who,
            "events": self._events,
            "playing": self._playing,
            "speed": self._speed,
            "speeds": list(SPEEDS),
        }

    def live(self) -> dict[str, Any]:
        row = self._ticks[self._index()]
        opening = float(row["opening"])
        return {
            "at": self._at,
            "q": row["q"].tolist(),
            "opening": opening if np.isfinite(opening) else None,
            "speed": float(np.abs(row["dq"]).max()),
            "force": float(np.linalg.norm(row["external_wrench"][:3])),
            "success_rate": float(row["success_rate"]),
            "state": STATES[int(row["state"])],
            "errors": list(names(row, "errors")),
            "limited": list(names(row, "limited")),
        }

    def files(self) -> Mapping[str, Path]:
        return {}

    def do(self, what: str, arguments: dict[str, Any], who: Person) -> dict[str, Any] | None:
        """Acts: play {on}, seek {at} or {by} [s], speed {value}."""
        if what == "play":
            self._playing = bool(arguments.get("on", not self._playing))
            if self._playing and self._at >= self.seconds:
                self._at = 0.0
        elif what == "seek":
            at = arguments.get("at", self._at + _number(arguments.get("by", 0.0)))
            self._at = min(max(0.0, _number(at)), self.seconds)
        elif what == "speed":
            value = arguments.get("value")
            if value not in SPEEDS:
                raise UserError(f"speed: wanted one of {', '.join(f'{speed:g}' for speed in SPEEDS)}, came {value!r}")
            self._speed = float(value)
        else:
            raise unknown("act", what, ("play", "seek", "speed"))
        self._show()
        return {"at": self._at}

    def tick(self, now: float) -> None:
        passed = 0.0 if self._last is None else now - self._last
        self._last = now
        if self._playing:
            self._at = min(self._at + self._speed * passed, self.seconds)
            self._playing = self._at < self.seconds
            self._show()

    def absent(self, seconds: float) -> None:
        """Nobody looks: it stands still."""
        self._playing = False

    def close(self) -> None:
        return None

    def _index(self) -> int:
        return int(np.clip(np.searchsorted(self._times, self._at), 0, len(self._times) - 1))

    def _show(self) -> None:
        row = self._ticks[self._index()]
        opening = float(row["opening"])
        self._arm.show(row["q"], opening if np.isfinite(opening) else None, {})


def timed(steps: list[dict[str, Any]], ticks: np.ndarray) -> list[tuple[float, str]]:
    """When each step began and who acted in it, on the clock of the ticks; the steps' own leaves holds out."""
    numbers = [int(step["observation"]["sequence"]) for step in steps]
    rows = np.clip(np.searchsorted(ticks["sequence"], np.array(numbers, dtype=np.uint64)), 0, len(ticks) - 1)
    return [(float(ticks["time"][row]), str(step["who"])) for row, step in zip(rows, steps, strict=True)]


def stretches_of(who: list[tuple[float, str]], times: np.ndarray) -> list[dict[str, Any]]:
    """Who acted from when to when, on the clock that begins with `times` (N,) [s]."""
    found = []
    begin, end = float(times[0]), float(times[-1])
    at = 0
    for name, group in groupby(who, lambda one: one[1]):
        length = len(list(group))
        until = who[at + length][0] if at + length < len(who) else end
        found.append({"who": name, "from": who[at][0] - begin, "to": max(0.0, min(until, end) - begin)})
        at += length
    return found


def events(ticks: np.ndarray) -> list[dict[str, Any]]:
    """What happened: from when to when the arm was limited or in a state of its own, by name; time [s] from the first.

    What lies closer together than a tenth of a second is one event.
    """
    times = ticks["time"] - ticks["time"][0]
    marks: dict[str, list[list[float]]] = {}
    changes = np.flatnonzero(
        (ticks["limited"][1:] != ticks["limited"][:-1]) | (ticks["state"][1:] != ticks["state"][:-1])
    )
    edges = [0, *(changes + 1).tolist(), len(ticks)]
    for first, after in pairwise(edges):
        state = STATES[int(ticks["state"][first])]
        named = [*names(ticks[first], "limited"), *([] if state in ("idle", "moving") else [state])]
        for name in named:
            spans = marks.setdefault(name, [])
            if spans and times[first] - spans[-1][1] < 0.1:
                spans[-1][1] = float(times[after - 1])
            else:
                spans.append([float(times[first]), float(times[after - 1])])
    return [{"what": name, "from": a, "to": b} for name, spans in sorted(marks.items()) for a, b in spans]


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not np.isfinite(value):
        raise UserError(f"seek: wanted a number of seconds, came {value!r}")
    return float(value)


def _steps(folder: Path) -> list[dict[str, Any]]:
    with suppress(UserError):
        return [line for line in episodes.read_steps(folder) if "step" in line]
    return []


def _task(folder: Path) -> str | None:
    """The task of the session that an episode's folder lies in."""
    with suppress(UserError):
        return str(Run.open(folder.parent).config.get("task"))
    return None
