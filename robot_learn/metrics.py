"""Figures of a training run, one row per iteration: a CSV file for people and plots, and TensorBoard."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from types import TracebackType
from typing import IO, Any

from robot_learn.errors import UserError
from robot_learn.runs import PROGRESS, TENSORBOARD, Run, atomic_write

# What SB3's learners report after an update. Listed, because SAC reports nothing before its first.
LOSSES = {
    "ppo": ("policy_gradient_loss", "value_loss", "entropy_loss", "approx_kl", "clip_fraction", "explained_variance"),
    "sac": ("actor_loss", "critic_loss", "ent_coef"),
}


class Metrics:
    """Rows keyed by the number of environment steps; a resumed run drops the rows after its checkpoint."""

    def __init__(self, run: Run, *, resumed_at: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter  # takes a second to import

        self._run = run
        self._file: IO[str] | None = None
        self._columns: list[str] = []
        kept = [row for row in read_progress(run) if row["steps"] <= resumed_at] if run.has(PROGRESS) else []
        if run.has(PROGRESS):
            with atomic_write(run.file(PROGRESS)) as file:
                file.write(_lines(kept).encode())
        self._columns = list(kept[0]) if kept else []
        purge = {"purge_step": resumed_at + 1} if resumed_at else {}
        self._board = SummaryWriter(str(run.file(TENSORBOARD)), **purge)

    def write(self, row: Mapping[str, float | None]) -> None:
        """Add a row; the first one decides the columns. "steps" is the clock."""
        if self._file is None:
            self._file = self._run.file(PROGRESS).open("a", newline="", encoding="utf-8")
        if not self._columns:
            self._columns = list(row)
            self._file.write(",".join(self._columns) + "\n")
        writer = csv.DictWriter(self._file, self._columns, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writerow({name: "" if value is None else f"{value:.8g}" for name, value in row.items()})
        self._file.flush()
        for name, value in row.items():
            if value is not None and name != "steps":
                tag = name if "/" in name else f"training/{name}"
                self._board.add_scalar(tag, value, int(row["steps"] or 0))

    def __enter__(self) -> Metrics:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        self._board.close()


def _lines(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    table = [",".join(rows[0])]
    table += [",".join("" if value is None else f"{value:.8g}" for value in row.values()) for row in rows]
    return "\n".join(table) + "\n"


def read_progress(run: Run) -> list[dict[str, Any]]:
    """The rows of progress.csv as numbers, None where a figure was not there; a torn last line is left out.

    Raises:
        UserError: the run has no progress.csv, or it is not one.
    """
    text = run.read_text(PROGRESS)
    whole = text[: text.rfind("\n") + 1]
    rows: list[dict[str, Any]] = []
    try:
        for row in csv.DictReader(whole.splitlines()):
            rows.append({name: float(value) if value else None for name, value in row.items()})
    except ValueError as error:
        raise UserError(f"{run.file(PROGRESS)} is not a table of numbers: {error}") from error
    if rows and "steps" not in rows[0]:
        raise UserError(f"{run.file(PROGRESS)}: wanted a column 'steps', got {', '.join(rows[0])}")
    return rows
