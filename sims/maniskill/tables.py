"""All ManiSkill tasks by name: those of upstream that need no download, and our own."""

from __future__ import annotations

from robot_learn.errors import unknown
from sims.maniskill import own_tasks, tasks_cubes, tasks_others, tasks_pegs
from sims.maniskill.spec import Spec

UPSTREAM = {**tasks_cubes.SPECS, **tasks_pegs.SPECS, **tasks_others.SPECS}
SPECS = {**UPSTREAM, **own_tasks.SPECS}


def spec_of(name: str) -> Spec:
    """The spec of a task, e.g. "pick-cube".

    Raises:
        UserError: there is no such task.
    """
    if name not in SPECS:
        raise unknown("task", f"maniskill/{name}", [f"maniskill/{known}" for known in SPECS])
    return SPECS[name]
