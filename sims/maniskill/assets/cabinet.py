"""Cabinets: a carcass of panels with drawers and doors, each with a bar to pull.

The frame lies on the floor under the carcass's centre, z up; the front faces -x. What the robot is to open, drawers or
doors, is in the upper part, where it reaches well; the other kind is below.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sims.maniskill.assets.plan import STEEL, Joint, Link, Plan, Shape, Stuff, Vector, Y, Z

Kind = Literal["drawer", "door"]
PANEL = 0.018  # thickness of a panel
_GAP = 0.004  # around a front
_STEEL_LOOK: Vector = (0.75, 0.76, 0.78)


@dataclass(frozen=True)
class Cabinet:
    """Dimensions [m], [rad]."""

    opens: Kind  # what is in the upper part
    target: int  # which of those is to be opened, from the top, or from the left (+y)
    width: float  # along y
    depth: float  # along x
    plinth: float  # height of the lower edge
    upper: float  # height of the upper part
    lower: float
    drawers: int  # one above the other
    doors: int  # side by side
    hinge: Literal[-1, 1]  # of a single door: at +y or -y; of two doors each has its own side
    travel: float  # how far a drawer comes out
    swing: float  # how far a door opens
    bar_radius: float
    bar_length: float
    standoff: float  # of the bar's axis from the front
    wood: Vector

    @property
    def height(self) -> float:
        return self.plinth + self.lower + self.upper


def draw(rng: np.random.Generator, opens: Kind) -> Cabinet:
    """A cabinet at random."""
    drawers = int(rng.integers(1, 4))
    doors = int(rng.integers(1, 3))
    upper = drawers * rng.uniform(0.14, 0.18) if opens == "drawer" else rng.uniform(0.42, 0.56)
    shade = rng.uniform(0.75, 1.1)
    depth = rng.uniform(0.40, 0.52)
    base: Vector = ((0.62, 0.44, 0.28), (0.78, 0.62, 0.42), (0.80, 0.79, 0.76), (0.45, 0.52, 0.56))[rng.integers(4)]
    return Cabinet(
        opens=opens,
        target=int(rng.integers(drawers if opens == "drawer" else doors)),
        width=rng.uniform(0.45, 0.60) if doors == 1 else rng.uniform(0.60, 0.80),
        depth=depth,
        plinth=rng.uniform(0.06, 0.10),
        upper=upper,
        lower=rng.uniform(0.86, 0.94) - upper if opens == "drawer" else rng.uniform(0.24, 0.32),
        drawers=drawers if opens == "drawer" else 1,
        doors=doors,
        hinge=1 if rng.random() < 0.5 else -1,
        travel=depth * rng.uniform(0.6, 0.75),
        swing=rng.uniform(math.radians(80), math.radians(100)),
        bar_radius=rng.uniform(0.007, 0.010),
        bar_length=rng.uniform(0.12, 0.18),
        standoff=rng.uniform(0.045, 0.055),
        wood=(base[0] * shade, base[1] * shade, base[2] * shade),
    )


def plan(cabinet: Cabinet) -> Plan:
    """The links "carcass", "drawer0" ... from the top and "door0" ... from the left (+y)."""
    c = cabinet
    drawers = [_drawer(c, i) for i in range(c.drawers)]
    doors = [_door(c, i) for i in range(c.doors)]
    return Plan((Link("carcass", _carcass(c)), *drawers, *doors))


def target_name(cabinet: Cabinet) -> str:
    """The link that is to be opened."""
    return f"{cabinet.opens}{cabinet.target}"


def grip(cabinet: Cabinet) -> Vector:
    """The middle of the bar on what is to be opened, in that link's frame."""
    c = cabinet
    if c.opens == "drawer":
        return (-PANEL - c.standoff, 0.0, 0.0)
    width, side = _door_width(c), _hinge_side(c, c.target)
    return (-PANEL - c.standoff, -side * (width - 0.05), _bar_height(c))


def _zone(c: Cabinet, kind: Kind) -> tuple[float, float]:
    """Lower and upper end of the part that holds drawers, or doors."""
    split = c.plinth + c.lower
    return (split, c.height) if kind == c.opens else (c.plinth, split)


def _carcass(c: Cabinet) -> tuple[Shape, ...]:
    w, d, half = c.width / 2, c.depth / 2, PANEL / 2
    middle, tall = (c.height + c.plinth) / 2, (c.height - c.plinth) / 2
    inner = w - PANEL
    split = c.plinth + c.lower
    wood = Stuff(c.wood)
    boards = [(z, (d, inner, half)) for z in (c.plinth + half, split, c.height - half)]
    return (
        *(Shape("box", size, (0.0, 0.0, z), stuff=wood) for z, size in boards),
        *(Shape("box", (d, half, tall), (0.0, side * (w - half), middle), stuff=wood) for side in (1, -1)),
        Shape("box", (half, inner, tall), (d - half, 0.0, middle), stuff=wood),
        Shape("box", (d - 0.03, w - 0.02, c.plinth / 2), (0.02, 0.0, c.plinth / 2), stuff=Stuff((0.2, 0.2, 0.2))),
    )


def _bar(c: Cabinet, centre: Vector, along: Vector) -> tuple[Shape, ...]:
    """A bar before a front that faces -x, on two posts."""
    metal = Stuff(_STEEL_LOOK, STEEL, metallic=0.9, friction=1.0)
    half = c.bar_length / 2
    shapes = [Shape("capsule", (c.bar_radius, half), centre, along, stuff=metal)]
    for end in (-0.9 * half, 0.9 * half):
        foot = (centre[0] + c.standoff / 2, centre[1] + end * along[1], centre[2] + end * along[2])
        shapes.append(Shape("cylinder", (0.8 * c.bar_radius, c.standoff / 2), foot, (1.0, 0.0, 0.0), stuff=metal))
    return tuple(shapes)


def _front_colour(c: Cabinet) -> Vector:
    return (min(1.0, 1.12 * c.wood[0]), min(1.0, 1.12 * c.wood[1]), min(1.0, 1.12 * c.wood[2]))


def _drawer(c: Cabinet, index: int) -> Link:
    """A box without a lid behind a front panel; its frame lies in the middle of the opening it closes."""
    low, high = _zone(c, "drawer")
    tall = (high - low) / c.drawers
    half, w, box = PANEL / 2, c.width / 2 - _GAP, c.width / 2 - PANEL - 0.01
    deep, side = (c.depth - 2 * PANEL) / 2, tall * 0.3
    wood = Stuff((0.85, 0.78, 0.66))
    floor = -tall / 2 + 0.03
    shapes = (
        Shape("box", (half, w, tall / 2 - _GAP), (-half, 0.0, 0.0), stuff=Stuff(_front_colour(c))),
        Shape("box", (deep, box, 0.004), (deep, 0.0, floor), stuff=wood),
        *(Shape("box", (deep, 0.006, side), (deep, s * box, floor + side), stuff=wood) for s in (1, -1)),
        Shape("box", (0.006, box, side), (2 * deep - 0.006, 0.0, floor + side), stuff=wood),
        *_bar(c, (-PANEL - c.standoff, 0.0, 0.0), Y),
    )
    origin = (-c.depth / 2, 0.0, high - (index + 0.5) * tall)
    rails = Joint("prismatic", origin, (-1.0, 0.0, 0.0), (0.0, c.travel), friction=0.05, damping=10.0)
    return Link(f"drawer{index}", shapes, "carcass", rails)


def _door_width(c: Cabinet) -> float:
    return c.width / c.doors - 2 * _GAP


def _hinge_side(c: Cabinet, index: int) -> int:
    """+1: the door hangs on its edge at +y."""
    return c.hinge if c.doors == 1 else (1, -1)[index]


def _bar_height(c: Cabinet) -> float:
    low, high = _zone(c, "door")
    # The bar of a door in the upper part is in its middle, that of a low one near its upper edge.
    return 0.0 if c.opens == "door" else (high - low) / 2 - c.bar_length / 2 - 0.05


def _door(c: Cabinet, index: int) -> Link:
    """A panel; its frame lies at its hinge, half way up."""
    low, high = _zone(c, "door")
    side, width = _hinge_side(c, index), _door_width(c)
    middle = -side * width / 2
    shapes = (
        Shape(
            "box",
            (PANEL / 2, width / 2, (high - low) / 2 - _GAP),
            (-PANEL / 2, middle, 0.0),
            stuff=Stuff(_front_colour(c)),
        ),
        *_bar(c, (-PANEL - c.standoff, -side * (width - 0.05), _bar_height(c)), Z),
    )
    edge = c.width / 2 if c.doors == 1 else (c.width / 2, -c.width / 2)[index] * side
    origin = (-c.depth / 2, side * (edge - _GAP), (low + high) / 2)
    # Seen from above, a door on its left (+y) edge opens clockwise.
    hinge = Joint("revolute", origin, (0.0, 0.0, -float(side)), (0.0, c.swing), friction=0.05, damping=1.0)
    return Link(f"door{index}", shapes, "carcass", hinge)
