"""`robot-learn offline` from a dataset on disk to measured policies, and what it says of mistakes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_learn.cli import main
from robot_learn.data.manifest import dataset_hash
from robot_learn.data.store import load, save
from robot_learn.envs import VALIDATION_SEED0
from robot_learn.runs import Run
from tests.robot_learn.offline.toy_data import random_dataset

SMALL = ["--updates", "20", "--set", "hidden_size=8", "batch_size=8", "--workers", "1"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a dataset `cart`."""
    folder = tmp_path / "datasets"
    save(replace(random_dataset(obs_dim=4, act_dim=1), task="mujoco/cart-pole"), "cart", folder)
    return folder


def offline(root: Path, *words: str) -> int:
    return main(["offline", *words, "--root", str(root), "--out", str(root.parent / "runs"), "--name", "run", *SMALL])


def result(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_every_seed_gets_a_run_folder_that_other_commands_understand(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["cart", "--algorithm", "iql", "--seeds", "2", "--episodes", "2", "--validate", "--json"]
    assert offline(root, *words) == 0
    found = result(capsys)
    assert [row["seed"] for row in found["seeds"]] == [0, 1]
    assert found["first_seed"] == VALIDATION_SEED0
    assert found["reward_source"] == "task"
    assert found["mean_return"] == pytest.approx(np.mean([row["return"] for row in found["seeds"]]))
    run = Path(found["run"])
    assert main(["evaluate", str(run / "seed-1"), "--episodes", "2", "--no-video", "--json"]) == 0
    assert result(capsys)["num_episodes"] == 2
    assert "robot-learn offline cart" in (run / "seed-1" / "report.html").read_text()
    # Resumed, there is nothing left to do but to read what was measured.
    before = (run / "seed-0" / "evaluation.json").read_bytes()
    assert main(["offline", "--resume", str(run), "--episodes", "2", "--validate", "--json"]) == 0
    assert result(capsys)["seeds"] == found["seeds"]
    assert (run / "seed-0" / "evaluation.json").read_bytes() == before


def test_the_average_control_and_rewards_from_a_file_pay_the_same_steps_otherwise(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = load("cart", root)
    rewards, file = np.arange(2 * data.num_steps).reshape(2, -1) / 100.0, root / "rewards.npz"
    np.savez(file, rewards=rewards, dataset_hash=dataset_hash(data), source="somebody")
    shared = ["--algorithm", "bc-10", "--seeds", "2", "--episodes", "0", "--json"]
    assert offline(root, "cart", "--rewards", "average", *shared) == 0
    assert result(capsys)["reward_source"] == "average"
    assert offline(root, "cart", "--rewards", str(file), *shared) == 0
    found = result(capsys)
    assert found["reward_source"] == "somebody"
    file.unlink()  # the run has its own copy
    assert main(["offline", "--resume", found["run"], "--episodes", "0", "--json"]) == 0
    assert Run.open(found["run"]).has("rewards.npz")


def test_mistakes_are_named_and_leave_no_run_folder(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = load("cart", root)
    np.savez(root / "other.npz", rewards=np.zeros((1, data.num_steps)), dataset_hash="0" * 64, source="x")
    for words, says in (
        ([], "wants a DATASET"),
        (["card"], "no dataset named 'card'"),
        (["cart", "--algorithm", "ikl"], "no algorithm named 'ikl'"),
        (["cart", "--rewards", str(root / "none.npz")], "none.npz"),
        (["cart", "--rewards", str(root / "other.npz")], "rewards of another dataset"),
        (["cart", "--seeds", "0"], "wanted 1 or more of seeds"),
        (["cart", "--episodes", "-1"], "wanted 0 or more"),
    ):
        assert offline(root, *words) == 2
        assert says in capsys.readouterr().err
    assert main(["offline", "cart", "--root", str(root), "--set", "expectile"]) == 2
    assert "wanted name=value" in capsys.readouterr().err
    assert not (root.parent / "runs").exists()


def test_a_run_whose_dataset_has_changed_is_not_resumed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert offline(root, "cart", "--algorithm", "bc", "--seeds", "1", "--episodes", "0", "--json") == 0
    run = result(capsys)["run"]
    config = json.loads((Path(run) / "config.json").read_text())
    config["offline"]["dataset_hash"] = "0" * 64
    (Path(run) / "config.json").write_text(json.dumps(config))
    assert main(["offline", "--resume", run]) == 2
    assert "no longer the one that it was begun with" in capsys.readouterr().err
