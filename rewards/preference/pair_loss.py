"""The loss of Bradley-Terry rewards on a batch of pairs: which loss, whose labels, and what unlabelled pairs add."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rewards.preference.comparisons import Comparisons, check_frames
from rewards.preference.descent import DescentConfig
from rewards.preference.encoders import Network, Output, evaluate
from rewards.preference.losses import Loss, check_confusion, confused, cross_entropy, mae, smoothed, symmetric_confusion
from rewards.preference.surf import Crop, SurfConfig, pseudo_labels
from robot_learn.errors import UserError, unknown

ERROR_PACE = 10.0  # how much faster than a weight the error rate of a source moves


@dataclass(frozen=True)
class BradleyTerryConfig(DescentConfig):
    members: int = 3  # of each seed's ensemble
    hidden: tuple[int, ...] = (256, 256)
    output: Output = "linear"  # a tanh, as in RL-VLM-F, has no room left for the best among the good
    inverse_temperature: float = 5.0  # beta: with a tanh, 1 leaves no room to tell one frame from another at its ends
    loss: Loss = "cross-entropy"
    label_smoothing: float = 0.0
    error: float = 0.2  # loss "confusion" without a table: what a source's rate of wrong labels is first taken for
    held_out: float = 0.1  # share of the labels that a model is stopped and judged by
    seed: int = 0  # of what is held out, the same for all members

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss not in ("cross-entropy", "mae", "confusion"):
            raise unknown("loss", self.loss, ("cross-entropy", "mae", "confusion"))
        if self.members < 1 or not self.inverse_temperature > 0.0:
            raise UserError(
                f"wanted 1 member or more and an inverse temperature above 0, came {self.members}, "
                f"{self.inverse_temperature}"
            )
        if not (0.0 < self.held_out < 1.0 and 0.0 <= self.label_smoothing < 1.0 and 0.0 < self.error < 0.5):
            raise UserError(
                f"wanted held_out in (0, 1), label_smoothing in [0, 1) and error in (0, 0.5), came {self.held_out}, "
                f"{self.label_smoothing}, {self.error}"
            )


class PairLoss:
    """Pairs, a network of E members and the loss on them, while it is being fitted."""

    def __init__(
        self,
        made: Network,
        frames: np.ndarray,
        learned: Comparisons,
        judged: Comparisons,
        config: BradleyTerryConfig,
        confusion: np.ndarray | None,
        seeds: Sequence[int],
    ) -> None:
        self.network, self.frames, self.learned, self.judged, self.config = made, frames, learned, judged, config
        self.seeds, self.unlabelled = seeds, np.zeros(0)
        self.surf: SurfConfig | None = None
        self.crops: list[Crop] = []
        self.draws: list[np.random.Generator] = []
        num_sources = int(max(learned.source_of.max(), judged.source_of.max())) + 1
        self.given = None if confusion is None else torch.from_numpy(check_confusion(confusion, num_sources))
        odds = np.log(2 * config.error / (1 - 2 * config.error)) / ERROR_PACE
        self.error_logits = torch.full((made.members, num_sources), float(odds), requires_grad=True)
        self.learns_error = config.loss == "confusion" and confusion is None

    @property
    def parameters(self) -> list[torch.Tensor]:
        return self.network.parameters + ([self.error_logits] if self.learns_error else [])

    def errors(self) -> np.ndarray:
        """(E, sources) the mean rate of wrong labels of each source."""
        if self.learns_error:
            return self._error().detach().numpy().copy()
        if self.config.loss == "confusion" and self.given is not None:
            wrong = (self.given[:, 0, 1] + self.given[:, 1, 0]).numpy() / 2
            return np.broadcast_to(wrong, tuple(self.error_logits.shape)).copy()
        return np.zeros(tuple(self.error_logits.shape), dtype=np.float32)

    def _error(self) -> torch.Tensor:
        return 0.5 * torch.sigmoid(ERROR_PACE * self.error_logits)  # a source is at worst a coin

    def go_semi_supervised(self, unlabelled: np.ndarray | None, surf: SurfConfig) -> None:
        length = self.learned.segments.shape[2]
        if unlabelled is None or unlabelled.ndim != 3 or unlabelled.shape[1:] != (2, length):
            came = None if unlabelled is None else unlabelled.shape
            raise UserError(f"SURF wants unlabelled pairs of shape (U, 2, {length}), came {came}")
        check_frames(self.frames, unlabelled)
        self.surf, self.unlabelled = surf, unlabelled
        numbers = [(seed, member) for seed in self.seeds for member in range(self.config.members)]
        self.crops = [Crop(np.random.default_rng([seed, member, 2]), surf) for seed, member in numbers]
        self.draws = [np.random.default_rng([seed, 0, 4]) for seed in self.seeds]

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        """(E,) of the learned pairs (E, B)."""
        which = batch.numpy()
        segments = self.learned.segments[which]
        if self.surf is None:
            return self._weighted(self.logits(segments), self.learned, which)
        # An ensemble looks at the same pairs, so that what it is sure of is sure to all of its members.
        size = self.surf.unlabelled_ratio * which.shape[1]
        drawn = np.stack([rng.integers(0, len(self.unlabelled), size=size) for rng in self.draws])
        drawn = np.repeat(drawn, self.config.members, axis=0)
        with torch.no_grad():
            logits = self.logits(self.unlabelled[drawn])
            mean = logits.reshape(len(self.seeds), self.config.members, -1).mean(dim=1, keepdim=True)
            sure, pseudo = pseudo_labels(mean.expand(-1, self.config.members, -1).reshape(logits.shape), self.surf)
        both = np.concatenate([segments, self.unlabelled[drawn]], axis=1)
        cropped = np.stack([crop(pairs) for crop, pairs in zip(self.crops, both, strict=True)])
        logits = self.logits(cropped)
        supervised = self._weighted(logits[:, : which.shape[1]], self.learned, which)
        guessed = (sure * cross_entropy(logits[:, which.shape[1] :], pseudo)).mean(dim=1)
        return supervised + self.surf.weight * guessed

    def judge(self) -> torch.Tensor:
        """(E,) on the held-out pairs."""
        which = np.broadcast_to(np.arange(len(self.judged)), (self.network.members, len(self.judged)))
        return self._weighted(self.judged_logits(), self.judged, which)

    def judged_logits(self) -> torch.Tensor:
        """(E, held-out pairs)."""
        with torch.no_grad():
            shown, where = np.unique(self.judged.segments, return_inverse=True)
            paid = torch.from_numpy(evaluate(self.network, self.frames, shown)[..., 0])
            returns = paid[:, torch.from_numpy(where.reshape(self.judged.segments.shape))].sum(dim=-1)
            return self.config.inverse_temperature * (returns[..., 1] - returns[..., 0])

    def logits(self, segments: np.ndarray) -> torch.Tensor:
        """(E, B) of pairs (E, B, 2, L)."""
        members, batch, _, length = segments.shape
        inputs = torch.from_numpy(np.ascontiguousarray(self.frames[segments.reshape(members, -1)]))
        if inputs.dtype != torch.uint8:
            inputs = inputs.to(torch.float32)
        returns = self.network(inputs).reshape(members, batch, 2, length).sum(dim=3)
        return self.config.inverse_temperature * (returns[..., 1] - returns[..., 0])

    def _weighted(self, logits: torch.Tensor, pairs: Comparisons, which: np.ndarray) -> torch.Tensor:
        labels = smoothed(torch.from_numpy(pairs.labels[which].astype(np.float32)), self.config.label_smoothing)
        if self.config.loss == "cross-entropy":
            each = cross_entropy(logits, labels)
        elif self.config.loss == "mae":
            each = mae(logits, labels)
        else:
            each = confused(logits, labels, self._confusion(torch.from_numpy(pairs.source_of[which])))
        return (torch.from_numpy(pairs.weights[which]) * each).mean(dim=1)

    def _confusion(self, sources: torch.Tensor) -> torch.Tensor:
        """(E, B, 2, 2) of the sources (E, B)."""
        if self.given is not None:
            return self.given[sources]
        return symmetric_confusion(torch.gather(self._error(), 1, sources))
