"""The oracle: a program's own text, run unchanged by Python and numpy on one world. Only for programs written here."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from robot_learn.scene import Field, Scene, Schema
from robot_learn.types import ActionComponent, Task

FIELDS = (
    ("hand.position", (3,), "m"),
    ("hand.velocity", (3,), "m/s"),
    ("hand.orientation", (4,), "1"),
    ("hand.opening", (), "1"),
    ("cube.position", (3,), "m"),
    ("cube.orientation", (4,), "1"),
    ("cube.size", (), "m"),
    ("goal.position", (3,), "m"),
    ("door.angle", (), "rad"),
    ("door.speed", (), "rad/s"),
    ("robot.joints", (7,), "rad"),
    ("robot.tips", (4, 3), "m"),
)
TASK = Task(
    name="corpus/imaginary",
    instruction="Put the cube on the goal.",
    schema=Schema(tuple(Field(name, shape, unit, "world", "made up") for name, shape, unit in FIELDS)),
    action=tuple(ActionComponent(f"a{at}", -1.0, 1.0, "made up") for at in range(4)),
    max_episode_steps=100,
    control_dt=0.05,
)


def random_scene(seed: int, worlds: int, scale: float) -> tuple[Scene, np.ndarray]:
    """A scene of random numbers of a given size, and actions (worlds, 4); quaternions are of unit length."""
    rng = np.random.default_rng(seed)

    def values() -> dict[str, np.ndarray]:
        made = {name: scale * rng.normal(size=(worlds, *shape)) for name, shape, _ in FIELDS}
        for name in ("hand.orientation", "cube.orientation"):
            made[name] = made[name] / np.linalg.norm(made[name], axis=-1, keepdims=True)
        made["hand.opening"] = rng.uniform(size=worlds)
        made["cube.size"] = rng.uniform(0.01, 0.1, size=worlds)
        return made

    scene = Scene(TASK.schema, values(), initial=values(), previous=values())
    return scene, rng.uniform(-1.0, 1.0, size=(worlds, TASK.act_dim))


def _rotation(q: np.ndarray) -> Rotation:
    return Rotation.from_quat(q, scalar_first=True)


def _multiply(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Hamilton's product as a product of 2 by 2 complex matrices."""

    def matrix(a: np.ndarray) -> np.ndarray:
        return np.array([[a[0] + 1j * a[1], a[2] + 1j * a[3]], [-a[2] + 1j * a[3], a[0] - 1j * a[1]]])

    product = matrix(p) @ matrix(q)
    return np.array([product[0, 0].real, product[0, 0].imag, product[0, 1].real, product[0, 1].imag])


def _tolerance(x: float, lower: float, upper: float, margin: float) -> Any:
    gap = np.where(x < lower, lower - x, np.where(x > upper, x - upper, 0.0))
    return 1.0 / (1.0 + 9.0 * (gap / margin) ** 2)


HELPERS = {
    "tolerance": _tolerance,
    "wrap_angle": lambda x: (x + np.pi) % (2 * np.pi) - np.pi,
    "quat_rotate": lambda q, v: _rotation(q).apply(v),
    "quat_multiply": _multiply,
    "quat_conjugate": lambda q: np.array([q[0], -q[1], -q[2], -q[3]]),
    "quat_angle": lambda p, q: (_rotation(p).inv() * _rotation(q)).magnitude(),
    "quat_to_euler": lambda q: _rotation(q).as_euler("xyz"),
    "quat_up": lambda q: _rotation(q).as_matrix()[:, 2],
}


class Oracle:
    """Runs a program one world at a time."""

    def __init__(self, text: str) -> None:
        self._names: dict[str, Any] = {"np": np, "math": math, **HELPERS}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            exec(compile(text, "<corpus>", "exec"), self._names)

    def evaluate(self, scene: Scene, action: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        """The total and the terms, (1 + terms, worlds); a term that a world does not return is 0."""
        columns = []
        with np.errstate(all="ignore"):
            for world in range(len(action)):
                result = self._names["reward"](scene.world(world), action[world].copy())
                total, terms = (sum(result.values()), result) if isinstance(result, dict) else result
                columns.append([float(total), *(float(terms.get(name, 0.0)) for name in names)])
        return np.array(columns).T
