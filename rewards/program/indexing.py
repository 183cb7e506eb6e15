"""Elements, rows and slices: every index is known before the program runs, so every bound is checked here."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from types import EllipsisType

from rewards.program.errors import Refused
from rewards.program.graph import Graph, Node
from rewards.program.values import Items, Table, Value, as_node, describe
from robot_learn.errors import nearest

Slice = tuple[str, int | None, int | None, int | None]  # ("slice", start, stop, step)
Position = int | Slice | EllipsisType


def entry(table: Table, key: ast.expr) -> Value:
    """`terms["reach"]`."""
    name = key.value if isinstance(key, ast.Constant) else None
    if isinstance(name, str) and name in table.items:
        return table.items[name]
    close = nearest(str(name), table.items)
    advice = f"did you mean {close!r}?" if close else f"its keys are: {', '.join(table.items)}"
    raise Refused(f"this dict has no key {str(name)[:30]!r}", advice)


def indexed(graph: Graph, owner: Value, positions: Sequence[Position]) -> Value:
    """`owner[positions]` of an array, a tuple or a list."""
    if isinstance(owner, Items):
        return _item(owner, positions)
    array = as_node(graph, owner)
    if not array.shape:
        raise Refused(f"{describe(array)} cannot be indexed", "use it as it is")
    everything: Slice = ("slice", None, None, None)
    where: list[int | Slice] = []
    for position in positions:
        if isinstance(position, EllipsisType):
            where += [everything] * (len(array.shape) - len(positions) + 1)
        else:
            where.append(position)
    return element(graph, array, tuple(where))


def _item(owner: Items, positions: Sequence[Position]) -> Value:
    at = positions[0]
    if owner.passing or isinstance(at, EllipsisType):
        raise Refused(f"{describe(owner)} cannot be indexed like this", "build an array with np.array([...])")
    if isinstance(at, tuple):
        return Items(owner.items[slice(*at[1:])])
    if not -len(owner.items) <= at < len(owner.items):
        raise Refused(f"index {at} is out of range", f"the valid indices are 0 to {len(owner.items) - 1}")
    return owner.items[at]


def items_of(graph: Graph, value: Value) -> list[Value]:
    """What going through a value gives: the items of a list, the elements of a vector, the rows of a matrix."""
    if isinstance(value, Items):
        return list(value.items)
    node = as_node(graph, value)
    if not node.shape:
        raise Refused(f"{describe(node)} has no elements", "go through a range, a list or an array of known length")
    return [element(graph, node, (at,)) for at in range(node.shape[0])]


def element(graph: Graph, node: Node, where: tuple[int | Slice, ...]) -> Node:
    """`node[where]`, with bounds checked; an item is an int or ("slice", start, stop, step)."""
    if len(where) > len(node.shape):
        raise Refused(f"{len(where)} indices into {describe(node)}", f"its shape is {node.shape}: use fewer indices")
    for size, item in zip(node.shape, where, strict=False):
        if isinstance(item, int) and not -size <= item < size:
            raise Refused(f"index {item} is out of range", f"the valid indices are 0 to {size - 1}, or -{size} to -1")
    if node.op == "stack" and isinstance(where[0], int):
        # One row of np.array([a, b]) is what was put in.
        row = node.inputs[where[0]]
        return element(graph, row, where[1:]) if len(where) > 1 else row
    whole_indices = tuple(
        item % size if isinstance(item, int) else item for size, item in zip(node.shape, where, strict=False)
    )
    return graph.apply("index", node, static=whole_indices)
