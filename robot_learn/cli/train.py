"""`robot-learn run`, `train` and `evaluate`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from robot_learn.cli.output import OptionalFloat, OptionalInt, OptionalPath, OptionalText, TaskName, put, put_json, say
from robot_learn.cli.reward import say_examples
from robot_learn.errors import UserError

if TYPE_CHECKING:
    from robot_learn.evaluation import Evaluation
    from robot_learn.runs import Run
    from robot_learn.train_config import TrainConfig

OptionalTask = Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[TASK]")]


@dataclass(frozen=True)
class RunTask:
    """The main job: a sentence becomes a reward, the reward a policy, the policy a measured result with a report."""

    task: TaskName
    """A task; `robot-learn tasks` lists them."""
    model: str = "recordings"
    """Who writes the reward: recordings[:FOLDER], openai:MODEL, anthropic:MODEL, mailbox:FOLDER."""
    sample: int = 0
    """Which of several replies to the same prompt."""
    examples: int = 0
    """How many solved tasks, those most like this one, the model is shown; a recorded reply brings its own."""
    library: OptionalPath = None
    """A folder of solved tasks of your own, beside those that come along; see `robot-learn reward keep`."""
    embedding: str = "minilm"
    """What likeness is measured by: minilm (on this machine) or openai:MODEL."""
    steps: int = 700_000
    """Training steps of all worlds together."""
    num_envs: int = 128
    """Worlds trained in at once."""
    seed: int = 0
    """Of the training; evaluation has seeds of its own."""
    randomise: OptionalPath = None
    """A JSON or TOML table of parameter ranges to train with; evaluation stays nominal."""
    assets: OptionalText = None
    """Of ManiSkill's articulated objects: procedural (the default) or partnet."""
    device: OptionalText = None
    """Where ManiSkill simulates: cpu (the default) or cuda."""
    episodes: int = 50
    """Evaluation episodes; 0 leaves the evaluation out."""
    out: Path = Path("runs")
    """Where run folders are made."""
    no_video: bool = False
    """Do not film the first episodes of the evaluation."""
    json: bool = False
    """Print the result as JSON."""

    def run(self) -> int:
        import sims
        from robot_learn import loops
        from robot_learn.train_config import preset

        task = sims.task(self.task)
        _not_below(0, self.episodes)
        config = preset("ppo", total_steps=self.steps, num_envs=self.num_envs, seed=self.seed)
        randomise = _table(self.randomise)
        say(f"sentence  {task.instruction}")
        written = loops.write_program(
            task,
            model=self.model,
            sample=self.sample,
            examples=self.examples,
            library=self.library,
            embedding=self.embedding,
        )
        say_examples(written)
        program, final = written.program, written.replies[-1]
        say(f"reward    {', '.join(program.term_names)}  (written by {final.model}, {final.date[:10]})")
        simulator = _given(assets=self.assets, device=self.device)
        run = loops.begin(task, written, config, self.out, randomise=randomise, simulator=simulator)
        asked: dict[str, Any] = {"model": self.model, "sample": self.sample}
        if self.examples:
            library = None if self.library is None else str(self.library)
            asked |= _given(examples=self.examples, library=library, embedding=self.embedding)
        run.write_json("config.json", run.config | asked)
        say(f"run       {run.path}")
        return _train_and_measure(run, config, False, self.episodes, not self.no_video, self.json)


@dataclass(frozen=True)
class Train:
    """Train a policy on a task under a reward, or go on with a run that was interrupted."""

    task: OptionalTask = None
    """A task; not needed with --resume."""
    reward: OptionalText = None
    """A program's file, `expert` (the simulator's own reward) or `sparse` (1 at success)."""
    resume: OptionalPath = None
    """The folder of a run to go on with."""
    algorithm: Literal["ppo", "sac"] | None = None
    """PPO (the default) or SAC."""
    steps: OptionalInt = None
    """Training steps of all worlds together (PPO 700,000, SAC 300,000)."""
    num_envs: OptionalInt = None
    """Worlds trained in at once (PPO 128, SAC 16)."""
    seed: OptionalInt = None
    """Of the training (0); evaluation has seeds of its own."""
    stop_at_success: OptionalFloat = None
    """End early at this success rate over the last 200 training episodes."""
    weights: OptionalPath = None
    """A JSON table of weights of the program's terms, e.g. from `robot-learn reward weigh`."""
    source: Annotated[OptionalPath, tyro.conf.arg(name="from", metavar="RUN", help_behavior_hint="")] = None
    """A run to begin from, under another reward: settings, networks, normaliser, and SAC's replay, relabelled."""
    fresh_critic: bool = False
    """With --from: keep what acts, and learn anew what it is worth."""
    randomise: OptionalPath = None
    """A JSON or TOML table of parameter ranges to train with; evaluation stays nominal."""
    assets: OptionalText = None
    """Of ManiSkill's articulated objects: procedural (the default) or partnet."""
    device: OptionalText = None
    """Where ManiSkill simulates: cpu (the default) or cuda."""
    variant: OptionalText = None
    """Another body for the same task, where it has some: an ant's spider, a humanoid's athlete."""
    quick: bool = False
    """Train Gymnasium's bodies by Euler's method, a quarter of the work; results are measured as upstream simulates."""
    episodes: int = 50
    """Evaluation episodes; 0 leaves the evaluation out."""
    validate: bool = False
    """Evaluate on the seeds for choosing between rewards, not on those that results are reported on."""
    out: Path = Path("runs")
    """Where run folders are made."""
    no_video: bool = False
    """Do not film the first episodes of the evaluation."""
    json: bool = False
    """Print the result as JSON."""

    def run(self) -> int:
        _not_below(0, self.episodes)
        run, config = self._resumed() if self.resume else self._begun()
        say(f"run       {run.path}")
        resume, video = self.resume is not None, not self.no_video
        return _train_and_measure(run, config, resume, self.episodes, video, self.json, validate=self.validate)

    def _begun(self) -> tuple[Run, TrainConfig]:
        import sims
        from rewards.weights import read_weights
        from robot_learn import loops
        from robot_learn.runs import Run
        from robot_learn.train_config import preset

        if self.task is None or self.reward is None:
            raise UserError("train wants a TASK and --reward FILE|expert|sparse, or --resume RUN")
        changes = _given(
            total_steps=self.steps, num_envs=self.num_envs, seed=self.seed, stop_at_success=self.stop_at_success
        )
        source = None if self.source is None else Run.open(self.source)
        if source is None and self.fresh_critic:
            raise UserError("--fresh-critic is for --from RUN: without it everything is fresh")
        if source is None:
            config = preset(self.algorithm or "ppo", **changes)
        else:
            config = loops.train_config(source, algorithm=self.algorithm, **changes)
        run = loops.begin(
            sims.task(self.task),
            self.reward,
            config,
            self.out,
            randomise=_table(self.randomise),
            simulator=_given(assets=self.assets, device=self.device, variant=self.variant),
            quick=self.quick,
            weights=None if self.weights is None else read_weights(self.weights),
            source=source,
            critic="fresh" if self.fresh_critic else "kept",
        )
        return run, loops.train_config(run)

    def _resumed(self) -> tuple[Run, TrainConfig]:
        from robot_learn import loops
        from robot_learn.runs import Run

        assert self.resume is not None
        run = Run.open(self.resume)
        if self.task not in (None, run.config["task"]):
            raise UserError(f"run {run.path} is of {run.config['task']}, not of {self.task}")
        if self.reward is not None:
            raise UserError(f"run {run.path} keeps the reward that it was begun with: leave --reward out")
        if self.randomise is not None:
            raise UserError(f"run {run.path} keeps the parameter ranges that it was begun with: leave --randomise out")
        if self.weights is not None or self.source is not None or self.fresh_critic:
            raise UserError(f"run {run.path} keeps what it was begun with: leave --weights, --from, --fresh-critic out")
        if _given(assets=self.assets, device=self.device, variant=self.variant) or self.quick:
            raise UserError(f"run {run.path} keeps its simulator: leave --assets, --device, --variant and --quick out")
        changes: dict[str, Any] = {
            "algorithm": self.algorithm,
            "total_steps": self.steps,
            "num_envs": self.num_envs,
            "seed": self.seed,
            "stop_at_success": self.stop_at_success,
        }
        return run, loops.train_config(run, **changes)


@dataclass(frozen=True)
class Evaluate:
    """Measure a run's policy on seeds that training never saw, and write its video and report anew."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The folder of a run."""
    episodes: int = 50
    """Evaluation episodes."""
    no_video: bool = False
    """Do not film the first episodes."""
    json: bool = False
    """Print the result as JSON."""

    def run(self) -> int:
        from robot_learn import loops
        from robot_learn.runs import Run

        _not_below(1, self.episodes)
        run = Run.open(self.folder)
        _show(run, loops.evaluate_run(run, episodes=self.episodes, video=not self.no_video), self.json)
        return 0


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _table(path: Path | None) -> dict[str, Any] | None:
    from sims.ranges import read_table

    return None if path is None else read_table(path)


def _not_below(least: int, episodes: int) -> None:
    if episodes < least:
        raise UserError(f"--episodes {episodes}: wanted {least} or more")


def _train_and_measure(
    run: Run,
    config: TrainConfig,
    resume: bool,
    episodes: int,
    video: bool,
    as_json: bool,
    *,
    validate: bool = False,
) -> int:
    from robot_learn import loops
    from robot_learn.envs import EVAL_SEED0, VALIDATION_SEED0

    go_on = f"go on with: robot-learn train --resume {run.path}"
    try:
        result = loops.train_run(run, config, resume=resume)
    except KeyboardInterrupt:
        say(f"stopped at once; {go_on}")
        return 130
    if result.interrupted:
        say(f"interrupted at {result.steps:,} steps; {go_on}")
        return 130
    say(f"trained   {result.steps:,} steps in {result.seconds:.0f} s")
    if not episodes:
        if as_json:
            put_json({"run": str(run.path), **asdict(result)})
        return 0
    try:
        first_seed = VALIDATION_SEED0 if validate else EVAL_SEED0
        _show(run, loops.evaluate_run(run, episodes=episodes, video=video, first_seed=first_seed), as_json)
    except KeyboardInterrupt:
        say(f"interrupted; the policy is trained, measure it with: robot-learn evaluate {run.path}")
        return 130
    return 0


def _show(run: Run, evaluation: Evaluation, as_json: bool) -> None:
    from robot_learn.runs import EVALUATION, REPORT, VIDEO

    if as_json:
        put_json({"run": str(run.path), **evaluation.to_json()})
        return
    low, high = evaluation.success_interval
    put(
        f"success   {evaluation.success_rate:.0%} of {len(evaluation.episodes)} held-out episodes "
        f"(95 % interval {low:.0%} to {high:.0%}); {evaluation.success_at_end_rate:.0%} hold it to the end"
    )
    if run.read_json(EVALUATION).get("no_video"):
        put(f"video     none: {run.read_json(EVALUATION)['no_video']}")
    else:
        put(f"video     {run.file(VIDEO)}")
    put(f"report    {run.file(REPORT)}")
