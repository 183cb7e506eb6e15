"""All tasks of ManiSkill's own that are built of primitive shapes, so that they need no download."""

from __future__ import annotations

from sims.maniskill import tasks_cubes, tasks_others, tasks_pegs

SPECS = {**tasks_cubes.SPECS, **tasks_pegs.SPECS, **tasks_others.SPECS}
