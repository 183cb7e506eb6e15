"""The picture of a sweep: success over each parameter, with the range in which the policy works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from robot_learn.plots import COLOURS, GRID, STYLE
from robot_learn.runs import atomic_write
from robot_learn.sweep import Sweep, Swept

COLUMNS = 3
INK = "#22262e"


def write_sweep_plot(path: Path, result: Sweep) -> None:
    """One panel a parameter, as PNG."""
    rows = -(-len(result.parameters) // COLUMNS)
    ink = dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK)
    with rc_context(STYLE | ink | {"font.size": 9}):  # type: ignore[arg-type]
        figure = Figure(figsize=(11, 2.4 * rows + 0.5), layout="constrained", facecolor="white")
        canvas: Any = FigureCanvasAgg(figure)
        figure.suptitle(
            f"{result.task}: success over each parameter, {result.nominal.episodes} episodes a point, 95 % intervals; "
            f"shaded: at least {result.share:.0%} of the nominal {result.nominal.rate:.0%}",
            fontsize=10,
        )
        panels = figure.subplots(rows, COLUMNS, squeeze=False, sharey=True).flat
        for axis, swept in zip(panels, result.parameters, strict=False):
            _panel(axis, swept, result.share * result.nominal.rate)
        for axis in list(panels):
            axis.set_axis_off()
        with atomic_write(path) as file:
            canvas.print_png(file)


def _panel(axis: Axes, swept: Swept, wanted: float) -> None:
    # Values stand at equal distances: factors are spaced by ratio, and those of noise and delay grow as they go.
    places = np.arange(len(swept.points))
    values = [point.value for point in swept.points]
    low, high = zip(*(point.interval for point in swept.points), strict=True)
    axis.axvspan(values.index(swept.low) - 0.3, values.index(swept.high) + 0.3, color=COLOURS[2], alpha=0.14, lw=0)
    axis.axhline(wanted, color=GRID, linewidth=1, linestyle="--")
    axis.fill_between(places, low, high, color=COLOURS[0], alpha=0.2, lw=0)
    axis.plot(places, [point.rate for point in swept.points], "o-", color=COLOURS[0], markersize=3.5, linewidth=1.6)
    axis.set_xticks(places, [f"{value:.3g}" for value in values], rotation=45 if len(values) > 8 else 0)
    axis.set_ylim(-0.03, 1.05)
    axis.yaxis.set_major_formatter(PercentFormatter(xmax=1.0))
    axis.set_title(f"{swept.name} [x nominal]" if swept.is_factor else swept.name, fontsize=10)
