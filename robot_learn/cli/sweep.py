"""`robot-learn sweep`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro

from robot_learn.cli.output import Names, put, put_json, say, table
from robot_learn.errors import UserError

if TYPE_CHECKING:
    import sims
    from robot_learn.sweep import Point, Sweep, Swept


@dataclass(frozen=True)
class SweepRun:
    """Find in which range of each physical parameter a run's policy still works, and propose ranges to train with."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The folder of a run."""
    parameters: Names = ()
    """Names like mass, mass:torso or latency; by default every one that needs no object's name."""
    episodes: int = 20
    """At each value of each parameter, all on the same starts."""
    share: float = 0.8
    """Of the nominal success rate that counts as still working."""
    widen: float = 1.0
    """Propose ranges wider than found, by this factor on either side."""
    most_worlds: int = 512
    """Worlds side by side; fewer want less memory and, with ManiSkill, are built sooner."""
    json: bool = False
    """Print the result as JSON."""

    def run(self) -> int:
        import sims
        from robot_learn import runs
        from robot_learn.policy import load_policy
        from robot_learn.sweep import proposed_ranges, sweep
        from robot_learn.sweep_plot import write_sweep_plot
        from sims.randomise import RandomisedWorlds

        if not 1.0 <= self.widen < np.inf:
            raise UserError(f"--widen {self.widen}: wanted 1 or more")
        run = runs.Run.open(self.folder)
        task, policy = sims.task(run.config["task"]), load_policy(run)

        @contextmanager
        def make(count: int) -> Iterator[tuple[sims.BatchEnv, Any]]:
            with closing(sims.make(task.name, count, parameters={})) as env:
                assert isinstance(env.worlds, RandomisedWorlds)
                yield env, env.worlds.fix

        result = sweep(
            make,
            policy,
            self.parameters or [name for name in sims.randomisable(task.name) if ":" not in name],
            episodes=self.episodes,
            share=self.share,
            most_worlds=self.most_worlds,
            on_progress=lambda done, of: say(f"  {done:,} / {of:,} episodes"),
        )
        proposed = proposed_ranges(result, widen=self.widen)
        run.write_json(runs.SWEEP, result.to_json())
        run.write_json(runs.RANDOMISATION, proposed)
        write_sweep_plot(run.file(runs.SWEEP_PLOT), result)
        if self.json:
            put_json({"run": str(run.path), **result.to_json(), "randomisation": proposed})
            return 0
        _show(result)
        put(f"plot      {run.file(runs.SWEEP_PLOT)}")
        put(f"ranges    {run.file(runs.RANDOMISATION)}  (train with --randomise)")
        return 0


def _show(result: Sweep) -> None:
    nominal = result.nominal
    low, high = nominal.interval
    put(f"nominal   {nominal.rate:.0%} of {nominal.episodes} episodes (95 % interval {low:.0%} to {high:.0%})")
    put(f"criterion at least {result.share * nominal.rate:.0%}; factors of the nominal value, one varied at a time")
    put(table([_row(swept) for swept in result.parameters]))


def _row(swept: Swept) -> dict[str, Any]:
    values = [point.value for point in swept.points]
    first, last = values.index(swept.low), values.index(swept.high)
    return {
        "parameter": swept.name,
        "works from": ("<= " if swept.open_low else "") + f"{swept.low:.3g}",
        "to": (">= " if swept.open_high else "") + f"{swept.high:.3g}",
        "below": _point(swept.points[first - 1]) if first > 0 else "-",
        "above": _point(swept.points[last + 1]) if last + 1 < len(values) else "-",
    }


def _point(point: Point) -> str:
    low, high = point.interval
    return f"{point.rate:.0%} at {point.value:.3g} ({low:.0%} to {high:.0%})"
