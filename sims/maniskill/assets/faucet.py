"""Faucets: a body with a spout, and one lever, two pairs of wings or one paddle to turn the water on.

The frame stands on the table, z up; the spout reaches out along -x. A handle turns from 0 to its upper limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sims.maniskill.assets.plan import BRASS, Joint, Link, Plan, Shape, Stuff, Vector, Y, Z

Style = Literal["lever", "wings", "paddle"]
_BODY_COLOUR: Vector = (0.72, 0.74, 0.78)
# ManiSkill's TurnFaucet gives the handle to be turned this friction and damping, and the others ten and five times it.
FRICTION, DAMPING = 0.1, 2.0
_OTHER_FRICTION, _OTHER_DAMPING = 1.0, 10.0
GRIP = 0.85  # how far out along the handle its grip lies


@dataclass(frozen=True)
class Faucet:
    """Dimensions [m], [rad]."""

    style: Style
    side: Literal[-1, 1]  # of two handles the one to turn: at +y or -y
    sense: Literal[-1, 1]  # +1: the handle turns counter-clockwise seen from above
    body_radius: float
    body_height: float
    spout_height: float
    spout_reach: float
    spout_radius: float
    handle_length: float  # from its axis to its tip
    handle_radius: float
    handle_spacing: float  # of two handles, from the body's axis
    handle_start: float  # a lever's direction at 0, from -x counter-clockwise; a paddle's rise above the horizon
    handle_range: float
    colour: Vector


def draw(rng: np.random.Generator) -> Faucet:
    """A faucet at random."""
    style: Style = ("lever", "wings", "paddle")[rng.integers(3)]
    sense: Literal[-1, 1] = 1 if rng.random() < 0.5 else -1
    height = rng.uniform(0.10, 0.16)
    length = rng.uniform(0.09, 0.13) if style != "wings" else rng.uniform(0.055, 0.07)
    span = rng.uniform(math.radians(60), math.radians(100)) if style != "paddle" else rng.uniform(0.7, 0.95)
    start = {"lever": -sense * span * rng.uniform(0.4, 0.6), "wings": -sense * span * rng.uniform(0.4, 0.6)}
    return Faucet(
        style=style,
        side=1 if rng.random() < 0.5 else -1,
        sense=sense,
        body_radius=rng.uniform(0.018, 0.026),
        body_height=height,
        spout_height=height * rng.uniform(0.45, 0.55),
        spout_reach=rng.uniform(0.10, 0.16),
        spout_radius=rng.uniform(0.010, 0.014),
        handle_length=length,
        handle_radius=rng.uniform(0.007, 0.010),
        handle_spacing=length + rng.uniform(0.06, 0.08),
        handle_start=start.get(style, span * rng.uniform(0.75, 0.9)),
        handle_range=span,
        colour=((0.85, 0.16, 0.14), (0.13, 0.35, 0.80), (0.10, 0.55, 0.35), (0.90, 0.60, 0.10))[rng.integers(4)],
    )


def plan(faucet: Faucet) -> Plan:
    """The links; the handle to be turned is named "handle"."""
    f = faucet
    links = [Link("body", _body(f)), _handle(f, "handle", f.side)]
    if f.style == "wings":
        links.append(_handle(f, "other_handle", -f.side))
    return Plan(tuple(links))


def axis(faucet: Faucet) -> Vector:
    """The handle's axis: positive turns are counter-clockwise about it."""
    # A paddle points to -x and starts raised; about -y it goes down.
    return (0.0, 0.0, float(faucet.sense)) if faucet.style != "paddle" else (0.0, -1.0, 0.0)


def grip(faucet: Faucet) -> Vector:
    """Where the handle is pushed, in its link's frame (which lies on the axis)."""
    out = _direction(faucet)
    return (
        GRIP * faucet.handle_length * out[0],
        GRIP * faucet.handle_length * out[1],
        GRIP * faucet.handle_length * out[2],
    )


def pivot(faucet: Faucet, side: int) -> Vector:
    """Where the handle's axis goes through it, in the faucet's frame."""
    return (0.0, side * faucet.handle_spacing if faucet.style == "wings" else 0.0, faucet.body_height + 0.02)


def _direction(f: Faucet) -> Vector:
    """Where the handle points to at 0, a unit vector."""
    if f.style == "paddle":
        return (-math.cos(f.handle_start), 0.0, math.sin(f.handle_start))
    return (-math.cos(f.handle_start), -math.sin(f.handle_start), 0.0)


def _body(f: Faucet) -> tuple[Shape, ...]:
    metal = Stuff(_BODY_COLOUR, BRASS, metallic=0.8)
    low, outlet = f.spout_height, -f.spout_reach
    foot = 0.006
    shapes = [
        Shape("cylinder", (f.body_radius * 1.5, foot), (0.0, 0.0, foot), stuff=metal),
        Shape("capsule", (f.spout_radius, f.spout_reach / 2), (outlet / 2, 0.0, low), (-1.0, 0.0, 0.0), stuff=metal),
        Shape("cylinder", (f.spout_radius, 0.014), (outlet, 0.0, low - 0.014), stuff=metal),
    ]
    posts = (1, -1) if f.style == "wings" else (0,)
    if f.style == "wings":  # a low body, and a bridge that carries a post for each pair of wings
        shapes += [
            Shape("cylinder", (f.body_radius, low / 2), (0.0, 0.0, low / 2), stuff=metal),
            Shape("box", (f.body_radius, f.handle_spacing + f.body_radius, 0.012), (0.0, 0.0, 0.012), stuff=metal),
        ]
    for side in posts:
        y, half = side * f.handle_spacing, f.body_height / 2
        shapes.append(Shape("cylinder", (f.body_radius * (0.7 if side else 1.0), half), (0.0, y, half), stuff=metal))
    return tuple(shapes)


def _handle(f: Faucet, name: str, side: int) -> Link:
    out, half = _direction(f), f.handle_length / 2
    paint = Stuff(f.colour if name == "handle" else _BODY_COLOUR, BRASS)
    middle = (half * out[0], half * out[1], half * out[2])
    tip = (2 * half * out[0], 2 * half * out[1], 2 * half * out[2])
    hub = f.body_radius * (1.0 if f.style != "wings" else 0.7)
    shapes = [
        Shape("cylinder", (hub, 0.014), axis=Y if f.style == "paddle" else Z, stuff=paint),
        Shape("capsule", (f.handle_radius, half), middle, out, stuff=paint),
        Shape("sphere", (f.handle_radius * 1.35,), tip, stuff=paint),
    ]
    if f.style == "wings":
        shapes.append(Shape("capsule", (f.handle_radius, half), (-middle[0], -middle[1], 0.0), out, stuff=paint))
    target = name == "handle"
    joint = Joint(
        "revolute",
        pivot(f, side),
        axis(f),
        (0.0, f.handle_range),
        friction=FRICTION if target else _OTHER_FRICTION,
        damping=DAMPING if target else _OTHER_DAMPING,
    )
    return Link(name, tuple(shapes), "body", joint, weightless=True)
