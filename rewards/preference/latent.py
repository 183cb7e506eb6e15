"""Several people, several tastes: variational preference learning (VPL; Poddar et al., NeurIPS 2024).

A user is a latent z, told from some of their labelled pairs by an encoder q(z | pairs); the reward r(s, z) is theirs.
Both are learned together by the evidence lower bound, cross entropy + w KL(q || N(0, 1)). Without z, people who want
opposite things average to a reward that pays nobody.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rewards.preference.calibration import Calibration, calibration
from rewards.preference.comparisons import Comparisons, check_frames, held_out
from rewards.preference.descent import DescentConfig, descend
from rewards.preference.encoders import Network, generators_of, network
from rewards.preference.losses import cross_entropy
from robot_learn.errors import UserError

ROWS = 4096  # frames that go through the network at once


@dataclass(frozen=True)
class LatentConfig(DescentConfig):
    learning_rate: float = 1e-3
    batch_size: int = 16  # sets of pairs, each of one user
    max_epochs: int = 400
    patience: int = 100  # what a user wants is found out all at once, after many epochs in which nothing gets better
    hidden: tuple[int, ...] = (256, 256)
    latent: int = 32  # numbers of z
    context: int = 16  # pairs that a user is told from
    kl_weight: float = 1e-3
    inverse_temperature: float = 5.0
    held_out: float = 0.1
    seed: int = 0


@dataclass(frozen=True, eq=False)
class LatentUsers:
    """S models of U users; user u is whoever had the number u among the sources."""

    encoder: Network
    reward: Network
    seeds: tuple[int, ...]
    inverse_temperature: float
    users: np.ndarray  # (S, U, latent) mean of each one's posterior
    calibrations: tuple[Calibration, ...]  # of each seed, over the held-out pairs of all users

    @classmethod
    def fit(
        cls,
        frames: np.ndarray,
        comparisons: Comparisons,
        config: LatentConfig | None = None,
        seeds: Sequence[int] = (0,),
        *,
        on_epoch: Callable[[int, float], None] | None = None,
    ) -> LatentUsers:
        """Learn from pairs whose `sources` are the users, and frames (F, width); of pictures, their features.

        Raises:
            UserError: a user has no pair to learn from, or a frame or label is no good.
        """
        config = config or LatentConfig()
        if frames.ndim != 2:
            raise UserError(f"users: wanted vectors (F, width), or features of pictures; came {frames.shape}")
        check_frames(frames, comparisons.segments)
        task = _Task(frames, comparisons, config, seeds)
        rngs = [np.random.default_rng([seed, 0, 1]) for seed in seeds]
        count = max(len(task.learned) // config.context, 1)  # sets in an epoch
        parameters = task.encoder.parameters + task.reward.parameters
        descend(parameters, task.loss, task.judge, count, rngs, config, order=None, on_epoch=on_epoch)
        with torch.no_grad():
            users = task.posteriors()[0]
            logits = task.judged_logits(users).numpy()
        judged = tuple(calibration(row, task.judged.labels) for row in logits)
        return cls(task.encoder, task.reward, tuple(seeds), config.inverse_temperature, users.numpy().copy(), judged)

    def rewards(self, frames: np.ndarray, user: int = 0) -> np.ndarray:
        """(S, F) float32: what one of the users would pay for frames."""
        if not 0 <= user < self.users.shape[1]:
            raise UserError(f"user {user}: there are {self.users.shape[1]}, from 0")
        return self.rewards_of(frames, self.users[:, user])

    def rewards_of(self, frames: np.ndarray, z: np.ndarray) -> np.ndarray:
        """(S, F) float32 for latents (S, latent), e.g. of `posterior`."""
        if frames.ndim != 2 or frames.shape[1] + z.shape[1] != len(self.reward.mean):
            wanted = len(self.reward.mean) - z.shape[1]
            raise UserError(f"frames: this reward model wants {wanted} numbers a frame, came {frames.shape}")
        parts = []
        with torch.no_grad():
            for first in range(0, len(frames), ROWS):
                rows = torch.from_numpy(np.ascontiguousarray(frames[first : first + ROWS], dtype=np.float32))
                parts.append(_pay(self.reward, rows.expand(len(z), -1, -1), torch.from_numpy(z)[:, None]))
        return np.asarray(torch.cat(parts, dim=1).numpy())

    def posterior(self, frames: np.ndarray, pairs: Comparisons) -> np.ndarray:
        """(S, latent): the mean latent of somebody new, told from a few of their pairs."""
        check_frames(frames, pairs.segments)
        inputs = _told(self.reward, torch.from_numpy(np.asarray(frames, dtype=np.float32)), pairs)
        with torch.no_grad():
            mean = self.encoder(inputs[None]).mean(dim=1).chunk(2, dim=-1)[0]
        return np.asarray(mean.numpy())

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything, to be saved."""
        found = {f"encoder/{name}": value for name, value in self.encoder.arrays().items()}
        found |= {f"reward/{name}": value for name, value in self.reward.arrays().items()}
        judged = np.asarray(json.dumps([entry.to_json() for entry in self.calibrations]))
        own = {"seeds": np.asarray(self.seeds, dtype=np.int64), "users": self.users, "calibrations": judged}
        return found | own | {"inverse_temperature": np.asarray(self.inverse_temperature)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> LatentUsers:
        """The inverse of `arrays`."""

        def part(name: str) -> Network:
            found = {key.removeprefix(name): value for key, value in arrays.items() if key.startswith(name)}
            return Network.from_arrays(found)

        judged = tuple(Calibration(**entry) for entry in json.loads(str(arrays["calibrations"])))
        seeds = tuple(int(seed) for seed in arrays["seeds"])
        beta = float(arrays["inverse_temperature"])
        return cls(part("encoder/"), part("reward/"), seeds, beta, arrays["users"], judged)


class _Task:
    """Users, their pairs, both networks and the bound, while they are being fitted."""

    def __init__(
        self, frames: np.ndarray, comparisons: Comparisons, config: LatentConfig, seeds: Sequence[int]
    ) -> None:
        learned, judged = held_out(len(comparisons), config.held_out, config.seed)
        self.learned, self.judged, self.config = comparisons.rows(learned), comparisons.rows(judged), config
        self.frames = torch.from_numpy(np.asarray(frames, dtype=np.float32))
        self.of_user = [
            np.flatnonzero(self.learned.source_of == user) for user in range(int(comparisons.source_of.max()) + 1)
        ]
        for user, pairs in enumerate(self.of_user):
            if len(pairs) == 0:
                raise UserError(f"users: source {user} has no pair to learn from; number them from 0 without gaps")
        generators, width = generators_of(seeds, 1), frames.shape[1]
        self.reward = network(frames, config.hidden, generators, output="tanh", extra=config.latent)
        blank = np.zeros((2, 2 * width), dtype=np.float32)  # what it sees is standardised already
        self.encoder = network(blank, config.hidden, generators, output="linear", outputs=2 * config.latent)
        self.draws = [np.random.default_rng([seed, 0, 3]) for seed in seeds]
        self.noise = [torch.Generator().manual_seed(int(rng.integers(2**62))) for rng in self.draws]

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        """(S,) the negative bound of some sets; which ones, each member draws: the indices (S, B) only count them."""
        sets = np.stack([self._sets(rng, batch.shape[1]) for rng in self.draws])  # (S, B, context)
        members, number, context = sets.shape
        pairs = self.learned.rows(sets.ravel())
        inputs = _told(self.reward, self.frames, pairs).reshape(members, number * context, -1)
        mean, log_variance = self._posterior(inputs, (members, number, context))
        noise = torch.stack([torch.randn(mean.shape[1:], generator=one) for one in self.noise])
        z = mean + noise * (0.5 * log_variance).exp()
        length = pairs.segments.shape[2]
        shown = self.frames[torch.from_numpy(pairs.segments.reshape(members, number, -1))]
        each_z = z[:, :, None].expand(-1, -1, shown.shape[2], -1).flatten(1, 2)
        paid = _pay(self.reward, shown.flatten(1, 2), each_z).reshape(members, number, context, 2, length).sum(dim=-1)
        logits = self.config.inverse_temperature * (paid[..., 1] - paid[..., 0])
        labels = torch.from_numpy(pairs.labels.astype(np.float32)).reshape(logits.shape)
        weights = torch.from_numpy(pairs.weights).reshape(logits.shape)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(dim=-1)
        fit = (weights * cross_entropy(logits, labels)).mean(dim=(1, 2))
        return fit + self.config.kl_weight * divergence.mean(dim=1)

    def _sets(self, rng: np.random.Generator, number: int) -> np.ndarray:
        """(B, context) pairs, each row of one user."""
        users = rng.integers(0, len(self.of_user), size=number)
        return np.stack([rng.choice(self.of_user[user], size=self.config.context) for user in users])

    def _posterior(self, inputs: torch.Tensor, shape: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance (S, B, latent) of sets of told pairs (S, B * context, ...)."""
        mean, log_variance = self.encoder(inputs).reshape(*shape, -1).mean(dim=2).chunk(2, dim=-1)
        return mean, log_variance.clamp(-8.0, 4.0)

    def posteriors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance (S, U, latent) of all users, each told from all of their learned pairs."""
        found = []
        for pairs in self.of_user:
            inputs = _told(self.reward, self.frames, self.learned.rows(pairs))
            found.append(self._posterior(inputs[None], (len(self.draws), 1, len(pairs))))
        return torch.cat([mean for mean, _ in found], dim=1), torch.cat([spread for _, spread in found], dim=1)

    def judged_logits(self, users: torch.Tensor) -> torch.Tensor:
        """(S, held-out pairs) for latents (S, U, latent)."""
        count, _, length = self.judged.segments.shape
        z = users[:, torch.from_numpy(self.judged.source_of)].repeat_interleave(2 * length, dim=1)
        shown = self.frames[torch.from_numpy(self.judged.segments.ravel())]
        paid = _pay(self.reward, shown.expand(len(z), -1, -1), z).reshape(len(z), count, 2, length).sum(dim=-1)
        return self.config.inverse_temperature * (paid[..., 1] - paid[..., 0])

    def judge(self) -> torch.Tensor:
        """(S,) the cross entropy of held-out pairs."""
        logits = self.judged_logits(self.posteriors()[0])
        labels = torch.from_numpy(self.judged.labels.astype(np.float32))
        return cross_entropy(logits, labels.expand_as(logits)).mean(dim=1)


def _pay(reward: Network, frames: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """(S, B) for frames (S, B, width) and latents (S, B, latent) or (S, 1, latent)."""
    joined = torch.cat([frames, z.expand(-1, frames.shape[1], -1)], dim=2)
    return reward(joined)[..., 0]


def _told(reward: Network, frames: torch.Tensor, pairs: Comparisons) -> torch.Tensor:
    """(P, 2 width) what the encoder sees of a pair: what the preferred segment has more of, and what both have.

    Of mean frames, standardised. VPL's own encoder sees both segments and the label beside them; like this, a pair is
    the same in both orders, and what a user is after can be read off.
    """
    width = frames.shape[1]
    shown: Any = frames[torch.from_numpy(pairs.segments)].mean(dim=2)
    shown = (shown - reward.mean[:width]) / reward.deviation[:width]
    labels = torch.from_numpy(pairs.labels.astype(np.float32))
    preferred = (2.0 * labels[:, None] - 1.0) * (shown[:, 1] - shown[:, 0])
    return torch.cat([preferred, shown.mean(dim=1)], dim=1)
