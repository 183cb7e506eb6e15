"""Graded data: what share of the steps is left to chance decides how good they are, and that is measured.

| grade | episodes |
|---|---|
| random | chance alone |
| expert | the actor alone: a scripted controller, or a trained policy |
| medium | the actor, disturbed until its success is nearest to the middle between chance and the undisturbed actor |
| medium-expert | medium and expert in turn |
| replay | from chance alone to medium in five levels, in turn: what a learner on its way to medium leaves behind |

After D4RL's grades (Fu et al., arXiv:2004.07219), which come from a learner's checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_learn.data.actors import Actor, Disturbed
from robot_learn.data.manifest import Anchor
from robot_learn.data.recording import Watch, record
from robot_learn.data.trajectory import Trajectory
from robot_learn.envs import BatchEnv
from robot_learn.errors import UserError, unknown

GRADES = ("random", "medium", "replay", "medium-expert", "expert")
REPLAY_LEVELS = 5
EPISODES_PER_SEED = 2**14  # the episodes of two seeds of a collection share no start, nor does any with evaluation
MAX_SEED = 2**20 // EPISODES_PER_SEED - 1
ANCHOR_SEED0 = 2**26  # between training's seeds and evaluation's
HALVINGS = 6  # of the interval in which medium's epsilon is searched: to 1/64
_VISIBLE = 0.2  # gap of success between chance and actor, below which returns decide what is medium


@dataclass(frozen=True)
class Source:
    """One kind of episode."""

    name: str  # "random", "medium"
    epsilon: float  # share of random steps


@dataclass(frozen=True)
class Acting:
    """An actor in a batch of worlds, and how chance disturbs it."""

    env: BatchEnv
    actor: Actor
    hold: float = 1.0  # mean steps that a random action is held
    noise: float = 0.0  # standard deviation added to the actor, in half ranges
    intended: bool = False  # what the actor meant is recorded, not what chance made of it

    def episodes(self, seeds: Sequence[int], sources: Sequence[Source], watch: Watch | None = None) -> list[Trajectory]:
        """One episode a seed, as many as there are worlds at most."""
        padded = [*sources, *[sources[0]] * (self.env.num_envs - len(sources))]
        space = self.env.single_action_space
        disturbed = Disturbed(
            self.actor,
            space.low.astype(np.float64),
            space.high.astype(np.float64),
            np.array([source.epsilon for source in padded]),
            [*seeds, *[seeds[0]] * (self.env.num_envs - len(seeds))],
            hold=self.hold,
            noise=self.noise,
        )
        instead = (lambda: disturbed.intended) if self.intended else None
        return record(self.env, disturbed, seeds, [source.name for source in sources], watch, instead=instead)

    def measure(self, epsilon: float, episodes: int, first_seed: int, policy: str) -> Anchor:
        """Return and success over episodes from `first_seed` on."""
        found: list[Trajectory] = []
        while len(found) < episodes:
            count = min(self.env.num_envs, episodes - len(found))
            seeds = [first_seed + len(found) + world for world in range(count)]
            found += self.episodes(seeds, [Source(policy, epsilon)] * count)
        returns = [float(episode.rewards.sum(dtype=np.float64)) for episode in found]
        success = float(np.mean([episode.success.any() for episode in found]))
        return Anchor(float(np.mean(returns)), float(np.std(returns)), success, episodes, first_seed, policy)


def medium(
    acting: Acting, anchors: Mapping[str, Anchor], episodes: int, say: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """The epsilon whose success, or return where success tells nothing, lies nearest to the middle of the anchors.

    It is searched by halving, on the starts of the anchors, so that only epsilon differs.

    Returns: a table for the manifest: epsilon, what was reached, and every epsilon that was tried.
    """
    by_success = anchors["expert"].success_rate - anchors["random"].success_rate >= _VISIBLE

    def score(anchor: Anchor) -> float:
        return anchor.success_rate if by_success else anchor.mean_return

    target = 0.5 * (score(anchors["random"]) + score(anchors["expert"]))
    low, high = 0.0, 1.0
    tried: list[dict[str, float]] = []
    for _ in range(HALVINGS):
        epsilon = 0.5 * (low + high)
        found = acting.measure(epsilon, episodes, ANCHOR_SEED0, f"epsilon {epsilon:g}")
        tried.append(
            {
                "epsilon": epsilon,
                "success_rate": found.success_rate,
                "mean_return": found.mean_return,
                "score": score(found),
            }
        )
        say(f"medium    epsilon {epsilon:.3f}: success {found.success_rate:.0%}, return {found.mean_return:.4g}")
        low, high = (epsilon, high) if score(found) > target else (low, epsilon)
    best = min(tried, key=lambda row: abs(row["score"] - target))
    return {
        **best,
        "target": target,
        "by": "success" if by_success else "return",
        "episodes": episodes,
        "first_seed": ANCHOR_SEED0,
        "tried": tried,
    }


def sources(grade: str, medium_epsilon: float | None) -> tuple[Source, ...]:
    """What a grade is mixed of, in equal shares.

    Raises:
        UserError: there is no such grade.
    """
    if grade not in GRADES:
        raise unknown("grade", grade, GRADES)
    if grade == "random":
        return (Source("random", 1.0),)
    if grade == "expert":
        return (Source("expert", 0.0),)
    if medium_epsilon is None:
        raise UserError(f"grade {grade} needs the epsilon of medium, which nobody has measured")
    middle = Source("medium", medium_epsilon)
    if grade == "medium":
        return (middle,)
    if grade == "medium-expert":
        return (middle, Source("expert", 0.0))
    levels = np.linspace(1.0, medium_epsilon, REPLAY_LEVELS)
    return tuple(Source(f"level-{number}", float(level)) for number, level in enumerate(levels))


def collect(
    acting: Acting, mixed: Sequence[Source], *, seed: int, begin: int, episodes: int, watch: Watch | None = None
) -> Iterator[list[Trajectory]]:
    """Episodes number `begin` to `episodes`, a round of worlds at a time; number e depends on no other.

    Raises:
        UserError: the seed or the number of episodes leaves the range of training's seeds.
    """
    if not 0 <= seed <= MAX_SEED or not 1 <= episodes <= EPISODES_PER_SEED:
        limits = f"a seed from 0 to {MAX_SEED} and 1 to {EPISODES_PER_SEED} episodes"
        raise UserError(f"collect: wanted {limits}, came seed {seed} and {episodes} episodes")
    worlds = acting.env.num_envs
    # Rounds begin where they always do, for an actor that plans for all worlds at once.
    for first in range(begin // worlds * worlds, episodes, worlds):
        numbers = range(first, min(first + worlds, episodes))
        seeds = [seed * EPISODES_PER_SEED + number for number in numbers]
        recorded = acting.episodes(seeds, [mixed[number % len(mixed)] for number in numbers], watch)
        yield recorded[max(0, begin - first) :]
