"""IQL against a plain version of itself, and what a fast version must not lose."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from robot_learn.errors import UserError
from robot_learn.offline.flat import FlatNetworks, reduced_products
from robot_learn.offline.hl_gauss import HlGauss, value_bounds
from robot_learn.offline.iql import TURN, Iql, IqlConfig
from robot_learn.offline.learner import Batches, configured
from robot_learn.offline.reward_scale import reward_factors
from robot_learn.offline.tensors import Tensors, to_tensors
from tests.robot_learn.offline.toy_data import random_dataset

SMALL = IqlConfig(hidden_size=32, batch_size=64, total_updates=1000)


def small_tensors(seed: int = 0, **options: Any) -> Tensors:
    dataset = random_dataset(seed=seed, **options)
    return to_tensors(dataset, np.full(2, -1.0), np.full(2, 1.0))


class Plain:
    """The update as it is written in the paper: autograd, one network and one optimiser at a time."""

    def __init__(self, learner: Iql, tensors: Tensors, config: IqlConfig) -> None:
        self.tensors, self.config = tensors, config
        obs, act = tensors.obs_dim, tensors.act_dim
        self.pi, self.v = network(obs, act), network(obs, 1)
        self.q1, self.q2 = (network(obs + act, config.bins or 1) for _ in range(2))
        self.log_std = nn.Parameter(torch.zeros(act))
        drawn = learner._stacks[0]._networks
        for number, net in enumerate((self.pi, self.v, self.q1, self.q2)):
            for layer, linear in enumerate(linears(net)):
                linear.weight.data = drawn.weights[layer][number, 0].T[: linear.out_features, : linear.in_features]
                linear.weight.data = linear.weight.data.clone()
                linear.bias.data.zero_()
        self.t1, self.t2 = copy.deepcopy(self.q1), copy.deepcopy(self.q2)
        rate = config.learning_rate
        self.v_optimiser = torch.optim.Adam(self.v.parameters(), rate)
        self.q_optimiser = torch.optim.Adam([*self.q1.parameters(), *self.q2.parameters()], rate)
        self.pi_optimiser = torch.optim.Adam([*self.pi.parameters(), self.log_std], rate)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.pi_optimiser, config.total_updates)
        scale = reward_factors(tensors.rewards, tensors.lengths, config.reward_scale)
        self.rewards = (tensors.rewards * scale)[0]
        self.histogram = None
        if config.bins:
            self.histogram = HlGauss.covering(
                *value_bounds(self.rewards, tensors.terminated, config.gamma), config.bins
            )

    def value(self, out: torch.Tensor) -> torch.Tensor:
        return out[:, 0] if self.histogram is None else self.histogram.value(out)

    def update(self, rows: torch.Tensor) -> tuple[float, float, float]:
        tensors, config = self.tensors, self.config
        state, action = tensors.frames[tensors.before[rows]], tensors.actions[rows]
        both = torch.cat([state, action], 1)
        with torch.no_grad():
            goes_on = ~tensors.terminated[rows]
            wanted = (
                self.rewards[rows] + config.gamma * goes_on * self.v(tensors.frames[tensors.before[rows] + 1])[:, 0]
            )
            q = torch.minimum(self.value(self.t1(both)), self.value(self.t2(both)))
        advantage = q - self.v(state)[:, 0]
        v_loss = ((config.expectile - (advantage < 0).float()).abs() * advantage**2).mean()
        step(self.v_optimiser, v_loss)
        policy: Any = torch.distributions.Normal(torch.tanh(self.pi(state)), self.log_std.exp())
        log_prob = policy.log_prob(action).sum(1)
        weight = (config.inverse_temperature * advantage.detach()).exp().clamp(max=config.largest_weight)
        pi_loss = -(weight * log_prob).mean()
        step(self.pi_optimiser, pi_loss)
        if config.decay_actor:
            self.schedule.step()
        if self.histogram is None:
            q_loss = sum((net(both)[:, 0] - wanted).square().mean() for net in (self.q1, self.q2))
        else:
            q_loss = sum(self.histogram.loss(net(both), wanted).mean() for net in (self.q1, self.q2))
        step(self.q_optimiser, q_loss)
        for slow, fast in ((self.t1, self.q1), (self.t2, self.q2)):
            for mine, theirs in zip(slow.parameters(), fast.parameters(), strict=True):
                mine.data = (1 - config.polyak) * mine.data + config.polyak * theirs.data
        return v_loss.item(), q_loss.item(), pi_loss.item()


def network(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, outputs))


def linears(net: nn.Sequential) -> list[nn.Linear]:
    return [module for module in net if isinstance(module, nn.Linear)]


def step(optimiser: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"expectile": 0.9, "inverse_temperature": 10.0, "decay_actor": False, "reward_scale": "none"},
        {"total_updates": 40, "reward_scale": "deviation"},  # decayed to nothing before the end
        {"bins": 21, "gamma": 0.9},
    ],
)
def test_fifty_updates_equal_those_of_a_plain_version_with_three_optimisers(changes: dict[str, Any]) -> None:
    tensors, config = small_tensors(terminated_share=0.5), replace(SMALL, **changes)
    learner = Iql(tensors, config, [3])
    plain = Plain(learner, tensors, config)
    rows = Batches([3], tensors.num_steps, config.batch_size).draw(50)[:, 0]
    expected = []
    for number, row in enumerate(rows):
        if number == config.total_updates:
            break
        expected.append(plain.update(row))
    losses = learner.train(len(expected))
    np.testing.assert_allclose([losses[name][0] for name in ("value", "q", "actor")], np.mean(expected, 0), rtol=1e-4)
    drawn = learner._stacks[0]._networks
    nets = (plain.pi, plain.v, plain.q1, plain.q2, plain.t1, plain.t2)
    for number, net in enumerate(nets):
        for layer, linear in enumerate(linears(net)):
            mine = drawn.weights[layer][number, 0]
            used = mine[: linear.in_features, : linear.out_features]
            torch.testing.assert_close(used.T, linear.weight, rtol=0, atol=1e-5)
            torch.testing.assert_close(
                drawn.biases[layer][number, 0, 0, : linear.out_features], linear.bias, rtol=0, atol=1e-5
            )
            assert float(mine.abs().sum()) == pytest.approx(float(used.abs().sum())), "padding was learned"
    torch.testing.assert_close(drawn.extra[0, 0], plain.log_std.data, rtol=0, atol=1e-5)


@pytest.mark.parametrize("scale", ["returns", "deviation", "none"])
def test_rewards_are_scaled_by_returns_by_deviation_or_not_at_all(scale: str) -> None:
    rewards, lengths = torch.randn(2, 12, generator=torch.Generator().manual_seed(0)), np.array([3, 5, 4])
    scaled = rewards * reward_factors(rewards, lengths, scale)
    if scale == "returns":  # the longest episode has 5 steps
        returns = np.add.reduceat(scaled.numpy(), [0, 3, 8], axis=1)
        np.testing.assert_allclose(np.ptp(returns, axis=1), 5.0, rtol=1e-5)
    elif scale == "deviation":
        np.testing.assert_allclose(scaled.numpy().std(axis=1), 1.0, rtol=1e-5)
    else:
        assert torch.equal(scaled, rewards)
    # A control that pays the same everywhere is left alone: there is no spread to divide by.
    same = torch.full((1, 12), 0.3)
    assert reward_factors(same, np.full(3, 4), scale).tolist() == [[1.0]]


def test_values_of_a_reward_of_one_come_to_its_discounted_sum() -> None:
    dataset = random_dataset(episodes=4, length=10)
    paid = dataset.with_rewards(np.ones(dataset.num_steps), "test")
    config = IqlConfig(hidden_size=32, batch_size=32, gamma=0.8, reward_scale="none", learning_rate=3e-3, polyak=0.05)
    learner = Iql(to_tensors(paid, np.full(2, -1.0), np.ones(2)), config, [0])
    learner.train(600)
    assert paid.actions is not None
    values = learner.critics()[0](dataset.observations[dataset.frame_before], paid.actions)
    assert np.median(values) == pytest.approx(5.0, abs=0.25)  # a few last frames of 4 episodes are a guess
    np.testing.assert_allclose(values, 5.0, atol=1.5)


def test_reduced_products_change_what_is_learned_by_little_and_the_setting_does_not_stay() -> None:
    places = (torch.backends.mkldnn.matmul, torch.backends.cuda.matmul)  # type: ignore[attr-defined]
    before = [place.fp32_precision for place in places]
    tensors = small_tensors()
    losses = [Iql(tensors, replace(SMALL, precision=name), [0]).train(50) for name in ("float32", "reduced")]
    for name, value in losses[0].items():
        assert losses[1][name] == pytest.approx(value, rel=0.05), name
    units = torch.cuda.is_available() or {"amx_bf16", "avx512_bf16"} & {
        name for name, there in torch.cpu.get_capabilities().items() if there
    }
    with reduced_products(True):
        with reduced_products(True):
            pass
        assert [place.fp32_precision for place in places] == (["bf16", "tf32"] if units else before)
    assert [place.fp32_precision for place in places] == before


@pytest.mark.parametrize("seeds", [1, 3])
def test_gradients_of_flat_networks_are_those_of_autograd(seeds: int) -> None:
    networks = FlatNetworks((5, 8, 6, 2), networks=4, trained=3, seeds=seeds, batch_size=7, extra=2)
    generator = torch.Generator().manual_seed(0)
    for tensor in (networks.values, networks.inputs, networks.out_gradients):
        tensor.copy_(torch.randn(tensor.shape, generator=generator))
    out = networks.forward().clone()
    networks.backward()
    other = networks.forward_one(2, networks.inputs)
    torch.testing.assert_close(other, out[2])
    for network in range(4):
        for seed in range(seeds):
            layers = [
                (weight[network, seed].clone().requires_grad_(), bias[network, seed].clone().requires_grad_())
                for weight, bias in zip(networks.weights, networks.biases, strict=True)
            ]
            hidden = networks.inputs[seed]
            for weight, bias in layers[:-1]:
                hidden = torch.relu(hidden @ weight + bias)
            plain = hidden @ layers[-1][0] + layers[-1][1]
            torch.testing.assert_close(out[network, seed], plain)
            if network == 3:
                continue
            flat = [tensor for layer in layers for tensor in layer]
            found = torch.autograd.grad((plain * networks.out_gradients[network, seed]).sum(), flat)
            for layer in range(3):
                torch.testing.assert_close(networks.weight_gradients[layer][network, seed], found[2 * layer])
                torch.testing.assert_close(networks.bias_gradients[layer][network, seed], found[2 * layer + 1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_captured_graph_gives_what_single_updates_give() -> None:
    dataset = random_dataset()
    tensors = to_tensors(dataset, np.full(2, -1.0), np.ones(2), device="cuda")
    whole, pieces = Iql(tensors, SMALL, [0, 1]), Iql(tensors, SMALL, [0, 1])
    whole.train(TURN)
    for _ in range(2):
        pieces.train(TURN // 2)
    for one, other in zip(whole.policies(), pieces.policies(), strict=True):
        np.testing.assert_allclose(one.mean_weight, other.mean_weight, atol=1e-5)


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("expectile", 1.0, "expectile is 1.0"),
        ("gamma", 1.5, "gamma is 1.5"),
        ("reward_scale", "return", "did you mean 'returns'"),
        ("precision", "bf16", "no precision named 'bf16'"),
        ("inverse_temperature", float("nan"), "inverse_temperature is nan"),
    ],
)
def test_a_setting_out_of_range_is_refused(setting: str, value: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        configured(IqlConfig, **{setting: value})
