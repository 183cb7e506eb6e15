"""Expressions: from the syntax tree to nodes of the graph, by interpreting the program once on shapes, not numbers."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rewards.program import limits
from rewards.program.calls import as_type, call_listed, call_method, dotted, no_function
from rewards.program.errors import Exhausted, Findings, Poisoned, Refused
from rewards.program.fields import field_of, group_of
from rewards.program.graph import Graph, Node
from rewards.program.indexing import Position, entry, indexed, items_of
from rewards.program.special import CONSTANTS, METHODS, TABLE
from rewards.program.values import (
    POISON,
    GroupRef,
    Items,
    Nothing,
    Poison,
    SceneRef,
    Table,
    Unusable,
    Value,
    as_node,
    as_number,
    as_whole,
    describe,
    merge,
)
from robot_learn.errors import nearest
from robot_learn.types import Task

_BINARY = {
    **{ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide", ast.FloorDiv: "floor_divide"},
    **{ast.Mod: "mod", ast.Pow: "power", ast.MatMult: "matmul"},
    **{ast.BitAnd: "logical_and", ast.BitOr: "logical_or", ast.BitXor: "logical_xor"},
}
_COMPARE = {
    **{ast.Lt: "less", ast.LtE: "less_equal", ast.Gt: "greater", ast.GtE: "greater_equal"},
    **{ast.Eq: "equal", ast.NotEq: "not_equal"},
}
_SAME_VALUE = ("copy", "item", "flatten", "ravel")  # methods that change nothing here


@dataclass
class Frame:
    """The names of one function: its own, and below them the module's constants."""

    names: dict[str, Value]
    own: frozenset[str]  # every name that the function assigns anywhere
    constants: Mapping[str, Value] = field(default_factory=dict)


class Expressions:
    """Evaluates expressions in the current frame. Refusals are recorded where they happen, and checking goes on."""

    def __init__(
        self, graph: Graph, task: Task, findings: Findings, notes: Findings, helpers: Mapping[str, ast.FunctionDef]
    ) -> None:
        self.graph, self.task, self.findings, self.notes = graph, task, findings, notes
        self.helpers = helpers
        self.inline: Callable[[ast.FunctionDef, ast.Call, list[Value], dict[str, Value]], Value]  # set by statements.py
        self.frame = Frame({}, frozenset())
        self._steps = self._depth = 0
        self._handlers: dict[type[ast.AST], Callable[..., Value]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.Attribute: self._attribute,
            ast.Subscript: self._subscript,
            ast.BinOp: self._binary,
            ast.UnaryOp: self._unary,
            ast.BoolOp: self._boolean,
            ast.Compare: self._compare,
            ast.IfExp: self._conditional,
            ast.Call: self._call,
            ast.Tuple: self._items,
            ast.List: self._items,
            ast.Dict: self._dict,
            ast.ListComp: self._comprehension,
            ast.GeneratorExp: self._comprehension,
        }

    def step(self, node: ast.AST) -> None:
        """Count one visited node; loops and helpers are written out, so this bounds the time of a check."""
        self._steps += 1
        if self._steps > limits.MAX_STEPS:
            message = f"more than {limits.MAX_STEPS} steps once loops and helpers are written out"
            raise Exhausted(message, "use array functions such as np.sum instead of nested loops", node)

    def value(self, node: ast.expr) -> Value:
        """The value of an expression; POISON after a refusal, which is recorded."""
        self.step(node)
        handler = self._handlers.get(type(node))
        if handler is None:
            return self._poisoned(node)
        self._depth += 1
        try:
            if self._depth > 2 * limits.MAX_NESTING:
                raise Refused("helpers and expressions are nested too deeply", "use fewer helpers inside helpers")
            value = handler(node)
        except Exhausted as limit:
            limit.node = limit.node or node
            raise
        except Refused as refusal:
            self.findings.add(refusal.node or node, refusal.message, refusal.advice)
            return POISON
        except Poisoned:
            return self._poisoned(node)
        finally:
            self._depth -= 1
        self.note_clashes(node)
        return value

    def _poisoned(self, node: ast.expr) -> Value:
        """Part of this was refused before, by the grammar or further in; never let it pass in silence."""
        if not self.findings.found:
            self.findings.add(
                node, "this is not in the language", "use numbers, fields, operators and listed functions"
            )
        return POISON

    def note_clashes(self, node: ast.AST) -> None:
        """Record the doubts about units that came up since the last time."""
        for clash in self.graph.clashes:
            self.notes.add(node, f"units differ: {clash}", "scale each to a pure number first, e.g. distance / 0.1")
        self.graph.clashes.clear()

    def node(self, expression: ast.expr) -> Node:
        return as_node(self.graph, self.value(expression))

    def condition(self, expression: ast.expr) -> Node:
        """A truth value per world."""
        return self.graph.as_truth(as_number(self.graph, self.value(expression), "a condition"))

    def _constant(self, node: ast.Constant) -> Value:
        if node.value is None:
            return Nothing()
        if isinstance(node.value, bool | int | float):
            return self.graph.const(node.value, whole=type(node.value) is int)
        if node.value is Ellipsis:
            raise Refused("`...` has no place here", "write a number")
        raise Poisoned  # grammar.py has refused it

    def _name(self, node: ast.Name) -> Value:
        name = node.id
        value = self.frame.names.get(name)
        if isinstance(value, Unusable):
            raise Refused(f"{name!r} {value.why}", value.advice)
        if value is not None:
            return value
        if name in self.frame.own:
            raise Refused(f"{name!r} is read before it is assigned", "assign it before this line, on every path")
        if name in self.frame.constants:
            return self.frame.constants[name]
        if name in TABLE or name in self.helpers:
            raise Refused(f"{name!r} is a function, not a value", f"call it: {name}(...)")
        if name in ("np", "math"):
            raise Refused(f"{name} itself is not a value", f"call one of its functions, e.g. {name}.sqrt(x)")
        known = [*self.frame.names, *self.frame.constants, *TABLE, "scene", "action"]
        close = nearest(name, known)
        advice = f"did you mean {close!r}?" if close else "assign it first, or pass it to this function as an argument"
        raise Refused(f"there is no name {name!r}", advice)

    def _attribute(self, node: ast.Attribute) -> Value:
        spelled = dotted(node)
        if spelled in CONSTANTS:
            return self.graph.const(CONSTANTS[spelled])
        if spelled and spelled.split(".")[0] in ("np", "math"):
            known = {**CONSTANTS, **TABLE}
            close = nearest(spelled, known)
            advice = f"did you mean {close}?" if close else "use a listed function or np.pi"
            raise Refused(f"{spelled} is not a value in the language", advice)
        owner = self.value(node.value)
        match owner:
            case Poison():
                return POISON
            case SceneRef():
                return group_of(self.task.schema, owner, node.attr)
            case GroupRef():
                return self.graph.read(field_of(self.task.schema, owner, node.attr), owner.when)
            case Node() if node.attr == "shape":
                return Items(tuple(self.graph.const(size, whole=True) for size in owner.shape))
            case Node() if node.attr == "size" and owner.shape:
                return self.graph.const(math.prod(owner.shape), whole=True)
        advice = (
            f"call one of its methods: {', '.join(METHODS)}"
            if isinstance(owner, Node)
            else "only the scene has attributes"
        )
        raise Refused(f"{describe(owner)} has no attribute {node.attr!r}", advice, node)

    def _subscript(self, node: ast.Subscript) -> Value:
        owner = self.value(node.value)
        if isinstance(owner, Poison):
            return POISON
        if isinstance(owner, Table):
            return entry(owner, node.slice)
        if not isinstance(owner, Items):
            owner = as_node(self.graph, owner)
        elif isinstance(node.slice, ast.Tuple):
            raise Refused("a tuple or list takes one index", "write x[0][1], or build an array with np.array([...])")
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return indexed(self.graph, owner, [self._position(part) for part in parts])

    def _position(self, part: ast.expr) -> Position:
        if isinstance(part, ast.Constant) and part.value is Ellipsis:
            return Ellipsis
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            raise Refused("a text cannot be an index here", "only a dict of terms has keys: write a whole number")
        if not isinstance(part, ast.Slice):
            return as_whole(self.value(part), "an index")
        bounds = (part.lower, part.upper, part.step)
        start, stop, step = (
            None if each is None else as_whole(self.value(each), "a bound of a slice") for each in bounds
        )
        if step is not None and step < 1:
            raise Refused(
                "a slice with a step below 1", "write the elements in their order: np.array([v[2], v[1], v[0]])"
            )
        return ("slice", start, stop, step)

    def _binary(self, node: ast.BinOp) -> Value:
        return self.binary(node.op, self.value(node.left), self.value(node.right))

    def binary(self, operator: ast.operator, left: Value, right: Value) -> Value:
        """`left operator right` of values, also for `+=` and its like."""
        name = _BINARY.get(type(operator))
        if name is None:
            raise Poisoned  # grammar.py has refused it
        for value in (left, right):
            if isinstance(value, Items):
                raise Refused(f"arithmetic on {describe(value)}", "make it an array first: np.array([...])")
        a, b = as_node(self.graph, left), as_node(self.graph, right)
        if name.startswith("logical") and not (a.kind == b.kind == "bool"):
            raise Refused("`&`, `|` and `^` are for truth values only", "write `and` / `or` between comparisons")
        return self.graph.apply(name, a, b)

    def _unary(self, node: ast.UnaryOp) -> Value:
        if isinstance(node.op, ast.Invert):
            raise Poisoned  # grammar.py has refused it
        if isinstance(node.op, ast.Not):
            return self.graph.apply("logical_not", self.condition(node.operand))
        operand = self.value(node.operand)
        if isinstance(operand, Items):
            raise Refused(f"arithmetic on {describe(operand)}", "make it an array first: np.array([...])")
        number = as_node(self.graph, operand)
        if isinstance(node.op, ast.USub):
            return self.graph.apply("negative", number)
        if number.kind == "bool":
            raise Refused("`+` of a truth value", "turn it into a number first: float(a < b)")
        return number

    def _boolean(self, node: ast.BoolOp) -> Value:
        """`a and b` gives b where a holds, else a; between truth values that is the logical operation."""
        operands = [as_number(self.graph, self.value(each), "an operand of and/or") for each in node.values]
        result = operands[-1]
        for operand in reversed(operands[:-1]):
            both = result.kind == operand.kind == "bool"
            if both:
                result = self.graph.apply(
                    "logical_and" if isinstance(node.op, ast.And) else "logical_or", operand, result
                )
                continue
            truth = self.graph.as_truth(operand)
            pair = (result, operand) if isinstance(node.op, ast.And) else (operand, result)
            result = self.graph.apply("where", truth, *pair)
        return result

    def _compare(self, node: ast.Compare) -> Value:
        operands = [self.node(each) for each in (node.left, *node.comparators)]
        if any(type(op) not in _COMPARE for op in node.ops):
            raise Poisoned  # grammar.py has refused it
        pairs = zip(node.ops, operands[:-1], operands[1:], strict=True)
        links = [self.graph.apply(_COMPARE[type(op)], a, b) for op, a, b in pairs]
        if len(links) > 1 and any(link.shape for link in links):
            raise Refused("a chained comparison of arrays", "write np.logical_and(low < x, x < high)")
        result = links[0]
        for link in links[1:]:
            result = self.graph.apply("logical_and", result, link)
        return result

    def _conditional(self, node: ast.IfExp) -> Value:
        condition = self.condition(node.test)
        if condition.number is not None:
            return self.value(node.body if condition.number else node.orelse)
        value = merge(self.graph, condition, self.value(node.body), self.value(node.orelse))
        if isinstance(value, Unusable):
            raise Refused(f"this {value.why}", value.advice)
        return value

    def _items(self, node: ast.Tuple | ast.List) -> Value:
        return Items(tuple(self.value(item) for item in node.elts))

    def _dict(self, node: ast.Dict) -> Value:
        items: dict[str, Value] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            name = str(key.value) if isinstance(key, ast.Constant) else ""
            if name in items:
                raise Refused(f"the term {name!r} is named twice", "name each term once", key)
            items[name] = self.value(value)
        return Table(items)

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> Value:
        if len(node.generators) != 1:
            raise Refused("a comprehension with more than one `for`", "use one `for`, or nested loops")
        generator = node.generators[0]
        iterable = self.value(generator.iter)
        if isinstance(iterable, Poison):
            return POISON
        outer = self.frame
        inner = frozenset(each.id for each in ast.walk(generator.target) if isinstance(each, ast.Name))
        self.frame = Frame(dict(outer.names), outer.own | inner, outer.constants)
        found: list[Value] = []
        try:
            for item in items_of(self.graph, iterable):
                self.bind(generator.target, item)
                if all(self._static_truth(test) for test in generator.ifs):
                    found.append(self.value(node.elt))
        finally:
            self.frame = outer
        return Items(tuple(found), passing=isinstance(node, ast.GeneratorExp))

    def _static_truth(self, test: ast.expr) -> bool:
        truth = self.condition(test).number
        if truth is None:
            raise Refused(
                "a filter that depends on the scene", "write `x if condition else 0.0` in front of `for`", test
            )
        return bool(truth)

    def bind(self, target: ast.expr, value: Value) -> None:
        """Assign a value to a name, or its items to several."""
        if isinstance(value, Nothing):
            raise Refused("None is not a value of the language", "start with a number, e.g. 0.0", target)
        if isinstance(target, ast.Name):
            self.frame.names[target.id] = value
            return
        if not isinstance(target, ast.Tuple | ast.List):
            self.poison(target)  # grammar.py has refused it
            return
        targets = target.elts
        items = [POISON] * len(targets) if isinstance(value, Poison) else items_of(self.graph, value)
        if len(items) != len(targets):
            for each in targets:
                self.bind(each, POISON)
            raise Refused(
                f"{len(items)} values for {len(targets)} names", "give as many names as there are values", target
            )
        for each, item in zip(targets, items, strict=True):
            self.bind(each, item)

    def poison(self, node: ast.AST) -> None:
        """Give no further errors about the names that a refused part would have assigned or changed."""
        for part in ast.walk(node):
            if isinstance(part, ast.Name):
                if isinstance(part.ctx, ast.Store) or isinstance(node, ast.Subscript | ast.Attribute):
                    self.frame.names[part.id] = POISON
            elif isinstance(part, ast.FunctionDef | ast.ClassDef):
                self.frame.names[part.name] = POISON
            elif isinstance(part, ast.alias):
                self.frame.names[part.asname or part.name.split(".")[0]] = POISON

    def _call(self, node: ast.Call) -> Value:
        if isinstance(node.func, ast.Attribute) and node.func.attr == "astype":
            return self._astype(node, node.func.value)
        spelled = dotted(node.func)
        local = isinstance(node.func, ast.Name) and (node.func.id in self.frame.names or node.func.id in self.frame.own)
        args = [self.value(arg) for arg in node.args]
        keywords = {str(each.arg): self.value(each.value) for each in node.keywords if each.arg != "dtype"}
        if local and isinstance(self.frame.names.get(str(spelled)), Poison):
            return POISON
        if local:
            raise Refused(f"{spelled!r} is a variable here and cannot be called", "give the variable another name")
        if spelled in self.helpers and spelled is not None:
            return self.inline(self.helpers[spelled], node, args, keywords)
        if spelled in TABLE and spelled is not None:
            return call_listed(self.graph, spelled, args, keywords)
        root = spelled.split(".")[0] if spelled else ""
        if spelled and (isinstance(node.func, ast.Name) or root in ("np", "math", "numpy", "torch", "jnp")):
            raise no_function(spelled, [*self.helpers, *TABLE])
        return self._method(node, args, keywords)

    def _astype(self, node: ast.Call, owner: ast.expr) -> Value:
        """The type is a name of Python's, not a value, so it is read from the tree."""
        wanted = dotted(node.args[0]) if len(node.args) == 1 and not node.keywords else None
        return as_type(self.graph, self.node(owner), wanted)

    def _method(self, node: ast.Call, args: list[Value], keywords: dict[str, Value]) -> Value:
        if not isinstance(node.func, ast.Attribute):
            raise Refused("this cannot be called", "call a listed function or a helper by its name")
        return call_method(self.graph, self.value(node.func.value), node.func.attr, args, keywords)
