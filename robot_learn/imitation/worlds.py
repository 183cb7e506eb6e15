"""The worlds of a run that is not told when the task was done: as they are, or rewarded by pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robot_learn.imitation.blind import Blind


def blinded(worlds: Any, config: Mapping[str, Any]) -> Blind:
    """Worlds without success; with `watched` in the run's config, their own reward is a baseline's."""
    if "watched" not in config:
        return Blind(worlds)
    from robot_learn.imitation.baselines import watched

    return watched(worlds, **config["watched"])
