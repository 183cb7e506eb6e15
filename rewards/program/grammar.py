"""Which Python a reward program may use. Every node of the tree is looked at here, used or not."""

from __future__ import annotations

import ast
import re

from rewards.program import limits
from rewards.program.errors import Findings
from rewards.program.special import CONSTANTS, TABLE

TERM_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# Names that always mean the same: the libraries' spellings, Python's own functions, the scene.
ROOTS = ("np", "math")
RESERVED = frozenset(
    {*ROOTS, "scene", *(name for name, row in TABLE.items() if "." not in name and hasattr(row, "build"))}
)
RESERVED |= {"abs", "round", "pow"}

_STATEMENTS = (ast.Return, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.For, ast.If, ast.Pass, ast.Expr)
_EXPRESSIONS = (
    *(ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call, ast.keyword, ast.Attribute, ast.Subscript),
    *(ast.Slice, ast.Name, ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.ListComp, ast.GeneratorExp),
    *(ast.comprehension, ast.Load, ast.Store, ast.And, ast.Or, ast.Not, ast.USub, ast.UAdd),
    *(
        ast.Add,
        ast.Sub,
        ast.Mult,
        ast.Div,
        ast.FloorDiv,
        ast.Mod,
        ast.Pow,
        ast.MatMult,
        ast.BitAnd,
        ast.BitOr,
        ast.BitXor,
    ),
    *(ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq),
)
_ANNOTATIONS = (
    ast.Name,
    ast.Attribute,
    ast.Subscript,
    ast.Tuple,
    ast.List,
    ast.Constant,
    ast.Load,
    ast.BinOp,
    ast.BitOr,
)

_TYPES = ("float", "np.float64", "np.float32", "bool")  # what dtype= may name; it is ignored

_STRINGS = "strings are only for the names of terms"
_LITERAL_TERMS = 'write all terms in one literal: return {"reach": reach, "lift": lift}'
# By name, because some kinds exist in newer Pythons only.
_REFUSED: dict[str, tuple[str, str]] = {
    "Import": ("imports are not in the language", "delete this line: np and math are there already"),
    "ImportFrom": ("imports are not in the language", "delete this line: np and math are there already"),
    "While": ("`while` is not in the language", "use `for i in range(4):` with literal bounds, or array functions"),
    "Lambda": ("lambdas are not in the language", "write a helper function with `def` above `reward`"),
    "ClassDef": ("classes are not in the language", "write helper functions with `def` above `reward`"),
    "FunctionDef": ("a function inside a function or block", "move the helper to the top, above `reward`"),
    "AsyncFunctionDef": ("async functions are not in the language", "write `def`"),
    "Try": ("`try` is not in the language", "avoid the problem with a condition, e.g. x / d if d > 0.0 else 0.0"),
    "TryStar": ("`except*` is not in the language", "avoid the problem with a condition"),
    "Raise": ("`raise` is not in the language", "return a reward in every case"),
    "Assert": ("`assert` is not in the language", "delete this line"),
    "With": ("`with` is not in the language", "delete this line"),
    "Global": ("`global` is not in the language", "pass values to helpers as arguments and return the results"),
    "Nonlocal": ("`nonlocal` is not in the language", "pass values to helpers as arguments and return the results"),
    "Delete": ("`del` is not in the language", "delete this line"),
    "Match": ("`match` is not in the language", "use if/elif/else"),
    "Break": ("`break` is not in the language", "put the rest of the loop body under an `if`"),
    "Continue": ("`continue` is not in the language", "put the rest of the loop body under an `if`"),
    "NamedExpr": ("`:=` is not in the language", "assign the name in a line of its own"),
    "JoinedStr": ("f-strings are not in the language", _STRINGS),
    "Starred": ("`*` unpacking is not in the language", "write every item or argument by itself"),
    "Set": ("sets are not in the language", "use a tuple or a list"),
    "SetComp": ("set comprehensions are not in the language", "use a list comprehension over a literal range"),
    "DictComp": ("dict comprehensions are not in the language", _LITERAL_TERMS),
    "Await": ("`await` is not in the language", "delete it"),
    "Yield": ("`yield` is not in the language", "use `return`"),
    "YieldFrom": ("`yield` is not in the language", "use `return`"),
    "Is": ("`is` is not in the language", "compare numbers with ==, <, >"),
    "IsNot": ("`is not` is not in the language", "compare numbers with !=, <, >"),
    "In": ("`in` is not in the language", "compare numbers with ==, or write low <= x <= high"),
    "NotIn": ("`not in` is not in the language", "compare numbers with != and `and`"),
    "Invert": ("`~` is not in the language", "write `not a`, or np.logical_not(a) for an array"),
    "LShift": ("`<<` is not in the language", "multiply by a number"),
    "RShift": ("`>>` is not in the language", "divide by a number"),
}


class Grammar:
    """One walk over the tree, collecting every refusal; a refused part is not looked into further."""

    def __init__(self, findings: Findings) -> None:
        self._add = findings.add

    def module(self, tree: ast.Module) -> None:
        """The top level: helper functions, constants and `reward`."""
        for position, statement in enumerate(tree.body):
            if isinstance(statement, ast.FunctionDef):
                self._function(statement)
            elif isinstance(statement, ast.Assign | ast.AnnAssign) or (position == 0 and _is_docstring(statement)):
                self._statement(statement, docstring=True)
            elif not self._refused(statement):
                self._add(statement, "only functions and constants stand at the top level", "move this into `reward`")

    def _refused(self, node: ast.AST) -> bool:
        kind = type(node).__name__
        if kind not in _REFUSED:
            return False
        self._add(node, *_REFUSED[kind])
        return True

    def _function(self, node: ast.FunctionDef) -> None:
        self._name(node, node.name)
        if node.name in RESERVED:
            self._add(node, f"the name {node.name!r} is taken", "give the helper another name")
        for decorator in node.decorator_list:
            self._add(decorator, "decorators are not in the language", "delete this line")
        for parameter in getattr(node, "type_params", []):
            self._add(parameter, "type parameters are not in the language", "delete them")
        self._parameters(node.args)
        self._annotation(node.returns)
        for position, statement in enumerate(node.body):
            self._statement(statement, docstring=position == 0)

    def _parameters(self, args: ast.arguments) -> None:
        for starred in (args.vararg, args.kwarg):
            if starred is not None:
                self._add(starred, "`*` parameters are not in the language", "name every parameter")
        for parameter in (*args.posonlyargs, *args.kwonlyargs):
            self._add(parameter, "`/` and `*` in parameters are not in the language", "list plain parameters")
        for parameter in (*args.posonlyargs, *args.args, *args.kwonlyargs):
            self._name(parameter, parameter.arg)
            self._annotation(parameter.annotation)
            if parameter.arg in RESERVED - {"scene"}:
                self._add(parameter, f"the name {parameter.arg!r} is taken", "give the parameter another name")
        for default in (*args.defaults, *args.kw_defaults):
            if default is not None and not _is_number(default):
                self._add(default, "a default must be a number", "write a literal, e.g. scale=1.0")

    def _annotation(self, node: ast.AST | None) -> None:
        """Annotations are ignored, so they must be plain: names, dots, brackets and `|`."""
        for part in () if node is None else ast.walk(node):
            if not isinstance(part, _ANNOTATIONS):
                if not self._refused(part):
                    self._add(node or part, "this annotation is not plain", "annotate with plain types, or not at all")
                return
            hidden = getattr(part, "id", getattr(part, "attr", ""))
            if hidden.startswith("_"):
                self._name(part, hidden)

    def _statement(self, node: ast.stmt, *, docstring: bool = False) -> None:
        if self._refused(node):
            return
        if not isinstance(node, _STATEMENTS):
            self._add(node, f"`{type(node).__name__}` is not in the language", "use assignments, if, for and return")
            return
        if isinstance(node, ast.Expr):
            if not (docstring and _is_docstring(node)):
                self._add(node, "this line has no effect on the reward", "delete it, or assign its value to a name")
                self._expression(node.value)
            return
        if isinstance(node, ast.For) and node.orelse:
            self._add(node.orelse[0], "`else` after a loop is not in the language", "put it after the loop")
        if isinstance(node, ast.AnnAssign):
            self._annotation(node.annotation)
            if node.value is None:
                self._add(node, "a declaration without a value", "delete this line or assign a value")
        self._parts(node)

    def _parts(self, node: ast.stmt) -> None:
        for target in getattr(node, "targets", None) or [getattr(node, "target", None)]:
            if target is not None:
                self._target(target)
        for name in ("value", "test", "iter"):
            part = getattr(node, name, None)
            if part is not None:
                self._expression(part)
        if isinstance(node, ast.AugAssign):
            self._expression(node.op)
        for inner in (*getattr(node, "body", ()), *getattr(node, "orelse", ())):
            self._statement(inner)

    def _target(self, node: ast.AST) -> None:
        """What may be assigned: names, and tuples of names."""
        if isinstance(node, ast.Name):
            if node.id != "_":
                self._name(node, node.id)
            if node.id in RESERVED:
                self._add(node, f"the name {node.id!r} is taken and cannot be assigned", "use another name")
        elif isinstance(node, ast.Tuple | ast.List):
            for item in node.elts:
                self._target(item)
        elif isinstance(node, ast.Attribute):
            self._add(node, "attributes cannot be assigned: the scene is read-only", "assign to a plain name")
        elif isinstance(node, ast.Subscript):
            self._add(node, "elements cannot be assigned", f"build arrays with np.array([...]); {_LITERAL_TERMS}")
        elif not self._refused(node):
            self._add(node, "this cannot be assigned", "assign to a plain name")

    def _expression(self, node: ast.AST, *, text: bool = False) -> None:
        """`text` says that a string may stand here."""
        if self._refused(node):
            return
        if not isinstance(node, _EXPRESSIONS):
            self._add(
                node, f"`{type(node).__name__}` is not in the language", "use numbers, fields, operators and calls"
            )
            return
        match node:
            case ast.Constant():
                self._constant(node, text)
            case ast.Name():
                self._name(node, node.id)
            case ast.Attribute():
                self._name(node, node.attr)
                self._expression(node.value)
            case ast.Subscript():
                self._expression(node.value)
                self._expression(node.slice, text=True)
            case ast.Dict():
                self._dict(node)
            case ast.comprehension():
                self._comprehension(node)
            case _:
                self._children(node)

    def _children(self, node: ast.AST) -> None:
        if isinstance(node, ast.keyword):
            if node.arg is None:
                self._add(node, "`**` arguments are not in the language", "write every argument by itself")
                return
            self._name(node, node.arg)
            if node.arg == "dtype":
                if ast.unparse(node.value) not in _TYPES:
                    self._add(node.value, "this is no type of numbers", "leave dtype out: all numbers are floats")
                return
        for child in ast.iter_child_nodes(node):
            self._expression(child)

    def _comprehension(self, node: ast.comprehension) -> None:
        if node.is_async:
            self._add(node.target, "async comprehensions are not in the language", "write `for`")
        self._target(node.target)
        for part in (node.iter, *node.ifs):
            self._expression(part)

    def _dict(self, node: ast.Dict) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                self._add(value, "`**` in a dict is not in the language", _LITERAL_TERMS)
                continue
            if not (isinstance(key, ast.Constant) and isinstance(key.value, str)):
                self._add(key, "the key of a dict must be a plain text", _LITERAL_TERMS)
            elif not TERM_NAME.fullmatch(key.value) or len(key.value) > limits.MAX_NAME:
                advice = f"use a letter, then letters, digits and `_`, at most {limits.MAX_NAME} in all"
                self._add(key, f"{key.value[:30]!a} cannot name a term", advice)
            self._expression(value)

    def _constant(self, node: ast.Constant, text: bool) -> None:
        value = node.value
        if isinstance(value, str | bytes):
            if not (text and isinstance(value, str)):
                self._add(node, "a string has no place here", _STRINGS)
        elif isinstance(value, complex):
            self._add(node, "complex numbers are not in the language", "write a plain number")
        elif isinstance(value, int | float) and not abs(value) <= limits.MAX_LITERAL:
            self._add(node, "this number is too large", f"stay below {limits.MAX_LITERAL:g}")

    def _name(self, node: ast.AST, name: str) -> None:
        if name.startswith("_"):
            self._add(
                node, f"names with a leading underscore are not in the language: {name[:30]!r}", "use a plain name"
            )
        elif len(name) > limits.MAX_NAME:
            self._add(node, f"a name of {len(name)} characters", f"use at most {limits.MAX_NAME}")


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_number(node: ast.expr) -> bool:
    inner = node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd) else node
    if isinstance(inner, ast.Constant):
        return isinstance(inner.value, int | float) and abs(inner.value) <= limits.MAX_LITERAL
    return isinstance(inner, ast.Name) or (isinstance(inner, ast.Attribute) and ast.unparse(inner) in CONSTANTS)
