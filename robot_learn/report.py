"""One self-contained HTML page about a run: what was asked, how well it went, how it looks, how to repeat it."""

from __future__ import annotations

import base64
import io
import json
import keyword
import re
import tokenize
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from robot_learn import plots
from robot_learn.metrics import read_progress
from robot_learn.report_page import PAGE
from robot_learn.runs import EVALUATION, PROGRESS, PROMPT, REPLY, REPORT, REWARD, TRACE, VERSIONS, VIDEO, Run


@dataclass(frozen=True)
class ReportData:
    """What a report shows, as plain data. Whatever is None or empty is left out of the page."""

    task: str
    instruction: str
    command: str  # that repeats the run
    evaluation: Mapping[str, Any] | None = None  # `Evaluation.to_json()`
    progress: Sequence[Mapping[str, float | None]] = ()  # `read_progress`
    trace: Mapping[str, Any] | None = None  # `Trace.to_json()`
    video: bytes | None = None  # mp4
    program: str | None = None
    prompt: str | None = None
    reply: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def gather(run: Run, *, instruction: str, command: str) -> ReportData:
    """The data of a run's report, from the files that the run has."""

    def text(name: str) -> str | None:
        return run.read_text(name) if run.has(name) else None

    return ReportData(
        task=str(run.config.get("task", "")),
        instruction=instruction,
        command=command,
        evaluation=run.read_json(EVALUATION) if run.has(EVALUATION) else None,
        progress=read_progress(run) if run.has(PROGRESS) else (),
        trace=run.read_json(TRACE) if run.has(TRACE) else None,
        video=run.file(VIDEO).read_bytes() if run.has(VIDEO) else None,
        program=text(REWARD),
        prompt=text(PROMPT),
        reply=text(REPLY),
        config=run.config,
        versions=run.read_json(VERSIONS) if run.has(VERSIONS) else {},
    )


def write_report(run: Run, data: ReportData) -> None:
    """Write report.html into the run folder."""
    run.write_text(REPORT, render_report(data))


def render_report(data: ReportData) -> str:
    """The page as text. Every text of the data is escaped."""
    sections = [
        _hero(data),
        _learning(data),
        _terms(data),
        _program(data),
        _folded("Prompt", data.prompt),
        _folded("The model's reply", data.reply),
        _table("Settings and seeds", flatten(data.config)),
        _table("Versions", data.versions),
        _section("Repeat it", f"<pre><code>{escape(data.command)}</code></pre>"),
    ]
    filled = {
        "@TITLE@": escape(f"{data.task}: {data.instruction}"),
        "@TASK@": escape(data.task),
        "@INSTRUCTION@": escape(data.instruction),
        "@BODY@": "\n".join(part for part in sections if part),
    }
    # In one pass, so that a text that happens to look like a place is never filled itself.
    return re.sub("|".join(filled), lambda place: filled[place.group()], PAGE)


def _section(title: str, body: str, note: str = "") -> str:
    note = f'<p class="note">{note}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{note}{body}</section>"


def _hero(data: ReportData) -> str:
    video = ""
    if data.video is not None:
        source = base64.b64encode(data.video).decode()
        video = (
            f'<figure><video controls autoplay muted loop playsinline src="data:video/mp4;base64,{source}"></video>'
            "<figcaption>The policy on evaluation episodes. The green border marks success.</figcaption></figure>"
        )
    return f'<div class="hero{"" if video else " single"}">{video}<div>{_result(data)}</div></div>'


def _result(data: ReportData) -> str:
    result = data.evaluation
    if result is None:
        return '<div class="card"><p class="big">–</p><p>Not evaluated yet.</p></div>'
    low, high = result["success_interval_95"]
    rate, count = result["success_rate"], result["num_episodes"]
    successes = sum(episode["success"] for episode in result["episodes"])
    bar = (
        f'<div class="interval" aria-hidden="true"><i style="left:{low:.1%};width:{high - low:.1%}"></i>'
        f'<b style="left:{rate:.1%}"></b></div><div class="scale"><span>0%</span><span>100%</span></div>'
    )
    dots = "".join(_dot(episode) for episode in result["episodes"])
    facts = {
        "success at the last step": f"{result['success_at_end_rate']:.0%}",
        "mean return": f"{result['mean_return']:.4g}",
        "mean length": f"{result['mean_length']:.0f} steps",
    }
    if data.progress:
        last = data.progress[-1]
        facts["trained for"] = f"{last['steps'] or 0:,.0f} steps, {_minutes(last.get('seconds') or 0.0)}"
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items())
    return (
        f'<div class="card"><p class="label">Success</p><p class="big">{rate:.0%}</p>'
        f"<p>{successes} of {count} episodes, on starts never trained on, achieved the task at some step; "
        f"95% interval {low:.0%} to {high:.0%}</p>{bar}"
        f'<div class="dots" role="img" aria-label="One square per episode">{dots}</div><dl>{listed}</dl></div>'
    )


def _dot(episode: Mapping[str, Any]) -> str:
    outcome = f"success at step {episode['success_step']}" if episode["success"] else "no success"
    return f'<i class="{"yes" if episode["success"] else "no"}" title="seed {episode["seed"]}: {outcome}"></i>'


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def _learning(data: ReportData) -> str:
    if not data.progress:
        return ""
    note = "Over the last 100 finished training episodes, with exploration; the result above is without."
    return _section("Learning", plots.learning_curve(data.progress), note)


def _terms(data: ReportData) -> str:
    trace = data.trace
    if trace is None or not trace["rewards"]:
        return ""
    plot = plots.term_plot(trace["terms"], trace["rewards"], trace["control_dt"], trace["success_step"])
    note = f"One evaluation episode, seed {trace['seed']}: each named term of the reward, and the reward itself."
    return _section("Reward terms", plot, escape(note))


def _program(data: ReportData) -> str:
    if data.program is None:
        return ""
    weights = ", ".join(f"{name} {weight:g}" for name, weight in data.config.get("weights", {}).items())
    note = f"The reward weighs its terms, which the plots show without that: {weights}." if weights else ""
    return _section("Reward program", f"<pre><code>{colour(data.program)}</code></pre>", escape(note))


def _folded(title: str, text: str | None) -> str:
    if not text:
        return ""
    return f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"


def _table(title: str, rows: Mapping[str, Any]) -> str:
    if not rows:
        return ""
    cells = "".join(f"<tr><th>{escape(str(k))}</th><td>{escape(str(v))}</td></tr>" for k, v in rows.items())
    return f"<details><summary>{escape(title)}</summary><table>{cells}</table></details>"


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as one table: {"train": {"seed": 0}} becomes {"train.seed": "0"}."""
    flat: dict[str, str] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value if isinstance(value, str) else json.dumps(value)
    return flat


def colour(program: str) -> str:
    """Python text as escaped HTML with spans for keywords, numbers, strings, comments and the names defined."""
    starts = [0]  # of each line; only a line feed ends one, as for the tokenizer
    for line in program.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    pieces: list[str] = []
    done, before = 0, ""
    try:
        for token in tokenize.generate_tokens(io.StringIO(program).readline):
            begin, end = (min(starts[row - 1] + column, len(program)) for row, column in (token.start, token.end))
            kind = _kind(token, before)
            if kind and end > begin >= done:
                pieces.append(escape(program[done:begin]))
                pieces.append(f'<span class="{kind}">{escape(program[begin:end])}</span>')
                done = end
            before = token.string
    except (tokenize.TokenError, SyntaxError, UnicodeDecodeError, IndexError):
        pass  # not a whole program: the rest is shown as it is
    return "".join([*pieces, escape(program[done:])])


def _kind(token: tokenize.TokenInfo, before: str) -> str:
    if token.type == tokenize.NAME:
        defined = "name" if before == "def" else ""
        return "key" if keyword.iskeyword(token.string) else defined
    return {tokenize.NUMBER: "num", tokenize.STRING: "str", tokenize.COMMENT: "com"}.get(token.type, "")
