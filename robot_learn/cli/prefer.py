"""`robot-learn prefer`: a policy from preferences that are asked while it learns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from robot_learn.cli.output import OptionalInt, OptionalPath, OptionalText, put, put_json, say
from robot_learn.errors import UserError

if TYPE_CHECKING:
    from rewards.preference.query import Teacher
    from robot_learn.data.dataset import Dataset
    from robot_learn.preferences.ask import Choice
    from robot_learn.preferences.online_config import OnlineConfig
    from robot_learn.runs import Run
    from robot_learn.train_config import TrainConfig

OptionalTask = Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[TASK]")]


@dataclass(frozen=True)
class Prefer:
    """Train a policy from preferences that are asked while it learns (PEBBLE), or go on with such a run."""

    task: OptionalTask = None
    """A task; not needed with --resume."""
    resume: OptionalPath = None
    """The folder of a run to go on with."""
    teacher: Literal["simulated", "vision", "human", "vlm"] = "simulated"
    """Who compares: simulated (knows the simulator's reward), vision (measures pictures), human (you, here), vlm."""
    kind: str = "oracle"
    """Which simulated teacher: oracle, noisy, mistaken, myopic, skipping, equal, curve:drawer ..."""
    model: str = "recordings"
    """Who replies to a vlm's questions: recordings[:FOLDER], openai:MODEL, anthropic:MODEL, mailbox:FOLDER."""
    labels: int = 500
    """How many comparisons may be asked for in all."""
    labels_per_session: int = 50
    """How many at a time."""
    session_steps: int = 8_000
    """Training steps of all worlds together between two sessions of questions."""
    explore_steps: int = 0
    """Steps before the first question, paid for states that are new."""
    segment: int = 20
    """Steps of each of the two segments; vlm and vision look at the last picture."""
    sampler: Literal["uniform", "disagreement", "entropy", "k-center", "information-gain"] = "disagreement"
    """How pairs are chosen out of ten times as many, once there is a reward model."""
    picture_size: OptionalInt = None
    """Pixels of the pictures that a teacher sees (128; 0 for simulated)."""
    camera: OptionalText = None
    """Of the pictures."""
    steps: int = 120_000
    """Training steps of all worlds together."""
    num_envs: int = 16
    """Worlds trained in at once."""
    hidden: tuple[int, ...] = (256, 256)
    """Layers of the policy and its critics."""
    seed: int = 0
    """Of everything."""
    episodes: int = 50
    """Evaluation episodes; 0 leaves the evaluation out."""
    out: Path = Path("runs")
    """Where run folders are made."""
    json: bool = False
    """Print the result as JSON."""

    def run(self) -> int:
        import torch

        from robot_learn.preferences.online import prefer
        from robot_learn.progress import progress_display

        torch.set_num_threads(1)
        run, train_config, config = self._resumed() if self.resume else self._begun()
        say(f"run       {run.path}")
        go_on = f"go on with: robot-learn prefer --resume {run.path}"
        try:
            with self._teachers(run) as teacher_of, progress_display() as show:
                outcome = prefer(run, teacher_of, train_config, config, say=say, on_progress=show)
        except KeyboardInterrupt:
            say(f"stopped at once; {go_on}")
            return 130
        for message in outcome.waiting:
            say(message)
        if outcome.interrupted:
            say(f"stopped at {outcome.steps:,} steps and {outcome.labels} labels; {go_on}")
            return 130
        return self._measure(run, outcome.labels, outcome.steps)

    def _begun(self) -> tuple[Run, TrainConfig, OnlineConfig]:
        from dataclasses import asdict

        import sims
        from robot_learn.preferences.online_config import OnlineConfig
        from robot_learn.runs import Run
        from robot_learn.train_config import preset

        if self.task is None:
            raise UserError("prefer wants a TASK, or --resume RUN")
        sims.task(self.task)
        usual = 0 if self.teacher == "simulated" else 128
        config = OnlineConfig(
            labels=self.labels,
            labels_per_session=self.labels_per_session,
            session_steps=self.session_steps,
            explore_steps=self.explore_steps,
            segment=self.segment,
            sampler=self.sampler,
            picture_size=usual if self.picture_size is None else self.picture_size,
            camera=self.camera,
        )
        if self.teacher != "simulated" and not config.picture_size:
            raise UserError(f"--picture-size 0: a {self.teacher} teacher wants to see pictures")
        train_config = preset(
            "sac",
            total_steps=self.steps,
            num_envs=self.num_envs,
            hidden=self.hidden,
            seed=self.seed,
            learning_starts=min(5_000, self.session_steps),
            buffer_size=min(500_000, self.steps + self.num_envs),
            normalise_rewards=False,  # a win rate has a scale; its mean would swell the deviation that divides it
        )
        teacher = {"teacher": self.teacher, "kind": self.kind, "model": self.model}
        # What `robot-learn evaluate` counts returns in; nothing is learned from it but what a simulated teacher says.
        asked = {"prefer": asdict(config), "train": asdict(train_config), "teacher": teacher, "reward": "expert"}
        run = Run.create(self.out, task=self.task, seed=self.seed, config=asked)
        return run, train_config, config

    def _resumed(self) -> tuple[Run, TrainConfig, OnlineConfig]:
        from robot_learn import loops
        from robot_learn.preferences.online_config import OnlineConfig
        from robot_learn.runs import Run

        assert self.resume is not None
        run = Run.open(self.resume)
        if self.task not in (None, run.config["task"]):
            raise UserError(f"run {run.path} is of {run.config['task']}, not of {self.task}")
        if "prefer" not in run.config or "teacher" not in run.config:
            raise UserError(f"run {run.path} was not begun by `robot-learn prefer`")
        stored = dict(run.config["prefer"])
        stored["hidden"] = tuple(stored["hidden"])
        try:
            return run, loops.train_config(run), OnlineConfig(**stored)
        except TypeError as error:
            raise UserError(f"{run.path}/config.json: settings of another version: {error}") from error

    @contextmanager
    def _teachers(self, run: Run) -> Iterator[Callable[[Dataset, Choice], Teacher]]:
        # Who is asked in each session: as the run was begun.
        from robot_learn.preferences import teachers

        asked = run.config["teacher"]
        if asked["teacher"] == "simulated":
            yield lambda dataset, choice: teachers.simulated(asked["kind"], dataset, choice)
        elif asked["teacher"] == "vision":
            yield lambda dataset, choice: teachers.vision(dataset)
        elif asked["teacher"] == "vlm":
            from rewards.models import connect
            from rewards.preference.vlm import VisionLanguage

            model = VisionLanguage(connect(asked["model"], wait_s=0.0))
            yield lambda dataset, choice: model
        else:
            from robot_learn.keyboard import Keys

            with Keys() as keys:
                person = teachers.person(lambda: _pressed(keys), run.file("shown"), say)
                yield lambda dataset, choice: person

    def _measure(self, run: Run, labels: int, steps: int) -> int:
        # The last policy, on seeds that nothing was learned on.
        import sims
        from robot_learn import runs
        from robot_learn.evaluation import evaluate
        from robot_learn.policy import load_policy

        said: dict[str, Any] = {"run": str(run.path), "labels": labels, "steps": steps}
        if self.episodes:
            env = sims.make(run.config["task"], min(50, self.episodes), reward="expert")
            try:
                evaluation, _ = evaluate(env, load_policy(run), episodes=self.episodes)
            finally:
                env.close()
            run.write_json(runs.EVALUATION, evaluation.to_json() | {"no_video": "not asked for"})
            said |= evaluation.to_json()
            low, high = evaluation.success_interval
        if self.json:
            put_json(said)
        elif self.episodes:
            put(
                f"success   {evaluation.success_rate:.0%} of {len(evaluation.episodes)} held-out episodes "
                f"(95 % interval {low:.0%} to {high:.0%}), from {labels} labels and {steps:,} steps"
            )
        return 0


def _pressed(keys: Any) -> str:
    """The next key."""
    while True:
        for key in keys.read(0.05):
            return str(key)
