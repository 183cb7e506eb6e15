"""The lower level: a language model turns a critique into edits of named terms, several alternatives at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from rewards.video.forms import Form, UnreadableFormError, read_form
from rewards.video.terms import Edit, Term, Terms
from robot_learn.errors import UserError

FEWEST, MOST = 1, 8  # alternatives


class EditForm(Form):
    """One edit, as a model writes it."""

    edit: Literal["add", "rewrite", "weigh", "remove"]
    term: str = Field(min_length=1, max_length=40)
    weight: float | None = Field(default=None, description="of the term; needed to add and to weigh")
    why: str = Field(default="", max_length=300)
    code: str | None = Field(default=None, max_length=6000, description="def TERM(scene, action): ...; to add, rewrite")


class AlternativeForm(Form):
    """One way to answer the critique."""

    idea: str = Field(min_length=3, max_length=400)
    edits: tuple[EditForm, ...] = Field(min_length=1, max_length=12)


class EditsForm(Form):
    """What a model answers."""

    alternatives: tuple[AlternativeForm, ...] = Field(min_length=FEWEST, max_length=MOST)


@dataclass(frozen=True)
class Alternative:
    """A reward that was reached by edits, and passed the check."""

    idea: str
    edits: tuple[Edit, ...]
    terms: Terms


def read_edits(text: str, terms: Terms | None, check: Callable[[str], Any], *, wanted: int) -> tuple[Alternative, ...]:
    """The alternatives in a reply, applied and checked.

    Args:
        terms: the reward that is edited; None: there is none yet, and all edits add.
        check: of the program's text; raises a UserError that tells the model what to mend.
        wanted: how many alternatives there must be.

    Raises:
        UnreadableFormError: it names the alternative, the edit and what was wrong with it.
    """
    form = read_form(text, EditsForm)
    if len(form.alternatives) != wanted:
        raise UnreadableFormError(f"wanted {wanted} alternatives, came {len(form.alternatives)}")
    found, wrong = [], []
    for number, each in enumerate(form.alternatives, start=1):
        try:
            found.append(_checked(each, terms, check))
        except UserError as error:
            wrong.append(f"alternative {number} ({each.idea}): {error}")
    if wrong:
        raise UnreadableFormError("\n\n".join(wrong))
    texts = [each.terms.program() for each in found]
    if len(set(texts)) < len(texts):
        raise UnreadableFormError("two alternatives come to the same reward; wanted different ones")
    return tuple(found)


def _checked(form: AlternativeForm, terms: Terms | None, check: Callable[[str], Any]) -> Alternative:
    edits = tuple(Edit(each.edit, each.term, each.weight, each.code, each.why) for each in form.edits)
    made = _begun(edits) if terms is None else terms.changed(edits)
    check(made.program())
    return Alternative(form.idea, edits, made)


def _begun(edits: tuple[Edit, ...]) -> Terms:
    """A first reward, of edits that all add."""
    others = sorted({edit.kind for edit in edits if edit.kind != "add"})
    if others:
        raise UserError(f"there is no reward yet, so every edit adds a term; came {', '.join(others)}")
    first, *rest = edits
    if first.weight is None or first.code is None:
        raise UserError(f"add {first.term!r}: it wants 'weight' and 'code'")
    begun = Terms((Term(first.term, first.weight, first.code, first.why),))
    return begun.changed(rest) if rest else begun
