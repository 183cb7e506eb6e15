"""How a system of `controllers.systems` is shown: its bodies, where a plan goes, where its region is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robot_learn.registry import load
from robot_learn.session.correct.region import Chart, Grid
from robot_learn.session.scene import Colour, Scene3D

STAGES = {
    "pendulum": "robot_learn.session.correct.stage_plane:pendulum",
    "reacher": "robot_learn.session.correct.stage_plane:reacher",
    "uav-gate": "robot_learn.session.correct.stage_uav:gate",
    "uav-tube": "robot_learn.session.correct.stage_uav:tube",
    "franka-reach": "robot_learn.session.correct.stage_franka:reach",
    "franka-pour": "robot_learn.session.correct.stage_franka:pour",
    "franka-joints": "robot_learn.session.correct.stage_franka:joints",
}
TARGET: Colour = (0.13, 0.65, 0.29, 1.0)
KNOWN: Colour = (0.95, 0.5, 0.1, 1.0)  # what the person knows to be in the way
WALL: Colour = (0.55, 0.58, 0.64, 0.10)


@dataclass(frozen=True)
class Stage:
    """A system on the page."""

    title: str
    wish: str  # what the person is to teach, in a sentence
    scene: Scene3D
    place: Callable[[np.ndarray], None]  # puts the robot where a state (nx,) says
    aim: Callable[[np.ndarray], None]  # puts the target where a target (nt,) says
    points: Callable[[np.ndarray], np.ndarray]  # (N, 3) [m] through which a plan's states (N, nx) go
    thickness: float  # [m] of the plan, as it is drawn
    grid: Grid | None = None  # where the region is looked for
    charts: tuple[Chart, ...] = ()
    turns: bool = False  # whether the region depends on more of the robot's state than its place
    says: tuple[tuple[str, str], ...] = ()  # directions by another name than the game's: what one sees


def stage(system: str) -> Stage:
    """How a system is shown.

    Raises:
        UserError: there is no such system.
    """
    make: Callable[[], Stage] = load(STAGES, system, kind="system")
    return make()
