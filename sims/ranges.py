"""Tables of parameter ranges for domain randomisation.

A table gives each parameter a range: `{"mass": (0.7, 1.3), "friction": {"low": 0.5, "high": 2, "scale": "log"},
"latency": (0, 2)}`; a number fixes it. Physical parameters (`sims.parameters`) are factors of the nominal value. Every
task has these as well:

    latency            control steps by which an action takes effect later; until the first one does, actions are 0
    action_noise       standard deviation of noise drawn at each step, in half ranges of each action component: 0.1 is
                       0.1 where those go from -1 to 1
    observation_noise  standard deviation of noise drawn at each step, in the units of each observation component: 0.01
                       is 1 cm, 0.01 rad, 1 cm/s. The scene stays exact: rewards and success are about what is really
                       there
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robot_learn.errors import UserError, unknown
from sims.parameters import check_factor

LATENCY, ACTION_NOISE, OBSERVATION_NOISE = "latency", "action_noise", "observation_noise"
OF_THE_LOOP = (LATENCY, ACTION_NOISE, OBSERVATION_NOISE)  # nominally 0; the others are factors, nominally 1
MOST_LATENCY = 100  # [control steps]


@dataclass(frozen=True)
class Range:
    """Where a parameter is drawn from, ends included."""

    low: float
    high: float
    log: bool = False  # uniform in the logarithm

    def draw(self, rng: np.random.Generator, *, whole: bool) -> float:
        if whole:
            return float(rng.integers(int(self.low), int(self.high), endpoint=True))
        if self.log:
            # The exponential of a logarithm is not quite the number itself.
            return float(np.clip(np.exp(rng.uniform(np.log(self.low), np.log(self.high))), self.low, self.high))
        return float(rng.uniform(self.low, self.high))


def nominal(name: str) -> float:
    """The value that a parameter has when nothing is randomised."""
    return 0.0 if name in OF_THE_LOOP else 1.0


def parse_table(table: Mapping[str, Any], allowed: Sequence[str]) -> dict[str, Range]:
    """The ranges of a table, checked.

    Raises:
        UserError: a parameter is not one of `allowed`, or its range is none.
    """
    for name in table:
        if name not in allowed:
            raise unknown("parameter", name, allowed)
    return {name: _range(name, table[name]) for name in sorted(table)}


def _range(name: str, entry: Any) -> Range:
    scale = "linear"
    ends = entry
    if isinstance(entry, Mapping):
        for key in entry:
            if key not in ("low", "high", "scale"):
                raise unknown(f"setting of parameter {name!r}", key, ("low", "high", "scale"))
        ends, scale = [entry.get("low"), entry.get("high")], entry.get("scale", "linear")
    elif isinstance(entry, int | float):
        ends = [entry, entry]
    numbers = isinstance(ends, Sequence) and len(ends) == 2 and all(_is_number(end) for end in ends)
    if not numbers or scale not in ("linear", "log"):
        wanted = "a number, [low, high] or {low, high, scale: 'linear' or 'log'}"
        raise UserError(f"parameter {name!r}: wanted {wanted}, came {entry!r}")
    for end in ends:
        check(name, end)
    low, high = map(float, ends)
    if low > high or (scale == "log" and low <= 0):
        raise UserError(f"parameter {name!r}: wanted low <= high, and on a log scale low above 0, came {low} to {high}")
    return Range(low, high, scale == "log")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def check(name: str, value: float) -> None:
    """Raises UserError where a parameter cannot have this value."""
    if name == LATENCY and not (0 <= value <= MOST_LATENCY and float(value).is_integer()):
        raise UserError(f"parameter 'latency': wanted whole control steps from 0 to {MOST_LATENCY}, came {value}")
    if name in OF_THE_LOOP and not (np.isfinite(value) and value >= 0):
        raise UserError(f"parameter {name!r}: wanted 0 or more, came {value}")
    if name not in OF_THE_LOOP:
        check_factor(name, value)


def read_table(path: Path | str) -> dict[str, Any]:
    """A table from a JSON or TOML file; from a run's config.json, the one that the run was trained with.

    Raises:
        UserError: there is no such file, or it holds no table.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise UserError(f"randomisation {str(path)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"randomisation {str(path)!r} is neither JSON nor, named .toml, TOML: {error}") from error
    found = found.get("randomise", found) if isinstance(found, dict) else found
    if not isinstance(found, dict):
        raise UserError(f"randomisation {str(path)!r}: wanted a table of parameters, came {type(found).__name__}")
    return found
