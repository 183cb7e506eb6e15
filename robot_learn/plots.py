"""Plots of a run as inline SVG that takes its text colour and font from the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, PercentFormatter

INK = "#010203"  # stands for the page's text colour until the SVG is written
GRID = "#8a8f98"
COLOURS = ("#3b7dd8", "#e8743b", "#2e9e5b", "#b45fd0", "#c8a415", "#1fa3b5", "#d64c6f", "#8a6d4b")
STYLE = {
    "svg.fonttype": "none",  # text stays text: sharp, and in the page's font
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.alpha": 0.25,
    "font.size": 11,
    "legend.frameon": False,
}


def learning_curve(rows: Sequence[Mapping[str, float | None]]) -> str:
    """Success rate and return of training episodes over environment steps."""
    with _figure(2, "learning") as (axes, finish):
        for axis, key, label, colour in (
            (axes[0], "success_rate", "success rate", COLOURS[2]),
            (axes[1], "episode_return", "return", COLOURS[0]),
        ):
            points = [(row["steps"] or 0.0, value) for row in rows if (value := row.get(key)) is not None]
            axis.plot([x for x, _ in points], [y for _, y in points], color=colour, linewidth=2)
            axis.set_ylabel(label)
            axis.set_xlabel("environment steps")
            axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes[0].set_ylim(-0.02, 1.04)
        axes[0].yaxis.set_major_formatter(PercentFormatter(xmax=1.0))
        return finish("Success rate and return over training")


def term_plot(terms: Mapping[str, Sequence[float]], rewards: Sequence[float], dt: float, success: int | None) -> str:
    """Each reward term and their sum at each step of an episode, over seconds; `success` is a step from 1."""
    with _figure(1, "terms") as (axes, finish):
        axis = axes[0]
        seconds = [dt * (step + 1) for step in range(len(rewards))]
        axis.plot(seconds, rewards, color=INK, linewidth=1.2, linestyle=(0, (1, 1.5)), label="reward")
        for index, (name, values) in enumerate(terms.items()):
            # With more terms than colours, the second round is dashed.
            style = "-" if index < len(COLOURS) else "--"
            axis.plot(seconds, values, style, color=COLOURS[index % len(COLOURS)], linewidth=2, label=name)
        if success is not None:
            axis.axvline(dt * success, color=COLOURS[2], linewidth=1.5, alpha=0.8)
            top = axis.get_xaxis_transform()
            axis.text(dt * success, 1.02, "success", color=COLOURS[2], ha="center", va="bottom", transform=top)
        axis.set_xlabel("time [s]")
        axis.set_ylabel("per step")
        axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), labelcolor=INK)
        return finish("Reward terms over one evaluation episode")


@contextmanager
def _figure(panels: int, salt: str) -> Iterator[tuple[list[Axes], Callable[[str], str]]]:
    """A figure, its panels side by side, and the function that turns it into SVG."""
    # The salt keeps the ids of two plots on one page apart, and the same plot the same text.
    with rc_context(STYLE | {"svg.hashsalt": salt}):  # type: ignore[arg-type]
        figure = Figure(figsize=(9.2, 3.1), layout="constrained")
        figure.patch.set_alpha(0.0)
        axes = [figure.add_subplot(1, panels, index + 1) for index in range(panels)]
        for axis in axes:
            axis.patch.set_alpha(0.0)
        yield axes, lambda label: _svg(figure, label)


def _svg(figure: Figure, label: str) -> str:
    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)  # the page's font, this size
    text = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", text, count=1)
    text = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", text, count=1)
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
