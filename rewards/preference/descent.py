"""The loop that every reward model learns in: mini-batches by Adam, stopped early by what is held out.

All members of a stack go through it at once. Each has an order of its own, keeps its own best weights, and ends on its
own, so that it comes out the same whoever stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from robot_learn.errors import UserError

BatchLoss = Callable[[torch.Tensor], torch.Tensor]  # indices (E, B) to losses (E,)


@dataclass(frozen=True)
class DescentConfig:
    """How a reward model is fitted."""

    learning_rate: float = 3e-4
    weight_decay: float = 0.0
    batch_size: int = 64
    max_epochs: int = 100
    patience: int = 10  # epochs without a better held-out loss, after which a member ends

    def __post_init__(self) -> None:
        for name in ("batch_size", "max_epochs", "patience"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}: wanted 1 or more")
        if not self.learning_rate > 0.0 or not self.weight_decay >= 0.0:
            raise UserError(
                f"wanted a learning rate above 0 and a weight decay from 0, came {self.learning_rate}, "
                f"{self.weight_decay}"
            )


@dataclass(frozen=True, eq=False)
class Descent:
    """How it went, a row an epoch."""

    losses: np.ndarray  # (epochs, E) mean over the epoch's batches
    held_out: np.ndarray  # (epochs, E) after it
    best: np.ndarray  # (E,) int64: the epoch whose weights were kept


def descend(
    parameters: Sequence[torch.Tensor],
    loss: BatchLoss,
    judge: Callable[[], torch.Tensor],
    count: int,
    rngs: Sequence[np.random.Generator],
    config: DescentConfig,
    *,
    order: Callable[[np.random.Generator], np.ndarray] | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
) -> Descent:
    """Fit parameters, members first, to `count` items; they end as they were when the held-out loss was lowest.

    Args:
        loss: of the items with the indices (E, B), one row a member.
        judge: the held-out loss (E,).
        rngs: one a member.
        order: the items of one epoch, from a member's generator; None: each once, shuffled.
        on_epoch: told the epoch, from 1, and the mean held-out loss.
    """
    optimiser = torch.optim.AdamW(list(parameters), lr=config.learning_rate, weight_decay=config.weight_decay)
    best_loss = np.full(len(rngs), np.inf)
    best = np.zeros(len(rngs), dtype=np.int64)
    kept = [parameter.detach().clone() for parameter in parameters]
    losses, held_out = [], []
    for epoch in range(config.max_epochs):
        sums = [_step(optimiser, loss, batch) for batch in _batches(count, rngs, config.batch_size, order)]
        losses.append(np.mean(sums, axis=0))
        with torch.no_grad():
            judged = judge().numpy().astype(np.float64)
        held_out.append(judged)
        going = epoch - best < config.patience  # a member that has ended is not looked at again
        better = going & (judged < best_loss)
        best_loss[better], best[better] = judged[better], epoch
        for keep, parameter in zip(kept, parameters, strict=True):
            keep[better] = parameter.detach()[better]
        if on_epoch is not None:
            on_epoch(epoch + 1, float(judged.mean()))
        if (epoch - best >= config.patience).all():
            break
    if not np.isfinite(best_loss).all():
        raise UserError(f"the loss of a reward model is not finite: {best_loss}")
    with torch.no_grad():
        for keep, parameter in zip(kept, parameters, strict=True):
            parameter.copy_(keep)
    return Descent(np.array(losses), np.array(held_out), best)


def _step(optimiser: torch.optim.Optimizer, loss: BatchLoss, batch: torch.Tensor) -> Any:
    optimiser.zero_grad()
    each = loss(batch)
    each.sum().backward()  # type: ignore[no-untyped-call]  # the members share no weight, so each has its own gradient
    optimiser.step()
    return each.detach().numpy()


def _batches(
    count: int,
    rngs: Sequence[np.random.Generator],
    size: int,
    order: Callable[[np.random.Generator], np.ndarray] | None,
) -> Iterator[torch.Tensor]:
    """Indices (E, B); the last batch of an epoch may be smaller."""
    orders = np.stack([rng.permutation(count) if order is None else order(rng) for rng in rngs])
    for first in range(0, orders.shape[1], size):
        yield torch.from_numpy(orders[:, first : first + size])
