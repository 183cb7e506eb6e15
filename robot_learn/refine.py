"""A reward that a person improves: watch the robot, say what is wrong or which of two is better, and watch again.

Text2Reward (Xie et al., ICLR 2024) hands a person's sentence back to the model that wrote the reward. Here each such
round is a run folder of its own, so that all of them can be compared, resumed and undone. Whoever watches chooses, so
rounds are measured and filmed on validation seeds, never on those of results. This is all of the logic: a terminal or
a web page only calls it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import sims
from rewards.language import (
    Feedback,
    Rejected,
    WrittenReward,
    build_prompt,
    converse,
    load_conversation,
    revision_request,
)
from rewards.models import Client, Message
from rewards.program import Program, check, language_reference
from robot_learn import loops, plots, runs
from robot_learn.envs import VALIDATION_SEED0
from robot_learn.errors import UserError
from robot_learn.evaluation import Evaluation
from robot_learn.feedback import feedback_of
from robot_learn.rounds import ROUND, ROUNDS, Move, Round, Rounds, State, now
from robot_learn.runs import Run, alone
from robot_learn.train_config import preset
from robot_learn.training import TrainResult
from robot_learn.types import Task

TERMS, LOCK = "terms.svg", "lock"
EPISODES = 20  # of the measurement of a round
COPIED = (runs.CONFIG, runs.VERSIONS, runs.REWARD, runs.PROMPT, runs.REPLY, runs.PROGRESS, runs.POLICY)
ORIGIN = ("provenance.json", "conversation.json")  # who wrote a program, and all that was said


@dataclass(frozen=True)
class Refinement(Rounds):
    """What a person and a model do with the rounds of one run."""

    @classmethod
    def open(cls, folder: Path | str) -> Refinement:
        """The rounds of a run; the first one is the run itself.

        Raises:
            UserError: the folder is no run, the run was not evaluated, or it has no reward program.
        """
        run = Run.open(folder)
        if run.has(ROUND):
            raise UserError(f"{run.path} is a round itself: refine {run.path.parent.parent}")
        found = cls(run)
        if not found.place(0).has(ROUND):
            found._begin()
        return found

    @property
    def task(self) -> Task:
        return sims.task(self.run.config["task"])

    # What a person does

    def give(self, said: str | None, *, by: str | None = None) -> Round:
        """Begin a round with a sentence about the current one; without a sentence, with a preference alone.

        Raises:
            UserError: the current round is not finished, or nothing was said and nothing preferred.
        """
        parent, said = self._finished(), (said or "").strip() or None
        moves = [move for move in self.moves() if move.to == parent.number]
        over = tuple(dict.fromkeys(move.over for move in moves if move.over is not None))
        if said is None and not over:
            raise UserError("nothing was said: wanted a sentence about what the robot does, or a preference")
        rejected = tuple(Rejected(self.place(n).read_text(runs.REWARD), self._feedback(n)) for n in over)
        request = revision_request(replace(self._feedback(parent.number), said=said, preferred_to=rejected))
        earlier = self.history()
        # Who says the same again after an undo wants another reply to it.
        sample = sum(each.parent == parent.number and each.request == request for each in earlier)
        number = earlier[-1].number + 1
        new = Round(number, "asked", now(), parent.number, said, by, over, request, sample)
        self.keep(new)
        return self.move(Move(number, new.date, by=by))

    def weigh(self, weights: Mapping[str, float], *, by: str | None = None) -> Round:
        """Begin a round with the current program and these weights of its terms; nobody needs to write anything.

        Raises:
            UserError: the current round is not finished, a name is no term, or no weight is another one than before.
        """
        parent = self._finished()
        source = self.place(parent.number)
        before = check(source.read_text(runs.REWARD), self.task).with_weights(source.config.get("weights", {}))
        if before.with_weights(weights).weights == before.weights:
            raise UserError(f"no weight was changed: round {parent.number} has {dict(before.weights)}")
        number = self.history()[-1].number + 1
        place = self.place(number)
        place.path.mkdir(parents=True, exist_ok=True)
        self._fill(place, str(source.file(runs.REWARD)), None, weights={**before.weights, **weights})
        for name in (runs.PROMPT, runs.REPLY, *ORIGIN):  # so that a model that is asked later knows what was said
            if source.has(name):
                shutil.copy2(source.file(name), place.file(name))
        new = self.keep(Round(number, "written", now(), parent.number, by=by))
        return self.move(Move(number, new.date, by=by))

    def _finished(self) -> Round:
        """The current round, when it can be followed by another."""
        this = self.current
        if this.state != "measured":
            asked = f" with {this.said!r}" if this.said else ""
            raise UserError(
                f"round {this.number} was begun{asked} and is only {this.state}: the command without --say goes on "
                "with it, --undo takes it back"
            )
        return this

    def prefer(self, a: int, b: int, choice: int, *, by: str | None = None) -> Round:
        """The better one of two rounds becomes the current one, and the model will be told so.

        Raises:
            UserError: the choice is none of the two, or one of them does not exist or was not measured.
        """
        if a == b or choice not in (a, b):
            raise UserError(f"a preference: wanted one of two different rounds, came {choice} of {a} and {b}")
        for each in (self.round(a), self.round(b)):
            if each.state != "measured":
                raise UserError(f"round {each.number} is only {each.state}: there is nothing of it to compare yet")
        return self.move(Move(choice, now(), over=a if choice == b else b, by=by))

    # What follows from it

    def go_on(
        self,
        connect: Callable[[], Client],
        *,
        warm: bool = False,
        steps: int | None = None,
        episodes: int = EPISODES,
        video: bool = True,
        quiet: bool = False,
        say: Callable[[str], None] = lambda text: None,
    ) -> Round:
        """Do what is still missing of the current round: have it written, train on it, measure.

        Args:
            connect: gives the model; called only when it is needed.
            warm: the training begins with what the parent's policy has learned.
            steps: of the training, where they shall not be the run's.
            episodes, video: of the measurement.
            quiet: no progress of the training on the standard error.
            say: is told what happens, a line each.

        Raises:
            UserError: the model has no reply, or none that passes the check, or somebody else does this at the moment;
                the round stays as it is.
            KeyboardInterrupt: by Ctrl-C, after the training has saved what it did.
        """
        with self._alone():
            if self.current.state == "asked":
                say(f"asking    for the program of round {self.current.number}")
                say(f"written   by {self.write(connect(), warm=warm)}")
            if self.current.state == "written":
                result = self.train(steps=steps, quiet=quiet)
                if result.interrupted:
                    raise KeyboardInterrupt
                say(f"trained   {result.steps:,} steps in {result.seconds:.0f} s")
            if self.current.state == "trained":
                self.measure(episodes=episodes, video=video)
            return self.current

    def _alone(self) -> AbstractContextManager[None]:
        """Only one terminal or page works on the rounds of a run."""
        said = f"somebody else works on the rounds of {self.run.path} at this moment"
        return alone(self.run.path / ROUNDS / LOCK, said)

    def write(self, client: Client, *, warm: bool = False) -> str:
        """Have the model write the current round's program, in the conversation of its parent; the model's name.

        With `warm`, its training will begin with what the parent's policy has learned, instead of from scratch.

        Raises:
            UserError: the round does not wait for that, the model has no reply, or none passed the check.
        """
        this, task = self._at("asked"), self.task
        place = self.place(this.number)
        written = converse(
            task,
            (*self._conversation(this.parent or 0), Message("user", this.request or "")),
            client,
            check=lambda text: check(text, task),
            sample=this.sample,
            folder=place.path,
        )
        self._fill(place, written, Run.open(self._trained(this)) if warm else None)
        self.keep(replace(this, state="written", warm=warm))
        return written.replies[-1].model

    def _fill(
        self,
        place: Run,
        written: WrittenReward[Program] | str,
        source: Run | None,
        *,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        """Make a round's folder a run that can be trained, with the settings of the run itself."""
        scratch, asked = self.run.path / ROUNDS / ".new", self.place(0).config
        config = loops.train_config(self.place(0))
        if "from" in asked:  # it began with a full replay, and a round begins with an empty one
            config = replace(config, learning_starts=preset(config.algorithm).learning_starts)
        shutil.rmtree(scratch, ignore_errors=True)
        begun = loops.begin(
            self.task,
            written,
            config,
            scratch,
            randomise=asked.get("randomise"),
            simulator=asked.get("simulator"),
            quick=asked.get("quick", False),
            name=place.path.name,
            weights=weights,
            source=source,
        )
        for file in begun.path.iterdir():
            file.replace(place.file(file.name))
        shutil.rmtree(scratch)

    def _trained(self, this: Round) -> Path:
        """Where the networks of a round's parent lie; those of round 0 are in the run itself."""
        return self.place(this.parent).path if this.parent else self.run.path

    def train(self, *, steps: int | None = None, quiet: bool = False) -> TrainResult:
        """Train on the current round's program with the run's settings, from where an earlier training stopped.

        Raises:
            UserError: the round does not wait for that.
        """
        this = self._at("written")
        place = self.place(this.number)
        result = loops.train_run(place, loops.train_config(place, total_steps=steps), resume=True, quiet=quiet)
        if not result.interrupted:
            self.keep(replace(this, state="trained", steps=result.steps))
        return result

    def measure(self, *, episodes: int = EPISODES, video: bool = True) -> Evaluation:
        """Measure and film the current round on validation seeds, with a plot of the terms and a report.

        Raises:
            UserError: the round was not trained yet.
        """
        return self._measure(self._at("trained", "measured"), episodes, video)

    def _measure(self, this: Round, episodes: int, video: bool) -> Evaluation:
        place = self.place(this.number)
        evaluation = loops.evaluate_run(place, episodes=episodes, video=video, first_seed=VALIDATION_SEED0)
        trace = place.read_json(runs.TRACE)
        plot = plots.term_plot(trace["terms"], trace["rewards"], trace["control_dt"], trace["success_step"])
        place.write_text(TERMS, plot)
        self.keep(replace(this, state="measured", successes=evaluation.successes, episodes=episodes))
        return evaluation

    def _feedback(self, number: int) -> Feedback:
        """What is known of a round that was measured."""
        place = self.place(number)
        if place.read_json(runs.EVALUATION)["first_seed"] != VALIDATION_SEED0:
            # Somebody measured it for a result since, and no prompt may see what happened there.
            known = self.round(number)
            self._measure(known, known.episodes, video=place.has(runs.VIDEO))
        return feedback_of(place)

    def _conversation(self, number: int) -> tuple[Message, ...]:
        """What a round's program came from; of one from a file, as if it were the reply to the task's own prompt."""
        kept = load_conversation(self.place(number).path)
        if kept is not None:
            return kept
        program = self.place(number).read_text(runs.REWARD).strip("\n")
        reply = Message("assistant", f"```python\n{program}\n```")
        return (*build_prompt(self.task, language_reference()), reply)

    def _at(self, *states: State) -> Round:
        this = self.current
        if this.state not in states:
            raise UserError(f"round {this.number} is {this.state}: wanted one that is {' or '.join(states)}")
        return this

    def _begin(self) -> None:
        """Round 0: a copy of the run, so that measuring it for the person leaves the run's own result alone."""
        if self.run.config.get("reward") in loops.BUILT_IN or not self.run.has(runs.REWARD):
            raise UserError(f"run {self.run.path} has no reward program that could be rewritten, only the simulator's")
        if not (self.run.has(runs.EVALUATION) and self.run.has(runs.POLICY)):
            wanted = f"robot-learn train --resume {self.run.path}"
            raise UserError(f"run {self.run.path} was not evaluated, so nobody saw what it does; first: {wanted}")
        scratch = Run(self.run.path / ROUNDS / ".new")
        shutil.rmtree(scratch.path, ignore_errors=True)
        scratch.path.mkdir(parents=True)
        for name in (*COPIED, *ORIGIN):
            if self.run.has(name):
                shutil.copy2(self.run.file(name), scratch.file(name))
        steps = feedback_of(scratch).steps
        scratch.write_json(ROUND, asdict(Round(0, "trained", now(), steps=steps)))
        scratch.path.rename(self.place(0).path)
