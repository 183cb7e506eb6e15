"""Swivel chairs: seat and back on a column, which stands on five legs with a castor each.

The frame lies on the floor under the column, z up; at swivel 0 the back is at -x. The first link, the column with its
legs, is free to move and to tip over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sims.maniskill.assets.plan import FOAM, PLASTIC, STEEL, Joint, Link, Plan, Shape, Stuff, Vector, Z

LEGS = 5
_DARK: Vector = (0.13, 0.13, 0.14)
_TRAIL = 0.018  # how far a wheel runs behind the axis on which its fork turns


@dataclass(frozen=True)
class Chair:
    """Dimensions [m]."""

    seat_height: float  # of the seat's middle
    seat_size: float  # across
    seat_thickness: float
    back_height: float  # of the back alone
    leg_length: float  # from the column to a castor
    wheel_radius: float
    arms: bool
    fabric: Vector


def draw(rng: np.random.Generator) -> Chair:
    """A chair at random."""
    return Chair(
        seat_height=rng.uniform(0.43, 0.52),
        seat_size=rng.uniform(0.42, 0.50),
        seat_thickness=rng.uniform(0.06, 0.09),
        back_height=rng.uniform(0.38, 0.55),
        leg_length=rng.uniform(0.27, 0.32),
        wheel_radius=rng.uniform(0.028, 0.035),
        arms=bool(rng.random() < 0.5),
        fabric=((0.16, 0.30, 0.55), (0.50, 0.16, 0.16), (0.20, 0.42, 0.30), (0.30, 0.30, 0.33))[rng.integers(4)],
    )


def plan(chair: Chair) -> Plan:
    """The links "column", "seat", and "fork0", "wheel0" and so on."""
    links = [Link("column", _column(chair)), _seat(chair)]
    for i in range(LEGS):
        links += _castor(chair, i)
    return Plan(tuple(links), fixed=False)


def _around(radius: float, index: int, height: float) -> Vector:
    angle = 2 * math.pi * index / LEGS
    return (radius * math.cos(angle), radius * math.sin(angle), height)


def _leg_height(c: Chair) -> float:
    return 2 * c.wheel_radius + 0.035


def _column(c: Chair) -> tuple[Shape, ...]:
    low, high = _leg_height(c), c.seat_height - c.seat_thickness / 2 - 0.01
    steel = Stuff((0.6, 0.6, 0.62), STEEL / 5, metallic=0.8)
    # Tubes and hollow profiles weigh about a fifth of the solid part.
    legs = [
        Shape("capsule", (0.017, c.leg_length / 2), _around(c.leg_length / 2, i, low), _around(1.0, i, 0.0),
              stuff=Stuff(_DARK, STEEL / 5))
        for i in range(LEGS)
    ]  # fmt: skip
    tube = Shape("cylinder", (0.025, (high - low) / 2), (0.0, 0.0, (low + high) / 2), stuff=steel)
    return (Shape("cylinder", (0.045, 0.03), (0.0, 0.0, low), stuff=steel), tube, *legs)


def _seat(c: Chair) -> Link:
    """Turns about the column; its frame lies in the middle of the seat."""
    half, thick = c.seat_size / 2, c.seat_thickness / 2
    cloth = Stuff(c.fabric, 3 * FOAM, friction=0.8)
    back = Shape(
        "box", (0.025, 0.9 * half, c.back_height / 2), (-half - 0.01, 0.0, 0.10 + c.back_height / 2), stuff=cloth
    )
    shapes = [
        Shape("box", (half, half, thick), stuff=cloth),
        back,
        Shape("box", (0.012, 0.04, 0.10), (-half - 0.005, 0.0, 0.06), stuff=Stuff(_DARK, STEEL / 5)),
    ]
    for side in (1, -1) if c.arms else ():
        y = side * (half + 0.025)
        shapes += [
            Shape("box", (0.6 * half, 0.025, 0.015), (-0.2 * half, y, 0.22), stuff=Stuff(_DARK, PLASTIC / 2)),
            Shape("box", (0.03, 0.012, 0.11), (-0.2 * half, y, 0.10), stuff=Stuff(_DARK, PLASTIC / 2)),
        ]
    swivel = Joint("revolute", (0.0, 0.0, c.seat_height), Z, friction=0.02, damping=0.5)
    return Link("seat", tuple(shapes), "column", swivel)


def _castor(c: Chair, index: int) -> tuple[Link, Link]:
    """A fork that turns about the vertical and the wheel that trails it, at first away from the column."""
    name, radius = f"fork{index}", c.wheel_radius
    drop = _leg_height(c) - radius  # from the leg down to the wheel's axle
    out, plastic = _around(_TRAIL, index, 0.0), Stuff(_DARK, PLASTIC)
    axle = (-out[1] / _TRAIL, out[0] / _TRAIL, 0.0)
    fork = Link(
        name,
        (
            Shape("cylinder", (0.010, 0.015), (0.0, 0.0, -0.015), stuff=Stuff((0.6, 0.6, 0.62), STEEL / 5)),
            Shape("box", (0.016, 0.016, 0.006), (out[0] / 2, out[1] / 2, radius + 0.008 - drop), stuff=plastic),
        ),
        "column",
        Joint("revolute", _around(c.leg_length, index, _leg_height(c)), Z, friction=0.05, damping=0.01),
    )
    wheel = Link(
        f"wheel{index}",
        (Shape("cylinder", (radius, 0.011), axis=axle, stuff=Stuff(_DARK, PLASTIC, friction=0.8)),),
        name,
        Joint("revolute", (out[0], out[1], -drop), axle, friction=0.05, damping=0.004),
    )
    return fork, wheel
