"""A dataset and labels become rewards: rows, files, gold pairs, and a reward function in a running simulator."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

import sims
from rewards.preference.labels import Label
from rewards.preference.latent import LatentConfig
from rewards.preference.pair_loss import BradleyTerryConfig
from rewards.preference.query import Answer
from rewards.preference.stored import load as load_model
from robot_learn.cli import main
from robot_learn.data.dataset import Dataset
from robot_learn.data.manifest import dataset_hash
from robot_learn.data.store import load, save
from robot_learn.errors import UserError
from robot_learn.preferences import reward
from robot_learn.types import Segment

torch.set_num_threads(1)
SMALL = BradleyTerryConfig(members=2, hidden=(16,), max_epochs=20, learning_rate=1e-2)


def dataset_of(images: bool = False) -> Dataset:
    """Episodes of 9, 7 and 12 steps, paid for the first number of the frame after a step."""
    rng, lengths = np.random.default_rng(0), np.array([9, 7, 12])
    frames, steps = int(lengths.sum() + 3), int(lengths.sum())
    made = Dataset(
        "toy/point",
        lengths,
        rng.normal(size=(frames, 3)).astype(np.float32),
        rng.normal(size=(steps, 2)).astype(np.float32),
        np.zeros(steps, np.float32),
        np.zeros(steps, bool),
        np.zeros(steps, bool),
        images=rng.integers(0, 255, (frames, 16, 16, 3), dtype=np.uint8) if images else None,
    )
    return replace(made, rewards=made.observations[made.frame_after, 0])


DATA = dataset_of()


def label(first: Segment, second: Segment, said: float | None = None, teacher: str = "oracle") -> Label:
    """What is true, unless something else is said."""
    paid = [float(DATA.rewards[DATA.steps_of(segment)].sum()) for segment in (first, second)]
    answer = float(paid[1] > paid[0]) if said is None else said
    return Label(first, second, Answer(answer), teacher, dataset_hash(DATA))


def labels_of(count: int, length: int = 1, teacher: str = "oracle", seed: int = 1) -> list[Label]:
    rng, found = np.random.default_rng(seed), []
    for _ in range(count):
        first, second = (
            Segment(int(e), int(rng.integers(DATA.lengths[e] - length + 1)), length)
            for e in rng.choice(3, 2, replace=False)
        )
        found.append(label(first, second, teacher=teacher))
    return found


def test_segments_become_the_frames_after_their_steps_and_sources_numbers() -> None:
    given = [
        label(Segment(0, 2, 3), Segment(2, 1, 3), teacher="b"),
        label(Segment(1, 0, 3), Segment(0, 0, 3), 0.5, "a"),
    ]
    pairs, names = reward.comparisons(DATA, given)
    assert names == ("a", "b")
    assert pairs.sources is not None
    assert pairs.sources.tolist() == [1, 0]
    assert pairs.segments[0].tolist() == [[3, 4, 5], [20, 21, 22]]  # the third episode's frames begin at 18
    assert pairs.labels[1] == 0.5
    steps, _ = reward.comparisons(DATA, given, steps=True)
    assert steps.segments[0].tolist() == [[2, 3, 4], [17, 18, 19]]


def test_abstentions_teach_nothing_and_nothing_but_abstentions_is_refused() -> None:
    silent = Label(Segment(0, 0), Segment(1, 0), Answer(None), "t", "h")
    assert len(reward.comparisons(DATA, [silent, *labels_of(3)])[0]) == 3
    with pytest.raises(UserError, match="none of the 1 labels"):
        reward.comparisons(DATA, [silent])
    with pytest.raises(UserError, match="segments of 1 and of 2 steps"):
        reward.comparisons(DATA, [*labels_of(1), *labels_of(1, 2)])


def test_every_step_is_paid_for_the_frame_after_it() -> None:
    model = reward.fit(DATA, labels_of(120), config=SMALL, seeds=(0, 1))
    paid = reward.pay(DATA, model, scale="none")
    assert paid.shape == (2, DATA.num_steps)
    np.testing.assert_allclose(paid, model.rewards(DATA.observations)[:, DATA.frame_after], atol=1e-6)
    for row in reward.pay(DATA, model):
        assert 0.0 <= row.min() <= row.max() <= 1.0
        assert spearmanr(row, DATA.rewards)[0] > 0.85


@pytest.mark.parametrize("kind", ["regret", "users"])
def test_other_kinds_pay_every_step_too(kind: str) -> None:
    config: Any = SMALL if kind == "regret" else LatentConfig(hidden=(8,), latent=2, max_epochs=3)
    model = reward.fit(DATA, labels_of(60), kind=kind, config=config, seeds=(0,))
    assert reward.pay(DATA, model).shape == (1, DATA.num_steps)
    if kind == "regret":
        assert reward.pay(DATA, model).max() <= 0.0
        with pytest.raises(UserError, match="no actions"):
            reward.fit(replace(DATA, actions=None), labels_of(60), kind=kind)


def test_pictures_are_learned_from_where_the_dataset_has_them() -> None:
    data = replace(dataset_of(images=True))
    model = reward.fit(data, labels_of(20), inputs="images", config=replace(SMALL, max_epochs=2))
    assert reward.pay(data, model, inputs="images").shape == (1, data.num_steps)
    with pytest.raises(UserError, match="has no images; a reward model can be fitted on: states"):
        reward.fit(DATA, labels_of(20), inputs="images")


@pytest.mark.parametrize(
    ("inputs", "kind"), [("states", "bradley-terry"), ("images", "bradley-terry"), ("states", "regret")]
)
def test_pairs_that_nobody_was_asked_about_teach_too(inputs: reward.Inputs, kind: str) -> None:
    data = dataset_of(images=True)
    config = replace(SMALL, max_epochs=2)
    model = reward.fit(data, labels_of(30, 3), kind=kind, inputs=inputs, config=config, surf=True)
    assert reward.pay(data, model, inputs=inputs).shape == (1, data.num_steps)
    rows = reward.unlabelled_pairs(DATA, 20, 3, steps=True)
    assert rows.shape == (200, 2, 3)
    assert (DATA.episode_of[rows[..., 0]] == DATA.episode_of[rows[..., 2]]).all()
    with pytest.raises(UserError, match="surf is for"):
        reward.fit(data, labels_of(30), kind="users", surf=True)


def test_gold_pairs_tell_how_each_source_errs_also_when_they_are_turned() -> None:
    truth = labels_of(200)
    rng = np.random.default_rng(5)
    wrong = [
        Label(right.first, right.second, Answer(1.0 - (right.answer.label or 0.0)), "liar", right.dataset)
        if rng.random() < 0.3
        else replace(right, teacher="liar")
        for right in truth
    ]
    table = reward.gold_confusion([*wrong, *truth], truth, ("liar", "oracle"))
    assert table.shape == (2, 3, 3)
    assert table[0, 0, 2] == pytest.approx(0.3, abs=0.1)
    assert table[1, 0, 2] < 0.05
    turned = [
        Label(each.second, each.first, Answer(1.0 - (each.answer.label or 0.0)), each.teacher, each.dataset)
        for each in wrong
    ]
    mirrored = reward.gold_confusion(turned, truth, ("liar",))[0]
    np.testing.assert_allclose(mirrored, table[0][::-1, ::-1], atol=0.05)
    with pytest.raises(UserError, match="stranger has answered none"):
        reward.gold_confusion(truth, truth, ("stranger",))


def test_rewards_in_a_file_come_back_and_those_of_another_dataset_are_refused(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(2, DATA.num_steps)).astype(np.float32)
    reward.write_rewards(tmp_path / "r.npz", rows, DATA, "me")
    back, source = reward.read_rewards(tmp_path / "r.npz", DATA)
    np.testing.assert_array_equal(back, rows)
    assert source == "me"
    with pytest.raises(UserError, match="rewards of another dataset"):
        reward.read_rewards(tmp_path / "r.npz", replace(DATA, observations=DATA.observations + 1))
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"bad.npz: wanted an .npz"):
        reward.read_rewards(tmp_path / "bad.npz", DATA)


@pytest.mark.parametrize("scaled", [False, True])
def test_a_live_reward_pays_worlds_what_the_model_pays_their_observations(scaled: bool) -> None:
    env = sims.make("mujoco/cart-pole", 3)
    frames = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    pairs = np.random.default_rng(1).integers(0, 50, (40, 2, 1))
    data = Dataset(
        "mujoco/cart-pole",
        np.array([49]),
        frames,
        np.zeros((49, 1), np.float32),
        np.zeros(49, np.float32),
        np.zeros(49, bool),
        np.zeros(49, bool),
    )
    said = [
        Label(Segment(0, int(a)), Segment(0, int(b)), Answer(float(frames[b + 1, 1] > frames[a + 1, 1])), "t", "h")
        for (a,), (b,) in np.minimum(pairs, 48)
    ]
    model = reward.fit(data, said, config=replace(SMALL, max_epochs=3))
    reference = model.rewards(frames) if scaled else None
    env.reward = reward.live(env, model, reference=reference)
    env.reset(seed=0)
    actions = np.array([[1.0], [-1.0], [0.0]])
    observations, paid, *_, info = env.step(actions)
    expected = env.reward.of(observations)
    np.testing.assert_allclose(paid, expected, atol=1e-6)
    np.testing.assert_allclose(info["reward_terms"]["learned"], paid)
    assert (paid.min() >= 0) == scaled or not scaled
    with pytest.raises(UserError, match="regret"):
        reward.live(env, reward.fit(data, said, kind="regret", config=replace(SMALL, max_epochs=1)))
    env.close()


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, Path]:
    """The dataset on disk, and a file of labels."""
    save(DATA, "toy", tmp_path)
    told = dataset_hash(load("toy", tmp_path))
    file = tmp_path / "labels.jsonl"
    file.write_text("".join(replace(each, dataset=told).line() for each in {e.pair: e for e in labels_of(80)}.values()))
    return tmp_path, file


def test_the_command_writes_rewards_and_model_and_reports_what_was_held_out(
    stored: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root, file = stored
    out = root / "out" / "paid.npz"
    words = ["reward", "fit", "toy", str(file), "--root", str(root), "--seeds", "2", "--max-epochs", "15"]
    members = root / "members.npz"
    assert main([*words, "--out", str(out), "--members-out", str(members), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    data = load("toy", root)
    rows, source = reward.read_rewards(out, data)
    assert rows.shape == (2, data.num_steps)
    assert source == "bradley-terry:labels"
    assert [entry["pairs"] for entry in said["seeds"]] == [8, 8]
    assert all(value > 0.7 for value in said["rank_correlation"])
    kind, model, about = load_model(Path(said["model"]))
    assert (kind, about["inputs"]) == ("bradley-terry", "states")
    np.testing.assert_array_equal(reward.pay(data, model), rows)
    assert reward.read_rewards(members, data)[0].shape == (6, data.num_steps)


def test_labels_of_another_dataset_are_refused_with_their_line(
    stored: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root, file = stored
    file.write_text(file.read_text() + labels_of(1)[0].line().replace(dataset_hash(DATA), "0" * 64))
    assert main(["reward", "fit", "toy", str(file), "--root", str(root)]) == 2
    error = capsys.readouterr().err
    assert "key 'dataset'" in error
    assert str(file) in error
