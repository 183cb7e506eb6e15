"""Recordings and the mailbox: replies that are found by their exact prompt, and stay as they were said."""

from __future__ import annotations

import io
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.models import (
    Mailbox,
    Message,
    Recordings,
    Reply,
    Request,
    Usage,
    connect,
    prompt_hash,
    record_mailbox,
    recorded,
    transcript,
)
from rewards.models.recordings import SHIPPED, add, load, read
from robot_learn.errors import UserError

PNG = b"\x89PNG\r\n\x1a\none"
OTHER_PNG = b"\x89PNG\r\n\x1a\ntwo"
SYSTEM = Message("system", "Be brief.")
ASK = Request((SYSTEM, Message("user", "Which is better?", (PNG, OTHER_PNG))), label="toy/test")
REPLY = Reply("the\nsecond\r\n", "model-1", "2026-01-02T03:04:05Z", "openai:m", Usage(5, None), "stop")

texts = st.text(st.characters(exclude_categories=["Cs"]))


@dataclass
class Parrot:
    """Answers with the number of the call."""

    spec: str = "openai:m"
    asked: list[Request] = field(default_factory=list)

    def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        return replace(REPLY, text=f"answer {len(self.asked)}", source=self.spec)


# --- what identifies a prompt


def test_settings_sample_and_label_do_not_change_the_prompt() -> None:
    other = Request(ASK.messages, "other", sample=3, temperature=1.0, seed=1, max_tokens=9)
    assert other.prompt_hash == ASK.prompt_hash


@pytest.mark.parametrize(
    "messages",
    [
        ASK.messages[1:],
        (replace(SYSTEM, text="Be brief. "), ASK.messages[1]),
        (SYSTEM, replace(ASK.messages[1], images=(OTHER_PNG, PNG))),
        (SYSTEM, replace(ASK.messages[1], images=(PNG,))),
        (*ASK.messages, Message("assistant", "a"), Message("user", "b")),
    ],
)
def test_every_word_and_image_changes_the_prompt(messages: tuple[Message, ...]) -> None:
    assert prompt_hash(messages) != ASK.prompt_hash


@pytest.mark.parametrize("roles", [[], ["system"], ["assistant"], ["user", "user"], ["user", "assistant"]])
def test_a_conversation_takes_turns_and_ends_with_the_user(roles: list[str]) -> None:
    with pytest.raises(UserError, match="system"):
        Request(tuple(Message(role, "x") for role in roles))  # type: ignore[arg-type]


def test_images_are_png_files_of_the_user() -> None:
    with pytest.raises(UserError, match="PNG"):
        Message("user", "look", (b"GIF89a",))
    with pytest.raises(UserError, match="user"):
        Message("assistant", "look", (PNG,))


# --- recordings


@given(prompt=texts, answer=texts)
def test_any_reply_is_read_back_verbatim(tmp_path_factory: pytest.TempPathFactory, prompt: str, answer: str) -> None:
    folder = tmp_path_factory.mktemp("recordings")
    request = Request((Message("user", prompt),), label=prompt)
    reply = replace(REPLY, text=answer)
    add(folder, request, reply)
    assert Recordings(folder).complete(request) == reply


def test_a_recording_keeps_prompt_images_and_settings(tmp_path: Path) -> None:
    request = replace(ASK, temperature=0.5, seed=7)
    path = add(tmp_path, request, REPLY)
    recording = load(tmp_path, request)
    assert recording is not None
    assert recording.messages == ASK.messages
    assert recording.settings == {0: {"temperature": 0.5, "seed": 7}}
    assert path.name.startswith("toy-test-")
    assert '"second\\r"' in path.read_text()  # one line of text on one line of the file


def test_samples_of_one_prompt_live_in_one_file(tmp_path: Path) -> None:
    first = add(tmp_path, ASK, REPLY)
    second = add(tmp_path, replace(ASK, sample=2, label="renamed"), replace(REPLY, text="third"))
    assert first == second
    assert Recordings(tmp_path).complete(replace(ASK, sample=2)).text == "third"
    with pytest.raises(UserError, match="recorded samples of this prompt: 0, 2"):
        Recordings(tmp_path).complete(replace(ASK, sample=1))


def test_a_recorded_sample_cannot_be_replaced(tmp_path: Path) -> None:
    add(tmp_path, ASK, REPLY)
    add(tmp_path, ASK, REPLY)
    with pytest.raises(UserError, match=r"sample 0 .* is recorded already, from model-1"):
        add(tmp_path, ASK, replace(REPLY, text="better"))
    assert Recordings(tmp_path).complete(ASK) == REPLY


def test_a_missing_recording_says_what_is_there_and_how_to_ask_a_model(tmp_path: Path) -> None:
    add(tmp_path, replace(ASK, messages=(SYSTEM, Message("user", "another question")), label="toy/other"), REPLY)
    with pytest.raises(UserError) as caught:
        Recordings(tmp_path).complete(ASK)
    told = str(caught.value)
    wanted = ("'toy/test'", ASK.prompt_hash[:16], "recorded: toy/other", "OPENAI_BASE_URL", "mailbox:FOLDER")
    assert all(words in told for words in wanted)


def test_a_task_whose_prompt_has_changed_is_told_so(tmp_path: Path) -> None:
    add(tmp_path, replace(ASK, messages=(SYSTEM, Message("user", "as it was"))), REPLY)
    with pytest.raises(UserError, match=r"another prompt .* it has changed"):
        Recordings(tmp_path).complete(ASK)


def test_no_folder_is_the_same_as_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="recorded: nothing"):
        Recordings(tmp_path / "nowhere").complete(ASK)


def test_a_recording_whose_prompt_was_edited_is_refused(tmp_path: Path) -> None:
    path = add(tmp_path, ASK, REPLY)
    path.write_text(path.read_text().replace("Which is better?", "Which is worse?"))
    with pytest.raises(UserError, match="its prompt was changed"):
        Recordings(tmp_path).complete(ASK)


def test_a_recording_whose_image_was_edited_is_refused(tmp_path: Path) -> None:
    path = add(tmp_path, ASK, REPLY)
    next((tmp_path / "images").iterdir()).write_bytes(PNG + b"!")
    with pytest.raises(UserError, match="its prompt was changed"):
        read(path)


def test_whoever_asks_with_the_pictures_needs_none_in_the_folder(tmp_path: Path) -> None:
    path = add(tmp_path, ASK, REPLY)
    next((tmp_path / "images").iterdir()).unlink()
    assert Recordings(tmp_path).complete(ASK).text == REPLY.text
    with pytest.raises(UserError, match="cannot be read"):
        read(path)


@pytest.mark.parametrize("damage", ["{", "[]", '{"format": 1}', '{"format": 1, "label": "x"}'])
def test_a_file_that_is_no_recording_is_named(tmp_path: Path, damage: str) -> None:
    path = add(tmp_path, ASK, REPLY)
    path.write_text(damage)
    with pytest.raises(UserError, match=path.name):
        Recordings(tmp_path).complete(ASK)


def test_a_recorded_client_goes_on_where_it_stopped(tmp_path: Path) -> None:
    parrot = Parrot()
    assert recorded(parrot, tmp_path).complete(ASK).text == "answer 1"
    assert recorded(parrot, tmp_path).complete(ASK).text == "answer 1"
    assert recorded(parrot, tmp_path).complete(replace(ASK, sample=1)).text == "answer 2"


def test_another_model_is_not_asked_for_a_sample_that_is_recorded(tmp_path: Path) -> None:
    recorded(Parrot(), tmp_path).complete(ASK)
    other = Parrot("anthropic:n")
    with pytest.raises(UserError, match="choose another sample"):
        recorded(other, tmp_path).complete(ASK)
    assert other.asked == []


def test_the_shipped_recordings_are_whole_and_name_model_and_date() -> None:
    for path in SHIPPED.glob("*.json"):
        recording = read(path)
        assert recording.replies, path
        for sample, reply in recording.replies.items():
            assert Recordings().complete(Request(recording.messages, sample=sample)) == reply
            assert all((reply.model, reply.date, reply.text.strip())), path


# --- the mailbox


def place_of(box: Path) -> Path:
    (place,) = box.iterdir()
    return place


def test_an_unanswered_mailbox_names_the_files_to_read_and_to_fill(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        Mailbox(tmp_path, wait_s=0).complete(ASK)
    place = place_of(tmp_path)
    assert str(place / "prompt.txt") in str(caught.value)
    assert str(place / "reply.txt") in str(caught.value)
    assert [(place / f"image_{number}.png").read_bytes() for number in (1, 2)] == [PNG, OTHER_PNG]


def test_the_prompt_file_holds_all_that_was_said(tmp_path: Path) -> None:
    turns = (*ASK.messages, Message("assistant", "first try"), Message("user", "line 3: mend this", (PNG,)))
    with pytest.raises(UserError):
        Mailbox(tmp_path, wait_s=0).complete(Request(turns))
    prompt = (place_of(tmp_path) / "prompt.txt").read_text()
    assert prompt == transcript(turns)
    said = ["Be brief.", "Which is better?", "image_2.png", "first try", "mend this", "image_3.png"]
    positions = [prompt.index(words) for words in said]
    assert positions == sorted(positions)


def test_a_script_does_not_wait_for_a_mailbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(UserError, match="no reply"):
        connect(f"mailbox:{tmp_path}").complete(ASK)


def test_a_waiting_mailbox_takes_the_reply_when_it_comes(tmp_path: Path) -> None:
    said: list[str] = []

    def answer() -> None:
        while not said:
            time.sleep(0.01)
        (place_of(tmp_path) / "reply.txt").write_bytes(b"late\r\n")

    person = threading.Thread(target=answer)
    person.start()
    reply = Mailbox(tmp_path, wait_s=20.0, say=said.append).complete(ASK)
    person.join()
    assert reply.text == "late\r\n"
    assert "reply.txt" in said[0]


def test_a_waiting_mailbox_gives_up_in_time(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"within 0\.1 s"):
        Mailbox(tmp_path, wait_s=0.1, say=lambda text: None).complete(ASK)


def test_an_answered_mailbox_becomes_recordings_word_for_word(tmp_path: Path) -> None:
    box, store = tmp_path / "box", tmp_path / "recordings"
    for sample in (0, 1, 2):
        with pytest.raises(UserError):
            Mailbox(box, wait_s=0).complete(replace(ASK, sample=sample))
    (place_of(box) / "reply.txt").write_bytes("é\r\nfirst \n".encode())
    (place_of(box) / "reply_2.txt").write_bytes(b"third")
    assert Mailbox(box, wait_s=0).complete(ASK).text == "é\r\nfirst \n"
    record_mailbox(box, store, model="model-1", date="2026-01-02")
    record_mailbox(box, store, model="model-1", date="2026-01-02")
    replayed = Recordings(store).complete(ASK)
    assert (replayed.text, replayed.model, replayed.date) == ("é\r\nfirst \n", "model-1", "2026-01-02")
    assert Recordings(store).complete(replace(ASK, sample=2)).text == "third"
    with pytest.raises(UserError, match="sample 1"):
        Recordings(store).complete(replace(ASK, sample=1))


@pytest.mark.parametrize("name", ["prompt.txt", "image_1.png", "request.json"])
def test_a_reply_to_an_edited_prompt_is_not_recorded(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError):
        Mailbox(tmp_path, wait_s=0).complete(ASK)
    (place_of(tmp_path) / "reply.txt").write_text("fine")
    edited = place_of(tmp_path) / name
    edited.write_bytes(edited.read_bytes().replace(b"Be brief", b"Be long") + b" ")
    if name == "request.json":
        edited.write_bytes(edited.read_bytes().replace(b"better", b"worse"))
    with pytest.raises(UserError, match="changed since they were written"):
        record_mailbox(tmp_path, tmp_path / "recordings", model="model-1")
    assert not (tmp_path / "recordings").exists()


def test_an_unanswered_mailbox_records_nothing_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no answered prompt"):
        record_mailbox(tmp_path, tmp_path / "recordings", model="model-1")
    with pytest.raises(UserError, match="name it"):
        record_mailbox(tmp_path, tmp_path / "recordings", model=" ")


def test_a_reply_that_is_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        Mailbox(tmp_path, wait_s=0).complete(ASK)
    (place_of(tmp_path) / "reply.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="UTF-8"):
        Mailbox(tmp_path, wait_s=0).complete(ASK)
