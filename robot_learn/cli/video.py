"""`robot-learn video`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from robot_learn.cli.output import OptionalFloat, OptionalInt, OptionalPath, OptionalText, put, put_json, say, table
from robot_learn.errors import UserError

if TYPE_CHECKING:
    from robot_learn.imitation.loop import Session
    from robot_learn.imitation.state import Imitation

OptionalTask = Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[TASK]")]


@dataclass(frozen=True)
class Video:
    """Learn to move like a video: one model compares, another edits the reward, the best is kept."""

    task: OptionalTask = None
    """The robot, as a task whose scene a reward can read; what the task asks for is told to nobody. Not needed with
    --resume."""
    video: OptionalText = None
    """A video file that OpenCV reads, or a folder of pictures in the order of their names."""
    out: OptionalPath = None
    """The folder of the imitation (runs/video-TASK-NAME); the same command goes on with what was interrupted."""
    resume: OptionalPath = None
    """The folder of an imitation to go on with, as it was begun; models, iterations and budgets may be given anew."""
    undo: bool = False
    """Take the last iteration back, or what was begun of the next one, before all else; with it nothing is run."""
    start: OptionalFloat = None
    """Where the part of the video that counts begins [s]."""
    end: OptionalFloat = None
    """Where it ends [s]."""
    fps: OptionalFloat = None
    """Frames per second, of a folder of pictures."""
    speed: OptionalFloat = None
    """How much faster than life the video plays (1); 0.25 for a slow motion by four."""
    stabilise: bool = False
    """Take the camera's shaking out."""
    model: OptionalText = None
    """Who edits the reward (recordings): recordings[:FOLDER], openai:MODEL, anthropic:MODEL, mailbox:FOLDER."""
    vision_model: OptionalText = None
    """Who looks (the same)."""
    critic: Literal["model", "person"] | None = None
    """With `person`, you look, at this terminal, in place of a model."""
    record: OptionalPath = None
    """A folder to record live replies in, for `--model recordings:FOLDER`."""
    iterations: OptionalInt = None
    """Rewards that are trained in full, the first one included (5)."""
    alternatives: OptionalInt = None
    """Rewards that each iteration tries beside each other (4)."""
    finalists: OptionalInt = None
    """Of them, that are trained in full (1)."""
    screen: Literal["training", "preview", "none"] | None = None
    """How alternatives are tried: a short training of each (the default), a planner, or not."""
    rank: Literal["critic", "wishes"] | None = None
    """Who ranks them: whoever looks (the default), or the figures, by what the critique wished."""
    steps: OptionalInt = None
    """Training steps of a full training (1,000,000)."""
    num_envs: OptionalInt = None
    """Worlds trained in at once (128)."""
    quick: bool = False
    """Train Gymnasium's bodies by Euler's method, a quarter of the work; what is watched is as upstream simulates."""
    seed: OptionalInt = None
    """Of every training (0)."""
    episodes: OptionalInt = None
    """Episodes that are watched of each policy (10)."""
    ungrounded: bool = False
    """No figures in the prompts: only pictures. For comparison."""
    no_gates: bool = False
    """Let what falls or freezes be accepted. For comparison."""
    late_gates: bool = False
    """Rank short trainings as they are: the gates only veto what was trained in full."""
    one_model: bool = False
    """One model looks and edits at once. For comparison."""
    no_keep_best: bool = False
    """Edit the newest reward, whether or not it was better. For comparison."""
    warm: bool = False
    """Trainings go on from the best policy so far, instead of from scratch."""
    max_tokens: OptionalInt = None
    """Budget of the models' tokens (1,000,000)."""
    max_steps: OptionalInt = None
    """Budget of training steps, all together (none)."""
    max_minutes: OptionalFloat = None
    """Budget of time, over all sessions (none)."""
    workers: OptionalInt = None
    """Trainings side by side; by default one a core."""
    json: bool = False
    """Print the result as JSON."""

    def run(self) -> int:
        from robot_learn.imitation.page import write_page

        imitation = self._imitation()
        if self.undo:
            say(f"undone    iteration {imitation.undo().number} of {imitation.folder}")
        else:
            try:
                session(imitation, record=self.record, workers=self.workers).run()
            except KeyboardInterrupt:
                say(f"interrupted; go on with: robot-learn video --resume {imitation.folder}")
                return 130
            finally:
                if imitation.iterations:
                    write_page(imitation)
        if self.json:
            put_json(figures(imitation))
        else:
            show(imitation)
        return 0

    def _imitation(self) -> Imitation:
        from robot_learn.imitation.state import Imitation as Stored
        from robot_learn.imitation.state import ImitationConfig

        given = self._given()
        if self.resume is not None:
            if self.out is not None:
                raise UserError("--out and --resume both name the folder: leave one out")
            return Stored.open(self.resume).changed(given)
        if self.task is None or self.video is None:
            raise UserError("video wants a TASK and --video FILE, or --resume FOLDER")
        name = f"video-{self.task.replace('/', '-')}-{Path(self.video).stem}"
        config = ImitationConfig(**given)
        check_video(config.task, config.video)
        return Stored.begin(self.out or Path("runs") / name, config)

    def _given(self) -> dict[str, Any]:
        from robot_learn.imitation.state import ImitationConfig

        found = {name: getattr(self, name, None) for name in ImitationConfig.__dataclass_fields__}
        found = {name: value for name, value in found.items() if value is not None and value is not False}
        off = {"grounded": self.ungrounded, "gates": self.no_gates}
        off |= {"early_gates": self.late_gates, "split": self.one_model, "keep_best": self.no_keep_best}
        return found | {name: False for name, is_off in off.items() if is_off}


def check_video(task: str, video: str) -> None:
    """Before there is a folder.

    Raises:
        UserError: there is no such task, or its body cannot be watched, or there is no such file.
    """
    import sims
    from robot_learn.imitation import bodies

    bodies.body_of(sims.task(task))
    if not Path(video).exists():
        raise UserError(f"video {video}: there is no such file or folder")


def session(imitation: Imitation, *, record: Path | None = None, workers: int | None = None) -> Session:
    """Who looks, who edits and where trainings run, as an imitation says.

    Raises:
        UserError: a model cannot be connected to.
    """
    import sims
    from rewards.models import Budget, connect
    from robot_learn.imitation.asking import Asker, tokens_in
    from robot_learn.imitation.author import Author
    from robot_learn.imitation.critics import Critic, ModelCritic, PersonCritic
    from robot_learn.imitation.loop import Session as Loop
    from robot_learn.imitation.state import REPLIES
    from robot_learn.launcher import LocalProcesses

    config, task = imitation.config, sims.task(imitation.config.task)
    begun = imitation.place(len(imitation.iterations))
    spent = imitation.tokens + (tokens_in(begun) if begun.exists() else 0)
    budget = Budget(max_tokens=config.max_tokens, input_tokens=spent)

    def asker(spec: str) -> Asker:
        kept = imitation.folder / REPLIES
        client = connect(spec, record=record, cache=kept, budget=Budget(max_tokens=None))
        return Asker(client, budget, config.task)

    critic: Critic = PersonCritic(_line, say)
    if config.critic == "model":
        critic = ModelCritic(asker(config.vision_model or config.model), task)
    author = Author(asker(config.model), task, config.alternatives)
    return Loop(imitation, critic, author, LocalProcesses(workers), say)


def show(imitation: Imitation) -> None:
    """The iterations, what is the best and where it lies."""
    from robot_learn.imitation.state import PAGE

    put(table([_row(imitation, number) for number in range(len(imitation.iterations))]))
    best = imitation.best()
    used = f"{imitation.tokens:,} tokens, {imitation.steps:,} steps, {imitation.seconds / 60:.1f} minutes"
    put(f"\nended     {imitation.ended or 'not yet'}: {used}")
    if best is None:
        put("best      none: nothing passed the gates")
    else:
        place = imitation.place(best.number)
        put(f"best      iteration {best.number}: {place / 'reward.py'}\nvideo     {place / 'video.mp4'}")
        put(f"policy    {place / 'policy.npz'}")
    if (imitation.folder / PAGE).exists():
        put(f"report    {imitation.folder / PAGE}")


def _row(imitation: Imitation, number: int) -> dict[str, Any]:
    each = imitation.iterations[number]
    remark = "; ".join((*each.veto, *each.why)) or each.idea
    return {
        "iteration": str(number),
        "from": "-" if each.parent is None else str(each.parent),
        "verdict": each.verdict,
        "steps": f"{each.steps:,}",
        "edit": each.idea if len(each.idea) <= MOST else each.idea[: MOST - 3] + "...",
        "remark": remark if len(remark) <= MOST else remark[: MOST - 3] + "...",
    }


MOST = 60  # letters of a column


def figures(imitation: Imitation) -> dict[str, Any]:
    """For machines."""
    best = imitation.best()
    return {
        "folder": str(imitation.folder),
        "config": asdict(imitation.config),
        "ended": imitation.ended,
        "used": {"tokens": imitation.tokens, "steps": imitation.steps, "minutes": imitation.seconds / 60},
        "best": None if best is None else {"iteration": best.number, "folder": str(imitation.place(best.number))},
        "iterations": [asdict(each) for each in imitation.iterations],
    }


def _line(question: str) -> str:
    """What a person types.

    Raises:
        UserError: nobody is there to type.
    """
    import sys

    sys.stderr.write(question)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise UserError("nobody answers at this terminal; the same command goes on when somebody does")
    return line.strip()
