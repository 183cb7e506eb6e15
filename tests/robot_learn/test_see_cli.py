"""`robot-learn see`, on a folder of pictures from the simulator."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from robot_learn.cli import main
from tests.hardware.vision.eye import eye_at, make

TOLD = {
    "camera": "pictures",
    "calibration": "lens.json",
    "fps": 2,
    "smoothing": {"forget": 30.0},
    "tags": {"cube": {"half": [0.02, 0.02, 0.02], "size": 0.03, "first": 0}},
}


def test_it_tells_where_things_are_how_steady_and_draws_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make(eye_at(0.45), tagged=True)
    world.place(np.random.default_rng(0))
    (tmp_path / "pictures").mkdir()
    with world.camera(320, 240) as (take, calibration):
        for i in range(4):
            cv2.imwrite(str(tmp_path / f"pictures/{i}.png"), take()[..., ::-1])
    calibration.write(tmp_path / "lens.json")
    (tmp_path / "eye.json").write_text(json.dumps(TOLD))
    drawn = tmp_path / "seen.png"
    words = ["see", str(tmp_path / "eye.json"), "--seconds", "3", "--picture", str(drawn), "--json"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert 2 <= told["pictures"] <= 4
    (cube,) = told["things"]
    assert (cube["thing"], cube["by"]) == ("cube", "tags")
    assert np.linalg.norm(np.array([cube["x"], cube["y"], cube["z"]]) - world.T_base_cube[:3, 3]) < 0.003
    assert cube["spread_mm"] < 2.0
    assert "cube +" in err
    plain = cv2.imread(str(tmp_path / "pictures/3.png"))
    assert np.abs(cv2.imread(str(drawn)).astype(int) - plain).max() > 100


def test_a_file_that_is_not_there_is_one_clear_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["see", "/nowhere.json"]) == 2
    assert "/nowhere.json: cannot be read" in capsys.readouterr().err
