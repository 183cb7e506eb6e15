from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from robot_learn.errors import UserError
from robot_learn.offline.critics import export_critics, load_critic
from robot_learn.offline.hl_gauss import HlGauss
from robot_learn.offline.networks import StackedMlp, seeded
from tests.robot_learn.offline.toys import point_data, point_tensors

HISTOGRAM = HlGauss.covering(-3.0, 5.0, 21)


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("histogram", [None, HISTOGRAM], ids=["value", "histogram"])
@pytest.mark.parametrize("members", [1, 2])
def test_plain_numbers_value_actions_as_the_networks_do(
    layer_norm: bool, histogram: HlGauss | None, members: int
) -> None:
    data = point_data(episodes=5)
    tensors = point_tensors(data)
    width = 1 if histogram is None else histogram.bins
    net = StackedMlp((6, 16, 16, width), seeded((0, 1), 7), members=members, layer_norm=layer_norm)
    for parameter in net.parameters():  # gains and biases are one and zero at first, which would hide them
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    inputs = torch.cat([tensors.frames[tensors.before], tensors.actions], 1).expand(2, -1, -1)
    out = net(inputs).detach()
    values = out[..., 0] if histogram is None else histogram.value(out)
    wanted = values.amin(1) if members > 1 else values
    critics = export_critics(tensors, net, [] if histogram is None else [histogram] * 2)
    for critic, value in zip(critics, wanted, strict=True):
        found = critic(data.observations[data.frame_before], data.actions)  # type: ignore[arg-type]
        np.testing.assert_allclose(found, value, rtol=2e-4, atol=2e-5)


def test_what_is_no_critic_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no critic at"):
        load_critic(tmp_path / "critic.npz")
    (tmp_path / "critic.npz").write_bytes(b"nothing")
    with pytest.raises(UserError, match="is not a critic"):
        load_critic(tmp_path / "critic.npz")
    np.savez(tmp_path / "critic.npz", weights_0=np.zeros(3))
    with pytest.raises(UserError, match="is not a critic"):
        load_critic(tmp_path / "critic.npz")
