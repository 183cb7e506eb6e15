"""Faults of a reward, each a function from what it pays for the probes of a task to findings.

The texts are written for the author of the program: what is wrong, with figures, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rewards.probed import HARDEST, TAIL, Episodes, end, measure
from robot_learn.rollouts import Scored

Severity = Literal["refuse", "doubt", "note"]

RANK_REFUSED, RANK_DOUBTED = 0.8, 0.95  # share of pairs in which the success is paid more
FLAT = 4e-3  # spread over random motion, in shares of what success brings
HIDDEN = 20.0  # a term that swings by this many times another's rise, while that one rises
UNEQUAL = 300.0  # ranges of two terms
GIVEN_BACK = 0.2  # of what a way there and back pays, at most


@dataclass(frozen=True)
class Finding:
    """One fault; the text stands for itself in a prompt."""

    name: str  # "hackable"
    term: str | None  # the term at fault, where it is one
    severity: Severity
    text: str


@dataclass(frozen=True)
class Loop:
    """What a reward pays for going somewhere and back the same way, and for resting in the same places."""

    there_and_back: Scored  # of 2T steps
    at_rest: Scored  # of the T steps there


def failures_pay(episodes: Episodes) -> Iterator[Finding]:
    """The rank check: an episode that succeeds must be paid more than one that fails."""
    figures = measure(episodes)
    if "rank" not in figures:
        if not episodes.won.any():
            missing = "no probe succeeds"
        else:
            missing = "every probe succeeds"
        yield Finding("undecided", None, "note", f"Success and failure could not be compared: {missing}.")
        return
    if figures["rank"] >= RANK_DOUBTED:
        return
    won = episodes.won
    high, low = np.median(episodes.stay[won]), np.quantile(episodes.stay[~won], 1.0 - HARDEST)
    text = (
        f"Success does not pay more than the best failures: a step in success pays {high:.3g} (median), the end of the "
        f"best tenth of the failed episodes {low:.3g} or more; these win {1 - figures['rank']:.0%} of the comparisons. "
        f"{_blame(episodes, ~won & (episodes.stay >= low))} Pay clearly more for the finished task than for any state "
        "short of it."
    )
    yield Finding("failures pay", None, "refuse" if figures["rank"] < RANK_REFUSED else "doubt", text)


def standing_still_pays(episodes: Episodes) -> Iterator[Finding]:
    """Doing nothing must not collect more than, or nearly as much as, a success."""
    still, won = episodes.of_source("still") & ~episodes.won, episodes.won
    if not (still.any() and won.any()):
        return
    idle, success = np.median(episodes.returns[still]), np.median(episodes.returns[won])
    margin = (success - idle) / (np.ptp(episodes.returns) + 1e-12)
    stays = np.median(episodes.stay[won]) > np.median(episodes.stay[still]) + 0.05 * np.ptp(episodes.stay)
    if margin >= 0.05 or (margin > 0 and stays):
        return
    text = (
        f"Standing still pays: an episode of doing nothing collects {idle:.3g}, a successful one {success:.3g} "
        f"(medians, discounted). {_blame(episodes, still)} Make what pays at the start depend on progress."
    )
    yield Finding("standing still", None, "refuse" if margin < 0 and not stays else "doubt", text)


def hackable(episodes: Episodes) -> Iterator[Finding]:
    """No failure, least of one that was planned to collect, may be paid more than the successes."""
    won = episodes.won
    if not won.any():
        return
    typical, usual = np.median(episodes.stay[won]), np.median(episodes.returns[won])
    richer = ~won & (episodes.stay > typical) & (episodes.returns > usual)
    planned = richer & episodes.of_source("planned")
    # A step short of success a good reward may pay as much as a poor success: those stay out.
    chance = richer & ~episodes.of_source("planned", "scripted")
    if not planned.any() and chance.sum() < 3:
        return
    which = planned if planned.any() else chance
    worst = int(np.argmax(np.where(which, episodes.stay, -np.inf)))
    who = {"planned": "a planner that maximises it", "disturbed": "a script that was disturbed"}
    text = (
        f"The reward can be collected without doing the task: {who.get(str(episodes.source[worst]), 'random motion')} "
        f"fails and ends at {episodes.stay[worst]:.3g} a step; a step in success pays {typical:.3g}. "
        f"{_blame(episodes, which)} Cap what these terms pay, or let them pay only together with the goal."
    )
    yield Finding("hackable", None, "refuse" if planned.any() else "doubt", text)


def no_signal(episodes: Episodes) -> Iterator[Finding]:
    """Random motion at the start must make a difference, or learning never begins."""
    spread = float(np.std(episodes.rewards))
    if spread <= 1e-9 * (1.0 + np.abs(episodes.rewards).max()):
        yield Finding(
            "constant", None, "refuse", "The reward is the same at every step of every episode: it asks for nothing."
        )
        return
    random = episodes.running & episodes.of_source("random")
    rise = {name: value for name, value in episodes.rise.items() if value > 0}
    if not (random.any() and rise):
        return
    share = sum(float(np.std(episodes.terms[name][random])) for name in rise) / sum(rise.values())
    if share >= FLAT:
        return
    text = (
        f"Flat start: over random motion from the start, the terms that pay for success vary by {share:.1g} of what "
        "success brings, so that nothing says which way is better. Add a term with a slope over the whole way, e.g. "
        "1 - tanh(distance / its initial value) of what must be reached first."
    )
    # No more than a doubt: a training moves at random a thousand times longer than the probes.
    yield Finding("flat start", None, "doubt", text)


def never_fires(episodes: Episodes) -> Iterator[Finding]:
    """A term that is the same at all times says nothing."""
    for name, term in episodes.terms.items():
        if episodes.won.any() and np.ptp(term) <= 1e-9 * (1.0 + np.abs(term).max()):
            text = (
                f"`{name}` never changes: it is {term.flat[0]:.3g} at every step of {term.shape[1]} episodes, "
                f"{episodes.won.sum()} successes among them. Its condition is never met, or it has no input: mend or "
                "remove it."
            )
            yield Finding("never fires", name, "doubt", text)


def saturated(episodes: Episodes) -> Iterator[Finding]:
    """A term that is at its maximum from the start, and that random motion leaves there, teaches nothing."""
    random = episodes.running & episodes.of_source("random", "still")
    for name, term in episodes.terms.items():
        top, span = term.max(), np.ptp(term)
        # Without a success nobody knows what a term is for: one that never falls may keep a robot upright.
        if span <= 1e-9 or not random.any() or episodes.rise.get(name, np.inf) > 0.05 * span:
            continue
        if np.quantile(term[random], 0.1) >= top - 0.02 * span:
            text = (
                f"`{name}` is at its maximum of {top:.3g} from the start and stays there during random motion: it "
                "rewards nothing new. Narrow it, or keep it small."
            )
            yield Finding("saturated", name, "note", text)


def dominates(episodes: Episodes) -> Iterator[Finding]:
    """While one term rises towards success, no other may swing by many times that rise."""
    top = max(episodes.rise.values(), default=0.0)
    for name, rise in episodes.rise.items():
        if rise <= 1e-3 * top:
            continue
        stage = _while_rising(episodes, name, rise)
        columns = np.flatnonzero(stage.any(axis=0))
        for other, term in episodes.terms.items():
            swings = [float(np.std(term[stage[:, column], column])) for column in columns]
            if other != name and swings and np.median(swings) > HIDDEN * rise:
                text = (
                    f"`{other}` hides `{name}`: while `{name}` rises by {rise:.3g} on the way to success, `{other}` "
                    f"swings by {np.median(swings):.3g} (standard deviation). Bring the two to the same scale."
                )
                yield Finding("dominates", other, "doubt", text)


def unequal(episodes: Episodes) -> Iterator[Finding]:
    """Terms, or steps, of very different size."""
    spans = {name: float(np.ptp(term)) for name, term in episodes.terms.items()}
    spans = {name: span for name, span in spans.items() if span > 1e-9}
    if spans:
        largest, smallest = max(spans, key=lambda name: spans[name]), min(spans, key=lambda name: spans[name])
        if spans[largest] > UNEQUAL * spans[smallest]:
            text = (
                f"Scales differ: `{largest}` ranges over {spans[largest]:.3g}, `{smallest}` over "
                f"{spans[smallest]:.3g}. The smaller one is not heard: give terms that matter ranges within a factor "
                "of ten."
            )
            # Without a success nobody knows which terms matter.
            yield Finding("scale", largest, "doubt" if episodes.won.any() else "note", text)
    size = np.abs(episodes.rewards[episodes.running])
    usual, largest_step = float(np.quantile(size, 0.9)), float(size.max())
    if largest_step > UNEQUAL * max(usual, 1e-12):
        text = (
            f"A single step pays {largest_step:.3g}, nine of ten steps less than {usual:.3g}: such spikes drown "
            "everything else. Bound it, e.g. with np.clip or np.tanh."
        )
        yield Finding("scale", None, "doubt", text)


def falls_on_the_way(episodes: Episodes) -> Iterator[Finding]:
    """Along a scripted success the reward should rise, or at least not fall."""
    progress = measure(episodes).get("progress", 1.0)
    if progress < 0.0:
        falling = [name for name, rise in episodes.rise.items() if rise < 0]
        text = (
            f"The reward falls on the way to success: its rank correlation with time is {progress:.2f} in scripted "
            f"successes. {'Terms that fall: ' + ', '.join(falling) + '. ' if falling else ''}Check their signs."
        )
        yield Finding("falls on the way", falling[0] if falling else None, "doubt", text)


def going_back_is_paid(episodes: Episodes, loop: Loop) -> Iterator[Finding]:
    """What motion pays on the way there it must take back on the way back, or swinging to and fro earns for ever."""
    steps, rest = len(loop.at_rest.rewards), loop.at_rest.rewards
    there, back = loop.there_and_back.rewards[:steps], loop.there_and_back.rewards[steps:][::-1]
    moved, gain = float(np.abs(there - rest).sum()), float((there + back - 2 * rest).sum())
    if moved < 1e-3 * float(np.abs(there).sum()) or gain <= GIVEN_BACK * moved:
        return
    gains = {
        name: float((loop.there_and_back.terms[name][:steps] + loop.there_and_back.terms[name][steps:][::-1]).sum())
        - 2 * float(still.sum())
        for name, still in loop.at_rest.terms.items()
    }
    worst = max(gains, key=lambda name: gains[name])
    # Where the tenth of the way that pays best is worth less than success, nobody will swing there for ever.
    width = max(1, round(TAIL * steps))
    swinging = max(
        float(((there + back) / 2)[at : at + width].mean(axis=0).max()) for at in range(0, steps - width + 1, width)
    )
    success = float(np.median(episodes.stay[episodes.won])) if episodes.won.any() else np.inf
    text = (
        f"Going back is paid: `{worst}` pays for motion there and does not take it back on the same way back, "
        f"{gain / moved:.0%} of it is kept, so that swinging to and fro earns up to {swinging:.3g} a step"
        f"{f', and success {success:.3g}' if episodes.won.any() else ''}. Pay for the state (how far it is), or for "
        "the plain difference to the step before, without max or abs."
    )
    yield Finding("going back is paid", worst, "note" if swinging < success else "doubt", text)


JUDGES: tuple[Callable[[Episodes], Iterator[Finding]], ...] = (
    failures_pay,
    standing_still_pays,
    hackable,
    no_signal,
    never_fires,
    saturated,
    dominates,
    unequal,
    falls_on_the_way,
)


def _while_rising(episodes: Episodes, name: str, rise: float) -> np.ndarray:
    """(T, N) bool: in successes, the steps in which a term is between a tenth and nine tenths of its rise."""
    term, steps = episodes.terms[name], len(episodes.rewards)
    first = np.where(episodes.won, np.argmax(episodes.success, axis=0), -1)
    share = (term - term[0]) / rise
    return np.asarray((np.arange(steps)[:, None] <= first) & (share > 0.1) & (share < 0.9))


def _blame(episodes: Episodes, failed: np.ndarray) -> str:
    """Which terms pay most to failures, against what they pay in success."""
    ends = {name: float(np.median(end(term[:, failed]))) for name, term in episodes.terms.items()}
    terms = sorted(ends, key=lambda name: -ends[name])[:2]
    paid = [
        f"`{name}` {ends[name]:.3g} (in success {episodes.terms[name][episodes.success].mean():.3g})" for name in terms
    ]
    return f"Paid for it at the end, a step: {', '.join(paid)}."
