"""Meta-World's 50 tasks (Yu et al. 2019; metaworld 3), batched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robot_learn.errors import unknown
from robot_learn.scene import Field, Schema
from robot_learn.types import ActionComponent, Task
from sims.metaworld.sources import Dial, Joint, Named, Point, Quat, Source, body
from sims.metaworld.tasks import TASKS, Spec

if TYPE_CHECKING:
    from sims.metaworld.policies import Scripted
    from sims.metaworld.worlds import MetaWorldWorlds

# Upstream's own limit is 500; a competent policy needs 50 to 150 steps, so shorter episodes train faster and ask more.
MAX_EPISODE_STEPS = 200
CONTROL_DT = 0.0125  # [s]

_ROBOT: tuple[Named, ...] = (
    (
        "robot.hand_position",
        body("hand"),
        "point between the two fingers at half their length; the fingers hang down, 9 cm long and 3 cm wide (x)",
    ),
    ("robot.left_finger_position", body("leftpad"), "centre of the left finger, the one towards +y"),
    ("robot.right_finger_position", body("rightpad"), "centre of the right finger, the one towards -y"),
)
_DERIVED = (
    Field("robot.fingertip_position", (3,), "m", "world", "point between the two fingertips, 4.5 cm below the hand"),
    Field("robot.gripper_opening", (), "m", "", "distance between the fingers, which close along y; 0.1 fully open"),
)
_ACTION = (
    ActionComponent("hand_dx", -1.0, 1.0, "moves the hand's target along x (to the robot's right), 1 is 1 cm a step"),
    ActionComponent("hand_dy", -1.0, 1.0, "moves the hand's target along y (away from the robot), 1 is 1 cm a step"),
    ActionComponent("hand_dz", -1.0, 1.0, "moves the hand's target along z (up), 1 is 1 cm a step"),
    ActionComponent("gripper", -1.0, 1.0, "1 closes the fingers with full force, -1 opens them"),
)


def _field(name: str, source: Source, meaning: str) -> Field:
    if isinstance(source, Joint):
        return Field(name, (), source.unit, "", meaning)
    if isinstance(source, Quat):
        return Field(name, (4,), "1", "world", f"{meaning} (w, x, y, z)")
    assert isinstance(source, Point | Dial)
    return Field(name, (3,), "m", "world", meaning)


def _spec(name: str) -> Spec:
    if name not in TASKS:
        raise unknown("task", f"metaworld/{name}", [f"metaworld/{known}" for known in TASKS])
    return TASKS[name]


def task(name: str) -> Task:
    """The task `metaworld/<name>`."""
    spec = _spec(name)
    fields = (
        *(_field(*named) for named in _ROBOT),
        *_DERIVED,
        *(_field(*named) for named in spec.scene),
        Field("goal.position", (3,), "m", "world", spec.goal),
    )
    return Task(f"metaworld/{name}", spec.instruction, Schema(fields), _ACTION, MAX_EPISODE_STEPS, CONTROL_DT)


def make(name: str, num_worlds: int, *, threads: int | None = None) -> MetaWorldWorlds:
    """Worlds of the task `metaworld/<name>`."""
    from sims.metaworld.worlds import MetaWorldWorlds

    spec = _spec(name)
    fields = {named: source for named, source, _ in (*_ROBOT, *spec.scene)}
    return MetaWorldWorlds(name, task(name), spec, fields, num_worlds, threads)


def scripted(name: str, num_worlds: int) -> Scripted:
    """Upstream's hand-written policy of the task `metaworld/<name>`."""
    from sims.metaworld.policies import Scripted

    _spec(name)
    return Scripted(name, num_worlds)
