"""From text to a syntax tree: size, characters and tokens are judged before Python's parser sees the text."""

from __future__ import annotations

import ast
import io
import tokenize
import unicodedata
import warnings
from collections.abc import Iterator

from rewards.program import limits
from rewards.program.errors import Diagnostic, ProgramError


def parse(text: str) -> ast.Module:
    """The syntax tree of a text that is small, flat and plain enough to be looked at.

    Raises:
        ProgramError: it is too long or too deep, has characters that hide something, or is not Python.
    """
    for guard in (_size, _characters, _tokens):
        found = guard(text)
        if found:
            raise ProgramError(text[: limits.MAX_TEXT], found[: limits.MAX_ERRORS])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # e.g. an odd escape in a docstring
            tree = ast.parse(text, "<reward program>")
    except SyntaxError as error:
        at = _at(error.lineno, error.offset)
        advice = "write plain Python: one function `def reward(scene, action):` that returns named terms"
        raise ProgramError(text, [Diagnostic(*at, f"this is not Python: {error.msg}", advice)]) from None
    except (RecursionError, MemoryError, ValueError, OverflowError):
        raise ProgramError(text, [_deep(1, 1)]) from None
    _depth(tree, text)
    return tree


def _at(line: int | None, column: int | None) -> tuple[int, int]:
    return max(1, line or 1), max(1, column or 1)


def _deep(line: int, column: int) -> Diagnostic:
    advice = "split it into several statements with named intermediate results"
    return Diagnostic(line, column, f"nested deeper than {limits.MAX_NESTING} levels", advice)


def _size(text: str) -> list[Diagnostic]:
    if len(text) <= limits.MAX_TEXT:
        return []
    advice = "a reward needs a few dozen lines: remove data, repetition and comments"
    return [Diagnostic(1, 1, f"{len(text)} characters; the limit is {limits.MAX_TEXT}", advice)]


def _characters(text: str) -> list[Diagnostic]:
    """Control and format characters (NUL, bidirectional marks, zero-width ...) could make a text look different."""
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        for column, char in enumerate(line, start=1):
            if char != "\t" and (unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")):
                message = f"the invisible character U+{ord(char):04X} is not allowed anywhere"
                found.append(Diagnostic(number, column, message, "delete it; write plain ASCII code"))
    return found


def _tokens(text: str) -> list[Diagnostic]:
    """Judge every token, and stop at the first text that Python's own tokenizer cannot read."""
    found: list[Diagnostic] = []
    indent = in_statement = 0
    opened: list[tuple[int, int]] = []  # where each bracket that is still open stands
    try:
        for count, token in enumerate(tokenize.generate_tokens(io.StringIO(text).readline), start=1):
            in_statement = 0 if token.type == tokenize.NEWLINE else in_statement + 1
            if token.type == tokenize.OP and token.string in "([{":
                opened.append(token.start)
            elif token.type == tokenize.OP and token.string in ")]}":
                del opened[-1:]
            indent += (token.type == tokenize.INDENT) - (token.type == tokenize.DEDENT)
            line, column = token.start[0], token.start[1] + 1
            found += [Diagnostic(line, column, *finding) for finding in _judge(token)]
            excess = _excess(len(opened), indent, in_statement, count)
            if excess is not None:
                return [*found, Diagnostic(line, column, *excess)]
    except tokenize.TokenError as error:
        message, at = error.args[0], error.args[1]
        unclosed = "a bracket or a string is not closed" if "EOF" in message else f"this is not Python: {message}"
        last_line = text.count("\n") + 1
        line, column = (opened[-1][0], opened[-1][1] + 1) if opened else _at(min(at[0], last_line), at[1])
        found.append(Diagnostic(line, column, unclosed, "close every bracket and every string"))
    except SyntaxError as error:
        at = _at(error.lineno, error.offset)
        found.append(Diagnostic(*at, f"this is not Python: {error.msg}", "indent every block by four spaces"))
    return found


def _excess(depth: int, indent: int, in_statement: int, count: int) -> tuple[str, str] | None:
    flat = "split it into several statements with named intermediate results"
    if depth > limits.MAX_BRACKETS:
        return f"more than {limits.MAX_BRACKETS} brackets inside each other", flat
    if indent > limits.MAX_INDENT:
        return (
            f"more than {limits.MAX_INDENT} blocks inside each other",
            "use `elif`, early returns or helper functions",
        )
    if in_statement > limits.MAX_STATEMENT_TOKENS:
        return f"more than {limits.MAX_STATEMENT_TOKENS} tokens in one statement", flat
    if count > limits.MAX_TOKENS:
        return f"more than {limits.MAX_TOKENS} tokens", "a reward needs a few dozen lines: remove data and repetition"
    return None


def _judge(token: tokenize.TokenInfo) -> Iterator[tuple[str, str]]:
    """What one token alone gives away: (message, advice)."""
    kind, string = token.type, token.string
    if kind == tokenize.STRING or tokenize.tok_name[kind] in ("FSTRING_START", "TSTRING_START"):
        prefix = string[: min(i for i, char in enumerate(string) if char in "'\"")].lower()
        if set(prefix) & set("fbt"):
            yield (
                f"{prefix}-strings are not in the language",
                "strings are only for the names of terms: write them plainly",
            )
    elif kind == tokenize.NUMBER:
        if len(string) > limits.MAX_LITERAL_DIGITS:
            yield f"a number of {len(string)} characters", f"write at most {limits.MAX_LITERAL_DIGITS} characters"
        if string[-1] in "jJ":
            yield "complex numbers are not in the language", "write a plain number"
    elif kind != tokenize.COMMENT and not string.isascii() and not tokenize.tok_name[kind].startswith(("FSTR", "TSTR")):
        yield f"{string.strip()[:20]!a} is not ASCII", "write names and operators in plain ASCII letters"


def _depth(tree: ast.Module, text: str) -> None:
    """Refuse a deep tree without recursion, so that everything after this may recurse."""
    level: list[ast.AST] = [tree]
    for _ in range(limits.MAX_NESTING):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    at = next((node for node in level if hasattr(node, "lineno")), None)
    line, column = getattr(at, "lineno", 1), getattr(at, "col_offset", 0) + 1
    raise ProgramError(text, [_deep(line, column)])
