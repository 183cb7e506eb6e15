"""How a learner is made of an update: its seeds, its training, and all that a checkpoint of it must hold."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from robot_learn.offline.learner import Batches, Critic, check_seeds, check_stacks, stacks
from robot_learn.offline.tensors import Tensors
from robot_learn.offline.updates import Losses
from robot_learn.policy import MlpPolicy

BLOCK = 100  # updates whose steps are drawn at once


@dataclass(frozen=True, eq=False)
class Moving:
    """All that changes while a learner learns, for its checkpoints."""

    modules: Mapping[str, nn.Module]
    optimisers: Mapping[str, torch.optim.Optimizer]
    batches: Sequence[Batches]
    noise: Sequence[torch.Generator] = ()

    def state(self, updates: int) -> dict[str, Any]:
        """A copy of it, and how many updates it is the work of."""
        return copy.deepcopy(
            {
                "updates": updates,
                "modules": {name: module.state_dict() for name, module in self.modules.items()},
                "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
                "batches": [stream.state() for stream in self.batches],
                "noise": [generator.get_state() for generator in self.noise],
            }
        )

    def load_state(self, state: Mapping[str, Any]) -> int:
        """Put a copy back; returns its updates."""
        state = copy.deepcopy(dict(state))
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        for stream, stored in zip(self.batches, state["batches"], strict=True):
            stream.load_state(stored)
        for generator, stored in zip(self.noise, state["noise"], strict=True):
            generator.set_state(stored)
        return int(state["updates"])


class Stack(Protocol):
    """An algorithm for some seeds: its networks and its update."""

    updates: int  # done so far; `update` counts them
    moving: Moving

    def update(self, rows: Tensor) -> Losses:
        """One update on the rows (S, B) that its batches have drawn."""
        ...

    def policies(self) -> list[MlpPolicy]: ...

    def critics(self) -> Sequence[Critic]: ...


class Stacked:
    """A learner whose seeds are stacks: see `robot_learn.offline.learner.Learner`."""

    Config: ClassVar[type]
    make: ClassVar[type[Any]]  # a Stack, made as `make(tensors, config, seeds)`

    def __init__(self, tensors: Tensors, config: Any, seeds: Sequence[int]) -> None:
        self.seeds = check_seeds(seeds, tensors)
        rewards = tensors.rewards_of(len(self.seeds))
        self.stacks: list[Stack] = [
            type(self).make(replace(tensors, rewards=rewards[group]), config, self.seeds[group])
            for group in stacks(len(self.seeds), tensors.device)
        ]

    @property
    def updates(self) -> int:
        return self.stacks[0].updates

    def train(self, updates: int) -> dict[str, np.ndarray]:
        """So many updates more; mean losses by name, (S,) each."""
        found = [averaged(stack.update, stack.moving.batches, updates) for stack in self.stacks]
        return {name: np.concatenate([part[name] for part in found]) for name in found[0]}

    def policies(self) -> list[MlpPolicy]:
        """One a seed."""
        return [policy for stack in self.stacks for policy in stack.policies()]

    def critics(self) -> list[Critic]:
        """One a seed, or none."""
        return [critic for stack in self.stacks for critic in stack.critics()]

    def state(self) -> dict[str, Any]:
        """All that the rest of the training depends on."""
        return {"stacks": [stack.moving.state(stack.updates) for stack in self.stacks]}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        check_stacks(len(state["stacks"]), len(self.stacks))
        for stack, stored in zip(self.stacks, state["stacks"], strict=True):
            stack.updates = stack.moving.load_state(stored)


def averaged(update: Callable[[Tensor], Losses], batches: Sequence[Batches], updates: int) -> dict[str, np.ndarray]:
    """Run `update` on the rows (S, B) of one batch after the other; its losses (S,) as means over them.

    Several `batches` are those of one seed each. A loss that is not there in every update is averaged over those in
    which it is.
    """
    sums: dict[str, tuple[Tensor, int]] = {}
    for first in range(0, updates, BLOCK):
        count = min(BLOCK, updates - first)
        for rows in torch.cat([stream.draw(count) for stream in batches], dim=1):
            for name, loss in update(rows).items():
                total, times = sums.get(name, (torch.zeros_like(loss, dtype=torch.float64), 0))
                sums[name] = total + loss.detach(), times + 1
    return {name: (total / times).cpu().numpy() for name, (total, times) in sums.items()}
