"""`robot-learn bench page`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robot_learn.cli.output import put, put_json, say, table
from robot_learn.errors import UserError, unknown


@dataclass(frozen=True)
class BenchPage:
    """The same simulated person teaches through the page, in headless Chromium, and in process: is it the same?"""

    systems: Annotated[tuple[str, ...], tyro.conf.arg(metavar="SYSTEM")] = ("uav-gate", "franka-reach")
    """What they teach."""
    ways: Annotated[tuple[str, ...], tyro.conf.arg(metavar="WAY")] = ("process", "page")
    """process; page, as fast as the robot moves; steps, on the page but in single steps, for a busy machine."""
    games: int = 5
    """Of each system and way; those that have a result are not played again."""
    out: Path = Path("benchmarks/results/session")
    """Where the results lie, a line a game."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        from controllers.systems import SYSTEMS
        from robot_learn.session.headless.games import FILE, WAYS, play_games, summary

        if self.games < 1:
            raise UserError(f"--games {self.games}: wanted 1 or more")
        for name in self.systems:
            if name not in SYSTEMS:
                raise unknown("system", name, SYSTEMS)
        for name in self.ways:
            if name not in WAYS:
                raise unknown("way", name, WAYS)
        lines = play_games(self.systems, self.games, self.out / FILE, say, self.ways)
        rows = summary([line for line in lines if line["system"] in self.systems and line["seed"] < self.games])
        if self.json:
            put_json(rows)
        else:
            put(table(rows))
        return 0
