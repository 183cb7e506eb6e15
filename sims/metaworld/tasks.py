"""The 50 Meta-World tasks: instruction, scene, what the observation shows, and how success is measured.

Positions that an observation shows and the thresholds of success are upstream's (Yu et al. 2019; metaworld 3); names,
instructions and meanings are ours. A scene never tells how success is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

from sims.metaworld.scenes import (
    BUTTON,
    BUTTON_DOWN,
    CUBE,
    DOOR,
    DRAWER,
    FAUCET_ANGLE,
    FAUCET_BASE,
    FREE_GOAL,
    MACHINE,
    MUG,
    NUT,
    OBJ,
    OBJ_GEOM,
    PLATE,
    PRESS,
    PUCK,
    PULL_TRAVEL,
    STICK,
    WALL,
    lock,
    quat,
    thing,
    turned,
    window,
)
from sims.metaworld.sources import (
    IDENTITY,
    ZEROS,
    Dial,
    Joint,
    Named,
    Point,
    Quat,
    Success,
    along,
    body,
    box_closed,
    faucet_turned,
    fingertips_within,
    geom,
    in_hole,
    in_hoop,
    lever_up,
    nail_driven,
    off_peg,
    over_peg,
    pulled_with_stick,
    pushed_with_stick,
    site,
    within,
)


@dataclass(frozen=True)
class Spec:
    """One task."""

    instruction: str
    scene: tuple[Named, ...]  # beside the robot, which all tasks share
    goal: str  # the meaning of goal.position
    success: Success
    objects: tuple[Point | Dial, ...]  # positions in the observation
    orientations: tuple[Quat, ...]  # and orientations, in the same order
    # The arm and the objects come to rest alike wherever this episode's objects stand, so that one rest serves all.
    rests_alike: bool = True


TASKS: dict[str, Spec] = {
    "assembly": Spec(
        "Pick up the nut by its handle and put its ring over the peg.",
        NUT, "top of the upright peg", over_peg, (site("RoundNut-8"),), (quat("RoundNut"),),
    ),
    "basketball": Spec(
        "Pick up the basketball and drop it through the hoop.",
        thing("ball", body("bsktball"), quat("bsktball"), "the ball (3 cm in radius)"),
        "centre of the hoop", in_hoop, (body("bsktball"),), (quat("bsktball"),),
    ),
    "bin-picking": Spec(
        "Pick up the block from its bin and put it into the other bin.",
        CUBE, "middle of the other bin's floor", within(0.05), (OBJ,), (quat("obj"),),
    ),
    "box-close": Spec(
        "Pick up the lid by its handle and close the box with it.",
        thing("lid", body("top_link"), quat("top_link"), "the lid; its handle rises 8 cm above this"),
        "where the lid lies when the box is closed", box_closed, (body("top_link"),), (quat("top_link"),),
        rests_alike=False,
    ),
    "button-press-topdown": Spec(
        "Press a button down from above.",
        BUTTON_DOWN, "where the button's top is aimed when pressed", along(2, 0.024),
        (body("button", (0.0, 0.0, 0.193)),), (quat("button"),),
    ),
    "button-press-topdown-wall": Spec(
        "Go over a wall and press a button down from above.",
        BUTTON_DOWN, "where the button's top is aimed when pressed", along(2, 0.024),
        (body("button", (0.0, 0.0, 0.193)),), (quat("button"),),
    ),
    "button-press": Spec(
        "Press a button.",
        BUTTON, "where the button's face is aimed when pressed", along(1, 0.02),
        (body("button", (0.0, -0.193, 0.0)),), (quat("button"),),
    ),
    "button-press-wall": Spec(
        "Go around a wall and press a button behind it.",
        BUTTON, "where the button's face is aimed when pressed", along(1, 0.03),
        (body("button", (0.0, -0.193, 0.0)),), (quat("button"),),
    ),
    "coffee-button": Spec(
        "Push the button of the coffee machine.",
        (
            ("button.position", site("buttonStart"), "face of the button towards the robot, a disc 3 cm in radius"),
            ("button.travel", Joint("goal_slidey"),
             "how far the button is pressed; 0 released, 0.03 at its stop, 0.06 pressed hard"),
        ),
        "where the button's face is when fully pressed", along(1, 0.02), (site("buttonStart"),), (IDENTITY,),
    ),
    "coffee-pull": Spec(
        "Pull the mug away from the coffee machine to the goal.",
        (*MUG, MACHINE), "where the mug should be", within(0.07), (OBJ,), (turned("geom", "mug"),),
    ),
    "coffee-push": Spec(
        "Push the mug under the coffee machine.",
        (*MUG, MACHINE), "where the mug should be", within(0.07), (OBJ,), (turned("geom", "mug"),),
    ),
    "dial-turn": Spec(
        "Turn the dial by half a turn.",
        (
            ("dial.position", body("dial"), "foot of the dial, on its vertical axis of rotation"),
            ("dial.pointer_position", Dial(), "where the dial's pointer is, 5 cm from the axis, at the table's height"),
            (
                "dial.angle",
                Joint("knob_Joint_1", unit="rad"),
                "turn of the dial, counter-clockwise seen from above; 0 at the start, 3.14 or -3.14 after half a turn",
            ),
        ),
        "beside the dial's axis, on the far side from the robot", within(0.07, Dial()), (Dial(),), (quat("dial"),),
    ),
    "disassemble": Spec(
        "Pick the nut up by its handle and lift it off the peg.",
        NUT, "a point above the peg, higher than its top", off_peg, (site("RoundNut-8"),), (quat("RoundNut"),),
        rests_alike=False,
    ),
    "door-close": Spec(
        "Close the door.",
        DOOR, "where the door's handle should be", within(0.08), (geom("handle"),), (turned("geom", "handle"),),
    ),
    "door-lock": Spec(
        "Lock the door by turning its lock clockwise.",
        lock("lockStartLock"), "where the end of the bar should be", along(2, 0.02),
        (site("lockStartLock"),), (quat("door_link"),), rests_alike=False,
    ),
    "door-open": Spec(
        "Open the door by its handle.",
        DOOR, "where the door's handle should be, with the door open",
        lambda state: abs(state.observed()[:, 0] - state.target[:, 0]) <= 0.08,
        (geom("handle"),), (turned("geom", "handle"),),
    ),
    "door-unlock": Spec(
        "Unlock the door by turning its lock counter-clockwise.",
        lock("lockStartUnlock"), "where the end of the bar should be", along(0, 0.02),
        (site("lockStartUnlock"),), (quat("door_link"),), rests_alike=False,
    ),
    "drawer-close": Spec(
        "Push the drawer shut.",
        DRAWER, "where the front of the handle should be", within(0.065), (body("drawer_link", (0.0, -0.16, 0.05)),),
        (ZEROS,),
    ),
    "drawer-open": Spec(
        "Open a drawer by its handle.",
        DRAWER, "where the front of the handle should be", within(0.03), (body("drawer_link", (0.0, -0.16, 0.0)),),
        (quat("drawer_link"),),
    ),
    "faucet-close": Spec(
        "Turn the faucet's handle clockwise.",
        (("faucet.handle_position", site("handleStartClose"), "end of the handle, its side towards +x"),
         FAUCET_BASE, FAUCET_ANGLE),
        "where the end of the handle should be", within(0.07),
        (site("handleStartClose", (0.0, 0.0, -0.01)),), (quat("faucetBase"),),
    ),
    "faucet-open": Spec(
        "Turn the faucet's handle counter-clockwise.",
        (("faucet.handle_position", site("handleStartOpen"), "end of the handle, its side towards -x"),
         FAUCET_BASE, FAUCET_ANGLE),
        "where the end of the handle should be", faucet_turned,
        (site("handleStartOpen", (0.0, 0.0, -0.01)),), (quat("faucetBase"),),
    ),
    "hammer": Spec(
        "Pick up the hammer by its handle and drive the nail into the block with its head.",
        (
            *thing("hammer", body("hammer"), quat("hammer"), "the hammer's handle, a bar that can be gripped"),
            ("hammer.head_position", geom("HammerHead"), "centre of the hammer's head"),
            ("nail.head_position", body("nail_link"), "head of the nail, a disc 3 cm in radius that faces the robot"),
            ("nail.depth", Joint("NailSlideJoint"), "how far the nail is driven in; 0 out, 0.1 fully in"),
        ),
        "where the nail's head is when fully driven in", nail_driven, (body("hammer"), body("nail_link")),
        (quat("hammer"), quat("nail_link")),
    ),
    "hand-insert": Spec(
        "Pick up the block and push it into the hole in the table.",
        CUBE, "a point in the hole, below the table's surface", within(0.05), (OBJ,), (quat("obj"),),
    ),
    "handle-press-side": Spec(
        "Press a handle down; the handle points sideways, to +x.",
        PRESS, "where the end of the handle should be", along(2, 0.02), (site("handleStart"),), (ZEROS,),
        rests_alike=False,
    ),
    "handle-press": Spec(
        "Press a handle down.",
        PRESS, "where the end of the handle should be", along(2, 0.02), (site("handleStart"),), (ZEROS,),
        rests_alike=False,
    ),
    "handle-pull-side": Spec(
        "Pull a handle up; the handle points sideways, to +x.",
        (("handle.position", site("handleCenter"), "middle of the handle; a hand can grip it here"), PULL_TRAVEL),
        "where the handle should be", within(0.08), (site("handleCenter"),), (ZEROS,), rests_alike=False,
    ),
    "handle-pull": Spec(
        "Pull a handle up.",
        (("handle.position", site("handleRight"), "right end of the handle's bar, on its lower side"), PULL_TRAVEL),
        "where the handle should be", along(2, 0.05), (site("handleRight"),), (ZEROS,), rests_alike=False,
    ),
    "lever-pull": Spec(
        "Pull the lever up until it points straight up.",
        (
            ("lever.end_position", site("leverStart"),
             "ball at the free end of the lever, which turns about the x axis"),
            ("lever.angle", Joint("LeverAxis", sign=-1.0, unit="rad"), "0 level, towards the robot; 1.57 straight up"),
        ),
        "where the end of the lever should be", lever_up, (site("leverStart"),), (turned("geom", "objGeom"),),
    ),
    "peg-insert-side": Spec(
        "Pick up the peg and insert its head sideways into the hole of the box.",
        (
            ("peg.grasp_position", site("pegGrasp"), "where the peg is best gripped: its upper side, near its tail"),
            ("peg.head_position", site("pegHead"), "head of the peg, the end that goes into the hole, along -x"),
            ("peg.quaternion", quat("peg"), "orientation of the peg"),
            ("box.hole_position", site("hole"), "mouth of the hole, on the box's side towards +x"),
        ),
        "inside the hole", within(0.07, site("pegHead"), (1.0, 2.0, 2.0)), (site("pegGrasp"),),
        (turned("site", "pegGrasp"),),
    ),
    "peg-unplug-side": Spec(
        "Pull the plug sideways out of its socket.",
        (
            ("plug.end_position", site("pegEnd"), "outer end of the plug, which sticks out of the socket along +x"),
            ("plug.quaternion", quat("plug1"), "orientation of the plug"),
        ),
        "where the outer end of the plug should be", within(0.07), (site("pegEnd"),), (quat("plug1"),),
        rests_alike=False,
    ),
    "pick-out-of-hole": Spec(
        "Pick the puck up out of the hole and bring it to the goal.",
        PUCK, FREE_GOAL, within(0.07), (OBJ,), (quat("obj"),),
    ),
    "pick-place": Spec(
        "Pick up the puck and bring it to the goal.",
        PUCK, FREE_GOAL, within(0.07), (OBJ,), (turned("geom", "objGeom"),), rests_alike=False,
    ),
    "pick-place-wall": Spec(
        "Pick up the puck, carry it over the wall and bring it to the goal.",
        (*PUCK, WALL), FREE_GOAL, within(0.07), (OBJ_GEOM,), (turned("geom", "objGeom"),), rests_alike=False,
    ),
    "plate-slide": Spec(
        "Slide the plate into the cabinet.",
        PLATE, "where the plate should be", within(0.07), (geom("puck"),), (turned("geom", "puck"),),
    ),
    "plate-slide-side": Spec(
        "Slide the plate sideways into the cabinet, to -x.",
        PLATE, "where the plate should be", within(0.07), (geom("puck"),), (turned("geom", "puck"),),
    ),
    "plate-slide-back": Spec(
        "Slide the plate back out of the cabinet, towards the robot.",
        PLATE, "where the plate should be", within(0.07), (geom("puck"),), (turned("geom", "puck"),),
    ),
    "plate-slide-back-side": Spec(
        "Slide the plate sideways out of the cabinet, to +x.",
        PLATE, "where the plate should be", within(0.07), (geom("puck"),), (turned("geom", "puck"),),
    ),
    "push": Spec(
        "Push the puck to the goal.",
        PUCK, "where the puck should be", within(0.05), (OBJ,), (turned("geom", "objGeom"),), rests_alike=False,
    ),
    "push-back": Spec(
        "Pull the block back to the goal, towards the robot.",
        CUBE, "where the block should be", within(0.07), (OBJ_GEOM,), (turned("geom", "objGeom"),),
    ),
    "push-wall": Spec(
        "Push the puck around the wall to the goal.",
        (*PUCK, WALL), "where the puck should be", within(0.07), (OBJ_GEOM,), (turned("geom", "objGeom"),),
        rests_alike=False,
    ),
    "reach": Spec(
        "Bring the fingertips to the goal.",
        PUCK, "where the fingertips should be", fingertips_within(0.05), (OBJ,), (turned("geom", "objGeom"),),
        rests_alike=False,
    ),
    "reach-wall": Spec(
        "Bring the fingertips to the goal, past the wall.",
        (*PUCK, WALL), "where the fingertips should be", fingertips_within(0.05), (OBJ,),
        (turned("geom", "objGeom"),), rests_alike=False,
    ),
    "shelf-place": Spec(
        "Pick up the block and put it on the shelf.",
        CUBE, "where the block should be, on the shelf", within(0.07), (OBJ,), (turned("geom", "objGeom"),),
    ),
    "soccer": Spec(
        "Kick the ball into the goal.",
        thing("ball", body("soccer_ball"), quat("soccer_ball"), "the ball (2.6 cm in radius)"),
        "middle of the goal's line, on the table", within(0.07), (body("soccer_ball"),),
        (turned("body", "soccer_ball"),),
    ),
    "stick-pull": Spec(
        "Pick up the stick, put its tip through the thermos's handle and pull the thermos to the goal with it.",
        STICK, "where the thermos's handle should be", pulled_with_stick, (body("stick"), site("insertion")),
        (turned("body", "stick"), ZEROS),
    ),
    "stick-push": Spec(
        "Pick up the stick and push the thermos to the goal with it.",
        STICK, "where the thermos should be", pushed_with_stick,
        (body("stick"), site("insertion", (0.0, 0.09, 0.0))), (turned("body", "stick"), ZEROS),
    ),
    "sweep": Spec(
        "Sweep the block off the table, to +x.",
        CUBE, "where the block should be, beyond the table's edge", within(0.05), (OBJ,), (quat("obj"),),
    ),
    "sweep-into": Spec(
        "Sweep the block from where it is into the hole in the table.",
        CUBE, "middle of the hole, at the table's surface", in_hole, (OBJ,), (turned("geom", "objGeom"),),
    ),
    "window-close": Spec(
        "Push the sliding window shut, to -x, by its handle.",
        window("handleCloseStart"), "where the handle should be along x", along(0, 0.05),
        (site("handleCloseStart"),), (ZEROS,),
    ),
    "window-open": Spec(
        "Push the sliding window open, to +x, by its handle.",
        window("handleOpenStart"), "where the handle should be along x", along(0, 0.05),
        (site("handleOpenStart"),), (ZEROS,),
    ),
}  # fmt: skip
