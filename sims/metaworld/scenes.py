"""What Meta-World tasks have in common: objects and fittings that stand in more than one scene."""

from __future__ import annotations

from sims.metaworld.sources import Joint, Named, Point, Quat, body, geom, site


def turned(kind: str, name: str) -> Quat:
    """An orientation that upstream observes as (x, y, z, w)."""
    return Quat(kind, name, xyzw=True)


def quat(name: str) -> Quat:
    """The orientation of a body."""
    return Quat("body", name)


def thing(group: str, point: Point, orientation: Quat, what: str) -> tuple[Named, Named]:
    """Position and orientation of `what`."""
    return (f"{group}.position", point, f"centre of {what}"), (
        f"{group}.quaternion",
        orientation,
        f"orientation of {what}",
    )


OBJ, OBJ_GEOM = body("obj"), geom("objGeom")
PUCK = thing("puck", OBJ, quat("obj"), "the puck (a disc, 2 cm in radius, 4 cm tall), which slides on the table")
CUBE = thing("block", OBJ, quat("obj"), "the block (4 cm on each side)")
WALL: Named = ("wall.position", body("wall"), "centre of a wall 24 cm long (x), 2 cm thick (y), 12 cm tall (z)")
FREE_GOAL = "where the object should be; a point in space, nothing is there"
NUT: tuple[Named, ...] = (
    ("nut.handle_position", site("RoundNut-8"), "middle of the nut's handle, a bar that can be gripped"),
    (
        "nut.ring_position",
        site("RoundNut"),
        "centre of the nut's ring, 13 cm from its handle; the hole is wide as the peg",
    ),
    ("nut.quaternion", quat("RoundNut"), "orientation of the nut"),
)
BUTTON_TRAVEL: Named = (
    "button.travel",
    Joint(of="button", sign=-1.0),
    "how far the button is pressed; 0 released, 0.06 at its stop, 0.09 pressed hard",
)
BUTTON_DOWN: tuple[Named, ...] = (
    ("button.position", body("button", (0.0, 0.0, 0.193)), "top of the button, a disc 4 cm in radius, on a box"),
    BUTTON_TRAVEL,
)
BUTTON: tuple[Named, ...] = (
    (
        "button.position",
        body("button", (0.0, -0.193, 0.0)),
        "face of the button towards the robot, a disc 4 cm in radius",
    ),
    BUTTON_TRAVEL,
)
MUG = thing("mug", OBJ, quat("obj"), "the mug's bottom (2.8 cm in radius, 6.6 cm tall, handle on its side)")
MACHINE: Named = (
    "machine.position",
    body("coffee_machine"),
    "foot of the coffee machine; the mug goes 22 cm before it",
)
DOOR: tuple[Named, ...] = (
    ("door.handle_position", geom("handle"), "centre of the door's handle, an upright bar that sticks out of the door"),
    ("door.angle", Joint("doorjoint", sign=-1.0, unit="rad"), "opening of the door; 0 closed, 1.57 wide open"),
)
DRAWER: tuple[Named, ...] = (
    (
        "drawer.handle_position",
        body("drawer_link", (0.0, -0.16, 0.0)),
        "front of the handle: a bar 10 cm long (x) and 2 cm thick, 5 cm before the drawer, open behind and above",
    ),
    (
        "drawer.opening",
        Joint("goal_slidey", sign=-1.0),
        "how far the drawer is out; 0 closed, 0.16 at its stop, 0.2 pulled hard",
    ),
)
FAUCET_ANGLE: Named = (
    "faucet.angle",
    Joint("knob_Joint_1", unit="rad"),
    "turn of the handle, counter-clockwise seen from above; 0 at the start",
)
FAUCET_BASE: Named = (
    "faucet.base_position",
    body("faucetBase"),
    "foot of the faucet, on its vertical axis of rotation",
)
PRESS: tuple[Named, ...] = (
    ("handle.position", site("handleStart"), "free end of the handle, on its upper side"),
    (
        "handle.travel",
        Joint(of="handle_link"),
        "height of the handle's slide; 0 up, -0.1 down at its stop; it stays where it is left",
    ),
)
PULL_TRAVEL: Named = (
    "handle.travel",
    Joint(of="handle_link"),
    "height of the handle's slide; 0 up, -0.1 down at its stop",
)
PLATE = thing(
    "plate", geom("puck"), quat("puck_channel"), "the plate (10 cm wide, 3 cm tall), which slides on the table"
)[:1]
STICK: tuple[Named, ...] = (
    *thing("stick", body("stick"), quat("stick"), "the stick (10 cm long along x, 4 cm thick)"),
    ("stick.tip_position", site("stick_end"), "end of the stick that points to the thermos"),
    ("thermos.handle_position", site("insertion"), "middle of the opening in the thermos's handle"),
)


def window(handle: str) -> tuple[Named, ...]:
    """A sliding window; `handle` is the site on the side that is pushed."""
    return (
        ("window.handle_position", site(handle), "side of the window's handle, an upright bar, that is to be pushed"),
        ("window.opening", Joint("window_slide"), "how far the window is slid to +x; 0 closed, 0.2 open"),
    )


def lock(point: str) -> tuple[Named, ...]:
    """A door's lock; `point` is the site at the end of its bar."""
    return (
        ("lock.position", site(point), "end of the lock's bar, which turns about the y axis; push here"),
        ("lock.angle", Joint(of="lock_link", unit="rad"), "turn of the bar; 0 lies along +x, 1.57 points down"),
    )
