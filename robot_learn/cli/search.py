"""`robot-learn reward search`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from robot_learn.cli.output import OptionalFloat, OptionalInt, OptionalPath, OptionalText, put, put_json, say, table
from robot_learn.errors import UserError

if TYPE_CHECKING:
    from robot_learn.search.state import Candidate, Search

OptionalTask = Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[TASK]")]


@dataclass(frozen=True)
class SearchReward:
    """Find a better reward than one try gives: several candidates, screened, trained by halving, the best revised."""

    task: OptionalTask = None
    """A task; not needed with --resume."""
    out: OptionalPath = None
    """The folder of the search (searches/TASK); the same command goes on with a search that was interrupted."""
    resume: OptionalPath = None
    """The folder of a search to go on with, as it was begun; budgets, rounds and model may be given anew."""
    model: OptionalText = None
    """Who writes (recordings): recordings[:FOLDER], openai:MODEL, anthropic:MODEL, mailbox:FOLDER."""
    samples: OptionalInt = None
    """Programs of the first round (4)."""
    rounds: OptionalInt = None
    """Later rounds, in which the best program so far is revised by its author (2)."""
    revisions: OptionalInt = None
    """Programs of each later round (2)."""
    examples: OptionalInt = None
    """Solved tasks, those most like this one, that the model is shown in the first round (0)."""
    library: OptionalText = None
    """A folder of solved tasks of your own, beside those that come along; see `robot-learn reward keep`."""
    embedding: OptionalText = None
    """What likeness is measured by: minilm (the default, on this machine) or openai:MODEL."""
    algorithm: Literal["ppo", "sac"] | None = None
    """PPO (the default) or SAC."""
    steps: OptionalInt = None
    """Of the longest training (700,000)."""
    rungs: OptionalInt = None
    """After how many measurements a training is complete (3); at each, only the best go on."""
    eta: OptionalInt = None
    """One of so many goes on to the next rung, with so many times the steps (3)."""
    episodes: OptionalInt = None
    """Of each measurement that decides (20); they have seeds of their own."""
    num_envs: OptionalInt = None
    """Worlds trained in at once (PPO 128, SAC 16)."""
    seed: OptionalInt = None
    """Of every training (0)."""
    solved: OptionalFloat = None
    """A round that gets this success rate is the last one (1.0)."""
    max_tokens: OptionalInt = None
    """Budget of the model's tokens (1,000,000)."""
    max_steps: OptionalInt = None
    """Budget of training steps, all candidates together (none)."""
    max_minutes: OptionalFloat = None
    """Budget of time, over all sessions (none)."""
    unscreened: bool = False
    """Train every program that passes the check, without a look at what it would pay."""
    fit_weights: bool = False
    """Try each accepted program with fitted weights of its terms, too."""
    audit: bool = False
    """Train in full what was refused or halted, too, on top of the budget, to count the mistakes."""
    workers: OptionalInt = None
    """Trainings side by side; by default one a core."""
    job_minutes: OptionalFloat = None
    """A training that takes longer is stopped and counts as failed (no limit)."""
    json: bool = False
    """Print the result as JSON."""

    def run(self) -> int:
        from robot_learn.launcher import LocalProcesses
        from robot_learn.search.run import search_reward

        launcher = LocalProcesses(self.workers, limit=None if self.job_minutes is None else 60 * self.job_minutes)
        search = self._search()
        try:
            search_reward(search, launcher=launcher, say=say)
        except KeyboardInterrupt:
            say(f"interrupted; go on with: robot-learn reward search --resume {search.folder}")
            return 130
        if self.json:
            put_json(_figures(search))
        else:
            _show(search)
        return 0

    def _search(self) -> Search:
        import sims
        from robot_learn.search.state import Search as Stored
        from robot_learn.search.state import SearchConfig

        names = [name for name in SearchConfig.__dataclass_fields__ if name not in ("task", "screen")]
        given: dict[str, Any] = {name: getattr(self, name) for name in names}
        given = {name: value for name, value in given.items() if value is not None and value is not False}
        if self.unscreened:
            given["screen"] = False
        if self.resume is not None:
            if self.out is not None:
                raise UserError("--out and --resume both name the folder of the search: leave one out")
            if self.task is not None:
                given["task"] = self.task
            return Stored.open(self.resume).changed(given)
        if self.task is None:
            raise UserError("reward search wants a TASK, or --resume FOLDER")
        task = sims.task(self.task)
        folder = self.out or Path("searches") / task.name.replace("/", "-")
        return Stored.begin(folder, SearchConfig(task=task.name, **given))


def _show(search: Search) -> None:
    """The candidates, what the screening saved, and the result."""
    found = sorted(search.candidates.values(), key=lambda candidate: candidate.order)
    best = search.best()
    put(table([_row(candidate) for candidate in found]))
    put("")
    put(
        f"ended     {search.ended}: {search.tokens:,} tokens, {search.steps:,} steps, {search.seconds / 60:.1f} minutes"
    )
    for line in _screening(search):
        put(line)
    if best is None:
        put("result    none: no candidate came through a training")
        return
    put(f"best      {best.name}: {search.place(best) / 'reward.py'}")
    if search.result is not None:
        low, high = search.result["success_interval_95"]
        rate, count = search.result["success_rate"], search.result["num_episodes"]
        put(f"success   {rate:.0%} of {count} held-out episodes (95 % interval {low:.0%} to {high:.0%})")
        put(f"report    {search.place(best) / 'report.html'}")


def _row(candidate: Candidate) -> dict[str, Any]:
    last = candidate.audit or (candidate.rungs[-1] if candidate.rungs else None)
    return {
        "candidate": candidate.name,
        "from": candidate.origin + (f" {candidate.parent}" if candidate.parent else ""),
        "verdict": _verdict(candidate),
        "steps": f"{candidate.steps if last is None else last.steps:,}",
        "success": "-" if last is None else f"{last.successes} of {last.episodes}",
        "remark": _remark(candidate),
    }


def _verdict(candidate: Candidate) -> str:
    if candidate.verdict is None:
        return "no program" if candidate.error else "-"
    return "duplicate" if candidate.duplicate_of else candidate.verdict


def _remark(candidate: Candidate) -> str:
    if candidate.duplicate_of:
        return f"as {candidate.duplicate_of}"
    text = candidate.error or "; ".join(candidate.findings)
    line = text.splitlines()[0] if text else ""
    return line if len(line) <= 80 else line[:77] + "..."


def _screening(search: Search) -> list[str]:
    avoided = search.avoided()
    if not search.config.screen or not avoided["judged"]:
        return []
    refused, twins, halted = avoided["refused"], avoided["duplicates"], avoided["halted"]
    share = f"{search.steps:,} steps, of {avoided['whole_steps']:,} of whole trainings"
    lines = [f"screening {refused} refused, {twins} duplicates, {halted} halted of {avoided['judged']}: {share}"]
    if avoided["audited"]:
        wrong = f"{avoided['false_refusals']} of {refused} refused ones pass at least half of their episodes"
        lines.append(
            f"audit     of {avoided['audited']} trained all the same: {wrong}, {avoided['better']} beat the best"
        )
    return lines


def _figures(search: Search) -> dict[str, Any]:
    best = search.best()
    found = sorted(search.candidates.values(), key=lambda candidate: candidate.order)
    return {
        "search": str(search.folder),
        "config": asdict(search.config),
        "ended": search.ended,
        "used": {"tokens": search.tokens, "steps": search.steps, "minutes": search.seconds / 60},
        "screening": search.avoided(),
        "best": None if best is None else {"candidate": best.name, "run": str(search.place(best))},
        "result": search.result,
        "candidates": [asdict(candidate) for candidate in found],
    }
