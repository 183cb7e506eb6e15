"""Lines that are whole or not there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from robot_learn.errors import UserError
from robot_learn.session.lines import append, whole


def test_entries_come_back_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "file.jsonl"
    assert whole(path) == []
    append(path, {"a": 1})
    append(path, {"b": "ä"})
    assert whole(path) == [b'{"a": 1}', '{"b": "ä"}'.encode()]


def test_a_torn_line_is_dropped_and_the_next_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    append(path, {"a": 1})
    with path.open("ab") as file:
        file.write(b'{"b": ')
    assert whole(path) == [b'{"a": 1}']
    append(path, {"c": 3})
    assert whole(path) == [b'{"a": 1}', b'{"c": 3}']


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.jsonl"
    append(path, {"a": 1})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"cannot write .*file.jsonl: no space left"):
        append(path, {"b": 2})
    assert path.read_bytes() == b'{"a": 1}\n'
