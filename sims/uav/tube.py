"""`uav/tube`: along a bent tube to its end without ever leaving it."""

from __future__ import annotations

import itertools

import mujoco
import numpy as np

from robot_learn.scene import Field, Schema
from robot_learn.types import Task
from sims.env import Values
from sims.mujoco_task import Memory, MujocoTask, View
from sims.rendering import Camera
from sims.uav import vehicle

RADIUS = 1.0  # [m] the drone's centre must be so near to the centre line
LENGTH_X = 19.0  # [m] the tube spans x = 0 to this


def centre_line(x: np.ndarray) -> np.ndarray:
    """Points (..., 3) [m] of the centre line at x (...): to the left and back to the right, and one cubic climb."""
    s = x / LENGTH_X
    y = 5.0 + 2.0 * np.sin(2.0 * np.pi * s)
    z = 3.0 + 4.0 * s * s * (3.0 - 2.0 * s)
    return np.stack([x, y, z], axis=-1)


KNOTS = centre_line(np.linspace(0.0, LENGTH_X, 96))  # (K, 3); measured is the polyline through them
_STEPS = np.diff(KNOTS, axis=0)
_LENGTHS = np.linalg.norm(_STEPS, axis=1)
_ALONG = np.append(0.0, np.cumsum(_LENGTHS))
LENGTH = float(_ALONG[-1])  # [m] of the centre line

TASK = Task(
    name="uav/tube",
    instruction="Fly the drone along the bent tube to its end without leaving the tube.",
    schema=Schema(
        (
            *vehicle.FIELDS,
            Field("tube.nearest_point", (3,), "m", "world", "point of the tube's centre line nearest to the drone"),
            Field("tube.direction", (3,), "1", "world", "unit vector along the centre line there, towards the end"),
            Field("tube.distance", (), "m", "world", "from the drone's centre to the nearest point of the centre line"),
            Field("tube.radius", (), "m", "", "the tube is where that distance is smaller than this"),
            Field("tube.progress", (), "m", "", "length of the centre line from its start to the nearest point"),
            Field("tube.length", (), "m", "", "length of the whole centre line"),
            Field("tube.end_position", (3,), "m", "world", "where the centre line ends"),
        )
    ),
    action=vehicle.ACTION,
    max_episode_steps=200,
    control_dt=vehicle.CONTROL_DT,
)


def nearest(position: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The points of the centre line nearest to positions (N, 3): points (N, 3), directions (N, 3), progress (N,)."""
    offset = position[:, None] - KNOTS[:-1]  # (N, K - 1, 3)
    share = np.clip((offset * _STEPS).sum(axis=2) / _LENGTHS**2, 0.0, 1.0)
    points = KNOTS[:-1] + share[:, :, None] * _STEPS
    best = np.square(position[:, None] - points).sum(axis=2).argmin(axis=1)
    rows = np.arange(len(position))
    progress = _ALONG[best] + share[rows, best] * _LENGTHS[best]
    return points[rows, best], _STEPS[best] / _LENGTHS[best, None], progress


def model() -> mujoco.MjModel:
    """The drone in a row of translucent rings with a dotted centre line."""
    made = vehicle.spec()
    for x in np.linspace(0.0, LENGTH_X, 20):
        centre = centre_line(np.array([x]))
        point, ahead, _ = (row[0] for row in nearest(centre))
        _ring(made, point, ahead)
        vehicle.drawn(made.worldbody, mujoco.mjtGeom.mjGEOM_SPHERE, pos=point, size=(0.07, 0, 0), rgba=(1, 0.9, 0.3, 1))
    return made.compile()


def _ring(made: mujoco.MjSpec, centre: np.ndarray, normal: np.ndarray, sides: int = 12) -> None:
    across = np.cross(normal, (0.0, 0.0, 1.0))
    across /= np.linalg.norm(across)
    angles = np.linspace(0.0, 2.0 * np.pi, sides + 1)
    rim = centre + RADIUS * (np.outer(np.cos(angles), across) + np.outer(np.sin(angles), np.cross(across, normal)))
    for one, other in itertools.pairwise(rim):
        # Boxes, since hundreds of round bars take long to draw.
        ends, box = (*one, *other), mujoco.mjtGeom.mjGEOM_BOX
        vehicle.drawn(made.worldbody, box, fromto=ends, size=(0.045, 0.045, 0), rgba=(1.0, 0.55, 0.1, 1))


def start(model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
    position = KNOTS[0] + rng.uniform(-0.4, 0.4, 3)
    vehicle.place(data, position, KNOTS[-1], rng)


def begin(view: View) -> Memory:
    return _beside(view["qpos"][:, :3]) | {"left": np.zeros(view.num_worlds, dtype=bool)}


def update(view: View) -> Memory:
    beside = _beside(view["qpos"][:, :3])
    return beside | {"left": view.memory["left"] | (beside["distance"] >= RADIUS)}


def _beside(position: np.ndarray) -> Memory:
    """The centre line beside positions (N, 3): looked up once a step."""
    point, direction, progress = nearest(position)
    distance = np.linalg.norm(position - point, axis=1)
    return {"point": point, "direction": direction, "progress": progress, "distance": distance}


def read(view: View) -> Values:
    worlds, beside = view.num_worlds, view.memory
    return vehicle.read(view) | {
        "tube.nearest_point": beside["point"].copy(),
        "tube.direction": beside["direction"].copy(),
        "tube.distance": beside["distance"].copy(),
        "tube.radius": np.full(worlds, RADIUS),
        "tube.progress": beside["progress"].copy(),
        "tube.length": np.full(worlds, LENGTH),
        "tube.end_position": np.tile(KNOTS[-1], (worlds, 1)),
    }


def observe(view: View) -> np.ndarray:
    """(N, 28): the flight, the centre line here and one and two metres on, and how much of it is left."""
    position, beside = view["qpos"][:, :3], view.memory
    coming = [along(beside["progress"] + ahead) - position for ahead in (1.0, 2.0)]
    left = (LENGTH - beside["progress"])[:, None] / LENGTH
    parts = [vehicle.motion(view), beside["point"] - position, beside["direction"], *coming, left]
    return np.concatenate(parts, axis=1)


def along(progress: np.ndarray) -> np.ndarray:
    """Points (N, 3) of the centre line so far from its start, (N,) [m]; its end beyond that."""
    return np.stack([np.interp(progress, _ALONG, KNOTS[:, axis]) for axis in range(3)], axis=1)


def terminated(view: View) -> np.ndarray:
    return view.memory["left"].copy()


def success(view: View) -> np.ndarray:
    """Never left the tube and now within `REACHED` of its end."""
    distance = np.linalg.norm(KNOTS[-1] - view["qpos"][:, :3], axis=1)
    return np.asarray(~view.memory["left"] & (distance < vehicle.REACHED))


def expert_reward(view: View, actions: np.ndarray) -> np.ndarray:
    """Chase a point of the centre line a metre and a half ahead, and stay near the line."""
    progress, apart = view.memory["progress"], view.memory["distance"]
    bonus = 3.0 * success(view) - 10.0 * view.memory["left"]
    chase = vehicle.flight_reward(view, along(progress + 1.5))
    return np.asarray(chase + 1.5 * progress / LENGTH - 0.5 * apart + bonus)


TUBE = MujocoTask(
    task=TASK,
    model=model,
    frame_skip=vehicle.FRAME_SKIP,
    start=start,
    read=read,
    success=success,
    expert_reward=expert_reward,
    cameras={
        "behind": Camera((9.5, 5.0, 4.8), 19.0, 40, -22),
        "side": Camera((9.5, 5.0, 4.8), 21.0, 90, -12),
        "chase": Camera((3.0, 0.0, 5.0), 9.0, 12, -18, follow="drone"),
    },
    drive=vehicle.drive,
    finish=vehicle.settled,
    terminated=terminated,
    observe=observe,
    obs_dim=28,
    begin=begin,
    update=update,
    kept=("qpos", "qvel", "mocap_pos"),
)
