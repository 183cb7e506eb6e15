"""A camera and its things from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from hardware.vision.described import load
from robot_learn.errors import UserError
from tests.hardware.vision.eye import eye_at, make

HALF = [0.02, 0.02, 0.02]
TOLD: dict[str, Any] = {
    "camera": "pictures",
    "calibration": "lens.json",
    "tags": {"cube": {"half": HALF, "size": 0.03, "first": 0}},
    "colours": {"cube": {"half": HALF, "hue": [345, 25]}},
    "smoothing": {"memory": 0.1},
    "fps": 25,
}


def test_a_folder_of_pictures_is_looked_at_as_the_file_says(tmp_path: Path) -> None:
    world = make(eye_at(0.45), tagged=True)
    world.place(np.random.default_rng(0))
    (tmp_path / "pictures").mkdir()
    with world.camera(320, 240) as (take, calibration):
        for i in range(3):
            cv2.imwrite(str(tmp_path / f"pictures/{i}.png"), take()[..., ::-1])
    calibration.write(tmp_path / "lens.json")
    (tmp_path / "eye.json").write_text(json.dumps(TOLD))
    now = [100.0]
    eye = load(tmp_path / "eye.json", clock=lambda: now[0])
    for i in range(5):
        now[0] = 100 + 0.04 * i
        seen = eye.poses(now[0])["cube"]
    assert eye.pictures == 3
    assert seen.age == pytest.approx(0.08)
    assert np.linalg.norm(seen.T_base_object[:3, 3] - world.T_base_cube[:3, 3]) < 0.004


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"camra": 0}, "no key of .*eye.json named 'camra'; did you mean 'camera'"),
        ({"tags": {}, "colours": {}}, "wanted 'camera', 'calibration' and 'tags' or 'colours'"),
        ({"tags": {"cube": 3}}, "tags: wanted an object of things"),
        ({"tags": {"cube": {"half": HALF}}}, "tags, cube: .*size"),
        ({"tags": {"cube": {"half": HALF, "size": 0.05}}}, "tags, cube: tags of 50 mm do not fit"),
        ({"colours": {"cube": {"half": HALF}}}, "colours, cube: .*hue"),
        ({"colours": {"cube": {"half": HALF, "hue": [0, 400]}}}, "colours, cube: cube: wanted half edges"),
        ({"smoothing": {"memory": -1}}, "smoothing: smoothing: wanted"),
        ({"dictionary": "7x7"}, "no dictionary of tags named '7x7'"),
        ({"calibration": "none.json"}, "none.json: cannot be read"),
        ({"camera": None}, "wanted a number, an address or a folder"),
        ({"fps": 0}, "fps above 0"),
        ({"camera": "nowhere.avi"}, "camera nowhere.avi: cannot be opened"),
    ],
)
def test_what_cannot_be_is_refused_by_file_and_key(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    from hardware.vision.calibration import Calibration

    Calibration.pinhole(320, 240, 45, np.eye(4)).write(tmp_path / "lens.json")
    (tmp_path / "eye.json").write_text(json.dumps(TOLD | {"camera": "x.avi"} | change))
    with pytest.raises(UserError, match=says):
        load(tmp_path / "eye.json")
