"""Few-shot, joined: which solved examples a prompt begins with, and how a finished run becomes one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import sims
from rewards.language import (
    Example,
    Library,
    Measured,
    Origin,
    best,
    build_prompt,
    connect_embedder,
    examples_in,
    load_conversation,
    recorded_prompt,
    retrieve,
    schema_text,
)
from rewards.models import Client, Message, Recordings
from rewards.program import check, language_reference
from robot_learn import runs
from robot_learn.envs import EVAL_SEED0
from robot_learn.errors import UserError
from robot_learn.evaluation import Evaluation
from robot_learn.metrics import read_progress
from robot_learn.runs import Run
from robot_learn.types import Task


def few_shot_prompt(
    task: Task,
    client: Client,
    count: int,
    *,
    sample: int = 0,
    library: Path | None = None,
    embedding: str = "minilm",
) -> tuple[Message, ...]:
    """A task's prompt with `count` solved examples of other tasks before it.

    A recorded reply brings its prompt along, examples included, and is never looked up in a library: libraries grow.
    For everybody else they are retrieved from the library that comes with the package and the user's own.

    Args:
        task: what is to be done.
        client: who will be asked.
        count: how many examples.
        sample: of which a recorded reply is wanted.
        library: the user's own; see `user_library`.
        embedding: what retrieval compares by, "minilm" or "openai:MODEL".

    Raises:
        UserError: there are no such examples, or no such recording.
    """
    if count < 1:
        raise UserError(f"examples {count}: wanted 0 or more")
    if library is not None and not library.is_dir():
        raise UserError(f"library {str(library)!r}: there is no such folder; `robot-learn reward keep RUN` makes one")
    if isinstance(client, Recordings):
        return recorded_prompt(client, task.name, build_prompt(task, language_reference()), count, sample)
    known = best([Library(), user_library(library)])
    return build_prompt(task, language_reference(), retrieve(task, known, count, connect_embedder(embedding)))


def user_library(folder: Path | None = None) -> Library:
    """A user's own library: `folder`, else that of ROBOT_LEARN_LIBRARY, else ~/.local/share/robot-learn/examples."""
    named = os.environ.get("ROBOT_LEARN_LIBRARY")
    default = Path(named) if named else Path.home() / ".local" / "share" / "robot-learn" / "examples"
    return Library(folder or default)


def keep(run: Run, library: Library) -> tuple[Example, bool]:
    """Put a finished run's program into a library: the example of its task there now, and whether it is this one.

    Raises:
        UserError: the run is no example; the message says why.
    """
    example = example_of(run)
    task = sims.task(example.task)
    held = library.add(example, check=lambda text: check(text, task))
    return held, held == example


def example_of(run: Run) -> Example:
    """A finished run as an example of its task, however well it did.

    Raises:
        UserError: the run was not trained on a program of its own, or was not measured on the seeds that results are
            reported on.
    """
    config = run.config
    task = sims.task(config["task"])
    program = _program(run, config)
    if not run.has(runs.EVALUATION):
        raise UserError(f"run {run.path} was not measured: robot-learn evaluate {run.path}")
    episodes = Evaluation.from_json(run.read_json(runs.EVALUATION)).episodes
    if any(episode.seed < EVAL_SEED0 for episode in episodes):
        raise UserError(f"run {run.path} was measured for a choice, on other seeds: robot-learn evaluate {run.path}")
    rows = read_progress(run)
    measured = Measured(
        successes=sum(episode.success for episode in episodes),
        episodes=len(episodes),
        train_seeds=(int(config["seed"]),),
        steps=int(rows[-1]["steps"]) if rows else 0,
    )
    said = run.read_json("provenance.json") if run.has("provenance.json") else {}
    return Example(
        task=task.name,
        instruction=task.instruction,
        schema=schema_text(task),
        program=program,
        measured=measured,
        origin=_origin(run, said),
        model=said.get("model", "unknown"),
        date=said.get("date", ""),
    )


def _program(run: Run, config: dict[str, Any]) -> str:
    """The program that the run was trained on, as it was."""
    if not run.has(runs.REWARD):
        raise UserError(f"run {run.path} was trained on the reward {config.get('reward')!r}, which is no program")
    text = run.read_text(runs.REWARD)
    trained = config.get("program", {}).get("sha256")
    if trained != hashlib.sha256(text.encode()).hexdigest():
        raise UserError(f"run {run.path}: {runs.REWARD} is not the program that was trained on, or none was yet")
    if any(weight != 1.0 for weight in config.get("weights", {}).values()):
        raise UserError(f"run {run.path} was trained with other weights of the terms than its program says")
    return text


def _origin(run: Run, said: dict[str, Any]) -> Origin:
    """How the run's program came about, by the conversation that led to it."""
    if not said:
        return "file"
    conversation = load_conversation(run.path) or ()
    replies = sum(message.role == "assistant" for message in conversation)
    if replies > len(said.get("attempts", ())):
        return "refined"  # the conversation was older than the request that this program answers
    return "few-shot" if examples_in(conversation) else "zero-shot"
