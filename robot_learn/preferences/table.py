"""From the results of the offline benchmark to what they say: tables, and the questions that they answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robot_learn.errors import UserError
from robot_learn.iqm import iqm
from robot_learn.preferences.cells import DATA, GRADES, LEARNERS, METHODS, NOISE_DATA, NOISES, noisy

Results = Mapping[tuple[str, str], Mapping[str, Any]]  # by data and method

_TAUGHT = ("iql-simulated", "iql-vision", "iql-vlm")
RIGHT = "none"  # the column without mistakes: cells of the other table, which fits with cross-entropy alone


def read_results(folder: Path) -> Results:
    """Every result in a folder.

    Raises:
        UserError: the folder holds none, or a file is no result.
    """
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            found[result["data"], result["method"]] = result
            result["success"][0], result["normalised"][0]
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise UserError(f"{path} is no result of this benchmark: {error!r}") from error
    if not found:
        raise UserError(f"no results in {folder}: wanted what `robot-learn bench offline` leaves there")
    return found


def rows(results: Results, figure: str = "success") -> list[dict[str, str]]:
    """A row a dataset, a column a method: IQM over seeds and its 95 % interval; "-" where nobody ran it."""
    named = [name for name in _by_grade() if any(key[0] == name and key[1] in METHODS for key in results)]
    return [
        {"data": name} | {method: _cell(results.get((name, method)), figure) for method in METHODS} for name in named
    ]


def noise_rows(results: Results, figure: str = "success") -> list[dict[str, str]]:
    """A row a dataset and a learner, a column a share of wrong labels, the first without any."""
    found = []
    for name in NOISE_DATA:
        for algorithm, loss in LEARNERS:
            shown = {noise: results.get((name, noisy(algorithm, loss, noise))) for noise in NOISES}
            if any(shown.values()):
                right = results.get((name, f"{algorithm}-simulated")) if loss == "cross-entropy" else None
                figures = {noise: _cell(result, figure) for noise, result in ({RIGHT: right} | shown).items()}
                found.append({"data": name, "learner": algorithm, "loss": loss} | figures)
    return found


def verdicts(results: Results) -> dict[str, str]:
    """What the benchmark asks, and the numbers that answer it; only what was run is answered."""
    answers = {}
    for task in dict.fromkeys(name.rpartition("-")[0] for name in DATA):
        name = f"{task}-random"
        truth, average = (_scores(results, name, method) for method in ("iql-true", "iql-average"))
        for method in _TAUGHT:
            taught = _scores(results, name, method)
            if truth is None or taught is None:
                continue
            share = iqm(taught).value / iqm(truth).value if iqm(truth).value else float("nan")
            control = "" if average is None else f"; with the average reward {iqm(average).value:.2f}"
            question = f"{name}, {method}: share of IQL's success with the true reward"
            answers[question] = f"{share:.2f} ({iqm(taught).value:.2f} of {iqm(truth).value:.2f}{control})"
    for grade in GRADES:
        for method in METHODS:
            tasks = [n for n in DATA if n.endswith(f"-{grade}") and (n, method) in results]
            if len(tasks) > 1:
                table = np.array([results[name, method]["normalised"] for name in tasks]).T
                found = iqm(table)
                answers[f"{grade}, {method}: normalised return over {len(tasks)} tasks"] = (
                    f"{found.value:.0f} ({found.low:.0f} to {found.high:.0f})"
                )
    return answers


def markdown(results: Results) -> str:
    """All tables; a dash is a cell that nobody ran."""
    seeds = sorted({len(result["success"]) for result in results.values()})
    parts = [
        f"Interquartile mean over {' or '.join(map(str, seeds))} training seeds with its 95 % interval (bootstrap over "
        "seeds), 50 held-out episodes a seed, last policy. Made by `robot-learn bench offline`.",
        "## Success\n\n" + _markdown(rows(results)),
        "## Normalised return: 0 is chance, 100 the script\n\n" + _markdown(rows(results, "normalised")),
    ]
    if noisy := noise_rows(results):
        returns = _markdown(noise_rows(results, "normalised"))
        parts.append("## Success with wrong labels, by the share of mistakes\n\n" + _markdown(noisy))
        parts.append("## Normalised return with wrong labels, by the share of mistakes\n\n" + returns)
    asked = "\n".join(f"- {question}: **{answer}**" for question, answer in verdicts(results).items())
    return "\n\n".join([*parts, "## What it says\n\n" + asked]) + "\n"


def _by_grade() -> list[str]:
    return sorted(DATA, key=lambda name: GRADES.index(DATA[name].grade))


def _scores(results: Results, data: str, method: str) -> np.ndarray | None:
    found = results.get((data, method))
    return None if found is None else np.array(found["success"])


def _cell(result: Mapping[str, Any] | None, figure: str) -> str:
    if result is None:
        return "-"
    found = iqm(np.array(result[figure]))
    scale, digits = (100, 0) if figure == "success" else (1, 0)
    unit = "%" if figure == "success" else ""
    return f"{scale * found.value:.{digits}f}{unit} ({scale * found.low:.{digits}f}-{scale * found.high:.{digits}f})"


def _markdown(table: Sequence[Mapping[str, str]]) -> str:
    if not table:
        return "(nothing yet)"
    lines = ["| " + " | ".join(table[0]) + " |", "|" + "---|" * len(table[0])]
    return "\n".join([*lines, *("| " + " | ".join(row.values()) + " |" for row in table)])
