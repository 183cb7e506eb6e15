"""The learning curves of the benchmark as one self-contained page: a small plot a task, every reward in it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from robot_learn import plots
from robot_learn.report_page import STYLE_SHEET
from robot_learn.text2reward.cells import SOURCES, SUITES
from robot_learn.text2reward.table import Summaries, Summary, verdicts

COLOURS = dict(zip(SOURCES, ("#1c7c54", "#8a8f98", "#3b7dd8", "#b45fd0", "#e8743b"), strict=True))
_TITLES = {
    "metaworld": "Manipulation, Meta-World",
    "maniskill": "Manipulation, ManiSkill",
    "locomotion": "Locomotion",
    "fifty": "All of Meta-World",
}
_GRID = """
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 12px; margin-top: 12px; }
.curves > div { border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px; }
.curves h3 { margin: 0; font: 600 14px/1.3 ui-monospace, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.curves p { margin: 2px 0 6px; font-size: 13px; color: var(--soft); }
.curves p b { font-weight: 600; }
"""
_WIDTH, _HEIGHT = 220.0, 90.0


def page(summaries: Summaries) -> str:
    """The page as text. A task without any result is named and has no plot."""
    shown: set[str] = set()
    sections = [_answers(summaries)]
    for suite, title in _TITLES.items():
        names = [name for name in SUITES[suite] if name not in shown]
        shown.update(names)
        plots_of = "".join(_task(summaries, name) for name in names)
        sections.append(f'<section><h2>{title}</h2><div class="curves">{plots_of}</div></section>')
    body = "\n".join(sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Rewards from sentences: learning curves</title>\n<style>{STYLE_SHEET}{_GRID}</style>\n</head>\n"
        "<body>\n<main>\n<header><p>robot-learn bench text2reward</p><h1>Rewards from sentences: learning curves</h1>"
        f"</header>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _answers(summaries: Summaries) -> str:
    rows = "".join(
        f"<div><dt>{escape(ask)}</dt><dd>{escape(answer)}</dd></div>" for ask, answer in verdicts(summaries).items()
    )
    key = ", ".join(f'<b style="color:{colour}">{source}</b>' for source, colour in COLOURS.items())
    note = (
        f"Rewards: {key}. Success of the last 100 training episodes, exploration included, over environment steps, one "
        "line a seed; the figures are of 100 held-out episodes a seed, with the 95 % interval of the episodes."
    )
    return f'<section><h2>Answers</h2><p class="note">{note}</p><dl>{rows}</dl></section>'


def _task(summaries: Summaries, name: str) -> str:
    found = [summaries[name, source] for source in SOURCES if (name, source) in summaries]
    if not found:
        return f"<div><h3>{escape(name)}</h3><p>not run</p></div>"
    figures = "<br>".join(
        f'<b style="color:{COLOURS[each.source]}">{each.source}</b> {escape(each.says())}'  # type: ignore[index]
        for each in found
    )
    return f"<div><h3>{escape(name)}</h3><p>{figures}</p>{_curves(name, found)}</div>"


def _curves(name: str, found: Sequence[Summary]) -> str:
    longest = max(result["steps"] for each in found for result in each.results)
    lines = [
        f'<line x1="0" y1="{y:.1f}" x2="{_WIDTH}" y2="{y:.1f}" stroke="{plots.GRID}" stroke-opacity="0.3"/>'
        for y in (0.5, _HEIGHT / 2, _HEIGHT - 0.5)
    ]
    for each in found:
        for result in each.results:
            points = " ".join(
                f"{_WIDTH * steps / longest:.1f},{_HEIGHT * (1 - rate):.1f}"
                for steps, rate in result["curve"]
                if rate is not None
            )
            colour = COLOURS[each.source]  # type: ignore[index]
            lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
    label = f"success over training, {escape(name)}"
    box = f"-2 -3 {_WIDTH + 4} {_HEIGHT + 18}"
    end = f'<text x="{_WIDTH}" y="{_HEIGHT + 13}" text-anchor="end" {_SMALL}>{longest / 1e6:.2f} M steps</text>'
    start = f'<text x="0" y="{_HEIGHT + 13}" {_SMALL}>0</text>'
    return f'<svg role="img" aria-label="{label}" viewBox="{box}">{"".join(lines)}{start}{end}</svg>'


_SMALL = 'font-size="11" fill="currentColor" opacity="0.7"'
