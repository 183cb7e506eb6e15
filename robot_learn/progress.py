"""How far a training is, and how a person sees it: a live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

PLAIN_SECONDS = 10.0  # between two lines in a log


@dataclass(frozen=True)
class Progress:
    """A moment of a training run. Rates are of this session, figures of episodes over the last 100 that finished."""

    steps: int
    total_steps: int
    iteration: int
    success_rate: float | None  # None before the first episode ends
    mean_return: float | None
    steps_per_second: float
    seconds_left: float | None
    saving: bool = False  # an interrupt came: the iteration is finished and saved, then training ends

    def line(self) -> str:
        """One line for a log."""
        return f"{self.steps:>9,} / {self.total_steps:,} steps   {self.figures()}"

    def figures(self) -> str:
        success = "success   –" if self.success_rate is None else f"success {self.success_rate:4.0%}"
        reward = "return –" if self.mean_return is None else f"return {self.mean_return:.4g}"
        parts = [success, reward, f"{self.steps_per_second:,.0f} steps/s", f"{clock(self.seconds_left)} left"]
        if self.saving:
            parts[-1] = "stopping: finishing this iteration and saving (again: stop at once)"
        return "   ".join(parts)


def clock(seconds: float | None) -> str:
    """Minutes and seconds, with hours where there are any: "1:05", "2:00:07"."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def progress_display(stream: TextIO | None = None) -> Iterator[Callable[[Progress], None]]:
    """What to pass as `train(on_progress=...)`: a bar on a terminal, else a line every ten seconds and a last one."""
    out = stream or sys.stderr
    if out.isatty():
        with _bar(out) as show:
            yield show
        return
    lines = _Lines(out)
    yield lines
    lines.finish()


class _Lines:
    """Plain lines, for logs and pipes."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._next = time.monotonic() + PLAIN_SECONDS
        self._pending: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        self._pending = progress
        if time.monotonic() >= self._next or progress.saving:
            self.finish()
            self._next = time.monotonic() + PLAIN_SECONDS

    def finish(self) -> None:
        if self._pending is not None:
            self._out.write(self._pending.line() + "\n")
            self._out.flush()
        self._pending = None


@contextmanager
def _bar(out: TextIO) -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.percentage:>3.0f}%"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[figures]}", markup=False),
    )
    with RichProgress(*columns, console=Console(file=out), refresh_per_second=4) as bar:
        task = bar.add_task("train", total=None, figures="")

        def show(progress: Progress) -> None:
            bar.update(task, total=progress.total_steps, completed=progress.steps, figures=progress.figures())

        yield show
