"""`robot-learn collect` and `robot-learn data`, from the words to the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sims
from robot_learn.cli import main
from robot_learn.data import store
from robot_learn.data.graded import EPISODES_PER_SEED
from robot_learn.data.writer import DatasetWriter

TASK = "mujoco/cart-pole"


def run(root: Path, *words: str) -> int:
    return main([*words, "--root", str(root)])


def collect(root: Path, out: str, *words: str) -> int:
    return run(root, "collect", TASK, "--out", out, "--anchor-episodes", "4", "--num-envs", "4", *words)


def test_a_collection_has_a_manifest_and_the_pictures_of_its_moments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert collect(tmp_path, "seen", "--episodes", "6", "--images", "16", "--seed", "3", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    data = store.load("seen", tmp_path)
    assert data.num_episodes == told["episodes"] == 6
    assert told["seeds"] == {"first": 3 * EPISODES_PER_SEED}
    assert told["anchors"]["expert"]["mean_return"] > 100 > 10 > told["anchors"]["random"]["mean_return"]
    assert told["anchors"]["random"]["episodes"] == 4
    assert told["instruction"] == "Balance the pole on the cart."
    assert {"generator", "generator_version", "commit", "versions", "hash", "settings"} <= set(told)
    assert data.images is not None

    # The second episode once more, alone, by the actions that were stored: each picture is of its own moment.
    env = sims.make(TASK, 1, autoreset=False)
    first, _ = env.reset(seed=[3 * EPISODES_PER_SEED + 1])
    begin = int(data.starts[1]) + 1
    np.testing.assert_array_equal(data.observations[begin], first[0].astype(np.float32))
    for step in range(int(data.lengths[1])):
        np.testing.assert_array_equal(data.images[begin + step], env.pictures(16, 16)[0])
        assert data.actions is not None
        observed = env.step(data.actions[int(data.starts[1]) + step][None])[0]
    np.testing.assert_array_equal(data.images[begin + int(data.lengths[1])], env.pictures(16, 16)[0])
    np.testing.assert_array_equal(data.observations[begin + int(data.lengths[1])], observed[0].astype(np.float32))
    env.close()


def test_an_interrupted_collection_goes_on_to_the_same_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert collect(tmp_path, "whole", "--grade", "replay", "--episodes", "7") == 0
    add, added = DatasetWriter.add, []

    def interrupting(writer: DatasetWriter, episode: Any) -> None:
        if len(added) == 3:
            raise KeyboardInterrupt
        added.append(episode)
        add(writer, episode)

    monkeypatch.setattr(DatasetWriter, "add", interrupting)
    assert collect(tmp_path, "parts", "--grade", "replay", "--episodes", "7") == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert store.load("parts", tmp_path).num_episodes == 3
    monkeypatch.setattr(DatasetWriter, "add", add)
    assert collect(tmp_path, "parts", "--grade", "replay", "--episodes", "7") == 0
    hashes = {store.load(name, tmp_path).manifest["hash"] for name in ("whole", "parts")}
    assert len(hashes) == 1
    sources = store.load("whole", tmp_path).sources
    assert sources is not None
    assert sources.tolist() == [f"level-{number % 5}" for number in range(7)]


def test_show_and_list_tell_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "data", "list") == 0
    assert "`robot-learn collect TASK` makes one" in capsys.readouterr().out
    collect(tmp_path, "toy", "--episodes", "5")
    capsys.readouterr()
    assert run(tmp_path, "data", "show", "toy", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["manifest"]["episodes"] == 5
    assert 0 < shown["quality"]["coverage"] < 1
    assert run(tmp_path, "data", "show", "toy") == 0
    assert "action divergence" in capsys.readouterr().out
    assert run(tmp_path, "data", "list", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["dataset"], row["episodes"], row["images"]) == ("toy-v0", 5, "-")


def test_data_go_to_lerobot_and_back_and_lend_their_actions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow", reason="the extra data is not installed")
    collect(tmp_path, "toy", "--episodes", "5", "--images", "16", "--steps", "20")
    assert run(tmp_path, "data", "export", "toy", str(tmp_path / "theirs")) == 0
    assert run(tmp_path, "data", "import", str(tmp_path / "theirs"), "back") == 0
    first, again = store.load("toy", tmp_path), store.load("back", tmp_path)
    assert first.manifest["hash"] == again.manifest["hash"]
    assert again.task == TASK
    assert again.manifest["fps"] == 25
    words = ("data", "actions", "back", "--from", "toy", "--out", "filled", "--updates", "20", "--json")
    capsys.readouterr()
    assert run(tmp_path, *words) == 0
    assert json.loads(capsys.readouterr().out)["held_out"]["episodes"] == 1
    assert store.load("filled", tmp_path).actions is not None
    assert run(tmp_path, *words) == 2
    assert "choose another --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("collect", "mujoco/cart-pol"), "did you mean 'mujoco/cart-pole'"),
        (("collect", TASK, "--episodes", "0"), "--episodes, --anchor-episodes and --num-envs: wanted 1 or more"),
        (("collect", TASK, "--images", "4"), "--images 4: wanted 8 pixels"),
        (("collect", TASK, "--images", "16", "--camera", "sid"), "did you mean 'side'"),
        (("collect", TASK, "--actor", "run"), "--actor run and --run-folder go together"),
        (("collect", "mujoco/hopper", "--grade", "expert"), "a trained policy can act"),
        (("collect", TASK, "--seed", "-1"), "wanted a seed from 0"),
        (("collect", TASK, "--hold", "0"), "wanted hold from 1"),
        (("collect", TASK, "--out", "a b"), "dataset name 'a b'"),
        (("data", "show", "nothing"), "no dataset 'nothing': there is none in"),
        (("data", "import", "nowhere", "name"), "there is no folder nowhere"),
    ],
)
def test_a_mistake_is_one_clear_message(
    words: tuple[str, ...], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--anchor-episodes", "1") if words[0] == "collect" and "--episodes" not in words else ()
    assert run(tmp_path, *words, *more) == 2
    assert says in capsys.readouterr().err
