"""Sheets carry what only their reader can know, and a critique is read strictly."""

from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np
import pytest

from rewards.video.critique import Critique, read_critique
from rewards.video.forms import UnreadableFormError
from rewards.video.sheets import contact_sheet
from robot_learn.errors import UserError
from tests.rewards.video import filmed

PROBLEM = {
    "problem": "it drags its feet",
    "body_part": "front legs",
    "phase": "swing",
    "quantity": "height",
    "direction": "more",
    "confidence": 0.8,
}
SAID: dict[str, Any] = {
    "video_codes": ["123"],
    "robot_codes": ["456", "789"],
    "video": "a beetle walks to the right",
    "robot": "it shuffles forward on its knees",
    "likeness": 4,
    "keep": ["it stays upright"],
    "problems": [PROBLEM],
}


def reply(**changed: Any) -> str:
    return f"I looked.\n\n```json\n{json.dumps(SAID | changed)}\n```\n"


def read(text: str) -> Critique:
    return read_critique(text, video_codes=["123"], robot_codes=["456", "789"])


def test_a_critique_is_read_with_types() -> None:
    critique = read(reply())
    assert critique.likeness == 4.0
    assert (critique.problems[0].quantity, critique.problems[0].direction) == ("height", "more")
    assert critique.keep == ("it stays upright",)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"video_codes": ["124"]}, "video_codes are"),
        ({"robot_codes": ["789", "456"]}, "robot_codes are"),
        ({"likeness": 11}, "likeness: Input should be less than or equal to 10"),
        ({"problems": [PROBLEM | {"direction": "up"}]}, r"problems\.0\.direction"),
        ({"problems": [PROBLEM | {"confidence": None}]}, r"problems\.0\.confidence"),
        ({"problems": [PROBLEM] * 5}, "problems: "),
        ({"verdict": "fine"}, "verdict: Extra inputs"),
        ({"video": ""}, "video: "),
    ],
)
def test_what_is_wrong_is_named_for_the_model_that_wrote_it(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(UnreadableFormError, match=says):
        read(reply(**changed))


@pytest.mark.parametrize("text", ["no block", reply() + reply(), "```json\n{broken\n```"])
def test_a_reply_without_one_block_of_json_is_refused(text: str) -> None:
    with pytest.raises(UnreadableFormError):
        read(text)


def test_the_form_that_is_asked_for_names_every_key_and_choice() -> None:
    shown = json.loads(Critique.asked())
    assert set(shown["required"]) == set(SAID) - {"keep"}
    assert "symmetry" in shown["$defs"]["Problem"]["properties"]["quantity"]["enum"]


def test_a_sheet_shows_every_frame_where_it_belongs_and_never_changes() -> None:
    frames = filmed.bobbing(1.0, seconds=1.0).frames[:6]
    sheet = contact_sheet(frames, [0.1 * index for index in range(6)], size=128)
    paper = cv2.cvtColor(cv2.imdecode(np.frombuffer(sheet.picture, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    height, width = frames.shape[1:3]
    assert (height, width) == (96, 128)
    for index in range(6):
        top = 26 + 8 + index // 4 * (26 + 96 + 8) + 26
        left = 8 + index % 4 * (128 + 8)
        np.testing.assert_array_equal(paper[top : top + 96, left : left + 128], frames[index])
    again = contact_sheet(frames.copy(), [0.1 * index for index in range(6)], size=128)
    assert again.picture == sheet.picture
    assert len(sheet.code) == 3


def test_another_picture_carries_another_code() -> None:
    codes = {contact_sheet(filmed.bobbing(period).frames[:4], range(4)).code for period in np.linspace(0.5, 1.5, 20)}
    assert len(codes) > 15
    with pytest.raises(UserError, match="K times"):
        contact_sheet(filmed.bobbing(1.0).frames[:4], [0.0])
