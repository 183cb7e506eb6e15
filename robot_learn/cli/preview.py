"""`robot-learn reward preview`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from robot_learn.cli.output import OptionalInt, OptionalPath, OptionalText, make_folder, put, put_json, say
from robot_learn.errors import UserError


@dataclass(frozen=True)
class PreviewReward:
    """Show what a reward program makes the robot do, without training: a planner maximises it on the simulator."""

    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE|TASK")]
    """A program, or a task with a recorded one."""
    task: OptionalText = None
    """The task that a program is for."""
    seconds: float = 15.0
    """Of wall clock; what is planned by then is shown."""
    episodes: int = 1
    """Planned at once, each from a start of its own."""
    steps: OptionalInt = None
    """Of each episode, at most."""
    whole: bool = False
    """Go on to the end of the episode after success."""
    seed: int = 0
    """Of the starts and of the planner."""
    out: OptionalPath = None
    """A folder for preview.mp4, preview.json and terms.svg; without one, nothing is drawn."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        from robot_learn import loops
        from robot_learn.preview import preview

        program = loops.find_program(self.source, self.task)
        task = program.task
        if self.out is not None and self.out.exists() and not self.out.is_dir():
            raise UserError(f"--out {self.out} is a file: wanted a folder")
        if self.out is not None:
            make_folder(self.out)
        say(f"reward    {', '.join(program.term_names)}")
        found = preview(
            task,
            program.compile(),
            seconds=self.seconds,
            episodes=self.episodes,
            steps=self.steps,
            whole=self.whole,
            seed=self.seed,
            frame_size=None if self.out is None else loops.VIDEO_SIZE,
        )
        if self.out is not None:
            found.save(self.out, task)
            say(f"preview   {self.out}")
        if self.json:
            put_json(found.to_json(task))
        else:
            put(found.summary())
        return 0
