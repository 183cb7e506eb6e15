"""What the benchmark of sessions reckons from what it measured, and pictures that stay small."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from robot_learn.cli import main
from robot_learn.session.headless import bench
from robot_learn.session.headless.bench import SUBJECTS, Memory, family, slopes, weight
from robot_learn.session.headless.pictures import LARGEST, Camera


def memory(growth: float, noise: float, *, seed: int = 0) -> Memory:
    """Half an hour, read every five seconds: 100 MB that grow by so many an hour, after a jump at the start."""
    generator = np.random.default_rng(seed)
    at = np.arange(0.0, 1800.0, 5.0)
    found = Memory(at=at.tolist())
    start = np.where(at < 300, 60.0, 100.0)
    for values in (found.server, found.renderer, found.heap):
        values.extend((start + growth * at / 3600 + generator.normal(0.0, noise, len(at))).tolist())
    return found


def test_the_slope_is_that_of_what_grew_once_the_start_is_over() -> None:
    told = slopes(memory(12.0, 0.0), 30.0)
    assert told["server MB/h"] == pytest.approx(12.0, abs=0.1)
    assert told["heap MB"] == pytest.approx(100 + 12 * 0.3125, abs=0.2)


def test_no_growth_lies_within_two_standard_errors_about_nineteen_times_in_twenty() -> None:
    inside = [
        abs(told["heap MB/h"]) <= told["heap +-"]
        for told in (slopes(memory(0.0, 2.0, seed=seed), 30.0) for seed in range(60))
    ]
    assert 0.85 <= np.mean(inside) <= 1.0


def test_too_short_a_session_tells_no_slope() -> None:
    short = Memory([0.0, 5.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0])
    assert slopes(short, 0.2)["server MB/h"] is None


def test_a_process_weighs_something_with_its_children_and_nothing_when_it_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in family(os.getpid())
        assert weight(os.getpid()) > 1.0
        child.communicate(b"\n")
    assert child.pid not in family(os.getpid())
    assert weight(child.pid) == 0.0


def test_delays_come_from_the_acts_the_page_and_the_arm(tmp_path: Path) -> None:
    (tmp_path / "session" / "drive-x").mkdir(parents=True)
    with sqlite3.connect(tmp_path / "session" / "session.sqlite") as base:
        base.execute("CREATE TABLE acts (what TEXT, seconds REAL)")
        base.execute("CREATE TABLE timings (activity TEXT, subject TEXT, act TEXT, place TEXT, seconds REAL, at REAL)")
        rows = [("push", 0.02), ("push", None), ("undo", 5.0)]
        base.executemany("INSERT INTO acts VALUES (?, ?)", rows)
        base.execute("INSERT INTO timings VALUES ('correct', 'x', 'push', 'page', 0.05, 0)")
    (tmp_path / "session" / "drive-x" / "timings.jsonl").write_text(json.dumps({"key_to_command": 0.04}) + "\n")
    assert bench._delays(SUBJECTS["correct-uav-gate"], tmp_path) == ([0.02, 0.04], [0.05])
    assert bench._delays(SUBJECTS["drive"], tmp_path) == ([0.04], [])


def test_what_was_measured_for_as_long_is_not_measured_again(tmp_path: Path) -> None:
    row = {"minutes": 30.0, "updates/s": 31.0}
    (tmp_path / bench.RESULTS).write_text(json.dumps({"drive": row}))
    found = bench.run(1.0, tmp_path, ["drive"], pytest.fail)
    assert found == [{"session": "drive"} | row]


def test_an_unknown_session_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "session", "--only", "fly"]) == 2
    assert "correct-uav-gate" in capsys.readouterr().err
    assert main(["bench", "session", "--minutes", "0"]) == 2


class Still:
    """A page that shows grey, or noise, which nothing makes small."""

    def __init__(self, shape: tuple[int, int, int], noisy: bool) -> None:
        generator = np.random.default_rng(0)
        shot = generator.integers(0, 256, shape, np.uint8) if noisy else np.full(shape, 200, np.uint8)
        self._shot = cv2.imencode(".png", cv2.GaussianBlur(shot, (0, 0), 3.0))[1].tobytes()

    def wait_for_timeout(self, milliseconds: float) -> None: ...

    def screenshot(self) -> bytes:
        return self._shot


def test_a_picture_is_as_fine_as_its_size_allows(tmp_path: Path) -> None:
    camera = Camera(tmp_path, "drive", lambda line: None)
    plain = camera.take(Still((400, 640, 3), noisy=False), 1)
    noisy = camera.take(Still((1200, 1920, 3), noisy=True), 2)
    assert plain.stat().st_size < 10_000
    assert 50_000 < noisy.stat().st_size <= LARGEST
    assert cv2.imread(str(noisy)).shape == (1200, 1920, 3)
