"""Alternatives are read, applied to the reward as it is, and checked; what is wrong goes back by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

import sims
from rewards.program import check
from rewards.video.edits import read_edits
from rewards.video.forms import UnreadableFormError
from tests.rewards.video.test_terms import BOTH

ANT = sims.task("mujoco/ant")
CALM = {
    "edit": "add",
    "term": "calm",
    "weight": 0.1,
    "code": "def calm(scene, action):\n    return -np.sum(action**2)\n",
}
FASTER = {"edit": "weigh", "term": "forward", "weight": 4.0, "why": "it is too slow"}


def reply(*alternatives: list[dict[str, Any]]) -> str:
    listed = [{"idea": f"idea {index}", "edits": edits} for index, edits in enumerate(alternatives)]
    return f"Reasons.\n```json\n{json.dumps({'alternatives': listed})}\n```"


def read(text: str, wanted: int, terms: Any = BOTH) -> Any:
    return read_edits(text, terms, lambda program: check(program, ANT), wanted=wanted)


def test_alternatives_become_rewards() -> None:
    calm, faster = read(reply([CALM], [FASTER, CALM]), 2)
    assert calm.terms.names == ("forward", "upright", "calm")
    assert faster.terms["forward"].weight == 4.0
    assert faster.idea == "idea 1"


def test_a_first_reward_is_all_additions() -> None:
    (made,) = read(reply([CALM]), 1, None)
    assert made.terms.names == ("calm",)
    with pytest.raises(UnreadableFormError, match=r"every edit adds a term; came weigh"):
        read(reply([CALM, FASTER]), 1, None)


@pytest.mark.parametrize(
    ("text", "wanted", "says"),
    [
        ("nothing", 1, "exactly one ```json block"),
        ("```json\n{}\n```", 1, "alternatives: Field required"),
        (reply([CALM]), 2, "wanted 2 alternatives, came 1"),
        (reply([CALM], [CALM]), 2, "the same reward"),
        (reply([FASTER | {"term": "fast"}]), 1, r"alternative 1 \(idea 0\): weigh 'fast'"),
        (reply([CALM | {"edit": "merge"}]), 1, r"alternatives\.0\.edits\.0\.edit"),
        (reply([CALM | {"code": "def calm(scene, action):\n    return scene.wings.span\n"}]), 1, "wings"),
        (reply([CALM | {"code": "import os\ndef calm(scene, action):\n    return 1.0"}]), 1, "alternative 1"),
    ],
)
def test_what_cannot_be_made_is_named_for_its_author(text: str, wanted: int, says: str) -> None:
    with pytest.raises(UnreadableFormError, match=says):
        read(text, wanted)


def test_every_wrong_alternative_is_named_at_once() -> None:
    with pytest.raises(UnreadableFormError) as raised:
        read(reply([FASTER | {"term": "a"}], [CALM], [FASTER | {"term": "b"}]), 3)
    assert "alternative 1" in str(raised.value)
    assert "alternative 3" in str(raised.value)
    assert "alternative 2" not in str(raised.value)
