"""`robot-learn reward weigh`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

import tyro

from robot_learn.cli.output import OptionalPath, OptionalText, put, put_json, say, table
from robot_learn.errors import UserError

_MEANINGS = {
    "fitted": "with these weights successes are paid more than before, next to failures",
    "in order": "successes are paid more than failures as it is: the weights stay 1",
    "no help": "no weights put successes and failures into a better order: they stay 1",
    "no pairs": "the probes hold no success or no failure to compare: the weights stay 1",
    "no terms": "the program names no terms that could be weighed",
}


@dataclass(frozen=True)
class WeighReward:
    """Fit the weights of a program's terms, so that episodes that succeed are paid more; without any training."""

    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE|TASK")]
    """A program, or a task with a recorded one."""
    task: OptionalText = None
    """The task that a program is for."""
    weights: OptionalPath = None
    """A JSON table of weights to begin from instead of 1."""
    out: OptionalPath = None
    """A file for the weights, which `robot-learn train --weights` reads."""
    fresh: bool = False
    """Collect the probes of the task anew instead of taking them from the cache."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        from rewards.weights import fit_weights, read_weights, weighed
        from robot_learn import loops, probes

        program = loops.find_program(self.source, self.task)
        task = program.task
        if self.out is not None and not self.out.parent.is_dir():
            raise UserError(f"--out {self.out}: there is no folder {self.out.parent}")
        first = program.with_weights({} if self.weights is None else read_weights(self.weights)).weights
        say(f"probes    {task.name}: episodes of its script, of disturbances, of chance ...")
        reward = program.compile("numpy")
        scored = [weighed(each.score(reward), first) for each in probes.collect(task, fresh=self.fresh)]
        fit = fit_weights(scored, task)
        weights = {name: float(f"{first[name] * weight:.3g}") for name, weight in fit.weights.items()}
        found = {"status": fit.status, "weights": weights, "before": asdict(fit.before), "after": asdict(fit.after)}
        if self.out is not None:
            self.out.write_text(_text(found), encoding="utf-8")
            say(f"weights   {self.out}")
        if self.json:
            put_json(found)
            return 0
        put(table([{"term": name, "weight": weight} for name, weight in weights.items()]))
        put(table([{"": name, **asdict(order)} for name, order in (("before", fit.before), ("after", fit.after))]))
        put(f"{fit.status}: {_MEANINGS[fit.status]}")
        return 0


def _text(found: object) -> str:
    import json

    return json.dumps(found, indent=2) + "\n"
