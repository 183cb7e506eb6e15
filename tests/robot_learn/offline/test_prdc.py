from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from robot_learn.errors import UserError
from robot_learn.offline.prdc import Prdc, PrdcConfig, PrdcStack
from robot_learn.offline.rebrac import Td3Bc, Td3BcConfig
from robot_learn.offline.updates import gather
from tests.robot_learn.offline.toys import point_data, point_tensors

SMALL: dict[str, Any] = {"hidden_size": 16, "batch_size": 32, "learning_rate": 1e-3}


@pytest.mark.parametrize("beta", [0.0, 0.5, 2.0])
def test_the_anchor_is_the_closest_pair_of_all_the_data(beta: float) -> None:
    tensors = point_tensors(point_data(episodes=10))
    stack = PrdcStack(tensors, PrdcConfig(beta=beta, **SMALL), (0, 1))
    generator = torch.Generator().manual_seed(0)
    batch = gather(tensors, torch.randint(tensors.num_steps, (2, 32), generator=generator))
    action = 2.0 * torch.rand(2, 32, 2, generator=generator) - 1.0
    far = beta * (batch.observations[:, :, None] - tensors.frames[tensors.before])  # (2, 32, M, 4)
    off = action[:, :, None] - tensors.actions
    closest = (far.square().sum(-1) + off.square().sum(-1)).argmin(-1)
    assert torch.equal(stack._anchor(batch, action), tensors.actions[closest])


def test_with_states_that_weigh_everything_it_is_td3_bc() -> None:
    """No state of the point comes twice, so the closest pair is the step itself."""
    tensors = point_tensors(point_data(episodes=10))
    nearest = Prdc(tensors, PrdcConfig(beta=1e6, **SMALL), (0,))
    plain = Td3Bc(tensors, Td3BcConfig(**SMALL), (0,))
    assert nearest.train(20) == plain.train(20)


@pytest.mark.parametrize("beta", [-1.0, float("inf"), float("nan")])
def test_a_weight_that_is_no_weight_is_refused(beta: float) -> None:
    with pytest.raises(UserError, match="beta"):
        PrdcConfig(beta=beta)


def test_it_stays_nearer_to_the_data_than_the_action_of_the_same_state_would_ask() -> None:
    tensors = point_tensors(point_data(episodes=50))
    distance = [
        learner.train(100)["distance"][0]
        for learner in (Prdc(tensors, PrdcConfig(**SMALL), (0,)), Td3Bc(tensors, Td3BcConfig(**SMALL), (0,)))
    ]
    assert np.isfinite(distance).all()
    assert distance[0] < distance[1]
