"""How fast IQL learns: ours, an eager loop in the style of CORL, and d3rlpy where it is installed.

All see the same data of a synthetic task, with the same hyperparameters (39 observations, 4 actions, two layers of 256,
batches of 256, one thread), for the same number of updates, in short windows that take turns: a rate is the median of
its windows, a ratio the median of the ratios of neighbouring windows, so that other work on the machine hits all
alike. What each has learned is then measured by the same episodes.
"""

from __future__ import annotations

import copy
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from robot_learn.offline.bench_point import ACT_DIM, EPISODES, mixed_data, score
from robot_learn.offline.flat import reduced_products
from robot_learn.offline.iql import IqlConfig
from robot_learn.offline.reward_scale import reward_factors
from robot_learn.offline.run import learners
from robot_learn.offline.tensors import Tensors, to_tensors
from robot_learn.training import threads

WINDOW = 25  # updates between two looks at the clock
UPDATES = 1500  # of each seed
SEEDS = (0, 1, 2)
MANY = 16  # seeds at once


class Eager:
    """IQL the way CORL's single file does it: a module a network, three Adams, batches drawn by numpy."""

    def __init__(self, tensors: Tensors, config: IqlConfig, seed: int) -> None:
        self.config, self.tensors = config, tensors
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            hidden = [config.hidden_size] * config.hidden_layers
            self.pi, self.v = _mlp(tensors.obs_dim, hidden, tensors.act_dim), _mlp(tensors.obs_dim, hidden, 1)
            self.q = nn.ModuleList(_mlp(tensors.obs_dim + tensors.act_dim, hidden, 1) for _ in range(2))
        self.log_std = nn.Parameter(torch.zeros(tensors.act_dim))
        for module in (self.pi, self.v, self.q):
            module.to(tensors.device)
        self.log_std.data = self.log_std.data.to(tensors.device)
        self.target = copy.deepcopy(self.q).requires_grad_(False)
        rate = config.learning_rate
        self.v_optimiser = torch.optim.Adam(self.v.parameters(), lr=rate)
        self.q_optimiser = torch.optim.Adam(self.q.parameters(), lr=rate)
        self.pi_optimiser = torch.optim.Adam([*self.pi.parameters(), self.log_std], lr=rate)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.pi_optimiser, config.total_updates)
        self.rng = np.random.default_rng(seed)
        before = tensors.before
        self.columns = (
            tensors.frames[before],
            tensors.actions,
            tensors.rewards[0],
            tensors.frames[before + 1],
            tensors.terminated.float(),
        )

    def train(self, updates: int) -> None:
        for _ in range(updates):
            rows = self.rng.integers(0, self.tensors.num_steps, self.config.batch_size)
            self._update(*(column[rows] for column in self.columns))

    def _update(self, s: Tensor, a: Tensor, reward: Tensor, s_next: Tensor, terminated: Tensor) -> None:
        config, both = self.config, torch.cat([s, a], 1)
        with torch.no_grad():
            next_value = self.v(s_next).squeeze(-1)
            target = torch.minimum(*(net(both).squeeze(-1) for net in self.target))
        advantage = target - self.v(s).squeeze(-1)
        weight = torch.abs(config.expectile - (advantage < 0).float())
        _step(self.v_optimiser, torch.mean(weight * advantage**2))

        wanted = reward + (1.0 - terminated) * config.gamma * next_value
        losses = [nn.functional.mse_loss(net(both).squeeze(-1), wanted) for net in self.q]
        _step(self.q_optimiser, losses[0] + losses[1])
        for slow, fast in zip(self.target.parameters(), self.q.parameters(), strict=True):
            slow.data.copy_((1.0 - config.polyak) * slow.data + config.polyak * fast.data)

        likely = torch.exp(config.inverse_temperature * advantage.detach()).clamp(max=config.largest_weight)
        policy: Any = torch.distributions.Normal(torch.tanh(self.pi(s)), torch.exp(self.log_std.clamp(-5.0, 2.0)))
        _step(self.pi_optimiser, torch.mean(-likely * policy.log_prob(a).sum(-1)))
        self.schedule.step()

    @torch.no_grad()
    def act(self, observations: np.ndarray) -> np.ndarray:
        return np.asarray(torch.tanh(self.pi(self.tensors.standardised(observations))).cpu())


class Ours:
    """`robot_learn.offline.iql`; several seeds are divided among the cores."""

    def __init__(self, tensors: Tensors, config: IqlConfig, seeds: Sequence[int], workers: int = 1) -> None:
        self.made = learners(tensors, "iql", config, seeds, workers)

    def train(self, updates: int) -> None:
        if len(self.made) == 1:
            self.made[0].train(updates)
            return
        with ThreadPoolExecutor(len(self.made)) as pool:
            list(pool.map(lambda learner: learner.train(updates), self.made))

    def act(self, observations: np.ndarray) -> np.ndarray:
        return np.asarray(self.made[0].policies()[0].predict(observations, deterministic=True)[0])


def _mlp(inputs: int, hidden: Sequence[int], outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(inputs, size), nn.ReLU()]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


class Peer:
    """d3rlpy's IQL, with its own sampling from its own buffer."""

    def __init__(self, tensors: Tensors, config: IqlConfig, seed: int) -> None:
        import d3rlpy
        from d3rlpy.models import VectorEncoderFactory
        from d3rlpy.optimizers import AdamFactory
        from d3rlpy.optimizers.lr_schedulers import CosineAnnealingLRFactory

        d3rlpy.seed(seed)
        self.tensors, self.batch_size = tensors, config.batch_size
        encoder = VectorEncoderFactory([config.hidden_size] * config.hidden_layers)
        self.algorithm: Any = d3rlpy.algos.IQLConfig(
            batch_size=config.batch_size,
            gamma=config.gamma,
            actor_learning_rate=config.learning_rate,
            critic_learning_rate=config.learning_rate,
            actor_encoder_factory=encoder,
            critic_encoder_factory=encoder,
            value_encoder_factory=encoder,
            actor_optim_factory=AdamFactory(lr_scheduler_factory=CosineAnnealingLRFactory(config.total_updates)),
            tau=config.polyak,
            expectile=config.expectile,
            weight_temp=config.inverse_temperature,
            max_weight=config.largest_weight,
        ).create(device=str(tensors.device))
        ends = np.cumsum(tensors.lengths) - 1
        timeouts = np.zeros(tensors.num_steps)
        timeouts[ends] = 1.0
        self.buffer: Any = d3rlpy.dataset.MDPDataset(
            observations=tensors.frames[tensors.before].cpu().numpy(),
            actions=tensors.actions.cpu().numpy(),
            rewards=tensors.rewards[0].cpu().numpy(),
            terminals=tensors.terminated.cpu().numpy().astype(np.float32),
            timeouts=timeouts,
        )
        self.algorithm.build_with_dataset(self.buffer)

    def train(self, updates: int) -> None:
        for _ in range(updates):
            self.algorithm.update(self.buffer.sample_transition_batch(self.batch_size))

    def act(self, observations: np.ndarray) -> np.ndarray:
        return np.asarray(self.algorithm.predict(self.tensors.standardised(observations).cpu().numpy()))


@dataclass
class Contender:
    """One line of the table."""

    name: str
    trained: list[Any]  # one for each of the seeds, or one for all
    seeds: int  # that learn in a window
    reduced: bool = False
    seconds: list[float] = field(default_factory=list)  # of the windows

    def window(self, trained: Any, device: torch.device) -> None:
        began = time.perf_counter()
        # Ours asks for it by itself.
        with reduced_products(True) if self.reduced else nullcontext():
            trained.train(WINDOW)
        if device.type == "cuda":
            torch.cuda.synchronize()
        self.seconds.append(time.perf_counter() - began)


def contenders(tensors: Tensors, config: IqlConfig, seeds: Sequence[int]) -> list[Contender]:
    """Those who take part, the eager loop first; d3rlpy only where it is installed."""
    reduced = replace(config, precision="reduced")
    found = [
        Contender("eager, as in CORL", [Eager(tensors, config, seed) for seed in seeds], 1),
        Contender("the same, reduced products", [Eager(tensors, config, seed) for seed in seeds], 1, reduced=True),
    ]
    try:
        with redirect_stdout(sys.stderr):  # it tells of itself where the figures belong
            found.append(Contender("d3rlpy", [Peer(tensors, config, seed) for seed in seeds], 1))
    except ImportError:
        found.append(Contender("d3rlpy: not installed", [], 1))
    return [
        *found,
        Contender("ours", [Ours(tensors, config, [seed]) for seed in seeds], 1),
        Contender("ours, reduced products", [Ours(tensors, reduced, [seed]) for seed in seeds], 1),
    ]


def crowds(tensors: Tensors, config: IqlConfig, many: int) -> list[Contender]:
    """Ours with many seeds at once, beside the eager loop with one."""
    cores = 1 if tensors.device.type == "cuda" else os.cpu_count() or 1
    reduced = replace(config, precision="reduced")
    where = f"{many} seeds" if cores == 1 else f"{many} seeds on {cores} cores"
    return [
        Contender("eager, as in CORL", [Eager(tensors, config, 0)], 1),
        Contender(f"ours, {where}", [Ours(tensors, config, range(many), cores)], many),
        Contender(f"ours, {where}, reduced products", [Ours(tensors, reduced, range(many), cores)], many),
    ]


def race(entered: Sequence[Contender], windows: int, device: torch.device) -> None:
    """So many windows of each seed of each contender, in turns."""
    for contender in entered:
        for trained in contender.trained:
            contender.window(trained, device)  # set-up and caches
        contender.seconds.clear()
    for _ in range(windows - 1):
        for index in range(max(len(contender.trained) for contender in entered)):
            for contender in entered:
                if index < len(contender.trained):
                    contender.window(contender.trained[index], device)


def rows(entered: Sequence[Contender], *, with_scores: bool) -> list[dict[str, Any]]:
    """Rates of all seeds together, against the first contender and against d3rlpy, and the scores."""
    found = []
    rates = [np.array([WINDOW * c.seeds / seconds for seconds in c.seconds]) for c in entered]
    peer = next((rate for c, rate in zip(entered, rates, strict=True) if c.name == "d3rlpy"), np.zeros(0))
    for contender, rate in zip(entered, rates, strict=True):
        row: dict[str, Any] = {"version": contender.name, "seeds": contender.seeds}
        row["updates/s"] = float(np.median(rate)) if len(rate) else None
        row["times eager"] = float(np.median(rate / rates[0])) if len(rate) else None
        row["times d3rlpy"] = float(np.median(rate / peer)) if len(rate) and len(peer) == len(rate) else None
        scores = [score(trained.act) for trained in contender.trained] if with_scores else []
        row["score"] = float(np.mean(scores)) if scores else None
        row["error"] = float(np.std(scores, ddof=1) / np.sqrt(len(scores))) if len(scores) > 1 else None
        found.append(row)
    return found


def run(
    *, updates: int = UPDATES, seeds: Sequence[int] = SEEDS, many: int = MANY, episodes: int = EPISODES
) -> list[dict[str, Any]]:
    """The table of `robot-learn bench iql`: a GPU is used where there is one. Takes two to five minutes on a CPU."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    low, high = np.full(ACT_DIM, -1.0), np.ones(ACT_DIM)
    tensors = to_tensors(mixed_data(episodes), low, high, device=device)
    scale = reward_factors(tensors.rewards, tensors.lengths, "returns")
    tensors = replace(tensors, rewards=tensors.rewards * scale)  # once, so that it is the same for all
    # Episodes of 20 steps want a shorter view than the paper's, and advantages within them are small.
    config = IqlConfig(total_updates=updates, reward_scale="none", gamma=0.9, inverse_temperature=30.0)
    with threads(1):
        alone, together = contenders(tensors, config, seeds), crowds(tensors, config, many)
        race(alone, updates // WINDOW, device)
        race(together, 4, device)
        return [*rows(alone, with_scores=True), *rows(together, with_scores=False)[1:]]
