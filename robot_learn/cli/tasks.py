"""`robot-learn tasks`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

import tyro

from robot_learn.cli.output import put, put_json, table


@dataclass(frozen=True)
class Tasks:
    """List the tasks, or describe one as a language model will see it."""

    name: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[TASK|FAMILY]")] = None
    """A task, e.g. metaworld/drawer-open, or a family, e.g. franka; without one, all are listed."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        import sims
        from rewards.models import Recordings

        if self.name is None or self.name.rstrip("/") in sims.FAMILIES:
            recorded, family = Recordings().labels(), f"{self.name.rstrip('/')}/" if self.name else ""
            rows = [
                {"task": name, "recorded": name in recorded, "instruction": sims.task(name).instruction}
                for name in sims.TASKS
                if name.startswith(family)
            ]
            if self.json:
                put_json(rows)
            else:
                put(table(rows))
                put(f"\n{len(recorded)} have a recorded reply, so that `robot-learn run TASK` wants no model of yours")
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
