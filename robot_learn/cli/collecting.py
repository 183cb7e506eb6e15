"""What `robot-learn collect` joins: worlds with pictures, and who acts in them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import sims
from controllers.mppi import Mppi, MppiConfig, MppiPolicy
from robot_learn.data import actors
from robot_learn.data.actors import Actor
from robot_learn.data.recording import Watch
from robot_learn.errors import UserError, unknown
from robot_learn.policy import load_policy
from robot_learn.preview import quick_to_restore, settings
from robot_learn.runs import POLICY, Run

PLANNER_SAMPLES = 24  # of one plan, for each world


@contextmanager
def worlds(
    task: str, count: int, *, images: int | None, camera: str | None, planned: bool, **options: Any
) -> Iterator[tuple[sims.BatchEnv, Watch | None]]:
    """Worlds of a task, and how to see them after a step but before an automatic reset; None without pictures.

    Raises:
        UserError: there is no such task or camera.
    """
    quick = quick_to_restore(sims.task(task)) if planned else {}
    with closing(sims.make(task, count, **options, **quick)) as env:
        if images is None:
            yield env, None
            return
        if camera is not None and camera not in env.worlds.cameras:
            raise unknown("camera", camera, env.worlds.cameras)
        seen: Any = _Seen(env.worlds, images, camera or env.worlds.cameras[0])
        env.worlds = seen
        yield env, seen.watch


def actor(env: sims.BatchEnv, kind: str, run_folder: Path | None, *, needed: bool) -> Actor:
    """Who acts undisturbed: "script", "run" or "planner"; nobody, where nobody can and it is not `needed`.

    Raises:
        UserError: nobody can, or the run is of another task.
    """
    if (kind == "run") != (run_folder is not None):
        raise UserError("--actor run and --run-folder go together: name the folder of a run")
    if run_folder is not None:
        run = Run.open(run_folder)
        if run.config["task"] != env.task.name:
            raise UserError(f"{run_folder} is a run of {run.config['task']}, not of {env.task.name}")
        return actors.FromPolicy(load_policy(run))
    if kind == "planner":
        return _planner(env)
    try:
        return actors.scripted(sims.scripted(env.task.name, env.num_envs))
    except UserError as error:
        if not needed:
            return actors.nobody
        raise UserError(f"{error}; a trained policy can act (--actor run), or a planner (--actor planner)") from error


def hash_of_policy(run_folder: Path) -> str:
    """sha256 of the policy of a run.

    Raises:
        UserError: it has none.
    """
    path = run_folder / POLICY
    if not path.is_file():
        raise UserError(f"no policy at {path}: train the run first, or resume it")
    return hashlib.sha256(path.read_bytes()).hexdigest()


class _Seen:
    """Worlds that are pictured right after each step: an automatic reset would show the next start instead."""

    def __init__(self, worlds: Any, size: int, camera: str) -> None:
        self._worlds, self._size, self._camera = worlds, size, camera
        self._wanted: np.ndarray | None = None  # (N,) which worlds to look at after a step
        self._pictures: np.ndarray | None = None  # of the last step, until somebody has taken them

    def __getattr__(self, name: str) -> Any:
        return getattr(self._worlds, name)

    def step(self, actions: np.ndarray) -> None:
        self._worlds.step(actions)
        self._pictures = None if self._wanted is None else self._look(self._wanted)

    def watch(self, running: np.ndarray) -> np.ndarray:
        """The pictures after the last step, or now where there was none since the episode began; see `Watch`."""
        pictures = self._look(running) if self._pictures is None else self._pictures
        self._wanted, self._pictures = np.array(running), None
        return pictures

    def _look(self, wanted: np.ndarray) -> np.ndarray:
        chosen = np.flatnonzero(wanted).tolist()
        found = np.zeros((len(wanted), self._size, self._size, 3), dtype=np.uint8)
        found[chosen] = self._worlds.pictures(self._size, self._size, self._camera, chosen)
        return found


def _planner(env: sims.BatchEnv) -> Actor:
    """A planner that maximises the reward on worlds of its own.

    It begins anew with each round, so that a round can be repeated.
    """
    config = settings(env.task)
    if not isinstance(config, MppiConfig):
        raise UserError(f"no planner for {env.task.name}")
    count = env.num_envs * PLANNER_SAMPLES
    imagined = sims.make(env.task.name, count, reward=env.reward, **quick_to_restore(env.task))
    acting: list[Actor] = []

    def act(step: int, scene: Any, observations: np.ndarray) -> np.ndarray:
        if step == 0:
            acting[:] = [actors.FromPolicy(MppiPolicy(env, Mppi(imagined, env.num_envs, config)))]
        return acting[0](step, scene, observations)

    return act
