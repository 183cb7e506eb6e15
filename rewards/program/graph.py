"""The program as a graph of pure instructions: equal ones are shared, constant ones are computed at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rewards.program import limits, units
from rewards.program.errors import Exhausted, Refused
from rewards.program.functions import FUNCTIONS, Function
from rewards.program.kernels import Shape
from rewards.program.units import Unit
from robot_learn.scene import Field

Kind = Literal["bool", "float"]
# Python keeps whole numbers whole under these; only such numbers may be an index or a loop bound.
_WHOLE = {"add", "subtract", "multiply", "floor_divide", "mod", "negative", "abs", "minimum", "maximum", "power"}
_WHOLE |= {"floor", "ceil", "trunc", "round"}
_NOT_FOR_TRUTH = {"add": "+", "subtract": "-", "negative": "-"}


@dataclass(frozen=True, eq=False)
class Node:
    """One value of the program, known up to the batch."""

    index: int  # in order of creation: inputs come first
    op: str  # "read", "action", "const" or the name of a function
    inputs: tuple[Node, ...]
    static: tuple[Any, ...]
    shape: Shape  # of one world
    kind: Kind
    unit: Unit
    value: np.ndarray | None = None  # of a constant: shape + (1,), float64 or bool
    whole: bool = False  # a constant that Python holds as an int

    @property
    def number(self) -> float | None:
        """The value of a constant number, else None."""
        return float(self.value[0]) if self.value is not None and self.shape == () else None


class Graph:
    """Builds nodes; only `nodes` that a result needs are compiled later."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Node] = {}
        self.clashes: list[str] = []  # doubts about units since the caller last looked

    def _make(self, key: tuple[Any, ...], *parts: Any) -> Node:
        node = self._known.get(key)
        if node is None:
            if len(self._known) >= limits.MAX_INSTRUCTIONS:
                message = f"more than {limits.MAX_INSTRUCTIONS} instructions once loops and helpers are written out"
                raise Exhausted(message, "use array functions such as np.sum instead of loops")
            node = self._known[key] = Node(len(self._known), *parts)
        return node

    def const(self, value: Any, *, whole: bool = False) -> Node:
        """A constant number, truth value or array of one world."""
        array = np.asarray(value)
        array = np.array(array if array.dtype == bool else array.astype(np.float64))[..., None]
        kind: Kind = "bool" if array.dtype == bool else "float"
        shape = array.shape[:-1]
        return self._make(
            ("const", shape, kind, whole, array.tobytes()), "const", (), (), shape, kind, None, array, whole
        )

    def read(self, field: Field, when: str) -> Node:
        """A field of the scene, now, at the reset ("initial") or before the last step ("previous")."""
        parts = ("read", (), (field.name, when), field.shape, "float", units.parse(field.unit))
        return self._make(("read", field.name, when), *parts)

    def action(self, act_dim: int) -> Node:
        return self._make(("action",), "action", (), (), (act_dim,), "float", units.ONE)

    def anything(self) -> Node:
        """A condition that stands in for a refused one, so that checking can go on."""
        return self._make(("anything",), "anything", (), (), (), "bool", None)

    def apply(self, name: str, *inputs: Node, static: tuple[Any, ...] = ()) -> Node:
        """The node of a function of nodes: shared, folded or new.

        Raises:
            Refused: shapes or kinds do not fit.
        """
        function = FUNCTIONS[name]
        shape = function.shape([node.shape for node in inputs], static)
        if math.prod(shape) > limits.MAX_ELEMENTS or 0 in shape:
            raise Refused(f"an array of shape {shape}", f"arrays have 1 to {limits.MAX_ELEMENTS} numbers")
        all_truth = all(node.kind == "bool" for node in inputs)
        if all_truth and name in _NOT_FOR_TRUTH:
            # numpy and Python disagree here: True + True is True to one and 2 to the other.
            raise Refused(
                f"`{_NOT_FOR_TRUTH[name]}` between truth values", "turn each into a number first: float(a < b)"
            )
        if function.agree is not None:
            self._compare_units(inputs[function.agree :])
        if all_truth and name in ("multiply", "minimum", "maximum"):
            return self.apply("logical_or" if name == "maximum" else "logical_and", *inputs)
        simpler = self._simplify(name, inputs, shape)
        if simpler is not None:
            return simpler
        return self._instruction(function, self._converted(function, inputs), static, shape)

    def _instruction(self, function: Function, inputs: tuple[Node, ...], static: tuple[Any, ...], shape: Shape) -> Node:
        if all(node.value is not None for node in inputs):
            return self._folded(function, inputs, static, shape)
        kind: Kind = inputs[-1].kind if function.gives == "same" else function.gives
        unit = function.unit([node.unit for node in inputs], [node.number for node in inputs])
        key = (function.name, static, *(node.index for node in inputs))
        return self._make(key, function.name, inputs, static, shape, kind, unit)

    def _folded(self, function: Function, inputs: tuple[Node, ...], static: tuple[Any, ...], shape: Shape) -> Node:
        """Constants are computed in float64, never as Python integers: 9 ** 9 ** 9 overflows at once."""
        with np.errstate(all="ignore"):
            value = function.bind(np, tuple(node.shape for node in inputs), static)(*[node.value for node in inputs])
        finite = all(np.isfinite(node.value).all() for node in inputs if node.value is not None)
        if np.isnan(value).any() or (finite and not np.isfinite(value).all()):
            raise Refused("this constant is not a finite number", "check for a division by zero or a huge power")
        whole = function.name in _WHOLE and all(node.whole for node in inputs) and bool(abs(value).max() < 2**53)
        if function.name == "power":
            whole = whole and (inputs[1].number or 0.0) >= 0
        return self.const(np.broadcast_to(value[..., 0], shape), whole=whole)

    def _compare_units(self, inputs: tuple[Node, ...]) -> None:
        clash = units.clash([node.unit for node in inputs])
        if clash is not None:
            self.clashes.append(f"{units.show(clash[0])} and {units.show(clash[1])} are added or compared")

    def _converted(self, function: Function, inputs: tuple[Node, ...]) -> tuple[Node, ...]:
        if function.takes == "float":
            # A product takes a truth value as it is, and 1.0 * truth is how the others get a number.
            keep = function.name == "multiply"
            return inputs if keep else tuple(self.as_float(node) for node in inputs)
        if function.takes == "bool":
            return tuple(self.as_truth(node) for node in inputs)
        values = inputs[1:] if function.name == "where" else inputs
        if len({node.kind for node in values}) > 1:
            values = tuple(self.as_float(node) for node in values)
        return (self.as_truth(inputs[0]), *values) if function.name == "where" else values

    def as_float(self, node: Node) -> Node:
        """Truth as 0.0 or 1.0; numbers as they are."""
        if node.kind == "float":
            return node
        if node.value is not None:
            return self.const(node.value[..., 0].astype(np.float64), whole=True)
        # A truth value is a pure number, so it keeps its unit of "1" where a literal would blur it.
        product = FUNCTIONS["multiply"]
        inputs = (node, self.const(1.0))
        return self._make(
            (product.name, (), node.index, inputs[1].index), product.name, inputs, (), node.shape, "float", units.ONE
        )

    def as_truth(self, node: Node) -> Node:
        """Python's truth of a number: whether it differs from zero."""
        return node if node.kind == "bool" else self.apply("not_equal", node, self.const(0.0))

    def _simplify(self, name: str, inputs: tuple[Node, ...], shape: Shape) -> Node | None:
        """Identities that hold for every number, infinities and NaN included."""
        if name == "where":
            condition, yes, no = inputs
            if condition.number is not None and yes.shape == no.shape == shape and yes.kind == no.kind:
                return yes if condition.number else no
            return yes if yes is no and yes.shape == shape else None
        if name == "power" and inputs[1].number in (0.5, 2.0, 3.0, 4.0):
            return self._short_power(inputs[0], inputs[1].number)
        if name in ("logical_and", "logical_or"):
            return self._short_logic(name, inputs, shape)
        neutral = {"add": 0.0, "subtract": 0.0, "multiply": 1.0, "divide": 1.0, "power": 1.0}.get(name)
        for at in (1, 0) if name in ("add", "multiply") else (1,):
            if neutral is not None and inputs[at].number == neutral and inputs[at].kind == "float":
                other = inputs[1 - at]
                # Integer literals must stay visible to the folding below.
                return other if other.kind == "float" and other.shape == shape and other.value is None else None
        return None

    def _short_power(self, base: Node, exponent: float | None) -> Node:
        if exponent == 0.5:
            return self.apply("sqrt", base)
        square = self.apply("multiply", self.as_float(base), self.as_float(base))
        if exponent == 2.0:
            return square
        return self.apply("multiply", square, square if exponent == 4.0 else self.as_float(base))

    def _short_logic(self, name: str, inputs: tuple[Node, ...], shape: Shape) -> Node | None:
        for one, other in (inputs, inputs[::-1]):
            if one.number is not None and other.shape == shape and other.kind == "bool":
                neutral = bool(one.number) == (name == "logical_and")
                return other if neutral else self.const(name == "logical_or") if shape == () else None
        return inputs[0] if inputs[0] is inputs[1] and inputs[0].kind == "bool" else None
