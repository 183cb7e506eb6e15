"""Teachers who know the truth: each errs as often, and only as, it should."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from rewards.preference.query import Query
from rewards.preference.simulated import KINDS, MEASURED_ACCURACY, Simulated, of_kind, with_curve
from robot_learn.errors import UserError
from robot_learn.types import Segment

COUNT = 2000


def query(first: list[float], second: list[float], number: int = 0) -> Query:
    rewards = (np.array(first), np.array(second))
    segments = (Segment(number, 0, len(first)), Segment(number, 50, len(second)))
    return Query(*segments, "", rewards=rewards, advantages=(-rewards[0], -rewards[1]))


def labels(teacher: Simulated, first: list[float], second: list[float], count: int = COUNT) -> np.ndarray:
    answers = teacher.answers([query(first, second, number) for number in range(count)])
    return np.array([math.nan if answer.label is None else answer.label for answer in answers])


def share(value: float, count: int = COUNT) -> object:
    """Within four deviations."""
    return pytest.approx(value, abs=4 * math.sqrt(value * (1 - value) / count) + 1e-9)


def test_the_oracle_prefers_the_larger_return_and_ties_equal_ones() -> None:
    assert (labels(Simulated(), [1.0], [2.0]) == 1).all()
    assert (labels(Simulated(), [2.0, 1.0], [1.0, 1.5]) == 0).all()
    assert (labels(Simulated(), [1.0, 2.0], [2.0, 1.0]) == 0.5).all()


@pytest.mark.parametrize(("beta", "difference"), [(1.0, 0.7), (3.0, -0.2), (0.0, 5.0)])
def test_the_noisy_one_chooses_by_boltzmanns_law(beta: float, difference: float) -> None:
    found = labels(Simulated(beta=beta), [1.0], [1.0 + difference])
    assert found.mean() == share(float(expit(beta * difference)))


def test_the_mistaken_one_is_wrong_as_often_as_it_says() -> None:
    assert labels(Simulated(mistake=0.1), [0.0], [1.0]).mean() == share(0.9)
    assert labels(Simulated(mistake=0.1), [1.0], [0.0]).mean() == share(0.1)


def test_the_myopic_one_goes_by_the_end_of_a_segment() -> None:
    assert (labels(Simulated(), [3.0, 0.0], [0.0, 2.0]) == 0).all()
    assert (labels(Simulated(gamma=0.5), [3.0, 0.0], [0.0, 2.0]) == 1).all()
    assert Simulated(gamma=0.5).worth(query([1.0, 1.0, 1.0], [0.0, 0.0, 8.0])) == (1.75, 8.0)


def test_the_skipping_one_says_nothing_where_both_are_poor() -> None:
    teacher = Simulated(skip=0.1, mean_return=10.0)
    assert np.isnan(labels(teacher, [0.9], [0.2], 3)).all()
    assert (labels(teacher, [0.9], [1.1], 3) == 1).all()


def test_the_equal_one_ties_what_differs_by_little() -> None:
    teacher = Simulated(equal=0.1, mean_return=-10.0)
    assert (labels(teacher, [5.0], [5.9], 3) == 0.5).all()
    assert (labels(teacher, [5.0], [6.1], 3) == 1).all()


def test_by_regret_the_larger_sum_of_advantages_is_preferred() -> None:
    assert (labels(Simulated(by="regret"), [1.0], [2.0], 3) == 0).all()
    assert labels(Simulated(by="regret", beta=1.0), [1.0], [2.0]).mean() == share(float(expit(-1.0)))


def test_a_curve_is_as_accurate_in_each_bin_as_it_says() -> None:
    teacher = Simulated(accuracy=(0.4, 0.9), edges=(1.0,))
    assert labels(teacher, [0.0], [0.5]).mean() == share(0.4)
    assert labels(teacher, [0.0], [-0.5]).mean() == share(0.6)
    assert labels(teacher, [0.0], [1.5]).mean() == share(0.9)


def test_a_curve_from_differences_has_equally_full_bins_and_the_measured_ends() -> None:
    differences = np.random.default_rng(0).normal(size=1000)
    teacher = with_curve(MEASURED_ACCURACY["drawer"], differences)
    counts, _ = np.histogram(np.abs(differences), [0, *teacher.edges, np.inf])
    assert counts.tolist() == [100] * 10
    assert (teacher.accuracy[0], teacher.accuracy[-1]) == (0.42, 0.8)


@pytest.mark.parametrize("teacher", [Simulated(beta=1.0), Simulated(mistake=0.3), Simulated(accuracy=(0.6,))])
def test_an_answer_depends_on_the_pair_and_the_seed_and_not_on_the_company(teacher: Simulated) -> None:
    queries = [query([0.0], [0.5], number) for number in range(200)]
    said = [answer.label for answer in teacher.answers(queries)]
    assert [answer.label for answer in teacher.answers(queries[::-1])] == said[::-1]
    assert [next(teacher.answers([one])).label for one in queries] == said
    assert [answer.label for answer in replace(teacher, seed=1).answers(queries)] != said


def test_every_kind_and_every_setting_has_a_name_of_its_own() -> None:
    teachers = [of_kind(kind) for kind in KINDS] + [
        Simulated(beta=1.0, seed=1),
        Simulated(accuracy=(0.5, 0.6), edges=(1.0,)),
        Simulated(accuracy=(0.5, 0.6), edges=(2.0,)),
        Simulated(skip=0.1, mean_return=2.0),
    ]
    assert len({teacher.name for teacher in teachers}) == len(teachers)
    assert Simulated(seed=3).name == Simulated().name, "the oracle draws nothing, so its seed is no setting"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"mistake": 1.5}, "mistake"),
        ({"gamma": -0.1}, "gamma"),
        ({"beta": math.nan}, "beta"),
        ({"equal": -1}, "equal"),
        ({"by": "rewards"}, "measure"),
        ({"accuracy": (0.5, 0.6)}, "wants? 1 rising"),
        ({"accuracy": (0.5, 0.6, 0.7), "edges": (2.0, 1.0)}, "rising"),
        ({"accuracy": (1.2,)}, "accuracy"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        Simulated(**settings)  # type: ignore[arg-type]


def test_who_cannot_see_the_truth_says_what_is_missing() -> None:
    blind = Query(Segment(0, 0), Segment(0, 1), "")
    with pytest.raises(UserError, match="true rewards"):
        list(Simulated().answers([blind]))
    with pytest.raises(UserError, match="true advantages"):
        list(Simulated(by="regret").answers([blind]))


def test_an_unknown_kind_is_told_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'noisy'"):
        of_kind("noisey")


def test_a_kind_takes_a_number_for_its_one_setting() -> None:
    assert of_kind("mistaken:0.3") == Simulated(mistake=0.3)
    assert of_kind("noisy:2").beta == 2.0
    for wrong in ("mistaken:some", "oracle:1", "regret:1"):
        with pytest.raises(UserError, match="wanted NAME, or NAME:NUMBER for noisy, mistaken"):
            of_kind(wrong)
    with pytest.raises(UserError, match=r"mistake is 2\.0, wanted 0 to 1"):
        of_kind("mistaken:2")
