"""What was seen, in simulation or on an arm: every field of the scene over many steps, from wherever it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import sims
from robot_learn.data import store
from robot_learn.deployment.episodes import STEPS, read_steps
from robot_learn.deployment.steering import from_policy
from robot_learn.envs import PREVIEW_SEED0
from robot_learn.errors import UserError
from robot_learn.policy import load_policy
from robot_learn.runs import CONFIG, Run

EPISODES = 20  # that are simulated of a policy whose scenes are asked for
_SEED0 = PREVIEW_SEED0 + 2**22 + 2**21  # apart from those of previews and of probes


@dataclass(frozen=True, eq=False)
class Samples:
    """The scenes of one source. `columns` are the numbers of every field, by name: "robot.tcp_position z"."""

    name: str
    kind: str  # "simulation", "arm" or "dataset"
    task: str
    episodes: int
    columns: dict[str, np.ndarray]  # each (n,), n the number of steps
    vector: np.ndarray  # (n, obs_dim) the policy's observations

    @property
    def numbers(self) -> int:
        return len(self.vector)


def read(source: str, root: Path | None = None, *, episodes: int = EPISODES) -> Samples:
    """The scenes of a deployment session, of a training run's policy in simulation, of `script:TASK`, or of a dataset.

    Of a dataset only the observation vectors are known, so that it has no columns.

    Raises:
        UserError: it is none of these, or it has no steps.
    """
    folder = Path(source)
    if source.startswith("script:"):
        return _simulated(source, source.removeprefix("script:"), None, episodes)
    if (folder / CONFIG).is_file():
        run = Run.open(folder)
        if "deployment" in run.config:
            return _recorded(source, run)
        return _simulated(source, str(run.config["task"]), run, episodes)
    dataset = store.load(source, root, in_memory=0)
    return Samples(source, "dataset", dataset.task, dataset.num_episodes, {}, dataset.observations)


def _recorded(source: str, run: Run) -> Samples:
    folders = [path.parent for path in sorted(run.path.glob(f"episode-*/{STEPS}"))]
    steps = [line for folder in folders for line in read_steps(folder) if "step" in line]
    if not steps:
        raise UserError(f"{run.path} is a session on an arm without a step")
    schema = sims.task(str(run.config["task"])).schema
    values = {name: np.array([step["scene"][name] for step in steps]) for name in schema.names}
    vector = np.array([step["vector"] for step in steps])
    return Samples(source, "arm", str(run.config["task"]), len(folders), _columns(values), vector)


def _simulated(source: str, task: str, run: Run | None, episodes: int) -> Samples:
    rows: dict[str, list[np.ndarray]] = {}
    vectors = []
    with closing(sims.make(task, episodes)) as env:
        act = sims.scripted(task, episodes) if run is None else from_policy(load_policy(run))
        observation, _ = env.reset(seed=_SEED0)
        over = np.zeros(episodes, dtype=bool)
        for _ in range(env.task.max_episode_steps):
            for name in env.task.schema.names:
                rows.setdefault(name, []).append(np.asarray(env.scene[name])[~over])
            vectors.append(observation[~over])
            observation, _, terminated, truncated, info = env.step(act(env.scene, observation))
            # An arm is stopped where its task is achieved; what a policy does after that is no part of it.
            over |= np.asarray(info["success"]) | terminated | truncated
            if over.all():
                break
    values = {name: np.concatenate(seen) for name, seen in rows.items()}
    return Samples(source, "simulation", task, episodes, _columns(values), np.concatenate(vectors))


def _columns(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A column a number; components are named x, y, z or w, x, y, z, or counted from 1."""
    found = {}
    for name, rows in values.items():
        if rows.ndim == 1:
            found[name] = rows
            continue
        names: Sequence[str] = {3: "xyz", 4: "wxyz"}.get(rows.shape[1]) or [str(i + 1) for i in range(rows.shape[1])]
        found |= {f"{name} {part}": rows[:, i] for i, part in enumerate(names)}
    return found
