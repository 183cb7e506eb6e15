"""ManiSkill's tasks about pegs, plugs and a tool: lift upright, insert, plug in, poke, pull with a hook.

Everywhere the table's top is z = 0, the robot stands at x = -0.615, y = 0 and looks along +x, +y is to its left.
"""

from __future__ import annotations

from robot_learn.scene import Array
from sims.maniskill.panda import CAMERAS, body, panda
from sims.maniskill.sources import attribute, constant, direction, point, position, quaternion, rotate
from sims.maniskill.spec import PANDA_POSE, PANDA_POSITION, Look, Spec, Values, entry
from sims.maniskill.tasks_cubes import arm_still, cube, held, length

SIN_UPRIGHT = 0.0799147  # sin(0.08 rad)
COS_PLUGGED = 0.9950042  # cos(0.2 / 2 rad)


def _upright(values: Values) -> Array:
    """Upstream's Euler angle about z is a right angle to within 0.08 rad, and the peg stands on the table."""
    w, x, y, z = (values["peg.quaternion"][:, i] for i in range(4))
    cosine, sine = 1 - 2 * (y * y + z * z), 2 * (w * z - x * y)
    turned = abs(cosine) < SIN_UPRIGHT * (cosine * cosine + sine * sine) ** 0.5
    return turned & (abs(values["peg.position"][:, 2] - 0.12) < 0.005)


def _inserted(values: Values) -> Array:
    """The head is in the hole, in the frame of the hole: x along it, y and z across."""
    back = values["hole.quaternion"] * 1.0
    back[:, 1:] = -back[:, 1:]
    head = rotate(back, values["peg.head_position"] - values["hole.position"])
    inside = abs(head[:, 1:]) <= values["hole.half_width"][:, None]
    return (head[:, 0] >= -0.015) & inside.all(-1)


def _plugged(values: Values) -> Array:
    aligned = abs((values["charger.quaternion"] * values["socket.goal_quaternion"]).sum(-1)) >= COS_PLUGGED
    return (length(values["charger.position"] - values["socket.position"]) <= 5e-3) & aligned


def _plug_reward(values: Values, actions: Array) -> Array:
    """(N,) in [0, 1]: reach, grasp, bring in front of the socket, turn, push in. Upstream has no dense reward."""
    apart = values["socket.position"] - values["charger.position"]
    distance = length(apart)
    reach = 1 / (1 + 10 * length(values["charger.position"] - values["hand.position"]))
    aligned = abs((values["charger.quaternion"] * values["socket.goal_quaternion"]).sum(-1)) ** 4
    bring = 1 / (1 + 10 * distance)
    grasped = values["charger.grasped"]
    return (reach + grasped * (1 + 3 * bring + 2 * aligned * bring) + 3.0 * _plugged(values)) / 10


def _pulled(values: Values) -> Array:
    return length((values["cube.position"] - values["robot.base_position"])[:, :2]) < 0.6


def _poked(values: Values) -> Array:
    at_goal = length((values["cube.position"] - values["goal.position"])[:, :2]) < 0.05
    return at_goal & arm_still(values)


_BASE = entry("robot.base_position", constant(-0.615, 0.0, 0.0, unit="m", frame="world"), "where the robot stands")

SPECS = {
    "lift-peg-upright": Spec(
        env_id="LiftPegUpright-v1",
        instruction="Pick up the peg that lies on the table and stand it upright on the table, on either end.",
        control_mode="pd_ee_delta_pose",
        action=PANDA_POSE,
        entries=(
            *panda(),
            *body(
                "peg", "peg", "centre of the peg, 0.24 m long, 0.05 m thick; z = 0.025 when lying, 0.12 when standing"
            ),
            entry("peg.axis", direction("peg", (1.0, 0.0, 0.0)), "direction of the peg's long axis"),
            held("peg.grasped", "peg"),
        ),
        cameras=CAMERAS,
        success=_upright,
    ),
    "peg-insertion-side": Spec(
        env_id="PegInsertionSide-v1",
        instruction="Pick up the peg and insert its orange end into the hole in the side of the box.",
        control_mode="pd_ee_delta_pose",
        action=PANDA_POSE,
        entries=(
            *panda(),
            *body("peg", "peg", "centre of the peg"),
            entry(
                "peg.axis", direction("peg", (1.0, 0.0, 0.0)), "long axis of the peg, from its centre to its orange end"
            ),
            entry("peg.head_position", point("peg", "peg_head_offsets.p"), "middle of the orange end face of the peg"),
            entry(
                "peg.half_size",
                attribute("peg_half_sizes", (3,), unit="m"),
                "half of the peg's length, width and height: 0.085 to 0.125, 0.015 to 0.025, the same",
            ),
            held("peg.grasped", "peg"),
            entry("hole.position", point("box", "box_hole_offsets.p"), "centre of the hole, half-way through the box"),
            entry(
                "hole.quaternion",
                quaternion("box"),
                "orientation (w, x, y, z) of the box; its x axis is that of the hole",
            ),
            entry("hole.axis", direction("box", (1.0, 0.0, 0.0)), "axis of the hole: the way in which the peg goes in"),
            entry("hole.half_width", attribute("box_hole_radii", unit="m"), "half of the width of the square hole"),
        ),
        cameras={
            "hole": Look((0.5, -0.55, 0.5), (-0.05, 0.15, 0.1)),
            **CAMERAS,
        },  # the box hides the peg from the others
        success=_inserted,
        max_episode_steps=150,
    ),
    "plug-charger": Spec(
        env_id="PlugCharger-v1",
        instruction="Pick up the charger and plug it into the socket.",
        control_mode="pd_ee_delta_pose",
        action=PANDA_POSE,
        entries=(
            *panda(),
            *body("charger", "charger", "where the two prongs leave the charger; they are 0.016 m long, along its +x"),
            entry(
                "charger.base_position", point("charger", (-0.02, 0.0, 0.0)), "centre of the charger's body, to be held"
            ),
            entry("charger.axis", direction("charger", (1.0, 0.0, 0.0)), "direction in which the prongs point"),
            held("charger.grasped", "charger"),
            entry(
                "socket.position", position("receptacle"), "where the charger's position is to be, on the socket's face"
            ),
            entry(
                "socket.goal_quaternion",
                attribute("goal_pose.q", (4,), frame="world"),
                "orientation (w, x, y, z) that the charger is to have",
            ),
            entry("socket.axis", direction("receptacle", (-1.0, 0.0, 0.0)), "direction into the socket, level"),
        ),
        cameras=CAMERAS,
        success=_plugged,
        reward=_plug_reward,
        max_episode_steps=200,
    ),
    "poke-cube": Spec(
        env_id="PokeCube-v1",
        instruction="Pick up the peg and poke the cube with its end, along +x, into the goal region; then hold still.",
        control_mode="pd_ee_delta_pose",
        action=PANDA_POSE,
        entries=(
            *panda(),
            *body("peg", "peg", "centre of the peg, 0.24 m long, 0.05 m thick; z = 0.025 when it lies on the table"),
            entry("peg.head_position", point("peg", (0.12, 0.0, 0.0)), "middle of the peg's end face towards the cube"),
            held("peg.grasped", "peg"),
            *cube("cube", "cube", "red"),
            entry("goal.position", position("goal_region"), "centre of the goal, a disc of radius 0.05 m on the table"),
        ),
        cameras=CAMERAS,
        success=_poked,
    ),
    "pull-cube-tool": Spec(
        env_id="PullCubeTool-v1",
        instruction="The cube is out of reach: take the L-shaped tool and pull the cube to the robot with its hook.",
        control_mode="pd_ee_delta_pos",
        action=PANDA_POSITION,
        entries=(
            *panda(),
            *body(
                "tool", "l_shape_tool", "near end of the tool's handle, 0.2 m long along its +x, 0.05 m wide and high"
            ),
            entry(
                "tool.hook_position",
                point("l_shape_tool", (0.175, 0.05, 0.0)),
                "middle of the hook, across the far end",
            ),
            held("tool.grasped", "l_shape_tool"),
            *cube("cube", "cube", "blue"),
            _BASE,
        ),
        cameras=CAMERAS,
        success=_pulled,
        max_episode_steps=150,
    ),
}
