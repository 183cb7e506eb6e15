"""`robot-learn bench`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from robot_learn.cli.output import put, put_json, table
from robot_learn.registry import load

BENCHMARKS = {
    "sim": "sims.bench:run",
    "program": "rewards.program.bench:run",
}


@dataclass(frozen=True)
class Bench:
    """Measure speed against the named peer, in one run: sim, program."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """sim: batched simulation against Gymnasium's; program: reward programs."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        rows: list[dict[str, Any]] = load(BENCHMARKS, self.name, kind="benchmark")()
        if self.json:
            put_json(rows)
        else:
            put(table(rows))
        return 0
