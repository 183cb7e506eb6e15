"""`robot-learn hand`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from robot_learn.cli.output import put, put_json, say
from robot_learn.errors import UserError

if TYPE_CHECKING:
    from hardware.inputs import Hand, Input
    from hardware.inputs.takeover import Takeover

_WIDTH = 21  # characters of a bar
_AXES = ("forward", "left", "up", "roll", "pitch", "yaw")


@dataclass(frozen=True)
class HandCommand:
    """Show what an input device gives, to try it without an arm: dead-man switch, deflections, buttons, pushes."""

    input: Annotated[str, tyro.conf.arg(metavar="NAME[:REST]")] = "gamepad"
    """keyboard, gamepad[:/dev/input/js0], spacemouse, socket[:HOST:PORT or a path]."""
    seconds: float = float("inf")
    """How long; by default until Ctrl-C, or Esc on a keyboard."""
    rate: float = 25.0
    """Readings a second, as a policy's steps."""
    json: bool = False
    """Print the figures at the end as JSON."""

    def run(self) -> int:
        from hardware.inputs import INPUTS
        from robot_learn.registry import load

        if not 5.0 <= self.rate <= 1000.0 or not self.seconds > 0:
            raise UserError(f"wanted a rate of 5 to 1000 and seconds above 0, came {self.rate:g} and {self.seconds:g}")
        name, _, rest = self.input.partition(":")
        with load(INPUTS, name, kind="input")(rest) as source, _shown(source) as show:
            figures = _watch(source, show, self.seconds, 1 / self.rate)
        if self.json:
            put_json(figures)
        else:
            put("\n".join(f"{key.replace('_', ' '):<22}{value}" for key, value in figures.items()))
        return 0


def _watch(source: Input, show: Callable[[list[str]], None], seconds: float, period: float) -> dict[str, Any]:
    """Read until the time is over, the person quits or interrupts; the figures of it."""
    from hardware.inputs.pushes import TWISTS, Pushes, directions
    from hardware.inputs.takeover import Takeover

    takeover, told = Takeover(), list[str]()
    pushes = Pushes(
        directions({name: _axis(twist) for name, twist in TWISTS.items()}), lambda p: told.append(p.direction)
    )
    count = {"there": 0, "policy": 0, "person": 0, "nobody": 0}
    longest, begun = 0.0, time.monotonic()
    try:
        while (now := time.monotonic()) - begun < seconds:
            hand = source.read(now)
            longest = max(longest, time.monotonic() - now)
            driver = takeover.update(hand, now)
            pushes.update(hand, now, held=driver != "nobody")
            count[driver] += 1
            count["there"] += hand.age < takeover.dead_man.times.heartbeat
            show(_screen(source, hand, takeover, told))
            if "quit" in hand.buttons:
                break
            time.sleep(max(0.0, now + period - time.monotonic()))
    except KeyboardInterrupt:
        pass
    readings = max(1, count["policy"] + count["person"] + count["nobody"])
    return {
        "device": source.name,
        "readings": readings,
        "there": round(count["there"] / readings, 4),
        "held": round(1 - count["nobody"] / readings, 4),
        "person_drove": round(count["person"] / readings, 4),
        "takeovers": takeover.taken,
        "pushes": told,
        "longest_reading_ms": round(1e3 * longest, 2),
    }


def _axis(twist: tuple[float, ...]) -> Any:
    import numpy as np

    return np.array(twist, dtype=float)


def _screen(source: Input, hand: Hand, takeover: Takeover, told: list[str]) -> list[str]:
    """All that a person has to see."""
    age = "gone" if hand.age == float("inf") else f"{1e3 * hand.age:.0f} ms old"
    switch = "HELD" if takeover.dead_man.held else "pressed" if hand.dead_man else "open"
    opening = "" if hand.opening is None else f"   gripper to {1e3 * hand.opening:.0f} mm"
    return [
        f"{source.name}   {age}",
        source.help,
        f"switch {switch:<8} drives {takeover.driver:<8}{opening}",
        *(f"{name:<8}{_bar(value)} {value:+.2f}" for name, value in zip(_AXES, hand.twist, strict=True)),
        f"buttons {', '.join(sorted(hand.buttons)) or '-'}",
        f"pushes  {' '.join(told[-8:]) or '-'}",
    ]


def _bar(value: float) -> str:
    """A deflection from -1 to 1 as a mark on a line."""
    cells = ["-"] * _WIDTH
    cells[_WIDTH // 2] = "|"
    cells[round((value + 1) / 2 * (_WIDTH - 1))] = "o"
    return "".join(cells)


@contextmanager
def _shown(source: Input) -> Iterator[Callable[[list[str]], None]]:
    """What draws the screen anew; where there is no terminal, a line whenever switch, driver or a push changes."""
    token = getattr(source, "token", None)
    if token is not None:
        say(f"listening at {source.name.rpartition(' ')[2]}, token {token}")
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        with Live(console=Console(file=sys.stderr), auto_refresh=False) as live:
            yield lambda lines: live.update(Text("\n".join(lines)), refresh=True)
        return
    before: list[str] = []

    def line(lines: list[str]) -> None:
        nonlocal before
        changed = [lines[2].strip(), *lines[-2:]]
        if changed != before:
            before = changed
            say("   ".join(changed))

    yield line
