"""`robot-learn tasks`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

import tyro

from robot_learn.cli.output import put, put_json, table


@dataclass(frozen=True)
class Tasks:
    """List the tasks, or describe one as a language model will see it."""

    name: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[TASK]")] = None
    """A task, e.g. metaworld/drawer-open; without one, all are listed."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        import sims

        if self.name is None:
            found = [sims.task(name) for name in sims.TASKS]
            if self.json:
                put_json([{"name": task.name, "instruction": task.instruction} for task in found])
            else:
                put(table([{"task": task.name, "instruction": task.instruction} for task in found]))
            return 0
        task = sims.task(self.name)
        if self.json:
            put_json(asdict(task))
            return 0
        from rewards.language import schema_text

        put(f"{task.name}: {task.instruction}\n")
        put(f"{task.max_episode_steps} steps of {task.control_dt:g} s at most\n")
        put(schema_text(task))
        return 0
