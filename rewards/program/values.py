"""What a name can stand for while a program is checked: a computed value, or something known by its structure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rewards.program.errors import Poisoned, Refused
from rewards.program.graph import Graph, Node


@dataclass(frozen=True)
class SceneRef:
    """`scene`, `scene.initial` or `scene.previous`."""

    when: str  # "now", "initial" or "previous"


@dataclass(frozen=True)
class GroupRef:
    """`scene.cube`."""

    when: str
    group: str


@dataclass(frozen=True)
class Items:
    """A tuple or a list of known length. A passing one (range, generator) can only be gone through."""

    items: tuple[Value, ...]
    passing: bool = False


@dataclass(frozen=True)
class Table:
    """A dict with text keys: named terms, or named weights."""

    items: Mapping[str, Value]


@dataclass(frozen=True)
class Result:
    """What `reward` returns: the total and the named terms."""

    total: Node
    terms: Mapping[str, Node]


@dataclass(frozen=True)
class Nothing:
    """None, as in axis=None."""


@dataclass(frozen=True)
class Unusable:
    """A name that has no single value after a branch; an error only where it is read."""

    why: str
    advice: str


@dataclass(frozen=True)
class Poison:
    """The value of something that was refused already."""


Value = Node | SceneRef | GroupRef | Items | Table | Result | Nothing | Unusable | Poison
POISON = Poison()


def describe(value: Value) -> str:
    """A value in words, for errors."""
    match value:
        case Node(kind="bool", shape=()):
            return "a truth value"
        case Node(shape=()):
            return "a number"
        case Node():
            return f"an array of shape {value.shape}"
        case SceneRef():
            return "the scene"
        case GroupRef():
            return f"the group scene.{value.group}"
        case Items():
            return "a range or generator" if value.passing else f"a tuple or list of {len(value.items)}"
        case Table():
            return "a dict"
        case Nothing():
            return "None"
    return "a value"


def as_node(graph: Graph, value: Value) -> Node:
    """The number or array that a value is; lists of numbers are arrays, as in numpy."""
    if isinstance(value, Node):
        return value
    if isinstance(value, Poison):
        raise Poisoned
    if isinstance(value, Items) and value.items and not value.passing:
        rows = [as_node(graph, item) for item in value.items]
        return graph.apply("stack", *rows)
    raise Refused(
        f"wanted a number or an array, came {describe(value)}", "compute it from fields, e.g. scene.cube.position"
    )


def as_number(graph: Graph, value: Value, what: str) -> Node:
    """A value that must be one number (or truth value) per world."""
    node = as_node(graph, value)
    if node.shape != ():
        advice = "reduce it first: np.linalg.norm, np.sum, np.max, np.all, np.any, or take one element, e.g. x[2]"
        raise Refused(f"{what} must be one number, came {describe(node)}", advice)
    return node


def as_whole(value: Value, what: str) -> int:
    """A value that must be a whole number known before the program runs."""
    if isinstance(value, Poison):
        raise Poisoned
    if isinstance(value, Node) and value.whole and value.shape == () and value.number is not None:
        return int(value.number)
    raise Refused(
        f"{what} must be a whole number known in advance, came {describe(value)}", "write it as a literal, e.g. 3"
    )


def merge(graph: Graph, condition: Node, yes: Value, no: Value) -> Value:
    """The value after a branch: `yes` in the worlds where the condition holds, else `no`."""
    if yes is no or yes == no:
        return yes
    match yes, no:
        case (Poison(), _) | (_, Poison()):
            return POISON
        case (Unusable(), _):
            return yes
        case (_, Unusable()):
            return no
        case Node(), Node():
            if yes.shape == no.shape:
                return graph.apply("where", condition, yes, no)
        case Items(), Items():
            if len(yes.items) == len(no.items):
                pairs = zip(yes.items, no.items, strict=True)
                return Items(tuple(merge(graph, condition, a, b) for a, b in pairs), yes.passing or no.passing)
        case Table(), Table():
            if list(yes.items) == list(no.items):
                return Table({key: merge(graph, condition, yes.items[key], no.items[key]) for key in yes.items})
        case Result(), Result():
            return _merge_results(graph, condition, yes, no)
    why = f"is {describe(yes)} after one branch and {describe(no)} after the other"
    return Unusable(why, "give it the same shape in both branches")


def _merge_results(graph: Graph, condition: Node, yes: Result, no: Result) -> Result:
    """A term that one `return` does not name is 0 in its worlds."""
    zero = graph.const(0.0)
    names = list(dict.fromkeys([*yes.terms, *no.terms]))
    terms = {
        name: graph.apply("where", condition, yes.terms.get(name, zero), no.terms.get(name, zero)) for name in names
    }
    return Result(graph.apply("where", condition, yes.total, no.total), terms)
