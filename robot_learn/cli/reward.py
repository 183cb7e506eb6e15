"""`robot-learn reward write|check|show|record|keep`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from robot_learn.cli.output import OptionalFloat, OptionalPath, TaskName, put, put_json, say, table
from robot_learn.errors import UserError

if TYPE_CHECKING:
    from rewards.language import WrittenReward
    from rewards.program import Program


@dataclass(frozen=True)
class Write:
    """Have a language model write the reward program of a task from its sentence."""

    task: TaskName
    """A task; `robot-learn tasks` lists them."""
    out: OptionalPath = None
    """A folder for reward.py, prompt.txt, reply.txt and provenance.json; without one, the program is printed."""
    model: str = "recordings"
    """Who writes: recordings[:FOLDER], openai:MODEL (any compatible endpoint, OPENAI_BASE_URL), anthropic:MODEL,
    mailbox:FOLDER."""
    sample: int = 0
    """Which of several replies to the same prompt."""
    max_repairs: int = 3
    """How often a program that does not pass the check is handed back."""
    temperature: OptionalFloat = None
    """For live models; without it, the model's own."""
    record: OptionalPath = None
    """A folder to record live replies in, for `--model recordings:FOLDER`."""
    cache: OptionalPath = None
    """A folder of a live model's replies, so that nothing is asked and paid twice."""
    max_tokens: int = 1_000_000
    """How many tokens a live model may use up before it is asked no more."""
    examples: int = 0
    """How many solved tasks, those most like this one, the model is shown; a recorded reply brings its own."""
    library: OptionalPath = None
    """A folder of solved tasks of your own, beside those that come along; see `robot-learn reward keep`."""
    embedding: str = "minilm"
    """What likeness is measured by: minilm (on this machine) or openai:MODEL."""
    json: bool = False
    """Print the program's terms and where it came from as JSON."""

    def run(self) -> int:
        import sims
        from robot_learn import loops

        if self.out is not None and self.out.exists() and not self.out.is_dir():
            raise UserError(f"--out {self.out} is a file: wanted a folder")
        written = loops.write_program(
            sims.task(self.task),
            model=self.model,
            sample=self.sample,
            max_repairs=self.max_repairs,
            temperature=self.temperature,
            record=self.record,
            cache=self.cache,
            max_tokens=self.max_tokens,
            transcripts=self.out,
            examples=self.examples,
            library=self.library,
            embedding=self.embedding,
        )
        say_examples(written)
        if self.out is not None:
            written.save(self.out)
            say(f"written: {self.out / 'reward.py'}")
        if self.json:
            put_json({**_describe(written.program), "provenance": written.provenance()})
        elif self.out is None:
            put(written.text)
        return 0


@dataclass(frozen=True)
class Check:
    """Check a reward program against a task: its terms and their units, or what is wrong and where."""

    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """A program: one function reward(scene, action)."""
    task: str
    """The task that it is for."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        import sims
        from robot_learn import loops

        program = loops.read_program(self.file, sims.task(self.task))
        if self.json:
            put_json(_describe(program))
            return 0
        put(table([{"term": name, "unit": unit} for name, unit in program.term_units.items()]))
        put(f"reads: {', '.join(program.fields_read)}")
        for note in program.notes:
            put(f"note: line {note.line}, column {note.column}: {note.message}; {note.advice}")
        return 0


@dataclass(frozen=True)
class Show:
    """Show a reward program: a recorded one of a task, or that of a run."""

    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK|RUN")]
    """A task, or the folder of a run."""
    prompt: bool = False
    """Show the prompt that a language model gets for the task instead."""
    rounds: bool = False
    """Show the rounds in which a run's reward was refined instead, and write them to a page."""
    json: bool = False
    """With --rounds: print JSON."""

    def run(self) -> int:
        import sims
        from rewards.language import build_prompt
        from rewards.models import transcript
        from rewards.program import language_reference
        from robot_learn import loops, runs

        if self.rounds:
            from robot_learn.cli.refine import show_rounds

            return show_rounds(Path(self.source), as_json=self.json)
        if Path(self.source).is_dir():
            run = runs.Run.open(self.source)
            put(run.read_text(runs.PROMPT if self.prompt else runs.REWARD))
            return 0
        try:
            task = sims.task(self.source)
        except UserError as error:
            raise UserError(f"{self.source!r} is neither the folder of a run nor a task: {error}") from None
        if self.prompt:
            put(transcript(build_prompt(task, language_reference())))
        else:
            put(loops.write_program(task).text)
        return 0


@dataclass(frozen=True)
class Record:
    """Turn the answered prompts of a mailbox into recordings that everybody can replay without a key."""

    mailbox: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """The mailbox: one folder a prompt, with the model's reply in reply.txt."""
    model: str
    """The name of the model that replied."""
    out: Path
    """The folder of recordings to add to."""

    def run(self) -> int:
        from rewards.models import record_mailbox

        for path in record_mailbox(self.mailbox, self.out, model=self.model):
            put(str(path))
        return 0


@dataclass(frozen=True)
class Keep:
    """Keep the program of a finished run as a solved example for other tasks."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The folder of a run that was trained and evaluated."""
    library: OptionalPath = None
    """The folder of examples to add to; by default ROBOT_LEARN_LIBRARY, or one in your home."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        from robot_learn import examples
        from robot_learn.runs import Run

        library = examples.user_library(self.library)
        held, is_new = examples.keep(Run.open(self.folder), library)
        path, measured = library.path(held.task), held.measured
        if self.json:
            put_json({"kept": is_new, "file": str(path), "task": held.task, **asdict(measured)})
            return 0
        told = f"{held.task}: success in {measured.successes} of {measured.episodes} episodes"
        put(f"{'kept' if is_new else 'not kept: the library has one as good'}  {told}  {path}")
        return 0


def say_examples(written: WrittenReward[Program]) -> None:
    """Name the solved tasks that the model saw, where it saw any."""
    for instruction in written.provenance().get("examples", ()):
        say(f"example   {instruction}")


def _describe(program: Program) -> dict[str, Any]:
    return {
        "task": program.task.name,
        "terms": dict(program.term_units),
        "reads": list(program.fields_read),
        "notes": [asdict(note) for note in program.notes],
    }
