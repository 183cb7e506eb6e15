"""Rewards from comparisons: P(second preferred) = sigmoid(beta (R(second) - R(first))), R the sum over a segment.

Bradley and Terry (1952); Christiano et al. (NeurIPS 2017) for rewards. Each seed is an ensemble of some members, and
all members of all seeds are one stack. What a seed pays for a frame is the mean over its members.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rewards.preference.calibration import Calibration, calibration
from rewards.preference.comparisons import Comparisons, check_frames, held_out
from rewards.preference.descent import descend
from rewards.preference.encoders import Network, evaluate, generators_of, network
from rewards.preference.pair_loss import BradleyTerryConfig, PairLoss
from rewards.preference.surf import SurfConfig


@dataclass(frozen=True, eq=False)
class BradleyTerry:
    """S ensembles, seed by seed in the stack of the network."""

    network: Network
    seeds: tuple[int, ...]
    inverse_temperature: float
    calibrations: tuple[Calibration, ...]  # of each seed, on what was held out
    errors: np.ndarray  # (S, sources) the rate of wrong labels that was assumed or learned; 0 where none

    @classmethod
    def fit(
        cls,
        frames: np.ndarray,
        comparisons: Comparisons,
        config: BradleyTerryConfig | None = None,
        seeds: Sequence[int] = (0,),
        *,
        confusion: np.ndarray | None = None,
        unlabelled: np.ndarray | None = None,
        surf: SurfConfig | None = None,
        on_epoch: Callable[[int, float], None] | None = None,
    ) -> BradleyTerry:
        """Learn from labelled pairs of segments of frames (F, width) float or (F, height, width, 3) uint8.

        Args:
            confusion: (sources, 2, 2) or (sources, 3, 3) of gold pairs, for the loss "confusion"; None: learned.
            unlabelled: (U, 2, L) pairs that nobody was asked about, for `surf`.
            on_epoch: told the epoch, from 1, and the mean held-out loss.

        Raises:
            UserError: a frame or a label is no good; the message names its row.
        """
        config = config or BradleyTerryConfig()
        check_frames(frames, comparisons.segments)
        learned, judged = held_out(len(comparisons), config.held_out, config.seed)
        made = network(frames, config.hidden, generators_of(seeds, config.members), output=config.output)
        task = PairLoss(made, frames, comparisons.rows(learned), comparisons.rows(judged), config, confusion, seeds)
        if surf is not None:
            task.go_semi_supervised(unlabelled, surf)
        rngs = [np.random.default_rng([seed, member, 1]) for seed in seeds for member in range(config.members)]
        descend(task.parameters, task.loss, task.judge, len(learned), rngs, config, on_epoch=on_epoch)
        logits = task.judged_logits().reshape(len(seeds), config.members, -1).mean(dim=1).numpy()
        calibrations = tuple(calibration(row, task.judged.labels) for row in logits)
        errors = task.errors().reshape(len(seeds), config.members, -1).mean(axis=1)
        return cls(made, tuple(seeds), config.inverse_temperature, calibrations, errors)

    @property
    def members(self) -> int:
        """Of each seed."""
        return self.network.members // len(self.seeds)

    def member_rewards(self, frames: np.ndarray) -> np.ndarray:
        """(S * members, F) float32: what each member pays for frames, seed by seed."""
        return evaluate(self.network, frames)[..., 0]

    def rewards(self, frames: np.ndarray) -> np.ndarray:
        """(S, F) float32: what each seed's ensemble pays for frames."""
        each = self.member_rewards(frames)
        return np.asarray(each.reshape(len(self.seeds), self.members, -1).mean(axis=1))

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything, to be saved."""
        judged = [entry.to_json() for entry in self.calibrations]
        return self.network.arrays() | {
            "seeds": np.asarray(self.seeds, dtype=np.int64),
            "inverse_temperature": np.asarray(self.inverse_temperature),
            "calibrations": np.asarray(json.dumps(judged)),
            "errors": self.errors,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> BradleyTerry:
        """The inverse of `arrays`."""
        judged = tuple(Calibration(**entry) for entry in json.loads(str(arrays["calibrations"])))
        seeds = tuple(int(seed) for seed in arrays["seeds"])
        return cls(Network.from_arrays(arrays), seeds, float(arrays["inverse_temperature"]), judged, arrays["errors"])
