from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_expit

from robot_learn.errors import UserError
from robot_learn.offline.cpl import Cpl, CplConfig, agreement, contrastive_loss, with_preferences
from robot_learn.offline.tensors import Tensors
from robot_learn.types import Preference, Segment
from tests.robot_learn.offline.toys import point_data, point_tensors, random_pairs

SMALL: dict[str, Any] = {"hidden_size": 16, "batch_size": 32, "learning_rate": 1e-3, "total_updates": 50}
DATA = point_data(episodes=10)


def tensors_of(preferences: list[Preference]) -> Tensors:
    return with_preferences(point_tensors(DATA), DATA, preferences)


def advantages() -> torch.Tensor:
    return 3.0 * torch.randn(40, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def labels() -> torch.Tensor:
    return torch.linspace(0.0, 1.0, 40, dtype=torch.float64)


@pytest.mark.parametrize("contrast", [0.1, 0.5, 1.0])
def test_swapping_pair_and_label_leaves_the_loss_unchanged(contrast: float) -> None:
    loss = contrastive_loss(advantages(), labels(), contrast)
    swapped = contrastive_loss(advantages().flip(-1), 1.0 - labels(), contrast)
    torch.testing.assert_close(loss, swapped, rtol=0.0, atol=1e-14)


def test_without_bias_the_loss_is_logistic_regression_on_the_difference() -> None:
    difference = (advantages()[:, 1] - advantages()[:, 0]).numpy()
    wanted = -labels().numpy() * log_expit(difference) - (1.0 - labels().numpy()) * log_expit(-difference)
    np.testing.assert_allclose(contrastive_loss(advantages(), labels(), 1.0), wanted, atol=1e-12)


def test_the_loss_is_that_of_the_paper_for_the_preferred_segment() -> None:
    found = contrastive_loss(advantages(), torch.ones(40, dtype=torch.float64), 0.5)
    rejected, preferred = np.exp(0.5 * advantages()[:, 0].numpy()), np.exp(advantages()[:, 1].numpy())
    np.testing.assert_allclose(found, -np.log(preferred / (preferred + rejected)), atol=1e-12)


def test_the_bias_prefers_segments_like_the_data_to_equally_good_ones_far_from_it() -> None:
    """For equal segments the loss falls as both become more likely; without bias it does not care."""
    near, far = torch.tensor([[-1.0, -1.0]]), torch.tensor([[-9.0, -9.0]])
    tie = torch.tensor([0.5])
    assert float(contrastive_loss(near, tie, 0.5)) < float(contrastive_loss(far, tie, 0.5))
    assert float(contrastive_loss(near, tie, 1.0)) == pytest.approx(float(contrastive_loss(far, tie, 1.0)))


def test_huge_advantages_do_not_overflow() -> None:
    loss = contrastive_loss(torch.tensor([[0.0, -1e6], [-1e6, 0.0]]), torch.tensor([1.0, 1.0]), 0.5)
    assert loss.tolist() == [1e6, 0.0]


def test_opinions_in_the_other_order_teach_the_same() -> None:
    opinions = random_pairs(DATA, 60, 3)
    settings = CplConfig(dropout=0.0, **SMALL)
    one, other = (Cpl(tensors_of(given), settings, (0,)) for given in (opinions, [o.swapped() for o in opinions]))
    losses, swapped = one.train(50), other.train(50)
    for name, value in losses.items():
        np.testing.assert_allclose(value, swapped[name], rtol=1e-4, err_msg=name)


def test_an_opinion_without_confidence_teaches_nothing() -> None:
    opinions = random_pairs(DATA, 60, 3)
    contrary = [replace(o, label=1.0 - o.label, confidence=0.0) for o in opinions]
    settings = CplConfig(dropout=0.0, cloning_share=0.0, **SMALL)
    learner = Cpl(tensors_of(opinions + contrary), replace(settings, learning_rate=1e-2), (0,))
    learner.train(50)
    stack: Any = learner.stacks[0]
    chosen = torch.arange(60).unsqueeze(0)
    log_prob = stack._log_prob(stack._pairs.steps[chosen]).sum(-1)
    assert float(agreement(log_prob, stack._pairs.labels[chosen])) > 0.75


def test_cloning_comes_first_and_the_optimiser_begins_anew_after_it() -> None:
    learner = Cpl(tensors_of(random_pairs(DATA, 60, 3)), CplConfig(cloning_share=0.6, **SMALL), (0,))
    before = learner.train(30)
    steps = learner.state()["stacks"][0]["optimisers"]["actor"]["state"][0]["step"]
    assert int(steps) == 30
    after = learner.train(5)
    assert {*before} == {*after} == {"cloning", "contrast", "agreement"}
    assert int(learner.state()["stacks"][0]["optimisers"]["actor"]["state"][0]["step"]) == 5


def test_the_paper_clones_for_two_fifths_of_its_updates() -> None:
    assert CplConfig().cloning_updates == 200_000


def test_agreement_counts_order_and_never_a_tie() -> None:
    found = agreement(
        torch.tensor([[[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [2.0, 2.0]]]), torch.tensor([[1.0, 1, 0.5, 1]])
    )
    assert found.tolist() == [0.25]


def test_data_without_comparisons_is_refused() -> None:
    with pytest.raises(UserError, match="learns from comparisons, and the data of toy/point has none"):
        Cpl(point_tensors(DATA), CplConfig(**SMALL), (0,))
    with pytest.raises(UserError, match="at least one, came none"):
        tensors_of([])


def test_an_opinion_about_other_data_is_refused_by_its_number() -> None:
    good = Preference(Segment(0, 0, 3), Segment(1, 2, 3), 1.0, "test")
    with pytest.raises(UserError, match=r"preference 1: dataset of toy/point: there is no .*10 episodes"):
        tensors_of([good, Preference(Segment(0, 0, 3), Segment(10, 0, 3), 1.0, "test")])
    with pytest.raises(UserError, match=r"preference 1: dataset of toy/point: there is no .*20 steps in episode 2"):
        tensors_of([good, Preference(Segment(0, 0, 3), Segment(2, 18, 3), 1.0, "test")])
    with pytest.raises(UserError, match="preference 1: wanted segments of 3 steps"):
        tensors_of([good, Preference(Segment(0, 0, 3), Segment(1, 0, 2), 1.0, "test")])


@pytest.mark.parametrize(
    ("setting", "value"), [("contrast", 0.0), ("contrast", 2.0), ("dropout", 1.0), ("alpha", -1.0)]
)
def test_settings_that_make_no_sense_are_refused(setting: str, value: Any) -> None:
    with pytest.raises(UserError, match=setting):
        CplConfig(**{setting: value})
