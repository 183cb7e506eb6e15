from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from robot_learn.errors import UserError
from robot_learn.offline.learner import Batches
from robot_learn.offline.odice import Odice, OdiceConfig, OdiceStack, conjugate, orthogonal_part
from tests.robot_learn.offline.toys import point_data, point_tensors

SMALL: dict[str, Any] = {"hidden_size": 16, "batch_size": 32, "learning_rate": 1e-3}


@pytest.mark.parametrize("residual", [-5.0, -2.0, -0.3, 0.0, 1.7, 40.0])
def test_the_conjugate_is_the_maximum_that_defines_it(residual: float) -> None:
    best = minimize_scalar(lambda w: (w - 1.0) ** 2 - residual * w, bounds=(0.0, 100.0), options={"xatol": 1e-10})
    found = float(conjugate(torch.tensor(residual, dtype=torch.float64)))
    assert found == pytest.approx(-float(best.fun), abs=1e-6)


def test_its_slope_is_the_weight_which_is_never_negative() -> None:
    residual = torch.linspace(-6.0, 6.0, 25, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(conjugate(residual).sum(), residual)
    torch.testing.assert_close(slope, (1.0 + residual.detach() / 2.0).clamp(min=0.0))


def gradients(scale: float = 1.0) -> list[torch.Tensor]:
    """Those of three seeds, in pieces of which each seed has one or two rows."""
    generator = torch.Generator().manual_seed(int(scale))
    shapes = ((3, 4, 5), (6, 1, 7), (3, 1, 1))
    return [scale * torch.randn(shape, dtype=torch.float64, generator=generator) for shape in shapes]


def of_seed(pieces: list[torch.Tensor], seed: int) -> torch.Tensor:
    return torch.cat([piece.reshape(3, -1)[seed] for piece in pieces])


def test_what_is_left_is_orthogonal_for_each_seed_and_the_rest_is_along() -> None:
    vectors, fixed = gradients(2.0), gradients(3.0)
    left = orthogonal_part(vectors, fixed, 3)
    assert [piece.shape for piece in left] == [piece.shape for piece in vectors]
    for seed in range(3):
        rest, along, whole = of_seed(left, seed), of_seed(fixed, seed), of_seed(vectors, seed)
        assert abs(float(rest @ along)) < 1e-14 * float(rest.norm() * along.norm())
        assert float((whole - rest).norm() * along.norm()) == pytest.approx(abs(float(whole @ along)), rel=1e-12)


def test_orthogonal_gradients_stay_and_parallel_ones_vanish() -> None:
    fixed = gradients()
    left = orthogonal_part(gradients(2.0), fixed, 3)
    for once, twice in zip(left, orthogonal_part(left, fixed, 3), strict=True):
        torch.testing.assert_close(once, twice)
    for piece in orthogonal_part([-3.0 * piece for piece in fixed], fixed, 3):
        assert float(piece.abs().max()) < 1e-12
    nothing = [torch.zeros_like(piece) for piece in fixed]
    for piece, given in zip(orthogonal_part(left, nothing, 3), left, strict=True):
        assert torch.equal(piece, given)


@pytest.mark.parametrize("backward", [0.0, 0.7])
def test_the_update_of_v_is_the_printed_gradient(backward: float) -> None:
    """Against the derivative of the objective at V itself, as the target begins equal to V."""
    data = point_data(episodes=10)
    data = replace(data, terminated=np.arange(data.num_steps) % 30 == 29)
    tensors = point_tensors(data)
    config = OdiceConfig(backward=backward, trade_off=0.6, polyak=0.0, **SMALL)
    learner = Odice(tensors, config, (0,))
    stack: Any = learner.stacks[0]
    before = {name: value.clone() for name, value in stack._value.state_dict().items()}
    rows = Batches((0,), tensors.num_steps, 32).draw(1)[0]
    learner.train(1)

    again = OdiceStack(tensors, config, (0,))._value
    again.load_state_dict(before)
    state, after = tensors.frames[tensors.before[rows]], tensors.frames[tensors.before[rows] + 1]
    value, next_value = again(state)[..., 0], again(after)[..., 0]  # (1, 2, 32)
    low, next_low = value.detach().amin(1, keepdim=True), next_value.detach().amin(1, keepdim=True)
    carry = 0.99 * (~tensors.terminated[rows]).float()
    span = data.returns.max() - data.returns.min()
    reward = tensors.rewards[:, rows[0]] * float(1000.0 / span)
    weight = (1.0 + (reward + carry * next_low - value).detach() / 2.0).clamp(min=0.0)  # f*'
    weight_back = (1.0 + (reward + carry * next_value - low).detach() / 2.0).clamp(min=0.0)
    names = list(again.parameters())

    def gradient(total: torch.Tensor) -> torch.Tensor:
        return torch.cat([g.flatten() for g in torch.autograd.grad(total, names, retain_graph=True)])

    forward = gradient(-0.6 * (weight * value).mean())
    back = gradient(0.6 * backward * (weight_back * carry * next_value).mean())
    wanted = 0.4 * gradient(value.mean()) + forward + back - (back @ forward) / (forward @ forward) * forward
    found = torch.cat([p.grad.flatten() for p in stack._value.parameters() if p.grad is not None])
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


def test_constant_rewards_are_left_as_they_are_and_learned_from() -> None:
    data = point_data(episodes=10)
    learner = Odice(point_tensors(data.with_rewards(np.ones(data.num_steps), "one")), OdiceConfig(**SMALL), (0,))
    assert all(np.isfinite(value).all() for value in learner.train(20).values())


@pytest.mark.parametrize(("setting", "value"), [("trade_off", 1.1), ("backward", -0.1), ("gamma", -0.1)])
def test_settings_that_make_no_sense_are_refused(setting: str, value: Any) -> None:
    with pytest.raises(UserError, match=setting):
        OdiceConfig(**{setting: value})
