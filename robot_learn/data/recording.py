"""Episodes of a batch of worlds, recorded: one episode of each world a round, from seeds that are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from robot_learn.data.actors import Actor
from robot_learn.data.trajectory import Trajectory
from robot_learn.envs import BatchEnv

# Pictures (N, height, width, 3) uint8 of all worlds as they were after the last step or reset, before any automatic
# reset; of worlds where the mask (N,) is false they may be anything.
Watch = Callable[[np.ndarray], np.ndarray]


def record(
    env: BatchEnv,
    actor: Actor,
    seeds: Sequence[int],
    sources: Sequence[str],
    watch: Watch | None = None,
    *,
    instead: Callable[[], np.ndarray] | None = None,
) -> list[Trajectory]:
    """The first episode of the first `len(seeds)` worlds; the other worlds only keep the batch full.

    `instead` gives the actions (N, act_dim) that are recorded in place of those that were just taken.
    """
    count = len(seeds)
    # The worlds behind begin like the first one: what they do is recorded nowhere.
    observation, _ = env.reset(seed=[*seeds, *[seeds[0]] * (env.num_envs - count)])
    running = np.arange(env.num_envs) < count
    rows: list[dict[str, Any]] = [{name: [] for name in _KEPT} for _ in seeds]
    _keep(rows, running, observations=observation, images=None if watch is None else watch(running))
    for step in range(env.task.max_episode_steps):
        actions = actor(step, env.scene, observation)
        observation, reward, terminated, truncated, info = env.step(actions)
        seen = (
            np.where(info["_final_obs"][:, None], info["final_obs"], observation)
            if "final_obs" in info
            else observation
        )
        _keep(
            rows,
            running,
            observations=seen,
            actions=actions if instead is None else instead(),
            rewards=reward,
            terminated=terminated,
            success=np.asarray(info["success"]),
            images=None if watch is None else watch(running),
        )
        running = running & ~(terminated | truncated)
        if not running.any():
            break
    return [_joined(row, source, seed) for row, source, seed in zip(rows, sources, seeds, strict=True)]


_KEPT = ("observations", "actions", "rewards", "terminated", "success", "images")


def _keep(rows: list[dict[str, Any]], running: np.ndarray, **values: np.ndarray | None) -> None:
    for world in np.flatnonzero(running):
        for name, value in values.items():
            if value is not None:
                rows[world][name].append(np.array(value[world]))


def _joined(row: dict[str, Any], source: str, seed: int) -> Trajectory:
    return Trajectory(
        observations=np.asarray(row["observations"], dtype=np.float32),
        actions=np.asarray(row["actions"], dtype=np.float32),
        rewards=np.asarray(row["rewards"], dtype=np.float32),
        terminated=np.asarray(row["terminated"], dtype=bool),
        success=np.asarray(row["success"], dtype=bool),
        images=np.asarray(row["images"]) if row["images"] else None,
        source=source,
        seed=int(seed),
    )
