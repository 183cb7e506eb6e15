"""What a language model is told about a reward that was tried, so that it writes a better one.

Eureka (Ma et al., ICLR 2024) gives the model each term's statistics over the training. Figures alone are a weak prompt,
a named fault with its reason is a strong one, and a person's sentence, where there is one, outweighs both. A choice
between two behaviours is told in the same way. The success criterion itself is never shown, only how often it was met.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rewards.models import Message

CURVE_ROWS, EPISODE_ROWS = 6, 6
NOISE = 1e-9  # what rounding leaves of a 0

_OPENING = "Your reward was tried. Improve it."  # of each request; recorded replies answer it to the letter
_ANSWER = """\
# Answer

First reason in brief, at most 20 lines: which of your terms made the robot do this, what it collects now and what it
would collect for doing the task, and what you change. Then give exactly one fenced block, ```python, with the whole new
program. Nothing after it."""

_SAID = """\
# What a person who watched the robot says

{said}

This outweighs the figures: mend what it complains of, and keep what it praises or does not mention."""

_PREFERRED = """\
# What a person prefers

A person watched robots that were trained on two programs, and preferred the behaviour of program 1 to that of
program 2. Program 1 is your last one, whose figures stand above. Program 2 was this:

```python
{program}
```

{outcome}

Find out which terms make the difference that the person saw, and go further in the direction of program 1."""


@dataclass(frozen=True)
class Feedback:
    """What came of a reward program. Whatever is None or empty is not mentioned."""

    steps: int | None = None  # control steps that a policy was trained for
    successes: int | None = None  # of `episodes` that were measured afterwards
    episodes: int = 0
    curve: Sequence[Mapping[str, float]] = ()  # of the training: "steps", then figures by name
    episode: Mapping[str, Sequence[float]] = field(default_factory=dict)  # by term: each step of one measured episode
    control_dt: float = 1.0  # [s] between two of them
    weights: Mapping[str, float] = field(default_factory=dict)  # by term: factors that the program itself does not hold
    findings: Sequence[str] = ()  # named faults, each one sentence or two
    preferred_to: Sequence[Rejected] = ()  # other programs, whose behaviour a person liked less
    said: str | None = None  # by a person who watched


@dataclass(frozen=True)
class Rejected:
    """A program that lost against the one that is revised, and what came of it."""

    program: str
    feedback: Feedback


def drafts(conversation: Sequence[Message]) -> list[tuple[Message, ...]]:
    """What each accepted program of a conversation answers: the prompt, and the conversation up to each revision."""
    revised = (n for n, turn in enumerate(conversation) if turn.role == "user" and turn.text.startswith(_OPENING))
    return [tuple(conversation[: end - 1]) for end in (*revised, len(conversation))]


def revision_request(feedback: Feedback) -> str:
    """The user message that sends a program back to the model that wrote it."""
    parts = [_OPENING]
    if feedback.steps is not None or feedback.episodes:
        parts.append("# How it went\n\n" + _outcome(feedback))
    if feedback.curve:
        title = "Means over the training, at the control steps of the first column (terms: mean for each step):"
        parts.append(f"{title}\n\n{_table(_thinned(feedback.curve, CURVE_ROWS))}")
    if feedback.episode:
        parts.append(_episode(feedback))
    if feedback.findings:
        faults = "\n".join(f"- {finding}" for finding in feedback.findings)
        parts.append(f"# What is wrong with it\n\n{faults}")
    parts += [_preferred(rejected) for rejected in feedback.preferred_to]
    if feedback.said:
        parts.append(_SAID.format(said=feedback.said.strip()))
    return "\n\n".join([*parts, _ANSWER])


def _preferred(rejected: Rejected) -> str:
    told = [_outcome(rejected.feedback), _episode(rejected.feedback) if rejected.feedback.episode else ""]
    outcome = "\n\n".join(part for part in told if part) or "Nothing was measured of it."
    return _PREFERRED.format(program=rejected.program.strip("\n"), outcome=outcome)


def _outcome(feedback: Feedback) -> str:
    text = "" if feedback.steps is None else f"A policy was trained on it for {feedback.steps:,} control steps. "
    if feedback.episodes:
        text += f"The hidden test was passed in {feedback.successes} of {feedback.episodes} episodes after that."
    if feedback.weights:
        factors = ", ".join(f"{name} by {factor:.3g}" for name, factor in feedback.weights.items())
        text += f"\nFor that its terms were multiplied: {factors}. All figures of terms are without these factors."
    return text.strip()


def _episode(feedback: Feedback) -> str:
    title = "The first measured episode, what each term paid at that moment:"
    return f"{title}\n\n{_table(_moments(feedback))}"


def _thinned(rows: Sequence[Mapping[str, float]], count: int) -> list[Mapping[str, float]]:
    """At most `count` rows, evenly spread, the first and the last among them."""
    if len(rows) <= count:
        return list(rows)
    return [rows[round(index * (len(rows) - 1) / (count - 1))] for index in range(count)]


def _moments(feedback: Feedback) -> list[dict[str, float]]:
    steps = max(len(values) for values in feedback.episode.values())
    rows = [
        {
            "time [s]": (step + 1) * feedback.control_dt,
            **{name: values[step] for name, values in feedback.episode.items()},
        }
        for step in range(steps)
    ]
    return [dict(row) for row in _thinned(rows, EPISODE_ROWS)]


def _table(rows: Sequence[Mapping[str, float]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [" | ".join(names)]
    lines += [" | ".join("" if name not in row else _number(row[name]) for name in names) for row in rows]
    return "\n".join(lines)


def _number(value: float) -> str:
    if abs(value) < NOISE:
        return "0"
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 1000 else f"{value:.3g}"
