"""The lab guide: its commands exist with these options, its files are read, its program does what it says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
import tyro

from hardware import limits
from hardware.fake_fci.errors import ERRORS
from hardware.vision import described
from hardware.vision.calibration import Calibration
from hardware.vision.cameras import RenderedCamera
from hardware.vision.poses import difference, pose
from hardware.vision.tags import Tag
from robot_learn.cli import COMMANDS, _command
from robot_learn.deployment.objects import Fixed
from robot_learn.franka import FER, FR3
from robot_learn.registry import load
from tests.hardware.vision import eye

GUIDE = (Path(__file__).parents[2] / "docs/lab.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


SAID = [
    line.replace("`", "") for block in blocks("sh") for line in block.splitlines() if line.startswith("robot-learn")
]
SAID += re.findall(r"`(robot-learn [^`\n]+)`", GUIDE)


@pytest.mark.parametrize("line", sorted(set(SAID)))
def test_every_command_of_the_guide_takes_these_options(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    name = _command(words)
    assert name is not None
    kind = load(COMMANDS, name, kind="command")
    given = words[len(name.split()) :]
    if given != ["--help"]:
        assert tyro.cli(kind, args=given, config=(tyro.conf.FlagCreatePairsOff,)) is not None


def test_commands_that_want_a_real_arm_are_marked_and_no_others() -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("robot-learn")]
    assert len(lines) > 8
    for line in lines:
        assert ("172.16.0.2" in line) == ("[arm]" in line), line


def test_the_envelope_of_the_guide_is_one_and_stricter_than_the_default(tmp_path: Path) -> None:
    (told,) = blocks("toml")
    path = tmp_path / "lab.toml"
    path.write_text(told)
    envelope, usual = limits.load(path), limits.Envelope()
    for arm in (FER, FR3):
        envelope.check(arm)
    for name in ("velocity_share", "acceleration_share", "jerk_share", "hand_speed", "collision_force", "grip_force"):
        assert getattr(envelope, name) < getattr(usual, name), name
    assert [box.name for box in envelope.workspace + envelope.keep_out] == ["over the table", "camera"]


def test_the_files_of_the_guide_are_read(tmp_path: Path) -> None:
    objects, camera = blocks("json")
    (tmp_path / "objects.json").write_text(objects)
    np.testing.assert_allclose(
        Fixed.read(tmp_path / "objects.json").poses(0.0)["goal"].T_base_object[:3, 3], [0.5, 0, 0.25]
    )
    (tmp_path / "eye.json").write_text(camera)
    Calibration.pinhole(64, 48, 45, np.eye(4)).write(tmp_path / "camera.json")
    nothing = RenderedCamera(lambda: np.zeros((48, 64, 3), np.uint8), lambda: 0.0)
    assert described.load(tmp_path / "eye.json", camera=nothing).poses(0.0) == {}
    assert json.loads(camera)["colours"]["cube"]["table"] is None


def test_the_program_of_the_guide_finds_where_the_camera_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (program,) = blocks("python")
    monkeypatch.chdir(tmp_path)
    T_base_camera, facing = eye.eye_at(0.9), np.array([0.0, 0.0, -np.pi / 2])
    seen = eye.make(T_base_camera, tagged=False, also=[
        Tag(n, 0.06, pose(facing, np.array([x, y, 0.0])))
        for n, (x, y) in {10: (0.35, -0.2), 11: (0.35, 0.2), 12: (0.6, -0.2), 13: (0.6, 0.2)}.items()
    ])  # fmt: skip
    seen.data.qpos[:7] = [0.0, -1.2, 0.0, -2.8, 0.0, 1.7, 0.8]
    eye.forward(seen)
    (tmp_path / "pictures").mkdir()
    with seen.camera(640, 480) as (take, calibration):
        cv2.imwrite("pictures/0.png", take()[..., ::-1])
    Calibration(640, 480, calibration.matrix, np.eye(4), np.zeros(5)).write(tmp_path / "lens.json")
    exec(compile(program, "docs/lab.md", "exec"), {})
    found = Calibration.read(tmp_path / "camera.json")
    off, angle = difference(found.T_base_camera, T_base_camera)
    assert off < 0.003
    assert angle < 0.005
    assert "4 tags, error 0." in capsys.readouterr().out


def test_the_errors_of_the_guide_are_the_arms() -> None:
    table = GUIDE.split("## When something happens")[1].split("## How to report")[0]
    named = [name for name in re.findall(r"`([a-z_A-Z]+_[a-z_]+)`", table) if not name.startswith("...")]
    assert len(named) > 8
    assert {name.lower() for name in named} <= {name.lower() for name in ERRORS}
