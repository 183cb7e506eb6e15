"""The benchmark's page and its two pictures: how many corrections each rule takes, how the set shrinks with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from controllers.systems import game
from robot_learn.alignment.bench import UNTAUGHT
from robot_learn.alignment.table import PAPER_CORRECTIONS, Row, page
from robot_learn.plots import COLOURS, GRID

_STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.alpha": 0.25,
    "font.size": 10,
    "legend.frameon": False,
}
_LONGEST = 40  # corrections shown


def write_page(rows: Sequence[Row], folder: Path) -> Path:
    """Write alignment.md and its pictures; returns the page's path."""
    pictures = {"alignment-corrections.png": draw_corrections, "alignment-volume.png": draw_volumes}
    for name, draw in pictures.items():
        draw(rows, folder / name)
    path = folder / "alignment.md"
    path.write_text(page(rows, tuple(pictures)), encoding="utf-8")
    return path


def draw_corrections(rows: Sequence[Row], path: Path) -> None:
    """Bars of pushes and, on top of them, stops; a line where the paper's people were."""
    with rc_context(_STYLE):  # type: ignore[arg-type]
        systems, panels, figure = _panels(rows)
        for system, axis in zip(systems, panels, strict=True):
            own = [row for row in _taught(rows, system) if row.satisfied]
            for place, row in enumerate(own):
                pushes, stops, both = (
                    row.spread(*keys) or (0.0, 0.0) for keys in (("pushes",), ("stops",), ("pushes", "stops"))
                )
                axis.bar(place, pushes[0], color=COLOURS[0], width=0.6, label="pushes" if place == 0 else None)
                axis.bar(
                    place,
                    stops[0],
                    bottom=pushes[0],
                    color=COLOURS[1],
                    width=0.6,
                    label="stops" if place == 0 else None,
                )
                axis.errorbar(place, both[0], both[1], color="black", capsize=3, linewidth=1)
            if system in PAPER_CORRECTIONS:
                axis.axhline(
                    PAPER_CORRECTIONS[system], color="black", linestyle=":", linewidth=1.2, label="the paper's"
                )
            names = [f"{_name(row)}\n{len(row.satisfied)} of {row.games}".replace(", ", "\n") for row in own]
            axis.set_xticks(range(len(own)), names, fontsize=7)
            axis.set_title(system)
        panels[0].set_ylabel("corrections until satisfied")
        panels[0].legend(loc="best", fontsize=8)
        _save(figure, path)


def draw_volumes(rows: Sequence[Row], path: Path) -> None:
    """Mean log-volume of the inscribed ellipsoid over the number of corrections, and its standard deviation."""
    with rc_context(_STYLE):  # type: ignore[arg-type]
        systems, panels, figure = _panels(rows)
        for system, axis in zip(systems, panels, strict=True):
            for colour, row in zip(COLOURS, _taught(rows, system), strict=False):
                _curve(axis, row, colour)
            axis.set_title(system)
            axis.set_xlabel("pushes and stops")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        panels[0].set_ylabel("log-volume of the set's ellipsoid")
        most = max(range(len(systems)), key=lambda place: len(_taught(rows, systems[place])))
        panels[most].legend(loc="best", fontsize=7)  # a rule has the same colour in every panel
        _save(figure, path)


def _curve(axis: Axes, row: Row, colour: str) -> None:
    """Games that have ended keep their last volume."""
    system = game(row.system).system
    first = float(np.log((system.theta_high - system.theta_low) / 2).sum())
    curves = [[first, *line["log_volume"]] for line in row.lines]
    length = min(_LONGEST + 1, max(map(len, curves)))
    padded = np.array([(curve + [curve[-1]] * length)[:length] for curve in curves])
    mean, deviation, places = padded.mean(axis=0), padded.std(axis=0), np.arange(length)
    axis.plot(places, mean, color=colour, linewidth=2, label=_name(row))
    axis.fill_between(places, mean - deviation, mean + deviation, color=colour, alpha=0.15, linewidth=0)


def _taught(rows: Sequence[Row], system: str) -> list[Row]:
    return [row for row in rows if row.system == system and row.rule != UNTAUGHT]


def _name(row: Row) -> str:
    return row.rule + (f", {100 * row.mistaken:g} % wrong" if row.mistaken else "")


def _panels(rows: Sequence[Row]) -> tuple[list[str], list[Axes], Figure]:
    systems = list(dict.fromkeys(row.system for row in rows))
    figure = Figure(figsize=(3.6 * len(systems) + 0.6, 3.2), layout="constrained")
    return systems, list(figure.subplots(1, len(systems), squeeze=False)[0]), figure


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110, metadata={"Software": None})
