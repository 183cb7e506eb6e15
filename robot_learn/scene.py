"""The scene: what a reward program, a prompt, a plot and a policy may know about a world, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from robot_learn.errors import UserError, unknown

# A numpy array or a torch tensor: the scene only stores and indexes it.
Array = Any


@dataclass(frozen=True)
class Field:
    """One named quantity of a scene."""

    name: str  # "drawer.handle_position": one group, one quantity
    shape: tuple[int, ...]  # of one world, without the batch axis; () for a number
    unit: str  # "m", "rad", "m/s"; "1" for a pure number
    frame: str  # "world", or the frame that the numbers are expressed in; "" where none applies
    meaning: str  # one line

    def __post_init__(self) -> None:
        group, dot, quantity = self.name.partition(".")
        if not (dot and group.isidentifier() and quantity.isidentifier()):
            raise UserError(f"field name {self.name!r}: wanted 'group.quantity', e.g. 'drawer.handle_position'")
        if group in Scene.RESERVED:
            raise UserError(f"field name {self.name!r}: {group!r} is reserved, use another group")


@dataclass(frozen=True)
class Schema:
    """The only description of an environment: prompts, the reward checker, docs and plots come from it."""

    fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        names = [field.name for field in self.fields]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise UserError(f"schema names each field once; twice: {', '.join(sorted(twice))}")

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __contains__(self, name: object) -> bool:
        return any(field.name == name for field in self.fields)

    def __getitem__(self, name: str) -> Field:
        for field in self.fields:
            if field.name == name:
                return field
        raise unknown("scene field", name, self.names)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)

    def groups(self) -> dict[str, tuple[Field, ...]]:
        """Fields by group, both in the order of the schema."""
        found: dict[str, list[Field]] = {}
        for field in self.fields:
            found.setdefault(field.name.partition(".")[0], []).append(field)
        return {group: tuple(fields) for group, fields in found.items()}


class Group:
    """The quantities of one group, as attributes: `scene.drawer.handle_position`."""

    __slots__ = ("_name", "_scene")

    def __init__(self, scene: Scene, name: str) -> None:
        self._scene, self._name = scene, name

    def __getattr__(self, quantity: str) -> Array:
        try:
            return self._scene[f"{self._name}.{quantity}"]
        except UserError as error:
            raise AttributeError(str(error)) from None


class Scene:
    """Named arrays, batch axis first: `scene["drawer.handle_position"]` is (N, 3), also `scene.drawer.handle_position`.

    `scene.initial` holds the same fields at each world's last reset and `scene.previous` those before the last step
    (at a reset, the reset itself). Both are scenes without an `initial` or `previous` of their own.
    Values are not copied: whoever makes a scene hands over arrays that it will not write again.
    """

    RESERVED = ("initial", "previous", "schema", "num_worlds", "steps", "world")

    __slots__ = ("_initial", "_previous", "_values", "schema", "steps")

    def __init__(
        self,
        schema: Schema,
        values: Mapping[str, Array],
        *,
        initial: Mapping[str, Array] | None = None,
        previous: Mapping[str, Array] | None = None,
        steps: Array | None = None,
    ) -> None:
        self.schema = schema
        self.steps = steps  # (N,) how far each world's episode is, where whoever made the scene knows: for messages
        self._values = values
        self._initial = None if initial is None else Scene(schema, initial)
        self._previous = None if previous is None else Scene(schema, previous)

    def __getitem__(self, name: str) -> Array:
        try:
            return self._values[name]
        except KeyError:
            raise unknown("scene field", name, self.schema.names) from None

    def __getattr__(self, group: str) -> Group:
        if any(field.name.startswith(f"{group}.") for field in self.schema.fields):
            return Group(self, group)
        raise AttributeError(f"scene has no group {group!r}; groups: {', '.join(self.schema.groups())}")

    @property
    def initial(self) -> Scene:
        if self._initial is None:
            raise UserError("this scene has no initial: only the scene of a running episode has one")
        return self._initial

    @property
    def previous(self) -> Scene:
        if self._previous is None:
            raise UserError("this scene has no previous: only the scene of a running episode has one")
        return self._previous

    @property
    def num_worlds(self) -> int:
        return len(self._values[self.schema.fields[0].name])

    def world(self, index: int) -> Scene:
        """One world alone: the same names without the batch axis."""

        def pick(scene: Scene | None) -> dict[str, Array] | None:
            return None if scene is None else {name: value[index] for name, value in scene._values.items()}

        return Scene(self.schema, pick(self) or {}, initial=pick(self._initial), previous=pick(self._previous))
