from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm

from robot_learn.errors import UserError
from robot_learn.offline.hl_gauss import HlGauss, value_bounds

HISTOGRAM = HlGauss.covering(-3.0, 7.0, 51)


def values(count: int = 400) -> torch.Tensor:
    return torch.linspace(-3.0, 7.0, count, dtype=torch.float64)


def test_the_histogram_of_a_value_has_that_value_as_its_mean() -> None:
    """A Gaussian of .75 bin widths, summed over bins, has its mean up to 5e-6 widths (Poisson's summation formula)."""
    logits = HISTOGRAM.probabilities(values()).log()
    np.testing.assert_allclose(HISTOGRAM.value(logits), values(), atol=2e-5 * HISTOGRAM.width)


def test_the_mass_in_each_bin_is_that_of_a_normal_distribution() -> None:
    wanted = np.diff(norm.cdf(HISTOGRAM.edges(values()).numpy(), 1.234, 0.75 * HISTOGRAM.width))
    found = HISTOGRAM.probabilities(torch.tensor(1.234, dtype=torch.float64))
    np.testing.assert_allclose(found, wanted / wanted.sum(), atol=1e-12)


def test_mass_sums_to_one_also_where_a_value_lies_far_outside() -> None:
    mass = HISTOGRAM.probabilities(torch.tensor([-1e6, -3.0, 0.1, 7.0, 1e6]))
    np.testing.assert_allclose(mass.sum(-1), 1.0, atol=1e-6)
    assert mass[0].argmax() == 0
    assert mass[-1].argmax() == 50


def test_the_gradient_of_the_loss_is_the_distance_from_the_target() -> None:
    logits = torch.randn(8, 51, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    targets = torch.linspace(-3.0, 7.0, 8, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(HISTOGRAM.loss(logits, targets).sum(), logits)
    np.testing.assert_allclose(gradient, logits.softmax(-1).detach() - HISTOGRAM.probabilities(targets), atol=1e-12)


def test_the_loss_averages_over_targets_to_their_mean() -> None:
    """Regression to the mean survives: the best histogram for two targets is that of neither but has their mean."""
    logits = torch.zeros(51, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0.0, 3.0], dtype=torch.float64)
    optimiser = torch.optim.LBFGS([logits], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        total = HISTOGRAM.loss(logits, targets).mean()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    assert float(HISTOGRAM.value(logits.detach())) == pytest.approx(1.5, abs=1e-3)


@pytest.mark.parametrize(
    ("terminated", "wanted"), [(False, (-20.0, 10.0)), (True, (-20.0, 10.0))], ids=["endless", "ending"]
)
def test_values_are_bounded_by_the_extreme_rewards_for_ever(terminated: bool, wanted: tuple[float, float]) -> None:
    rewards = torch.tensor([[-2.0, 0.5, 1.0]])
    assert value_bounds(rewards, torch.tensor([False, False, terminated]), 0.9) == pytest.approx(wanted)


def test_rewards_of_one_sign_can_be_paid_once_only_where_the_task_ends() -> None:
    rewards = torch.tensor([[1.0, 2.0]])
    assert value_bounds(rewards, torch.tensor([False, False]), 0.9) == pytest.approx((10.0, 20.0))
    assert value_bounds(rewards, torch.tensor([False, True]), 0.9) == pytest.approx((1.0, 20.0))


@pytest.mark.parametrize("value", [-5e4, 0.0, 1e-3, 7.0])
def test_a_single_value_is_covered_too_in_single_precision(value: float) -> None:
    histogram = HlGauss.covering(value, value)
    found = histogram.value(histogram.probabilities(torch.tensor(value)).log())
    assert float(found) == pytest.approx(value, rel=1e-4, abs=1e-9)


def test_a_histogram_over_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="low < high"):
        HlGauss(1.0, 1.0)
    with pytest.raises(UserError, match="low < high"):
        HlGauss(0.0, float("nan"))
    with pytest.raises(UserError, match="at least 9 bins"):
        HlGauss.covering(0.0, 1.0, 8)
