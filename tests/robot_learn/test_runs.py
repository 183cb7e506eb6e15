"""Run folders: begun, opened, settled, and never half written."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from pathlib import Path

import pytest

from robot_learn.errors import UserError
from robot_learn.runs import CONFIG, PACKAGES, VERSIONS, Run, alone, atomic_write, versions

WHEN = datetime(2026, 1, 31, 14, 25, 1)


def test_a_run_is_named_after_task_time_and_seed_and_never_twice(tmp_path: Path) -> None:
    made = [Run.create(tmp_path / "runs", task="metaworld/drawer-open", seed=3, config={}, when=WHEN) for _ in "ab"]
    assert [run.path.name for run in made] == [
        "metaworld-drawer-open-20260131-142501-s3",
        "metaworld-drawer-open-20260131-142501-s3-2",
    ]


def test_a_run_keeps_its_config_and_versions(tmp_path: Path) -> None:
    run = Run.create(tmp_path, task="toy/point", seed=3, config={"reward": {"source": "expert"}})
    assert Run.open(run.path).config == {"task": "toy/point", "seed": 3, "reward": {"source": "expert"}}
    assert run.read_json(VERSIONS) == versions()
    assert {"python", "platform", "commit", *PACKAGES} <= versions().keys()


def test_what_is_no_run_is_refused_with_the_nearest_that_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        Run.open(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"holds no config\.json$"):
        Run.open(tmp_path)
    run = Run.create(tmp_path, task="toy/point", seed=0, config={})
    with pytest.raises(UserError, match=f"the last is {run.path}"):
        Run.open(tmp_path)


def test_a_folder_that_cannot_be_made_is_a_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot make a run folder"):
        Run.create(tmp_path / "file", task="toy/point", seed=0, config={})


def test_a_missing_or_broken_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    run = Run.create(tmp_path, task="toy/point", seed=0, config={})
    with pytest.raises(UserError, match=r"has no evaluation\.json; it has: config\.json, versions\.json"):
        run.read_json("evaluation.json")
    run.file("evaluation.json").write_text("{")
    with pytest.raises(UserError, match=r"evaluation\.json is not JSON"):
        run.read_json("evaluation.json")
    run.file(CONFIG).write_text("[]")
    with pytest.raises(UserError, match="wanted a JSON object, got list"):
        _ = run.config


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(TypeError), atomic_write(path) as file:
        file.writelines([b"ne", "w"])  # type: ignore[list-item]
    assert path.read_text() == "old"
    with atomic_write(path) as file:
        file.write(b"new")
    assert path.read_text() == "new"


def test_text_and_json_survive_in_any_language(tmp_path: Path) -> None:
    run = Run.create(tmp_path, task="toy/point", seed=0, config={"sentence": "öffne die Schublade, 引き出し"})
    assert Run.open(run.path).config["sentence"] == "öffne die Schublade, 引き出し"
    run.write_text("prompt.txt", "ü\n")
    assert run.read_text("prompt.txt") == "ü\n"


def test_a_section_settles_once_and_then_only_agrees(tmp_path: Path) -> None:
    run = Run.create(tmp_path, task="toy/point", seed=0, config={})
    run.settle("train", {"seed": 0, "hidden": (64, 64), "total_steps": 10})
    run.settle("train", {"seed": 0, "hidden": (64, 64), "total_steps": 20}, free=["total_steps"])
    assert run.config["train"] == {"seed": 0, "hidden": [64, 64], "total_steps": 20}
    assert run.config["task"] == "toy/point"
    before = json.dumps(run.config)
    with pytest.raises(UserError, match=r"another train configuration: hidden was \[64, 64\], now \[32\]; seed was 0"):
        run.settle("train", {"seed": 1, "hidden": [32], "total_steps": 20})
    assert json.dumps(run.config) == before


def test_whoever_finds_a_lock_held_is_told_which_process_holds_it(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with alone(lock, "busy"):
        for _ in range(2):  # the first who asks must not wipe it out
            with pytest.raises(UserError, match=rf"busy; it is process {os.getpid()}: \S"), alone(lock, "busy"):
                pass
    with alone(lock, "busy"):
        pass


def test_the_process_of_an_arm_is_named_by_who_started_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "hardware.spawn", "4", "5"])
    with (
        alone(tmp_path / "lock", "busy"),
        pytest.raises(UserError, match=rf"process {os.getppid()}: "),
        alone(tmp_path / "lock", "busy"),
    ):
        pass
