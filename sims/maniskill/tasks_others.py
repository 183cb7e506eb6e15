"""ManiSkill's tasks about a sphere, a ball, a T and two robots.

Everywhere the table's top is z = 0. A single robot stands at x = -0.615, y = 0, looking along +x, unless
said otherwise.
"""

from __future__ import annotations

from robot_learn.scene import Array
from robot_learn.types import ActionComponent
from sims.maniskill.panda import CAMERAS, body, panda
from sims.maniskill.sources import position
from sims.maniskill.spec import PANDA_POSITION, Look, Spec, Values, entry, part
from sims.maniskill.tasks_cubes import arm_still, cube, held, length, still


def _facing(prefix: str, along: tuple[str, str]) -> tuple[ActionComponent, ...]:
    """Position actions of a robot whose base is turned: where its own x and y point in the world."""
    whose = f"{prefix.rstrip('_')} " if prefix else ""
    moves = [
        part(
            f"{prefix}hand_d{axis}",
            f"target of the {whose}fingertips along {way} of the world, from where they are, x 0.1 m",
        )
        for axis, way in zip(("forward", "left", "up"), (*along, "+z"), strict=True)
    ]
    return (
        *moves,
        part(f"{prefix}gripper", f"wanted opening of the {whose}gripper: 1 opens it to 0.08 m, -1 closes it"),
    )


def _in_bin(values: Values) -> Array:
    offset = values["sphere.position"] - values["bin.position"]
    inside = (length(offset[:, :2]) <= 0.005) & (abs(offset[:, 2] - 0.0225) <= 0.005)
    return inside & still(values, "sphere", 1e-2, 0.5) & (values["sphere.grasped"] < 0.5)


def _rolled(values: Values) -> Array:
    return length((values["ball.position"] - values["goal.position"])[:, :2]) < 0.1


def _handed_over(values: Values) -> Array:
    return (length(values["goal.position"] - values["cube.position"]) <= 0.025) & arm_still(values, "right_")


def _stacked_by_two(values: Values) -> Array:
    offset = values["blue_cube.position"] - values["green_cube.position"]
    above = (length(offset[:, :2]) <= 0.02 * 2**0.5 + 0.005) & (abs(offset[:, 2] - 0.04) <= 0.005)
    at_goal = length((values["green_cube.position"] - values["goal.position"])[:, :2]) < 0.06
    return above & at_goal & (values["blue_cube.grasped"] + values["green_cube.grasped"] < 0.5)


_TWO = {
    "front": Look((1.1, 0.0, 0.8), (0.0, 0.0, 0.1), 0.95),
    "side": Look((0.5, -0.9, 0.6), (0.0, 0.0, 0.1), 0.95),
    "top": Look((0.1, 0.0, 1.4), (0.0, 0.0, 0.0), 0.95),
}
_LEFT, _RIGHT = "left_agent", "right_agent"
_PAIR = (*panda(_LEFT, "left_"), *panda(_RIGHT, "right_"))
_PAIR_ACTION = (*_facing("left_", ("+y", "-x")), *_facing("right_", ("-y", "+x")))

SPECS = {
    "place-sphere": Spec(
        env_id="PlaceSphere-v1",
        instruction="Pick up the sphere, place it into the shallow bin and let go of it.",
        control_mode="pd_ee_delta_pos",
        action=PANDA_POSITION,
        entries=(
            *panda(),
            *body("sphere", "obj", "centre of the sphere of radius 0.02 m; z = 0.02 when it lies on the table"),
            held("sphere.grasped", "obj"),
            entry(
                "bin.position",
                position("bin"),
                "centre of the bin's floor, 0.005 m thick; its walls stand 0.02 m from the centre and are 0.01 m high",
            ),
        ),
        cameras=CAMERAS,
        success=_in_bin,
    ),
    "roll-ball": Spec(
        env_id="RollBall-v1",
        instruction="Hit the ball so that it rolls along -y to the goal region at the other end of the table.",
        control_mode="pd_ee_delta_pos",
        action=_facing("", ("-y", "+x")),
        entries=(
            *panda(),
            *body(
                "ball",
                "ball",
                "centre of the ball of radius 0.035 m; the robot stands at x = -0.1, y = 1, looking along -y",
            ),
            entry("goal.position", position("goal_region"), "centre of the goal, a disc of radius 0.1 m on the table"),
        ),
        cameras={
            "front": Look((-0.1, -1.6, 1.2), (-0.1, 0.0, 0.0), 1.1),
            "side": Look((1.6, 0.0, 1.0), (-0.1, 0.0, 0.0), 1.1),
        },
        success=_rolled,
        remembered=("reached_status",),
        max_episode_steps=80,
    ),
    "two-robot-pick-cube": Spec(
        env_id="TwoRobotPickCube-v1",
        instruction=(
            "The left robot brings the cube to the right robot, which picks it up and holds it at the goal position."
        ),
        control_mode="pd_ee_delta_pos",
        action=_PAIR_ACTION,
        entries=(
            *_PAIR,
            *cube("cube", "cube", "red"),
            held("cube.grasped_by_left", "cube", _LEFT, " of the left robot"),
            held("cube.grasped_by_right", "cube", _RIGHT, " of the right robot"),
            entry(
                "goal.position",
                position("goal_site"),
                "where the centre of the cube is to be, within reach of the right",
            ),
        ),
        cameras=_TWO,
        success=_handed_over,
        max_episode_steps=200,
    ),
    "two-robot-stack-cube": Spec(
        env_id="TwoRobotStackCube-v1",
        instruction=(
            "The right robot places the green cube on the goal region; the left robot stacks the blue cube on top of "
            "it; both let go."
        ),
        control_mode="pd_ee_delta_pos",
        action=_PAIR_ACTION,
        entries=(
            *_PAIR,
            *cube("blue_cube", "cubeA", "blue"),
            held("blue_cube.grasped", "cubeA", _LEFT, " of the left robot"),
            *cube("green_cube", "cubeB", "green"),
            held("green_cube.grasped", "cubeB", _RIGHT, " of the right robot"),
            entry("goal.position", position("goal_region"), "centre of the goal, a disc of radius 0.06 m on the table"),
        ),
        cameras=_TWO,
        success=_stacked_by_two,
        max_episode_steps=200,
    ),
}
