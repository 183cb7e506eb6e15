"""The loops that join everything: a sentence becomes a program, a program a policy, a policy a measured result."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import sims
from rewards.language import WrittenReward, build_prompt, converse
from rewards.models import Budget, connect
from rewards.program import Program, check, language_reference
from robot_learn import checkpoint, runs
from robot_learn.envs import EVAL_SEED0, first_train_seed
from robot_learn.errors import UserError, nearest
from robot_learn.evaluation import Evaluation, evaluate
from robot_learn.examples import few_shot_prompt
from robot_learn.imitation.worlds import blinded
from robot_learn.policy import load_policy
from robot_learn.progress import Progress, progress_display
from robot_learn.relabel import Recorder
from robot_learn.report import gather, write_report
from robot_learn.runs import Run
from robot_learn.train_config import TrainConfig
from robot_learn.training import TrainResult, train
from robot_learn.types import Task
from robot_learn.video import episode_frames, frame_timing, write_video

BUILT_IN = ("expert", "sparse")  # rewards that the simulator computes itself
EVALUATION_WORLDS = 50
FILMED_EPISODES = (0, 1, 2)  # the first ones, however they went
VIDEO_SIZE = (480, 360)


def write_program(
    task: Task,
    *,
    model: str = "recordings",
    sample: int = 0,
    max_repairs: int = 3,
    temperature: float | None = None,
    record: Path | None = None,
    cache: Path | None = None,
    max_tokens: int = 1_000_000,
    transcripts: Path | None = None,
    examples: int = 0,
    library: Path | None = None,
    embedding: str = "minilm",
) -> WrittenReward[Program]:
    """Have a language model write the reward program of a task from its instruction and its schema.

    With `examples` it also sees that many solved tasks: those most like this one, by `embedding`, in the library that
    comes with the package and in `library`, or those that a recorded prompt has.

    Raises:
        UserError: the model cannot be asked, there are not that many examples, or no reply passed the check.
    """
    client = connect(model, record=record, cache=cache, budget=Budget(max_tokens=max_tokens))
    if examples:
        prompt = few_shot_prompt(task, client, examples, sample=sample, library=library, embedding=embedding)
    else:
        prompt = build_prompt(task, language_reference())
    return converse(
        task,
        prompt,
        client,
        check=lambda text: check(text, task),
        max_repairs=max_repairs,
        sample=sample,
        temperature=temperature,
        folder=transcripts,
    )


def read_program(path: Path, task: Task) -> Program:
    """The checked program of a file.

    Raises:
        UserError: there is no such file, or it is no program for this task.
    """
    if path.exists() and not (path.is_file() and path.stat().st_size <= 1_000_000):
        raise UserError(f"reward {str(path)!r} is no text file of a program's size")
    try:
        return check(path.read_text(encoding="utf-8"), task)
    except FileNotFoundError:
        raise UserError(f"reward {str(path)!r}: there is no such file") from None
    except (UnicodeDecodeError, OSError) as error:
        raise UserError(f"reward {str(path)!r} is no text file: {error}") from error


def find_program(source: str, task_name: str | None) -> Program:
    """A program by what a person names: a file, with the task that it is for, or a task with a recorded program.

    Raises:
        UserError: the task of a file is missing or another than that of the source, or there is no such program.
    """
    if not Path(source).is_file():
        if task_name not in (None, source):
            raise UserError(f"{source!r} is no file of a program; of a recorded one the task alone says enough")
        return write_program(sims.task(source)).program
    if task_name is None:
        raise UserError(f"--task: wanted the task that {source} is for")
    return read_program(Path(source), sims.task(task_name))


def begin(
    task: Task,
    reward: str | WrittenReward[Program],
    config: TrainConfig,
    out: Path,
    *,
    randomise: Mapping[str, Any] | None = None,
    simulator: Mapping[str, Any] | None = None,
    quick: bool = False,
    name: str | None = None,
    weights: Mapping[str, float] | None = None,
    source: Run | None = None,
    critic: checkpoint.Critic = "kept",
) -> Run:
    """A run folder for a training, with its reward in it: a written one, a program's file, "expert" or "sparse".

    `randomise` is a table of parameter ranges to train with; `simulator` holds options of the task's family, such as
    ManiSkill's `assets` and `device`; a `quick` training is simulated less exactly, which its results never are. `name`
    is that of the folder in `out` where it shall not say task, time and seed. `weights` of the program's terms, by
    name, are kept beside the program, which stays as it was written. The run begins with networks, normaliser and
    replay of `source`, where there is one, and with its `critic` or a fresh one.
    """
    first_train_seed(config.seed, config.num_envs)  # before there is a folder
    if quick and not task.name.startswith("mujoco/"):
        raise UserError(f"{task.name} is only simulated in the exact way: quick trainings are of tasks mujoco/...")
    if randomise is not None or simulator or quick:
        sims.make(task.name, randomise=randomise, **(simulator or {}), **_quickly(quick)).close()
    if isinstance(reward, str):
        if reward not in BUILT_IN and not Path(reward).exists():
            close = nearest(reward, BUILT_IN)
            hint = f"did you mean {close!r}? " if close else ""
            raise UserError(f"reward {reward!r}: there is no such file; {hint}wanted a program file, expert or sparse")
        program = None if reward in BUILT_IN else read_program(Path(reward), task)
        kind = reward if program is None else "program"
    else:
        program, kind = reward.program, "program"
    weighted = _weighted(program, weights or {})
    start = None
    if source is not None:
        start = _start(source, task, config, critic, program)
        if config.algorithm == "sac":
            config = replace(config, learning_starts=0)  # there is a replay to learn from
    asked: dict[str, Any] = {"reward": kind, "train": asdict(config)}
    asked |= {"weights": weighted} if weighted else {}
    if source is not None and start is not None:
        asked["from"] = {"run": str(source.path), "steps": start["steps"], "critic": critic}
    asked |= {name: dict(given) for name, given in (("randomise", randomise), ("simulator", simulator)) if given}
    asked |= {"quick": True} if quick else {}
    run = Run.create(out, task=task.name, seed=config.seed, config=asked, name=name)
    if not isinstance(reward, str):
        reward.save(run.path)
    elif program is not None:
        run.write_text(runs.REWARD, program.text)
    if start is not None:
        checkpoint.save(start, run.file(runs.START))
    return run


def _weighted(program: Program | None, weights: Mapping[str, float]) -> dict[str, float]:
    """The weights that change something; checked."""
    if weights and program is None:
        raise UserError("weights are of a program's terms: the simulator's own rewards, expert and sparse, have none")
    known = program.with_weights(weights).weights if program is not None else {}
    return {name: weight for name, weight in known.items() if weight != 1.0}


# What networks and replay have been shaped by.
_SHAPED = ("algorithm", "num_envs", "hidden", "normalise_observations")


def _start(
    source: Run, task: Task, config: TrainConfig, critic: checkpoint.Critic, program: Program | None
) -> dict[str, Any]:
    """What a new run takes over from another.

    Raises:
        UserError: it was of another task or other settings, was not trained, or its replay cannot be relabelled.
    """
    if source.config["task"] != task.name:
        raise UserError(f"run {source.path} is of {source.config['task']}, not of {task.name}")
    before = train_config(source)
    shaped = (*_SHAPED, "buffer_size") if config.algorithm == "sac" else (*_SHAPED, "noise_steps")
    for name in shaped:
        was, now = getattr(before, name), getattr(config, name)
        if was != now:
            raise UserError(f"run {source.path} was trained with {name} {was}: what it has learned does not fit {now}")
    if config.algorithm == "sac" and program is None:
        raise UserError("a replay is relabelled by a reward program: expert and sparse only the simulator can compute")
    if not source.has(runs.CHECKPOINT):
        raise UserError(f"run {source.path} was not trained yet: it has no {runs.CHECKPOINT}")
    state = checkpoint.load(source.file(runs.CHECKPOINT))
    try:
        return checkpoint.start_of(state, critic)
    except UserError as error:
        raise UserError(f"run {source.path}: {error}") from error


def train_config(run: Run, **changes: Any) -> TrainConfig:
    """The settings that a run was begun with, with changes where they are not None."""
    stored = dict(run.config.get("train", {})) | {name: value for name, value in changes.items() if value is not None}
    if "hidden" in stored:
        stored["hidden"] = tuple(stored["hidden"])
    try:
        return TrainConfig(**stored)
    except TypeError as error:
        raise UserError(f"{run.file(runs.CONFIG)}: settings of another version: {error}") from error


def _quickly(quick: bool) -> dict[str, Any]:
    """Of the simulator's options, the one for a quick training."""
    return {"exact": False} if quick else {}


def environment(
    run: Run, num_envs: int, *, randomise: Mapping[str, Any] | None = None, quick: bool = False
) -> sims.BatchEnv:
    """The run's task under the run's reward."""
    task, reward, options = sims.task(run.config["task"]), run.config.get("reward"), run.config.get("simulator", {})
    if reward not in BUILT_IN:
        # Where a GPU simulates, the scene is tensors on it.
        on_host = options.get("device", "cpu") == "cpu"
        program = check(run.read_text(runs.REWARD), task).with_weights(run.config.get("weights", {}))
        reward = program.compile("numpy" if on_host else "auto")
    env = sims.make(task.name, num_envs, reward=reward, randomise=randomise, **options, **_quickly(quick))
    if run.config.get("blind"):  # what learns from a video is not told when the task was done
        env.worlds = blinded(env.worlds, run.config)
    return env


def train_run(run: Run, config: TrainConfig, *, resume: bool = False, quiet: bool = False) -> TrainResult:
    """Train a run's policy, with progress on the standard error unless `quiet`.

    Raises:
        UserError: the run is resumed with other settings, with another reward program or other weights of its terms,
            than it was begun with.
    """
    stored = run.config
    env = environment(run, config.num_envs, randomise=stored.get("randomise"), quick=stored.get("quick", False))
    if config.algorithm == "sac" and env.reward_fn is not None:
        env.reward = Recorder(env.reward_fn)  # the replay keeps scenes, so that it can be relabelled
    if run.has(runs.REWARD):
        program = {"sha256": hashlib.sha256(run.read_text(runs.REWARD).encode()).hexdigest()}
        run.settle("program", program | _given_weights(run))
    display: AbstractContextManager[Callable[[Progress], None] | None]
    display = nullcontext() if quiet else progress_display()
    try:
        with display as show:
            return train(env, run, config, resume=resume, on_progress=show)
    finally:
        env.close()


def _given_weights(run: Run) -> dict[str, Any]:
    return {"weights": run.config["weights"]} if run.config.get("weights") else {}


def evaluate_run(run: Run, *, episodes: int = 50, video: bool = True, first_seed: int = EVAL_SEED0) -> Evaluation:
    """Measure a run's policy on seeds that training never saw, and write evaluation, video and report.

    Whoever chooses between runs by the result measures from VALIDATION_SEED0 on, and the chosen one once more here.

    The worlds are the nominal ones, also where training randomised them: `robot-learn sweep` measures the others.
    A machine that cannot render loses only the video; the reason is in the run's evaluation.
    """
    task = sims.task(run.config["task"])
    env = environment(run, min(EVALUATION_WORLDS, episodes))
    stride, fps = frame_timing(task.control_dt)
    filmed: tuple[int, ...] = FILMED_EPISODES if video else ()
    no_video = None if video else "not asked for"
    try:
        if filmed:
            try:
                env.reset(seed=0)
                env.render_world(0, *VIDEO_SIZE)
            except UserError as error:
                filmed, no_video = (), str(error)
        evaluation, traces = evaluate(
            env,
            load_policy(run),
            episodes=episodes,
            first_seed=first_seed,
            trace=FILMED_EPISODES[:1],
            video=filmed,
            frame_stride=stride,
            frame_size=VIDEO_SIZE,
        )
    finally:
        env.close()
    run.write_json(runs.EVALUATION, evaluation.to_json() | {"no_video": no_video})
    run.write_json(runs.TRACE, traces[0].to_json(task.control_dt))
    run.write_json(runs.TRACES, [traces[number].to_json(task.control_dt) for number in sorted(traces)])
    if filmed:
        frames = [frame for number in sorted(traces) for frame in episode_frames(traces[number], fps)]
        write_video(run.file(runs.VIDEO), frames, fps)
    write_report(run, gather(run, instruction=task.instruction, command=command_of(run)))
    return evaluation


def command_of(run: Run) -> str:
    """The command line that repeats a run."""
    stored = run.config
    words = ["robot-learn"]
    if "offline" in stored:
        asked = stored["offline"]
        given = [f"--{name}={asked[name]}" for name in ("algorithm", "seeds", "updates")]
        return shlex.join([*words, "offline", asked["dataset"], *given])
    if "model" in stored:
        words += ["run", stored["task"], "--model", stored["model"], "--sample", str(stored["sample"])]
        for name in ("examples", "library", "embedding"):
            words += [f"--{name}", str(stored[name])] if name in stored else []
    else:
        reward = stored.get("reward", "program")
        words += ["train", stored["task"], "--reward", reward if reward in BUILT_IN else str(run.file(runs.REWARD))]
    defaults, settings = asdict(TrainConfig()), stored.get("train", {})
    for name in ("algorithm", "total_steps", "num_envs", "seed"):
        if name in settings and settings[name] != defaults[name]:
            words += [f"--{name.replace('_', '-').removeprefix('total-')}", str(settings[name])]
    for name, value in stored.get("simulator", {}).items():
        words += [f"--{name}", str(value)]
    words += ["--quick"] if stored.get("quick") else []
    if "weights" in stored:
        words += ["--weights", str(run.file(runs.CONFIG))]
    if "from" in stored:
        words += ["--from", stored["from"]["run"]]
        words += ["--fresh-critic"] if stored["from"]["critic"] == "fresh" else []
    if "randomise" in stored:
        words += ["--randomise", str(run.file(runs.CONFIG))]
    return shlex.join(words)
