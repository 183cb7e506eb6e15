"""Rewards from grades of single segments: rating-based learning (White et al., AAAI 2024), as ERL-VLM does it.

The mean reward R of a segment lies in [0, 1], which is cut into as many classes of equal width as the scale has grades.
P(class i) is proportional to exp(-k (R - b_i) (R - b_{i+1})), b the bounds of the classes: highest in the middle of its
own class. ERL-VLM (Luu et al., ICML 2025) found a model's grades unbalanced and wrong now and then, and answers with
batches in which all classes are as frequent, and with the mean absolute error in place of cross entropy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from rewards.preference.calibration import Calibration, calibration
from rewards.preference.comparisons import Ratings, check_frames, held_out
from rewards.preference.descent import DescentConfig, descend
from rewards.preference.encoders import Network, evaluate, generators_of, network
from robot_learn.errors import UserError


@dataclass(frozen=True)
class RatingsConfig(DescentConfig):
    members: int = 3
    hidden: tuple[int, ...] = (256, 256)
    loss: Literal["mae", "cross-entropy"] = "mae"
    sharpness: float = 4.0  # log odds of a class against its neighbour in its middle; k is this over the width squared
    held_out: float = 0.1
    seed: int = 0


def class_log_probabilities(means: torch.Tensor, num_classes: int, sharpness: float) -> torch.Tensor:
    """(..., classes) of the mean rewards (...,) in [0, 1] of segments."""
    bounds = torch.linspace(0.0, 1.0, num_classes + 1)
    apart = (means[..., None] - bounds[:-1]) * (means[..., None] - bounds[1:])
    return torch.log_softmax(-sharpness * num_classes**2 * apart, dim=-1)


@dataclass(frozen=True, eq=False)
class RatedRewards:
    """S ensembles that pay a frame 0 to 1."""

    network: Network
    seeds: tuple[int, ...]
    calibrations: tuple[Calibration, ...]  # of each seed, over all held-out pairs of different grades

    @classmethod
    def fit(
        cls,
        frames: np.ndarray,
        ratings: Ratings,
        config: RatingsConfig | None = None,
        seeds: Sequence[int] = (0,),
        *,
        on_epoch: Callable[[int, float], None] | None = None,
    ) -> RatedRewards:
        """Learn from graded segments of frames (F, width) float or (F, height, width, 3) uint8."""
        config = config or RatingsConfig()
        check_frames(frames, ratings.segments)
        learned, judged = (ratings.rows(which) for which in held_out(len(ratings), config.held_out, config.seed))
        made = network(frames, config.hidden, generators_of(seeds, config.members), output="sigmoid")

        def error(means: torch.Tensor, classes: np.ndarray) -> torch.Tensor:
            logs = class_log_probabilities(means, ratings.num_classes, config.sharpness)
            log = torch.gather(logs, -1, torch.tensor(classes)[..., None])[..., 0]
            return (2.0 - 2.0 * log.exp() if config.loss == "mae" else -log).mean(dim=-1)

        def loss(batch: torch.Tensor) -> torch.Tensor:
            segments = learned.segments[batch.numpy()]
            inputs = torch.from_numpy(np.ascontiguousarray(frames[segments.reshape(len(segments), -1)]))
            inputs = inputs if inputs.dtype == torch.uint8 else inputs.to(torch.float32)
            return error(made(inputs).reshape(segments.shape).mean(dim=-1), learned.classes[batch.numpy()])

        def judged_means() -> torch.Tensor:
            rows = evaluate(made, frames, judged.segments.ravel())[..., 0]
            return torch.from_numpy(rows.reshape(made.members, *judged.segments.shape).mean(axis=-1))

        def judge() -> torch.Tensor:
            return error(judged_means(), np.broadcast_to(judged.classes, (made.members, len(judged))))

        rngs = [np.random.default_rng([seed, member, 1]) for seed in seeds for member in range(config.members)]
        order = balanced(learned.classes)
        descend(made.parameters, loss, judge, len(learned), rngs, config, order=order, on_epoch=on_epoch)
        means = judged_means().numpy().reshape(len(seeds), config.members, -1).mean(axis=1)
        return cls(made, tuple(seeds), tuple(_calibration(row, judged.classes) for row in means))

    def rewards(self, frames: np.ndarray) -> np.ndarray:
        """(S, F) float32 in [0, 1]."""
        each = evaluate(self.network, frames)[..., 0]
        return np.asarray(each.reshape(len(self.seeds), -1, each.shape[1]).mean(axis=1))

    def arrays(self) -> dict[str, np.ndarray]:
        judged = np.asarray(json.dumps([entry.to_json() for entry in self.calibrations]))
        return self.network.arrays() | {"seeds": np.asarray(self.seeds, dtype=np.int64), "calibrations": judged}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> RatedRewards:
        judged = tuple(Calibration(**entry) for entry in json.loads(str(arrays["calibrations"])))
        return cls(Network.from_arrays(arrays), tuple(int(seed) for seed in arrays["seeds"]), judged)


def balanced(classes: np.ndarray) -> Callable[[np.random.Generator], np.ndarray]:
    """An epoch's order in which every class that there is comes equally often, drawn with replacement."""
    members = [np.flatnonzero(classes == one) for one in np.unique(classes)]

    def order(rng: np.random.Generator) -> np.ndarray:
        which = rng.integers(0, len(members), size=len(classes))
        return np.array([rng.choice(members[one]) for one in which])

    return order


def _calibration(means: np.ndarray, classes: np.ndarray) -> Calibration:
    """How pairs of held-out segments are ordered, those of equal grades left out."""
    first, second = np.nonzero(classes[:, None] < classes[None, :])
    if len(first) == 0:
        raise UserError("ratings: all held-out segments have the same grade; more labels, or a larger held-out share")
    return calibration(means[second] - means[first], np.ones(len(first)))
