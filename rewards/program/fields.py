"""What a program may read: the groups and fields of the scene's schema, with the nearest name for a misspelt one."""

from __future__ import annotations

from rewards.program.errors import Refused
from rewards.program.values import GroupRef, SceneRef
from robot_learn.errors import nearest
from robot_learn.scene import Field, Schema


def group_of(schema: Schema, scene: SceneRef, name: str) -> SceneRef | GroupRef:
    """`scene.name`: a group, or the scene at another moment."""
    if name in ("initial", "previous") and scene.when == "now":
        return SceneRef(name)
    groups = schema.groups()
    if name in groups:
        return GroupRef(scene.when, name)
    prefix = _prefix(scene.when)
    close = nearest(name, groups)
    hint = f"did you mean {prefix}.{close}? " if close else ""
    listed = ", ".join(f"{prefix}.{group}" for group in groups)
    raise Refused(f"the scene has no group {name!r}", f"{hint}its groups are: {listed}")


def field_of(schema: Schema, group: GroupRef, name: str) -> Field:
    """`scene.group.name`."""
    full = f"{group.group}.{name}"
    if full in schema:
        return schema[full]
    prefix = _prefix(group.when)
    quantities = [field.name.partition(".")[2] for field in schema.groups()[group.group]]
    close = nearest(name, quantities) or next((each for each in quantities if name in each or each in name), None)
    # The right quantity of the wrong group is the next best guess.
    elsewhere = [each for each in schema.names if each.partition(".")[2] == name]
    guess = f"{group.group}.{close}" if close else elsewhere[0] if elsewhere else None
    hint = f"did you mean {prefix}.{guess}? " if guess else ""
    raise Refused(f"the scene has no {full!r}", f"{hint}{prefix}.{group.group} has: {', '.join(quantities)}")


def _prefix(when: str) -> str:
    return "scene" if when == "now" else f"scene.{when}"
