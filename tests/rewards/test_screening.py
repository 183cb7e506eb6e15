"""A good reward passes; every named fault is found in a reward that has it, and in none that has not.

The probes are a hand that walks along a line to a box and shoves it to a mark, written down without a simulator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import stats

from rewards.faults import Loop
from rewards.probed import Episodes, auc, rank_correlation
from rewards.screening import Screening, duplicates, screen
from robot_learn.rollouts import Rollouts, Scored, Source
from robot_learn.scene import Field, Scene, Schema
from robot_learn.types import ActionComponent, Task

STEPS, BOX, MARK = 100, 0.5, 1.0
SCHEMA = Schema(
    (
        Field("hand.place", (), "m", "world", "where the hand is"),
        Field("box.place", (), "m", "world", "where the box is"),
    )
)
TASK = Task("toy/shove", "Shove the box to the mark.", SCHEMA, (ActionComponent("v", -1, 1, "velocity"),), STEPS, 0.1)
Term = Callable[[Scene], np.ndarray]


def walk(source: Source, ways: Sequence[np.ndarray]) -> Rollouts:
    """Episodes of hands that are at `ways` (T + 1,) each; a box is where it lies or where the hand has shoved it."""
    hand = np.stack(ways, axis=1)
    box = np.maximum(BOX, np.maximum.accumulate(hand, axis=0))
    success = box[1:] > MARK - 0.05
    actions = np.diff(hand, axis=0)[..., None]
    values = {"hand.place": hand, "box.place": box}
    return Rollouts(SCHEMA, source, values, actions, success, np.ones_like(success))


@cache
def probes() -> tuple[Rollouts, ...]:
    time, rng = np.arange(STEPS + 1), np.random.default_rng(0)
    speeds = np.linspace(0.015, 0.03, 8)
    done = [np.minimum(MARK, speed * time) for speed in speeds]
    given_up = [np.minimum(share, 0.02 * time) for share in np.linspace(0.1, 0.9, 16)]
    chance = [np.cumsum(rng.normal(0.0, 0.01, STEPS + 1)) for _ in range(8)]
    still = [np.zeros(STEPS + 1) for _ in range(4)]
    kinds: tuple[tuple[Source, list[np.ndarray]], ...]
    kinds = (("scripted", done), ("disturbed", given_up), ("random", chance), ("still", still))
    return tuple(walk(source, ways) for source, ways in kinds)


class Sum:
    """A reward that is the sum of its terms."""

    def __init__(self, terms: Mapping[str, Term]) -> None:
        self.terms, self.term_names = terms, tuple(terms)

    def evaluate(self, scene: Scene, action: Any) -> tuple[Any, Mapping[str, Any]]:
        values = {name: np.broadcast_to(term(scene), len(action)) for name, term in self.terms.items()}
        return np.sum(list(values.values()), axis=0), values

    def __call__(self, scene: Scene, action: Any) -> Any:
        return self.evaluate(scene, action)[0]


def reach(scene: Scene) -> np.ndarray:
    return np.asarray(1.0 - np.tanh(2.0 * np.abs(scene["box.place"] - scene["hand.place"])))


def shove(scene: Scene) -> np.ndarray:
    return np.asarray(4.0 * (scene["box.place"] - BOX))


def progress(scene: Scene) -> np.ndarray:
    """A difference of a potential: paid on the way, taken back on the way back."""
    return np.asarray(reach(scene) + shove(scene) - reach(scene.previous) - shove(scene.previous))


GOOD = {"reach": reach, "shove": shove}


def scores(terms: Mapping[str, Term], more: Sequence[Rollouts] = (), *, without: tuple[str, ...] = ()) -> list[Scored]:
    return [each.score(Sum(terms)) for each in [*probes(), *more] if each.source not in without]


def judged(terms: Mapping[str, Term], more: Sequence[Rollouts] = (), *, without: tuple[str, ...] = ()) -> Screening:
    reward, scripted = Sum(terms), probes()[0]
    loop = Loop(scripted.there_and_back().score(reward), scripted.score(reward, at_rest=True))
    return screen(scores(terms, more, without=without), TASK, [loop])


def named(screening: Screening) -> dict[str, str]:
    return {found.name: found.severity for found in screening.findings}


@pytest.mark.parametrize("terms", [GOOD, {"progress": progress}], ids=["pays the state", "pays the way"])
def test_a_good_reward_passes_without_a_finding(terms: Mapping[str, Term]) -> None:
    found = judged(terms)
    assert found.findings == ()
    assert found.verdict == "pass"
    assert found.figures["rank"] > 0.95


def faulty(**terms: Term) -> dict[str, Term]:
    return {**GOOD, **terms}


FAULTS: dict[str, tuple[str, str | None, dict[str, Term]]] = {
    "the goal has the wrong sign": ("failures pay", None, faulty(shove=lambda scene: -shove(scene))),
    "only the reach is paid": ("failures pay", None, {"reach": reach}),
    "staying is paid more than all the rest": (
        "standing still",
        None,
        faulty(calm=lambda scene: 9.0 * (1.0 - np.tanh(20.0 * np.abs(scene["hand.place"])))),
    ),
    "nothing is asked": ("constant", None, {"one": lambda scene: np.ones(scene.num_worlds)}),
    "a gate that never opens": (
        "never fires",
        "gated",
        faulty(gated=lambda scene: np.where(scene["hand.place"] > 9.0, 5.0, 0.0)),
    ),
    "only the box is paid, which chance never moves": ("flat start", None, {"shove": shove}),
    "one term is a thousand times another": ("scale", "reach", faulty(reach=lambda scene: 1e3 * reach(scene))),
    "a term that is full from the start": (
        "saturated",
        "near",
        faulty(near=lambda scene: np.where(np.abs(scene["hand.place"]) < 0.6, 1.0, 0.0)),
    ),
    "another term swings while the box moves": (
        "dominates",
        "wave",
        faulty(wave=lambda scene: 100.0 * np.sin(30.0 * scene["hand.place"])),
    ),
    "the way there is paid and the way back is not charged": (
        "going back is paid",
        "moved",
        faulty(moved=lambda scene: 300.0 * np.abs(scene["hand.place"] - scene.previous["hand.place"])),
    ),
    "the reach has the wrong sign": ("falls on the way", "reach", faulty(reach=lambda scene: -50.0 * reach(scene))),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_names_its_term(fault: str) -> None:
    name, term, terms = FAULTS[fault]
    screening = judged(terms)
    found = next((each for each in screening.findings if each.name == name), None)
    assert found is not None, named(screening)
    assert term in (None, found.term)
    assert found.text.endswith((".", "?"))
    assert screening.score < judged(GOOD).score


@pytest.mark.parametrize(
    "fault",
    [
        "the goal has the wrong sign",
        "only the reach is paid",
        "nothing is asked",
        "staying is paid more than all the rest",
    ],
)
def test_rewards_that_cannot_lead_to_success_are_refused(fault: str) -> None:
    assert judged(FAULTS[fault][2]).verdict == "refuse"


def test_a_planned_failure_that_is_paid_more_than_success_is_proof_and_a_poor_one_is_nothing() -> None:
    bait = faulty(bait=lambda scene: 8.0 * np.clip(-scene["hand.place"], 0.0, 1.0))
    away, lame = np.minimum(1.0, 0.05 * np.arange(STEPS + 1)) * -1.0, np.zeros(STEPS + 1)
    proof = judged(bait, [walk("planned", [away])])
    assert named(proof)["hackable"] == "refuse"
    text = next(each.text for each in proof.findings if each.name == "hackable")
    assert "`bait` 8" in text
    assert "hackable" not in named(judged(bait))
    assert "hackable" not in named(judged(bait, [walk("planned", [lame])]))


def test_a_refused_reward_that_a_planner_brings_to_success_is_only_doubted() -> None:
    assert judged({"reach": reach}).verdict == "refuse"
    there = np.minimum(MARK, 0.05 * np.arange(STEPS + 1))
    assert judged({"reach": reach}, [walk("planned", [there])]).verdict == "doubt"
    half = [walk("planned", [there, np.zeros(STEPS + 1)])]
    assert judged({"reach": reach}, half).verdict == "refuse", "one of two proves nothing"


def test_a_planned_episode_that_was_cut_short_goes_on_as_it_ended() -> None:
    away = np.minimum(1.0, 0.05 * np.arange(41)) * -1.0
    bait = {"bait": lambda scene: -scene["hand.place"]}
    episodes = Episodes.of(scores(bait, [walk("planned", [away])]), TASK)
    assert episodes.rewards.shape[0] == STEPS
    np.testing.assert_array_equal(episodes.rewards[40:, -1], 1.0)


def test_terms_are_judged_with_the_weights_that_they_have_in_the_total() -> None:
    class Weighted(Sum):
        def evaluate(self, scene: Scene, action: Any) -> tuple[Any, Mapping[str, Any]]:
            _, values = super().evaluate(scene, action)
            return values["reach"] + 1e3 * values["shove"], values

    episodes = Episodes.of([each.score(Weighted(GOOD)) for each in probes()], TASK)
    plain = Episodes.of(scores(GOOD), TASK)
    np.testing.assert_allclose(episodes.terms["shove"], 1e3 * plain.terms["shove"], atol=1e-6)
    np.testing.assert_allclose(episodes.terms["reach"], plain.terms["reach"], atol=1e-6)


@pytest.mark.parametrize("without", [("scripted",), ("disturbed", "random", "still")], ids=["no success", "no failure"])
def test_without_a_success_or_a_failure_nothing_is_passed(without: tuple[str, ...]) -> None:
    found = judged(GOOD, without=without)
    assert found.verdict == "undecided"
    assert named(found) == {"undecided": "note"}
    assert "rank" not in found.figures


def test_cards_share_counts_successes_above_the_best_failure() -> None:
    episodes = Episodes.of(scores(GOOD), TASK)
    mean, won = episodes.rewards.mean(axis=0), episodes.won
    share = sum(value > max(mean[~won]) for value in mean[won]) / won.sum()
    assert judged(GOOD).figures["card"] == pytest.approx(share)


def test_rank_figures_equal_scipys() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.integers(0, 9, 40).astype(float), rng.integers(0, 9, 30).astype(float)
    assert auc(one, other) == pytest.approx(stats.mannwhitneyu(one, other).statistic / (40 * 30))
    assert rank_correlation(one[:30], other) == pytest.approx(stats.spearmanr(one[:30], other).statistic)
    assert rank_correlation(one, np.ones(40)) == 0.0


def test_an_affine_copy_is_a_duplicate_and_a_square_or_the_opposite_is_none() -> None:
    def total(scene: Scene) -> np.ndarray:
        return np.asarray(reach(scene) + shove(scene))

    candidates: list[Mapping[str, Term]] = [
        GOOD,
        {"copy": lambda scene: 3.0 * total(scene) + 2.0},
        {"square": lambda scene: total(scene) ** 2},
        {"opposite": lambda scene: -total(scene)},
        {"again": lambda scene: total(scene) ** 2 + 1.0},
    ]
    assert duplicates([scores(terms) for terms in candidates]) == [0, 0, 2, 3, 2]
