"""What an episode does now, in a line: live on a terminal, now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

import numpy as np

from robot_learn.deployment.loop import Step

PLAIN_SECONDS = 1.0  # between two lines in a log


def line(step: Step, total: int) -> str:
    """A step: how far, the arm's state, how the connection is, and what changed the command."""
    told = step.observation
    parts = [f"{step.number:>4}/{total}", f"{told.state:<7}", f"commands {told.success_rate:4.0%}"]
    parts.append(f"latency {1e3 * step.latency:5.1f} ms")
    parts.append(f"speed {np.max(np.abs(step.applied.dq)):4.2f} rad/s")
    if step.who == "person":
        parts.append("person")
    if step.belief.success:
        parts.append("success")
    if step.held_by or step.applied.limited:
        parts.append(f"limited by {', '.join((*step.held_by, *step.applied.limited))}")
    if step.applied.refused:
        parts.append(f"refused: {step.applied.refused}")
    if step.overruns:
        parts.append(f"{step.overruns} late")
    return "  ".join(parts)


@contextmanager
def status_display(total: int, stream: TextIO | None = None) -> Iterator[Callable[[Step], None]]:
    """What to pass as `on_step`: a line that is written over on a terminal, else one a second."""
    out = stream or sys.stderr
    live = out.isatty()
    following = [0.0]
    last: list[Step] = []

    def show(step: Step) -> None:
        last[:] = [step]
        now = time.monotonic()
        if now < following[0]:
            return
        following[0] = now + (0.1 if live else PLAIN_SECONDS)
        out.write(f"\r\x1b[K{line(step, total)}" if live else line(step, total) + "\n")
        out.flush()
        last.clear()

    try:
        yield show
    finally:
        if last:
            out.write(f"\r\x1b[K{line(last[0], total)}" if live else line(last[0], total) + "\n")
        out.write("\n" if live else "")
        out.flush()
