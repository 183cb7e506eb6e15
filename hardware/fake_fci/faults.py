"""Things that go wrong, from a script: what, when and for how long, in the time of the arm's motions.

A script is a JSON list, `[{"kind": "stall", "at": 0.5, "lasts": 0.06}, ...]`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from robot_learn.errors import UserError, unknown

KINDS = {
    "stall": "no command of the client arrives",
    "loss": "each command is lost with probability `share`",
    "silence": "no state goes out to the client",
    "push": "`force` [N] along the base's axes acts on `body`",
    "user_stop": "the external activation device is pressed, and released at the end",
    "guiding": "the arm is led by the hand until the end",
    "kill": "the controller is gone: all connections reset, as at a loss of power",
}


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Raises:
        UserError: an unknown kind, or numbers that make no sense.
    """

    kind: str
    at: float = 0.0  # [s] of motion since the start or the last reset; time stands still between motions
    lasts: float = 0.05  # [s] from then on, also between motions
    share: float = 1.0  # of commands lost
    force: tuple[float, float, float] = (0.0, 0.0, 0.0)  # [N]
    body: str = "hand"
    seed: int = 0  # of which commands are lost

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown("kind of fault", str(self.kind), KINDS)
        if not (self.at >= 0 and self.lasts >= 0 and 0 <= self.share <= 1):
            raise UserError(f"fault {self.kind}: wanted at >= 0, lasts >= 0 and 0 <= share <= 1, came {self}")
        if np.shape(self.force) != (3,) or not np.all(np.isfinite(self.force)):
            raise UserError(f"fault {self.kind}: wanted a force of three numbers [N], came {self.force}")


def parse(entry: Any, where: str = "fault") -> Fault:
    """A fault from a JSON object.

    Raises:
        UserError: a key or a value that is none of a fault's.
    """
    if not isinstance(entry, dict) or "kind" not in entry:
        raise UserError(f'{where}: wanted an object with a "kind", came {json.dumps(entry)[:80]}')
    allowed = [known.name for known in fields(Fault)]
    for key in entry:
        if key not in allowed:
            raise unknown(f"key of {where}", str(key), allowed)
    try:
        numbers = {key: float(entry[key]) for key in ("at", "lasts", "share") if key in entry}
        force = tuple(float(value) for value in entry.get("force", (0.0, 0.0, 0.0)))
        seed = int(entry.get("seed", 0))
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: wanted numbers for at, lasts, share, force and seed: {error}") from None
    return Fault(str(entry["kind"]), **numbers, force=force, body=str(entry.get("body", "hand")), seed=seed)  # type: ignore[arg-type]


def load(path: Path) -> tuple[Fault, ...]:
    """The faults of a script.

    Raises:
        UserError: no such file, no JSON list, or an entry that is no fault.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path}: wanted a JSON list of faults: {error}") from None
    if not isinstance(entries, list):
        raise UserError(f"{path}: wanted a JSON list of faults, came {type(entries).__name__}")
    return tuple(parse(entry, f"{path}, fault {i + 1}") for i, entry in enumerate(entries))


class Script:
    """Faults as time goes on: which begin, which are going on, which end."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._faults = tuple(faults)
        self.restart()

    def restart(self) -> None:
        """From the beginning: nothing has happened yet."""
        self._waiting = sorted(self._faults, key=lambda fault: fault.at)
        self._active: list[tuple[Fault, int]] = []  # and the ticks that are left
        self._ticks = 0
        self._rngs: dict[int, np.random.Generator] = {}

    def inject(self, fault: Fault) -> None:
        """Let it begin with the next tick, whatever its `at`."""
        self._waiting.insert(0, Fault(**{**vars(fault), "at": 0.0}))

    def tick(self, *, moving: bool) -> tuple[list[Fault], list[Fault]]:
        """One millisecond on; the faults that begin now, and those that end."""
        now = self._ticks * 0.001
        self._ticks += moving
        begun = [fault for fault in self._waiting if fault.at <= now + 1e-9 and (moving or fault.at == 0.0)]
        ended = [fault for fault, left in self._active if left <= 0]
        self._active = [(fault, left - 1) for fault, left in self._active if left > 0]
        if begun:
            self._waiting = [fault for fault in self._waiting if fault not in begun]
            self._active += [(fault, round(fault.lasts * 1000) - 1) for fault in begun]
        return begun, ended

    @property
    def busy(self) -> bool:
        """Something is going on, or will begin at once."""
        return bool(self._active) or any(fault.at == 0.0 for fault in self._waiting)

    def active(self, kind: str) -> bool:
        return any(fault.kind == kind for fault, _ in self._active)

    def loses(self) -> bool:
        """Whether the command of this tick gets lost."""
        lost = self.active("stall")
        for fault, _ in self._active:
            if fault.kind == "loss":
                rng = self._rngs.setdefault(id(fault), np.random.default_rng(fault.seed))
                lost |= bool(rng.random() < fault.share)
        return lost
