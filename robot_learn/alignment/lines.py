"""Files of JSON, a line each, that are only ever added to and lose at most the line that was being written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, Any

from robot_learn.errors import UserError


class Lines:
    """Adds to such a file; each line is on the disk before anything else happens."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _drop_torn_line(path)
            self._file: IO[str] = path.open("a", encoding="utf-8")
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from error

    def add(self, value: dict[str, Any]) -> None:
        self._file.write(json.dumps(value, ensure_ascii=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def _drop_torn_line(path: Path) -> None:
    """What a killed process had begun to write."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """All whole lines; none where there is no file.

    Raises:
        UserError: one of them is not a JSON object.
    """
    if not path.exists():
        return []
    found = []
    *whole, _ = path.read_text(encoding="utf-8").split("\n")
    for number, text in enumerate(whole, start=1):
        try:
            line = json.loads(text)
        except ValueError as error:
            raise UserError(f"{path}, line {number}, is not JSON: {error}") from error
        if not isinstance(line, dict):
            raise UserError(f"{path}, line {number}: wanted a JSON object, came {type(line).__name__}")
        found.append(line)
    return found
