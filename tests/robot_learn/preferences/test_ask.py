"""From a dataset and a teacher to labels: which pairs, in what company, and going on after an interruption."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from rewards.models import NoReplyError
from rewards.preference.labels import LabelFile, PairKey, read_labels
from rewards.preference.pairs import SAMPLERS
from rewards.preference.query import Answer, Query
from rewards.preference.simulated import Simulated
from robot_learn.data.dataset import Dataset
from robot_learn.data.manifest import dataset_hash
from robot_learn.errors import UserError
from robot_learn.preferences import ask as asking
from robot_learn.preferences.ask import Choice
from robot_learn.preferences.judge import report
from robot_learn.types import Segment
from tests.robot_learn.preferences import squares

DATA = squares.dataset()


def labels_of(path: Path, dataset: Dataset = DATA) -> LabelFile:
    return LabelFile(path, dataset_hash=dataset_hash(dataset), lengths=dataset.lengths)


@dataclass
class Remembers:
    """Prefers the second and remembers in what company it was asked; gives up at its limit."""

    batch: int = 1
    limit: int = 10**6
    fails: bool = False  # with an interrupt, and else by stopping
    companies: list[list[PairKey]] = field(default_factory=list)
    name: str = "remembers"

    def answers(self, queries: Sequence[Query]) -> Iterator[Answer]:
        self.companies.append([(query.first, query.second) for query in queries])
        for _ in queries:
            if self.limit == 0:
                if self.fails:
                    raise KeyboardInterrupt
                return
            self.limit -= 1
            yield Answer(1.0)


def test_pairs_are_different_segments_none_twice_in_either_order_and_all_exist() -> None:
    pairs = asking.choose(DATA, Choice(300, segment=3))
    assert len({frozenset(pair) for pair in pairs}) == 300
    for segment in {segment for pair in pairs for segment in pair}:
        assert segment.length == 3
        DATA.steps_of(segment)


def test_the_first_pairs_of_a_longer_labelling_are_those_of_a_shorter_one() -> None:
    assert asking.choose(DATA, Choice(100))[:40] == asking.choose(DATA, Choice(40))
    assert asking.choose(DATA, Choice(40, seed=1)) != asking.choose(DATA, Choice(40))


def test_every_segment_is_drawn_equally_often() -> None:
    uneven = squares.dataset(episodes=2, steps=10)
    pairs = list(islice(asking.candidates(uneven, Choice(190)), 190))
    assert len(pairs) == 20 * 19 // 2, "all pairs there are"


def test_pairs_that_look_alike_are_not_asked() -> None:
    choice = Choice(50, minimum_difference=8.0)
    assert DATA.images is not None
    for pair in asking.choose(DATA, choice):
        first, second = (DATA.images[DATA.frames_of(segment)[-1]].astype(float) for segment in pair)
        assert np.abs(first - second).mean() >= 8.0


def test_too_few_pairs_are_the_users_to_mend() -> None:
    with pytest.raises(UserError, match="found 45 different pairs"):
        asking.choose(squares.dataset(episodes=1, steps=10), Choice(46))
    with pytest.raises(UserError, match="no two segments of 20 steps"):
        asking.choose(DATA, Choice(1, segment=20))
    with pytest.raises(UserError, match="no pictures"):
        asking.choose(squares.dataset(images=False), Choice(1, minimum_difference=1.0))


def test_the_best_segments_come_up_as_often_as_tenfolds_of_their_rank() -> None:
    data = squares.dataset(episodes=100, steps=10)
    members = np.random.default_rng(0).normal(size=(2, data.num_steps))
    mean = members.mean(axis=0)
    rank = np.empty(data.num_steps)
    rank[np.argsort(-mean)] = np.arange(1, data.num_steps + 1)
    pairs = asking.choose(data, Choice(400, draw="best"), members=members)
    drawn = np.array([rank[data.steps_of(segment)[0]] for pair in pairs for segment in pair])
    # Of 1000 steps a third each would be among the best 10, 11 to 100 and beyond; a pair of the first ten is soon
    # used up, so a little less of them.
    shares = [np.mean((drawn > low) & (drawn <= high)) for low, high in ((0, 10), (10, 100), (100, 1000))]
    np.testing.assert_allclose(shares, 1 / 3, atol=0.06)
    evenly = asking.choose(data, Choice(400), members=members)
    assert np.mean([rank[data.steps_of(segment)[0]] <= 10 for pair in evenly for segment in pair]) < 0.04


def test_long_segments_are_ranked_by_their_return() -> None:
    data = squares.dataset(episodes=3, steps=10)
    members = np.zeros((1, data.num_steps))
    members[0, 13] = 1.0  # in the second episode, its fourth step
    draw = asking._drawing(data, Choice(1, segment=4, draw="best"), members, np.full(3, 7))
    drawn = np.concatenate([draw(np.random.default_rng(seed)) for seed in range(20)])
    counts = np.bincount(drawn.ravel(), minlength=21)
    assert set(np.argsort(-counts)[:4]) == {7, 8, 9, 10}, "the four segments that hold it"


def test_episodes_come_up_as_often_as_tenfolds_of_the_rank_of_their_return() -> None:
    data = squares.dataset(episodes=100, steps=10)
    worth = np.random.default_rng(0).permutation(100)
    members = np.zeros((1, data.num_steps))
    members[0, data.starts] = worth  # all of it at once: where in the episode does not matter
    pairs = asking.choose(data, Choice(400, draw="episodes"), members=members)
    segments = [segment for pair in pairs for segment in pair]
    rank = np.array([100 - worth[segment.episode] for segment in segments])
    shares = [np.mean((rank > low) & (rank <= high)) for low, high in ((0, 10), (10, 100))]
    np.testing.assert_allclose(shares, 1 / 2, atol=0.06)
    steps = np.bincount([segment.start for segment in segments], minlength=10) / len(segments)
    np.testing.assert_allclose(steps, 0.1, atol=0.05)


def test_the_best_want_an_ensemble() -> None:
    with pytest.raises(UserError, match="--members"):
        asking.choose(DATA, Choice(1, draw="best"))
    with pytest.raises(UserError, match="allowed: best, episodes, even"):
        Choice(1, draw="worst")  # type: ignore[arg-type]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_chooses_from_a_dataset(sampler: str) -> None:
    members = np.random.default_rng(0).normal(size=(3, DATA.num_steps))
    pairs = asking.choose(DATA, Choice(20, sampler=sampler), members=members)
    assert len(set(pairs)) == 20
    assert pairs == asking.choose(DATA, Choice(20, sampler=sampler), members=members)


def test_disagreement_asks_where_the_members_disagree() -> None:
    members = np.zeros((2, DATA.num_steps))
    members[1, :15] = 5.0  # they differ about episode 0 alone
    for first, second in asking.choose(DATA, Choice(10, sampler="disagreement"), members=members):
        assert (first.episode == 0) != (second.episode == 0)


def test_an_ensemble_of_another_dataset_is_refused() -> None:
    with pytest.raises(UserError, match=f"wanted .members, {DATA.num_steps}"):
        asking.choose(DATA, Choice(5, sampler="entropy"), members=np.zeros((2, 3)))


def test_a_query_shows_the_pictures_after_the_steps_and_their_rewards() -> None:
    pair = (Segment(1, 4, 3), Segment(2, 0, 3))
    query = asking.query(DATA, pair, "go")
    assert query.pictures is not None
    assert query.rewards is not None
    for segment, shown, paid in zip(pair, query.pictures, query.rewards, strict=True):
        places = DATA.observations[DATA.frames_of(segment), 0]
        assert np.array_equal(shown, np.stack([squares.picture(float(at)) for at in places]))
        assert paid.tolist() == places.tolist()


def test_rewards_that_a_model_made_are_not_shown_as_the_truth() -> None:
    learned = DATA.with_rewards(np.ones(DATA.num_steps), "model")
    assert asking.query(learned, (Segment(0, 0), Segment(0, 1)), "go").rewards is None
    assert asking.true_differences(learned, [(Segment(0, 0), Segment(0, 1))]) is None


@pytest.mark.parametrize("batch", [0, 1, 4])
@pytest.mark.parametrize("fails", [False, True])
def test_an_interrupted_labelling_goes_on_and_asks_nothing_twice(tmp_path: Path, batch: int, fails: bool) -> None:
    pairs = asking.choose(DATA, Choice(10))
    with labels_of(tmp_path / "labels.jsonl") as labels:
        teacher = Remembers(batch, limit=6, fails=fails)
        if fails:
            with pytest.raises(KeyboardInterrupt):
                asking.ask(DATA, pairs, teacher, labels, "go")
        else:
            assert asking.ask(DATA, pairs, teacher, labels, "go").stopped
    assert len(read_labels(tmp_path / "labels.jsonl")) == 6
    with labels_of(tmp_path / "labels.jsonl") as labels:
        done: list[int] = []
        outcome = asking.ask(DATA, pairs, Remembers(batch), labels, "go", on_label=done.append)
    assert outcome.new == 4
    assert (done[0], done[-1]) == (6, 10)
    assert [label.pair for label in read_labels(tmp_path / "labels.jsonl")] == pairs


def test_who_looks_at_several_together_gets_the_same_ones_again(tmp_path: Path) -> None:
    pairs = asking.choose(DATA, Choice(10))
    with labels_of(tmp_path / "labels.jsonl") as labels:
        first, second = Remembers(4, limit=6), Remembers(4)
        asking.ask(DATA, pairs, first, labels, "go")
        asking.ask(DATA, pairs, second, labels, "go")
    assert first.companies == [pairs[:4], pairs[4:8]]
    assert second.companies == [pairs[4:8], pairs[8:]]


def test_prompts_that_wait_for_a_reply_do_not_keep_others_from_being_written(tmp_path: Path) -> None:
    class Waits(Remembers):
        def answers(self, queries: Sequence[Query]) -> Iterator[Answer]:
            if len(queries) == 4:
                raise NoReplyError("later")
            yield from super().answers(queries)

    pairs = asking.choose(DATA, Choice(10))
    with labels_of(tmp_path / "labels.jsonl") as labels:
        outcome = asking.ask(DATA, pairs, Waits(4), labels, "go")
    assert (outcome.waiting, outcome.new, outcome.stopped) == (["later", "later"], 2, False)


def test_gold_pairs_are_mixed_in_and_none_is_asked_twice() -> None:
    pairs = asking.choose(DATA, Choice(30))
    gold = [(second, first) for first, second in pairs[:3]] + asking.choose(DATA, Choice(2, seed=9))
    found = asking.mixed(pairs, gold, seed=0)
    assert len(found) == 32
    assert [pair for pair in found if pair in gold] == gold
    assert [pair for pair in found if pair not in gold] == pairs[3:]
    places = [found.index(pair) for pair in gold]
    assert places != list(range(5))


def test_the_report_of_the_oracle_is_perfect_and_of_its_opposite_hopeless(tmp_path: Path) -> None:
    pairs = asking.choose(DATA, Choice(60))
    for mistake, accuracy in ((0.0, 1.0), (1.0, 0.0)):
        teacher = Simulated(mistake=mistake)
        with labels_of(tmp_path / f"{mistake}.jsonl") as labels:
            asking.ask(DATA, pairs, teacher, labels, "go")
            gold = dict.fromkeys(pairs[:5], 1.0)
            found = report(DATA, pairs, labels.said(teacher.name), gold)
        assert found["truth"]["accuracy"] == accuracy
        assert sum(one["pairs"] for one in found["truth"]["bins"]) == found["truth"]["decided"]
        assert sum(map(sum, found["gold"]["counts"])) == 5
        assert found["answered"] == 60


def test_labels_of_a_dataset_do_not_fit_another(tmp_path: Path) -> None:
    labels_of(tmp_path / "labels.jsonl").add(Segment(0, 0), Segment(0, 1), Answer(1.0), "somebody")
    other = replace(DATA, rewards=DATA.rewards + 1)
    with pytest.raises(UserError, match="line 1, key 'dataset'"):
        labels_of(tmp_path / "labels.jsonl", other)


@pytest.mark.parametrize(
    "bad", [{"pairs": 0}, {"segment": 0}, {"sampler": "best"}, {"minimum_difference": float("nan")}]
)
def test_a_choice_that_cannot_be_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(UserError):
        Choice(**bad)  # type: ignore[arg-type]
