"""Errors that are the user's to mend: each says what was wanted, what came and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input from a person or a model. The command line prints the message and exits with status 2."""


def nearest(name: str, allowed: Iterable[str]) -> str | None:
    """The allowed name that is closest to a misspelt one, or None when nothing is close."""
    names = list(allowed)
    # A task is often typed without its family ("drawer-open"), so the last part alone may decide.
    by_tail = {known.rpartition("/")[2]: known for known in reversed(names)}
    for candidates in (names, list(by_tail)):
        close = difflib.get_close_matches(name, candidates, n=1, cutoff=0.6)
        if close:
            return by_tail.get(close[0], close[0])
    return None


def unknown(kind: str, name: str, allowed: Iterable[str]) -> UserError:
    """The error for a name that is not in a table, with the nearest one that is."""
    names = sorted(allowed)
    close = nearest(name, names)
    hint = f"did you mean {close!r}? " if close else ""
    listed = ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:12])} ... ({len(names)} in all)"
    return UserError(f"no {kind} named {name!r}; {hint}allowed: {listed}")
