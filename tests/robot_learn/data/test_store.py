"""Datasets on disk: whole, in pieces, damaged, and seen through Minari's own eyes."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import h5py
import minari
import numpy as np
import pytest

from robot_learn.data import layout, store
from robot_learn.data.manifest import content_hash, dataset_hash
from robot_learn.data.pictures import StoredPictures
from robot_learn.data.trajectory import Trajectory
from robot_learn.data.writer import DatasetWriter
from robot_learn.errors import UserError
from robot_learn.types import Segment
from tests.robot_learn.data import made


@pytest.mark.parametrize("lazy", [False, True])
def test_what_is_saved_loads_to_the_bit(tmp_path: Path, lazy: bool) -> None:
    ours = made.dataset(images=16)
    ours = dataclasses.replace(ours, features=np.arange(19 * 2, dtype=np.float32).reshape(19, 2))
    store.save(ours, "toy/point/mixed", tmp_path)
    again = store.load("toy/point/mixed", tmp_path, in_memory=0 if lazy else 2**30)
    made.assert_same(ours, again)
    assert again.task == "toy/point"
    assert isinstance(again.images, StoredPictures) == lazy
    assert again.manifest["hash"] == content_hash(ours) == dataset_hash(again.with_rewards(np.zeros(16), "none"))


def test_a_segment_shows_the_frames_after_its_steps() -> None:
    ours = made.dataset()
    assert ours.actions is not None
    for number, length in enumerate(ours.lengths.tolist()):
        segment = Segment(number, 1, length - 1)
        steps, frames = ours.steps_of(segment), ours.frames_of(segment)
        np.testing.assert_array_equal(frames, ours.frame_after[steps])
        moved = ours.observations[frames] - ours.observations[ours.frame_before[steps]]
        np.testing.assert_allclose(moved, ours.actions[steps], atol=1e-6)  # the action is the move


def test_a_dataset_is_found_by_name_version_and_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = store.save(made.dataset(), "toy/point/mixed", tmp_path)
    monkeypatch.setenv(layout.ROOT_VARIABLE, str(tmp_path))
    for name in ("toy/point/mixed", "toy/point/mixed-v0", str(folder), str(folder.parent)):
        assert store.load(name).num_steps == 16
    assert layout.names() == ["toy/point/mixed-v0"]
    with pytest.raises(UserError, match="did you mean 'toy/point/mixed-v0'"):
        store.load("toy/point/mixd")
    with pytest.raises(UserError, match="there already"):
        store.save(made.dataset(), "toy/point/mixed")


@pytest.mark.parametrize("name", ["a b", "a//b", "/a", "a/", "../a", "a/b", ""])
def test_a_name_that_minari_or_a_folder_could_not_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="dataset name"):
        DatasetWriter(name, tmp_path, task="toy/point")
    for good in ("ab/c", "a/b/c", "x", "a-v3"):
        assert minari.dataset.minari_dataset.parse_dataset_id(layout.full_name(good))


def test_minari_opens_what_we_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = made.dataset(images=16)
    store.save(ours, "toy/point/mixed", tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    theirs = minari.load_dataset("toy/point/mixed-v0")
    assert (theirs.total_episodes, theirs.total_steps) == (3, 16)
    assert "toy/point/mixed-v0" in minari.list_local_datasets()
    for number, (episode, mine) in enumerate(zip(theirs, store.trajectories(ours), strict=True)):
        np.testing.assert_array_equal(episode.observations, mine.observations, err_msg=str(number))
        np.testing.assert_array_equal(episode.actions, mine.actions)
        np.testing.assert_array_equal(episode.rewards, mine.rewards)
        np.testing.assert_array_equal(episode.terminations | episode.truncations, np.arange(len(mine)) == len(mine) - 1)
        np.testing.assert_array_equal(episode.infos["success"][1:], mine.success)
        np.testing.assert_array_equal(episode.infos["images"], mine.images)


def test_watched_episodes_have_no_actions_before_and_after(tmp_path: Path) -> None:
    store.save(made.dataset(acts=False), "watched", tmp_path)
    assert store.load("watched", tmp_path).actions is None


def test_every_way_of_indexing_stored_pictures_gives_what_an_array_gives(tmp_path: Path) -> None:
    store.save(made.dataset((5, 30, 3), images=8), "toy", tmp_path)
    plain, lazy = store.load("toy", tmp_path).images, store.load("toy", tmp_path, in_memory=0).images
    assert plain is not None
    assert lazy is not None
    assert (lazy.shape, lazy.dtype, len(lazy)) == (plain.shape, plain.dtype, len(plain))
    rng = np.random.default_rng(0)
    mask = rng.random(len(plain)) < 0.3
    drawn = rng.integers(len(plain), size=(7, 3))
    for index in (0, -1, np.int64(7), slice(None), slice(3, 30, 4), mask, drawn, [5, 5, 2], (drawn[0], 2), (4, 1, 1)):
        np.testing.assert_array_equal(lazy[index], plain[index], err_msg=str(index))
    np.testing.assert_array_equal(np.asarray(pickle.loads(pickle.dumps(lazy))), plain)
    with pytest.raises(IndexError):
        lazy[len(plain)]


def _die_with(episodes: Sequence[Trajectory], root: Path) -> None:
    """A process that writes adds these, and ends without closing its writer."""
    child = os.fork()
    if not child:
        try:
            writer = DatasetWriter("toy", root, task="toy/point")
            for episode in episodes:
                writer.add(episode)
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def test_a_writer_that_dies_leaves_every_episode_that_it_was_given(tmp_path: Path) -> None:
    episodes = made.episodes((5, 8, 3, 4))
    _die_with(episodes[:2], tmp_path)
    with pytest.raises(UserError, match="2 episodes wait"):
        store.load("toy", tmp_path)
    with suppress(KeyboardInterrupt), DatasetWriter("toy", tmp_path, task="toy/point") as second:
        assert second.num_episodes == 2
        second.add(episodes[2])
        raise KeyboardInterrupt
    assert store.load("toy", tmp_path).num_episodes == 3
    with DatasetWriter("toy", tmp_path, task="toy/point") as third:
        third.add(episodes[3])
    made.assert_same(store.load("toy", tmp_path), store.assemble(episodes, "toy/point", {}), images=False)


def test_one_process_at_a_time_adds_to_a_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robot_learn.data.writer._PATIENCE", 0.1)
    episodes = made.episodes()
    with DatasetWriter("toy", tmp_path, task="toy/point") as first:
        first.add(episodes[0])
        with pytest.raises(UserError, match=r"another process adds to .*choose another name"):
            DatasetWriter("toy", tmp_path, task="toy/point")
        first.add(episodes[1])
    with DatasetWriter("toy", tmp_path, task="toy/point") as second:
        assert second.num_episodes == 2


def test_a_death_between_joining_and_clearing_up_counts_no_episode_twice(tmp_path: Path) -> None:
    episodes = made.episodes()
    writer = DatasetWriter("toy", tmp_path, task="toy/point")
    writer.add(episodes[0])
    waiting = writer.folder / "pending" / "00000000.hdf5"
    kept = waiting.read_bytes()
    writer.close()
    waiting.parent.mkdir()
    waiting.write_bytes(kept)
    with DatasetWriter("toy", tmp_path, task="toy/point") as again:
        assert again.num_episodes == 1
        again.add(episodes[1])
    made.assert_same(store.load("toy", tmp_path), store.assemble(episodes[:2], "toy/point", {}), images=False)


def test_a_bad_episode_is_refused_and_those_before_stay(tmp_path: Path) -> None:
    good, other, _ = made.episodes()
    rewards = other.rewards.copy()
    rewards[4] = np.nan
    with DatasetWriter("toy", tmp_path, task="toy/point") as writer:
        writer.add(good)
        with pytest.raises(UserError, match=r"toy-v0, episode 1: rewards at step 4 is not finite: nan"):
            writer.add(dataclasses.replace(other, rewards=rewards))
    assert store.load("toy", tmp_path).num_episodes == 1


def test_an_episode_of_another_width_is_refused_also_by_a_later_writer(tmp_path: Path) -> None:
    first, wide, last = made.episodes()
    wide = dataclasses.replace(wide, observations=np.pad(wide.observations, ((0, 0), (0, 1))))
    with DatasetWriter("toy", tmp_path, task="toy/point") as writer:
        writer.add(first)
        with pytest.raises(UserError, match=r"episode 1: rows are .*\(3,\).* of the first episode .*\(2,\)"):
            writer.add(wide)
    with DatasetWriter("toy", tmp_path, task="toy/point") as writer, pytest.raises(UserError, match="episode 1: rows"):
        writer.add(wide)
    _die_with([last], tmp_path)
    with DatasetWriter("toy", tmp_path, task="toy/point") as writer, pytest.raises(UserError, match="episode 2: rows"):
        writer.add(wide)
    assert store.load("toy", tmp_path).lengths.tolist() == [5, 3]


def test_a_dataset_goes_on_only_with_the_same_settings(tmp_path: Path) -> None:
    DatasetWriter("toy", tmp_path, task="toy/point", settings={"seed": 0, "hold": 1}).close()
    with pytest.raises(UserError, match="begun with other settings: seed was 0, now 1"):
        DatasetWriter("toy", tmp_path, task="toy/point", settings={"seed": 1, "hold": 1})
    with pytest.raises(UserError, match="task was 'toy/point', now 'toy/other'"):
        DatasetWriter("toy", tmp_path, task="toy/other", settings={"seed": 0, "hold": 1})


def damage(folder: Path, how: str) -> None:
    main = folder / "main_data.hdf5"
    if how == "truncated":
        main.write_bytes(main.read_bytes()[:-2000])
        return
    if how == "metadata":
        (folder / "metadata.json").write_text("{")
        return
    with h5py.File(main, "a") as file:
        group = file["episode_1"]
        if how == "missing":
            del group["rewards"]
        elif how == "nan":
            group["observations"][3, 1] = np.nan
        elif how == "shape":
            del group["actions"]
            group["actions"] = np.zeros((7, 2), dtype=np.float32)
        elif how == "width":
            del group["observations"]
            group["observations"] = np.zeros((9, 5), dtype=np.float32)
        elif how == "episode":
            del file["episode_1"]
        elif how == "pictures":
            del group["infos/images"]


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("truncated", "main_data.hdf5 is damaged or not HDF5"),
        ("metadata", "metadata.json cannot be read"),
        ("missing", "main_data.hdf5, episode 1: there is no 'rewards'; there are: actions, "),
        ("nan", "main_data.hdf5, episode 1: observations at step 3 is not finite"),
        ("shape", r"main_data.hdf5, episode 1: actions has the shape \(7, 2\), wanted 8 rows and 2 axes"),
        ("width", r"observations of episode 1 are \(5,\), of episode 0 \(2,\)"),
        ("episode", "wanted episode_0 to episode_1"),
        ("pictures", "episode 1: there is no 'infos/images', others have them"),
    ],
)
def test_damage_is_named_by_file_episode_key_and_step(tmp_path: Path, how: str, says: str) -> None:
    folder = store.save(made.dataset(images=16), "toy", tmp_path)
    damage(folder, how)
    with pytest.raises(UserError, match=says):
        store.load("toy", tmp_path)


def test_a_writer_does_not_touch_the_dataset_of_others(tmp_path: Path) -> None:
    folder = store.save(made.dataset(), "toy", tmp_path)
    told = json.loads((folder / "metadata.json").read_text())
    del told["robot_learn"]
    (folder / "metadata.json").write_text(json.dumps(told))
    with pytest.raises(UserError, match="a dataset of others"):
        DatasetWriter("toy", tmp_path, task="toy/point")
    assert store.load("toy", tmp_path).num_episodes == 3
