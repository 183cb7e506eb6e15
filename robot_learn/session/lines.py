"""Files of lines of JSON that are only added to: a line is there whole or not at all, whatever stops the writing."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robot_learn.errors import UserError


def append(path: Path, entry: Mapping[str, Any]) -> None:
    """Add an entry; it is on the disk when this returns.

    Raises:
        UserError: it cannot be written; the file is as it was.
    """
    line = json.dumps(entry, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            before = os.fstat(file.fileno()).st_size
            try:
                if file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    os.truncate(path, before)
                raise
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def whole(path: Path) -> list[bytes]:
    """The lines of a file; what a crash left of the last one was never acknowledged, and is dropped from it.

    Raises:
        UserError: it cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    end = content.rfind(b"\n") + 1
    if end < len(content):
        os.truncate(path, end)
    return content[:end].splitlines()
