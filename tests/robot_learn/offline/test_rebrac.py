from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from robot_learn.errors import UserError
from robot_learn.offline.learner import Batches
from robot_learn.offline.networks import StackedMlp, seeded
from robot_learn.offline.rebrac import Rebrac, RebracConfig, RebracStack, Td3Bc, Td3BcConfig, has_next
from robot_learn.offline.tensors import Tensors
from robot_learn.offline.updates import NOISE
from tests.robot_learn.offline.toys import point_data, point_tensors

SMALL: dict[str, Any] = {"hidden_size": 16, "hidden_layers": 2, "batch_size": 32, "learning_rate": 1e-3}


def plain(stack: StackedMlp, member: int) -> nn.Sequential:
    """One network of a stack of one seed, as a torch user would write it."""
    layers: list[nn.Module] = []
    for weight, bias in zip(stack.weights, stack.biases, strict=True):
        linear = nn.Linear(weight.shape[1], weight.shape[2], dtype=torch.float64)
        linear.weight.data.copy_(weight[member].T)
        linear.bias.data.copy_(bias[member, 0])
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class PlainTd3Bc:
    """Fujimoto and Gu's algorithm, its loss as they print it; ReBRAC's next-action penalty on top."""

    def __init__(self, stack: RebracStack, tensors: Tensors, config: RebracConfig, alpha: float) -> None:
        self.actor = plain(stack._actor, 0)
        self.critics = nn.ModuleList(plain(stack._critic, member) for member in (0, 1))
        self.target_actor, self.target_critics = copy.deepcopy(self.actor), copy.deepcopy(self.critics)
        # Our loss is theirs / alpha; the one thing in Adam that has a scale is its eps.
        self.actor_step = torch.optim.Adam(self.actor.parameters(), config.learning_rate, eps=1e-8 * alpha)
        self.critic_step = torch.optim.Adam(self.critics.parameters(), config.learning_rate)
        self.tensors, self.config, self.alpha, self.updates = tensors, config, alpha, 0

    def update(self, rows: Tensor, noise: Tensor) -> None:
        data, config = self.tensors, self.config
        state, after = data.frames[data.before[rows]], data.frames[data.before[rows] + 1]
        with torch.no_grad():
            next_action = torch.tanh(self.target_actor(after)) + (0.2 * noise).clamp(-0.5, 0.5)
            next_action = next_action.clamp(-1.0, 1.0)
            pair = torch.cat([after, next_action], 1)
            next_value = torch.minimum(self.target_critics[0](pair), self.target_critics[1](pair))[:, 0]
            ends = torch.isin(rows + 1, torch.as_tensor(np.cumsum(data.lengths)))
            known = data.actions[(rows + 1).clamp(max=data.num_steps - 1)]
            penalty = torch.where(ends, 0.0, ((next_action - known) ** 2).sum(1))
            goes_on = 1.0 - data.terminated[rows].float()
            target = data.rewards[0, rows] + 0.99 * goes_on * (next_value - config.critic_penalty * penalty)
        pair = torch.cat([state, data.actions[rows]], 1)
        loss = sum(functional.mse_loss(critic(pair)[:, 0], target) for critic in self.critics)
        self.critic_step.zero_grad()
        loss.backward()  # type: ignore[union-attr]
        self.critic_step.step()
        self.updates += 1
        if self.updates % 2:
            return
        action = torch.tanh(self.actor(state))
        value = self.critics[0](torch.cat([state, action], 1))
        scale = self.alpha / value.abs().mean().detach()
        loss = -scale * value.mean() + functional.mse_loss(action, data.actions[rows])
        self.actor_step.zero_grad()
        loss.backward()
        self.actor_step.step()
        for target_net, net in ((self.target_actor, self.actor), (self.target_critics, self.critics)):
            for slow, fast in zip(target_net.parameters(), net.parameters(), strict=True):
                slow.data.copy_(0.995 * slow.data + 0.005 * fast.data)


@pytest.mark.parametrize("critic_penalty", [0.0, 0.3])
def test_the_update_is_that_of_a_plain_td3_bc_and_the_next_action_penalty(critic_penalty: float) -> None:
    data = point_data(episodes=10)
    data = replace(data, terminated=np.arange(data.num_steps) % 40 == 39)
    tensors, alpha = point_tensors(data), 2.5
    # In float64, because Adam makes a full step of what rounding leaves of a gradient that should be zero.
    tensors = replace(
        tensors, frames=tensors.frames.double(), actions=tensors.actions.double(), rewards=tensors.rewards.double()
    )
    config = replace(Td3BcConfig(alpha=alpha, **SMALL).as_rebrac(act_dim=2), critic_penalty=critic_penalty)
    learner = Rebrac(tensors, config, (3,))
    stack: Any = learner.stacks[0]
    for net in stack.moving.modules.values():
        net.double()
    reference = PlainTd3Bc(stack, tensors, config, alpha)
    rows, (generator,) = Batches((3,), tensors.num_steps, 32).draw(40)[:, 0], seeded((3,), NOISE)
    learner.train(40)
    for row in rows:
        reference.update(row, torch.randn(32, 2, generator=generator))
    first, second = reference.critics
    for found, wanted, member in (
        (stack._actor, reference.actor, 0),
        (stack._target_actor, reference.target_actor, 0),
        (stack._critic, first, 0),
        (stack._critic, second, 1),
    ):
        layers = [layer for layer in wanted.modules() if isinstance(layer, nn.Linear)]
        for weight, layer in zip(found.parameters(), layers, strict=False):  # weights come first, layer by layer
            torch.testing.assert_close(weight[member].T, layer.weight, rtol=0.0, atol=1e-9)


def test_td3_bc_is_rebrac_without_next_action_penalty_and_layer_norm() -> None:
    tensors = point_tensors(point_data(episodes=10))
    one = Td3Bc(tensors, Td3BcConfig(alpha=2.5, **SMALL), (0,))
    config = RebracConfig(actor_penalty=0.2, critic_penalty=0.0, actor_value="first", layer_norm=False, **SMALL)
    other = Rebrac(tensors, config, (0,))
    assert one.train(20) == other.train(20)


def test_the_last_step_of_an_episode_has_no_next_action_to_stay_near_to() -> None:
    data = point_data(episodes=40)
    data = replace(  # the same observations and actions as 400 episodes of one step each
        data,
        lengths=np.ones(400, dtype=np.int64),
        observations=data.observations[:800],
        actions=data.actions[:400],  # type: ignore[index]
        rewards=data.rewards[:400],
        terminated=data.terminated[:400],
        success=data.success[:400],
    )
    tensors = point_tensors(data)
    free, held = (Rebrac(tensors, RebracConfig(critic_penalty=p, **SMALL), (0,)) for p in (0.0, 10.0))
    assert np.array_equal(free.train(10)["critic"], held.train(10)["critic"])
    assert has_next(np.array([1, 3])).tolist() == [False, True, True, False]


@pytest.mark.parametrize("bins", [0, 51])
@pytest.mark.parametrize(("ends", "worth"), [(False, 1.0 / (1.0 - 0.8)), (True, 1.0)])
def test_a_reward_of_one_for_ever_is_worth_the_geometric_series(bins: int, ends: bool, worth: float) -> None:
    data = point_data(episodes=10)
    data = replace(data, rewards=np.ones_like(data.rewards), terminated=np.full(data.num_steps, ends))
    settings = SMALL | {"learning_rate": 3e-3}
    config = RebracConfig(critic_penalty=0.0, gamma=0.8, polyak=0.2, bins=bins, **settings)
    learner = Rebrac(point_tensors(data), config, (0,))
    learner.train(300)
    (critic,) = learner.critics()
    values = critic(data.observations[:20], data.actions[:20])  # type: ignore[index]
    np.testing.assert_allclose(values, worth, rtol=0.15)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UserError, match="actor_value"):
        RebracConfig(actor_value="mean")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="alpha"):
        Td3BcConfig(alpha=0.0)
    with pytest.raises(UserError, match="gamma is 1"):
        RebracConfig(gamma=1.0, bins=51)
    with pytest.raises(UserError, match="polyak"):
        Td3BcConfig(polyak=1.5)
