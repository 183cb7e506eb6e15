"""A simulated camera by a real one's file: it sees what is there, and nobody else tells what it is to find."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hardware.limits import Envelope
from hardware.vision.calibration import Calibration
from robot_learn.deployment.eyes import Eye, Without
from robot_learn.deployment.objects import Fixed
from robot_learn.deployment.places import BehindFake, in_simulation
from robot_learn.errors import UserError
from tests.hardware.vision.eye import eye_at
from tests.robot_learn.deployment.conftest import free_address, quick
from tests.robot_learn.deployment.test_session import deploy

PICK = "franka/pick-cube"
HALF = [0.02, 0.02, 0.02]


@pytest.fixture
def described(tmp_path: Path) -> Path:
    """A camera opposite the arm; its lens is not quite square, which the simulated one's is."""
    ideal = Calibration.pinhole(640, 480, 45.0, eye_at(0.6))
    matrix = ideal.matrix + np.array([[3.0, 0, 5.0], [0, 0, -4.0], [0, 0, 0]])
    Calibration(640, 480, matrix, ideal.T_base_camera, np.array([0.05, 0, 0, 0, 0])).write(tmp_path / "camera.json")
    told = {
        "camera": 0,
        "calibration": "camera.json",
        "tags": {"cube": {"half": HALF, "size": 0.03, "first": 0}},
        "fps": 25,
    }
    (tmp_path / "eye.json").write_text(json.dumps(told))
    return tmp_path / "eye.json"


def test_it_finds_the_cube_where_it_is_and_what_was_added_moves_nothing(described: Path) -> None:
    eye = Eye(described, "pick-cube")
    place = in_simulation(PICK, "fr3", Envelope(), eye.definition)
    model, plain = place._model, quick("pick-cube").model()
    assert (model.nq, model.nv, model.nu) == (plain.nq, plain.nv, plain.nu)
    assert model.body_mass.sum() == pytest.approx(plain.body_mass.sum())
    assert model.ngeom == plain.ngeom + 6  # tags
    with place.eye(eye) as seen:
        for seed in range(3):
            with place.episode(seed) as arm:
                arm.start()
                arm.wait(0.04 * seed)
                time = arm.observe().time
                found = seen.poses(time)["cube"]
                true = place._data.body("cube")
                assert np.linalg.norm(found.T_base_object[:3, 3] - true.xpos) < 0.004
                assert found.age == pytest.approx(0.0, abs=1e-6)
    place.close()


def test_it_sees_the_world_of_a_fake_controller_too(described: Path) -> None:
    pytest.importorskip("pylibfranka", reason="needs the extra 'franka'")
    eye = Eye(described, "pick-cube")
    place = BehindFake(PICK, f"fci://{free_address()}", Envelope(), definition=eye.definition)
    try:
        with place.eye(eye) as seen, place.episode(1) as arm:
            time = arm.observe().time
            # The first picture takes long to draw on a busy computer: nothing is asked of the client after it.
            found = seen.poses(time)["cube"]
            true = place.fake.call(place._world.data.body("cube").xpos.copy)
            assert np.linalg.norm(found.T_base_object[:3, 3] - true) < 0.004
    finally:
        place.close()


def test_what_the_camera_is_to_find_nobody_else_tells() -> None:
    source = Without(Fixed({"cube": np.eye(4), "goal": np.eye(4)}), ("cube",))
    assert set(source.poses(0.0)) == {"goal"}


def test_a_policy_acts_by_what_the_simulated_camera_sees(
    described: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = [f"script:{PICK}", "--episodes", "1", "--steps", "12", "--camera", str(described)]
    told = deploy(capsys, tmp_path, *words)
    assert told["steps"] == 12
    steps = (Path(told["session"]) / "episode-0000" / "steps.jsonl").read_text().splitlines()
    places = np.array([json.loads(line)["scene"]["cube.position"] for line in steps if "scene" in line])
    assert 0.0 < np.abs(places[:, 2] - 0.02).max() < 0.004, "a camera is near the truth, and not the truth itself"


def test_where_the_camera_sees_nothing_the_arm_does_not_move(
    described: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    told = json.loads(described.read_text())
    away = eye_at(0.6)
    away[:3, :3] = away[:3, :3] @ np.diag([1.0, -1.0, -1.0])  # it looks the other way
    Calibration.pinhole(640, 480, 45.0, away).write(described.parent / "camera.json")
    described.write_text(json.dumps(told))
    lost = deploy(capsys, tmp_path, f"script:{PICK}", "--episodes", "1", "--camera", str(described))
    assert lost["reasons"] == {"object lost": 1}
    assert lost["steps"] == 0
    assert "'cube'" in lost["episodes"][0]["detail"]


def test_a_thing_or_a_task_that_there_is_not_is_named(described: Path) -> None:
    with pytest.raises(UserError, match="nothing can be added to the world of franka/reach"):
        Eye(described, "reach")
    described.write_text(described.read_text().replace('"cube"', '"ball"'))
    with pytest.raises(UserError, match="tags of 'ball', and this task's world has no such thing"):
        Eye(described, "pick-cube").definition.model()
