"""What a model is told about a reward that was tried, and how its conversation is kept and goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from rewards.language import (
    Feedback,
    NotWrittenError,
    Rejected,
    build_prompt,
    converse,
    load_conversation,
    revision_request,
)
from rewards.language.revise import CURVE_ROWS, EPISODE_ROWS
from rewards.models import Message, Reply, Request
from robot_learn.errors import UserError
from robot_learn.scene import Field, Schema
from robot_learn.types import ActionComponent, Task

TASK = Task(
    "toy/turn",
    "Turn the knob.",
    Schema((Field("knob.angle", (), "rad", "knob", "how far it is turned"),)),
    (ActionComponent("turn", -1.0, 1.0, "turns the knob"),),
    100,
    0.05,
)
PROGRAM = 'def reward(scene, action):\n    return {"turn": scene.knob.angle}\n'
TRIED = Feedback(
    steps=300_000,
    successes=3,
    episodes=20,
    curve=[{"steps": 1000.0 * row, "turn": 0.1 * row} for row in range(1, 101)],
    episode={"turn": [0.01 * step for step in range(100)], "hold": [0.0] * 100},
    control_dt=0.05,
)


@dataclass
class Script:
    """Says one line of its script after the other."""

    lines: list[str]
    spec: str = "scripted"
    asked: list[Request] = field(default_factory=list)

    def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        return Reply(self.lines[len(self.asked) - 1], "m", "2026-01-02", self.spec)


def fenced(program: str) -> str:
    return f"Because.\n\n```python\n{program}```\n"


def rows(text: str, head: str) -> list[list[str]]:
    """The table whose heading begins with `head`, a list of cells a line."""
    table = text[text.index(f"\n{head} | ") + 1 :].split("\n\n", maxsplit=1)[0]
    return [[cell.strip() for cell in line.split("|")] for line in table.splitlines()]


def test_only_what_is_known_is_told() -> None:
    bare = revision_request(Feedback())
    for words in ("How it went", "hidden test", "time [s]", "What is wrong", "person"):
        assert words not in bare
    assert "A policy was trained on it for 300,000 control steps" in revision_request(Feedback(steps=300_000))
    assert "trained on it" not in revision_request(Feedback(successes=0, episodes=5))


def test_success_is_told_as_a_count_of_the_hidden_test_and_in_no_other_way() -> None:
    told = revision_request(TRIED)
    assert "The hidden test was passed in 3 of 20 episodes" in told
    assert "success" not in told


def test_tables_are_thinned_evenly_and_keep_both_ends() -> None:
    told = revision_request(TRIED)
    curve, episode = rows(told, "steps"), rows(told, "time [s]")
    assert len(curve) == CURVE_ROWS + 1
    assert len(episode) == EPISODE_ROWS + 1
    assert (curve[1][0], curve[-1][0]) == ("1,000", "100,000")
    assert (episode[1][0], episode[-1][0]) == ("0.05", "5")
    assert [float(row[1]) for row in episode[1:]] == pytest.approx(
        [0.01 * n for n in (0, 20, 40, 59, 79, 99)], abs=6e-3
    )


def test_a_figure_that_is_not_known_in_a_row_leaves_its_cell_empty() -> None:
    told = revision_request(Feedback(steps=2, curve=[{"steps": 1, "turn": 0.5}, {"steps": 2, "turn": 0.5, "late": 1}]))
    assert rows(told, "steps") == [["steps", "turn", "late"], ["1", "0.5", ""], ["2", "0.5", "1"]]


def test_what_rounding_leaves_of_a_zero_is_a_zero() -> None:
    told = revision_request(Feedback(episode={"open": [2e-15, -3e-16, 1e-8]}))
    assert [row[1] for row in rows(told, "time [s]")] == ["open", "0", "0", "1e-08"]


def test_a_person_is_quoted_word_for_word_and_after_all_figures() -> None:
    said = "It {hits} the knob\nwith %s its elbow."
    told = revision_request(replace(TRIED, findings=("It is flat.",), said=f"  {said}\n"))
    order = [told.index(words) for words in ("3 of 20", "time [s]", "- It is flat.", said, "# Answer")]
    assert order == sorted(order)


def test_a_program_that_was_liked_less_is_shown_with_its_own_figures() -> None:
    other = Feedback(steps=200_000, successes=9, episodes=20, episode={"spin": [7.0, 8.0]})
    program = PROGRAM.replace("turn", "spin")
    told = revision_request(replace(TRIED, preferred_to=(Rejected(program, other),)))
    liked_less = told[told.index("# What a person prefers") : told.index("# Answer")]
    assert "preferred the behaviour of program 1 to that of\nprogram 2" in liked_less
    assert f"```python\n{program}```" in liked_less
    assert "9 of 20" in liked_less
    assert rows(liked_less, "time [s]")[1][1] == "7"
    assert "3 of 20" in told
    assert "3 of 20" not in liked_less


def test_a_conversation_comes_back_from_its_folder_as_it_was(tmp_path: Path) -> None:
    bad = PROGRAM.replace("knob", "knbo")
    client = Script([fenced(bad), fenced(PROGRAM)])
    written = converse(TASK, build_prompt(TASK, "R"), client, check=refuse_misspelt)
    written.save(tmp_path)
    kept = load_conversation(tmp_path)
    assert kept == written.messages
    assert [message.role for message in kept] == ["system", "user", "assistant", "user", "assistant"]
    assert load_conversation(tmp_path / "elsewhere") is None


@pytest.mark.parametrize("text", ["{", "[{}]", '"words"', '[{"role": "user"}]'])
def test_a_damaged_conversation_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "conversation.json").write_text(text)
    with pytest.raises(UserError, match=r"conversation\.json: not a conversation"):
        load_conversation(tmp_path)


def refuse_misspelt(text: str) -> str:
    if "knbo" in text:
        raise UserError("no group 'knbo'; did you mean 'knob'?")
    return text


def test_a_conversation_goes_on_where_it_ended_with_all_that_was_said(tmp_path: Path) -> None:
    first = converse(TASK, build_prompt(TASK, "R"), Script([fenced(PROGRAM)]), check=refuse_misspelt)
    first.save(tmp_path)
    better = PROGRAM.replace("angle", "angle - 1.0")
    request = Message("user", revision_request(replace(TRIED, said="Turn it further.")))
    client = Script([fenced(better.replace("knob", "knbo")), fenced(better)])
    second = converse(TASK, (*(load_conversation(tmp_path) or ()), request), client, check=refuse_misspelt, sample=2)
    assert second.text == better
    assert client.asked[0].messages == (*build_prompt(TASK, "R"), Message("assistant", fenced(PROGRAM)), request)
    assert client.asked[1].messages[:-2] == client.asked[0].messages
    assert [asked.sample for asked in client.asked] == [2, 2]
    assert [asked.refused for asked in client.asked] == [0, 1]

    second.save(tmp_path)
    assert load_conversation(tmp_path) == second.messages
    prompt, reply = (tmp_path / "prompt.txt").read_text(), (tmp_path / "reply.txt").read_text()
    assert "Turn it further." in prompt
    assert "Mend this" not in prompt
    assert "Mend this" in reply
    assert json.loads((tmp_path / "provenance.json").read_text())["prompt_hash"] == client.asked[0].prompt_hash


def test_a_revision_that_never_passes_the_check_tells_what_was_wrong_with_each_reply(tmp_path: Path) -> None:
    messages = (*build_prompt(TASK, "R"), Message("assistant", fenced(PROGRAM)), Message("user", "Better."))
    client = Script([fenced(PROGRAM.replace("knob", "knbo"))] * 2)
    with pytest.raises(NotWrittenError, match="2 replies did not pass") as caught:
        converse(TASK, messages, client, check=refuse_misspelt, max_repairs=1, folder=tmp_path)
    assert len(caught.value.attempts) == 2
    assert (tmp_path / "transcript.txt").read_text() == caught.value.transcript
