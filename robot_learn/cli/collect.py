"""`robot-learn collect`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from robot_learn.cli.output import OptionalInt, OptionalPath, OptionalText, TaskName, put, put_json, say
from robot_learn.errors import UserError

if TYPE_CHECKING:
    from robot_learn.data.graded import Acting, Source
    from robot_learn.data.recording import Watch
    from robot_learn.data.writer import DatasetWriter


@dataclass(frozen=True)
class Collect:
    """Record a graded dataset of a task: random, medium, replay, medium-expert or expert episodes."""

    task: TaskName
    """A task, e.g. metaworld/drawer-open."""
    grade: Literal["random", "medium", "replay", "medium-expert", "expert"] = "random"
    """How good the episodes are. Chance disturbs who acts, as much as it takes; that is measured first."""
    episodes: int = 200
    """In all: asked for more later, a dataset grows."""
    actor: Literal["script", "run", "planner"] = "script"
    """Who acts undisturbed: the task's script, the policy of --run-folder, or a planner that maximises the reward."""
    run_folder: OptionalPath = None
    """The folder of a run, whose policy acts."""
    reward: Literal["expert", "sparse"] = "expert"
    """What steps are paid: by the task's own reward, or 1 at success."""
    steps: OptionalInt = None
    """Of each episode, at most; by default the task's."""
    hold: float = 5.0
    """Steps on average that a random action is held; 1 draws anew each step, which hardly moves an arm."""
    noise: float = 0.0
    """Standard deviation of what is added to undisturbed actions, in half ranges."""
    intended: bool = False
    """Record the actions that the actor meant, not what chance made of them: for imitation, which then sees how one
    comes back from where one should not be. Learners from rewards need the actions that were taken."""
    images: OptionalInt = None
    """Also take a picture of every moment, of so many pixels square."""
    camera: OptionalText = None
    """Of the pictures; by default the task's first."""
    seed: int = 0
    """Of starts and chance."""
    num_envs: int = 8
    """Worlds side by side; the data do not depend on it (with the planner they do)."""
    anchor_episodes: int = 20
    """With which the random and the expert return are measured, and each step of the search for medium."""
    out: OptionalText = None
    """Name of the dataset; by default TASK/GRADE."""
    root: OptionalPath = None
    """Where datasets lie; by default what ROBOT_LEARN_DATA names, or ./datasets."""
    json: bool = False
    """Print the manifest as JSON."""

    def run(self) -> int:
        import sims
        from robot_learn.cli import collecting
        from robot_learn.data import graded, store
        from robot_learn.data.manifest import describe, grown

        _check(self)
        task, settings = sims.task(self.task), _settings(self)
        shape: dict[str, Any] = {"images": self.images, "camera": self.camera, "planned": self.actor == "planner"}
        options: dict[str, Any] = {"reward": self.reward, "max_episode_steps": self.steps}
        with collecting.worlds(self.task, self.num_envs, **shape, **options) as (env, watch):
            who = collecting.actor(env, self.actor, self.run_folder, needed=self.grade != "random")
            acting = graded.Acting(env, who, self.hold, self.noise, self.intended)
            settings |= {"max_episode_steps": env.task.max_episode_steps}
            settings |= {"camera": None if self.images is None else self.camera or env.worlds.cameras[0]}
            name = self.out or f"{task.name}/{self.grade}"
            space = env.single_action_space
            with store.DatasetWriter(name, self.root, task=task.name, settings=settings, action_space=space) as writer:
                say(f"dataset   {writer.folder}")
                if writer.num_episodes:
                    say(f"resuming  {writer.num_episodes} episodes are there")
                mixed = _grade(self, acting, writer)
                interrupted = _record(self, acting, mixed, writer, watch)
        if writer.num_episodes == 0:
            say("interrupted before the first episode ended")
            return 130
        told = describe(store.load(writer.name, self.root, in_memory=0))
        writer.tell(**grown(writer.manifest, told))
        _report(self, writer)
        if interrupted:
            say("interrupted: all episodes that had ended are kept; the same command goes on")
        return 130 if interrupted else 0


def _check(command: Collect) -> None:
    if command.episodes < 1 or command.anchor_episodes < 1 or command.num_envs < 1:
        raise UserError("--episodes, --anchor-episodes and --num-envs: wanted 1 or more each")
    if command.images is not None and command.images < 8:
        raise UserError(f"--images {command.images}: wanted 8 pixels or more")


def _settings(command: Collect) -> dict[str, Any]:
    """What all episodes of a dataset share; to go on with other settings is an error."""
    from robot_learn.cli.collecting import hash_of_policy
    from robot_learn.data.manifest import GENERATOR, VERSION

    names = ("grade", "actor", "reward", "hold", "noise", "images", "seed")
    settings = {"generator": GENERATOR, "generator_version": VERSION} | {name: getattr(command, name) for name in names}
    settings |= {"intended": True} if command.intended else {}
    settings["policy"] = None if command.run_folder is None else hash_of_policy(command.run_folder)
    return settings | ({"num_envs": command.num_envs} if command.actor == "planner" else {})


def _grade(command: Collect, acting: Acting, writer: DatasetWriter) -> tuple[Source, ...]:
    """What the dataset is mixed of; what has to be measured for that is measured once and kept."""
    from robot_learn.data import graded
    from robot_learn.data.manifest import Anchor, origin

    task: Any = acting.env.task
    if "anchors" not in writer.manifest:
        anchors = _anchors(command, acting)
        told = {"anchors": {name: anchor.to_json() for name, anchor in anchors.items()}, "grade": command.grade}
        writer.tell(**told, **origin(), instruction=task.instruction, control_dt=task.control_dt)
    anchors = {name: Anchor(**stored) for name, stored in writer.manifest["anchors"].items()}
    if command.grade not in ("random", "expert") and "medium" not in writer.manifest:
        writer.tell(medium=graded.medium(acting, anchors, command.anchor_episodes, say))
    mixed = graded.sources(command.grade, writer.manifest.get("medium", {}).get("epsilon"))
    first = command.seed * graded.EPISODES_PER_SEED
    writer.tell(mixed_of={each.name: {"epsilon": each.epsilon} for each in mixed}, seeds={"first": first})
    return mixed


def _anchors(command: Collect, acting: Acting) -> dict[str, Any]:
    """Random and expert, where somebody is expert; chance draws anew at each step here, whatever --hold says."""
    from robot_learn.data import actors, graded

    say(f"anchors   {command.anchor_episodes} episodes each")
    steady = graded.Acting(acting.env, acting.actor)
    found = {"random": steady.measure(1.0, command.anchor_episodes, graded.ANCHOR_SEED0, "random")}
    if acting.actor is not actors.nobody:
        found["expert"] = steady.measure(0.0, command.anchor_episodes, graded.ANCHOR_SEED0, command.actor)
    for name, anchor in found.items():
        say(f"{name:<9} return {anchor.mean_return:.4g}, success {anchor.success_rate:.0%}")
    return found


def _record(
    command: Collect, acting: Acting, mixed: tuple[Source, ...], writer: DatasetWriter, watch: Watch | None
) -> bool:
    """All episodes that are still wanted; True where Ctrl-C ended it."""
    import numpy as np

    from robot_learn.data import graded
    from robot_learn.progress import Progress, progress_display

    begun, steps, first, total = time.monotonic(), 0, writer.num_episodes, command.episodes
    returns: list[float] = []
    successes: list[bool] = []
    try:
        with progress_display() as show:
            rounds = graded.collect(acting, mixed, seed=command.seed, begin=first, episodes=total, watch=watch)
            for number, recorded in enumerate(rounds):
                for episode in recorded:
                    writer.add(episode)
                    steps += len(episode)
                    returns.append(float(episode.rewards.sum()))
                    successes.append(bool(episode.success.any()))
                seconds, done = time.monotonic() - begun, max(1, writer.num_episodes - first)
                expected, left = round(steps / done * (total - first)), seconds / done * (total - first - done)
                rate, mean = float(np.mean(successes[-100:])), float(np.mean(returns[-100:]))
                show(Progress(steps, expected, number, rate, mean, steps / seconds, left))
    except KeyboardInterrupt:
        return True
    return False


def _report(command: Collect, writer: DatasetWriter) -> None:
    from robot_learn.cli.data import manifest_text

    if command.json:
        put_json({"dataset": writer.name, **writer.manifest})
    else:
        put(manifest_text(writer.name, writer.manifest))
