"""How long it takes from a key to the arm, measured and kept. What the page feels it tells the session's store."""

from __future__ import annotations

import json
import statistics
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hardware.inputs import Hand

TIMINGS = "timings.jsonl"  # in the activity's folder
_ANSWERED = 0.03  # of an action: what shows that a hand has been heard
_PATIENCE = 2.0  # [s] after which a hand that was not answered is forgotten: nobody drove
_KEPT = 1000


class Delays:
    """From the beat that told of a key to the first command that the arm was given for it.

    Args:
        path: where every delay is kept, a line each: {"key_to_command": seconds}.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: tuple[float, np.ndarray, tuple[str, ...]] | None = None
        self._delays: deque[float] = deque(maxlen=_KEPT)
        self.did: list[str] = []  # what was held down when the newest answered command was made

    @property
    def newest(self) -> float | None:
        """[s]"""
        return self._delays[-1] if self._delays else None

    @property
    def median(self) -> float | None:
        """[s]"""
        return statistics.median(self._delays) if self._delays else None

    def pressed(self, hand: Hand, held: tuple[str, ...], now: float) -> None:
        """What is held down has changed."""
        self._waiting = (now, hand.twist[:3], held) if np.abs(hand.twist[:3]).max() > 0.1 else None
        if self._waiting is None:
            self.did = []

    def saw(self, told: Mapping[str, Any]) -> None:
        """The newest of what the arm's process tells."""
        if self._waiting is None:
            return
        since, twist, held = self._waiting
        if time.monotonic() - since > _PATIENCE:
            self._waiting = None
        elif told.get("driver") == "person" and told.get("acted", 0.0) >= since and _answers(told["action"], twist):
            self._waiting, self.did = None, list(held)
            self._delays.append(float(told["acted"]) - since)
            self._keep(self._delays[-1])

    def _keep(self, seconds: float) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key_to_command": round(seconds, 5)}) + "\n")


def _answers(action: list[float], twist: np.ndarray) -> bool:
    """Whether an action moves the hand where a twist (3,) wants it most."""
    axis = int(np.argmax(np.abs(twist)))
    return bool(action[axis] * np.sign(twist[axis]) > _ANSWERED)
