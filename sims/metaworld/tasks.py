"""The 50 Meta-World tasks: instruction, scene, what the observation shows, and how success is measured.

Positions that an observation shows and the thresholds of success are upstream's (Yu et al. 2019; metaworld 3); names,
instructions and meanings are ours. A scene never tells how success is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

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


def _at(kind: str, name: str) -> Quat:
    return Quat(kind, name, xyzw=True)


def _q(name: str) -> Quat:
    return Quat("body", name)


def _object(group: str, point: Point, quat: Quat, what: str) -> tuple[Named, Named]:
    return (f"{group}.position", point, f"centre of {what}"), (f"{group}.quaternion", quat, f"orientation of {what}")


_OBJ, _OBJ_GEOM = body("obj"), geom("objGeom")
_PUCK = _object("puck", _OBJ, _q("obj"), "the puck (a disc, 2 cm in radius, 4 cm tall), which slides on the table")
_CUBE = _object("block", _OBJ, _q("obj"), "the block (4 cm on each side)")
_WALL: Named = ("wall.position", body("wall"), "centre of a wall 24 cm long (x), 2 cm thick (y), 12 cm tall (z)")
_FREE_GOAL = "where the object should be; a point in space, nothing is there"
_NUT: tuple[Named, ...] = (
    ("nut.handle_position", site("RoundNut-8"), "middle of the nut's handle, a bar that can be gripped"),
    ("nut.ring_position", site("RoundNut"), "centre of the nut's ring, 13 cm from its handle; the hole is wide as the peg"),
    ("nut.quaternion", _q("RoundNut"), "orientation of the nut"),
)
_BUTTON_DOWN: tuple[Named, ...] = (
    ("button.position", body("button", (0.0, 0.0, 0.193)), "top of the button, a disc 4 cm in radius, on a box"),
    ("button.travel", Joint(of="button", sign=-1.0), "how far the button is pressed; 0 released, 0.06 at its stop"),
)
_BUTTON: tuple[Named, ...] = (
    ("button.position", body("button", (0.0, -0.193, 0.0)), "face of the button towards the robot, a disc 4 cm in radius"),
    ("button.travel", Joint(of="button", sign=-1.0), "how far the button is pressed; 0 released, 0.06 at its stop"),
)
_MUG = _object("mug", _OBJ, _q("obj"), "the mug's bottom (2.8 cm in radius, 6.6 cm tall, handle on its side)")
_MACHINE: Named = ("machine.position", body("coffee_machine"), "foot of the coffee machine; the mug goes 22 cm before it")
_DOOR: tuple[Named, ...] = (
    ("door.handle_position", geom("handle"), "centre of the door's handle, an upright bar that sticks out of the door"),
    ("door.angle", Joint("doorjoint", sign=-1.0, unit="rad"), "opening of the door; 0 closed, 1.57 wide open"),
)
_DRAWER: tuple[Named, ...] = (
    (
        "drawer.handle_position",
        body("drawer_link", (0.0, -0.16, 0.0)),
        "front of the handle: a bar 10 cm long (x) and 2 cm thick, 5 cm before the drawer, open behind and above",
    ),
    ("drawer.opening", Joint("goal_slidey", sign=-1.0), "how far the drawer is out; 0 closed, 0.16 at its stop"),
)
_FAUCET_ANGLE: Named = (
    "faucet.angle",
    Joint("knob_Joint_1", unit="rad"),
    "turn of the handle, counter-clockwise seen from above; 0 at the start, -1.57 to 1.57",
)
_FAUCET_BASE: Named = ("faucet.base_position", body("faucetBase"), "foot of the faucet, on its vertical axis of rotation")
_PRESS: tuple[Named, ...] = (
    ("handle.position", site("handleStart"), "free end of the handle, on its upper side"),
    ("handle.travel", Joint(of="handle_link"), "height of the handle's slide; 0 up, -0.1 down; a spring pushes it up"),
)
_PULL_TRAVEL: Named = ("handle.travel", Joint(of="handle_link"), "height of the handle's slide; 0 up, -0.1 down")
_PLATE = _object("plate", geom("puck"), _q("puck_channel"), "the plate (10 cm wide, 3 cm tall), which slides on the table")[:1]
_STICK: tuple[Named, ...] = (
    *_object("stick", body("stick"), _q("stick"), "the stick (10 cm long along x, 4 cm thick)"),
    ("stick.tip_position", site("stick_end"), "end of the stick that points to the thermos"),
    ("thermos.handle_position", site("insertion"), "middle of the opening in the thermos's handle"),
)
_WINDOW_OPENING = Joint("window_slide")


def _window(handle: str) -> tuple[Named, ...]:
    return (
        ("window.handle_position", site(handle), "side of the window's handle, an upright bar, that is to be pushed"),
        ("window.opening", _WINDOW_OPENING, "how far the window is slid to +x; 0 closed, 0.2 open"),
    )


def _lock(point: str) -> tuple[Named, ...]:
    return (
        ("lock.position", site(point), "end of the lock's bar, which turns about the y axis; push here"),
        ("lock.angle", Joint(of="lock_link", unit="rad"), "turn of the bar; 0 lies along +x, 1.57 points down"),
    )


TASKS: dict[str, Spec] = {
    "assembly": Spec(
        "Pick up the nut by its handle and put its ring over the peg.",
        _NUT, "top of the upright peg", over_peg, (site("RoundNut-8"),), (_q("RoundNut"),),
    ),
    "basketball": Spec(
        "Pick up the basketball and drop it through the hoop.",
        _object("ball", body("bsktball"), _q("bsktball"), "the ball (3 cm in radius)"),
        "centre of the hoop", in_hoop, (body("bsktball"),), (_q("bsktball"),),
    ),
    "bin-picking": Spec(
        "Pick up the block from its bin and put it into the other bin.",
        _CUBE, "middle of the other bin's floor", within(0.05), (_OBJ,), (_q("obj"),),
    ),
    "box-close": Spec(
        "Pick up the lid by its handle and close the box with it.",
        _object("lid", body("top_link"), _q("top_link"), "the lid; its handle rises 8 cm above this"),
        "where the lid lies when the box is closed", box_closed, (body("top_link"),), (_q("top_link"),),
        rests_alike=False,
    ),
    "button-press-topdown": Spec(
        "Press a button down from above.",
        _BUTTON_DOWN, "where the button's top is aimed when pressed", along(2, 0.024),
        (body("button", (0.0, 0.0, 0.193)),), (_q("button"),),
    ),
    "button-press-topdown-wall": Spec(
        "Go over a wall and press a button down from above.",
        _BUTTON_DOWN, "where the button's top is aimed when pressed", along(2, 0.024),
        (body("button", (0.0, 0.0, 0.193)),), (_q("button"),),
    ),
    "button-press": Spec(
        "Press a button.",
        _BUTTON, "where the button's face is aimed when pressed", along(1, 0.02),
        (body("button", (0.0, -0.193, 0.0)),), (_q("button"),),
    ),
    "button-press-wall": Spec(
        "Go around a wall and press a button behind it.",
        _BUTTON, "where the button's face is aimed when pressed", along(1, 0.03),
        (body("button", (0.0, -0.193, 0.0)),), (_q("button"),),
    ),
    "coffee-button": Spec(
        "Push the button of the coffee machine.",
        (
            ("button.position", site("buttonStart"), "face of the button towards the robot, a disc 3 cm in radius"),
            ("button.travel", Joint("goal_slidey"), "how far the button is pressed; 0 released, 0.03 at its stop"),
        ),
        "where the button's face is when fully pressed", along(1, 0.02), (site("buttonStart"),), (IDENTITY,),
    ),
    "coffee-pull": Spec(
        "Pull the mug away from the coffee machine to the goal.",
        (*_MUG, _MACHINE), "where the mug should be", within(0.07), (_OBJ,), (_at("geom", "mug"),),
    ),
    "coffee-push": Spec(
        "Push the mug under the coffee machine.",
        (*_MUG, _MACHINE), "where the mug should be", within(0.07), (_OBJ,), (_at("geom", "mug"),),
    ),
    "dial-turn": Spec(
        "Turn the dial by half a turn.",
        (
            ("dial.position", body("dial"), "foot of the dial, on its vertical axis of rotation"),
            ("dial.pointer_position", Dial(), "where the dial's pointer is, 5 cm from the axis, at the table's height"),
            ("dial.angle", Joint("knob_Joint_1", unit="rad"), "turn of the dial, 0 at the start, 3.14 half a turn"),
        ),
        "beside the dial's axis, on the far side from the robot", within(0.07, Dial()), (Dial(),), (_q("dial"),),
    ),
    "disassemble": Spec(
        "Pick the nut up by its handle and lift it off the peg.",
        _NUT, "a point above the peg, higher than its top", off_peg, (site("RoundNut-8"),), (_q("RoundNut"),),
        rests_alike=False,
    ),
    "door-close": Spec(
        "Close the door.",
        _DOOR, "where the door's handle should be", within(0.08), (geom("handle"),), (_at("geom", "handle"),),
    ),
    "door-lock": Spec(
        "Lock the door by turning its lock clockwise.",
        _lock("lockStartLock"), "where the end of the bar should be", along(2, 0.02),
        (site("lockStartLock"),), (_q("door_link"),), rests_alike=False,
    ),
    "door-open": Spec(
        "Open the door by its handle.",
        _DOOR, "where the door's handle should be, with the door open",
        lambda state: abs(state.observed()[:, 0] - state.target[:, 0]) <= 0.08,
        (geom("handle"),), (_at("geom", "handle"),),
    ),
    "door-unlock": Spec(
        "Unlock the door by turning its lock counter-clockwise.",
        _lock("lockStartUnlock"), "where the end of the bar should be", along(0, 0.02),
        (site("lockStartUnlock"),), (_q("door_link"),), rests_alike=False,
    ),
    "drawer-close": Spec(
        "Push the drawer shut.",
        _DRAWER, "where the front of the handle should be", within(0.065), (body("drawer_link", (0.0, -0.16, 0.05)),),
        (ZEROS,),
    ),
    "drawer-open": Spec(
        "Open a drawer by its handle.",
        _DRAWER, "where the front of the handle should be", within(0.03), (body("drawer_link", (0.0, -0.16, 0.0)),),
        (_q("drawer_link"),),
    ),
    "faucet-close": Spec(
        "Turn the faucet's handle clockwise.",
        (("faucet.handle_position", site("handleStartClose"), "end of the handle, its side towards +x"),
         _FAUCET_BASE, _FAUCET_ANGLE),
        "where the end of the handle should be", within(0.07),
        (site("handleStartClose", (0.0, 0.0, -0.01)),), (_q("faucetBase"),),
    ),
    "faucet-open": Spec(
        "Turn the faucet's handle counter-clockwise.",
        (("faucet.handle_position", site("handleStartOpen"), "end of the handle, its side towards -x"),
         _FAUCET_BASE, _FAUCET_ANGLE),
        "where the end of the handle should be", faucet_turned,
        (site("handleStartOpen", (0.0, 0.0, -0.01)),), (_q("faucetBase"),),
    ),
    "hammer": Spec(
        "Pick up the hammer by its handle and drive the nail into the block with its head.",
        (
            *_object("hammer", body("hammer"), _q("hammer"), "the hammer's handle, a bar that can be gripped"),
            ("hammer.head_position", geom("HammerHead"), "centre of the hammer's head"),
            ("nail.head_position", body("nail_link"), "head of the nail, a disc 3 cm in radius that faces the robot"),
            ("nail.depth", Joint("NailSlideJoint"), "how far the nail is driven in; 0 out, 0.1 fully in"),
        ),
        "where the nail's head is when fully driven in", nail_driven, (body("hammer"), body("nail_link")),
        (_q("hammer"), _q("nail_link")),
    ),
    "hand-insert": Spec(
        "Pick up the block and push it into the hole in the table.",
        _CUBE, "a point in the hole, below the table's surface", within(0.05), (_OBJ,), (_q("obj"),),
    ),
    "handle-press-side": Spec(
        "Press a handle down; the handle points sideways, to +x.",
        _PRESS, "where the end of the handle should be", along(2, 0.02), (site("handleStart"),), (ZEROS,),
        rests_alike=False,
    ),
    "handle-press": Spec(
        "Press a handle down.",
        _PRESS, "where the end of the handle should be", along(2, 0.02), (site("handleStart"),), (ZEROS,),
        rests_alike=False,
    ),
    "handle-pull-side": Spec(
        "Pull a handle up; the handle points sideways, to +x.",
        (("handle.position", site("handleCenter"), "middle of the handle; a hand can grip it here"), _PULL_TRAVEL),
        "where the handle should be", within(0.08), (site("handleCenter"),), (ZEROS,), rests_alike=False,
    ),
    "handle-pull": Spec(
        "Pull a handle up.",
        (("handle.position", site("handleRight"), "right end of the handle's bar, on its lower side"), _PULL_TRAVEL),
        "where the handle should be", along(2, 0.05), (site("handleRight"),), (ZEROS,), rests_alike=False,
    ),
    "lever-pull": Spec(
        "Pull the lever up until it points straight up.",
        (
            ("lever.end_position", site("leverStart"), "ball at the free end of the lever, which turns about the x axis"),
            ("lever.angle", Joint("LeverAxis", sign=-1.0, unit="rad"), "0 level, towards the robot; 1.57 straight up"),
        ),
        "where the end of the lever should be", lever_up, (site("leverStart"),), (_at("geom", "objGeom"),),
    ),
    "peg-insert-side": Spec(
        "Pick up the peg and insert its head sideways into the hole of the box.",
        (
            ("peg.grasp_position", site("pegGrasp"), "where the peg is best gripped: its upper side, near its tail"),
            ("peg.head_position", site("pegHead"), "head of the peg, the end that goes into the hole, along -x"),
            ("peg.quaternion", _q("peg"), "orientation of the peg"),
            ("box.hole_position", site("hole"), "mouth of the hole, on the box's side towards +x"),
        ),
        "inside the hole", within(0.07, site("pegHead"), (1.0, 2.0, 2.0)), (site("pegGrasp"),),
        (_at("site", "pegGrasp"),),
    ),
    "peg-unplug-side": Spec(
        "Pull the plug sideways out of its socket.",
        (
            ("plug.end_position", site("pegEnd"), "outer end of the plug, which sticks out of the socket along +x"),
            ("plug.quaternion", _q("plug1"), "orientation of the plug"),
        ),
        "where the outer end of the plug should be", within(0.07), (site("pegEnd"),), (_q("plug1"),),
        rests_alike=False,
    ),
    "pick-out-of-hole": Spec(
        "Pick the puck up out of the hole and bring it to the goal.",
        _PUCK, _FREE_GOAL, within(0.07), (_OBJ,), (_q("obj"),),
    ),
    "pick-place": Spec(
        "Pick up the puck and bring it to the goal.",
        _PUCK, _FREE_GOAL, within(0.07), (_OBJ,), (_at("geom", "objGeom"),), rests_alike=False,
    ),
    "pick-place-wall": Spec(
        "Pick up the puck, carry it over the wall and bring it to the goal.",
        (*_PUCK, _WALL), _FREE_GOAL, within(0.07), (_OBJ_GEOM,), (_at("geom", "objGeom"),), rests_alike=False,
    ),
    "plate-slide": Spec(
        "Slide the plate into the cabinet.",
        _PLATE, "where the plate should be", within(0.07), (geom("puck"),), (_at("geom", "puck"),),
    ),
    "plate-slide-side": Spec(
        "Slide the plate sideways into the cabinet, to -x.",
        _PLATE, "where the plate should be", within(0.07), (geom("puck"),), (_at("geom", "puck"),),
    ),
    "plate-slide-back": Spec(
        "Slide the plate back out of the cabinet, towards the robot.",
        _PLATE, "where the plate should be", within(0.07), (geom("puck"),), (_at("geom", "puck"),),
    ),
    "plate-slide-back-side": Spec(
        "Slide the plate sideways out of the cabinet, to +x.",
        _PLATE, "where the plate should be", within(0.07), (geom("puck"),), (_at("geom", "puck"),),
    ),
    "push": Spec(
        "Push the puck to the goal.",
        _PUCK, "where the puck should be", within(0.05), (_OBJ,), (_at("geom", "objGeom"),), rests_alike=False,
    ),
    "push-back": Spec(
        "Pull the block back to the goal, towards the robot.",
        _CUBE, "where the block should be", within(0.07), (_OBJ_GEOM,), (_at("geom", "objGeom"),),
    ),
    "push-wall": Spec(
        "Push the puck around the wall to the goal.",
        (*_PUCK, _WALL), "where the puck should be", within(0.07), (_OBJ_GEOM,), (_at("geom", "objGeom"),),
        rests_alike=False,
    ),
    "reach": Spec(
        "Bring the fingertips to the goal.",
        _PUCK, "where the fingertips should be", fingertips_within(0.05), (_OBJ,), (_at("geom", "objGeom"),),
        rests_alike=False,
    ),
    "reach-wall": Spec(
        "Bring the fingertips to the goal, past the wall.",
        (*_PUCK, _WALL), "where the fingertips should be", fingertips_within(0.05), (_OBJ,),
        (_at("geom", "objGeom"),), rests_alike=False,
    ),
    "shelf-place": Spec(
        "Pick up the block and put it on the shelf.",
        _CUBE, "where the block should be, on the shelf", within(0.07), (_OBJ,), (_at("geom", "objGeom"),),
    ),
    "soccer": Spec(
        "Kick the ball into the goal.",
        _object("ball", body("soccer_ball"), _q("soccer_ball"), "the ball (2.6 cm in radius)"),
        "middle of the goal's line, on the table", within(0.07), (body("soccer_ball"),), (_at("body", "soccer_ball"),),
    ),
    "stick-pull": Spec(
        "Pick up the stick, put its tip through the thermos's handle and pull the thermos to the goal with it.",
        _STICK, "where the thermos's handle should be", pulled_with_stick, (body("stick"), site("insertion")),
        (_at("body", "stick"), ZEROS),
    ),
    "stick-push": Spec(
        "Pick up the stick and push the thermos to the goal with it.",
        _STICK, "where the thermos should be", pushed_with_stick,
        (body("stick"), site("insertion", (0.0, 0.09, 0.0))), (_at("body", "stick"), ZEROS),
    ),
    "sweep": Spec(
        "Sweep the block off the table, to +x.",
        _CUBE, "where the block should be, beyond the table's edge", within(0.05), (_OBJ,), (_q("obj"),),
    ),
    "sweep-into": Spec(
        "Sweep the block from where it is into the hole in the table.",
        _CUBE, "middle of the hole, at the table's surface", in_hole, (_OBJ,), (_at("geom", "objGeom"),),
    ),
    "window-close": Spec(
        "Push the sliding window shut, to -x, by its handle.",
        _window("handleCloseStart"), "where the handle should be along x", along(0, 0.05),
        (site("handleCloseStart"),), (ZEROS,),
    ),
    "window-open": Spec(
        "Push the sliding window open, to +x, by its handle.",
        _window("handleOpenStart"), "where the handle should be along x", along(0, 0.05),
        (site("handleOpenStart"),), (ZEROS,),
    ),
}  # fmt: skip
