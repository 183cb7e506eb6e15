"""Waiting for what another thread or process does, as long as a busy machine may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

SECONDS = 90.0  # that a busy machine may take for one thing


def until(holds: Callable[[], Any], what: str = "", seconds: float = SECONDS) -> Any:
    """What `holds` gives once it is true."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, f"waited {seconds:g} s in vain: {what}"
        time.sleep(0.05)
    return found
