"""`robot-learn bench arm`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_learn.cli.output import put, put_json, say, table

_SHOWN = ("trial", "reason", "speed [rad/s]", "predicted [ms]", "stood [ms]", "at rest [ms]", "steps", "passed")


@dataclass(frozen=True)
class BenchArm:
    """The way to an arm: times of the guard and rates of each client's loop, or what happens when things go wrong."""

    faults: bool = False
    """Twenty trials through `robot-learn deploy`: stalls, losses, contacts, a person's stop, killed programs."""
    again: bool = False
    """Do all trials anew; by default those that have a result are kept."""
    out: Path = Path("benchmarks/results/arm")
    """Where the trials' results are."""
    sessions: Path = Path("benchmarks/runs/arm-faults")
    """Where what they recorded is."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        rows, passed = self._faults() if self.faults else (self._rates(), True)
        if self.json:
            put_json(rows)
        else:
            put(table([{name: row[name] for name in _SHOWN} for row in rows] if self.faults else rows))
        if self.faults:
            say(f"{sum(row['passed'] for row in rows)} of {len(rows)} ended stopped, recorded and explained")
        return 0 if passed else 1

    def _rates(self) -> list[dict[str, Any]]:
        from robot_learn.deployment import bench

        return bench.run()

    def _faults(self) -> tuple[list[dict[str, Any]], bool]:
        from robot_learn.cli.output import make_folder
        from robot_learn.deployment import faults

        make_folder(self.out)
        if self.again:
            (self.out / faults.RESULTS).unlink(missing_ok=True)
        rows = faults.run(faults.TRIALS, self.out, self.sessions, say)
        return rows, all(row["passed"] for row in rows)
