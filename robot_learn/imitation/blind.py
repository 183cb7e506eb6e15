"""Worlds that never say whether the task was done.

A training keeps the policy with which it succeeded most often. Who learns from a video must not have even that hint:
in these worlds nothing ever succeeds, so the last policy is kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class Blind:
    """The same worlds in everything else; see `sims.env.Worlds`."""

    def __init__(self, worlds: Any) -> None:
        self._worlds = worlds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._worlds, name)

    def success(self) -> np.ndarray:
        """(N,) False."""
        return np.zeros(self._worlds.num_worlds, dtype=bool)
