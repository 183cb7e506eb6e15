"""The language in words, for prompts and for people: generated from the tables of functions and from the limits."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TypeGuard

from rewards.program import limits
from rewards.program.functions import Function
from rewards.program.special import CONSTANTS, METHODS, ROWS, Special

EXAMPLE = '''\
def closeness(a, b, scale=0.1):
    """1 where two points meet, falling with their distance in metres, never flat."""
    return 1.0 / (1.0 + np.linalg.norm(a - b) / scale)


def reward(scene, action):
    gripper = scene.gripper.position
    cup = scene.cup.position
    reach = closeness(gripper, cup)
    height = cup[2] - scene.initial.cup.position[2]
    lift = np.clip(height / 0.2, 0.0, 1.0)
    upright = max(0.0, quat_up(scene.cup.orientation)[2])
    if np.linalg.norm(gripper - cup) < 0.03 and scene.gripper.opening < 0.5:
        grasp = 1.0
    else:
        grasp = 0.0
    effort = -0.01 * np.sum(action**2)
    return {"reach": reach, "grasp": grasp, "lift": 3.0 * lift * upright, "effort": effort}
'''

_HEAD = f"""\
# The reward language
A reward program is a text in a small subset of Python. It is checked and compiled; Python never runs it. Write
`def reward(scene, action):` and, if useful, helper functions and numeric constants beside it at the top level.

## What it returns
- `return {{"reach": reach, "lift": lift}}`: named terms, whose sum is the reward; or
- `return total, {{"reach": reach, "lift": lift}}`: the reward, and the terms that are logged beside it.
- Every path returns. A term that one `return` leaves out is 0 there. Terms are numbers, at most {limits.MAX_TERMS}; a
  name is letters, digits and `_`. `terms = {{...}}` in a variable and `return sum(terms.values()), terms` are fine, but
  write the dict as one literal: `terms["x"] = ...` is not in the language.

## What it reads
- `scene.<group>.<quantity>`: exactly the fields that the scene declares, as they are after the step.
- `scene.initial.<group>.<quantity>`: at the start of the episode; `scene.previous.<group>.<quantity>`: one step ago.
- `action`: the array of the action that was just taken. Everything is read-only.
- The program sees one world at a time: a position is an array of shape (3,), a number has shape ().

## Statements and expressions
- `x = ...`, `x, y, z = position`, `x += ...` (numbers only), `if/elif/else`, early `return`, `a if condition else b`.
- `for` over `range(...)` with bounds known in advance, literal lists, elements of an array, `enumerate`, `zip`; list
  comprehensions and generators over the same. At most {limits.MAX_ITERATIONS} iterations, no `while`, `break` or
  `continue`.
- `+ - * / // % ** @`, `< <= > >= == !=` (also chained), `and or not`, and `& |` between truth values.
- A condition is one number or truth value: for arrays use `np.all(...)` or `np.any(...)`.
- Constant indices and slices: `v[0]`, `v[-1]`, `v[:2]`, `m[0, 1]`. Shapes combine as in numpy.
- Truth values multiply as 0 or 1: `2.0 * (d < 0.05)`. To add two of them write `float(a < b) + float(c < d)`.
- A variable that is used after an `if` is assigned on every path. Helpers take numbers, arrays, groups or the scene.

## What is not in the language
Imports (np and math are there already), lambdas, classes, functions inside functions, recursion, `try`, `with`,
`global`, `del`, `:=`, `*args`, decorators, strings other than term names, f-strings, print, assigning to elements or
attributes, names with a leading underscore, anything non-ASCII, and every function that is not listed below.
A text has at most {limits.MAX_TEXT:,} characters. An infinite or undefined reward stops the run: avoid division by what
can be zero, and roots or logarithms of what can be negative.

## Functions
"""


def language_reference() -> str:
    """The documentation of the language: rules, every function, and an example on an imaginary task."""
    lines = [_HEAD.rstrip("\n")]
    for topic in dict.fromkeys(row.topic for row in ROWS):
        lines.append(f"{topic[0].upper()}{topic[1:]}:")
        lines += _topic([row for row in ROWS if row.topic == topic])
    singles = [name.removeprefix("math.") for row in ROWS for name in row.spellings if name.startswith("math.")]
    methods = ", ".join(METHODS)
    lines += [
        "Others:",
        "- abs(x), round(x), pow(x, y), as in Python",
        *_filled("math.<name> of single numbers, with <name> one of", singles),
        f"- constants: {', '.join(CONSTANTS)}",
        f"- methods of arrays, x.sum() ...: {methods}, copy; x.astype(float); x.shape[0]",
    ]
    lines += ["", "## Example (an imaginary task)", "```python", EXAMPLE.rstrip("\n"), "```", ""]
    return "\n".join(lines)


def _topic(rows: Sequence[Function | Special]) -> list[str]:
    """One line per function; functions that explain themselves by their names share lines."""
    operators = [row for row in rows if row.doc.startswith("`")]
    maps = [row for row in rows if _is_map(row)]
    reductions = [row for row in rows if isinstance(row, Function) and tuple(row.static) == ("axis",)]
    python = [row for row in rows if _is_python(row)]
    calls = [f"{name}({row.signature})" for row in python for name in row.spellings]
    shared = [*operators, *maps, *reductions, *python]
    lines = [f"- {_usage(row)}: {row.doc}{_also(row)}" for row in rows if row not in shared]
    lines += _filled("of one array or number, element by element", _names(maps))
    lines += _filled("over all elements of x, or along axis=0 or axis=-1", _names(reductions))
    lines += _filled("as in Python, of numbers, arrays and lists", calls)
    return lines + _filled("the operators as functions of two arguments", _names(operators))


def _names(rows: Sequence[Function | Special]) -> list[str]:
    return [name for row in rows for name in row.spellings if name.startswith("np.")]


def _is_python(row: Function | Special) -> TypeGuard[Special]:
    return isinstance(row, Special) and "np." not in row.spellings[0]


def _is_map(row: Function | Special) -> bool:
    return isinstance(row, Function) and row.inputs == ("x",) and not row.static and row.spellings[0].startswith("np.")


def _filled(title: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    return textwrap.wrap(f"- {title}: {', '.join(names)}", 118, subsequent_indent="  ", break_long_words=False)


def _usage(row: Function | Special) -> str:
    if isinstance(row, Special):
        return f"{row.spellings[0]}({row.signature})"
    arguments = [*row.inputs, *(f"{name}=None" for name in row.static)]
    return f"{row.spellings[0]}({', '.join(arguments)})"


def _also(row: Function | Special) -> str:
    others = [name for name in row.spellings[1:] if not name.startswith("math.")]
    return f" (also {', '.join(others)})" if others else ""
