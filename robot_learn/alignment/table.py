"""From the lines of results to what they say: a row a system, rule and share of mistakes, and the page of them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robot_learn.alignment.bench import MOST_CORRECTIONS, MOST_EPISODES, UNTAUGHT, results
from robot_learn.errors import UserError
from robot_learn.evaluation import wilson_interval

# Of Xie et al. (arXiv 2407.04216): the pendulum with a simulated person, the others with people and their criterion.
PAPER = {
    "pendulum": "11.76 ± 2.15 corrections, simulated person, 50 runs",
    "uav-gate": "15.66 ± 10.61 corrections, 89.3 ± 7.7 % success, 15 people, 10 games each",
    "franka-reach": "16.49 ± 6.17 corrections, 89.3 ± 11.2 % success, 15 people, 10 games each",
    "franka-pour": "6.93 ± 3.34 corrections, 82.9 ± 16.7 % success, 14 people, 5 games each, on the real arm",
}
PAPER_CORRECTIONS = {"pendulum": 11.76, "uav-gate": 15.66, "franka-reach": 16.49, "franka-pour": 6.93}
ORDER = (UNTAUGHT, "paper", "stops", "full", "ask", "forgiving")
_INTRO = """\
# Safety learned from corrections

A simulated person (Xie et al., arXiv 2407.04216, section VI-A) teaches each system what is unsafe. Where a plan comes
near to unsafe, they push, at three of ten steps; where it is unsafe, they stop the robot, which ends the episode. A
game ends when the person is satisfied: six episodes in a row, two a target, were passed without a word; on the
pendulum and the reacher, as in the paper, when theta is as near to the truth as the paper asks for. It is lost after
{corrections} corrections (pushes, and stops where stops teach) or {episodes} episodes. `robot-learn bench alignment`
plays the games and writes this page. Its seeds are its own: nothing was chosen by them. A robot that makes no headway
is pushed, too: the paper's simulated person has no word for one that is too timid.

Rules: **untaught**, nobody has corrected, theta is the middle of the box; **paper**, a push is one cut and stops
teach nothing, as in the paper; **stops**, each axis of a push is a cut of its own, and a stop says that the plan was
unsafe; **full**, and whoever would have stopped an unsafe plan says by silence that this one was safe; **ask**, as
stops, and before an episode the robot asks about plans that it imagines, until none is disputed (answers count as
corrections); **forgiving**, as full, but a tenth of what is said is expected to be wrong, and what is doubted is asked
about again (which counts, too).

Columns: corrections, pushes and stops are mean ± standard deviation over the games that ended with a satisfied
person. *Success*: the person was satisfied, and then all of {held_out} held-out episodes a target, from fresh starts,
were passed: target reached, geometry right, and not one plan unsafe by the truth. *Held out*: the share of such
episodes; *geometry*: of those where it was right, whatever the plans; *unsafe*: the share of steps with an unsafe
plan, while being taught and held out. Intervals are Wilson's, 95 %. *Truth kept*: games after which the true theta
was still among the possible ones. Times are medians on one shared core.
"""


@dataclass(frozen=True)
class Row:
    """All games of one system under one rule."""

    system: str
    rule: str
    mistaken: float
    lines: tuple[dict[str, Any], ...]  # one a seed

    @property
    def games(self) -> int:
        return len(self.lines)

    @property
    def satisfied(self) -> tuple[dict[str, Any], ...]:
        return tuple(line for line in self.lines if line.get("outcome") == "satisfied")

    @property
    def successes(self) -> int:
        """Games after which every held-out episode was passed."""
        good = self.lines if self.rule == UNTAUGHT else self.satisfied
        return sum(line["held_out"]["passed"] == line["held_out"]["episodes"] for line in good)

    def spread(self, *keys: str) -> tuple[float, float] | None:
        """Mean and standard deviation of the sum of some counts, over the games that ended with a satisfied person."""
        values = [sum(line.get(key, 0) for key in keys) for line in self.satisfied]
        return (float(np.mean(values)), float(np.std(values, ddof=len(values) > 1))) if values else None

    def share(self, of: str, among: str, *, held_out: bool = True) -> float | None:
        """One count over another, of all games together."""
        lines = [line["held_out"] if held_out else line for line in self.lines]
        if any(of not in line for line in lines):
            return None
        total = sum(line[among] for line in lines)
        return sum(line[of] for line in lines) / total if total else None

    def milliseconds(self, what: str) -> float | None:
        times = [line["seconds"][what] for line in self.lines if "seconds" in line]
        known = [time for time in times if time is not None]
        return 1000 * float(np.median(known)) if known else None

    @property
    def truth_kept(self) -> int | None:
        return None if self.rule == UNTAUGHT else sum(line["truth_kept"] for line in self.lines)

    def figures(self) -> dict[str, Any]:
        """All numbers, for machines."""
        return {
            "system": self.system,
            "rule": self.rule,
            "mistaken": self.mistaken,
            "games": self.games,
            "satisfied": None if self.rule == UNTAUGHT else len(self.satisfied),
            "corrections": self.spread("pushes", "stops", "fines") if self.rule != UNTAUGHT else None,
            "pushes": self.spread("pushes") if self.rule != UNTAUGHT else None,
            "stops": self.spread("stops") if self.rule != UNTAUGHT else None,
            "successes": self.successes,
            "success_interval_95": wilson_interval(self.successes, self.games),
            "held_out_passed": self.share("passed", "episodes"),
            "held_out_geometry": self.share("geometry", "episodes"),
            "unsafe_while_taught": self.share("unsafe_steps", "steps", held_out=False),
            "unsafe_held_out": self.share("unsafe", "steps"),
            "truth_kept": self.truth_kept,
            "milliseconds": {what: self.milliseconds(what) for what in ("plan", "cut", "update")},
            "paper": PAPER.get(self.system),
        }


def rows(folder: Path) -> list[Row]:
    """What a folder of results holds; of several settings of one row, the newest counts, and of a seed the last line.

    Raises:
        UserError: there is nothing, or a file is damaged.
    """
    found = []
    for path in sorted(folder.glob("*--*.jsonl")):
        lines = results(path)
        if not lines:
            continue
        system, rule, *_ = path.stem.split("--")
        setting = lines[-1]["setting"]
        by_seed = {line["seed"]: line for line in lines if line["setting"] == setting}
        found.append(Row(system, rule, setting["mistaken"], tuple(by_seed[seed] for seed in sorted(by_seed))))
    if not found:
        raise UserError(f"there are no results in {folder}; robot-learn bench alignment makes them")
    return sorted(found, key=lambda row: (row.system, row.mistaken, _place(row.rule)))


def _place(rule: str) -> int:
    return ORDER.index(rule) if rule in ORDER else len(ORDER)


def short(row: Row) -> dict[str, Any]:
    """A row for a terminal, or for the page."""
    low, high = wilson_interval(row.successes, row.games)
    taught = row.rule != UNTAUGHT
    times = [row.milliseconds(what) for what in ("plan", "cut", "update")]
    return {
        "system": row.system,
        "rule": row.rule + (f", {100 * row.mistaken:g} % wrong" if row.mistaken else ""),
        "games": str(row.games),
        "satisfied": f"{len(row.satisfied)}" if taught else "-",
        "corrections": _plus_minus(row.spread("pushes", "stops", "fines")) if taught else "-",
        "pushes": _plus_minus(row.spread("pushes")) if taught else "-",
        "stops": _plus_minus(row.spread("stops")) if taught else "-",
        "success": f"{row.successes / row.games:.0%} ({low:.0%}-{high:.0%})".replace("%-", "-"),
        "held out": _percent(row.share("passed", "episodes")),
        "geometry": _percent(row.share("geometry", "episodes")),
        "unsafe, taught": _percent(row.share("unsafe_steps", "steps", held_out=False)),
        "unsafe, held out": _percent(row.share("unsafe", "steps")),
        "truth kept": "-" if row.truth_kept is None else f"{row.truth_kept} of {row.games}",
        "plan, cut, update [ms]": ", ".join("-" if time is None else f"{time:.2g}" for time in times)
        if taught
        else "-",
    }


def _plus_minus(found: tuple[float, float] | None) -> str:
    return "-" if found is None else f"{found[0]:.1f} ± {found[1]:.1f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}" if share in (0, 1) else f"{100 * share:.1f}%"


def page(found: Sequence[Row], pictures: Sequence[str] = ()) -> str:
    """The page as text."""
    from robot_learn.alignment.held_out import PER_TARGET

    intro = _INTRO.format(corrections=MOST_CORRECTIONS, episodes=MOST_EPISODES, held_out=PER_TARGET)
    parts = [intro, *(f"![{name.removesuffix('.png')}]({name})\n" for name in pictures)]
    for system in dict.fromkeys(row.system for row in found):
        own = [row for row in found if row.system == system]
        said = PAPER.get(system)
        epsilon = own[0].lines[-1]["setting"]["epsilon"]
        about = f"The person pushes from g > -{epsilon:.3g} on."
        parts.append(f"## {system}\n\n{about}" + (f" The paper's: {said}.\n" if said else "\n"))
        parts.append(_markdown([short(row) for row in own]))
    return "\n".join(parts)


def _markdown(lines: Sequence[Mapping[str, str]]) -> str:
    columns = [name for name in lines[0] if name != "system"]
    head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
    return head + "".join(f"| {' | '.join(line[name] for name in columns)} |\n" for line in lines)
