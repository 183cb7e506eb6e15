"""Statements: branches become masked selects, loops and helpers are written out, early returns become masks.

Both sides of a branch are computed in every world and `where` takes one of them, so nothing of the other side, NaN
included, reaches a world that did not go there.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rewards.program import limits
from rewards.program.errors import Poisoned, Refused
from rewards.program.expressions import Expressions, Frame
from rewards.program.graph import Node
from rewards.program.indexing import items_of
from rewards.program.values import (
    POISON,
    Items,
    Poison,
    Result,
    SceneRef,
    Table,
    Unusable,
    Value,
    as_number,
    describe,
    merge,
)

_FORMS = 'write `return total, {"reach": reach, "lift": lift}` or `return {"reach": reach, "lift": lift}`'


@dataclass(frozen=True)
class Flow:
    """How a block ended: the worlds that returned inside it, and what they returned."""

    returned: Node  # per world; constant true when every path returns
    value: Value

    @property
    def always(self) -> bool:
        return self.returned.number == 1.0


class Statements:
    """Interprets the functions of a program on top of `Expressions`."""

    def __init__(self, expressions: Expressions) -> None:
        self._to = expressions
        self._graph = expressions.graph
        self._calls: list[str] = []  # functions being written out, outermost first
        expressions.inline = self._inline

    def constants(self, statements: Sequence[ast.stmt]) -> Mapping[str, Value]:
        """The module's constants, in the order of the text."""
        self._to.frame = Frame({}, frozenset())
        for statement in statements:
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                self._statement(statement)
        return self._to.frame.names

    def reward(self, function: ast.FunctionDef, constants: Mapping[str, Value]) -> Value:
        """What `reward(scene, action)` returns, as a `Result`; POISON when something was refused."""
        action = self._graph.action(self._to.task.act_dim)
        return self._run(function, {"scene": SceneRef("now"), "action": action}, constants)

    def _run(self, function: ast.FunctionDef, names: dict[str, Value], constants: Mapping[str, Value]) -> Value:
        stored = (
            each.id for each in ast.walk(function) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
        )
        # A comprehension's own name is not one of the function's.
        inner = {
            n.id
            for c in ast.walk(function)
            if isinstance(c, ast.comprehension)
            for n in ast.walk(c.target)
            if isinstance(n, ast.Name)
        }
        outer, self._to.frame = self._to.frame, Frame(names, frozenset(stored) - inner, constants)
        self._calls.append(function.name)
        try:
            flow = self._block(function.body)
        finally:
            self._calls.pop()
            self._to.frame = outer
        if flow is not None and isinstance(flow.value, Poison):
            return POISON
        if flow is None or not flow.always:
            advice = "end the function with a `return`, and every branch that does not reach it too"
            self._to.findings.add(function, f"{function.name!r} does not return a value on every path", advice)
            return POISON
        return flow.value

    def _inline(
        self, function: ast.FunctionDef, call: ast.Call, args: list[Value], keywords: dict[str, Value]
    ) -> Value:
        """The value of a helper's call: its body, written out with these arguments."""
        if function.name in self._calls:
            raise Refused(
                f"{function.name!r} calls itself", "recursion is not in the language: use a `for` over a literal range"
            )
        if function.name == "reward":
            raise Refused("`reward` cannot be called", "write a helper function for what both need")
        if len(self._calls) > limits.MAX_CALLS:
            raise Refused(f"more than {limits.MAX_CALLS} helpers inside each other", "use fewer helpers")
        parameters = [each.arg for each in function.args.args]
        usage = f"write {function.name}({', '.join(parameters)})"
        names: dict[str, Value] = dict(zip(parameters, args, strict=False))
        wrong = [name for name in keywords if name not in parameters or name in names]
        if len(args) > len(parameters) or wrong:
            raise Refused(
                f"{function.name!r} cannot take {wrong[0] + '=' if wrong else f'{len(args)} arguments'}", usage, call
            )
        names.update(keywords)
        constants = self._to.frame.constants
        defaults = function.args.defaults
        for name, default in zip(parameters[len(parameters) - len(defaults) :], defaults, strict=True):
            if name not in names:
                names[name] = self._default(default, constants)
        names.update({each.arg: POISON for each in _refused_parameters(function)})
        missing = [name for name in parameters if name not in names]
        if missing:
            raise Refused(f"{function.name!r} is called without {', '.join(missing)}", usage, call)
        value = self._run(function, names, constants)
        if isinstance(value, Unusable):
            raise Refused(f"what {function.name!r} returns {value.why}", value.advice, call)
        return value

    def _default(self, default: ast.expr, constants: Mapping[str, Value]) -> Value:
        outer, self._to.frame = self._to.frame, Frame({}, frozenset(), constants)
        try:
            return self._to.value(default)
        finally:
            self._to.frame = outer

    def _block(self, statements: Sequence[ast.stmt]) -> Flow | None:
        """Run statements in order; None when no world returns."""
        flow: Flow | None = None
        for statement in statements:
            new = self._statement(statement)
            if new is None:
                continue
            if flow is not None:
                # Who returned earlier keeps what it returned.
                value = merge(self._graph, flow.returned, flow.value, new.value)
                new = Flow(self._graph.apply("logical_or", flow.returned, new.returned), value)
            flow = new
            if flow.always:
                break
        return flow

    def _statement(self, node: ast.stmt) -> Flow | None:
        self._to.step(node)
        try:
            match node:
                case ast.Assign():
                    self._assign(node.targets, self._to.value(node.value))
                case ast.AnnAssign(value=ast.expr() as assigned):
                    self._assign([node.target], self._to.value(assigned))
                case ast.AugAssign():
                    self._augment(node)
                case ast.Return():
                    return Flow(self._graph.const(True), self._returned(node))
                case ast.If():
                    return self._if(node)
                case ast.For():
                    return self._for(node)
                case ast.Pass() | ast.Expr():
                    pass
                case _:
                    return self._skip(node)
        except Refused as refusal:
            self._to.findings.add(refusal.node or node, refusal.message, refusal.advice)
        except Poisoned:
            pass
        return Flow(self._graph.const(True), POISON) if isinstance(node, ast.Return) else None

    def _skip(self, node: ast.stmt) -> Flow | None:
        """A statement that grammar.py has refused: say nothing more about what it would have done."""
        self._to.poison(node)
        returns = any(isinstance(each, ast.Return) for each in ast.walk(node))
        return Flow(self._graph.anything(), POISON) if returns else None

    def _assign(self, targets: Sequence[ast.expr], value: Value) -> None:
        for target in targets:
            self._to.bind(target, value)

    def _augment(self, node: ast.AugAssign) -> None:
        """`x += y` on numbers. On arrays Python writes into the array, which may be the scene's own."""
        name = node.target.id if isinstance(node.target, ast.Name) else ""
        before = self._to.value(ast.copy_location(ast.Name(name, ast.Load()), node.target))
        if isinstance(before, Items | Table) or (isinstance(before, Node) and before.shape):
            self._to.bind(node.target, POISON)
            advice = f"write {name} = {name} + ... instead"
            raise Refused(f"an augmented assignment changes {describe(before)} in place", advice)
        self._to.bind(node.target, POISON)
        self._to.bind(node.target, self._to.binary(node.op, before, self._to.value(node.value)))
        self._to.note_clashes(node)

    def _returned(self, node: ast.Return) -> Value:
        if node.value is None:
            raise Refused("`return` without a value", _FORMS)
        value = self._to.value(node.value)
        return self._result(value, node) if self._calls[-1] == "reward" else value

    def _result(self, value: Value, node: ast.Return) -> Value:
        """The total and terms of what `reward` returns, in any of the two forms."""
        at = node.value or node
        if isinstance(value, Poison):
            return POISON
        pair = value.items if isinstance(value, Items) and len(value.items) == 2 else (None, value)
        total, table = pair
        if isinstance(total, Poison) or isinstance(table, Poison):
            return POISON
        if not isinstance(table, Table):
            raise Refused(f"`reward` must return its terms by name, came {describe(value)}", _FORMS, at)
        if not 1 <= len(table.items) <= limits.MAX_TERMS:
            raise Refused(f"{len(table.items)} terms", f"name 1 to {limits.MAX_TERMS} terms; {_FORMS}", at)
        if "total" in table.items:
            raise Refused("'total' is not a term", "leave it out of the dict: the total has its own place", at)
        terms = {name: self._term(term, name, at) for name, term in table.items.items()}
        if total is not None:
            return Result(self._term(total, "the total", at), terms)
        parts = iter(terms.values())
        added = next(parts)
        for part in parts:
            added = self._graph.apply("add", added, part)
        self._graph.clashes.clear()  # terms may have units of their own; their sum was not the author's line
        return Result(added, terms)

    def _term(self, value: Value, name: str, at: ast.AST) -> Node:
        try:
            return self._graph.as_float(as_number(self._graph, value, f"the term {name!r}"))
        except Refused as refusal:
            refusal.node = at
            raise

    def _if(self, node: ast.If) -> Flow | None:
        try:
            condition = self._to.condition(node.test)
        except Refused as refusal:
            self._to.findings.add(node.test, refusal.message, refusal.advice)
            condition = self._graph.anything()
        except Poisoned:
            condition = self._graph.anything()
        if condition.number is not None:
            return self._block(node.body if condition.number else node.orelse)
        frame = self._to.frame
        before = frame.names
        frame.names = dict(before)
        then_flow, then_names = self._block(node.body), frame.names
        frame.names = dict(before)
        else_flow, else_names = self._block(node.orelse), frame.names
        frame.names = before
        before.update(self._joined(condition, node, (then_flow, then_names), (else_flow, else_names)))
        return self._flow(condition, then_flow, else_flow)

    def _joined(
        self,
        condition: Node,
        node: ast.If,
        then: tuple[Flow | None, dict[str, Value]],
        other: tuple[Flow | None, dict[str, Value]],
    ) -> dict[str, Value]:
        """The names after a branch. A side that always returns has no say."""
        (then_flow, then_names), (else_flow, else_names) = then, other
        if then_flow is not None and then_flow.always:
            return else_names
        if else_flow is not None and else_flow.always:
            return then_names
        missing = Unusable(
            f"may be unassigned: only one branch of the `if` in line {node.lineno} assigns it",
            "assign it before the `if`",
        )
        return {
            name: merge(self._graph, condition, then_names.get(name, missing), else_names.get(name, missing))
            for name in (*then_names, *(each for each in else_names if each not in then_names))
        }

    def _flow(self, condition: Node, then: Flow | None, other: Flow | None) -> Flow | None:
        no = self._graph.const(False)
        if then is None and other is None:
            return None
        if then is None or other is None:
            flow = then or other
            value = flow.value if flow is not None else POISON
        else:
            value = merge(self._graph, condition, then.value, other.value)
        masks = [flow.returned if flow is not None else no for flow in (then, other)]
        return Flow(self._graph.apply("where", condition, *masks), value)

    def _for(self, node: ast.For) -> Flow | None:
        iterable = self._to.value(node.iter)
        items = [POISON] if isinstance(iterable, Poison) else items_of(self._graph, iterable)
        flow: Flow | None = None
        for item in items:
            self._to.bind(node.target, item)
            new = self._block(node.body)
            if new is not None:
                if flow is not None:
                    value = merge(self._graph, flow.returned, flow.value, new.value)
                    new = Flow(self._graph.apply("logical_or", flow.returned, new.returned), value)
                flow = new
            if flow is not None and flow.always:
                break
        return flow


def _refused_parameters(function: ast.FunctionDef) -> list[ast.arg]:
    args = function.args
    return [*args.posonlyargs, *args.kwonlyargs, *(each for each in (args.vararg, args.kwarg) if each is not None)]
