"""Sets of hypotheses: what cuts leave, what is provably redundant, the certificate and its published numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.stats import kstest

from controllers.alignment.bench import pushed_set
from controllers.alignment.cuts import Cut
from controllers.alignment.ellipsoid import EmptyInteriorError, inscribed_ellipsoid
from controllers.alignment.hypotheses import ELLIPSOID_SHRINKS, Hypotheses
from robot_learn.errors import UserError


def unit_box(size: int = 2) -> Hypotheses:
    return Hypotheses.box(-np.ones(size), np.ones(size))


def cut(*normal: float, offset: float = 0.0) -> Cut:
    return Cut(np.array(normal) / np.linalg.norm(normal), offset, "push")


def test_the_box_is_its_own_centre_spread_and_volume() -> None:
    hypotheses = Hypotheses.box(np.array([-6.0, 0.0]), np.array([2.0, 1.0]))
    assert hypotheses.centre == pytest.approx(np.array([-2.0, 0.5]))
    assert hypotheses.spread == pytest.approx(np.array([4.0, 0.5]))
    assert hypotheses.log_volume == pytest.approx(np.log(4.0 * 0.5))


@pytest.mark.parametrize(("low", "high"), [([0.0], [0.0]), ([0.0, 0.0], [1.0]), ([0.0], [np.inf])])
def test_a_box_that_is_none_is_refused(low: list[float], high: list[float]) -> None:
    with pytest.raises(UserError, match="wanted low < high"):
        Hypotheses.box(np.array(low), np.array(high))


def test_adding_leaves_the_set_before_as_it_was() -> None:
    before = unit_box()
    after = before.add([cut(1.0, 0.0)], 1)
    assert before.contains(np.array([0.5, 0.0]))
    assert not after.contains(np.array([0.5, 0.0]))
    assert after.centre == pytest.approx(np.array([-0.5, 0.0]), abs=1e-5)


def test_without_a_correction_the_set_is_that_of_the_others_alone() -> None:
    first, second = [cut(1.0, 2.0)], [cut(-1.0, 0.3, offset=0.2), cut(0.0, 1.0, offset=0.1)]
    both = unit_box().add(first, 1).add(second, 2)
    assert both.without([1]).log_volume == pytest.approx(unit_box().add(second, 2).log_volume, abs=2e-6)
    assert both.without([2]).log_volume == pytest.approx(unit_box().add(first, 1).log_volume, abs=2e-6)
    assert both.without([3]) is both
    assert both.corrections.tolist() == [1, 2, 2]


def test_all_at_once_is_as_one_by_one() -> None:
    said = {7: [cut(1.0, 2.0)], 9: [cut(-1.0, 0.3, offset=0.2), cut(0.0, 1.0, offset=0.1)]}
    at_once = Hypotheses.of(-np.ones(2), np.ones(2), said)
    one_by_one = unit_box().add(said[7], 7).add(said[9], 9)
    assert at_once.log_volume == pytest.approx(one_by_one.log_volume, abs=2e-6)
    assert (at_once.sources, at_once.corrections.tolist()) == (one_by_one.sources, one_by_one.corrections.tolist())


@pytest.mark.parametrize("size", [1, 2, 5, 20])
def test_a_cut_through_the_centre_leaves_at_most_the_share_of_the_ellipsoid_that_is_promised(size: int) -> None:
    rng = np.random.default_rng(size)
    hypotheses = unit_box(size)
    for correction in range(12):
        normal = rng.standard_normal(size)
        smaller = hypotheses.add([cut(*normal, offset=normal @ hypotheses.centre / np.linalg.norm(normal))], correction)
        assert smaller.start is not None
        assert smaller.log_volume <= hypotheses.log_volume - ELLIPSOID_SHRINKS + 1e-5
        hypotheses = smaller
    assert hypotheses.central == 12


def test_rows_left_out_are_redundant_by_linear_programmes_and_change_nothing() -> None:
    hypotheses = pushed_set(3, 25, np.random.default_rng(1))
    hypotheses.ellipsoid  # noqa: B018  finds which rows are not needed, for the next set
    hypotheses = hypotheses.add([cut(1.0, 1.0, 1.0, offset=100.0)], 99)
    normals, offsets = hypotheses.rows
    left_out = np.flatnonzero(~hypotheses.needed)
    assert len(left_out) > 5
    others = np.flatnonzero(hypotheses.needed)
    for row in left_out:
        most = linprog(-normals[row], A_ub=normals[others], b_ub=offsets[others], bounds=(None, None))
        assert -most.fun <= offsets[row] + 1e-9
    assert inscribed_ellipsoid(normals, offsets).log_volume == pytest.approx(hypotheses.log_volume, abs=5e-6)


def test_cuts_away_from_the_centre_and_beyond_it_are_told_apart() -> None:
    shallow, deep = unit_box().add([cut(1.0, 0.0, offset=0.5)], 1), unit_box().add([cut(1.0, 0.0, offset=-0.5)], 1)
    assert (shallow.central, deep.central) == (0, 1)
    assert deep.centre == pytest.approx(np.array([-0.75, 0.0]), abs=1e-5)


def test_the_certificate_has_the_published_numbers() -> None:
    # The smaller of 14 and 54 at r = 2, rho = .02 in [-2, 2]^2; of 1153 and 244 at r = 20, rho = .5 in [-3, 5]^20.
    assert Hypotheses.box(np.full(2, -2.0), np.full(2, 2.0)).bound(0.02) == 14
    assert Hypotheses.box(np.full(20, -3.0), np.full(20, 5.0)).bound(0.5) == 244


@pytest.mark.parametrize("size", [1, 2, 6])
def test_the_bound_falls_by_at_least_one_with_every_central_cut_and_holds(size: int) -> None:
    rng = np.random.default_rng(size)
    hypotheses, rho = unit_box(size), 0.1
    bound, cuts = hypotheses.bound(rho), 0
    while hypotheses.holds_ball(rho):
        normal = rng.standard_normal(size)
        normal /= np.linalg.norm(normal)
        hypotheses = hypotheses.add([Cut(normal, float(normal @ hypotheses.centre), "push")], cuts)
        cuts += 1
        assert hypotheses.bound(rho) <= bound - 1 or bound == 0
        bound = hypotheses.bound(rho)
    assert cuts <= unit_box(size).bound(rho)


def test_misspecification_is_told_by_the_largest_ball_with_the_reason() -> None:
    squeezed = unit_box().add([cut(1.0, 0.0, offset=0.05)], 1).add([cut(-1.0, 0.0, offset=0.05)], 2)
    assert not squeezed.verdict(0.04).misspecified
    verdict = squeezed.verdict(0.06)
    assert verdict.misspecified
    assert "no ball of radius 0.06" in verdict.reason


def test_misspecification_is_told_by_the_count() -> None:
    hypotheses = unit_box()
    for correction in range(8):  # one more than 7, the most at which a ball of radius .1 could be left
        hypotheses = hypotheses.add([Cut(np.array([1.0, 0.0]), float(hypotheses.centre[0]), "push")], correction)
    verdict = hypotheses.verdict(0.1)
    assert verdict.misspecified
    assert "8 corrections are more than the 7" in verdict.reason


def test_an_empty_set_is_a_verdict_and_no_crash() -> None:
    empty = unit_box().add([cut(1.0, 0.0, offset=-0.2), cut(-1.0, 0.0, offset=-0.2)], 1)
    assert empty.radius == pytest.approx(-0.2)
    assert empty.verdict(0.01).misspecified
    with pytest.raises(EmptyInteriorError):
        _ = empty.centre
    assert empty.without([1]).verdict(0.01).misspecified is False


def test_a_ball_is_as_wide_as_the_sides_of_its_box() -> None:
    long_box = Hypotheses.box(np.array([-100.0, -1.0]), np.array([100.0, 1.0]))
    assert long_box.scale == pytest.approx(np.array([10.0, 0.1]))
    assert long_box.radius == pytest.approx(10.0)
    assert long_box.semi_axes == pytest.approx(np.array([10.0, 10.0]))
    assert long_box.bound(1.0) == Hypotheses.box(np.full(2, -10.0), np.full(2, 10.0)).bound(1.0)


def test_samples_are_in_the_set_and_uniform() -> None:
    triangle = unit_box().add([cut(1.0, 1.0)], 1)  # half of the square
    samples = triangle.sample(1500, np.random.default_rng(0))
    assert triangle.contains(samples).all()
    assert samples.mean(axis=0) == pytest.approx(np.full(2, -1 / 3), abs=0.05)
    # The share of the triangle to the left of x is 1 - ((1 - x) / 2)^2.
    assert kstest(samples[:, 0], lambda x: 1 - ((1 - x) / 2) ** 2).pvalue > 1e-3


def test_samples_of_a_sliver_in_a_long_box_fill_it() -> None:
    box = Hypotheses.box(np.full(5, -80.0), np.full(5, 100.0))
    normal = np.ones(5) / np.sqrt(5)
    sliver = box.add([Cut(normal, 1e-6, "push"), Cut(-normal, 1e-6, "push")], 1)
    samples = sliver.sample(300, np.random.default_rng(0))
    assert sliver.contains(samples).all()
    assert np.ptp(samples @ normal) > 1.8e-6
    assert np.ptp(samples[:, 0]) > 100


def test_agreement_is_the_share_of_the_set_that_is_left() -> None:
    rng = np.random.default_rng(0)
    assert unit_box().agreement([cut(1.0, 0.0, offset=0.5)], rng, 2000) == pytest.approx(0.75, abs=0.04)
    assert unit_box().agreement([cut(1.0, 0.0), cut(0.0, 1.0)], rng, 2000) == pytest.approx(0.25, abs=0.04)
    assert unit_box().agreement([], rng) == 1.0
