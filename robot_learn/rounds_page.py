"""One self-contained HTML page about the rounds of a run: what was said, what it led to, how it looks."""

from __future__ import annotations

import base64
import re
from html import escape
from pathlib import Path

from robot_learn import plots
from robot_learn.evaluation import wilson_interval
from robot_learn.metrics import read_progress
from robot_learn.report import colour
from robot_learn.report_page import PAGE
from robot_learn.rounds import Round, Rounds
from robot_learn.runs import PROGRESS, REWARD, TRACE, VIDEO, Run, atomic_write

ROUNDS_PAGE = "rounds.html"
NARROW = 'style="width:4em"'


def write_page(rounds: Rounds) -> Path:
    """Write RUN/rounds.html and return its path."""
    path = rounds.run.file(ROUNDS_PAGE)
    with atomic_write(path) as file:
        file.write(render_page(rounds).encode())
    return path


def render_page(rounds: Rounds) -> str:
    """The page as text: the current round and those that it came from, then those that were left."""
    task, line = str(rounds.run.config.get("task", "")), rounds.lineage()
    history = rounds.history()
    kept = [each for each in history if each.number in line]
    left = [each for each in history if each.number not in line]
    parts = [_summary(kept), *(_section(rounds.place(each.number), each) for each in kept)]
    if left:
        folded = "".join(_section(rounds.place(each.number), each) for each in left)
        parts.append(
            f"<details><summary>Rounds that were undone or liked less ({len(left)})</summary>{folded}</details>"
        )
    filled = {
        "@TITLE@": escape(f"{task}: rounds"),
        "@TASK@": escape(task),
        "@INSTRUCTION@": f"{len(line) - 1} round{'' if len(line) == 2 else 's'} of feedback",
        "@BODY@": "\n".join(parts),
    }
    return re.sub("|".join(filled), lambda place: filled[place.group()], PAGE)


def _summary(kept: list[Round]) -> str:
    rows = "".join(
        f"<tr><th {NARROW}>{each.number}</th><td>{escape(_words(each))}</td><td>{escape(_success(each))}</td></tr>"
        for each in kept
    )
    head = (
        "<tr><th style='width:5em'>round</th><td>what was said before</td><td>success on validation episodes</td></tr>"
    )
    return f"<section><h2>Rounds</h2><table>{head}{rows}</table></section>"


def _section(place: Run, each: Round) -> str:
    body = [f"<h2>Round {each.number}</h2>", _hero(place, each)]
    if place.has(PROGRESS):
        body.append(_own_ids(plots.learning_curve(read_progress(place)), each.number))
    if place.has(TRACE):
        trace = place.read_json(TRACE)
        plot = plots.term_plot(trace["terms"], trace["rewards"], trace["control_dt"], trace["success_step"])
        body.append(_own_ids(plot, each.number))
    if place.has(REWARD):
        program = colour(place.read_text(REWARD))
        body.append(f"<details><summary>Program</summary><pre><code>{program}</code></pre></details>")
    return f"<section>{''.join(body)}</section>"


def _hero(place: Run, each: Round) -> str:
    """What was said, what it led to, and the film of it."""
    rate = "–" if each.success_rate is None else f"{each.success_rate:.0%}"
    words = f'<p class="big">{rate}</p><p>{escape(_success(each))}</p><p>{escape(_words(each))}</p>'
    if not place.has(VIDEO):
        return f'<div class="hero single"><div>{words}</div></div>'
    source = base64.b64encode(place.file(VIDEO).read_bytes()).decode()
    video = f'<video controls muted loop playsinline src="data:video/mp4;base64,{source}"></video>'
    return f'<div class="hero"><figure>{video}</figure><div style="align-content:start">{words}</div></div>'


def _words(each: Round) -> str:
    if each.parent is None:
        return "The run itself."
    over = "".join(f"Round {each.parent} was preferred to round {other}. " for other in each.over)
    by = f" ({each.by})" if each.by else ""
    return (over + (f"After round {each.parent}{by}: {each.said}" if each.said else "")).strip()


def _success(each: Round) -> str:
    if each.successes is None:
        return f"{each.state}, not measured yet"
    low, high = wilson_interval(each.successes, each.episodes)
    steps = "" if each.steps is None else f" after {each.steps:,} training steps"
    return f"{each.successes} of {each.episodes} (95 % interval {low:.0%} to {high:.0%}){steps}"


def _own_ids(svg: str, number: int) -> str:
    """The same plot with ids of its own, so that those of two rounds do not mix on one page."""
    return re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>round{number}-", svg)
