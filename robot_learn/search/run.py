"""A search for a reward: several candidates, screened, trained by successive halving, and the best one revised.

Each round writes programs, judges them without training, trains the admitted ones in rungs that only the best climb,
and leaves the best of all rounds so far, from whose conversation the next round goes on (Eureka, Ma et al., ICLR 2024,
with CARD's screening and the halving of Hyperband in front of the trainings). Choices are made on validation seeds; the
winner alone is measured on evaluation's, once, at the end. What was done is read from the search's state, so that a
search that was cut repeats its steps without doing them again and goes on where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import sims
from rewards.models import Client, NotRecordedError
from rewards.program import Program
from robot_learn import loops, runs
from robot_learn.envs import EVAL_SEED0, VALIDATION_SEED0
from robot_learn.errors import UserError
from robot_learn.evaluation import Evaluation
from robot_learn.launcher import Finished, Job, Launcher, LocalProcesses
from robot_learn.metrics import read_progress
from robot_learn.runs import Run, alone
from robot_learn.search.screen import Screen, screen_for
from robot_learn.search.state import Candidate, Rung, Search
from robot_learn.search.write import Author, BudgetSpentError

LOG, LOCK = "log.txt", "lock"
FINAL_EPISODES = 50

Say = Callable[[str], None]


def search_reward(
    search: Search,
    *,
    client: Client | None = None,
    screen: Screen | None = None,
    launcher: Launcher | None = None,
    say: Say = print,
) -> Search:
    """Run a search to its end, or from where it stopped; `search.json` is written after every event.

    Args:
        client: who writes; by default what the search's `model` says, with live replies kept in the search folder.
        screen: who judges; by default the screening of this project, or nobody where the search wants none.
        launcher: where trainings run; by default processes of this machine.

    Raises:
        UserError: the model has no reply, or another process searches in the folder.
        KeyboardInterrupt: by Ctrl-C, after the running trainings have saved what they did.
    """
    session = _Session(search, client, screen, launcher or LocalProcesses(), say)  # a mistake leaves no folder
    with _alone(search.folder):
        try:
            search.ended = None
            search.ended = session.rounds()
        except BudgetSpentError as spent:
            search.ended = str(spent)
        finally:
            session.save()
        try:
            session.audit()
            session.finish()
        finally:
            session.save()
    return search


class _Session:
    """One session of a search: its parts, and the clock."""

    def __init__(
        self, search: Search, client: Client | None, screen: Screen | None, launcher: Launcher, say: Say
    ) -> None:
        self.search, self.launcher, self.say = search, launcher, say
        self.task = sims.task(search.config.task)
        self.author = Author(search, self.task, client)
        self.screen = screen or screen_for(self.task, active=search.config.screen)
        self._before, self._began = search.seconds, time.monotonic()

    def rounds(self) -> str:
        """All rounds; why the search is over."""
        for number in range(self.search.config.rounds + 1):
            try:
                self.write(number)
            except NotRecordedError:
                if not number:
                    raise
                return f"nobody recorded a reply for round {number}; a live --model goes on"
            self.judge(number)
            self.train(number)
            best = self.search.best()
            if best is not None:
                self.say(f"best      {best.name}: {_rate(best.rungs[-1])}")
                if best.rungs[-1].rate >= self.search.config.solved:
                    return "solved"
        return "all rounds done"

    def save(self) -> None:
        self.search.seconds = self._before + time.monotonic() - self._began
        self.search.save()

    def put(self, candidate: Candidate) -> Candidate:
        self.search.candidates[candidate.name] = candidate
        self.save()
        return candidate

    def check_clock(self) -> None:
        limit = self.search.config.max_minutes
        if limit is not None and self._before + time.monotonic() - self._began >= 60 * limit:
            raise BudgetSpentError(f"budget of {limit:g} minutes spent")

    def write(self, number: int) -> None:
        """The programs of a round."""
        if not self.author.missing(number):
            return
        self.check_clock()
        parent = self.author.parent(number)
        if parent is not None:
            self._validate(parent)

        def put(candidate: Candidate) -> None:
            self.put(candidate)
            failed = f": {candidate.error}" if candidate.error else ""
            self.say(f"written   {candidate.name} ({candidate.origin}, sample {candidate.sample}){failed}")

        self.author.write(number, put)

    def _validate(self, parent: Candidate) -> None:
        """No prompt may see what happened on evaluation's seeds: where an earlier session ended there, measure anew."""
        run = Run.open(self.search.place(parent))
        if not parent.rungs or run.read_json(runs.EVALUATION)["first_seed"] == VALIDATION_SEED0:
            return
        self._launch([self._job(parent, parent.rungs[-1].steps)], self._measured)
        if run.read_json(runs.EVALUATION)["first_seed"] != VALIDATION_SEED0:
            raise UserError(f"{run.path} could not be measured on validation seeds again; see its {LOG}")

    def judge(self, number: int) -> None:
        """Verdicts, duplicates and fitted weights of a round's programs."""
        for candidate in self.search.round(number):
            self._judge(candidate)
        if self.search.config.fit_weights:
            for candidate in self.search.round(number):
                self._fit(candidate)

    def _judge(self, candidate: Candidate) -> None:
        if candidate.verdict is not None or candidate.error is not None:
            return
        program = self._program(candidate)
        judged = self.screen.judge(program)
        twin = None if judged.verdict == "refuse" else self._twin(program)
        verdict, findings = judged.verdict, judged.findings
        self.put(replace(candidate, verdict=verdict, score=judged.score, findings=findings, duplicate_of=twin))
        self.say(
            f"{judged.verdict:<9} {candidate.name} (score {judged.score:.2f}){f', the same as {twin}' if twin else ''}"
        )
        for finding in findings:
            self.say(f"          {finding}")

    def _fit(self, candidate: Candidate) -> None:
        """A twin with fitted weights, where they help; it is judged and trained as a candidate of its own."""
        name = f"{candidate.name}w"
        if (
            not candidate.admitted
            or candidate.rungs
            or candidate.origin == "weighted"
            or name in self.search.candidates
        ):
            return
        weights = self.screen.fit(self._program(candidate))
        if weights is None:
            return
        self.author.begin_weighted(name, candidate, weights)
        twin = Candidate(name, "weighted", candidate.sample, candidate.name, weights=weights)
        self.say(f"weighted  {name}: " + ", ".join(f"{term} x {weight:.3g}" for term, weight in weights.items()))
        self.put(twin)
        self._judge(twin)

    def _twin(self, program: Program) -> str | None:
        """The first admitted candidate that pays the same."""
        admitted = [each for each in self.search.candidates.values() if each.admitted]
        admitted.sort(key=lambda each: each.order)
        same = (each.name for each in admitted if self.screen.same(program, self._program(each)))
        return next(same, None)

    def _program(self, candidate: Candidate) -> Program:
        program = loops.read_program(self.search.place(candidate) / runs.REWARD, self.task)
        return program if candidate.weights is None else program.with_weights(candidate.weights)

    def train(self, number: int) -> None:
        """The rungs of a round. Whoever has results up to a rung stands for the next one, the best first."""
        entered = [candidate.name for candidate in self.search.round(number) if candidate.admitted]
        for rung, (places, steps) in enumerate(self.search.config.schedule(len(entered))):
            standing = [self.search.candidates[name] for name in entered]
            standing = [each for each in standing if len(each.rungs) >= rung]
            if rung:
                standing.sort(key=lambda each: _merit(each, rung - 1), reverse=True)
            due = [each for each in standing[:places] if len(each.rungs) == rung and each.error is None]
            if due:
                self._afford(due, steps)
                self.say(f"training  {', '.join(each.name for each in due)}: {steps:,} steps each")
                self._launch([self._job(each, steps) for each in due], self._climbed)
                self.check_clock()

    def _afford(self, due: Sequence[Candidate], steps: int) -> None:
        self.check_clock()
        limit, wanted = self.search.config.max_steps, sum(steps - each.steps for each in due)
        if limit is not None and self.search.steps + wanted > limit:
            raise BudgetSpentError(
                f"budget of {limit:,} training steps: {self.search.steps:,} done, {wanted:,} more do not fit in"
            )

    def _job(self, candidate: Candidate, steps: int) -> Job:
        place, episodes = self.search.place(candidate), str(self.search.config.episodes)
        words = ("train", "--resume", str(place), "--steps", str(steps))
        return Job(candidate.name, (*words, "--episodes", episodes, "--validate", "--no-video"), place / LOG)

    def _launch(self, jobs: Sequence[Job], take: Callable[[Finished], object]) -> None:
        with closing(self.launcher.run(jobs)) as finished:
            for done in finished:
                take(done)
                self.check_clock()

    def _climbed(self, done: Finished) -> None:
        candidate = self.search.candidates[done.job.name]
        rung, error = self._measured(done)
        if rung is None:
            self.put(replace(candidate, error=error, steps=_trained(self.search.place(candidate))))
            self.say(f"failed    {candidate.name}: {error}")
            return
        self.put(replace(candidate, rungs=(*candidate.rungs, rung), steps=rung.steps))
        self.say(f"measured  {candidate.name}: {_rate(rung)} after {rung.steps:,} steps ({done.seconds:.0f} s)")

    def _measured(self, done: Finished) -> tuple[Rung | None, str | None]:
        """What a training came to, or why it came to nothing."""
        if done.status != 0:
            return None, f"the training ended with status {done.status}:\n{done.last_words()}"
        try:
            run = Run.open(self.search.place(done.job.name))
            evaluation = Evaluation.from_json(run.read_json(runs.EVALUATION))
            if evaluation.episodes[0].seed != VALIDATION_SEED0:
                raise UserError(f"{run.path} was not measured on validation seeds")
            rows = read_progress(run)
            if not rows:
                raise UserError(f"{run.path} was measured without a training")
            learning = sum(row["success_rate"] or 0.0 for row in rows) / len(rows)
            return Rung(int(rows[-1]["steps"]), evaluation.successes, len(evaluation.episodes), learning), None
        except UserError as error:
            return None, str(error)

    def audit(self) -> None:
        """Train in full what was refused or halted, so that mistakes are known. It never becomes the result."""
        if not self.search.config.audit:
            return
        due = [each for each in self.search.unfinished() if each.audit is None]

        def take(done: Finished) -> None:
            candidate = self.search.candidates[done.job.name]
            rung, error = self._measured(done)
            self.put(replace(candidate, audit=rung))  # where it failed, the next session tries again
            self.say(f"audited   {candidate.name}: {_rate(rung) if rung else error}")

        with closing(self.launcher.run([self._job(each, self.search.config.steps) for each in due])) as finished:
            for done in finished:
                take(done)

    def finish(self) -> None:
        """Measure the best on evaluation's seeds, with video and report; once for each best."""
        best, known = self.search.best(), self.search.result or {}
        if best is None or (known.get("candidate"), known.get("steps")) == (best.name, best.steps):
            return
        place = self.search.place(best)
        job = Job(best.name, ("evaluate", str(place), "--episodes", str(FINAL_EPISODES)), place / LOG)
        with closing(self.launcher.run([job])) as finished:
            for done in finished:
                self.search.result = self._result(best, done)

    def _result(self, best: Candidate, done: Finished) -> dict[str, Any] | None:
        stored = Run.open(self.search.place(best)).read_json(runs.EVALUATION)
        if done.status != 0 or stored["first_seed"] != EVAL_SEED0:
            self.say(f"the best one, {best.name}, could not be measured: {done.last_words()}")
            return None
        kept = ("success_rate", "success_interval_95", "success_at_end_rate", "num_episodes", "mean_return")
        return {"candidate": best.name, "steps": best.steps} | {name: stored[name] for name in kept}


def _merit(candidate: Candidate, rung: int) -> tuple[float, float, float]:
    """By which candidates of one rung are compared; of equal ones the first stays first."""
    result = candidate.rungs[rung]
    return result.rate, result.learning, candidate.score


def _trained(place: Path) -> int:
    """Steps that a run has figures of."""
    run = Run(place)
    rows = read_progress(run) if run.has(runs.PROGRESS) else []
    return int(rows[-1]["steps"]) if rows else 0


def _rate(rung: Rung) -> str:
    return f"{rung.rate:.0%} of {rung.episodes} validation episodes"


def _alone(folder: Path) -> AbstractContextManager[None]:
    """Only one process works in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return alone(folder / LOCK, f"another process searches in {folder} at this moment")
