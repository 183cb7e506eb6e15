"""From the results of the video benchmark to what they say, beside the figures of the paper."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from robot_learn.errors import UserError
from robot_learn.imitation.cells import BEHAVIOURS, METHODS

Results = Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]  # by behaviour and method, one a seed

MOST = 1.2  # that one behaviour may count in a mean
MEAN = f"mean (each at most {MOST:g})"
LOOPS = tuple(name for name, method in METHODS.items() if method.kind == "loop")  # shown iteration by iteration
# Of ours, each without one part of it, or with the gates only where nothing else follows.
ABLATIONS = ("no-grounding", "no-gates", "one-model", "no-keep-best", "late-gates")
WANTED, LEAST = 0.85, 0.7  # of the normalised score: on average, and of each behaviour
# "A Language-Model-Assisted Bi-Level Programming for Reward Learning from Internet Videos" (2024), table 1: normalised
# score of the final iteration, of other robots in another simulator.
PAPER = {
    "spider walk": (0.22, 0.68, 0.89, 0.92),
    "spider jump": (0.22, 0.39, 0.93, 0.87),
    "athlete run": (0.48, 0.70, 0.87, 0.82),
    "athlete split landing": (0.31, 0.49, 0.81, 0.72),
    "dog hop": (0.55, 0.84, 0.93, 0.87),
}
PAPER_COLUMNS = ("Eureka", "Eureka with the task metric", "a human compares", "theirs")
PAPER_RUN = (0.16, 0.28, 0.39, 0.76, 0.82)  # by iteration


def read_results(folder: Path) -> Results:
    """Every result in a folder.

    Raises:
        UserError: the folder holds none, or a file is no result.
    """
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            result["final"], result["seed"]
            found.setdefault((result["behaviour"], result["method"]), []).append(result)
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is no result of this benchmark: {error!r}") from error
    if not found:
        raise UserError(f"no results in {folder}: wanted what `robot-learn bench video` leaves there")
    return found


def normalised(results: Results, behaviour: str, value: float | None) -> float | None:
    """0 is chance, 1 the tuned reward on the learner's own body, the best of its seeds: of some it may come to nothing;
    None where one of them was not run.

    Where no policy was accepted there is nothing to measure, and the score is that of chance.
    """
    low, high = _end(results, behaviour, "chance", fmean), _end(results, behaviour, "reference", max)
    if low is None or high is None or high - low <= 1e-9 or value is None:
        return None
    return 0.0 if np.isnan(value) else (value - low) / (high - low)


def rows(results: Results) -> list[dict[str, str]]:
    """A row a behaviour, a column a method, normalised; "-" where nobody ran it. The last row is the mean."""
    named = [name for name in BEHAVIOURS if any(key[0] == name for key in results)]
    methods = [name for name in METHODS if name not in ("chance", "reference")]
    found = []
    for name in named:
        scores = {method: _shown(_score(results, name, method)) for method in methods}
        ends = {"chance": _raw(results, name, "chance", fmean), "reference": _raw(results, name, "reference", max)}
        found.append({"behaviour": name} | ends | scores)
    means = {method: _shown(_average(results, named, method)) for method in methods}
    return [*found, {"behaviour": MEAN, "chance": "0", "reference": "1"} | means]


def ablation_rows(results: Results) -> list[dict[str, str]]:
    """A row a loop, ours and each ablation of it, over the behaviours and seeds of which all of them were run."""
    loops = ("ours", *ABLATIONS)
    shared = {(name, loop): _shared(results, name, loops, loop) for name in BEHAVIOURS for loop in loops}
    named = [name for name in BEHAVIOURS if shared[name, "ours"]]
    results = {**results, **shared}
    found = []
    for loop in loops if named else ():
        ended = [one for name in named for one in results[name, loop]]
        scores = {name: _shown(_score(results, name, loop)) for name in named}
        mean, below = _average(results, named, loop), f"{sum(map(_ends_below, ended))} of {len(ended)}"
        means = {MEAN: "-" if mean is None else f"{mean:.3f}", "ends below what it accepted": below}
        found.append({"loop": loop} | scores | means)
    return found


def _shared(results: Results, behaviour: str, methods: Sequence[str], method: str) -> list[Mapping[str, Any]]:
    """Results of one method, of the seeds that all of them were run with."""
    seeds = [{one["seed"] for one in results.get((behaviour, each), ())} for each in methods]
    return [one for one in results.get((behaviour, method), ()) if one["seed"] in set.intersection(*seeds)]


def iteration_rows(results: Results, method: str = "ours") -> list[dict[str, str]]:
    """A row a behaviour, a column an iteration: the best so far, in brackets what was trained there and its verdict."""
    found = []
    count = max((len(one["kept"]) for key, many in results.items() if key[1] == method for one in many), default=0)
    for name in BEHAVIOURS:
        for one in results.get((name, method), ()):
            row = {"behaviour": name if one["seed"] == 0 else f"{name}, seed {one['seed']}"}
            found.append(row | {str(number): _iteration(results, one, number) for number in range(count)})
    return found


def _iteration(results: Results, one: Mapping[str, Any], number: int) -> str:
    if number >= len(one["kept"]):
        return ""
    best = _shown(normalised(results, one["behaviour"], one["kept"][number]))
    own = _shown(normalised(results, one["behaviour"], one["iterations"][number]))
    return f"{best} ({own} {one['verdicts'][number]})"


def verdicts(results: Results, method: str = "ours") -> dict[str, str]:
    """What the benchmark asks, and the numbers that answer it; only what was run is answered."""
    scores = {name: _score(results, name, method) for name in BEHAVIOURS}
    known = {name: score for name, score in scores.items() if score is not None}
    if not known:
        return {}
    mean = float(np.mean([min(score, MOST) for score in known.values()]))
    worst = min(known, key=lambda name: known[name])
    loops = [one for key, many in results.items() if key[1] == method for one in many]
    below = [one["behaviour"] for one in loops if _ends_below(one)]
    return {
        f"final score at least {WANTED:g} on average": f"{mean:.3f} over {len(known)} behaviours",
        f"no behaviour under {LEAST:g}": f"the lowest is {worst} with {known[worst]:.2f}",
        "loops that end below the best that they ever accepted": f"{len(below)} of {len(loops)}"
        + (f" ({', '.join(below)})" if below else ""),
    }


def _ends_below(one: Mapping[str, Any]) -> bool:
    """Measured, not judged: the judge sees no metric, so an accepted step may be a step down."""
    accepted = [
        value
        for value, verdict in zip(one["iterations"], one["verdicts"], strict=True)
        if verdict == "accepted" and value is not None
    ]
    return bool(accepted) and one["final"] < max(accepted) - 1e-9


def markdown(results: Results) -> str:
    """The page; a dash is a cell that nobody ran."""
    seeds = sorted({len(many) for many in results.values()})
    told = "\n".join(f"- {name}: {method.remark}" for name, method in METHODS.items() if method.remark)
    paper = [
        {"behaviour": name} | dict(zip(PAPER_COLUMNS, map(_shown, row), strict=True)) for name, row in PAPER.items()
    ]
    episodes = max(one["episodes"] for many in results.values() for one in many)
    return (
        "\n\n".join(
            [
                "# A reward from a video",
                "Each learner sees one video, of another body than its own, and no word of what it shows. Score: "
                f"metric of the final policy over {episodes} held-out episodes, 0 for chance and 1 for the tuned "
                f"reward on the learner's own body, the best of its seeds. Over several training seeds, of which there "
                f"are {' or '.join(map(str, seeds))}, means. Made by `robot-learn bench video`.",
                "## Final score\n\n" + _markdown(rows(results)),
                told,
                "## Ablations\n\nOver the behaviours and seeds of which all of these loops were run.\n\n"
                + _markdown(ablation_rows(results)),
                "## By iteration: the best so far (what was trained there)",
                *(_loops(results, method) for method in LOOPS if any(key[1] == method for key in results)),
                "## The paper's figures\n\nOf other robots, in another simulator (arXiv 2410.09286): not the same "
                "experiment, but the same question.\n\n" + _markdown(paper),
                f"Its run by iteration: {', '.join(_shown(score) for score in PAPER_RUN)}. Without splitting the two "
                "models: .38 instead of .92.",
            ]
        )
        + "\n"
    )


def _loops(results: Results, method: str) -> str:
    """One way of looping: iteration by iteration, and what it comes to."""
    remark = METHODS[method].remark
    title = f"### {method}" + (f": {remark}" if remark else "")
    asked = "\n".join(f"- {question}: **{answer}**" for question, answer in verdicts(results, method).items())
    return "\n\n".join([title, _markdown(iteration_rows(results, method)), asked]).rstrip()


def _end(results: Results, behaviour: str, method: str, best: Callable[[Iterable[float]], float]) -> float | None:
    """An end of the scale."""
    found = results.get((behaviour, method))
    return None if not found else float(best(one["final"] for one in found))


def _score(results: Results, behaviour: str, method: str) -> float | None:
    """The mean over seeds."""
    found = [normalised(results, behaviour, one["final"]) for one in results.get((behaviour, method), ())]
    known = [score for score in found if score is not None]
    return float(np.mean(known)) if known else None


def _average(results: Results, named: Sequence[str], method: str) -> float | None:
    """Over behaviours; None unless all of them were run."""
    found = [_score(results, name, method) for name in named]
    known = [min(score, MOST) for score in found if score is not None]
    return float(np.mean(known)) if known and len(known) == len(found) else None


def _raw(results: Results, behaviour: str, method: str, best: Callable[[Iterable[float]], float]) -> str:
    value = _end(results, behaviour, method, best)
    unit = next((one["unit"] for key, many in results.items() if key[0] == behaviour for one in many), "")
    return "-" if value is None else f"{value:.3g} {unit}".removesuffix(" 1")


def _shown(score: float | None) -> str:
    return "-" if score is None else f"{round(score, 2) + 0.0:.2f}"  # no -0.00


def _markdown(table: Sequence[Mapping[str, str]]) -> str:
    if not table:
        return "(nothing yet)"
    lines = ["| " + " | ".join(table[0]) + " |", "|" + "---|" * len(table[0])]
    return "\n".join([*lines, *("| " + " | ".join(row.values()) + " |" for row in table)])
