"""Refusals of a reward program, written to be sent back to whoever wrote it, person or model."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from robot_learn.errors import UserError

_WINDOW = 110  # characters of a source line that a report shows


@dataclass(frozen=True, order=True)
class Diagnostic:
    """One finding: where (both counted from 1), what is wrong or doubtful, and what to write instead."""

    line: int
    column: int
    message: str
    advice: str

    def show(self, lines: list[str]) -> str:
        """The finding with its source line and a caret."""
        source = lines[self.line - 1] if self.line <= len(lines) else ""
        first = max(0, self.column - _WINDOW + 10)
        visible = "".join(c if c.isprintable() else " " for c in source[first : first + _WINDOW])
        caret = " " * (self.column - 1 - first) + "^"
        where = f"line {self.line}, column {self.column}: {self.message}"
        return f"{where}\n    {visible}\n    {caret}\n  advice: {self.advice}"


class ProgramError(UserError):
    """The program is not in the language. `str()` lists every diagnostic with its source line and a caret."""

    def __init__(self, text: str, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = tuple(sorted(set(diagnostics)))
        # Not splitlines(): form feeds and the like are no line ends to Python.
        lines = text.split("\n")
        count = len(self.diagnostics)
        head = f"the reward program was refused: {count} error{'s' if count != 1 else ''}"
        super().__init__("\n\n".join([head, *(found.show(lines) for found in self.diagnostics)]))


class NonFiniteReward(UserError):  # noqa: N818 - named for what it says
    """A reward or a term was infinite or not a number in some world."""

    def __init__(self, term: str, world: int, value: float, reads: str, step: int | None) -> None:
        self.term, self.world, self.step = term, world, step
        at = f"world {world}" if step is None else f"world {world} at step {step}"
        super().__init__(
            f"reward term {term!r} is {value} in {at}; wanted a finite number. It was computed from: {reads}. "
            "Look for a division by zero, or a square root, logarithm or power of a negative number."
        )


class Refused(Exception):  # noqa: N818 - named for what it says
    """Inside the checker: something here is not in the language. The innermost expression knows where it is."""

    def __init__(self, message: str, advice: str, node: ast.AST | None = None) -> None:
        super().__init__(message)
        self.message, self.advice, self.node = message, advice, node


class Exhausted(Exception):  # noqa: N818 - named for what it says
    """Inside the checker: a limit was reached, so checking stops here. Without a message, enough was found."""

    def __init__(self, message: str = "", advice: str = "", node: ast.AST | None = None) -> None:
        super().__init__(message)
        self.message, self.advice, self.node = message, advice, node


class Poisoned(Exception):  # noqa: N818 - named for what it says
    """Inside the checker: a value comes from something that was refused already; say nothing more about it."""


class Findings:
    """The diagnostics of one check, with positions taken from the syntax tree."""

    def __init__(self, text: str, limit: int) -> None:
        self.text, self._limit = text, limit
        self._lines = text.split("\n")
        self.found: list[Diagnostic] = []

    def add(self, node: ast.AST, message: str, advice: str) -> None:
        """Record one finding; stops the check by `Exhausted` when there are enough."""
        diagnostic = self.locate(node, message, advice)
        if any((each.line, each.column) == (diagnostic.line, diagnostic.column) for each in self.found):
            return  # the first word about a place is the one that helps
        self.found.append(diagnostic)
        if len(self.found) >= self._limit:
            raise Exhausted

    def locate(self, node: ast.AST, message: str, advice: str) -> Diagnostic:
        """The finding at the position of a node."""
        line = getattr(node, "lineno", 1)
        source = self._lines[line - 1] if line <= len(self._lines) else ""
        # The syntax tree counts bytes of UTF-8; people count characters.
        column = len(source.encode()[: getattr(node, "col_offset", 0)].decode(errors="replace")) + 1
        return Diagnostic(line, column, message, advice)
