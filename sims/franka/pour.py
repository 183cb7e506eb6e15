"""`franka/pour`: a cup of beads in the hand, to be poured into a bowl on the table.

The beads stand for a liquid: they slide over each other and over cup and bowl without friction and do not roll, so
that each has three degrees of freedom instead of six.
"""

from __future__ import annotations

import mujoco
import numpy as np

from robot_learn.scene import Field, Scene, Schema
from robot_learn.types import Task
from sims.env import Values
from sims.franka import world
from sims.franka.arm import ROBOT_BITS, THING_BITS
from sims.franka.scripts import Controller, Phased, to_action, toward
from sims.franka.twist import TwistControl, drive
from sims.mujoco_task import MujocoTask, View

BEADS, BEAD = 24, 0.008  # how many, and their radius [m]
SHARE = 0.85  # of the beads in the bowl is success
CUP_RADIUS, CUP_HEIGHT, CUP_GRASP = 0.032, 0.09, 0.05  # [m] inside; the fingertips hold it so far above its bottom
BOWL_RADIUS, BOWL_HEIGHT = 0.07, 0.06  # [m] inside
PLACES = ((0.62, -0.04), (0.69, 0.10))  # [m] corners of the rectangle that the bowl's middle stands in
PITCH = np.pi / 6  # [rad] the hand points forward and so far down

HOLDING = (
    -0.3620,
    0.2991,
    0.0067,
    -2.4350,
    -0.5023,
    3.8156,
    1.0055,
)  # [rad] cup upright, fingertips at (0.6, -0.12, 0.26)
# Directions of the cup in the hand's frame: its x, about which it is tipped, and its z, from bottom to opening.
_CUP_X = (float(np.sin(PITCH)), 0.0, float(np.cos(PITCH)))
_CUP_Z = (float(np.cos(PITCH)), 0.0, -float(np.sin(PITCH)))

CONTROL = TwistControl(
    HOLDING,
    (0.57, -0.25, 0.15),
    (0.75, 0.20, 0.40),
    world.CONTROL_DT,
    held=((_CUP_X, (1.0, 0.0, 0.0)),),
    upright=_CUP_Z,
    rolls=(-2.3, 0.3),
)
TASK = Task(
    name="franka/pour",
    instruction="Pour the beads from the cup in the hand into the bowl.",
    schema=Schema(
        (
            *world.ARM_FIELDS,
            Field(
                "cup.position", (3,), "m", "world", "the cup's middle, where the fingertips hold it; it is 0.09 high"
            ),
            Field(
                "cup.tilt",
                (),
                "rad",
                "world",
                "0 upright, pi/2 lying with its opening to +y, 2.3 nearly upside down; minus the roll",
            ),
            Field(
                "cup.lip_position",
                (3,),
                "m",
                "world",
                "the point of the cup's rim that beads run over when it tips to +y",
            ),
            Field("cup.filled", (), "1", "", "share of all beads that are in the cup; 1 at first"),
            Field(
                "bowl.position",
                (3,),
                "m",
                "world",
                "middle of the bowl's opening, 0.06 above the table; its radius is 0.07",
            ),
            Field("bowl.filled", (), "1", "", "share of all beads that are in the bowl"),
            Field("table.spilled", (), "1", "", "share of all beads that lie on the table outside the bowl"),
        )
    ),
    action=CONTROL.components(),
    max_episode_steps=150,
    control_dt=world.CONTROL_DT,
)


def _vessel(
    body: mujoco.MjsBody, radius: float, height: float, wall: float, bits: tuple[int, int], rgba: list[float]
) -> None:
    """A pot of eight walls and a bottom that stands at the body's origin."""
    bottom = body.add_geom(type=mujoco.mjtGeom.mjGEOM_CYLINDER, pos=[0, 0, -wall], size=[radius + wall, wall, 0])
    geoms = [bottom]
    half = wall / 2
    for angle in np.arange(8) * np.pi / 4:
        centre = [(radius + half) * np.cos(angle), (radius + half) * np.sin(angle), height / 2 - half]
        geom = body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=centre)
        geom.quat = [np.cos(angle / 2), 0, 0, np.sin(angle / 2)]
        geom.size = [half, (radius + wall) * np.tan(np.pi / 8), height / 2 + half]
        geoms.append(geom)
    for geom in geoms:
        geom.rgba, geom.mass, (geom.contype, geom.conaffinity) = rgba, 0.01, bits


def _model() -> mujoco.MjModel:
    spec = world.table_world()
    # Twice as fast as Newton's method for many light bodies with few contacts each.
    spec.option.solver, spec.option.jacobian = mujoco.mjtSolver.mjSOL_CG, mujoco.mjtJacobian.mjJAC_SPARSE
    hand, tcp = spec.body("hand"), spec.site("tcp")
    columns = np.stack([_CUP_X, np.cross(_CUP_Z, _CUP_X), _CUP_Z], axis=1)
    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, columns.ravel())
    cup = hand.add_body(
        name="cup", pos=list(np.array(tcp.pos) - CUP_GRASP * columns[:, 2]), quat=list(quat), gravcomp=1
    )
    _vessel(cup, CUP_RADIUS, CUP_HEIGHT, 0.003, ROBOT_BITS, [0.75, 0.85, 0.95, 0.4])
    cup.add_site(name="lip", pos=[0, CUP_RADIUS, CUP_HEIGHT], size=[0.003] * 3, group=4)
    bowl = spec.worldbody.add_body(name="bowl", pos=[0.65, 0.05, 0.012])
    _vessel(bowl, BOWL_RADIUS, BOWL_HEIGHT - 0.012, 0.006, THING_BITS, [0.9, 0.6, 0.3, 1])
    for index in range(BEADS):
        bead = spec.worldbody.add_body(name=f"bead{index}")
        for axis in np.eye(3):
            bead.add_joint(type=mujoco.mjtJoint.mjJNT_SLIDE, axis=list(axis), damping=0.01)
        geom = bead.add_geom(
            type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[BEAD, 0, 0], mass=0.004, rgba=[0.15, 0.4, 0.85, 1]
        )
        geom.contype, geom.conaffinity = THING_BITS
        geom.condim, geom.priority, geom.solref = 1, 1, [0.01, 1.0]
    return spec.compile()


def _start(model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
    world.pose_arm(data, HOLDING, rng, spread=0.02)
    data.qpos[7:9] = CUP_RADIUS + 0.003
    data.ctrl[7] = 2 * data.qpos[7]
    model.body_pos[model.body("bowl").id, :2] = rng.uniform(*PLACES)
    mujoco.mj_kinematics(model, data)
    cup = data.body("cup")
    ring = np.arange(6) * np.pi / 3
    layer = np.concatenate([0.022 * np.stack([np.cos(ring), np.sin(ring)], axis=1), [[0.0, 0.0]]])
    spots = np.array([[*layer[i % 7], BEAD + 0.0165 * (i // 7)] for i in range(BEADS)])
    spots[:, :2] += rng.uniform(-0.001, 0.001, (BEADS, 2))
    data.qpos[9:] = (cup.xpos + spots @ cup.xmat.reshape(3, 3).T).ravel()


def _beads(view: View) -> np.ndarray:
    """Where the beads are, (N, BEADS, 3)."""
    first = view.model.body("bead0").id
    return view["xpos"][:, first : first + BEADS]


def _shares(view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares of the beads (N,) in the cup, in the bowl and on the table; the rest is in the air."""
    beads = _beads(view)
    up = world.rotate(view.quaternion("cup"), (0.0, 0.0, 1.0))
    offset = beads - view.position("cup")[:, None]
    height = np.einsum("nbk,nk->nb", offset, up)
    aside = np.linalg.norm(offset - height[..., None] * up[:, None], axis=2)
    in_cup = (height > -0.005) & (height < CUP_HEIGHT) & (aside < 1.08 * CUP_RADIUS)
    from_bowl = beads - view.position("bowl")[:, None]
    within = np.linalg.norm(from_bowl[..., :2], axis=2) < 1.08 * BOWL_RADIUS
    in_bowl = within & (beads[..., 2] < BOWL_HEIGHT) & ~in_cup
    on_table = (beads[..., 2] < 2 * BEAD) & ~in_bowl & ~in_cup
    return in_cup.mean(axis=1), in_bowl.mean(axis=1), on_table.mean(axis=1)


def _tilt(view: View) -> np.ndarray:
    """(N,) [rad] by which the opening has turned to +y; between -pi / 2 and 3 pi / 2, so that it has no jump nearby."""
    y_axis = world.rotate(view.quaternion("cup"), (0.0, 1.0, 0.0))
    return np.asarray((np.arctan2(-y_axis[:, 2], y_axis[:, 1]) + np.pi / 2) % (2 * np.pi) - np.pi / 2)


def _opening_of_bowl(view: View) -> np.ndarray:
    return np.asarray(view.position("bowl") * [1.0, 1.0, 0.0] + [0.0, 0.0, BOWL_HEIGHT])


def _read(view: View) -> Values:
    in_cup, in_bowl, on_table = _shares(view)
    return world.read_arm(view) | {
        "cup.position": view.site("tcp").copy(),
        "cup.tilt": _tilt(view),
        "cup.lip_position": view.site("lip"),
        "cup.filled": in_cup,
        "bowl.position": _opening_of_bowl(view),
        "bowl.filled": in_bowl,
        "table.spilled": on_table,
    }


def _success(view: View) -> np.ndarray:
    return np.asarray(_shares(view)[1] >= SHARE)


def _observe(view: View) -> np.ndarray:
    arm, tilt, bowl, lip = world.read_arm(view), _tilt(view), _opening_of_bowl(view), view.site("lip")
    numbers = np.stack([tilt, np.cos(tilt), np.sin(tilt), *_shares(view)], axis=1)
    return np.concatenate([*arm.values(), numbers, bowl, lip, 5 * (lip - bowl)], axis=1)


def _expert_reward(view: View, actions: np.ndarray) -> np.ndarray:
    _, in_bowl, on_table = _shares(view)
    offset = view.site("lip") - _opening_of_bowl(view) - [0.0, -0.03, 0.10]
    there = 1 - np.tanh(8 * np.linalg.norm(offset, axis=1))
    tip = np.clip(_tilt(view) / 2.0, 0.0, 1.0) * there
    return np.asarray(there + tip + 4 * in_bowl - 2 * on_table + _success(view))


DEFINITION = MujocoTask(
    task=TASK,
    model=_model,
    frame_skip=world.FRAME_SKIP,
    start=_start,
    read=_read,
    success=_success,
    expert_reward=_expert_reward,
    cameras=world.CAMERAS,
    drive=drive(CONTROL),
    finish=world.settle,
    observe=_observe,
    kept=world.KEPT,
    placed=("body_pos",),
    observation_space=world.numbers(39),
)


def _act(scene: Scene, phase: np.ndarray, since: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """0: beside the bowl, upright. 1: tip the cup, its lip kept over the bowl."""
    lip, tilt = scene.cup.lip_position, scene.cup.tilt
    over = scene.bowl.position + np.array([0.0, -0.03, 0.10])
    beside = scene.bowl.position + np.array([0.0, -0.05, 0.15])
    velocity = np.where((phase == 0)[:, None], toward(lip, beside, 0.6), toward(lip, over))
    roll = np.where(phase == 0, 0.0, np.where(tilt < 1.2, -1.0, np.where(tilt < 2.2, -0.5, 0.0)))
    following = np.where(np.linalg.norm(lip - beside, axis=1) < 0.02, 1, phase)
    return to_action(velocity, roll), following


def script(num_worlds: int) -> Controller:
    """Bring the lip beside the bowl, then tip."""
    return Phased(_act, num_worlds)
