"""What the page of a comment knows, as JSON: the rounds, the current program, and what a model would make of it."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rewards.models.recordings import HOW_TO_ASK
from rewards.program import Program, check
from robot_learn import runs
from robot_learn.errors import UserError
from robot_learn.metrics import read_progress
from robot_learn.rounds import Round
from robot_learn.video import HOLD_SECONDS, frame_timing

if TYPE_CHECKING:
    from robot_learn.refine import Refinement
    from robot_learn.session.comment.previews import Previews

KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
CONTEXT = 3  # lines around a change


class Shown(Protocol):
    """What there is to tell of a session."""

    refinement: Refinement
    model: str
    trouble: str | None
    previews: Previews

    @property
    def shown(self) -> Round | None: ...

    def job(self) -> dict[str, Any] | None: ...

    def is_accepted(self, number: int, /) -> bool: ...

    def is_kept(self, number: int, /) -> bool: ...

    def files(self) -> Mapping[str, Path]: ...


def state(comment: Shown) -> dict[str, Any]:
    refinement, now = comment.refinement, comment.refinement.current
    task, line = refinement.task, refinement.lineage()
    stride, fps = frame_timing(task.control_dt)
    shown, proposed = comment.shown, proposal(comment)
    previewed = proposed["round"] if proposed is not None else None if shown is None else shown.number
    return {
        "run": str(refinement.run.path),
        "task": task.name,
        "instruction": task.instruction,
        "timing": {"dt": task.control_dt, "stride": stride, "fps": fps, "hold": round(HOLD_SECONDS * fps)},
        "rounds": [_round(comment, each, line) for each in refinement.history()],
        "current": now.number,
        "shown": None if shown is None else shown.number,
        "program": None if shown is None else program_of(comment, shown.number),
        "proposal": proposed,
        "choice": choice(comment),
        "job": comment.job(),
        "preview": comment.previews.state(previewed),
        "model": about_model(comment.model),
        "trouble": comment.trouble,
        "can_undo": bool(refinement.moves()),
        "preferred_over": [move.over for move in refinement.moves() if move.to == now.number and move.over is not None],
    }


def _round(comment: Shown, each: Round, line: tuple[int, ...]) -> dict[str, Any]:
    place = comment.refinement.place(each.number)
    files = {"video": f"round-{each.number}.mp4", "traces": f"round-{each.number}.json"}
    there = comment.files()
    return {
        "number": each.number,
        "state": each.state,
        "parent": each.parent,
        "said": each.said,
        "by": each.by,
        "over": list(each.over),
        "steps": each.steps,
        "success": None if each.successes is None else [each.successes, each.episodes],
        "weights": _weights(place),
        "kept": each.number in line,
    } | {name: file if file in there else None for name, file in files.items()}


def _weights(place: runs.Run) -> dict[str, float]:
    return dict(place.config.get("weights", {})) if place.has(runs.CONFIG) else {}


def program_of(comment: Shown, number: int) -> dict[str, Any]:
    """A round's program: its text, its terms with their units and weights."""
    place = comment.refinement.place(number)
    program = check(place.read_text(runs.REWARD), comment.refinement.task).with_weights(_weights(place))
    return {"text": program.text, "terms": _terms(program), "weights": dict(program.weights)}


def _terms(program: Program) -> list[dict[str, str]]:
    return [{"name": name, "unit": program.term_units[name]} for name in program.term_names]


def proposal(comment: Shown) -> dict[str, Any] | None:
    """What a model made of the program of the round before, while nobody has accepted it."""
    now = comment.refinement.current
    if now.state != "written" or now.parent is None or comment.is_accepted(now.number):
        return None
    old, new = program_of(comment, now.parent), program_of(comment, now.number)
    before, after = ([term["name"] for term in each["terms"]] for each in (old, new))
    task = comment.refinement.task
    notes = check(new["text"], task).notes
    return {
        "round": now.number,
        "said": now.said,
        "program": new,
        "diff": diff(old["text"], new["text"]),
        "terms": {
            "kept": [name for name in after if name in before],
            "added": [name for name in after if name not in before],
            "dropped": [name for name in before if name not in after],
        },
        "weights": {name: weight for name, weight in new["weights"].items() if weight != 1.0},
        "notes": [f"line {note.line}: {note.message}" for note in notes],
    }


def choice(comment: Shown) -> dict[str, Any] | None:
    """The current round and the one before it, where it succeeds less often and nobody has said which one goes on."""
    refinement, now = comment.refinement, comment.refinement.current
    if now.parent is None or now.success_rate is None or comment.is_kept(now.number):
        return None
    before = refinement.round(now.parent)
    if before.success_rate is None or now.success_rate >= before.success_rate:
        return None
    preferred = refinement.moves()[-1].over is not None
    built_on = any(each.parent == now.number for each in refinement.history())
    return None if preferred or built_on else {"round": now.number, "before": before.number}


def diff(old: str, new: str) -> list[dict[str, Any]]:
    """Lines of two texts: "op" (same, drop, add, gap), the numbers "old" and "new", and "text".

    Of long stretches that are the same, only what lies around a change is shown.
    """
    before, after = old.rstrip().splitlines(), new.rstrip().splitlines()
    rows: list[dict[str, Any]] = []
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for op, a, a_end, b, b_end in matcher.get_opcodes():
        if op == "equal":
            same = [{"op": "same", "old": a + k + 1, "new": b + k + 1, "text": before[a + k]} for k in range(a_end - a)]
            rows += _shortened(same, first=a == 0, last=a_end == len(before))
        else:
            rows += [{"op": "drop", "old": k + 1, "new": None, "text": before[k]} for k in range(a, a_end)]
            rows += [{"op": "add", "old": None, "new": k + 1, "text": after[k]} for k in range(b, b_end)]
    return rows


def _shortened(same: list[dict[str, Any]], *, first: bool, last: bool) -> list[dict[str, Any]]:
    """The lines of a stretch that lie beside a change."""
    head, tail = 0 if first else CONTEXT, 0 if last else CONTEXT
    if len(same) <= head + tail + 1:
        return same
    gap = {"op": "gap", "old": None, "new": None, "text": f"{len(same) - head - tail} lines"}
    return [*same[:head], gap, *same[len(same) - tail :]]


def about_model(spec: str) -> dict[str, Any]:
    """Who would be asked, and what is missing to ask them: None where nothing is."""
    name, _, what = spec.partition(":")
    own = name == "openai" and os.environ.get("OPENAI_BASE_URL")  # a server of one's own may want no key
    missing = None
    if name == "recordings" and not what:
        missing = (
            "Name one under \u201cWho edits\u201d, or start with --model: openai:MODEL (key in OPENAI_API_KEY, or the "
            "address of your own server in OPENAI_BASE_URL), anthropic:MODEL (key in ANTHROPIC_API_KEY), or "
            "mailbox:FOLDER (you answer the prompt that is written there). Weights need no model."
        )
    elif name in KEYS and not os.environ.get(KEYS[name]) and not own:
        missing = f"{KEYS[name]} is not set: set it before robot-learn session starts. Weights need no model."
    elif name not in (*KEYS, "mailbox", "recordings"):
        missing = f"There is no model {spec!r}; {HOW_TO_ASK}."
    return {"spec": spec, "missing": missing}


def training(place: runs.Run, total: int | None) -> dict[str, Any] | None:
    """How far a training is: steps of total, and its curve [steps, success rate]."""
    if not place.has(runs.PROGRESS):
        return None
    try:
        rows = read_progress(place)
    except UserError:
        return None
    curve = [[row["steps"], row.get("success_rate")] for row in rows]
    return {
        "steps": int(rows[-1]["steps"]) if rows else 0,
        "total": total,
        "curve": curve[:: max(1, len(curve) // 200)],
    }


def wanted_weights(given: Any, program: Mapping[str, Any]) -> dict[str, float]:
    """The weights that a page sent, checked.

    Raises:
        UserError: they are no numbers by name of a term.
    """
    if not isinstance(given, dict):
        raise UserError(f"weights: wanted numbers by name of a term, came {given!r}")
    for name, value in given.items():
        if name not in program["weights"]:
            raise UserError(f"weights: there is no term {name!r}; the terms are {', '.join(program['weights'])}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1000:
            raise UserError(f"weight of {name!r}: wanted a number from 0 to 1000, came {value!r}")
    return {name: float(value) for name, value in given.items()}
