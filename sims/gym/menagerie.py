"""The other bodies that tasks can be done with, a few for each of Gymnasium's.

A robot that learns from a video never saw its own body there. So expert videos are made with these: a policy is trained
on a variant under the task's own reward, and filmed. Fields, actions and success are the same; sizes that a field's
meaning tells are those of the body that the task comes with.
"""

from __future__ import annotations

from dataclasses import replace

from robot_learn.errors import unknown
from sims.gym.bodies import Build
from sims.gym.variants import Part, Variant
from sims.mujoco_task import MujocoTask
from sims.rendering import Camera


def _views(height: float, distance: float, side: float, front: float, down: float) -> dict[str, Camera]:
    """Two views of the torso from azimuths [degrees] of their own."""
    at = (0.0, 0.0, height)
    turns = {"side": side, "front": front}
    return {name: Camera(at, distance, turn, down, follow="torso") for name, turn in turns.items()}


_BLACK, _RUST, _GREEN, _GOLD = (0.12, 0.1, 0.1), (0.55, 0.2, 0.08), (0.1, 0.45, 0.25), (0.8, 0.65, 0.1)
_GREY, _WHITE, _PINK, _BLUE = (0.45, 0.45, 0.5), (0.92, 0.9, 0.85), (0.9, 0.5, 0.55), (0.2, 0.35, 0.75)
_BROWN, _SAND = (0.4, 0.26, 0.13), (0.85, 0.72, 0.5)
_MEADOW, _DUNES, _TILES = ((0.3, 0.5, 0.2), (0.4, 0.62, 0.28)), ((0.75, 0.62, 0.4), (0.85, 0.74, 0.52)), (_GREY, _WHITE)

VARIANTS: dict[str, dict[str, Variant]] = {
    "ant": {
        "spider": Variant(
            {
                "torso": Part(0.85, 0.85, _BLACK),
                "aux": Part(1.1, 0.7, _BLACK),
                "ankle": Part(1.35, 0.6, _RUST),
                "leg": Part(1.2, 0.7, _RUST),
            },
            floor=_DUNES,
            sky=(0.9, 0.85, 0.75),
            strength=1.2,
            cameras=_views(0.5, 4.2, 75, 200, -22),
        ),
        "beetle": Variant(
            {
                "torso": Part(1.15, 1.15, _GREEN),
                "aux": Part(1.0, 1.2, _GREEN),
                "ankle": Part(0.85, 1.25, _BLACK),
                "leg": Part(0.85, 1.25, _GREEN),
            },
            floor=_MEADOW,
            sky=(0.6, 0.8, 0.95),
            mass=1.5,
            strength=1.2,
            cameras=_views(0.8, 4.8, 105, 165, -15),
        ),
    },
    "hopper": {
        "stork": Variant(
            {
                "torso": Part(0.85, 1.3, _WHITE),
                "thigh": Part(0.95, 0.8, _WHITE),
                "leg": Part(1.25, 0.7, _PINK),
                "foot": Part(1.0, 0.8, _PINK),
            },
            floor=_MEADOW,
            sky=(0.65, 0.8, 0.95),
            cameras=_views(0.8, 4.4, 80, 190, -12),
        ),
        "kangaroo": Variant(
            {
                "torso": Part(1.15, 1.7, _BROWN),
                "thigh": Part(0.9, 1.4, _BROWN),
                "leg": Part(0.9, 1.1, _SAND),
                "foot": Part(1.2, 1.0, _SAND),
            },
            floor=_DUNES,
            sky=(0.95, 0.85, 0.7),
            mass=1.3,
            strength=1.25,
            cameras=_views(0.8, 4.2, 100, 170, -18),
        ),
    },
    "half_cheetah": {
        "greyhound": Variant(
            {
                "torso": Part(0.95, 1.2, _GREY),
                "thigh": Part(1.2, 0.9, _GREY),
                "shin": Part(1.2, 0.75, _GREY),
                "foot": Part(1.1, 0.75, _BLACK),
            },
            floor=_MEADOW,
            sky=(0.6, 0.8, 0.95),
            mass=0.9,
            cameras=_views(0.55, 3.6, 80, 140, -10),
        ),
        "badger": Variant(
            {
                "torso": Part(1.1, 2.2, _BLACK),
                "thigh": Part(0.85, 1.4, _WHITE),
                "shin": Part(0.85, 1.3, _BLACK),
                "foot": Part(0.9, 1.2, _BLACK),
            },
            floor=_DUNES,
            sky=(0.85, 0.85, 0.9),
            mass=1.3,
            strength=1.25,
            cameras=_views(0.4, 3.4, 100, 160, -16),
        ),
    },
    "walker2d_v5": {
        "ostrich": Variant(
            {
                "torso": Part(0.8, 2.4, _BLACK),
                "thigh": Part(0.9, 1.1, _PINK),
                "leg": Part(1.25, 0.7, _PINK),
                "foot": Part(1.1, 0.8, _SAND),
            },
            floor=_DUNES,
            sky=(0.9, 0.85, 0.75),
            cameras=_views(0.8, 4.6, 80, 150, -12),
        ),
        "ape": Variant(
            {
                "torso": Part(1.3, 2.0, _BROWN),
                "thigh": Part(0.9, 1.5, _BROWN),
                "leg": Part(0.85, 1.4, _BROWN),
                "foot": Part(1.1, 1.1, _BLACK),
            },
            floor=_TILES,
            sky=_BLUE,
            mass=1.3,
            strength=1.25,
            cameras=_views(0.8, 4.0, 100, 165, -16),
        ),
    },
    "humanoid": {
        "athlete": Variant(
            {
                "torso": Part(1.0, 1.15, _BLUE),
                "waist": Part(0.95, 0.9, _BLUE),
                "butt": Part(0.9, 0.9, _BLACK),
                "thigh": Part(1.15, 0.85, _SAND),
                "shin": Part(1.15, 0.8, _SAND),
                "foot": Part(1.0, 1.0, _WHITE),
                "uarm": Part(0.95, 0.9, _SAND),
                "larm": Part(0.95, 0.9, _SAND),
            },
            floor=_MEADOW,
            sky=(0.65, 0.8, 0.95),
            mass=1.1,
            strength=1.2,
            cameras=_views(0.9, 3.4, 75, 200, -12),
        ),
        "gorilla": Variant(
            {
                "torso": Part(1.2, 1.5, _BLACK),
                "waist": Part(1.05, 1.5, _BLACK),
                "butt": Part(1.05, 1.2, _BLACK),
                "thigh": Part(0.85, 1.3, _BLACK),
                "shin": Part(0.85, 1.3, _BLACK),
                "foot": Part(1.1, 1.0, _GREY),
                "uarm": Part(1.3, 1.6, _BLACK),
                "larm": Part(1.25, 1.6, _GREY),
            },
            floor=_DUNES,
            sky=(0.9, 0.85, 0.75),
            mass=1.4,
            strength=1.4,
            cameras=_views(0.8, 3.2, 100, 160, -16),
        ),
    },
}


def names(definition: MujocoTask) -> tuple[str, ...]:
    """The variants of a task's body."""
    build = definition.model
    return tuple(VARIANTS.get(build.body, ())) if isinstance(build, Build) else ()


def dressed(definition: MujocoTask, variant: str) -> MujocoTask:
    """A task on a variant of its body.

    Raises:
        UserError: there is no such variant.
    """
    if variant not in names(definition):
        raise unknown(f"variant of {definition.task.name}", variant, names(definition))
    build = definition.model
    assert isinstance(build, Build)
    chosen = VARIANTS[build.body][variant]
    cameras = {name: chosen.cameras.get(name, view) for name, view in definition.cameras.items()}
    return replace(definition, model=replace(build, change=chosen.dress), cameras=cameras)
