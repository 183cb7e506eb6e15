"""Calls of listed functions: which argument goes where, and what must be known in advance."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from rewards.program.errors import Poisoned, Refused
from rewards.program.functions import Function
from rewards.program.graph import Graph, Node
from rewards.program.special import METHODS, TABLE
from rewards.program.values import POISON, Items, Nothing, Poison, Table, Value, as_node, as_number, describe
from robot_learn.errors import nearest


def dotted(node: ast.expr) -> str | None:
    """ "np.linalg.norm" for the expression of that spelling; None for anything but names and dots."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([node.id, *reversed(parts)])


def call_listed(graph: Graph, spelling: str, args: Sequence[Value], keywords: dict[str, Value]) -> Value:
    """The value of a call of a function of the table."""
    if any(isinstance(value, Poison) for value in (*args, *keywords.values())):
        raise Poisoned
    row = TABLE[spelling]
    if isinstance(row, Function):
        return _instruction(graph, spelling, row, args, keywords)
    if set(keywords) == {"axis"} and isinstance(keywords["axis"], Node) and keywords["axis"].number == 0.0:
        keywords = {}  # what np.stack and np.concatenate do anyway
    fewest, most = row.arguments
    if keywords or not fewest <= len(args) <= most:
        came = f"{len(args)} arguments" + (f" and {', '.join(keywords)}=" if keywords else "")
        raise Refused(f"{spelling} with {came}", f"write {spelling}({row.signature})")
    return row.build(graph, args)


def _instruction(graph: Graph, spelling: str, row: Function, args: Sequence[Value], keywords: dict[str, Value]) -> Node:
    names = [*row.inputs, *row.static]
    given = dict(zip(names, args, strict=False))
    usage = f"write {spelling}({', '.join(names)})"
    if len(args) > len(names):
        raise Refused(f"{spelling} with {len(args)} arguments", usage)
    for keyword, value in keywords.items():
        name = row.aliases.get(keyword, keyword)
        if name not in names or name in given:
            raise Refused(f"{spelling} with the argument {keyword}=", usage)
        given[name] = value
    missing = [name for name in row.inputs if name not in given]
    if missing:
        raise Refused(f"{spelling} without {', '.join(missing)}", usage)
    static = tuple(_static(spelling, name, given[name]) if name in given else row.static[name] for name in row.static)
    inputs = [as_node(graph, given[name]) for name in row.inputs]
    if spelling.startswith("math."):
        inputs = [as_number(graph, node, f"an argument of {spelling}") for node in inputs]
    return _apply(graph, row, inputs, static)


def _apply(graph: Graph, row: Function, inputs: list[Node], static: tuple[Any, ...]) -> Node:
    if row.name == "matmul" and not inputs[0].shape:
        return graph.apply("multiply", *inputs)  # np.dot of numbers
    if row.name == "tolerance":
        _check_tolerance(*[node.number for node in inputs[1:]])
    if row.name == "norm" and not inputs[0].shape and static[-1] is None:
        return graph.apply("abs", inputs[0])
    return graph.apply(row.name, *inputs, static=static)


def _check_tolerance(lower: float | None, upper: float | None, margin: float | None) -> None:
    """What can be said about the bounds before the program runs; None is not known yet."""
    if margin is not None and margin <= 0.0:
        raise Refused("tolerance with a margin that is not positive", "give the distance at which the reward is 0.1")
    if lower is not None and upper is not None and lower > upper:
        raise Refused("tolerance with lower above upper", "write tolerance(x, lower, upper, margin)")


def _static(spelling: str, name: str, value: Value) -> Any:
    """None or a number, known in advance."""
    if isinstance(value, Nothing):
        return None
    if isinstance(value, Node) and value.number is not None:
        return int(value.number) if value.whole else value.number
    came = "a tuple" if isinstance(value, Items) else describe(value)
    raise Refused(f"{name}= of {spelling} must be a literal, came {came}", f"write a number, e.g. {name}=-1")


_SAME_VALUE = ("copy", "item", "flatten", "ravel")  # methods that change nothing here


def call_method(graph: Graph, owner: Value, name: str, args: Sequence[Value], keywords: dict[str, Value]) -> Value:
    """`x.sum()` and its like, which stand for listed functions; `terms.values()`."""
    if isinstance(owner, Poison):
        return POISON
    known: list[str] = []
    if isinstance(owner, Table):
        known = ["values"]
        if name == "values" and not args:
            return Items(tuple(owner.items.values()), passing=True)
    if isinstance(owner, Node):
        known = [*METHODS, *_SAME_VALUE, "astype"]
        if name in METHODS:
            return call_listed(graph, METHODS[name], [owner, *args], keywords)
        if name in _SAME_VALUE and not args and (name != "item" or owner.shape == ()):
            return owner
    close = nearest(name, known)
    advice = (
        f"did you mean {close}?" if close else f"it has: {', '.join(known)}" if known else "read its fields instead"
    )
    raise Refused(f"{describe(owner)} has no method {name[:60]!r} in the language", advice)


def as_type(graph: Graph, array: Node, wanted: str | None) -> Node:
    """`x.astype(float)`; the width of numbers is not the program's business."""
    if wanted in ("float", "np.float64", "np.float32"):
        return graph.as_float(array)
    if wanted == "bool":
        return graph.as_truth(array)
    if wanted == "int":
        return graph.apply("trunc", array)
    raise Refused("astype with this type", "write x.astype(float)")


_INSTEAD = {
    "dict": 'write a literal: {"reach": reach, "lift": lift}',
    "print": "delete this line: terms are logged by name",
    "isinstance": "delete this: every value is a number, a truth value or an array",
    "np.nan_to_num": "avoid the undefined value with a condition, e.g. x / d if d > 0.0 else 0.0",
}


def no_function(spelled: str, known: Sequence[str]) -> Refused:
    """The refusal of a call of something that is not listed."""
    library = spelled.partition(".")[0]
    if library in ("numpy", "torch", "jnp"):
        return Refused(f"there is no {library} here", "write np and a listed function, e.g. np.exp(x)")
    close = nearest(spelled, known)
    advice = f"did you mean {close}?" if close else "use a listed function or a helper"
    advice = _INSTEAD.get(spelled, advice)
    return Refused(f"there is no function {spelled[:60]!r}", advice)
