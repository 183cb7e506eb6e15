"""What a safety filter says about the action that it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, eq=False)
class Filtered:
    """An action that may be taken, and why it is not the one that was wanted."""

    action: np.ndarray  # (nu,)
    changed: bool  # it is not the one that was wanted
    size: float  # weighted distance between the two; inf where the wanted one was not finite
    active: tuple[str, ...]  # the limits that held it
    violated: tuple[str, ...]  # the limits that the present state already breaks
    feasible: bool  # every limit is kept from here to the next step (of a plan: to its end)
    braking: bool  # nothing better than the braking action was found
    seconds: float

    def explain(self) -> str:
        """One line for a person."""
        broken = f"outside of {', '.join(self.violated)}; " if self.violated else ""
        if not self.changed:
            return f"{broken}as wanted"
        held = f"held by {', '.join(self.active)}" if self.active else "changed"
        return f"{broken}{'braking, ' if self.braking else ''}{held}"


class SafetyFilter(Protocol):
    """What wraps a policy."""

    def filter(self, state: np.ndarray, action: np.ndarray, world: int = 0) -> Filtered:
        """The action (nu,) to take at a state (nx,) instead of the wanted one, in one of several worlds."""
        ...

    def forget(self, world: int = 0) -> None:
        """A new episode begins in a world."""
        ...
