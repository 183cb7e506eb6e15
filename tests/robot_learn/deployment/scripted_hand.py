"""A person as a program: what a hand does, reading by reading, over the socket of `deploy --hand socket:`."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

OPEN: dict[str, Any] = {}
HELD: dict[str, Any] = {"dead_man": True}


def pushing(*twist: float) -> dict[str, Any]:
    """The switch is held and the stick deflected."""
    return HELD | {"twist": list(twist)}


def play(path: str, token: str, script: Sequence[tuple[int, dict[str, Any]]]) -> None:
    """Answer so many readings with each of these; afterwards as with the last one, until nobody reads any more."""
    with socket.socket(socket.AF_UNIX) as line:
        for _ in range(500):  # until somebody listens
            with suppress(OSError):
                line.connect(path)
                break
            time.sleep(0.02)
        line.sendall(json.dumps({"token": token}).encode() + b"\n")
        beats = line.makefile("r")
        waiting = [does for count, does in script for _ in range(count)]
        with suppress(OSError):
            for number, told in enumerate(beats):
                does = waiting[min(number, len(waiting) - 1)]
                line.sendall(json.dumps({"beat": json.loads(told)["beat"], **does}).encode() + b"\n")
