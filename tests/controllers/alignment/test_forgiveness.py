"""Wrong pushes: doubted, set aside, taken back, and the truth found all the same."""

from __future__ import annotations

import numpy as np
import pytest

from controllers.alignment.cuts import Cut
from controllers.alignment.ellipsoid import EmptyInteriorError
from controllers.alignment.forgiveness import Beliefs, _drawn_on_lines
from controllers.alignment.hypotheses import Hypotheses
from controllers.alignment.mistakes import RULES, run, search
from robot_learn.errors import UserError


def start(size: int = 2, **settings: float) -> Beliefs:
    return Beliefs.start(-np.ones(size), np.ones(size), **settings)  # type: ignore[arg-type]


def cut(*normal: float, offset: float = 0.0) -> Cut:
    return Cut(np.array(normal) / np.linalg.norm(normal), offset, "push")


LEFT, RIGHT = cut(1.0, 0.0, offset=-0.2), cut(-1.0, 0.0, offset=-0.2)  # x < -.2 and x > .2


def test_without_mistakes_it_is_the_plain_set() -> None:
    rng, truth = np.random.default_rng(0), np.array([0.3, -0.7, 0.1])
    plain, beliefs = Hypotheses.box(-np.ones(3), np.ones(3)), start(3)
    for correction in range(6):
        normal = rng.standard_normal(3)
        normal *= np.sign(normal @ (plain.centre - truth)) / np.linalg.norm(normal)
        said = [Cut(normal, float(normal @ plain.centre), "push")]
        plain, beliefs = plain.add(said, correction), beliefs.add(said, correction)
    assert beliefs.set_aside == frozenset()
    assert beliefs.hypotheses.central == plain.central == 6
    assert beliefs.hypotheses.centre == pytest.approx(plain.centre, abs=1e-9)


def test_one_push_that_two_others_contradict_is_set_aside_and_comes_back_when_it_is_confirmed() -> None:
    beliefs = start().add([RIGHT], 1).add([LEFT], 2).add([LEFT], 3)
    assert beliefs.set_aside == {1}
    assert beliefs.hypotheses.centre == pytest.approx(np.array([-0.6, 0.0]), abs=1e-4)
    assert beliefs.suspects()[0] == 1
    back = beliefs.confirm(1).confirm(1)
    assert back.set_aside == {2, 3}
    assert beliefs.set_aside == {1}  # and what was, stays


def test_doubts_are_the_posterior_probabilities() -> None:
    beliefs = start(count=4000).add([RIGHT], 1).add([LEFT], 2).add([LEFT], 3)
    # Thirds of the box: x < -.2 (share .4) contradicts 1, between (.2) all three, x > .2 (.4) contradicts 2 and 3.
    masses = np.array([0.4 * 0.1 * 0.9**2, 0.2 * 0.1**3, 0.4 * 0.9 * 0.1**2])
    wanted = (masses[0] + masses[1]) / masses.sum()
    assert beliefs.doubts[1] == pytest.approx(wanted, abs=0.03)
    assert beliefs.doubts[2] == pytest.approx(1 - masses[0] / masses.sum(), abs=0.03)


def test_the_cuts_of_one_correction_stand_and_fall_together() -> None:
    both = [LEFT, cut(0.0, 1.0, offset=0.5)]
    beliefs = start().add(both, 1).add([RIGHT], 2).add([RIGHT], 3)
    assert beliefs.set_aside == {1}
    assert beliefs.hypotheses.corrections.tolist() == [2, 3]


def test_contradictions_never_empty_the_hypotheses() -> None:
    rng, beliefs = np.random.default_rng(0), start(3)
    plain = Hypotheses.box(-np.ones(3), np.ones(3))
    for correction in range(12):
        said = [cut(*rng.standard_normal(3), offset=-0.3)]
        beliefs = beliefs.add(said, correction)
        assert beliefs.hypotheses.radius > 0
        plain = Hypotheses.of(plain.low, plain.high, beliefs.said)
    assert beliefs.set_aside
    with pytest.raises(EmptyInteriorError):
        _ = plain.centre


def test_what_is_taken_back_leaves_no_trace_but_chance() -> None:
    beliefs = start(count=2000).add([RIGHT], 1).add([LEFT], 2).without([1])
    assert set(beliefs.said) == {2}
    assert beliefs.hypotheses.centre == pytest.approx(np.array([-0.6, 0.0]), abs=1e-4)
    assert beliefs.doubts[2] == pytest.approx(0.6 * 0.1 / (0.6 * 0.1 + 0.4 * 0.9), abs=0.04)


def test_with_every_fifth_push_wrong_the_plain_set_loses_the_truth_and_this_one_finds_it() -> None:
    found = {rule: [search(rule, 2, 0.2, seed).success for seed in range(8)] for rule in ("plain", "forgiving")}
    assert sum(found["plain"]) <= 4
    assert sum(found["forgiving"]) >= 7


def test_the_benchmark_of_mistakes_has_a_row_for_each_rule_and_without_mistakes_all_succeed() -> None:
    rows = run(sizes=(2,), shares=(0.0,), seeds=range(2))
    assert [(row["rule"], row["success"]) for row in rows] == [(rule, 1.0) for rule in RULES]


def test_the_same_seed_gives_the_same_beliefs() -> None:
    one, other, third = (start(seed=seed).add([RIGHT], 1).particles for seed in (1, 1, 2))
    assert (one == other).all()
    assert not (one == third).all()


def test_a_draw_on_a_line_has_the_posteriors_density() -> None:
    beliefs = start(count=6000).add([RIGHT], 1)
    evidence = beliefs._evidence(beliefs.said, beliefs.times)
    points, towards = np.zeros((6000, 2)), np.tile([2.0, 0.0], (6000, 1))
    ends = np.full(6000, 0.5)  # lengths of -.5 and .5 reach the sides of the box
    drawn = 2 * _drawn_on_lines(points, towards, -ends, ends, evidence, np.random.default_rng(0))
    assert np.abs(drawn).max() <= 1
    assert (drawn > 0.2).mean() == pytest.approx(0.4 * 0.9 / (0.4 * 0.9 + 0.6 * 0.1), abs=0.02)


def test_what_makes_no_sense_is_refused() -> None:
    for rate in (0.0, 0.5):
        with pytest.raises(UserError, match="error rate"):
            start(error_rate=rate)
    with pytest.raises(UserError, match="no correction numbered 4"):
        start().confirm(4)
