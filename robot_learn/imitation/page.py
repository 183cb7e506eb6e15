"""One self-contained HTML page about an imitation: video, films, critiques, edits and verdicts of its iterations."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from rewards.video.terms import Edit
from robot_learn.imitation.author import read_terms
from robot_learn.imitation.state import CRITIQUE, DESCRIPTION, PAGE, TERMS, VIDEO, Imitation, Iteration
from robot_learn.imitation.watch import FILM, SEEN
from robot_learn.metrics import read_progress
from robot_learn.report import colour
from robot_learn.report_page import PAGE as FRAME
from robot_learn.resumable import read_json
from robot_learn.runs import PROGRESS, REWARD, Run, atomic_write

_STRIP = "display:flex;gap:12px;overflow-x:auto;padding-bottom:8px"
_CARD = "min-width:240px;max-width:280px;margin:0"
_COLOURS = {"accepted": "var(--good)", "rejected": "var(--soft)", "vetoed": "var(--bad)", "failed": "var(--bad)"}


def write_page(imitation: Imitation) -> Path:
    """Write imitation.html and return its path."""
    path = imitation.folder / PAGE
    with atomic_write(path) as file:
        file.write(render_page(imitation).encode())
    return path


def render_page(imitation: Imitation) -> str:
    """The page as text. Every text of models and people is escaped."""
    best = imitation.best()
    parts = [_beside(imitation, best), *(_section(imitation, each) for each in imitation.iterations)]
    count = len(imitation.iterations)
    filled = {
        "@TITLE@": escape(f"{imitation.config.task}: like {Path(imitation.config.video).name}"),
        "@TASK@": escape(imitation.config.task),
        "@INSTRUCTION@": escape(
            f"Like {Path(imitation.config.video).name}, in {count} iteration{'' if count == 1 else 's'}"
        ),
        "@BODY@": "\n".join(parts),
    }
    return re.sub("|".join(filled), lambda place: filled[place.group()], FRAME)


def _beside(imitation: Imitation, best: Iteration | None) -> str:
    """The video and all robots in a row."""
    cards = [_card(imitation.folder / VIDEO, "the video", "")]
    for each in imitation.iterations:
        mark = " (best)" if best is not None and each.number == best.number else ""
        word = f'<b style="color:{_COLOURS[each.verdict]}">{each.verdict}{mark}</b>'
        cards.append(_card(imitation.place(each.number), f"iteration {each.number}", word))
    used = f"{imitation.steps:,} training steps, {imitation.tokens:,} tokens, {imitation.seconds / 60:.0f} minutes"
    strip = f'<div style="{_STRIP}">{"".join(cards)}</div>'
    return f'<section><h2>Beside each other</h2><p class="note">{used}</p>{strip}</section>'


def _card(place: Path, title: str, word: str) -> str:
    film = _film(place / FILM) or '<p style="padding:16px">no film</p>'
    return f'<figure style="{_CARD}">{film}<figcaption>{escape(title)} {word}</figcaption></figure>'


def _film(path: Path) -> str:
    if not path.exists():
        return ""
    source = base64.b64encode(path.read_bytes()).decode()
    return f'<video controls muted loop playsinline src="data:video/mp4;base64,{source}"></video>'


def _section(imitation: Imitation, each: Iteration) -> str:
    place = imitation.place(each.number)
    origin = "the first reward" if each.parent is None else f"from iteration {each.parent}"
    body = [f"<h2>Iteration {each.number}, {origin}</h2>", _said(place), _verdict(each), _edits(imitation, each)]
    run = Run(place)
    if run.has(PROGRESS):
        body.append(_curve(read_progress(run)))
    if (place / SEEN).exists():
        figures = "\n".join(read_json(place / SEEN)["figures"])
        body.append(f"<details><summary>What was measured</summary><pre>{escape(figures)}</pre></details>")
    if run.has(REWARD):
        program = colour(run.read_text(REWARD))
        body.append(f"<details><summary>Reward</summary><pre><code>{program}</code></pre></details>")
    return f"<section>{''.join(body)}</section>"


def _curve(rows: Sequence[Mapping[str, float | None]]) -> str:
    """The return of training episodes over steps, and nothing else: nobody in this training knew of a success."""
    points = [(row["steps"] or 0.0, value) for row in rows if (value := row.get("episode_return")) is not None]
    if len(points) < 2:
        return ""
    (xs, ys), (width, height) = zip(*points, strict=True), (920.0, 160.0)
    low, span = min(ys), (max(ys) - min(ys)) or 1.0
    places = " ".join(f"{width * x / max(xs):.1f},{height * (1 - (y - low) / span):.1f}" for x, y in points)
    line = f'<polyline points="{places}" fill="none" stroke="#3b7dd8" stroke-width="2"/>'
    told = f"Return of training episodes, {low:.3g} to {max(ys):.3g}, over {max(xs):,.0f} steps"
    return (
        f'<p class="note">{told}</p><svg role="img" aria-label="{told}" viewBox="-4 -4 {width + 8:g} {height + 8:g}">'
        f"{line}</svg>"
    )


def _said(place: Path) -> str:
    """The description or the critique."""
    if (place / DESCRIPTION).exists():
        answer = read_json(place / DESCRIPTION)["answer"]
        return f"<p>{escape(answer['motion'])}</p>"
    if not (place / CRITIQUE).exists():
        return ""
    answer = read_json(place / CRITIQUE)["answer"]
    rows = "".join(_problem(problem) for problem in answer["problems"])
    keep = f"<p>To keep: {escape('; '.join(answer['keep']))}</p>" if answer["keep"] else ""
    return (
        f"<p>Critique, likeness {answer['likeness']:g} of 10. The video: {escape(answer['video'])} The robot: "
        f"{escape(answer['robot'])}</p>{keep}<table>{rows}</table>"
    )


def _problem(problem: dict[str, Any]) -> str:
    where = f"{problem['body_part']}, {problem['phase']}: {problem['direction']} {problem['quantity']}"
    return f"<tr><th>{escape(where)}</th><td>{escape(problem['problem'])} ({problem['confidence']:.0%} sure)</td></tr>"


def _verdict(each: Iteration) -> str:
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in (*each.veto, *each.why))
    changed = f'<p class="note">{escape("; ".join(each.changes))}</p>' if each.changes else ""
    word = f'<p><b style="color:{_COLOURS[each.verdict]}">{each.verdict}</b> {escape(each.idea)}</p>'
    return f"{word}{changed}<ul>{reasons}</ul>" if reasons else word + changed


def _edits(imitation: Imitation, each: Iteration) -> str:
    """How the terms differ from those of the parent."""
    path = imitation.place(each.number) / TERMS
    if each.parent is None or not path.exists():
        return ""
    found = read_terms(imitation.place(each.parent) / TERMS).difference(read_terms(path))
    rows = "".join(f"<tr><th>{_words(edit)}</th><td>{_code(edit)}</td></tr>" for edit in found)
    return f"<details open><summary>Edits</summary><table>{rows}</table></details>"


def _words(edit: Edit) -> str:
    weight = "" if edit.weight is None else f", weight {edit.weight:g}"
    return escape(f"{edit.kind} {edit.term}{weight}")


def _code(edit: Edit) -> str:
    code = f"<pre><code>{colour(edit.code)}</code></pre>" if edit.code else ""
    return f"{escape(edit.why)}{code}"
