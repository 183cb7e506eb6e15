"""Units as products of powers, e.g. "m/s^2". A unit of None is polymorphic: a literal may carry any unit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

# (("m", 1), ("s", -2)), sorted by symbol; () is a pure number; None is unknown.
Unit = tuple[tuple[str, Fraction], ...] | None

ONE: Unit = ()
_FACTOR = re.compile(r"([*/ ]?)\s*([A-Za-z%]+)(?:(?:\^|\*\*)(-?\d+))?\s*")


def parse(text: str) -> Unit:
    """The unit of a scene field. What is no product of powers is one symbol of its own."""
    text = text.strip().replace("·", "*")
    powers: dict[str, Fraction] = {}
    position = 1 if text.startswith("1") else 0
    while position < len(text):
        match = _FACTOR.match(text, position)
        if match is None:
            return ((text, Fraction(1)),)
        sign = -1 if match[1] == "/" else 1
        powers[match[2]] = powers.get(match[2], Fraction(0)) + sign * int(match[3] or 1)
        position = match.end()
    return _canonical(powers)


def _canonical(powers: dict[str, Fraction]) -> Unit:
    return tuple(sorted((symbol, power) for symbol, power in powers.items() if power))


RADIAN = parse("rad")


def show(unit: Unit) -> str:
    """ "m/s^2", "1", or "unknown"."""
    if unit is None:
        return "unknown"

    def factor(symbol: str, power: Fraction) -> str:
        return symbol if power == 1 else f"{symbol}^{power}" if power.denominator == 1 else f"{symbol}^({power})"

    above = "*".join(factor(symbol, power) for symbol, power in unit if power > 0)
    below = "".join(f"/{factor(symbol, -power)}" for symbol, power in unit if power < 0)
    return (above or "1") + below


def product(units: Sequence[Unit], powers: Sequence[float]) -> Unit:
    """The unit of a product of powers; unknown as soon as one factor is."""
    total: dict[str, Fraction] = {}
    for unit, power in zip(units, powers, strict=True):
        if unit is None:
            return None
        for symbol, own in unit:
            total[symbol] = total.get(symbol, Fraction(0)) + own * Fraction(power).limit_denominator(12)
    return _canonical(total)


def common(units: Sequence[Unit]) -> Unit:
    """The unit of a sum: the one known unit, or unknown where none is known or two differ."""
    known = {unit for unit in units if unit is not None}
    return known.pop() if len(known) == 1 else None


def clash(units: Sequence[Unit]) -> tuple[Unit, Unit] | None:
    """Two known units that cannot be added or compared. A radian is a pure number (SI brochure, table 4)."""

    def without_radian(unit: Unit) -> Unit:
        return unit and tuple(factor for factor in unit if factor[0] != "rad")

    known = [unit for unit in units if unit is not None]
    for other in known[1:]:
        if without_radian(other) != without_radian(known[0]):
            return known[0], other
    return None
