"""Imitation: compare, edit, train, judge, and go on from the best so far.

The bi-level scheme of "A Language-Model-Assisted Bi-Level Programming for Reward Learning from Internet Videos" (2024),
made dependable: one that looks says how the robot differs from the video, one that does not edits named terms, physics
vetoes, and a new robot is kept only if it is judged closer in both orders, blindly. An iteration is a folder:

    description.json        what the video shows (iteration 0), or
    critique.json           how the best robot so far differs from it
    edits.json              alternatives, each some edits of terms
    candidates/0/ 1/ ...    a run folder each; `short/` is what was seen of its short training, `full/` of the full one
    screening.json          which were refused, vetoed, and in which order they stand
    new-first.json old-first.json judgement.json   the new robot against the best
    reward.py terms.json progress.csv policy.npz video.mp4 sheet-0.png ... seen.json tracks.npz   the one that stood

Whatever is there is not made again, so that an imitation goes on wherever it was cut.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sims
from rewards.video.critique import Critique
from rewards.video.edits import Alternative
from robot_learn import loops, runs
from robot_learn.errors import UserError
from robot_learn.imitation import screen
from robot_learn.imitation.asking import BudgetSpentError, tokens_in
from robot_learn.imitation.author import Author, changes, history, read_terms
from robot_learn.imitation.critics import Critic
from robot_learn.imitation.screen import CANDIDATES, SCREENING
from robot_learn.imitation.state import TERMS, UNDONE, VIDEO, Imitation, Iteration, Verdict
from robot_learn.imitation.watch import (
    FILM,
    SEEN,
    TRACKS,
    Film,
    Seen,
    clip_of,
    keep_robot,
    ungrounded,
    watch_run,
    watch_video,
)
from robot_learn.launcher import Finished, Job, Launcher, LocalProcesses
from robot_learn.metrics import read_progress
from robot_learn.preview import preview
from robot_learn.resumable import read_json, write_json
from robot_learn.runs import Run, alone

LOG, LOCK = "log.txt", "lock"
SHORT, FULL, FINALS = "short", "full", "finals"
TRAINED = "trained.json"  # of a run: to how many steps a training of it came to its end
A_MISTAKE = 2  # status of a training whose reward cannot be computed

Say = Callable[[str], None]


@dataclass
class Session:
    """One session of an imitation: who looks, who edits, where trainings run."""

    imitation: Imitation
    critic: Critic
    author: Author
    launcher: Launcher = field(default_factory=LocalProcesses)
    say: Say = print

    def __post_init__(self) -> None:
        self.task = sims.task(self.imitation.config.task)
        self._before, self._began = self.imitation.seconds, time.monotonic()

    def run(self) -> Imitation:
        """To the end, or from where it stopped; what is decided is on disk after every decision.

        Raises:
            UserError: a model has no reply, or none that can be read, a training broke, or another process is at work.
            KeyboardInterrupt: by Ctrl-C, after the running trainings have saved what they did.
        """
        imitation = self.imitation
        with _alone(imitation.folder):
            self.video = self._shown(watch_video(imitation.folder / VIDEO, imitation.config))
            self._save()  # not before: a video that cannot be read leaves no settings that a better one has to match
            try:
                while len(imitation.iterations) < imitation.config.iterations:
                    imitation.iterations.append(self.iterate(len(imitation.iterations)))
                    self._save()
                    self._tell(imitation.iterations[-1])
                imitation.ended = "all iterations done"
            except BudgetSpentError as spent:
                imitation.ended = str(spent)
            finally:
                self._save()
        return imitation

    def iterate(self, number: int) -> Iteration:
        """Write, screen, train, judge: one iteration, whatever of it is done already."""
        place, base = self.imitation.place(number), self.imitation.base()
        place.mkdir(parents=True, exist_ok=True)
        self._check_clock()
        critique, alternatives = self._write(number, base)
        candidates = screen.begin_runs(place, self.task, alternatives, self.imitation.config, self._source())
        order = self._screen(place, alternatives, candidates, critique, base)
        trained, broken = self._train(order, candidates)
        found = Iteration(number, None if base is None else base.number, "failed", steps=sum(map(_steps, candidates)))
        if not trained:
            why = tuple(broken.values()) or tuple(read_json(place / SCREENING)["refused"].values())
            return replace(found, why=why, tokens=tokens_in(place))
        entrant, seen = self._finalist(place, trained, candidates)
        found = replace(
            found,
            entrant=str(entrant),
            idea=alternatives[entrant].idea,
            veto=seen.veto,
            changes=changes(seen, None if base is None else self._robot(base.number)),
        )
        found = self._decide(found, seen)
        _put_up(candidates[entrant], place)
        return replace(found, tokens=tokens_in(place) + tokens_in(place / FINALS))

    # What is written

    def _write(self, number: int, base: Iteration | None) -> tuple[Critique | None, tuple[Alternative, ...]]:
        """The critique of the base, where there is one, and the edits that answer it."""
        place, sample = self.imitation.place(number), self._sample(number)
        told = history(self.imitation)
        terms = None if base is None else read_terms(self.imitation.place(base.number) / TERMS)
        robot = None if base is None else self._robot(base.number)
        if not self.imitation.config.split:
            return None, self.author.look_and_edit(place, terms, self.video, robot, told, sample)
        if terms is None or robot is None:
            described = self.critic.describe(place, self.video, sample)
            self.say(f"video     {described.motion}")
            return None, self.author.begin(place, described.text(), self.video.figures, sample)
        critique = self.critic.compare(place, self.video, robot, sample)
        problems = "; ".join(problem.problem for problem in critique.problems) or "nothing"
        self.say(f"critique  likeness {critique.likeness:g} of 10; wrong: {problems}")
        warm = self._source() is not None
        return critique, self.author.edit(place, terms, critique, robot.figures, told, sample, warm=warm)

    def _source(self) -> Run | None:
        """Where trainings go on from, if they do: never from what was not accepted, which may have learned to lie."""
        best = self.imitation.best()
        if best is None or not self.imitation.config.warm:
            return None
        return Run(self.imitation.place(best.number) / CANDIDATES / str(best.entrant))

    def _sample(self, number: int) -> int:
        """Which replies to ask for: where an iteration was taken back, others than it had."""
        away = list((self.imitation.folder / UNDONE).glob(f"{number}-*"))
        return sum(1 + len(list(folder.glob("*.refused.json"))) for folder in away)

    # What is trained

    def _screen(
        self,
        place: Path,
        alternatives: Sequence[Alternative],
        candidates: Sequence[Run],
        critique: Critique | None,
        base: Iteration | None,
    ) -> list[int]:
        """The alternatives that stand, the best first."""
        if (place / SCREENING).exists():
            return [int(number) for number in read_json(place / SCREENING)["order"]]
        out = screen.refused(self.task, alternatives)
        order = [number for number in range(len(alternatives)) if number not in out]
        robots: dict[int, Seen] = {}
        if len(order) > 1 and self.imitation.config.screen != "none":
            robots, broken = self._look(candidates, order)
            out |= broken
            rank = self._ranker(place, critique, base)
            config = self.imitation.config
            order = screen.in_order(robots, rank, gates=config.gates and config.early_gates)
        for number, reason in out.items():
            self.say(f"refused   alternative {number}: {reason.splitlines()[-1]}")
        self.say(f"standing  {', '.join(f'{number} ({alternatives[number].idea})' for number in order) or 'none'}")
        vetoes = {str(number): list(seen.veto) for number, seen in robots.items() if seen.veto}
        write_json(place / SCREENING, {"order": order, "refused": _named(out), "vetoes": vetoes})
        return order

    def _ranker(
        self, place: Path, critique: Critique | None, base: Iteration | None
    ) -> Callable[[Sequence[Seen]], Sequence[int]]:
        if self.imitation.config.rank == "wishes":
            return screen.Wishes(critique, None if base is None else self._robot(base.number).signals)
        sample = self._sample(int(place.name))
        return lambda robots: self.critic.rank(place, self.video, [self._shown(robot) for robot in robots], sample)

    def _look(self, candidates: Sequence[Run], order: Sequence[int]) -> tuple[dict[int, Seen], dict[int, str]]:
        """What each alternative comes to soon: by a short training, or by a planner."""
        config = self.imitation.config
        if config.screen == "preview":
            return {number: self._preview(candidates[number]) for number in order}, {}
        broken = self._launch([candidates[number] for number in order], config.short_steps)
        left = [number for number in order if number not in broken]
        return {number: self._watch(candidates[number], SHORT) for number in left}, broken

    def _preview(self, run: Run) -> Seen:
        place = run.file(SHORT)
        if not (place / SEEN).exists():
            reward = loops.read_program(run.file(runs.REWARD), self.task).compile("numpy")
            found = preview(self.task, reward, seconds=self.imitation.config.preview_seconds, whole=True)
            film = Film(clip_of(found.traces[0].frames, found.fps, "side"))
            keep_robot(place, found.rollouts, film, self.task.name, gates=self.video.gates)
        return watch_run(run, place, episodes=1)

    def _train(self, order: Sequence[int], candidates: Sequence[Run]) -> tuple[list[int], dict[int, str]]:
        """Train the first in full; where a reward turns out not to be computable, the next one in its place."""
        waiting, trained = list(order), list[int]()
        broken: dict[int, str] = {}
        while waiting and len(trained) < self.imitation.config.finalists:
            batch, waiting = waiting[: (free := self.imitation.config.finalists - len(trained))], waiting[free:]
            broken |= self._launch([candidates[number] for number in batch], self.imitation.config.steps)
            trained += [number for number in batch if number not in broken]
        return trained, broken

    def _launch(self, trained: Sequence[Run], steps: int) -> dict[int, str]:
        """Train runs to so many steps; those whose reward cannot be computed, with the reason.

        Raises:
            UserError: a training broke in another way; it goes on when the command is run again.
        """
        due = [run for run in trained if not run.has(TRAINED) or run.read_json(TRAINED)["steps"] < steps]
        self._afford(sum(steps - _steps(run) for run in due))
        broken: dict[int, str] = {}
        if due:
            self.say(f"training  {', '.join(run.path.name for run in due)} to {steps:,} steps each")
        with closing(self.launcher.run([_job(run, steps) for run in due])) as finished:
            for done in finished:
                self.say(f"trained   {done.job.name}  ({done.seconds:.0f} s)")
                broken |= _broken(done)
                if done.status == 0:
                    Run(done.job.log.parent).write_json(TRAINED, {"steps": steps})
        return broken

    # What is decided

    def _finalist(self, place: Path, trained: Sequence[int], candidates: Sequence[Run]) -> tuple[int, Seen]:
        """The best of those that were trained in full."""
        robots = {number: self._watch(candidates[number], FULL) for number in trained}

        def rank(seen: Sequence[Seen]) -> Sequence[int]:
            return self.critic.rank(place / FINALS, self.video, seen, self._sample(int(place.name)))

        best = screen.in_order(robots, rank, gates=self.imitation.config.gates)[0]
        return best, robots[best]

    def _decide(self, this: Iteration, new: Seen) -> Iteration:
        """Veto, judgement, verdict. Who is judged nobody tells; a draw leaves the old one."""
        config, best = self.imitation.config, self.imitation.best()
        if config.gates and new.veto:
            return replace(this, verdict="vetoed")
        if best is None or not config.keep_best:
            return replace(this, verdict="accepted")
        place, sample = self.imitation.place(this.number), self._sample(this.number)
        found = self.critic.judge(place, self.video, new, self._robot(best.number), sample)
        verdict: Verdict = "accepted" if found.winner == "new" else "rejected"
        return replace(this, verdict=verdict, why=found.why, confidence=found.confidence)

    # What is seen

    def _watch(self, run: Run, stage: str) -> Seen:
        expert = self.video.figures.splitlines() if self.imitation.config.grounded else ()
        told: dict[str, Any] = {"episodes": self.imitation.config.episodes, "expert": expert}
        return self._shown(watch_run(run, run.file(stage), **told, gates=self.video.gates))

    def _robot(self, number: int) -> Seen:
        """The robot of an earlier iteration, from its folder."""
        place = self.imitation.place(number)
        return self._shown(watch_run(Run(place), place, episodes=self.imitation.config.episodes))

    def _shown(self, seen: Seen) -> Seen:
        return seen if self.imitation.config.grounded else ungrounded(seen)

    def _tell(self, each: Iteration) -> None:
        why = f": {'; '.join((*each.veto, *each.why))}" if each.veto or each.why else ""
        self.say(f"{each.verdict:<9} iteration {each.number}, {each.idea}{why}")

    # What it may cost

    def _save(self) -> None:
        self.imitation.seconds = self._before + time.monotonic() - self._began
        self.imitation.save()

    def _check_clock(self) -> None:
        limit = self.imitation.config.max_minutes
        if limit is not None and self._before + time.monotonic() - self._began >= 60 * limit:
            raise BudgetSpentError(f"budget of {limit:g} minutes spent")

    def _afford(self, wanted: int) -> None:
        self._check_clock()
        limit = self.imitation.config.max_steps
        begun = self.imitation.place(len(self.imitation.iterations)) / CANDIDATES
        used = self.imitation.steps + sum(_steps(Run(folder)) for folder in begun.glob("[0-9]*"))
        if limit is not None and wanted and used + wanted > limit:
            raise BudgetSpentError(f"budget of {limit:,} training steps: {used:,} done, {wanted:,} more do not fit in")


def _job(run: Run, steps: int) -> Job:
    words = ("train", "--resume", str(run.path), "--steps", str(steps), "--episodes", "0", "--no-video")
    return Job(run.path.name, words, run.file(LOG))


def _broken(done: Finished) -> dict[int, str]:
    if done.status == 0:
        return {}
    if done.status == A_MISTAKE:
        return {int(done.job.name): done.last_words()}
    raise UserError(
        f"the training of alternative {done.job.name} ended with status {done.status}; its log is {done.job.log}, run "
        f"the same command again to go on:\n{done.last_words()}"
    )


def _steps(run: Run) -> int:
    """Steps that a run has figures of."""
    rows = read_progress(run) if run.has(runs.PROGRESS) else []
    return int(rows[-1]["steps"] or 0) if rows else 0


def _named(reasons: dict[int, str]) -> dict[str, str]:
    return {str(number): reason for number, reason in sorted(reasons.items())}


def _put_up(run: Run, place: Path) -> None:
    """What stood of an iteration, at the top of its folder; what is seen of it comes last, since it is looked for."""
    for name in (runs.REWARD, TERMS, runs.PROGRESS, runs.POLICY):
        shutil.copy2(run.file(name), place / name)
    seen = run.file(FULL)
    for path in (seen / FILM, seen / TRACKS, *sorted(seen.glob("sheet-*.png")), seen / SEEN):
        shutil.copy2(path, place / path.name)


def _alone(folder: Path) -> AbstractContextManager[None]:
    """Only one process works in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return alone(folder / LOCK, f"another process works in {folder} at this moment")
