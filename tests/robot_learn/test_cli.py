"""The command line: what it prints, what it returns, and that a user's mistake is one clear message."""

from __future__ import annotations

import dataclasses
import inspect
import json
from contextlib import closing
from pathlib import Path

import mujoco
import pytest

import sims
from robot_learn import loops
from robot_learn.cli import COMMANDS, main
from robot_learn.errors import UserError
from robot_learn.registry import load
from robot_learn.runs import Run

PROGRAM = 'def reward(scene, action):\n    return {"open": scene.drawer.opening}\n'


def run(*words: str) -> int:
    return main(list(words))


def test_overview_lists_every_command_with_its_first_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    shown = capsys.readouterr().out
    for name in COMMANDS:
        first = load(COMMANDS, name, kind="command").__doc__.strip().splitlines()[0]
        assert f"{name} " in shown
        assert first in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_and_each_of_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*name.split(), "--help") == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    kind = load(COMMANDS, name, kind="command")
    assert " ".join(kind.__doc__.split()) in shown
    classes = [one for one in kind.__mro__ if dataclasses.is_dataclass(one)]
    described = [text for one in classes for text in inspect.getsource(one).split('"""')[3::2]]  # under each field
    assert len(described) == len(dataclasses.fields(kind))
    for text in described:
        assert " ".join(text.split()) in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["taks"], "did you mean 'tasks'"),
        (["reward", "wrte", "x"], "did you mean 'reward write'"),
        (["tasks", "metaworld/drawer-opn"], "did you mean 'metaworld/drawer-open'"),
        (["tasks", "drawer-open"], "did you mean 'metaworld/drawer-open'"),
        (["run", "metaworld/drawer"], "no task named 'metaworld/drawer'"),
        (["train", "metaworld/drawer-open"], "train wants a TASK and --reward"),
        (["train", "metaworld/drawer-open", "--reward", "experts"], "did you mean 'expert'"),
        (["train", "metaworld/drawer-open", "--reward", "/dev/zero"], "no text file of a program's size"),
        (["train", "metaworld/drawer-open", "--reward", "sparse", "--seed", "-1"], "seed -1: wanted 0 to"),
        (["train", "metaworld/drawer-open", "--reward", "sparse", "--num-envs", "1"], "to be a multiple of 8"),
        (["run", "metaworld/drawer-open", "--episodes", "-2"], "--episodes -2: wanted 0 or more"),
        (["evaluate", "nowhere", "--episodes", "0"], "--episodes 0: wanted 1 or more"),
        (["reward", "check", "nowhere.py", "--task", "metaworld/reach"], "there is no such file"),
        (["reward", "show", "nowhere"], "neither the folder of a run nor a task"),
        (["reward", "write", "metaworld/reach", "--out", __file__], "is a file: wanted a folder"),
        (["train", "--resume", "nowhere"], "does not exist"),
        (["evaluate", "nowhere"], "nowhere is not a run folder"),
        (["bench", "simm"], "did you mean 'sim'"),
        (["reward", "write", "metaworld/drawer-open", "--model", "opnai:x"], "did you mean 'openai'"),
    ],
)
def test_a_mistake_is_one_message_and_status_2(
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*words) == 2
    assert list(tmp_path.iterdir()) == []  # no run folder was left behind
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("words", [["run"], ["train", "--stepps", "3"], ["evaluate", "x", "--episodes", "many"]])
def test_wrong_options_are_status_2_and_say_where_help_is(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words) == 2
    captured = capsys.readouterr()
    assert "--help" in captured.err + captured.out
    assert "Traceback" not in captured.err


def test_debug_gives_the_traceback() -> None:
    with pytest.raises(UserError, match="no task named"):
        run("tasks", "nonsense", "--debug")


def test_a_fault_of_ours_is_status_1_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("surprise")

    monkeypatch.setattr(sims, "task", broken)
    assert run("tasks", "metaworld/drawer-open") == 1
    shown = capsys.readouterr().err
    assert "surprise" in shown
    assert "--debug" in shown
    assert "Traceback" not in shown


def test_tasks_lists_the_whole_registry_with_instructions(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("tasks", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [row["task"] for row in listed] == list(sims.TASKS)
    assert {"metaworld/drawer-open", "mujoco/hopper"} <= {row["task"] for row in listed if row["recorded"]}
    assert all(row["instruction"].endswith(".") for row in listed)


def test_a_task_is_shown_with_every_field_of_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("tasks", "metaworld/hammer") == 0
    shown = capsys.readouterr().out
    for field in sims.task("metaworld/hammer").schema:
        assert field.name.partition(".")[2] in shown
        assert field.meaning in shown


def test_reward_check_reports_terms_and_fields(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "reward.py"
    path.write_text(PROGRAM)
    assert run("reward", "check", str(path), "--task", "metaworld/drawer-open", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["terms"] == {"open": "m"}
    assert shown["reads"] == ["drawer.opening"]


def test_reward_check_points_at_the_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "reward.py"
    path.write_text(PROGRAM.replace("opening", "openning"))
    assert run("reward", "check", str(path), "--task", "metaworld/drawer-open") == 2
    shown = capsys.readouterr().err
    assert "line 2, column" in shown
    assert "did you mean scene.drawer.opening" in shown


def test_with_json_a_refusal_is_json_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "reward.py"
    path.write_text(PROGRAM.replace("opening", "openning"))
    assert run("reward", "check", str(path), "--task", "metaworld/drawer-open", "--json") == 2
    (found,) = json.loads(capsys.readouterr().out)["diagnostics"]
    assert (found["line"], found["column"]) == (2, 21)
    assert "scene.drawer.opening" in found["advice"]


def test_prompt_shows_the_scene_and_no_measure_of_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("reward", "show", "metaworld/drawer-open", "--prompt") == 0
    shown = capsys.readouterr().out
    assert "Open a drawer by its handle." in shown
    assert "handle_position" in shown
    assert "0.03" not in shown.partition("# Task")[2]  # upstream's threshold of success


def test_mailbox_round_trip_writes_a_reward_and_then_a_recording(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    box, out, kept = tmp_path / "box", tmp_path / "out", tmp_path / "kept"
    words = ["reward", "write", "metaworld/drawer-open", "--model", f"mailbox:{box}", "--out", str(out)]
    assert run(*words) == 2
    assert "put its whole reply" in capsys.readouterr().err
    (place,) = box.iterdir()
    (place / "reply.txt").write_text("```python\n" + PROGRAM.replace("opening", "openning") + "```\n")
    assert run(*words) == 2
    assert "reply 1 was refused" in capsys.readouterr().err
    (second,) = set(box.iterdir()) - {place}
    assert "did you mean scene.drawer.opening" in (second / "prompt.txt").read_text()
    (second / "reply.txt").write_text(f"Pull it.\n```python\n{PROGRAM}```\n")
    assert run(*words) == 0
    assert (out / "reward.py").read_text() == PROGRAM
    assert run("reward", "record", str(box), "--model", "model-x", "--out", str(kept)) == 0
    capsys.readouterr()
    assert run("reward", "write", "metaworld/drawer-open", "--model", f"recordings:{kept}", "--json") == 0
    assert json.loads(capsys.readouterr().out)["provenance"]["model"] == "model-x"


def test_train_then_evaluate_then_resume_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "reward.py"
    program.write_text(PROGRAM)
    small = ["--num-envs", "8", "--steps", "1600", "--episodes", "4", "--no-video", "--json"]
    words = ["train", "metaworld/drawer-open", "--reward", str(program), "--out", str(tmp_path / "runs"), *small]
    assert run(*words) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["num_episodes"] == 4
    folder = Path(first["run"])
    assert {"config.json", "versions.json", "reward.py", "progress.csv", "evaluation.json", "report.html"} <= {
        path.name for path in folder.iterdir()
    }
    assert run("evaluate", str(folder), "--episodes", "4", "--no-video", "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert again["episodes"] == first["episodes"]
    assert run("train", "--resume", str(folder), "--steps", "3200", "--episodes", "0", "--json") == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 3200
    assert run("train", "--resume", str(folder), "--episodes", "0", "--json") == 0  # nothing is left to train
    assert json.loads(capsys.readouterr().out)["steps"] == 3200
    assert run("train", "--resume", str(folder), "--seed", "1") == 2
    assert "seed was 0, now 1" in capsys.readouterr().err


def test_a_quick_training_of_another_body_is_measured_as_upstream_simulates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--num-envs", "8", "--steps", "400", "--episodes", "0", "--no-video", "--json", "--out", str(tmp_path)]
    words = ["train", "mujoco/ant", "--reward", "expert", "--variant", "spider", "--quick"]
    assert run(*words, *small) == 0
    made = Run.open(json.loads(capsys.readouterr().out)["run"])
    assert "--variant spider --quick" in loops.command_of(made)
    for quick, integrator in ((True, mujoco.mjtIntegrator.mjINT_EULER), (False, mujoco.mjtIntegrator.mjINT_RK4)):
        with closing(loops.environment(made, 1, quick=quick)) as env:
            model = env.worlds.view.model  # type: ignore[attr-defined]
            assert model.opt.integrator == integrator
            assert model.geom("left_ankle_geom").size[0] < 0.06, "a spider's legs are thin"
    assert run("train", "--resume", str(made.path), "--quick") == 2
    assert "leave --assets, --device, --variant and --quick out" in capsys.readouterr().err
    for wrong, word in ((["metaworld/reach", "--quick"], "exact"), (["mujoco/ant", "--variant", "spyder"], "'spider'")):
        assert run("train", *wrong, "--reward", "expert", *small) == 2
        assert word in capsys.readouterr().err
