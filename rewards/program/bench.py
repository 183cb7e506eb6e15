"""How many rewards per second a compiled program gives, on one thread."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from rewards.program.program import check
from robot_learn.scene import Field, Scene, Schema
from robot_learn.types import ActionComponent, Task

TEXT = """\
def reward(scene, action):
    hand, cube, goal = scene.hand.position, scene.cube.position, scene.goal.position
    reach = np.exp(-5.0 * np.linalg.norm(hand - cube))
    lift = np.clip((cube[2] - scene.initial.cube.position[2]) / 0.1, 0.0, 1.0)
    if np.linalg.norm(hand - cube) < 0.05 and scene.hand.opening < 0.5:
        grasp = 1.0
    else:
        grasp = 0.0
    place = grasp * (1.0 - np.tanh(3.0 * np.linalg.norm(cube - goal)))
    effort = -0.01 * np.sum(action**2)
    return {"reach": reach, "grasp": grasp, "lift": lift, "place": 4.0 * place, "effort": effort}
"""


def task() -> Task:
    """An imaginary task that the program reads."""
    shapes = {"hand.position": (3,), "hand.opening": (), "cube.position": (3,), "goal.position": (3,)}
    fields = tuple(Field(name, shape, "m" if shape else "1", "world", "made up") for name, shape in shapes.items())
    action = tuple(ActionComponent(name, -1.0, 1.0, "made up") for name in ("dx", "dy", "dz", "grip"))
    return Task("bench/imaginary", "Put the cube on the goal.", Schema(fields), action, 200, 0.05)


def run(worlds: tuple[int, ...] = (128, 1024, 8192), seconds: float = 0.5) -> list[dict[str, Any]]:
    """Rows of backend, worlds, rewards_per_s and lines; the best of five rounds, on one thread."""
    import torch

    program = check(TEXT, task())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        cases = [(backend, count) for backend in ("numpy", "torch") for count in worlds]
        return [
            {
                "backend": backend,
                "worlds": count,
                "rewards_per_s": count * _calls_per_s(program.compile(), *_batch(backend, count), seconds),
                "lines": TEXT.count("\n"),
            }
            for backend, count in cases
        ]
    finally:
        torch.set_num_threads(threads)


def _batch(backend: str, worlds: int) -> tuple[Scene, Any]:
    import torch

    rng = np.random.default_rng(0)
    convert = torch.from_numpy if backend == "torch" else np.asarray

    def values() -> dict[str, Any]:
        return {field.name: convert(0.1 * rng.normal(size=(worlds, *field.shape))) for field in task().schema}

    return Scene(task().schema, values(), initial=values()), convert(rng.uniform(-1, 1, size=(worlds, 4)))


def _calls_per_s(reward: Any, scene: Scene, action: Any, seconds: float) -> float:
    reward(scene, action)  # the first call prepares constants
    best, calls = 0.0, 10
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(calls):
            reward(scene, action)
        rate = calls / (time.perf_counter() - start)
        best, calls = max(best, rate), max(1, int(rate * seconds / 5))
    return best


if __name__ == "__main__":
    for row in run():
        print(f"{row['backend']:6} {row['worlds']:6} worlds  {row['rewards_per_s'] / 1e6:8.2f} M rewards/s")
