"""The quadrotor before its gate and in its tube; the person sees what the robot has to learn."""

from __future__ import annotations

from collections.abc import Callable

import mujoco
import numpy as np

from controllers.systems.uav import OPENING, TUBE_AXIS, TUBE_RADIUS, WALL_X
from robot_learn.session import shapes
from robot_learn.session.correct.region import Grid
from robot_learn.session.correct.stage import KNOWN, TARGET, WALL, Stage
from robot_learn.session.models import add_model
from robot_learn.session.scene import Camera, Scene3D
from sims.uav import vehicle

_SIZE = 10.0  # [m] of the wall


def gate() -> Stage:
    scene = Scene3D(Camera((8.6, 4.8, 4.0), 25.0, -24.0, -16.0), floor=0.0)
    (left, right), (low, high) = OPENING.tolist()
    rim = 0.16  # [m]
    bars = (
        ((left - rim, left), (low - rim, high + rim)),
        ((right, right + rim), (low - rim, high + rim)),
        ((left, right), (low - rim, low)),
        ((left, right), (high, high + rim)),
    )
    across, tall = (left, right), (0.0, _SIZE)
    panels = (((0.0, left), tall), ((right, _SIZE), tall), (across, (0.0, low)), (across, (high, _SIZE)))
    scene.put("gate", shapes.joined([_panel(ys, zs, 0.1) for ys, zs in bars]), KNOWN)
    scene.put("wall", shapes.joined([_panel(ys, zs, 0.02) for ys, zs in panels]), WALL)
    return _stage(
        "Through the gate",
        "The drone knows nothing of the wall: keep it off, so that it flies through the opening.",
        scene,
        (np.linspace(6.0, 13.5, 14), np.linspace(0.0, _SIZE, 21), np.linspace(0.0, _SIZE, 21)),
    )


def tube() -> Stage:
    scene = Scene3D(Camera((8.2, 4.8, 5.6), 25.0, -28.0, -15.0), floor=0.0)
    angles = np.linspace(0, 2 * np.pi, 25)
    start, end = TUBE_AXIS
    rings = []
    for share in np.linspace(0, 1, 7):
        centre = start + share * (end - start)
        around = np.stack([np.zeros_like(angles), np.cos(angles), np.sin(angles)], axis=1)
        rings.append(shapes.tube(centre + TUBE_RADIUS * around, 0.05, 5))
    scene.put("tube", shapes.joined(rings), KNOWN)
    return _stage(
        "Inside the tube",
        "The drone must not leave the slanted tube, though what it flies to may lie beside it.",
        scene,
        (np.linspace(0.0, 17.0, 18), np.linspace(0.0, _SIZE, 16), np.linspace(1.0, 12.0, 18)),
    )


def _stage(title: str, wish: str, scene: Scene3D, axes: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Stage:
    place, aim = _drone(scene)

    def states(points: np.ndarray, here: np.ndarray) -> np.ndarray:
        found = np.zeros((len(points), 13))
        found[:, :3], found[:, 6] = points, 1.0
        return found

    return Stage(title, wish, scene, place, aim, lambda x: x[:, :3], 0.07, Grid(axes, states))


def _drone(scene: Scene3D) -> tuple[Callable[[np.ndarray], None], Callable[[np.ndarray], None]]:
    """The drone of the simulation, as it is drawn there, and the ball that is flown to."""
    model = vehicle.spec().compile()
    drone = model.body("drone").id
    add_model(scene, model, colour=lambda geom: _painted(model, geom) if model.geom_bodyid[geom] == drone else None)
    parts = [name for name in scene.names if name.startswith("drone")]
    scene.put("target", shapes.sphere(vehicle.REACHED, 16), TARGET)

    def place(state: np.ndarray) -> None:
        for name in parts:
            scene.place(name, state[:3], state[6:10])

    return place, lambda target: scene.place("target", target)


def _painted(model: mujoco.MjModel, geom: int) -> tuple[float, float, float, float]:
    """Fewer colours, fewer bodies: what is dark is dark grey, so that it is seen on a dark page."""
    red, green, blue, alpha = (float(part) for part in model.geom_rgba[geom])
    return (0.3, 0.33, 0.4, 1.0) if max(red, green, blue) < 0.2 else (red, green, blue, alpha)


def _panel(ys: tuple[float, float], zs: tuple[float, float], half: float) -> shapes.Mesh:
    middle = np.array([WALL_X, np.mean(ys), np.mean(zs)])
    return shapes.moved(shapes.box((half, np.ptp(ys) / 2, np.ptp(zs) / 2)), middle, np.eye(3))
