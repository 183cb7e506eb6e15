"""What wrong pushes cost, on the bare problem: no robot, only cuts through the present centre, some on the wrong side.

The truth is uniform in a box of sides 2. A person pushes while the centre is further than rho from it, along a random
direction each time, and errs with a given probability. Compared are the plain set, the forgiving one, and the forgiving
one that also asks again about the correction that it doubts most. Such an answer counts, too, and may be wrong as well.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from controllers.alignment.cuts import Cut
from controllers.alignment.ellipsoid import EmptyInteriorError, NotConvergedError
from controllers.alignment.forgiveness import Beliefs
from controllers.alignment.hypotheses import Hypotheses

RULES = ("plain", "forgiving", "forgiving, asking")
SHARES = (0.0, 0.05, 0.1, 0.2)
RHO = {2: 0.05, 5: 0.2, 20: 0.8}  # by the number of parameters; about as many times nearer than the first guess
ANSWERS = {2: 60, 5: 100, 20: 150}  # that a person gives at most
SEEDS = range(2**30, 2**30 + 50)  # used for nothing else
ASK_ABOVE, ASK_AT_MOST = 0.3, 2  # the doubt from which a correction is asked about, and how often


@dataclass(frozen=True)
class Search:
    """How one run went."""

    success: bool
    answers: int  # pushes, and confirmations or denials
    seconds: tuple[float, ...]  # of the processor, for each push


def run(
    sizes: Sequence[int] = (2, 5), shares: Sequence[float] = SHARES, seeds: Sequence[int] = SEEDS
) -> list[dict[str, Any]]:
    """One row for each number of parameters (2, 5 or 20), share of wrong answers and rule."""
    rows = []
    for size in sizes:
        for share in shares:
            for rule in RULES:
                runs = [search(rule, size, share, seed) for seed in seeds]
                found = [each.answers for each in runs if each.success]
                spent = [seconds for each in runs for seconds in each.seconds]
                rows.append(
                    {
                        "r": size,
                        "wrong": share,
                        "rule": rule,
                        "runs": len(runs),
                        "success": round(len(found) / len(runs), 2),
                        "answers_mean": round(float(np.mean(found)), 1) if found else None,
                        "answers_p90": round(float(np.quantile(found, 0.9)), 1) if found else None,
                        "update_ms": round(1e3 * float(np.median(spent)), 1) if spent else None,
                    }
                )
    return rows


def search(rule: str, size: int, wrong: float, seed: int) -> Search:
    """One run, until the centre is near enough, the answers are used up or nothing is possible any more."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(-1, 1, size)
    low, high = -np.ones(size), np.ones(size)
    now: Hypotheses | Beliefs = Hypotheses.box(low, high) if rule == "plain" else Beliefs.start(low, high, seed=seed)
    centre = np.zeros(size)
    right: list[bool] = []  # whether each push was
    asked: list[int] = []
    seconds: list[float] = []
    while np.linalg.norm(centre - truth) > RHO[size] and len(right) + len(asked) < ANSWERS[size]:
        right.append(bool(rng.random() >= wrong))
        normal = rng.standard_normal(size)
        normal *= np.sign(normal @ (centre - truth)) * (1 if right[-1] else -1) / np.linalg.norm(normal)
        began = time.process_time()
        try:
            now = now.add([Cut(normal, float(normal @ centre), "push")], len(right) - 1)
            centre = _centre(now)
        except (EmptyInteriorError, NotConvergedError):
            break
        seconds.append(time.process_time() - began)
        doubted = _doubted(now, asked) if rule == "forgiving, asking" else None
        if isinstance(now, Beliefs) and doubted is not None:
            asked.append(doubted)
            same = (rng.random() >= wrong) == right[doubted]
            now = now.confirm(doubted) if same else now.without([doubted])
            centre = _centre(now)
    return Search(bool(np.linalg.norm(centre - truth) <= RHO[size]), len(right) + len(asked), tuple(seconds))


def _doubted(now: Hypotheses | Beliefs, asked: Sequence[int]) -> int | None:
    """The correction that it is best to ask about, if any is."""
    suspects = now.suspects(ASK_ABOVE) if isinstance(now, Beliefs) else []
    return next((key for key in suspects if asked.count(key) < ASK_AT_MOST), None)


def _centre(now: Hypotheses | Beliefs) -> np.ndarray:
    return now.hypotheses.centre if isinstance(now, Beliefs) else now.centre
