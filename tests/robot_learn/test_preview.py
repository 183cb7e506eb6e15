"""A preview shows what a reward makes a robot do: the right one opens the drawer, the wrong one does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import sims
from rewards.program import check
from robot_learn.cli import main
from robot_learn.envs import EVAL_SEED0, TRAIN_SEEDS
from robot_learn.errors import UserError
from robot_learn.preview import preview, settings

TASK = sims.task("metaworld/drawer-close")
RIGHT = """
def reward(scene, action):
    reach = -np.linalg.norm(scene.robot.hand_position - scene.drawer.handle_position)
    return {"reach": reach, "shut": -10.0 * scene.drawer.opening}
"""
WRONG = RIGHT.replace("-10.0", "10.0")


def test_a_right_reward_succeeds_and_its_opposite_does_not() -> None:
    right, wrong = (
        preview(TASK, check(text, TASK).compile(), seconds=2.0, steps=70, frame_size=None) for text in (RIGHT, WRONG)
    )
    assert right.evaluation.successes == 1
    assert wrong.evaluation.successes == 0
    terms = right.traces[0].terms
    assert terms["shut"][-1] > terms["shut"][0]
    assert TRAIN_SEEDS <= right.evaluation.episodes[0].seed < EVAL_SEED0, "neither training's starts nor evaluation's"


def test_the_horizon_is_a_quarter_of_a_second_within_bounds() -> None:
    assert settings(TASK).horizon == 20
    assert settings(sims.task("uav/gate")).horizon == 12
    assert settings(sims.task("mujoco/hopper")).horizon == 31


def test_the_command_previews_a_file_and_writes_what_it_saw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "reward.py", tmp_path / "seen"
    file.write_text(RIGHT)
    words = ["reward", "preview", str(file), "--task", TASK.name, "--seconds", "1", "--steps", "10"]
    words += ["--out", str(out), "--json"]
    assert main(words) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((out / "preview.json").read_text()) == printed
    assert printed["trace"]["terms"].keys() == {"reach", "shut"}
    assert (out / "preview.mp4").stat().st_size > 1000
    assert "<svg" in (out / "terms.svg").read_text()


def test_a_file_without_its_task_and_senseless_numbers_are_refused(tmp_path: Path) -> None:
    (tmp_path / "reward.py").write_text(RIGHT)
    assert main(["reward", "preview", str(tmp_path / "reward.py")]) == 2
    with pytest.raises(UserError, match="wanted positive seconds"):
        preview(TASK, check(RIGHT, TASK).compile(), seconds=0.0)
