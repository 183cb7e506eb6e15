"""What a ManiSkill task is: a table row. The worlds around it, on the CPU and on the GPU, are the same for all.

A `Spec` names a ManiSkill environment and says where each field of the scene is read from:

    Spec(
        env_id="PickCube-v1",
        instruction="Pick up the cube and hold it at the goal.",
        control_mode="pd_ee_delta_pos",
        action=PANDA_POSITION,
        entries=(
            *panda(),
            entry("cube.position", position("cube"), "centre of the cube, edge 0.04 m"),
            entry("cube.grasped", grasped("cube"), "1 while both fingers press on the cube, else 0"),
        ),
        success=lambda values: ...,          # or nothing: then ManiSkill's own `evaluate()["success"]`
        cameras={"front": Look(...), "side": Look(...)},
    )

Sources ("cube" is the attribute `env.cube` of the ManiSkill environment) are in `sims.maniskill.sources`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from robot_learn.scene import Array, Field, Schema
from robot_learn.types import ActionComponent, Task
from sims.maniskill.sources import Derived, Source

Values = Mapping[str, Array]


@dataclass(frozen=True)
class Look:
    """A camera that stands still, in the world frame."""

    eye: tuple[float, float, float]  # [m]
    target: tuple[float, float, float]  # [m] the point in the middle of the picture
    field_of_view: float = 0.9  # [rad] vertical


@dataclass(frozen=True)
class Entry:
    """A field of the scene and where it comes from."""

    field: Field
    source: Source | Derived


def entry(
    name: str, source: Source | Derived, meaning: str, *, unit: str | None = None, frame: str | None = None
) -> Entry:
    """A field whose shape, unit and frame are those of its source, unless said otherwise."""
    unit = source.unit if unit is None else unit
    frame = source.frame if frame is None else frame
    return Entry(Field(name, source.shape, unit, frame, meaning), source)


@dataclass(frozen=True)
class Spec:
    """One task. Functions of `Values` get all worlds, (N, *shape), numpy or torch: use operators and methods only."""

    env_id: str  # as ManiSkill registers it, e.g. "PickCube-v1"
    instruction: str
    control_mode: str  # of ManiSkill, e.g. "pd_ee_delta_pos"
    action: tuple[ActionComponent, ...]
    entries: tuple[Entry, ...]
    cameras: Mapping[str, Look]  # the first is what `render` shows unless asked otherwise; at least two
    max_episode_steps: int = 100
    control_dt: float = 0.05  # [s] 1 / control_freq of the environment; checked when it is made
    success: Callable[[Values], Array] | None = None  # (N,) bool; None: ManiSkill's evaluate()["success"], slower
    # (N,) from the values and the actions (N, act_dim); None: ManiSkill's normalised dense reward
    reward: Callable[[Values, Array], Array] | None = None
    failure: Callable[[Values], Array] | None = None  # (N,) bool: the episode ends for good; None: it never does
    options: Mapping[str, Any] = field(default_factory=dict)  # further arguments for gymnasium.make
    module: str = "mani_skill.envs"  # whose import registers `env_id`
    takes_assets: bool = False  # the environment's constructor takes `assets`, "procedural" or "partnet"
    # Attributes of the environment that change within an episode and matter for its future. What a reset with the
    # same seed sets again (goals, sizes) need not be named: a snapshot keeps the seed.
    remembered: tuple[str, ...] = ()

    def task(self, name: str) -> Task:
        """The task as the rest of the stack sees it."""
        schema = Schema(tuple(told.field for told in self.entries))
        return Task(name, self.instruction, schema, self.action, self.max_episode_steps, self.control_dt)


def part(name: str, meaning: str, low: float = -1.0, high: float = 1.0) -> ActionComponent:
    """One number of an action, by default between -1 and 1."""
    return ActionComponent(name, low, high, meaning)


# "pd_ee_delta_pos" of the Panda: the point between the fingertips is sent from where it is now.
_MOVES = tuple(
    part(
        f"hand_d{axis}", f"target of the fingertips along {axis} of the world, relative to where they are now, x 0.1 m"
    )
    for axis in "xyz"
)
_GRIPPER = part("gripper", "wanted opening of the gripper: 1 opens it to 0.08 m, -1 closes it")
PANDA_POSITION = (*_MOVES, _GRIPPER)
# "pd_ee_delta_pose": as before, and the hand turns.
_TURNS = tuple(
    part(f"hand_turn_{axis}", f"wanted turn of the hand about {axis} of the world in this step, x -0.1 rad")
    for axis in "xyz"
)
PANDA_POSE = (*_MOVES, *_TURNS, _GRIPPER)
