"""Labels on disk: nothing is lost, nothing is asked twice, and whatever is wrong is named with file, line and key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rewards.preference.labels import Label, LabelFile, preferences, read_labels
from rewards.preference.query import Answer
from robot_learn.errors import UserError
from robot_learn.types import Segment

LENGTHS = np.array([10, 20])
HASH = "d" * 64
A, B, C = Segment(0, 3), Segment(1, 19), Segment(1, 2)


def opened(path: Path) -> LabelFile:
    return LabelFile(path, dataset_hash=HASH, lengths=LENGTHS)


def written(path: Path, *answers: Answer, teacher: str = "somebody") -> Path:
    with opened(path) as labels:
        for pair, answer in zip(((A, B), (B, C), (A, C)), answers, strict=False):
            labels.add(*pair, answer, teacher)
    return path


def edited(path: Path, **changed: Any) -> Path:
    """The first line with some keys changed; None deletes."""
    first, *rest = path.read_text().splitlines(keepends=True)
    entry = json.loads(first) | changed
    entry = {key: value for key, value in entry.items() if not (key in changed and changed[key] is None)}
    path.write_text(json.dumps(entry) + "\n" + "".join(rest))
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    answers = (Answer(0.25, 0.75, "p", ("i", "j"), "m"), Answer(None), Answer(0.5))
    path = written(tmp_path / "labels.jsonl", *answers)
    found = read_labels(path, dataset_hash=HASH, lengths=LENGTHS)
    assert [label.answer for label in found] == list(answers)
    assert [label.source for label in found] == ["somebody:m", "somebody", "somebody"]
    assert [(label.first, label.second) for label in found] == [(A, B), (B, C), (A, C)]


def test_labels_from_before_a_dataset_grew_hold_and_new_ones_name_what_it_is_now(tmp_path: Path) -> None:
    path = written(tmp_path / "labels.jsonl", Answer(1.0))
    longer, now = np.array([*LENGTHS, 5]), "e" * 64
    with LabelFile(path, dataset_hash=now, earlier=[HASH], lengths=longer) as labels:
        labels.add(A, Segment(2, 0), Answer(0.0), "somebody")
    assert [label.dataset for label in read_labels(path)] == [HASH, now]
    with pytest.raises(UserError, match="line 1, key 'dataset'"):
        read_labels(path, dataset_hash=now, lengths=longer)


def test_preferences_leave_abstentions_out_and_keep_everything_else(tmp_path: Path) -> None:
    path = written(tmp_path / "labels.jsonl", Answer(1.0, 0.75, "p", ("i", "j"), "m"), Answer(None))
    (only,) = preferences(read_labels(path))
    assert (only.first, only.second, only.label, only.confidence) == (A, B, 1.0, 0.75)
    assert (only.source, only.prompt_hash, only.images) == ("somebody:m", "p", ("i", "j"))


def test_a_file_is_added_to_and_knows_what_was_said(tmp_path: Path) -> None:
    path = written(tmp_path / "labels.jsonl", Answer(1.0), Answer(None))
    with opened(path) as labels:
        assert labels.said("somebody") == {(A, B): Answer(1.0), (B, C): Answer(None)}
        assert labels.said("somebody else") == {}
        labels.add(A, C, Answer(0.0), "somebody")
    assert len(read_labels(path)) == 3


def test_every_label_is_on_the_disk_before_the_next(tmp_path: Path) -> None:
    with opened(tmp_path / "labels.jsonl") as labels:
        for count, pair in enumerate(((A, B), (B, C)), start=1):
            labels.add(*pair, Answer(1.0), "somebody")
            assert len(read_labels(labels.path)) == count


@pytest.mark.parametrize("cut", [1, 5, 60])
def test_a_last_line_that_was_cut_off_is_put_aside_and_the_rest_goes_on(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path / "labels.jsonl", Answer(1.0), Answer(0.0))
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    first, second = whole.splitlines(keepends=True)
    assert len(read_labels(path)) == 1
    with opened(path) as labels:
        assert labels.torn == second[:-cut]
        labels.add(B, C, Answer(0.0), "somebody")
    assert path.read_bytes() == whole
    assert path.with_name("labels.jsonl.torn").read_bytes() == second[:-cut] + b"\n"
    assert first in path.read_bytes()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"label": float("nan")}, "key 'label': wanted a number from 0 to 1, came nan"),
        ({"label": 2}, "key 'label': wanted a number from 0 to 1"),
        ({"label": "first"}, "key 'label': wanted a number"),
        ({"label": True}, "key 'label': wanted a number"),
        ({"confidence": -1}, "key 'confidence'"),
        ({"confidence": None}, "key 'confidence': it is missing"),
        ({"first": [0, 3]}, "key 'first': wanted .episode, first step"),
        ({"first": [0, 3, 0]}, "key 'first'"),
        ({"first": [0, 3.5, 1]}, "key 'first'"),
        ({"second": [2, 0, 1]}, "key 'second': there is no episode 2, there are 2"),
        ({"second": [1, 20, 1]}, "key 'second': there is no step 20 in episode 1, which has 20"),
        ({"second": [1, 18, 3]}, "key 'second': there is no step 20"),
        ({"dataset": "e" * 64}, "key 'dataset': these labels are about another dataset"),
        ({"teacher": 3}, "key 'teacher': wanted text"),
        ({"source": "another"}, "key 'source'"),
    ],
)
def test_what_is_wrong_in_a_line_is_named_with_file_line_and_key(
    tmp_path: Path, changed: dict[str, Any], says: str
) -> None:
    path = edited(written(tmp_path / "labels.jsonl", Answer(1.0), Answer(0.0)), **changed)
    with pytest.raises(UserError, match=says) as raised:
        read_labels(path, dataset_hash=HASH, lengths=LENGTHS)
    assert str(raised.value).startswith(f"{path}, line 1")


def test_a_line_that_is_no_json_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "labels.jsonl", Answer(1.0), Answer(0.0))
    path.write_text("not this\n" + path.read_text())
    with pytest.raises(UserError, match="line 1: not a label in JSON"):
        read_labels(path)


def test_a_damaged_file_is_left_as_it_is(tmp_path: Path) -> None:
    path = edited(written(tmp_path / "labels.jsonl", Answer(1.0)), label=7)
    before = path.read_bytes()
    with pytest.raises(UserError, match="label"):
        opened(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("pair", "label"), [((A, B), 0.0), ((B, A), 1.0), ((A, B), None)])
def test_a_source_that_contradicts_itself_is_named_with_both_lines(
    tmp_path: Path, pair: tuple[Segment, Segment], label: float | None
) -> None:
    path = written(tmp_path / "labels.jsonl", Answer(1.0), Answer(1.0))
    with path.open("a") as file:
        file.write(Label(*pair, Answer(label), "somebody", HASH).line())
    with pytest.raises(UserError, match=r"line 3, key 'label': somebody says .* line 1"):
        read_labels(path)


def test_the_same_opinion_twice_in_either_order_and_another_source_are_no_contradiction(tmp_path: Path) -> None:
    path = written(tmp_path / "labels.jsonl", Answer(1.0))
    with path.open("a") as file:
        file.write(Label(B, A, Answer(0.0), "somebody", HASH).line())
        file.write(Label(A, B, Answer(0.0), "another", HASH).line())
    assert len(read_labels(path)) == 3


def test_labels_that_are_not_there_or_cannot_be_written_are_the_users_to_mend(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_labels(tmp_path / "none.jsonl")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write labels"):
        opened(tmp_path / "file" / "labels.jsonl")
