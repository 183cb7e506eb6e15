"""What the keys mean to somebody who corrects."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def pushes(directions: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Which key pushes in which of a game's directions. The paper's right Shift is no key to a terminal: w and s."""
    wanted = {
        "left arrow": ("left",),
        "right arrow": ("right",),
        "up arrow": ("forward", "up"),
        "down arrow": ("back", "down"),
        "w": ("up",),
        "s": ("down",),
    }
    found = {}
    for key, candidates in wanted.items():
        chosen = next((name for name in candidates if name in directions), None)
        if chosen is not None:
            found[key] = chosen
    others = [name for name in directions if name not in found.values()]
    return found | {str(number): name for number, name in enumerate(others[:9], start=1)}
