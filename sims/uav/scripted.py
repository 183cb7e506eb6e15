"""Geometric flight: a velocity to fly, from it an acceleration, from it a thrust and an attitude, from it four thrusts.

After Lee, Leok and McClamroch, "Geometric Tracking Control of a Quadrotor UAV on SE(3)" (CDC 2010), with a velocity
field in place of a trajectory. It needs no memory: what is right depends on the scene alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from robot_learn.scene import Scene
from sims.uav import tube, vehicle

Controller = Callable[[Scene, np.ndarray], np.ndarray]

SPEED = 2.0  # [m/s]
LINED_UP = 0.35  # [m] from the axis of the gate, to fly through
_VELOCITY_GAIN = 2.0  # [1/s]
_TILT_GAIN, _RATE_GAIN = 14.0, 6.5  # [1/s^2], [1/s] of the attitude
_YAW_GAIN = 0.5  # [1/s^2]; the reaction torque of the rotors is weak
_CLEARANCE = np.array([2.0, 0.0, 0.0])  # [m] before and behind the gate
_FALL = np.array([0.0, 0.0, -vehicle.GRAVITY])
_MIXER_INVERSE = np.linalg.inv(vehicle.MIXER)


def scripted(name: str, num_worlds: int) -> Controller:
    """The controller of `uav/<name>`: actions (N, 4) from a scene of N worlds."""
    velocity = {"gate": _gate_velocity, "tube": _tube_velocity}[name]

    def act(scene: Scene, observations: np.ndarray) -> np.ndarray:
        return fly(scene, velocity(scene))

    return act


def _towards(way: np.ndarray, speed: float = SPEED, nearing: float = 0.8) -> np.ndarray:
    """Velocities (N, 3) along ways (N, 3), no faster than `nearing` [1/s] times what is left of the way."""
    distance = np.linalg.norm(way, axis=1, keepdims=True)
    return np.asarray(way * np.minimum(speed / np.maximum(distance, 1e-6), nearing))


def _gate_velocity(scene: Scene) -> np.ndarray:
    position, centre = scene.drone.position, scene.gate.position
    apart = np.linalg.norm((centre - position)[:, 1:], axis=1)
    room = centre[:, 0] - position[:, 0]
    wait, through = centre - _CLEARANCE, centre + _CLEARANCE
    aim = np.where(((apart < LINED_UP) | (room < 0.3))[:, None], through, wait)
    behind = (scene.gate.passed > 0.5) & (room < -0.8)  # clear of the wall before climbing
    return _towards(np.where(behind[:, None], scene.target.position, aim) - position)


def _tube_velocity(scene: Scene) -> np.ndarray:
    ahead = tube.along(scene.tube.progress + 1.2)
    return _towards(ahead - scene.drone.position, 1.7, nearing=1.3)


def fly(scene: Scene, velocity: np.ndarray) -> np.ndarray:
    """Actions (N, 4) that take up velocities (N, 3) [m/s]."""
    drone = scene.drone
    rotation = vehicle.rotation(drone.quaternion)
    acceleration = np.clip(_VELOCITY_GAIN * (velocity - drone.velocity), -3.0, 3.0)
    force = vehicle.MASS * (acceleration - _FALL)
    thrust = np.einsum("ni,ni->n", force, drone.up)
    wanted_up = force / np.linalg.norm(force, axis=1, keepdims=True)
    tilt = np.einsum("nji,nj->ni", rotation, np.cross(drone.up, wanted_up))  # in the body's frame
    heading = np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0])
    turning = _TILT_GAIN * tilt - _RATE_GAIN * drone.angular_velocity
    turning[:, 2] = -_YAW_GAIN * heading - 1.0 * drone.angular_velocity[:, 2]
    torque = vehicle.INERTIA * turning
    thrusts = np.concatenate([thrust[:, None], torque], axis=1) @ _MIXER_INVERSE.T
    return np.clip((thrusts / vehicle.HOVER - 1.0) / vehicle.THRUST_RANGE, -1.0, 1.0)
