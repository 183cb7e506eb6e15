"""ManiSkill's tasks about cubes on a table: pick, stack, push, pull.

Everywhere the table's top is z = 0, a single robot stands at x = -0.615, y = 0 and looks along +x, +y is to its left.
"""

from __future__ import annotations

from robot_learn.scene import Array
from sims.maniskill.panda import CAMERAS, body, panda
from sims.maniskill.sources import grasped, position
from sims.maniskill.spec import PANDA_POSITION, Entry, Spec, Values, entry


def length(vectors: Array) -> Array:
    """Length of vectors along the last axis."""
    return (vectors * vectors).sum(-1) ** 0.5


def still(values: Values, group: str, linear: float, angular: float) -> Array:
    """(N,) bool: velocities of a thing are at most these [m/s, rad/s]."""
    slow = length(values[f"{group}.velocity"]) <= linear
    return slow & (length(values[f"{group}.angular_velocity"]) <= angular)


def arm_still(values: Values, prefix: str = "") -> Array:
    """(N,) bool: no joint of the arm moves faster than 0.2 rad/s."""
    return (abs(values[f"{prefix}arm.joint_velocities"]) <= 0.2).all(-1)


def held(name: str, path: str, agent: str = "agent", whose: str = "") -> Entry:
    """Whether a thing is in the gripper, as the field `name`."""
    thing = name.partition(".")[0].replace("_", " ")
    meaning = f"1 while both fingers{whose} press on the {thing} from opposite sides, else 0"
    return entry(name, grasped(path, agent), meaning)


def cube(group: str, path: str, colour: str) -> tuple[Entry, ...]:
    """A cube of edge 0.04 m."""
    return body(group, path, f"centre of the {colour} cube of edge 0.04 m; z = 0.02 when it lies on the table")


def _at_goal(values: Values) -> Array:
    return length(values["goal.position"] - values["cube.position"]) <= 0.025


def _stacked(values: Values) -> Array:
    offset = values["red_cube.position"] - values["green_cube.position"]
    above = (length(offset[:, :2]) <= 0.02 * 2**0.5 + 0.005) & (abs(offset[:, 2] - 0.04) <= 0.005)
    return above & still(values, "red_cube", 1e-2, 0.5) & (values["red_cube.grasped"] < 0.5)


def _in_region(values: Values, radius: float = 0.1) -> Array:
    return length((values["cube.position"] - values["goal.position"])[:, :2]) < radius


_REGION = entry(
    "goal.position", position("goal_region"), "centre of the goal, a disc of radius 0.1 m on the table (z = 0.001)"
)
_CUBE = cube("cube", "obj", "blue")


def _pair(values: Values, one: str, other: str, *, on_top: bool) -> Array:
    """(N,) bool: two cubes of the pyramid are side by side or one above the other, `one` still and let go."""
    offset = values[f"{one}.position"] - values[f"{other}.position"]
    near = length(offset[:, :2]) <= 0.04 * 2**0.5 + 0.005
    placed = near & (abs(offset[:, 2]) > 0.02) if on_top else near
    return placed & still(values, one, 1e-2, 0.5) & (values[f"{one}.grasped"] < 0.5)


def _pyramid(values: Values) -> Array:
    on_both = _pair(values, "blue_cube", "green_cube", on_top=True) & _pair(
        values, "blue_cube", "red_cube", on_top=True
    )
    return on_both & _pair(values, "red_cube", "green_cube", on_top=False)


def _closeness(distance: Array) -> Array:
    """1 at no distance [m], 1/2 at 0.1 m."""
    return 1 / (1 + 10 * distance)


def _pyramid_reward(values: Values, actions: Array) -> Array:
    """(N,) in [0, 1]: bring red beside green, let go, then blue above both. Upstream has no dense reward."""
    hand, red, green, blue = (values[f"{who}.position"] for who in ("hand", "red_cube", "green_cube", "blue_cube"))
    beside = _pair(values, "red_cube", "green_cube", on_top=False)
    apart = length((red - green)[:, :2])
    first = _closeness(length(red - hand)) + values["red_cube.grasped"] + 2 * _closeness(abs(apart - 0.042))
    middle = (red + green) / 2
    above = length((blue - middle)[:, :2]) + abs(blue[:, 2] - 0.06)
    second = _closeness(length(blue - hand)) + values["blue_cube.grasped"] + 2 * _closeness(above)
    return (beside * (4 + second) + (1 - 1.0 * beside) * first + 2.0 * _pyramid(values)) / 10


SPECS = {
    "pick-cube": Spec(
        env_id="PickCube-v1",
        instruction="Pick up the cube, bring it to the goal position and hold it there without moving.",
        control_mode="pd_ee_delta_pos",
        action=PANDA_POSITION,
        entries=(
            *panda(),
            *cube("cube", "cube", "red"),
            held("cube.grasped", "cube"),
            entry(
                "goal.position", position("goal_site"), "where the centre of the cube is to be, up to 0.3 m above it"
            ),
        ),
        cameras=CAMERAS,
        success=lambda values: _at_goal(values) & arm_still(values),
    ),
    "stack-cube": Spec(
        env_id="StackCube-v1",
        instruction="Pick up the red cube, place it on top of the green cube and let go of it.",
        control_mode="pd_ee_delta_pos",
        action=PANDA_POSITION,
        entries=(
            *panda(),
            *cube("red_cube", "cubeA", "red"),
            held("red_cube.grasped", "cubeA"),
            *cube("green_cube", "cubeB", "green"),
        ),
        cameras=CAMERAS,
        success=_stacked,
    ),
    "push-cube": Spec(
        env_id="PushCube-v1",
        instruction="Push the cube away from the robot, along +x, into the goal region; it must stay on the table.",
        control_mode="pd_ee_delta_pos",
        action=PANDA_POSITION,
        entries=(*panda(), *_CUBE, _REGION),
        cameras=CAMERAS,
        success=lambda values: _in_region(values) & (values["cube.position"][:, 2] < 0.025),
    ),
    "pull-cube": Spec(
        env_id="PullCube-v1",
        instruction="Pull the cube towards the robot, along -x, into the goal region.",
        control_mode="pd_ee_delta_pos",
        action=PANDA_POSITION,
        entries=(*panda(), *_CUBE, _REGION),
        cameras=CAMERAS,
        success=_in_region,
    ),
    "stack-pyramid": Spec(
        env_id="StackPyramid-v1",
        instruction=(
            "Place the red cube next to the green cube, then put the blue cube on top of both, across the gap, "
            "and let go of it."
        ),
        control_mode="pd_ee_delta_pos",
        action=PANDA_POSITION,
        entries=(
            *panda(),
            *cube("red_cube", "cubeA", "red"),
            held("red_cube.grasped", "cubeA"),
            *cube("green_cube", "cubeB", "green"),
            *cube("blue_cube", "cubeC", "blue"),
            held("blue_cube.grasped", "cubeC"),
        ),
        cameras=CAMERAS,
        max_episode_steps=250,
        success=_pyramid,
        reward=_pyramid_reward,
    ),
}
