"""From a text to a reward: check it against a task, then compile it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rewards.program import limits, units
from rewards.program.errors import Diagnostic, Exhausted, Findings, ProgramError
from rewards.program.expressions import Expressions
from rewards.program.grammar import Grammar
from rewards.program.graph import Graph
from rewards.program.machine import Backend, Code, CompiledReward, read_name
from rewards.program.statements import Statements
from rewards.program.text import parse
from rewards.program.values import Result
from robot_learn.errors import UserError, unknown
from robot_learn.types import Task

_ADVICE = 'write `def reward(scene, action):` that ends in `return {"reach": reach, "lift": lift}`'


@dataclass(frozen=True, eq=False)
class Program:
    """A reward program that was checked against one task."""

    text: str
    task: Task = field(repr=False)
    term_names: tuple[str, ...]
    term_units: Mapping[str, str]  # by term; "unknown" where only literals decide
    notes: tuple[Diagnostic, ...]  # doubts about units: no refusals
    fields_read: tuple[str, ...]  # "cube.position", "initial.cube.position", "action", in order of first use
    weights: Mapping[str, float]  # by term
    _graph: Graph = field(repr=False)
    _result: Result = field(repr=False)

    def with_weights(self, weights: Mapping[str, float]) -> Program:
        """The program whose reward is total + sum over terms of (weight - 1) * term.

        Raises:
            UserError: a name is no term of the program, or a weight is not a finite number.
        """
        for name, weight in weights.items():
            if name not in self.weights:
                raise unknown("reward term", name, self.term_names)
            if not abs(weight) <= limits.MAX_LITERAL:
                raise UserError(
                    f"the weight of {name!r} must be a number below {limits.MAX_LITERAL:g}, came {weight!r}"
                )
        return replace(self, weights={**self.weights, **{name: float(weight) for name, weight in weights.items()}})

    def compile(self, backend: Backend = "auto") -> CompiledReward:
        """A batched reward. "auto" takes numpy arrays and torch tensors, by the type of the action."""
        if backend not in ("auto", "numpy", "torch"):
            raise unknown("backend", backend, ("auto", "numpy", "torch"))
        total = self._result.total
        for name, weight in self.weights.items():
            if weight != 1.0:
                extra = self._graph.apply("multiply", self._graph.const(weight - 1.0), self._result.terms[name])
                total = self._graph.apply("add", total, extra)
        results = [total, *self._result.terms.values()]
        remake = (_remake, (self.text, self.task, dict(self.weights), backend))
        return CompiledReward(self.term_names, results, backend=backend, act_dim=self.task.act_dim, remake=remake)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.text, self.task, dict(self.weights))


def _restore(text: str, task: Task, weights: Mapping[str, float]) -> Program:
    return check(text, task).with_weights(weights)


def _remake(text: str, task: Task, weights: Mapping[str, float], backend: Backend) -> CompiledReward:
    return _restore(text, task, weights).compile(backend)


def check(text: str, task: Task) -> Program:
    """Parse a reward program and check it against a task; nothing of it is executed.

    Raises:
        ProgramError: the text is not in the language, reads what the scene does not have, or mixes up shapes.
    """
    if not isinstance(text, str):
        raise UserError(f"a reward program is a text, came {type(text).__name__}")
    text = text.replace("\r\n", "\n")
    tree = parse(text)
    findings, notes = Findings(text, limits.MAX_ERRORS), Findings(text, limits.MAX_STEPS)
    graph = Graph()
    result: Any = None
    try:
        Grammar(findings).module(tree)
        functions = _functions(tree, findings)
        if "reward" in functions:
            expressions = Expressions(graph, task, findings, notes, functions)
            statements = Statements(expressions)
            result = statements.reward(functions["reward"], statements.constants(tree.body))
    except Exhausted as limit:
        if limit.message:
            findings.found.append(findings.locate(limit.node or tree, limit.message, limit.advice))
    except RecursionError:
        findings.found.append(Diagnostic(1, 1, "nested too deeply", "split it into several statements"))
    if findings.found:
        raise ProgramError(text, findings.found)
    if not isinstance(result, Result):
        raise ProgramError(text, [Diagnostic(1, 1, "`reward` has no usable return value", _ADVICE)])
    return _program(text, task, graph, result, notes)


def _functions(tree: ast.Module, findings: Findings) -> dict[str, ast.FunctionDef]:
    """The functions by name. `reward` must be there, with its two parameters."""
    functions: dict[str, ast.FunctionDef] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            if node.name in functions:
                findings.add(node, f"{node.name!r} is defined twice", "keep one of the two")
            functions[node.name] = node
    if "reward" not in functions:
        findings.add(tree, "there is no function named 'reward'", _ADVICE)
    else:
        args = functions["reward"].args
        if [each.arg for each in args.args] != ["scene", "action"] or args.defaults:
            came = f"reward takes ({ast.unparse(args)[:60]})"
            findings.add(functions["reward"], came, "write `def reward(scene, action):`")
    return functions


def _program(text: str, task: Task, graph: Graph, result: Result, notes: Findings) -> Program:
    results = [result.total, *result.terms.values()]
    reads = [read_name(node) for node in Code(results).reads]
    return Program(
        text=text,
        task=task,
        term_names=tuple(result.terms),
        term_units={name: units.show(node.unit) for name, node in result.terms.items()},
        notes=tuple(sorted(notes.found)),
        fields_read=tuple(reads),
        weights=dict.fromkeys(result.terms, 1.0),
        _graph=graph,
        _result=result,
    )
