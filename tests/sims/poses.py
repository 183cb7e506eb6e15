"""Poses set by hand: what a task makes of a robot that stands, lies or flies just so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sims import gym
from sims.mujoco_task import MujocoTaskWorlds

Pose = Sequence[float] | np.ndarray
X, Y, Z = range(3)
STANDING = [0, 0, 0.556, 1, 0, 0, 0, 0, 1, 0, -1, 0, -1, 0, 1]  # of the ant


def show(worlds: MujocoTaskWorlds, qpos: Pose, qvel: Pose | float = 0.0) -> None:
    """Put all worlds into a pose, by hand, as if a step had led there."""
    engine, definition = worlds._engine, worlds.definition

    def put(seat: int, index: int) -> None:
        data = engine.datas[seat]
        data.qpos[:], data.qvel[:] = qpos, qvel
        definition.finish(engine.models[seat], data)

    engine.run(put)
    assert definition.update is not None
    worlds._memory = definition.update(worlds.view)


def fresh(name: str) -> MujocoTaskWorlds:
    worlds = gym.make(name, 1, threads=1)
    worlds.reset([0], [np.random.default_rng(0)])
    return worlds
