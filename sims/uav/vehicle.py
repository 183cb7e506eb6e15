"""The quadrotor: its numbers, its MuJoCo model, and what every task reads of it.

State (13): position and velocity in the world frame, attitude quaternion (w, x, y, z), body rates. Rotors stand at the
ends of two arms along the body's x and y axes and push along its z axis; neighbours spin against each other:

    m v' = -m g e_z + R(q) e_z (f1 + f2 + f3 + f4)
    J w' = (l/2 (f4 - f2), l/2 (f3 - f1), c (f1 - f2 + f3 - f4)) - w x J w

the system of "Safe MPC Alignment with Human Directional Feedback" (arXiv 2407.04216), of which these are the numbers;
only `DRAG_RATIO`, `GRAVITY` and the range of the thrusts are ours. Walls are drawn and measured but exert no force, so
that MuJoCo's motion is that of the equations.
"""

from __future__ import annotations

import mujoco
import numpy as np

from robot_learn.scene import Field
from robot_learn.types import ActionComponent
from sims.env import Values
from sims.mujoco_task import View

MASS = 0.1  # [kg]
INERTIA = 0.01  # [kg m^2] about each axis
SPAN = 1.2  # [m] l: from a rotor to the one across
DRAG_RATIO = 0.02  # [m] c: torque about the rotor's axis per newton of thrust
GRAVITY = 9.81  # [m/s^2]
HOVER = MASS * GRAVITY / 4  # [N] of each rotor at rest
THRUST_RANGE = 0.5  # an action of 1 is so much more than HOVER, relative to it
CONTROL_DT = 0.1  # [s]
FRAME_SKIP = 5  # Runge-Kutta steps of 20 ms: a few 1e-4 m/s off after a second of violent flight

VOLUME = np.array([[-2.0, 22.0], [-1.0, 11.0], [0.0, 11.0]])  # [m] x, y, z that may be flown in
REACHED = 0.5  # [m] from a target

_ARMS = ((SPAN / 2, 0.0), (0.0, -SPAN / 2), (-SPAN / 2, 0.0), (0.0, SPAN / 2))  # [m] of rotor 1 to 4: x, y
_SPINS = (1.0, -1.0, 1.0, -1.0)
MIXER = np.array([[1.0] * 4, [y for _, y in _ARMS], [-x for x, _ in _ARMS], [DRAG_RATIO * s for s in _SPINS]])
"""(4, 4): total thrust [N] and body torques [Nm] from four thrusts [N]."""

ACTION = tuple(
    ActionComponent(
        f"{place}_thrust",
        -1.0,
        1.0,
        f"thrust of the {place} rotor around that of hovering, {HOVER:.3f} N: 1 is half as much again, -1 half of it",
    )
    for place in ("front", "right", "back", "left")
)
FIELDS = (
    Field(
        "drone.position",
        (3,),
        "m",
        "world",
        "centre of the drone, 1.2 m across; x forward, y left, z up; it starts near x = 0",
    ),
    Field("drone.velocity", (3,), "m/s", "world", "velocity of the drone's centre"),
    Field("drone.quaternion", (4,), "1", "world", "orientation of the drone (w, x, y, z); (1, 0, 0, 0) is level"),
    Field("drone.angular_velocity", (3,), "rad/s", "drone", "turning rates about its forward, left and up axes"),
    Field("drone.up", (3,), "1", "world", "unit vector that the rotors push along; (0, 0, 1) when level"),
)
_WHITE, _DARK, _RED, _BLUE = (0.93, 0.93, 0.95, 1), (0.12, 0.13, 0.16, 1), (0.9, 0.25, 0.15, 1), (0.15, 0.4, 0.9, 1)


def spec() -> mujoco.MjSpec:
    """The drone, a floor, a sky and a movable target `target`; a task adds what is to be flown through."""
    made = mujoco.MjSpec()
    made.option.timestep = CONTROL_DT / FRAME_SKIP
    made.option.integrator = mujoco.mjtIntegrator.mjINT_RK4
    made.option.gravity = (0.0, 0.0, -GRAVITY)
    made.option.disableflags = mujoco.mjtDisableBit.mjDSBL_CONTACT | mujoco.mjtDisableBit.mjDSBL_CONSTRAINT
    made.stat.center, made.stat.extent = (9.5, 5.0, 4.0), 15.0
    made.visual.headlight.ambient = made.visual.headlight.diffuse = (0.35, 0.35, 0.35)
    _surroundings(made)
    _drone(made)
    return made


def _surroundings(made: mujoco.MjSpec) -> None:
    sky, checker = mujoco.mjtTexture.mjTEXTURE_SKYBOX, mujoco.mjtTexture.mjTEXTURE_2D
    made.add_texture(
        name="sky",
        type=sky,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=(0.62, 0.76, 0.92),
        rgb2=(0.9, 0.94, 0.98),
        width=64,
        height=64,
    )
    made.add_texture(
        name="floor",
        type=checker,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=(0.52, 0.58, 0.5),
        rgb2=(0.46, 0.52, 0.44),
        width=128,
        height=128,
    )
    floor = made.add_material(name="floor", texrepeat=(1, 1), texuniform=False)
    floor.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "floor"
    floor.texrepeat = (12, 6)
    x, y, _ = VOLUME
    made.worldbody.add_light(pos=(5, 0, 25), dir=(0.2, 0.25, -1), diffuse=(0.6, 0.6, 0.6), directional=True)
    drawn(
        made.worldbody,
        mujoco.mjtGeom.mjGEOM_BOX,
        pos=(x.mean(), y.mean(), -0.05),
        size=(np.ptp(x) / 2, np.ptp(y) / 2, 0.05),
        material="floor",
    )
    target = made.worldbody.add_body(name="target", mocap=True)
    drawn(target, mujoco.mjtGeom.mjGEOM_SPHERE, size=(REACHED, 0, 0), rgba=(0.1, 0.75, 0.25, 0.6))


def _drone(made: mujoco.MjSpec) -> None:
    body = made.worldbody.add_body(name="drone")
    body.add_freejoint()
    body.explicitinertial, body.mass, body.ipos, body.inertia = True, MASS, (0, 0, 0), (INERTIA,) * 3
    drawn(body, mujoco.mjtGeom.mjGEOM_ELLIPSOID, size=(0.26, 0.2, 0.1), rgba=_WHITE)
    drawn(body, mujoco.mjtGeom.mjGEOM_SPHERE, pos=(0.2, 0, 0.03), size=(0.08, 0, 0), rgba=_DARK)
    for number, ((x, y), spin) in enumerate(zip(_ARMS, _SPINS, strict=True), start=1):
        capsule, disc = mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_CYLINDER
        drawn(body, capsule, fromto=(0, 0, 0, x, y, 0), size=(0.035, 0, 0), rgba=_DARK)
        colour = _RED if number == 1 else _BLUE  # red is the front, so that a picture tells where it points
        drawn(body, disc, pos=(x, y, 0.08), size=(0.3, 0.015, 0), rgba=colour)
        site = body.add_site(name=f"rotor{number}", pos=(x, y, 0), group=5)
        made.add_actuator(
            name=f"rotor{number}",
            trntype=mujoco.mjtTrn.mjTRN_SITE,
            target=site.name,
            gear=(0, 0, 1, 0, 0, DRAG_RATIO * spin),
        )


def drawn(body: mujoco.MjsBody, kind: mujoco.mjtGeom, **properties: object) -> None:
    """A geom that is seen and nothing else: no mass, no contact."""
    body.add_geom(type=kind, contype=0, conaffinity=0, mass=0, **properties)


def place(data: mujoco.MjData, position: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> None:
    """Put the drone somewhere, a little tilted, turned and moving, and the target where it belongs."""
    turn = np.append(1.0, rng.normal(0.0, 0.03, 3))
    data.qpos[:3], data.qpos[3:7] = position, turn / np.linalg.norm(turn)
    data.qvel[:] = rng.normal(0.0, 0.05, 6)
    data.mocap_pos[0] = target
    data.ctrl[:] = HOVER


def drive(model: mujoco.MjModel, data: mujoco.MjData, action: np.ndarray) -> None:
    """Actions (4,) are thrusts around that of hovering."""
    data.ctrl[:] = HOVER * (1.0 + THRUST_RANGE * action)


def settled(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Nothing derived is read: the tasks look at `qpos`, `qvel` and `mocap_pos` alone."""


def rotation(quaternion: np.ndarray) -> np.ndarray:
    """Rotation matrices (N, 3, 3) of unit quaternions (w, x, y, z), (N, 4)."""
    w, x, y, z = quaternion.T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def read(view: View) -> Values:
    """The fields of `FIELDS`."""
    qpos, qvel = view["qpos"], view["qvel"]
    return {
        "drone.position": qpos[:, :3].copy(),
        "drone.quaternion": qpos[:, 3:7].copy(),
        "drone.velocity": qvel[:, :3].copy(),
        "drone.angular_velocity": qvel[:, 3:6].copy(),
        "drone.up": rotation(qpos[:, 3:7])[:, :, 2],
    }


def motion(view: View) -> np.ndarray:
    """(N, 15): what a policy must know of the flight whatever the task: velocity, rotation matrix, body rates."""
    qpos, qvel = view["qpos"], view["qvel"]
    return np.concatenate([qvel[:, :3], rotation(qpos[:, 3:7]).reshape(-1, 9), qvel[:, 3:6]], axis=1)


def outside(position: np.ndarray) -> np.ndarray:
    """(N,) bool: has the drone's centre left the volume?"""
    return np.asarray(((position < VOLUME[:, 0]) | (position > VOLUME[:, 1])).any(axis=1))


def flight_reward(view: View, goal: np.ndarray) -> np.ndarray:
    """(N,): speed towards goals (N, 3) [m], up to 2.5 m/s, nearness, an upright attitude, little turning."""
    qpos, qvel = view["qpos"], view["qvel"]
    way = goal - qpos[:, :3]
    distance = np.linalg.norm(way, axis=1)
    speed = np.einsum("ni,ni->n", qvel[:, :3], way) / np.maximum(distance, 1e-6)
    wanted = np.minimum(2.5, distance)  # slow down before the goal
    approach = 1.0 - np.abs(np.clip(speed, -2.5, 5.0) - wanted) / 2.5
    sideways = np.linalg.norm(qvel[:, :3] - speed[:, None] * way / np.maximum(distance, 1e-6)[:, None], axis=1)
    up = rotation(qpos[:, 3:7])[:, 2, 2]
    turning = np.square(qvel[:, 3:6]).sum(axis=1)
    return np.asarray(approach + np.exp(-distance) + 0.5 * up - 0.15 * sideways - 0.03 * np.minimum(turning, 50.0))
