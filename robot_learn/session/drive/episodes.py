"""The episodes that the page lists: those of now, and those that lie on the disk from before."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from robot_learn.deployment.episodes import OUTCOME
from robot_learn.deployment.outcome import Outcome, Reason, explain
from robot_learn.session.drive.arm import stopped
from robot_learn.session.drive.keep import KEPT

_NAMES = ("reason", "success", "steps", "seconds", "corrected", "limited")
# What led to these is nothing to learn from: the arm or a person had to end it.
_WRONG: tuple[Reason, ...] = ("reflex", "user stopped")


def is_emergency(told: Mapping[str, Any]) -> bool:
    """Whether the emergency stop on the page ended an episode, by its reason and detail."""
    return (told["reason"], told["detail"]) == ("person stopped", stopped("hard"))


def shows(outcome: Outcome) -> bool:
    """Whether what a person did in it counts as a demonstration."""
    return outcome.reason not in _WRONG and not is_emergency({"reason": outcome.reason, "detail": outcome.detail})


def row(told: Mapping[str, Any], *, at: float | None = None) -> dict[str, Any]:
    """What the page lists of an episode.

    Args:
        told: its outcome as JSON, with "explained", "kept" and "folder", and "discarded" where it is known.
        at: [s] of the clock on the wall when it ended; by default now.
    """
    found = {name: told[name] for name in (*_NAMES, "explained", "kept", "folder")}
    found |= {"p99": told["latency"]["p99"], "discarded": bool(told.get("discarded")), "emergency": is_emergency(told)}
    return found | {"at": time.time() if at is None else at}


def on_disk(deployments: Path) -> list[dict[str, Any]]:
    """Of all sessions in a folder, the oldest first; what is damaged is left out."""
    found = []
    for path in deployments.glob(f"*/episode-*/{OUTCOME}"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            found.append(_read(path))
    return sorted(found, key=lambda one: (float(one["at"]), str(one["folder"])))


def _read(path: Path) -> dict[str, Any]:
    told = json.loads(path.read_text(encoding="utf-8"))
    kept: dict[str, Any] = {"kept": 0}
    with suppress(FileNotFoundError):
        kept = json.loads((path.parent / KEPT).read_text(encoding="utf-8"))
    named = {"explained": explain(Outcome.from_json(told)), "folder": name_of(path.parent)}
    return row(told | kept | named, at=path.stat().st_mtime)


def name_of(folder: Path) -> str:
    """Of an episode's folder within the folder of deployments."""
    return f"{folder.parent.name}/{folder.name}"
