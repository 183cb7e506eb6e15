"""Functions of lists, shapes and truth: they build other instructions instead of being one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rewards.program import functions, limits
from rewards.program.errors import Refused
from rewards.program.functions import Function
from rewards.program.graph import Graph, Node
from rewards.program.indexing import items_of
from rewards.program.values import Items, Table, Value, as_node, as_number, as_whole, describe

Build = Callable[[Graph, Sequence[Value]], Value]


@dataclass(frozen=True)
class Special:
    """A function that is worked out while the program is checked."""

    spellings: tuple[str, ...]
    signature: str
    arguments: tuple[int, int]  # fewest and most
    build: Build
    doc: str
    topic: str


def _array(graph: Graph, args: Sequence[Value]) -> Value:
    return as_node(graph, args[0])


def _filled(number: float) -> Build:
    def build(graph: Graph, args: Sequence[Value]) -> Value:
        sizes = args[0].items if isinstance(args[0], Items) else (args[0],)
        shape = tuple(as_whole(size, "a size") for size in sizes)
        if any(not 1 <= size <= limits.MAX_ELEMENTS for size in shape) or np.prod(shape) > limits.MAX_ELEMENTS:
            raise Refused(f"an array of shape {shape}", f"arrays have 1 to {limits.MAX_ELEMENTS} numbers")
        return graph.const(np.full(shape, number))

    return build


def _filled_like(number: float) -> Build:
    return lambda graph, args: graph.const(np.full(as_node(graph, args[0]).shape, number))


def _stack(graph: Graph, args: Sequence[Value]) -> Value:
    if not isinstance(args[0], Items):
        raise Refused(f"wanted a list of arrays, came {describe(args[0])}", "write np.stack([a, b])")
    return as_node(graph, args[0])


def _concatenate(graph: Graph, args: Sequence[Value]) -> Value:
    if not isinstance(args[0], Items) or args[0].passing:
        raise Refused(f"wanted a list of arrays, came {describe(args[0])}", "write np.concatenate([a, b])")
    return graph.apply("concatenate", *[as_node(graph, item) for item in args[0].items])


def _extreme(pairwise: str, reduced: str) -> Build:
    """Python's max and min: of two or more numbers, or of the elements of one list or array."""

    def build(graph: Graph, args: Sequence[Value]) -> Value:
        if len(args) == 1 and isinstance(args[0], Node):
            if len(args[0].shape) != 1:
                raise Refused(f"{pairwise} of {describe(args[0])}", f"give two numbers or a vector; see np.{pairwise}")
            return graph.apply(reduced, args[0], static=(None,))
        numbers = [as_node(graph, item) for item in (items_of(graph, args[0]) if len(args) == 1 else args)]
        if not numbers:
            raise Refused("the list is empty", "give at least one number")
        result = numbers[0]
        for number in numbers:
            if number.shape != ():
                raise Refused(
                    f"wanted numbers, came {describe(number)}", f"use np.{pairwise} for arrays, element by element"
                )
            result = result if number is result else graph.apply(pairwise, result, number)
        return result

    return build


def _sum(graph: Graph, args: Sequence[Value]) -> Value:
    total = as_node(graph, args[1]) if len(args) > 1 else graph.const(0.0, whole=True)
    if isinstance(args[0], Node) and len(args[0].shape) == 1:
        return graph.apply("add", total, graph.apply("sum_of", args[0], static=(None,)))
    for item in items_of(graph, args[0]):
        total = graph.apply("add", graph.as_float(total), graph.as_float(as_node(graph, item)))
    return total


def _quantifier(pairwise: str, reduced: str, of_nothing: bool) -> Build:
    def build(graph: Graph, args: Sequence[Value]) -> Value:
        if isinstance(args[0], Node) and len(args[0].shape) == 1:
            return graph.apply(reduced, args[0], static=(None,))
        result = graph.const(of_nothing)
        for item in items_of(graph, args[0]):
            result = graph.apply(pairwise, result, graph.as_truth(as_number(graph, item, "an item")))
        return result

    return build


def _len(graph: Graph, args: Sequence[Value]) -> Value:
    if isinstance(args[0], Table):
        return graph.const(len(args[0].items), whole=True)
    if isinstance(args[0], Items) and not args[0].passing:
        return graph.const(len(args[0].items), whole=True)
    shape = as_node(graph, args[0]).shape
    if not shape:
        raise Refused("a number has no length", "len takes an array, a tuple or a list")
    return graph.const(shape[0], whole=True)


def _float(graph: Graph, args: Sequence[Value]) -> Value:
    node = graph.as_float(as_number(graph, args[0], "the argument of float"))
    return graph.const(node.number) if node.number is not None else node


def _int(graph: Graph, args: Sequence[Value]) -> Value:
    node = graph.as_float(as_number(graph, args[0], "the argument of int"))
    cut = graph.apply("trunc", node)
    return graph.const(cut.number, whole=True) if cut.number is not None else cut


def _bool(graph: Graph, args: Sequence[Value]) -> Value:
    return graph.as_truth(as_number(graph, args[0], "the argument of bool"))


def _range(graph: Graph, args: Sequence[Value]) -> Value:
    bounds = [as_whole(value, "a bound of range") for value in args]
    if len(bounds) == 3 and bounds[2] == 0:
        raise Refused("range with a step of 0", "give another step")
    numbers = range(*bounds)
    # len() of a huge range overflows, its last index does not.
    if abs(numbers.stop - numbers.start) // abs(numbers.step) > limits.MAX_ITERATIONS:
        raise Refused(
            f"more than {limits.MAX_ITERATIONS} iterations", "use array functions such as np.sum instead of loops"
        )
    return Items(tuple(graph.const(number, whole=True) for number in numbers), passing=True)


def _enumerate(graph: Graph, args: Sequence[Value]) -> Value:
    items = items_of(graph, args[0])
    return Items(tuple(Items((graph.const(at, whole=True), item)) for at, item in enumerate(items)), passing=True)


def _zip(graph: Graph, args: Sequence[Value]) -> Value:
    columns = [items_of(graph, value) for value in args]
    return Items(tuple(Items(row) for row in zip(*columns, strict=False)), passing=True)


def _listed(graph: Graph, args: Sequence[Value]) -> Value:
    return Items(tuple(items_of(graph, args[0])))


_ARRAYS, _PYTHON = "making arrays", "Python's own"
SPECIALS: tuple[Special, ...] = (
    Special(
        ("np.array", "np.asarray"), "list", (1, 1), _array, "an array from numbers or rows; dtype= is ignored", _ARRAYS
    ),
    Special(("np.zeros",), "shape", (1, 1), _filled(0.0), "zeros", _ARRAYS),
    Special(("np.ones",), "shape", (1, 1), _filled(1.0), "ones", _ARRAYS),
    Special(("np.zeros_like",), "x", (1, 1), _filled_like(0.0), "zeros of the same shape", _ARRAYS),
    Special(("np.ones_like",), "x", (1, 1), _filled_like(1.0), "ones of the same shape", _ARRAYS),
    Special(("np.stack",), "list", (1, 1), _stack, "equal arrays as the rows of a new first axis", _ARRAYS),
    Special(("np.concatenate", "np.hstack"), "list", (1, 1), _concatenate, "vectors one after the other", _ARRAYS),
    Special(
        ("max",), "a, b, ...", (1, 32), _extreme("maximum", "max_of"), "largest of numbers or of one array", _PYTHON
    ),
    Special(
        ("min",), "a, b, ...", (1, 32), _extreme("minimum", "min_of"), "smallest of numbers or of one array", _PYTHON
    ),
    Special(("sum",), "list, start", (1, 2), _sum, "sum of a list, a generator, an array or terms.values()", _PYTHON),
    Special(("any",), "list", (1, 1), _quantifier("logical_or", "any_of", False), "whether some item is true", _PYTHON),
    Special(
        ("all",), "list", (1, 1), _quantifier("logical_and", "all_of", True), "whether every item is true", _PYTHON
    ),
    Special(("len",), "x", (1, 1), _len, "number of elements, known in advance", _PYTHON),
    Special(("float", "np.float64", "np.float32"), "x", (1, 1), _float, "a number, or truth as 0.0 or 1.0", _PYTHON),
    Special(("int",), "x", (1, 1), _int, "whole part", _PYTHON),
    Special(("bool",), "x", (1, 1), _bool, "whether x differs from zero", _PYTHON),
    Special(("range",), "start, stop, step", (1, 3), _range, "whole numbers known in advance, for loops", _PYTHON),
    Special(("enumerate",), "list", (1, 1), _enumerate, "pairs of position and item, for loops", _PYTHON),
    Special(("zip",), "a, b, ...", (1, 8), _zip, "items side by side, for loops", _PYTHON),
    Special(("list", "tuple"), "items", (1, 1), _listed, "a list from what can be gone through", _PYTHON),
)

ROWS: tuple[Function | Special, ...] = (*functions.LISTED, *SPECIALS)
TABLE: dict[str, Function | Special] = {spelling: row for row in ROWS for spelling in row.spellings}
CONSTANTS: dict[str, float] = {
    **{
        f"{root}.{name}": value
        for root in ("np", "math")
        for name, value in (("pi", np.pi), ("e", np.e), ("inf", np.inf))
    },
    "math.tau": 2 * np.pi,
}
# What a value can be asked for with a dot, as `x.sum()`: the function that it stands for.
METHODS: Mapping[str, str] = {
    **{
        name: f"np.{name}"
        for name in ("sum", "mean", "max", "min", "prod", "std", "var", "all", "any", "dot", "clip", "round")
    }
}
