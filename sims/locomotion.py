"""Gymnasium's Hopper and Ant (v5), many worlds at once, equal to the upstream environments step for step.

Models, time steps, observations, terminations and the expert reward are upstream's; success is ours and is measured:
so far from the start without falling (the constants below).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium.envs.mujoco.ant_v5 import AntEnv
from gymnasium.envs.mujoco.hopper_v5 import HopperEnv

from robot_learn.errors import unknown
from robot_learn.scene import Field, Schema
from robot_learn.types import ActionComponent, Task
from sims.env import Values
from sims.mujoco_worlds import MujocoWorlds, thread_count
from sims.rendering import Camera

HOPPER_DISTANCE = 5.0  # [m] forward, upright, within 8 s: an average of 0.63 m/s
ANT_DISTANCE = 10.0  # [m] forward, upright, within 50 s: an average of 0.2 m/s

CAMERAS = {
    "side": Camera((0.0, 0.0, 0.8), 4.0, 90, -15, follow="torso"),
    "front": Camera((0.0, 0.0, 0.8), 4.0, 180, -15, follow="torso"),
}


@dataclass(frozen=True)
class Body:
    """One upstream environment, told as functions of the batched state."""

    task: Task
    upstream: Callable[[], Any]
    frame_skip: int
    reset_noise: Callable[[np.random.Generator, int, int], tuple[np.ndarray, np.ndarray]]
    observe: Callable[[MujocoWorlds], np.ndarray]
    read: Callable[[np.ndarray, np.ndarray], Values]
    healthy: Callable[[np.ndarray, np.ndarray], np.ndarray]
    costs: Callable[[MujocoWorlds, np.ndarray], np.ndarray]
    x: Callable[[MujocoWorlds], np.ndarray]  # [m] what upstream takes a forward velocity from
    distance: float  # [m] along x that counts as success


def _hopper_noise(rng: np.random.Generator, nq: int, nv: int) -> tuple[np.ndarray, np.ndarray]:
    return rng.uniform(-5e-3, 5e-3, nq), rng.uniform(-5e-3, 5e-3, nv)


def _ant_noise(rng: np.random.Generator, nq: int, nv: int) -> tuple[np.ndarray, np.ndarray]:
    return rng.uniform(-0.1, 0.1, nq), 0.1 * rng.standard_normal(nv)


def _hopper_observation(worlds: MujocoWorlds) -> np.ndarray:
    return np.concatenate([worlds.gather("qpos")[:, 1:], np.clip(worlds.gather("qvel"), -10, 10)], axis=1)


def _ant_observation(worlds: MujocoWorlds) -> np.ndarray:
    contact = np.clip(worlds.gather("cfrc_ext")[:, 1:], -1.0, 1.0).reshape(worlds.num_worlds, -1)
    return np.concatenate([worlds.gather("qpos")[:, 2:], worlds.gather("qvel"), contact], axis=1)


def _hopper_scene(qpos: np.ndarray, qvel: np.ndarray) -> Values:
    names = ["torso.x", "torso.height", "torso.pitch", "thigh.angle", "leg.angle", "foot.angle"]
    rates = ["torso.x_velocity", "torso.z_velocity", "torso.pitch_velocity"]
    rates += [f"{joint}.angular_velocity" for joint in ("thigh", "leg", "foot")]
    return {name: qpos[:, i] for i, name in enumerate(names)} | {name: qvel[:, i] for i, name in enumerate(rates)}


# Upstream's joints come leg by leg, hip before ankle. Its names of the legs take +y for the front; ours take +x, the
# direction that it rewards: front left, back left, back right, front right.
def _ant_scene(qpos: np.ndarray, qvel: np.ndarray) -> Values:
    return {
        "torso.position": qpos[:, 0:3],
        # A reset's noise leaves it unnormalised in qpos, as upstream observes it; MuJoCo simulates the unit one.
        "torso.quaternion": qpos[:, 3:7] / np.linalg.norm(qpos[:, 3:7], axis=1, keepdims=True),
        "torso.velocity": qvel[:, 0:3],
        "torso.angular_velocity": qvel[:, 3:6],
        "legs.hip_angles": qpos[:, 7::2],
        "legs.ankle_angles": qpos[:, 8::2],
        "legs.hip_velocities": qvel[:, 6::2],
        "legs.ankle_velocities": qvel[:, 7::2],
    }


def _hopper_healthy(qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
    rest = np.concatenate([qpos[:, 2:], qvel], axis=1)
    in_range = np.all((rest > -100) & (rest < 100), axis=1)
    return np.asarray(in_range & (qpos[:, 1] > 0.7) & (np.abs(qpos[:, 2]) < 0.2))


def _ant_healthy(qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
    finite = np.isfinite(qpos).all(axis=1) & np.isfinite(qvel).all(axis=1)
    return np.asarray(finite & (qpos[:, 2] >= 0.2) & (qpos[:, 2] <= 1.0))


def _hopper_costs(worlds: MujocoWorlds, actions: np.ndarray) -> np.ndarray:
    return np.asarray(1e-3 * np.sum(np.square(actions), axis=1))


def _ant_costs(worlds: MujocoWorlds, actions: np.ndarray) -> np.ndarray:
    contact = np.clip(worlds.gather("cfrc_ext"), -1.0, 1.0)
    return np.asarray(0.5 * np.sum(np.square(actions), axis=1) + 5e-4 * np.sum(np.square(contact), axis=(1, 2)))


def _hopper_x(worlds: MujocoWorlds) -> np.ndarray:
    return worlds.gather("qpos")[:, 0]


def _ant_x(worlds: MujocoWorlds) -> np.ndarray:
    return worlds.gather("xpos")[:, 1, 0]  # a substep behind qpos, as upstream reads it


def _torques(*joints: str) -> tuple[ActionComponent, ...]:
    meaning = "torque on the {}, as a share of the motor's largest"
    return tuple(
        ActionComponent(f"{joint.replace(' ', '_')}_torque", -1.0, 1.0, meaning.format(joint)) for joint in joints
    )


HOPPER = Body(
    task=Task(
        name="mujoco/hopper",
        instruction="Make the one-legged robot hop forward as fast as it can without falling.",
        schema=Schema(
            (
                Field("torso.x", (), "m", "world", "how far along +x (forward) the torso is"),
                Field("torso.height", (), "m", "world", "height of the torso's centre; 1.25 when standing upright"),
                Field("torso.pitch", (), "rad", "world", "lean of the torso; 0 upright, positive leans forward"),
                Field("torso.x_velocity", (), "m/s", "world", "forward velocity of the torso"),
                Field("torso.z_velocity", (), "m/s", "world", "upward velocity of the torso"),
                Field("torso.pitch_velocity", (), "rad/s", "world", "rate of the lean"),
                Field("thigh.angle", (), "rad", "torso", "hip joint, from -2.6 (bent) to 0 (straight)"),
                Field("leg.angle", (), "rad", "thigh", "knee joint, from -2.6 (bent) to 0 (straight)"),
                Field("foot.angle", (), "rad", "leg", "ankle joint, from -0.79 to 0.79"),
                Field("thigh.angular_velocity", (), "rad/s", "torso", "rate of the hip joint"),
                Field("leg.angular_velocity", (), "rad/s", "thigh", "rate of the knee joint"),
                Field("foot.angular_velocity", (), "rad/s", "leg", "rate of the ankle joint"),
            )
        ),
        action=_torques("hip", "knee", "ankle"),
        max_episode_steps=1000,
        control_dt=0.008,
    ),
    upstream=HopperEnv,
    frame_skip=4,
    reset_noise=_hopper_noise,
    observe=_hopper_observation,
    read=_hopper_scene,
    healthy=_hopper_healthy,
    costs=_hopper_costs,
    x=_hopper_x,
    distance=HOPPER_DISTANCE,
)

_LEGS = "front left, back left, back right, front right"
ANT = Body(
    task=Task(
        name="mujoco/ant",
        instruction="Make the four-legged robot run forward, along +x, without falling.",
        schema=Schema(
            (
                Field("torso.position", (3,), "m", "world", "centre of the torso; z: 0.75 when dropped, 0.55 standing"),
                Field("torso.quaternion", (4,), "1", "world", "orientation of the torso (w, x, y, z)"),
                Field("torso.velocity", (3,), "m/s", "world", "velocity of the torso; the first number is forward"),
                Field("torso.angular_velocity", (3,), "rad/s", "torso", "angular velocity of the torso"),
                Field("legs.hip_angles", (4,), "rad", "torso", f"swing of each leg: {_LEGS}; each -0.52 to 0.52"),
                Field("legs.ankle_angles", (4,), "rad", "leg", f"bend of each leg: {_LEGS}; size 0.52 to 1.22"),
                Field("legs.hip_velocities", (4,), "rad/s", "torso", "rates of the hip angles"),
                Field("legs.ankle_velocities", (4,), "rad/s", "leg", "rates of the ankle angles"),
            )
        ),
        action=_torques(
            "front right hip",
            "front right ankle",
            "front left hip",
            "front left ankle",
            "back left hip",
            "back left ankle",
            "back right hip",
            "back right ankle",
        ),
        max_episode_steps=1000,
        control_dt=0.05,
    ),
    upstream=AntEnv,
    frame_skip=5,
    reset_noise=_ant_noise,
    observe=_ant_observation,
    read=_ant_scene,
    healthy=_ant_healthy,
    costs=_ant_costs,
    x=_ant_x,
    distance=ANT_DISTANCE,
)

BODIES = {body.task.name.partition("/")[2]: body for body in (HOPPER, ANT)}


class LocomotionWorlds:
    """Worlds of one body; see `sims.env.Worlds`. All threads share one model, since nothing in it changes."""

    def __init__(self, body: Body, num_worlds: int, *, threads: int | None = None) -> None:
        upstream = body.upstream()
        self.task, self._body = body.task, body
        self.num_worlds, self.cameras = num_worlds, tuple(CAMERAS)
        self.observation_space: gymnasium.spaces.Box = upstream.observation_space
        self.action_space: gymnasium.spaces.Box = upstream.action_space
        models = [upstream.model] * thread_count(num_worlds, threads)
        self._engine = MujocoWorlds(models, num_worlds, kept=("qpos", "qvel", "xpos", "cfrc_ext"))
        self._init_qpos = upstream.init_qpos.copy()
        self._start_x = np.zeros(num_worlds)
        self._x = np.zeros(num_worlds)
        self._last_x = np.zeros(num_worlds)
        upstream.close()

    def reset(self, indices: Sequence[int], rngs: Sequence[np.random.Generator]) -> None:
        rng_of = dict(zip(indices, rngs, strict=True))

        def start(seat: int, index: int) -> None:
            model, data = self._engine.models[seat], self._engine.datas[seat]
            mujoco.mj_resetData(model, data)
            position_noise, velocity_noise = self._body.reset_noise(rng_of[index], model.nq, model.nv)
            data.qpos[:] = self._init_qpos + position_noise
            data.qvel[:] = velocity_noise
            mujoco.mj_forward(model, data)
            self._start_x[index] = data.qpos[0]

        chosen = list(indices)
        self._engine.run(start, chosen)
        self._x[chosen] = self._body.x(self._engine)[chosen]

    def step(self, actions: np.ndarray) -> None:
        def advance(seat: int, index: int) -> None:
            model, data = self._engine.models[seat], self._engine.datas[seat]
            data.ctrl[:] = actions[index]
            mujoco.mj_step(model, data, self._body.frame_skip)
            mujoco.mj_rnePostConstraint(model, data)  # contact forces, which Ant observes

        self._engine.run(advance)
        self._last_x, self._x = self._x, self._body.x(self._engine).copy()

    def observe(self) -> np.ndarray:
        return self._body.observe(self._engine)

    def read(self) -> Values:
        return self._body.read(self._engine.gather("qpos"), self._engine.gather("qvel"))

    def _healthy(self) -> np.ndarray:
        return self._body.healthy(self._engine.gather("qpos"), self._engine.gather("qvel"))

    def success(self) -> np.ndarray:
        return self._healthy() & (self._engine.gather("qpos")[:, 0] - self._start_x >= self._body.distance)

    def terminated(self) -> np.ndarray:
        return ~self._healthy()

    def expert_reward(self, actions: np.ndarray) -> np.ndarray:
        velocity = (self._x - self._last_x) / self.task.control_dt
        return np.asarray(velocity + self._healthy() - self._body.costs(self._engine, actions))

    def snapshot(self, index: int) -> Any:
        return self._engine.snapshot(index), [float(kept[index]) for kept in self._remembered()]

    def restore(self, index: int, snapshot: Any) -> None:
        world, remembered = snapshot
        self._engine.restore(index, world)
        for kept, value in zip(self._remembered(), remembered, strict=True):
            kept[index] = value

    def _remembered(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self._start_x, self._x, self._last_x

    def render(self, index: int, width: int, height: int, camera: str | None = None) -> np.ndarray:
        return self._engine.picture(index, CAMERAS[camera or self.cameras[0]], width, height)

    def pictures(self, width: int, height: int, camera: str | None = None) -> np.ndarray:
        return self._engine.pictures(CAMERAS[camera or self.cameras[0]], width, height)

    def close(self) -> None:
        self._engine.close()


def task(name: str) -> Task:
    """The task `mujoco/<name>`."""
    if name not in BODIES:
        raise unknown("task", f"mujoco/{name}", [f"mujoco/{known}" for known in BODIES])
    return BODIES[name].task


def make(name: str, num_worlds: int, *, threads: int | None = None) -> LocomotionWorlds:
    """Worlds of the task `mujoco/<name>`."""
    task(name)
    return LocomotionWorlds(BODIES[name], num_worlds, threads=threads)
