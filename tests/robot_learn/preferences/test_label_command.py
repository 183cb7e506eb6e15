"""`robot-learn label` from the outside, on a dataset of a square that should go to the right."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import cv2
import pytest

from rewards.preference.labels import read_labels
from robot_learn.cli import main
from robot_learn.data.store import save
from tests.robot_learn.preferences import squares

GOAL = ["--goal", "Move the square to the right."]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("data")
    save(squares.dataset(), "toy/squares", found)
    return found


def run(root: Path, out: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    status = main(["label", "toy/squares", "--root", str(root), "--out", str(out), "--json", *GOAL, *words])
    return status, json.loads(capsys.readouterr().out)


def test_a_simulated_teacher_labels_and_is_judged(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--teacher", "simulated", "--pairs", "40", "--segment", "2")
    status, found = run(root, tmp_path / "labels.jsonl", capsys, *words)
    assert (status, found["new"], found["answered"], found["truth"]["accuracy"]) == (0, 40, 40, 1.0)
    assert run(root, tmp_path / "labels.jsonl", capsys, *words)[1]["new"] == 0
    assert len(read_labels(tmp_path / "labels.jsonl")) == 40


def test_teachers_are_compared_on_the_same_pairs(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right, wrong = tmp_path / "right.jsonl", tmp_path / "wrong.jsonl"
    run(root, right, capsys, "--teacher", "simulated", "--pairs", "200", "--segment", "2")
    found = run(root, wrong, capsys, "--teacher", "simulated", "--kind", "mistaken:0.3", "--of", str(right))[1]
    asked = [[label.pair for label in read_labels(path)] for path in (right, wrong)]
    assert asked[0] == asked[1]
    assert 0.6 < found["truth"]["accuracy"] < 0.8  # four deviations of 200 coins
    found = run(
        root, tmp_path / "curve.jsonl", capsys, "--teacher", "simulated", "--kind", "curve:drawer", "--of", str(right)
    )
    accuracies = [one["accuracy"] for one in found[1]["truth"]["bins"]]
    assert sum(accuracies[:3]) < sum(accuracies[-3:])


def test_a_file_without_labels_has_no_pairs_to_ask_about(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.jsonl").touch()
    words = [
        "label",
        "toy/squares",
        "--root",
        str(root),
        "--teacher",
        "simulated",
        "--of",
        str(tmp_path / "empty.jsonl"),
    ]
    assert main([*words, "--out", str(tmp_path / "labels.jsonl"), *GOAL]) == 2
    assert "wanted labels, whose pairs to ask about" in capsys.readouterr().err


def test_a_measured_curve_makes_mistakes(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--teacher", "simulated", "--kind", "curve:rope", "--pairs", "300")
    found = run(root, tmp_path / "labels.jsonl", capsys, *words)[1]["truth"]
    assert 0.3 < found["accuracy"] < 0.7


def test_vision_goes_by_the_picture_of_a_goal(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / "goal.png"), cv2.cvtColor(squares.picture(1.0), cv2.COLOR_RGB2BGR))
    words = ("--pairs", "60", "--goal-picture", str(tmp_path / "goal.png"), "--min-difference", "5")
    status, found = run(root, tmp_path / "labels.jsonl", capsys, *words)
    assert status == 0
    assert found["truth"]["accuracy"] > 0.95


def test_a_mailbox_becomes_recordings_and_recordings_become_labels(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    box, recordings, out = tmp_path / "box", tmp_path / "recordings", tmp_path / "labels.jsonl"
    words = ("--teacher", "vlm", "--pairs", "5", "--sheet", "3", "--size", "64", "--model")
    status, found = run(root, out, capsys, *words, f"mailbox:{box}")
    assert (status, found["answered"]) == (0, 0)
    prompts = sorted(box.glob("*/prompt.txt"))
    assert len(prompts) == 4, "two sheets in both orders"
    for prompt in prompts:
        lines = [json.dumps({"pair": number, "better": "same", "confidence": 0.5}) for number in (1, 2, 3)]
        count = 3 if "shows 3 pairs" in prompt.read_text() else 2
        prompt.with_name("reply.txt").write_text("\n".join(lines[:count]))
    assert main(["reward", "record", str(box), "--model", "a-model", "--out", str(recordings)]) == 0
    capsys.readouterr()
    status, found = run(root, out, capsys, *words, f"recordings:{recordings}")
    assert (status, found["answered"], found["ties"]) == (0, 5, 5)
    labels = read_labels(out)
    assert {label.answer.model for label in labels} == {"a-model"}
    run(root, out, capsys, "--teacher", "simulated", "--pairs", "9", "--seed", "3")
    again = tmp_path / "again.jsonl"
    assert run(root, again, capsys, *words, f"recordings:{recordings}", "--of", str(out))[1]["answered"] == 5
    assert read_labels(again) == labels, "its own pairs, sheet by sheet, and none of the others'"
    found = run(root, out, capsys, *words, f"mailbox:{box}", "--of", str(out))[1]
    assert (found["pairs"], found["answered"]) == (14, 5), "added to the same file, all pairs are asked about"


def test_gold_pairs_measure_a_teacher(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gold, out = tmp_path / "gold.jsonl", tmp_path / "labels.jsonl"
    run(root, gold, capsys, "--teacher", "simulated", "--pairs", "30", "--seed", "5")
    words = ("--teacher", "simulated", "--kind", "mistaken", "--pairs", "20", "--gold", str(gold))
    found = run(root, out, capsys, *words)[1]
    assert found["answered"] == 50
    assert 0.6 < found["gold"]["accuracy"] <= 1.0
    assert len(found["gold"]["confusion"]) == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--teacher", "simulated", "--kind", "best"), "no kind of simulated teacher named 'best'"),
        (("--teacher", "simulated", "--kind", "curve:towel"), "no measured accuracy named 'towel'"),
        (("--teacher", "vision"), "no sight for vision named 'toy/squares'"),
        (("--teacher", "human"), "terminal"),
        (("--teacher", "vlm"), "no recorded reply"),
        (("--teacher", "simulated", "--pairs", "100000"), "wanted 100000"),
        (("--teacher", "simulated", "--members", "nothing.npz"), "--members nothing.npz"),
        (("--goal-picture", "nothing.png"), "no picture that can be read"),
    ],
)
def test_a_users_mistake_is_told_and_nothing_is_lost(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    status, found = run(root, tmp_path / "labels.jsonl", capsys, *words)
    assert status == 2
    assert says in found["error"]


def test_pictures_are_not_taken_for_those_of_another_camera(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = dataclasses.replace(squares.dataset(), manifest={"settings": {"camera": "corner"}})
    save(taken, "toy/squares", tmp_path)
    status, found = run(tmp_path, tmp_path / "l.jsonl", capsys, "--teacher", "simulated", "--camera", "side")
    assert status == 2
    assert "--camera side: the pictures of toy/squares are from corner" in found["error"]
    assert run(tmp_path, tmp_path / "l.jsonl", capsys, "--teacher", "simulated", "--camera", "corner")[0] == 0


def test_a_goal_that_nobody_knows_must_be_said(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["label", "toy/squares", "--root", str(root), "--out", str(tmp_path / "labels.jsonl")]
    assert main([*words, "--teacher", "simulated"]) == 2
    assert "say it with --goal" in capsys.readouterr().err
