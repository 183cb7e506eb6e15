"""A reward as named terms that are changed one at a time.

Free rewriting regresses: what one round got right the next one loses. Here a term is a function of its own with a
weight and a reason, an edit names the term that it adds, rewrites, weighs or removes, and every other term stays as it
is, to the letter.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from robot_learn.errors import UserError, unknown

Kind = Literal["add", "rewrite", "weigh", "remove"]
KINDS: tuple[Kind, ...] = ("add", "rewrite", "weigh", "remove")
MOST_TERMS = 10
HEAVIEST = 1000.0


@dataclass(frozen=True)
class Term:
    """One term.

    `code` defines `NAME(scene, action)` in the reward language; constants and helper functions that stand before it
    have names that begin with NAME_, so that terms never meet.
    """

    name: str
    weight: float
    code: str
    why: str = ""

    def __post_init__(self) -> None:
        if not (self.name.isidentifier() and self.name.isascii() and not self.name.startswith("_")):
            raise UserError(f"term {self.name!r}: wanted a name of letters, digits and _")
        if self.name in ("reward", "scene", "action", "np", "math"):
            raise UserError(f"term {self.name!r}: the name is taken; wanted another")
        if not (math.isfinite(self.weight) and 0 < self.weight <= HEAVIEST):
            raise UserError(
                f"term {self.name!r}: wanted a weight above 0 and up to {HEAVIEST:g}, came {self.weight}; what shall "
                "cost is negative in the code"
            )
        _check_code(self.name, self.code)


@dataclass(frozen=True)
class Edit:
    """One change."""

    kind: Kind
    term: str
    weight: float | None = None
    code: str | None = None
    why: str = ""


@dataclass(frozen=True)
class Terms:
    """A reward: the sum of its terms by their weights."""

    terms: tuple[Term, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.terms) <= MOST_TERMS:
            raise UserError(f"a reward has 1 to {MOST_TERMS} terms, came {len(self.terms)}")
        if len(set(self.names)) < len(self.names):
            raise UserError(f"two terms have one name: {', '.join(self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(term.name for term in self.terms)

    def __getitem__(self, name: str) -> Term:
        for term in self.terms:
            if term.name == name:
                return term
        raise unknown("term", name, self.names)

    def program(self) -> str:
        """The text of the reward program."""
        parts = [f"# {term.name}: {_one_line(term.why)}\n{term.code.strip()}\n" for term in self.terms]
        sums = [f'        "{term.name}": {term.weight!r} * {term.name}(scene, action),' for term in self.terms]
        total = "\n".join(["def reward(scene, action):", "    return {", *sums, "    }\n"])
        return "\n\n".join([*parts, total])

    def changed(self, edits: Sequence[Edit]) -> Terms:
        """The reward after some edits, in their order.

        Raises:
            UserError: an edit names a term that is not there, or adds one that is; it lacks what it needs; nothing
                would change, or nothing be left.
        """
        if not edits:
            raise UserError("no edit: wanted at least one term to add, rewrite, weigh or remove")
        terms = self
        for edit in edits:
            terms = _applied(terms, edit)
        if terms == self:
            raise UserError("the edits change nothing")
        return terms

    def difference(self, other: Terms) -> list[Edit]:
        """The edits that lead from this reward to another."""
        found = [Edit("remove", name) for name in self.names if name not in other.names]
        for term in other.terms:
            if term.name not in self.names:
                found.append(Edit("add", term.name, term.weight, term.code, term.why))
            elif term.code != self[term.name].code:
                found.append(Edit("rewrite", term.name, term.weight, term.code, term.why))
            elif term.weight != self[term.name].weight:
                found.append(Edit("weigh", term.name, term.weight, None, term.why))
        return found


def _applied(terms: Terms, edit: Edit) -> Terms:
    if edit.kind not in KINDS:
        raise unknown("kind of edit", str(edit.kind), KINDS)
    there = edit.term in terms.names
    if edit.kind == "add":
        if there:
            raise UserError(f"add {edit.term!r}: there is such a term already; rewrite it, or choose another name")
        return Terms((*terms.terms, Term(edit.term, _needs(edit, "weight"), _needs(edit, "code"), edit.why)))
    if not there:
        raise UserError(f"{edit.kind} {edit.term!r}: {unknown('term', edit.term, terms.names)}")
    if edit.kind == "remove":
        if len(terms.terms) == 1:
            raise UserError(f"remove {edit.term!r}: it is the only term; a reward needs one")
        return Terms(tuple(term for term in terms.terms if term.name != edit.term))
    before = terms[edit.term]
    weight = before.weight if edit.weight is None and edit.kind == "rewrite" else _needs(edit, "weight")
    code = before.code if edit.kind == "weigh" else _needs(edit, "code")
    after = replace(before, weight=weight, code=code, why=edit.why or before.why)
    return Terms(tuple(after if term.name == edit.term else term for term in terms.terms))


def _needs(edit: Edit, field: Literal["weight", "code"]) -> Any:
    value = getattr(edit, field)
    if value is None:
        raise UserError(f"{edit.kind} {edit.term!r}: it wants {field!r}, which is missing")
    return value


def _check_code(name: str, code: str) -> None:
    """Raises:
    UserError: the code is no Python, does not end in the function of the term, or defines a name of others.
    """
    try:
        body = ast.parse(code).body
    except SyntaxError as error:
        raise UserError(f"term {name!r}: the code is no Python: line {error.lineno}: {error.msg}") from None
    for statement in body:
        for defined in _defined(statement):
            if defined != name and not defined.startswith(f"{name}_"):
                raise UserError(
                    f"term {name!r}: the code defines {defined!r}; wanted {name!r}, and beside it names that begin "
                    f"with '{name}_'"
                )
    last = body[-1] if body else None
    if not (isinstance(last, ast.FunctionDef) and last.name == name and _arguments(last) == ["scene", "action"]):
        raise UserError(f"term {name!r}: the code must end in `def {name}(scene, action):`, which returns one number")


def _defined(statement: ast.stmt) -> list[str]:
    """The names that a statement defines at the top."""
    if isinstance(statement, ast.FunctionDef):
        return [statement.name]
    return [node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]


def _arguments(function: ast.FunctionDef) -> list[str]:
    return [argument.arg for argument in function.args.args]


def _one_line(text: str) -> str:
    """Text as a comment: ASCII, one line."""
    return " ".join(text.encode("ascii", "replace").decode().split()) or "no reason given"
