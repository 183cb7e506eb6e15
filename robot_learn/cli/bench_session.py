"""`robot-learn bench session`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robot_learn.cli.output import put, put_json, say, table
from robot_learn.errors import UserError, unknown

_SHOWN: tuple[str, ...] = (
    "session",
    "minutes",
    "drawn by",
    "moving",
    "updates/s",
    "frames/s",
    "server ms",
    "server 99 % ms",
    "page ms",
)
_SHOWN += ("page 99 % ms", "keys", "server MB", "server MB/h", "server +-")
_SHOWN += ("renderer MB", "renderer MB/h", "renderer +-", "heap MB", "heap MB/h", "heap +-", "load")


@dataclass(frozen=True)
class BenchSession:
    """How fast sessions in the browser answer, what they draw, and whether their memory grows; in headless Chromium."""

    minutes: float = 30.0
    """Of each session; 1 shows that it works."""
    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME", help_behavior_hint="")] = ()
    """Measure these; by default correct-uav-gate, correct-franka-reach and drive."""
    again: bool = False
    """Do all anew; by default sessions that were measured for as long are kept."""
    out: Path = Path("benchmarks/results/session")
    """Where results, and what the sessions kept, go."""
    json: bool = False
    """Print JSON, with all figures."""

    def run(self) -> int:
        from robot_learn.session.headless import bench

        if not 0.0 < self.minutes <= 24 * 60:
            raise UserError(f"--minutes {self.minutes:g}: wanted above 0, up to a day")
        for name in self.only:
            if name not in bench.SUBJECTS:
                raise unknown("session", name, bench.SUBJECTS)
        rows = bench.run(self.minutes, self.out, self.only or tuple(bench.SUBJECTS), say, again=self.again)
        if self.json:
            put_json(rows)
        else:
            put(table([{name: row.get(name) for name in _SHOWN} for row in rows]))
        return 0
