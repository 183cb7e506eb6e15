"""Scripted controllers for ManiSkill's own tasks."""

from __future__ import annotations

from robot_learn.errors import unknown
from sims.maniskill import scripted_cubes, scripted_others, scripted_pegs
from sims.maniskill.scripted_stages import Script

_SCRIPTS = {**scripted_cubes.SCRIPTS, **scripted_others.SCRIPTS, **scripted_pegs.SCRIPTS}


def scripted(name: str, num_worlds: int) -> Script:
    """The controller of a task, e.g. "pick-cube", of any number of worlds."""
    if name not in _SCRIPTS:
        raise unknown("scripted ManiSkill task", name, _SCRIPTS)
    return _SCRIPTS[name]()
