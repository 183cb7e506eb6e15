"""The main job, small: a recorded reply of a language model becomes a policy that opens drawers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import sims
from rewards.language import extract_code
from rewards.models import Recordings
from robot_learn import loops, runs
from robot_learn.cli import main
from robot_learn.envs import EVAL_SEED0
from robot_learn.errors import UserError
from sims.rendering import backend

RECORDED = ("metaworld/drawer-open", "mujoco/hopper")


def can_render() -> bool:
    try:
        return bool(backend())
    except UserError:
        return False


def test_a_sentence_becomes_a_policy_that_mostly_succeeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # A fifth of the default steps: full success takes about 150,000 here, half of it is beyond any chance result.
    words = ["run", "metaworld/drawer-open", "--steps", "140000", "--episodes", "20", "--out", str(tmp_path), "--json"]
    assert main(words) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["success_rate"] >= 0.5
    assert result["num_episodes"] == 20
    assert result["first_seed"] >= EVAL_SEED0
    low, high = result["success_interval_95"]
    assert low < result["success_rate"] <= high

    run = runs.Run.open(result["run"])
    wanted = {runs.CONFIG, runs.VERSIONS, runs.REWARD, runs.PROMPT, runs.REPLY, runs.PROGRESS, runs.POLICY}
    assert wanted | {runs.EVALUATION, runs.REPORT, runs.CHECKPOINT, "provenance.json"} <= set(run.files())
    assert (runs.VIDEO in run.files()) == can_render()
    assert extract_code(run.read_text(runs.REPLY)) == run.read_text(runs.REWARD)
    report = run.read_text(runs.REPORT)
    assert "Open a drawer by its handle." in report
    assert f"{result['success_rate']:.0%}" in report
    assert "robot-learn run metaworld/drawer-open" in report


def test_an_edited_program_is_not_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "reward.py"
    program.write_text('def reward(scene, action):\n    return {"open": scene.drawer.opening}\n')
    small = ["--num-envs", "8", "--steps", "400", "--episodes", "0", "--json"]
    assert main(["train", "metaworld/drawer-open", "--reward", str(program), "--out", str(tmp_path), *small]) == 0
    folder = Path(json.loads(capsys.readouterr().out)["run"])
    (folder / runs.REWARD).write_text(program.read_text().replace("scene.drawer", "2.0 * scene.drawer"))
    assert main(["train", "--resume", str(folder), "--steps", "800"]) == 2
    assert "begun with another program" in capsys.readouterr().err


def test_a_reward_that_is_not_finite_stops_training_and_names_term_world_and_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "reward.py"
    # At first the hand has hardly moved; some steps later the root is of a negative number.
    program.write_text(
        "def reward(scene, action):\n"
        "    moved = np.linalg.norm(scene.robot.hand_position - scene.initial.robot.hand_position)\n"
        "    return {'still': np.sqrt(0.02 - moved)}\n"
    )
    words = ["train", "metaworld/drawer-open", "--reward", str(program), "--num-envs", "8", "--steps", "1600"]
    assert main([*words, "--out", str(tmp_path / "runs")]) == 2
    found = re.search(r"'?still'?.* world (\d+) at step (\d+)", capsys.readouterr().err)
    assert found is not None
    assert int(found[1]) < 8
    assert 1 < int(found[2]) <= 200


@pytest.mark.parametrize("name", RECORDED)
def test_shipped_recordings_answer_the_prompt_that_is_generated_today(name: str) -> None:
    written = loops.write_program(sims.task(name))
    assert written.replies[-1].source == "mailbox"
    assert written.program.term_names


def test_every_shipped_recording_is_of_a_task_and_passes_the_check() -> None:
    labels = sorted({json.loads(path.read_text())["label"] for path in Recordings().folder.glob("*.json")})
    assert len(labels) >= 7
    for label in labels:
        assert loops.write_program(sims.task(label)).program.task.name == label


def test_a_task_without_a_recording_says_how_to_ask_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "uav/gate"]) == 2
    shown = capsys.readouterr().err
    assert "uav/gate" in shown
    assert "mailbox:" in shown
    assert "openai:" in shown
