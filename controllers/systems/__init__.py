"""Systems with something about them that is unsafe and that nobody has written down."""

from __future__ import annotations

from controllers.systems.system import Game
from robot_learn.registry import load

SYSTEMS = {
    "pendulum": "controllers.systems.pendulum:GAME",
    "reacher": "controllers.systems.reacher:GAME",
    "uav-gate": "controllers.systems.uav:GATE",
    "uav-tube": "controllers.systems.uav:TUBE",
    "franka-reach": "controllers.systems.franka_pose:REACH",
    "franka-pour": "controllers.systems.franka_pose:POUR",
    "franka-joints": "controllers.systems.franka_joints:GAME",
}


def game(name: str) -> Game:
    """The system `name` and the game that is played with it."""
    found: Game = load(SYSTEMS, name, kind="system")
    return found
