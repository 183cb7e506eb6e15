"""Systems that move in a plane: a pendulum, and two links. The plane stands upright, across the view."""

from __future__ import annotations

import numpy as np

from controllers.systems import reacher as links
from controllers.systems.pendulum import LENGTH
from robot_learn.session import shapes
from robot_learn.session.correct.region import Chart, Grid
from robot_learn.session.correct.stage import TARGET, Stage
from robot_learn.session.scene import Camera, Scene3D

_STEEL = (0.62, 0.66, 0.72, 1.0)
_TIP = (0.2, 0.45, 0.9, 1.0)
_QUARTER = np.array([np.sqrt(0.5), -np.sqrt(0.5), 0, 0])  # a cylinder's axis along y: the axle


def pendulum() -> Stage:
    """Angle 0 hangs down and grows to the right, as seen along +y."""
    scene = Scene3D(Camera((0.0, 0.0, 0.0), 3.4, 90.0, -6.0))
    scene.put("rod", _rod(LENGTH), _STEEL)
    scene.put("weight", shapes.sphere(0.09), _TIP)
    scene.put("axle", shapes.cylinder(0.07, 0.12), (0.4, 0.42, 0.47, 1.0))
    scene.place("axle", (0, 0, 0), _QUARTER)
    scene.put("target", shapes.sphere(0.06), TARGET)
    scene.place("target", (0, 0.05, LENGTH))

    def place(state: np.ndarray) -> None:
        scene.place("rod", (0, 0, 0), _about_y(np.pi - state[0]))
        scene.place("weight", points(state[None])[0])

    def points(states: np.ndarray) -> np.ndarray:
        angle = states[:, 0]
        return LENGTH * np.stack([np.sin(angle), np.zeros_like(angle), -np.cos(angle)], axis=1)

    chart = Chart(
        "angle and speed",
        "angle [rad]",
        "speed [rad/s]",
        np.linspace(0.0, 3.6, 37),
        np.linspace(-1.0, 4.5, 34),
        lambda at: at,
        lambda states: states[:, :2],
    )
    wish = (
        "Swing it up to the green ball, slower the higher it is: at most 3 rad/s at the bottom, 1 at the top. "
        "Push against the swing where it is too fast."
    )
    return Stage("Pendulum", wish, scene, place, lambda target: None, points, 0.02, charts=(chart,))


def reacher() -> Stage:
    """The links' plane, whose x is to the right and whose y is up."""
    scene = Scene3D(Camera((0.2, 0.0, 0.5), 5.2, 90.0, -6.0))
    for name in ("upper", "lower"):
        scene.put(name, _rod(links.LENGTH), _STEEL)
    scene.put("elbow", shapes.sphere(0.09), (0.4, 0.42, 0.47, 1.0))
    scene.put("base", shapes.sphere(0.11), (0.4, 0.42, 0.47, 1.0))
    scene.put("tip", shapes.sphere(0.08), _TIP)
    scene.put("target", shapes.sphere(0.07), TARGET)
    scene.place("target", (0.0, 0.08, 2 * links.LENGTH))

    def place(state: np.ndarray) -> None:
        first, second = state[0], state[0] + state[1]
        elbow = links.LENGTH * np.array([np.cos(first), 0, np.sin(first)])
        scene.place("upper", (0, 0, 0), _about_y(np.pi / 2 - first))
        scene.place("lower", elbow, _about_y(np.pi / 2 - second))
        scene.place("elbow", elbow)
        scene.place("tip", points(state[None])[0])

    def points(states: np.ndarray) -> np.ndarray:
        first, second = states[:, 0], states[:, 0] + states[:, 1]
        right, up = np.cos(first) + np.cos(second), np.sin(first) + np.sin(second)
        return links.LENGTH * np.stack([right, np.zeros_like(right), up], axis=1)

    def states(at: np.ndarray, here: np.ndarray) -> np.ndarray:
        """The arm with its tip there; what it cannot reach, it reaches for."""
        reach = np.linalg.norm(at[:, [0, 2]], axis=1)
        bend = 2 * np.arccos(np.clip(reach / (2 * links.LENGTH), 0, 1))
        found = np.zeros((len(at), 4))
        found[:, 0], found[:, 1] = np.arctan2(at[:, 2], at[:, 0]) - bend / 2, bend
        return found

    axes = (np.linspace(-2.0, 2.0, 41), np.array([-0.02, 0.02]), np.linspace(-1.6, 2.0, 37))
    wish = "Swing the arm up, but bend it on the way: stretched to the upper right its tip is unsafe."
    return Stage("Two links", wish, scene, place, lambda target: None, points, 0.025, Grid(axes, states))


def _rod(length: float) -> shapes.Mesh:
    """From the origin upwards."""
    return shapes.moved(shapes.capsule(0.035, length / 2, 10), np.array([0, 0, length / 2]), np.eye(3))


def _about_y(angle: float) -> np.ndarray:
    return np.array([np.cos(angle / 2), 0.0, np.sin(angle / 2), 0.0])
