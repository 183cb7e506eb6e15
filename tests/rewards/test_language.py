"""Text2Reward: the prompt, the program in a reply, and the loop of writing and mending."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from rewards.language import NoProgramError, NotWrittenError, build_prompt, converse, extract_code, schema_text
from rewards.models import Mailbox, Recordings, Reply, Request, Usage, connect, record_mailbox, recorded
from robot_learn.errors import UserError
from robot_learn.scene import Field, Schema
from robot_learn.types import ActionComponent, Task
from tests.rewards.loopback import KEY, Step, serve

SCHEMA = Schema(
    (
        Field("hand.position", (3,), "m", "world", "point between the fingers"),
        Field("hand.opening", (), "1", "", "0 shut, 1 open"),
        Field("door_lock.angle", (), "rad", "lock", "how far the lock is turned"),
    )
)
ACTION = (
    ActionComponent("dx", -1.0, 1.0, "moves the hand along x"),
    ActionComponent("grip", 0.0, 1.0, "shuts the hand"),
)
TASK = Task("toy/unlock", "Unlock the {door}.", SCHEMA, ACTION, 200, 0.0125)
OTHER = Task("toy/run", "Run.", Schema((Field("torso.speed", (), "m/s", "world", "forward"),)), ACTION[:1], 1000, 0.008)
ASKED = build_prompt(TASK, "R")

GOOD = "def reward(scene, action):\n    return {'turn': scene.door_lock.angle}\n"
BAD = GOOD.replace("angle", "angel")


@dataclass
class Script:
    """Says one line of its script after the other."""

    lines: list[str]
    spec: str = "openai:m"
    asked: list[Request] = field(default_factory=list)

    def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        return Reply(self.lines[len(self.asked) - 1], "m-1", "2026-01-02", self.spec, Usage(10, 4), "stop")


def fenced(code: str) -> str:
    return f"Here it is.\n\n```python\n{code}```\n"


def check(text: str) -> str:
    """Stands in for the checker of the reward language: the program is its own text."""
    if "angel" in text:
        raise UserError("line 2, column 27: no scene field 'door_lock.angel'; did you mean 'door_lock.angle'?")
    return text.upper()


# --- the prompt


@pytest.mark.parametrize("task", [TASK, OTHER])
def test_the_prompt_tells_all_that_is_known_of_a_task(task: Task) -> None:
    system, user = build_prompt(task, "REFERENCE {x}")
    assert (system.role, user.role) == ("system", "user")
    assert "REFERENCE {x}" in system.text
    told = [task.instruction, f"{task.control_dt:g} s", f"{task.max_episode_steps} steps", schema_text(task)]
    assert all(words in user.text for words in told)


def test_nothing_but_the_schema_and_the_instruction_depends_on_the_task() -> None:
    system, user = build_prompt(TASK, "REFERENCE")
    other_system, other_user = build_prompt(OTHER, "REFERENCE")
    assert system == other_system
    for task, text in ((TASK, user.text), (OTHER, other_user.text)):
        assert task.name not in text
    swapped = user.text.replace(schema_text(TASK), schema_text(OTHER)).replace(TASK.instruction, OTHER.instruction)
    swapped = swapped.replace("0.0125 s", "0.008 s").replace("200 steps, 2.5 s", "1000 steps, 8 s")
    assert swapped == other_user.text


def test_the_prompt_of_a_task_is_the_same_each_time() -> None:
    again = replace(TASK, schema=Schema(tuple(Field(**vars(known)) for known in SCHEMA)))
    assert build_prompt(TASK, "R") == build_prompt(again, "R")


def test_the_schema_shows_every_field_with_shape_unit_frame_and_meaning() -> None:
    lines = schema_text(TASK).splitlines()
    assert "    position: Array[3]  # [m] in world frame; point between the fingers" in lines
    assert "    opening: float  # [no unit]; 0 shut, 1 open" in lines
    assert "    angle: float  # [rad] in lock frame; how far the lock is turned" in lines
    assert "    # action[1]: grip, 0 to 1: shuts the hand" in lines


def test_the_schema_is_python_that_declares_exactly_the_fields() -> None:
    tree = ast.parse("\n".join(schema_text(TASK).splitlines()[1:-1]))
    classes = {node.name: node.body for node in tree.body if isinstance(node, ast.ClassDef)}
    scene = {ast.unparse(line.target): ast.unparse(line.annotation) for line in classes["Scene"]}  # type: ignore[attr-defined]
    found = [
        f"{group}.{ast.unparse(line.target)}"  # type: ignore[attr-defined]
        for group, name in scene.items()
        if group not in ("initial", "previous")
        for line in classes[name]
    ]
    assert tuple(found) == SCHEMA.names


# --- the program in a reply


@pytest.mark.parametrize(
    "text",
    [
        fenced(GOOD),
        fenced(GOOD).replace("```python", "```py"),
        fenced(GOOD).replace("```python", "```"),
        fenced(GOOD).replace("```", "~~~~"),
        fenced(GOOD).replace("\n", "\r\n"),
        "First:\n```python\nx = 1\n```\nthen\n" + fenced(GOOD),
        fenced(GOOD) + "\nTo see it work:\n```python\nprint(1)\n```\n",
        fenced(BAD) + "\nBetter:\n" + fenced(GOOD),
        fenced(GOOD).removesuffix("```\n"),
        GOOD,
        "\n\n" + GOOD,
    ],
)
def test_the_program_is_found_in_a_reply(text: str) -> None:
    assert extract_code(text) == GOOD


def test_a_fence_within_the_program_does_not_end_it() -> None:
    code = GOOD.replace("    return", "    # ```python would be a fence at the start of a line\n    return")
    assert extract_code(fenced(code)) == code


@pytest.mark.parametrize("text", ["", "I cannot do that.", "The def reward(scene, action) would ...", "```\nx\n```"])
def test_a_reply_without_a_program_is_told_what_is_missing(text: str) -> None:
    with pytest.raises(NoProgramError, match=r"no fenced ```python block that defines the function reward"):
        extract_code(text)


def test_a_block_without_the_function_is_told_so() -> None:
    with pytest.raises(NoProgramError, match="does not define the function reward"):
        extract_code(fenced("def other(scene): pass\n"))


def test_a_program_that_was_cut_off_is_not_taken() -> None:
    reply = Reply(fenced(GOOD).removesuffix("```\n"), "m", "2026-01-02", "openai:m", finish_reason="length")
    with pytest.raises(NoProgramError, match="cut off"):
        extract_code(reply)
    assert extract_code(replace(reply, text=fenced(GOOD) + "And further")) == GOOD


# --- writing and mending


def test_a_good_reply_is_accepted_at_once() -> None:
    script = Script([fenced(GOOD)])
    written = converse(TASK, ASKED, script, check=check, sample=3)
    assert written.program == GOOD.upper()
    assert written.text == GOOD
    assert [request.sample for request in script.asked] == [3]
    assert script.asked[0].messages == ASKED


def test_an_error_goes_back_to_the_model_word_for_word() -> None:
    script = Script([fenced(BAD), fenced(GOOD)])
    written = converse(TASK, ASKED, script, check=check)
    first, second = script.asked
    assert second.messages[:2] == first.messages
    assert second.messages[2].text == fenced(BAD)
    with pytest.raises(UserError) as caught:
        check(BAD)
    assert str(caught.value) in second.messages[3].text
    assert [attempt.error is None for attempt in written.attempts] == [False, True]


def test_after_the_last_repair_the_errors_and_the_transcript_are_shown(tmp_path: Path) -> None:
    script = Script([fenced(BAD), "no code", ""])
    with pytest.raises(NotWrittenError) as caught:
        converse(TASK, ASKED, script, check=check, max_repairs=2, folder=tmp_path)
    told = str(caught.value)
    assert len(script.asked) == 3
    assert [line[:8] for line in told.splitlines()[1:]] == ["reply 1:", "reply 2:", "reply 3:"]
    assert "did you mean 'door_lock.angle'" in told
    assert str(tmp_path / "transcript.txt") in told
    assert (tmp_path / "transcript.txt").read_text() == caught.value.transcript
    assert "(empty reply)" in caught.value.transcript


def test_a_client_without_a_reply_is_not_asked_to_mend_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no recorded reply for 'toy/unlock'"):
        converse(TASK, ASKED, Recordings(tmp_path), check=check)


def test_a_conversation_with_repairs_replays_bit_for_bit(tmp_path: Path) -> None:
    live = recorded(Script([fenced(BAD), "sorry", fenced(GOOD)]), tmp_path)
    first = converse(TASK, ASKED, live, check=check)
    again = converse(TASK, ASKED, Recordings(tmp_path), check=check)
    assert again == first
    assert len(again.replies) == 3


def test_a_mailbox_leads_through_repairs_to_recordings(tmp_path: Path) -> None:
    box, store = tmp_path / "box", tmp_path / "recordings"
    for answer in (fenced(BAD), fenced(GOOD)):
        with pytest.raises(UserError, match="no reply"):
            converse(TASK, ASKED, Mailbox(box, wait_s=0), check=check)
        (open_one,) = [place for place in box.iterdir() if not (place / "reply.txt").exists()]
        (open_one / "reply.txt").write_text(answer)
    by_mail = converse(TASK, ASKED, Mailbox(box, wait_s=0), check=check)
    assert len(record_mailbox(box, store, model="m-1", date="2026-01-02")) == 2
    replayed = converse(TASK, ASKED, Recordings(store), check=check)
    assert replayed.messages == by_mail.messages
    assert replayed.provenance()["model"] == "m-1"


def test_a_saved_reward_tells_where_it_came_from(tmp_path: Path) -> None:
    written = converse(TASK, ASKED, Script([fenced(BAD), fenced(GOOD)]), check=check)
    written.save(tmp_path)
    assert (tmp_path / "reward.py").read_text() == GOOD
    assert build_prompt(TASK, "R")[1].text.strip() in (tmp_path / "prompt.txt").read_text()
    assert fenced(BAD).strip() in (tmp_path / "reply.txt").read_text()
    provenance = json.loads((tmp_path / "provenance.json").read_text())
    assert provenance == written.provenance()
    assert provenance["usage"] == {"input_tokens": 20, "output_tokens": 8}
    assert (provenance["model"], provenance["date"], len(provenance["attempts"])) == ("m-1", "2026-01-02", 2)


def test_a_reply_that_was_right_at_once_is_saved_verbatim(tmp_path: Path) -> None:
    converse(TASK, ASKED, Script([fenced(GOOD)]), check=check).save(tmp_path)
    assert (tmp_path / "reply.txt").read_text() == fenced(GOOD)


@pytest.mark.parametrize(("bad", "words"), [("I would rather not.", "no fenced"), (fenced(BAD), "door_lock.angel")])
def test_over_http_a_model_that_fails_thrice_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bad: str, words: str
) -> None:
    pytest.importorskip("openai", reason="needs the extra llm")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve(Step(text=bad)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.address)
        client = connect("openai:loop", record=tmp_path)
        with pytest.raises(NotWrittenError, match=words):
            converse(TASK, ASKED, client, check=check, max_repairs=2)
    assert [len(request["messages"]) for request in server.requests] == [2, 4, 6]
    assert words in server.requests[2]["messages"][-1]["content"]


def test_over_http_a_model_can_mend_its_program(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai", reason="needs the extra llm")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve(Step(text=fenced(BAD)), Step(text=fenced(GOOD))) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.address)
        assert converse(TASK, ASKED, connect("openai:loop"), check=check).text == GOOD
