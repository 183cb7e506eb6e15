"""`robot-learn gallery`: a page with a picture of every task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from robot_learn.cli.output import put, say
from robot_learn.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from robot_learn.types import Task
    from sims.env import BatchEnv

SEED = 7
WIDTH, HEIGHT = 320, 240
PLAYED_STEPS = 60  # of a scripted controller, at most a third of an episode
RANDOM_STEPS = 10  # where there is none
JPEG_QUALITY = 80
_INTRO = """\
# The tasks

{count} tasks, each a scene, an instruction and a measured success. `robot-learn tasks TASK` prints a scene as a
language model sees it; `robot-learn gallery` writes this page anew. A picture is taken after some steps of the task's
scripted controller, or of random actions where it has none.
"""


@dataclass(frozen=True)
class Gallery:
    """Picture every task and write the page that shows them."""

    out: Path = Path("docs")
    """Where gallery.md and the folder gallery/ are written."""
    tasks: Annotated[tuple[str, ...], tyro.conf.arg(metavar="TASK ...", help_behavior_hint="")] = ()
    """Tasks to picture anew; by default all. The page lists all in any case."""

    def run(self) -> int:
        import sims

        chosen = [sims.task(name).name for name in self.tasks or sims.TASKS]
        pictures = self.out / "gallery"
        pictures.mkdir(parents=True, exist_ok=True)
        missing: dict[str, str] = {}
        for number, name in enumerate(chosen, start=1):
            say(f"{number}/{len(chosen)}  {name}")
            try:
                save(show(name), pictures / file_name(name))
            except UserError as error:
                missing[name] = str(error)
                say(f"  no picture: {error}")
        page = self.out / "gallery.md"
        page.write_text(markdown([sims.task(name) for name in sims.TASKS], pictures, missing), encoding="utf-8")
        put(f"{page}: {len(sims.TASKS)} tasks, {len(chosen) - len(missing)} pictures taken")
        return 0


def show(name: str) -> np.ndarray:
    """A picture (HEIGHT, WIDTH, 3) uint8 of a task in the midst of an episode, the same at every call.

    Raises:
        UserError: it cannot be simulated or drawn on this machine.
    """
    import sims

    env = sims.make(name, 1, autoreset=False, threads=1)
    try:
        play(env)
        return env.render_world(0, WIDTH, HEIGHT)
    finally:
        env.close()


def play(env: BatchEnv) -> None:
    """Some steps of the scripted controller, or of random actions; no further than the end of the episode."""
    import numpy as np

    import sims

    observations, _ = env.reset(seed=SEED)
    rng, space = np.random.default_rng(SEED), env.single_action_space
    try:
        controller, steps = sims.scripted(env.task.name, 1), min(PLAYED_STEPS, env.task.max_episode_steps // 3)
    except UserError:
        controller, steps = None, RANDOM_STEPS
    for _ in range(steps):
        drawn = rng.uniform(space.low, space.high)[None]
        actions = drawn if controller is None else controller(env.scene, observations)
        observations, _, terminated, truncated, _ = env.step(actions.astype(space.dtype))
        if terminated[0] or truncated[0]:
            return


def save(picture: np.ndarray, path: Path) -> None:
    """A small JPEG."""
    from imageio.v3 import imwrite

    imwrite(path, picture, extension=".jpg", quality=JPEG_QUALITY, optimize=True)


def file_name(task_name: str) -> str:
    return task_name.replace("/", "-") + ".jpg"


def markdown(tasks: Sequence[Task], pictures: Path, missing: dict[str, str]) -> str:
    """The page: a table a family, with the pictures that the folder `pictures` has."""
    parts = [_INTRO.format(count=len(tasks))]
    for family in dict.fromkeys(task.name.partition("/")[0] for task in tasks):
        own = [task for task in tasks if task.name.startswith(f"{family}/")]
        rows = [_row(task, pictures, missing.get(task.name)) for task in own]
        parts.append(f"## {family}\n\n| | |\n|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _row(task: Task, pictures: Path, reason: str | None) -> str:
    file = pictures / file_name(task.name)
    if file.exists():
        picture = f'<img src="{pictures.name}/{file.name}" width="{WIDTH}" alt="{task.name}">'
    else:
        picture = "no picture" + (f": {reason}" if reason else "")
    components = "1 action component" if task.act_dim == 1 else f"{task.act_dim} action components"
    length = f"{task.max_episode_steps} steps of {task.control_dt:g} s, {components}"
    told = f"**`{task.name}`**<br>{task.instruction}<br>{length}<br>success: `{success_file(task.name)}`"
    return f"| {_cell(picture)} | {_cell(told)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def success_file(task_name: str) -> str:
    """Where the function stands that decides success."""
    import sims

    family, _, name = task_name.partition("/")
    if family == "maniskill":
        from sims.maniskill.tables import spec_of

        spec = spec_of(name)
        if spec.success is None:
            return f"{spec.module}: evaluate() of {spec.env_id}"
        return _file(spec.success)
    if family == "metaworld":
        return "sims/metaworld/tasks.py"
    env = sims.make(task_name, 1, threads=1)
    env.close()
    return _file(getattr(env.worlds, "definition").success)  # noqa: B009 - only worlds of a `MujocoTask` have it


def _file(function: Any) -> str:
    while isinstance(function, partial):
        function = function.func
    return f"{function.__module__.replace('.', '/')}.py"
