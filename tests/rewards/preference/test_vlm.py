"""The vision-language teacher against models that always say the same, that can be read or cannot, and a mailbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rewards.models import Mailbox, NoReplyError, Recordings, Reply, Request, connect, record_mailbox
from rewards.models.messages import prompt_hash
from rewards.preference.replies import UnreadableError, Verdict, combine, read_choice, read_sheet
from rewards.preference.sheets import Look
from rewards.preference.vlm import VisionLanguage
from robot_learn.errors import UserError
from tests.rewards.preference import squares


def lines(better: str, count: int, confidence: float = 0.8) -> str:
    answers = [{"pair": number, "better": better, "confidence": confidence} for number in range(1, count + 1)]
    return "The square.\n" + "\n".join(json.dumps(answer) for answer in answers)


@dataclass
class Model:
    """Says what a function of the request tells it to."""

    says: Callable[[Request], str]
    asked: list[Request] = field(default_factory=list)
    spec: str = "test:model"

    def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        return Reply(self.says(request), "a-model", "2026-01-01", self.spec)


def test_agreement_in_both_orders_keeps_the_label_with_the_smaller_confidence() -> None:
    assert combine([Verdict("b", 0.9), Verdict("a", 0.6).turned()]) == (1.0, 0.6)
    assert combine([Verdict("a", 0.5), Verdict("b", 0.7).turned()]) == (0.0, 0.5)
    assert combine([Verdict("same", 0.4), Verdict("same", 0.9).turned()]) == (0.5, 0.4)


def test_disagreement_is_a_tie_and_not_knowing_abstains() -> None:
    assert combine([Verdict("a", 0.9), Verdict("a", 0.8).turned()]) == (0.5, 0.8)
    assert combine([Verdict("a", 0.9), Verdict("same", 0.8).turned()]) == (0.5, 0.8)
    assert combine([Verdict("a", 0.9), Verdict("unknown", 0.2).turned()])[0] is None


def test_a_model_that_always_prefers_the_left_one_makes_nothing_but_ties() -> None:
    model = Model(lambda request: lines("a", 3))
    answers = list(VisionLanguage(model, sheet=3).answers(squares.queries(3)))
    assert [answer.label for answer in answers] == [0.5, 0.5, 0.5]
    assert len(model.asked) == 2
    assert model.asked[0].messages[-1].images != model.asked[1].messages[-1].images
    assert model.asked[0].messages[-1].text == model.asked[1].messages[-1].text


def test_in_one_order_the_left_one_is_believed() -> None:
    model = Model(lambda request: lines("a", 3, 0.7))
    answers = list(VisionLanguage(model, sheet=3, both_orders=False).answers(squares.queries(3)))
    assert [(answer.label, answer.confidence) for answer in answers] == [(0.0, 0.7)] * 3


def test_a_model_that_sees_is_right_in_both_orders_and_every_pair_is_answered_once() -> None:
    queries = squares.queries(5)
    truth = [float(query.rewards[1][0] > query.rewards[0][0]) for query in queries if query.rewards is not None]
    turn: list[int] = []

    def says(request: Request) -> str:
        turn.append(0)
        sheet, swapped = divmod(len(turn) - 1, 2)
        rows = truth[2 * sheet : 2 * sheet + 2]
        better = ["ab"[int(label) ^ swapped] for label in rows]
        return "\n".join(
            json.dumps({"pair": number, "better": one, "confidence": 1}) for number, one in enumerate(better, start=1)
        )

    teacher = VisionLanguage(Model(says), sheet=2)
    answers = list(teacher.answers(queries))
    assert [answer.label for answer in answers] == truth
    assert {answer.model for answer in answers} == {"a-model"}
    assert len({answer.prompt_hash for answer in answers}) == 3
    assert all(len(set(answer.images)) == 2 for answer in answers)


@pytest.mark.parametrize("sheet", [0, 2])
def test_the_prompt_speaks_of_the_goal_and_of_no_reward_success_or_threshold(sheet: int) -> None:
    model = Model(lambda request: lines("a", 2) if sheet else "0")
    list(VisionLanguage(model, sheet=sheet).answers(squares.queries(2)))
    text = " ".join(message.text for request in model.asked for message in request.messages).lower()
    assert squares.INSTRUCTION.lower() in text
    assert not [word for word in ("reward", "success", "threshold", "return ") if word in text]
    assert {request.temperature for request in model.asked} == {0.0}


def test_the_prompt_of_a_sheet_never_changes_since_recordings_are_found_by_its_hash() -> None:
    model = Model(lambda request: lines("a", 2))
    list(VisionLanguage(model, sheet=2).answers(squares.queries(2)))
    assert prompt_hash(model.asked[0].messages) == "09f421370d718b0d04e792791f1c6aa58c264b38aad2899870046276479d5d7d"


@pytest.mark.parametrize("sheet", [0, 2])
def test_a_model_is_told_of_several_views_and_of_them_alone(sheet: int) -> None:
    texts = {}
    for views in (1, 2):
        model = Model(lambda request: lines("a", 2) if sheet else "0")
        teacher = VisionLanguage(model, sheet=sheet, look=Look(size=64, views=views))
        list(teacher.answers(squares.queries(2)))
        texts[views] = model.asked[0].messages[-1].text
        assert teacher.name.endswith("size=64" if views == 1 else "size=64,views=2")
    assert "2 views of its moment, from 2 cameras" in texts[2]
    assert "view" not in texts[1]


def test_an_unreadable_reply_goes_back_once_with_what_is_wrong_and_then_the_teacher_abstains() -> None:
    model = Model(lambda request: "I cannot tell.")
    answers = list(VisionLanguage(model, sheet=2, both_orders=False).answers(squares.queries(2)))
    assert [answer.label for answer in answers] == [None, None]
    assert len(model.asked) == 2
    assert "no line of JSON for pair 1, 2" in model.asked[1].messages[-1].text
    assert model.asked[1].refused == 1


def test_a_repaired_reply_counts() -> None:
    model = Model(lambda request: lines("b", 2) if request.refused else lines("b", 1))
    answers = list(VisionLanguage(model, sheet=2, both_orders=False).answers(squares.queries(2)))
    assert [answer.label for answer in answers] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no line of JSON for pair 1, 2"),
        ('{"pair": 1, "better": "a", "confidence": 0.5}', "for pair 2"),
        (lines("a", 2) + '\n{"pair": 1, "better": "b", "confidence": 0.5}', "pair 1 has more than one"),
        (lines("left", 2), '"better" is'),
        (lines("a", 3), '"pair" is a whole number from 1 to 2'),
        (lines("a", 2).replace("0.8", "1.8"), '"confidence" is a number'),
        (lines("a", 2).replace("0.8", "NaN"), '"confidence" is a number'),
        (lines("a", 2).replace("0.8", "true"), '"confidence" is a number'),
        (lines("a", 2).replace('"pair"', '"number"'), "wanted the keys"),
        (lines("a", 2).replace("}", ""), "not JSON"),
    ],
)
def test_a_reply_that_is_not_in_the_form_is_refused_with_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(UnreadableError, match=says):
        read_sheet(text, 2)


def test_fences_commas_and_words_around_the_lines_do_no_harm() -> None:
    text = 'Pair 1: {a} is nearer.\n```json\n{"pair": 2, "better": "b", "confidence": 1},\n' + lines("a", 1) + "\n```"
    assert read_sheet(text, 2) == (Verdict("a", 0.8), Verdict("b", 1.0))


def test_two_stages_first_show_two_pictures_and_then_ask_from_the_text_alone() -> None:
    model = Model(lambda request: "IMAGES DIFFER" if request.messages[-1].images else "so:\n1\n")
    answers = list(VisionLanguage(model, sheet=0, both_orders=False).answers(squares.queries(2)))
    assert [answer.label for answer in answers] == [1.0, 1.0]
    assert [len(request.messages[-1].images) for request in model.asked] == [2, 0, 2, 0]
    assert "IMAGES DIFFER" in model.asked[1].messages[-1].text


@pytest.mark.parametrize(("text", "better"), [("0", "a"), ("well\n1", "b"), ("-1\n", "unknown")])
def test_the_second_stage_is_read_from_the_last_line(text: str, better: str) -> None:
    assert read_choice(text).better == better


@pytest.mark.parametrize("text", ["", "0 or 1", "The answer is 1.", "2"])
def test_a_second_stage_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(UnreadableError):
        read_choice(text)


def test_a_mailbox_gets_both_orders_at_once_and_its_answers_replay_from_recordings(tmp_path: Path) -> None:
    queries, box, recordings = squares.queries(4), tmp_path / "box", tmp_path / "recordings"
    teacher = VisionLanguage(connect(f"mailbox:{box}", wait_s=0.0), sheet=4)
    with pytest.raises(NoReplyError):
        list(teacher.answers(queries))
    places = sorted(path.parent for path in box.glob("*/prompt.txt"))
    assert len(places) == 2
    assert [len(list(place.glob("image_*.png"))) for place in places] == [1, 1]
    for place, better in zip(places, "ab", strict=True):
        (place / "reply.txt").write_text(lines(better, 4))
    answered = list(teacher.answers(queries))
    assert {answer.label for answer in answered} in ({0.0}, {1.0})
    record_mailbox(box, recordings, model="somebody")
    replayed = list(VisionLanguage(Recordings(recordings), sheet=4).answers(queries))
    assert [answer.label for answer in replayed] == [answer.label for answer in answered]
    assert {answer.model for answer in replayed} == {"somebody"}


def test_a_mailbox_that_is_answered_badly_asks_again_with_the_mistake(tmp_path: Path) -> None:
    teacher = VisionLanguage(Mailbox(tmp_path, wait_s=0.0), sheet=2, both_orders=False)
    with pytest.raises(NoReplyError):
        list(teacher.answers(squares.queries(2)))
    (first,) = tmp_path.iterdir()
    (first / "reply.txt").write_text("cannot")
    with pytest.raises(NoReplyError, match="refused"):
        list(teacher.answers(squares.queries(2)))
    (second,) = [place for place in tmp_path.iterdir() if place != first]
    assert "no line of JSON" in (second / "prompt.txt").read_text()


def test_another_model_is_another_teacher_and_a_folder_of_replies_is_the_same_wherever_it_lies(tmp_path: Path) -> None:
    names = [
        VisionLanguage(Model(lambda request: "", spec="openai:one")).name,
        VisionLanguage(Model(lambda request: "", spec="openai:two")).name,
        VisionLanguage(Recordings(tmp_path)).name,
        VisionLanguage(Recordings(tmp_path), sheet=0).name,
    ]
    assert len(set(names)) == 4
    assert VisionLanguage(Mailbox(tmp_path / "box")).name == names[2]


@pytest.mark.parametrize("sheet", [-1, 13])
def test_a_sheet_of_a_size_that_cannot_be_shown_is_refused(sheet: int) -> None:
    with pytest.raises(UserError, match="pairs on a sheet"):
        VisionLanguage(Model(lambda request: ""), sheet=sheet)
