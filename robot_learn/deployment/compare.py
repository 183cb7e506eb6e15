"""How what a policy sees on an arm differs from what it saw in simulation, field by field.

A column's distance is the Kolmogorov-Smirnov statistic, the largest difference of the two distribution functions: 0 for
equal ones, 1 for ones that do not overlap. Steps of an episode depend on one another, so that no p-value is given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from robot_learn.deployment.samples import Samples
from robot_learn.errors import UserError
from robot_learn.report_page import PAGE
from robot_learn.runs import atomic_write

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
FAR, OUTSIDE = 0.5, 0.05  # the distance, and the share out of range, from which a column is worth a look
ENOUGH = 20  # episodes of each source, for their starts to be alike
_MARGIN = 0.02  # of a range's width, by which a value may lie outside of it and still counts as inside


@dataclass(frozen=True)
class Difference:
    """One column of two sources."""

    name: str
    first: tuple[float, ...]  # at QUANTILES
    second: tuple[float, ...]
    distance: float  # Kolmogorov-Smirnov, 0 to 1
    outside: float  # share of the second source's values that lie outside the range of the first

    @property
    def notable(self) -> bool:
        return self.distance >= FAR or self.outside >= OUTSIDE


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """The two-sample Kolmogorov-Smirnov statistic of samples (n,) and (m,)."""
    both = np.sort(np.concatenate([first, second]))
    shares = [np.searchsorted(np.sort(one), both, side="right") / len(one) for one in (first, second)]
    return float(np.max(np.abs(shares[0] - shares[1])))


def compare(first: Samples, second: Samples) -> list[Difference]:
    """All columns, the most different first; those of the observation vector where one source knows no scene.

    Raises:
        UserError: the sources are of different tasks.
    """
    if first.task != second.task:
        raise UserError(f"{first.name} is of {first.task}, {second.name} of {second.task}: wanted one task")
    found = []
    for name, mine, other in _pairs(first, second):
        low, high = float(mine.min()), float(mine.max())
        room = _MARGIN * (high - low) + 1e-6
        outside = float(np.mean((other < low - room) | (other > high + room)))
        quantiles = [tuple(float(q) for q in np.quantile(one, QUANTILES)) for one in (mine, other)]
        found.append(Difference(name, quantiles[0], quantiles[1], distance(mine, other), outside))
    return sorted(found, key=lambda each: (-max(each.distance, each.outside), each.name))


def _pairs(first: Samples, second: Samples) -> list[tuple[str, np.ndarray, np.ndarray]]:
    if first.columns and second.columns:
        return [(name, first.columns[name], second.columns[name]) for name in first.columns]
    if first.vector.shape[1] != second.vector.shape[1]:
        sizes = f"{first.vector.shape[1]} and {second.vector.shape[1]}"
        raise UserError(f"{first.name} and {second.name}: observations have {sizes} numbers")
    pairs = zip(first.vector.T, second.vector.T, strict=True)
    return [(f"observation[{i}]", mine, other) for i, (mine, other) in enumerate(pairs)]


def to_json(first: Samples, second: Samples, found: Sequence[Difference]) -> dict[str, Any]:
    """The whole comparison."""
    sources = [
        {"source": one.name, "kind": one.kind, "episodes": one.episodes, "steps": one.numbers}
        for one in (first, second)
    ]
    columns = [asdict(each) | {"notable": each.notable} for each in found]
    return {"task": first.task, "sources": sources, "quantiles": list(QUANTILES), "columns": columns}


def text(first: Samples, second: Samples, found: Sequence[Difference]) -> list[dict[str, Any]]:
    """Rows of a table for a terminal."""
    return [
        {
            "field": each.name,
            f"{first.kind} 5 % / 50 % / 95 %": _three(each.first),
            f"{second.kind} 5 % / 50 % / 95 %": _three(each.second),
            "distance": round(each.distance, 2),
            "outside": f"{each.outside:.0%}",
            "": "look" if each.notable else "",
        }
        for each in found
    ]


def _three(quantiles: Sequence[float]) -> str:
    return " / ".join(f"{quantiles[i]:.3g}" for i in (0, 2, 4))


def write_page(path: Path, first: Samples, pairs: Sequence[tuple[Samples, Sequence[Difference]]]) -> None:
    """One self-contained HTML page: the first source against each of the others."""
    body = "\n".join(_section(first, second, found) for second, found in pairs)
    filled = {
        "@TITLE@": escape(f"{first.task}: simulation and arm"),
        "@TASK@": escape(first.task),
        "@INSTRUCTION@": "What the policy sees, side by side",
        "@BODY@": body,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(re.sub("|".join(filled), lambda place: filled[place.group()], PAGE).encode())


def _section(first: Samples, second: Samples, found: Sequence[Difference]) -> str:
    notable = sum(each.notable for each in found)
    told = f"{escape(first.name)} ({first.kind}, {first.episodes} episodes, {first.numbers} steps) above, "
    told += f"{escape(second.name)} ({second.kind}, {second.episodes} episodes, {second.numbers} steps) below. "
    told += "Lines reach from the 5 % to the 95 % quantile, bars from 25 % to 75 %, the tick is the median. "
    told += f"{notable} of {len(found)} fields are worth a look: a distance of {FAR:g} or more, or {OUTSIDE:.0%} of "
    told += "the values outside of what the first source has ever shown."
    if min(first.episodes, second.episodes) < ENOUGH:
        told += f" Starts and goals of fewer than {ENOUGH} episodes differ by chance already."
    head = "<tr><th>field</th><td></td><td>distance</td><td>outside</td></tr>"
    rows = "".join(_row(each) for each in found)
    return f"<section><h2>{escape(second.name)}</h2><p class='note'>{told}</p><table>{head}{rows}</table></section>"


def _row(each: Difference) -> str:
    name = escape(each.name)
    name = f"<b>{name}</b>" if each.notable else name
    return (
        f"<tr><th>{name}</th><td style='width:46%'>{_boxes(each)}</td>"
        f"<td>{each.distance:.2f}</td><td>{each.outside:.0%}</td></tr>"
    )


def _boxes(each: Difference) -> str:
    """Two box plots over one axis, whose ends are written below."""
    low, high = min(each.first[0], each.second[0]), max(each.first[-1], each.second[-1])
    width = max(high - low, 1e-9)

    def x(value: float) -> float:
        return 4 + 392 * (value - low) / width

    def box(quantiles: Sequence[float], y: int, colour: str) -> str:
        ends = [x(value) for value in quantiles]
        return (
            f"<line x1='{ends[0]:.1f}' x2='{ends[4]:.1f}' y1='{y}' y2='{y}' stroke='{colour}'/>"
            f"<rect x='{ends[1]:.1f}' width='{max(ends[3] - ends[1], 1):.1f}' y='{y - 4}' height='8' fill='{colour}'/>"
            f"<rect x='{ends[2] - 1:.1f}' width='2' y='{y - 7}' height='14' fill='var(--ink)'/>"
        )

    labels = f"<text x='4' y='42'>{low:.3g}</text><text x='396' y='42' text-anchor='end'>{high:.3g}</text>"
    drawn = box(each.first, 8, "var(--name)") + box(each.second, 24, "var(--num)")
    return f"<svg viewBox='0 0 400 46' font-size='11' fill='var(--soft)'>{drawn}{labels}</svg>"
