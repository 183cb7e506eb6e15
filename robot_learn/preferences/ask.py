"""A dataset, a teacher and a choice of pairs become a file of labels; interrupted at any point, it goes on there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from rewards.models import NoReplyError
from rewards.preference.labels import LabelFile, PairKey
from rewards.preference.pairs import SAMPLERS, Pool, visible_difference
from rewards.preference.query import Query, Teacher
from robot_learn.data.dataset import Dataset
from robot_learn.errors import UserError, unknown
from robot_learn.registry import load
from robot_learn.types import Segment

Draw = Literal["even", "best", "episodes"]
_BLOCK = 256  # candidates whose pictures are looked at together
_POOL = 10  # candidates a pair that is chosen, for samplers that choose
_PATIENCE = 40  # blocks in a row without a new pair, after which there are taken to be no more


@dataclass(frozen=True)
class Choice:
    """How pairs are chosen. The same choice from the same dataset gives the same pairs in the same order."""

    pairs: int = 500
    segment: int = 1  # steps
    draw: Draw = "even"  # which segments are candidates; else every tenfold of a rank alike: theirs, or their episode's
    sampler: str = "uniform"  # of `rewards.preference.pairs.SAMPLERS`, what is chosen out of them
    minimum_difference: float = (
        0.0  # mean absolute difference of the last pictures, 0 to 255, below which none is asked
    )
    seed: int = 0

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise unknown("sampler", self.sampler, SAMPLERS)
        if self.draw not in get_args(Draw):
            raise unknown("way of drawing segments", self.draw, get_args(Draw))
        for name, low in (("pairs", 1), ("segment", 1), ("minimum_difference", 0), ("seed", 0)):
            if not getattr(self, name) >= low:
                raise UserError(f"{name}: wanted {low} or more, came {getattr(self, name)}")


def candidates(
    dataset: Dataset, choice: Choice, *, members: np.ndarray | None = None, asked: Sequence[PairKey] = ()
) -> Iterator[PairKey]:
    """Pairs of segments, none twice in either order and none of those asked; fewer where there are no more.

    They are drawn evenly from all there are, or evenly in the logarithm of a rank by the mean of the ensemble: of their
    own, for a policy goes where rewards are highest, and in data of chance that is a corner which even pairs hardly
    ever show; or of their episode's return, which also shows the way there.

    Raises:
        UserError: no episode is long enough, a difference is to be seen where there are no pictures, or ranks are
            wanted and there is no ensemble.
    """
    usable = np.maximum(dataset.lengths - choice.segment + 1, 0)  # (E,) segments that each episode holds
    if usable.sum() < 2:
        raise UserError(f"dataset of {dataset.task}: there are no two segments of {choice.segment} steps")
    if choice.minimum_difference > 0 and dataset.images is None:
        raise UserError(f"dataset of {dataset.task} has no pictures, so no difference can be seen in them")
    ends = np.cumsum(usable)
    rng = np.random.default_rng([choice.seed, choice.segment])
    draw = _drawing(dataset, choice, members, usable)
    seen: set[frozenset[Segment]] = {frozenset(pair) for pair in asked}
    barren = 0
    while barren < _PATIENCE:
        known = len(seen)
        drawn = draw(rng)
        episodes = np.searchsorted(ends, drawn, side="right")
        starts = drawn - (ends - usable)[episodes]
        block = [
            (Segment(int(e[0]), int(s[0]), choice.segment), Segment(int(e[1]), int(s[1]), choice.segment))
            for e, s in zip(episodes, starts, strict=True)
        ]
        shown = _differences(dataset, block) if choice.minimum_difference > 0 else np.zeros(len(block))
        for pair, difference in zip(block, shown, strict=True):
            key = frozenset(pair)
            if len(key) == 2 and key not in seen and difference >= choice.minimum_difference:
                seen.add(key)
                yield pair
        barren = 0 if len(seen) > known else barren + 1


def choose(
    dataset: Dataset, choice: Choice, *, members: np.ndarray | None = None, asked: Sequence[PairKey] = ()
) -> list[PairKey]:
    """The pairs to ask about.

    Args:
        members: (K, M) reward of every step by each member of an ensemble, for what wants one.
        asked: pairs that were asked before: they are not asked again, and k-center keeps away from them.

    Raises:
        UserError: there are not so many pairs, or the sampler lacks what it needs.
    """
    if members is not None and members.shape[1:] != (dataset.num_steps,):
        raise UserError(f"rewards of the ensemble: wanted (members, {dataset.num_steps}), came {members.shape}")
    stream = candidates(dataset, choice, members=members, asked=asked)
    wanted = choice.pairs if choice.sampler == "uniform" else choice.pairs * _POOL
    drawn = [pair for pair, _ in zip(stream, range(wanted), strict=False)]
    if len(drawn) < choice.pairs:
        raise UserError(
            f"dataset of {dataset.task}: found {len(drawn)} different pairs of {choice.segment} steps that differ by "
            f"{choice.minimum_difference:g} or more in their pictures, wanted {choice.pairs}"
        )
    if choice.sampler == "uniform":
        return drawn
    pool = Pool(
        size=len(drawn),
        rewards=None if members is None else _returns(dataset, members, drawn),
        features=_features(dataset, drawn) if choice.sampler == "k-center" else None,
        asked=_features(dataset, asked) if choice.sampler == "k-center" and asked else None,
    )
    sampler = load(SAMPLERS, choice.sampler, kind="sampler")
    return [drawn[index] for index in sampler(pool, choice.pairs, np.random.default_rng([choice.seed, 1]))]


def mixed(pairs: Sequence[PairKey], gold: Sequence[PairKey], seed: int) -> list[PairKey]:
    """Gold pairs at places among the others that are drawn, so that nobody can tell them; none is asked twice."""
    known = {frozenset(pair) for pair in gold}
    others = [pair for pair in pairs if frozenset(pair) not in known]
    places = set(np.random.default_rng([seed, 2]).permutation(len(others) + len(gold))[: len(gold)].tolist())
    ordinary, trusted = iter(others), iter(gold)
    return [next(trusted if place in places else ordinary) for place in range(len(others) + len(gold))]


def query(
    dataset: Dataset,
    pair: PairKey,
    instruction: str,
    *,
    advantages: np.ndarray | None = None,
) -> Query:
    """One pair as a teacher sees it: pictures where there are any, and the true rewards where they are the task's own.

    `advantages` (M,) are A*(s, a) of every step.
    """
    steps = [dataset.steps_of(segment) for segment in pair]
    true = dataset.rewards if dataset.reward_source == "task" else None

    def both(values: Any, rows: Sequence[np.ndarray]) -> Any:
        return None if values is None else (np.asarray(values[rows[0]]), np.asarray(values[rows[1]]))

    return Query(
        *pair,
        instruction,
        pictures=both(dataset.images, [dataset.frames_of(segment) for segment in pair]),
        rewards=both(true, steps),
        advantages=both(advantages, steps),
    )


def true_differences(dataset: Dataset, pairs: Sequence[PairKey]) -> np.ndarray | None:
    """(P,) true return of the second segment less that of the first; None where the truth is not known."""
    if dataset.reward_source != "task" or not dataset.rewards.any():
        return None
    returns = _returns(dataset, dataset.rewards[None].astype(np.float64), pairs)[0]
    return np.asarray(returns[:, 1] - returns[:, 0])


@dataclass
class Outcome:
    """How a labelling ended."""

    new: int = 0  # labels that were added
    waiting: list[str] = field(default_factory=list)  # one message a prompt whose reply is still to come
    stopped: bool = False  # a person stopped


def ask(
    dataset: Dataset,
    pairs: Sequence[PairKey],
    teacher: Teacher,
    labels: LabelFile,
    instruction: str,
    *,
    advantages: np.ndarray | None = None,
    on_label: Callable[[int], None] = lambda _: None,
) -> Outcome:
    """Ask a teacher about all pairs that it has not answered yet, and store every answer before the next is given.

    A teacher that looks at several pairs together (`batch`) always gets the same ones together, answered or not: what
    a model was shown, and so what is recorded of it, then does not depend on where a labelling was interrupted.

    Args:
        on_label: called with the number of pairs that are answered.

    Raises:
        UserError: the teacher cannot answer. What it said so far is stored.
    """
    said = labels.said(teacher.name)
    outcome = Outcome()
    done = sum(pair in said for pair in pairs)
    on_label(done)
    for company in _companies(pairs, teacher.batch, set(said)):
        answers = teacher.answers(_Queries(dataset, company, instruction, advantages))
        count = 0
        try:
            for pair, answer in zip(company, answers, strict=False):
                count += 1
                if pair in said:
                    continue
                labels.add(*pair, answer, teacher.name)
                said[pair] = answer
                outcome.new, done = outcome.new + 1, done + 1
                on_label(done)
        except NoReplyError as error:
            outcome.waiting.append(str(error))
            continue
        if count < len(company):
            outcome.stopped = True
            break
    return outcome


class _Queries(Sequence[Query]):
    """Queries that are made when they are looked at, so that the pictures of all are never in memory together."""

    def __init__(
        self, dataset: Dataset, pairs: Sequence[PairKey], instruction: str, advantages: np.ndarray | None
    ) -> None:
        self._dataset, self._pairs, self._instruction = dataset, pairs, instruction
        self._advantages = advantages

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _Queries(self._dataset, self._pairs[index], self._instruction, self._advantages)
        return query(self._dataset, self._pairs[index], self._instruction, advantages=self._advantages)


def _companies(pairs: Sequence[PairKey], batch: int, said: set[PairKey]) -> Iterator[Sequence[PairKey]]:
    """Which pairs are handed over together."""
    if batch == 0:
        open_ = [pair for pair in pairs if pair not in said]
        if open_:
            yield open_
        return
    for start in range(0, len(pairs), batch):
        company = pairs[start : start + batch]
        if any(pair not in said for pair in company):
            yield company


def _drawing(
    dataset: Dataset, choice: Choice, members: np.ndarray | None, usable: np.ndarray
) -> Callable[[np.random.Generator], np.ndarray]:
    """What draws numbers (_BLOCK, 2) of segments, which are counted through the episodes' `usable` ones."""
    shape, count = (_BLOCK, 2), int(usable.sum())
    if choice.draw == "even":
        return lambda rng: rng.integers(count, size=shape)
    if members is None:
        raise UserError("segments are to be drawn by a rank, which wants the rewards of an ensemble (--members)")
    total = np.concatenate([[0.0], np.cumsum(members.mean(axis=0, dtype=np.float64))])
    if choice.draw == "best":
        first = np.concatenate([start + np.arange(many) for start, many in zip(dataset.starts, usable, strict=True)])
        order = np.argsort(total[first] - total[first + choice.segment], kind="stable")
        return lambda rng: order[_ranks(rng, count, shape)]
    returns = total[dataset.starts + dataset.lengths] - total[dataset.starts]
    episodes = np.argsort(np.where(usable > 0, -returns, np.inf), kind="stable")[: np.count_nonzero(usable)]
    before = np.cumsum(usable) - usable

    def draw(rng: np.random.Generator) -> np.ndarray:
        chosen = episodes[_ranks(rng, len(episodes), shape)]
        return np.asarray(before[chosen] + rng.integers(usable[chosen]))

    return draw


def _ranks(rng: np.random.Generator, count: int, shape: tuple[int, ...]) -> np.ndarray:
    """Ranks from 0, below `count`: each tenfold is as likely as the next."""
    return np.asarray((count ** rng.random(shape)).astype(np.int64) - 1)


def _differences(dataset: Dataset, pairs: Sequence[PairKey]) -> np.ndarray:
    """(P,) visible difference of the last pictures of both segments."""
    assert dataset.images is not None
    frames = np.array([[dataset.frames_of(segment)[-1] for segment in pair] for pair in pairs])
    first, second = (np.asarray(dataset.images[frames[:, side]]) for side in (0, 1))
    return visible_difference(first, second)


def _returns(dataset: Dataset, rewards: np.ndarray, pairs: Sequence[PairKey]) -> np.ndarray:
    """(K, P, 2) return of both segments under rewards (K, M)."""
    steps = np.array([[dataset.steps_of(segment) for segment in pair] for pair in pairs])
    return np.asarray(rewards[:, steps].sum(axis=-1))


def _features(dataset: Dataset, pairs: Sequence[PairKey]) -> np.ndarray:
    """(P, 2 F) of both segments: their mean features, or observations in units of their spread over the dataset."""
    rows = dataset.observations if dataset.features is None else dataset.features
    spread = rows.std(axis=0)
    rows = (rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    frames = np.array([[dataset.frames_of(segment) for segment in pair] for pair in pairs])
    return np.asarray(rows[frames].mean(axis=2).reshape(len(pairs), -1))
