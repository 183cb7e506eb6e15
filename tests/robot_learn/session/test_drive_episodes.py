"""The list of episodes, and which of them a policy may learn from."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from robot_learn.deployment.outcome import Outcome
from robot_learn.session.activity import Place
from robot_learn.session.drive.episodes import on_disk, shows
from robot_learn.session.drive.offers import offers


def left(folder: Path, outcome: Outcome, at: float, kept: dict[str, object] | None = None) -> None:
    """What a session leaves of an episode."""
    folder.mkdir(parents=True)
    path = folder / "outcome.json"
    path.write_text(json.dumps(outcome.to_json()))
    os.utime(path, (at, at))
    if kept is not None:
        (folder / "kept.json").write_text(json.dumps(kept))


SOFT = Outcome("person stopped", "stop was pressed on the page", steps=7)
HARD = Outcome("person stopped", "emergency stop was pressed on the page")


def test_episodes_of_earlier_connections_are_listed_with_what_was_kept_of_them(tmp_path: Path) -> None:
    left(tmp_path / "run-2" / "episode-0000", HARD, 300.0)
    left(tmp_path / "run-1" / "episode-0000", Outcome("time limit", success_step=3), 100.0, {"kept": 40})
    left(tmp_path / "run-1" / "episode-0001", SOFT, 200.0, {"kept": 0, "discarded": True})
    (tmp_path / "run-1" / "episode-0002").mkdir()
    (tmp_path / "run-1" / "episode-0002" / "outcome.json").write_text("{")  # damaged
    first, second, third = on_disk(tmp_path)
    assert (first["folder"], first["success"], first["kept"], first["at"]) == ("run-1/episode-0000", True, 40, 100.0)
    assert (second["discarded"], second["emergency"], second["steps"]) == (True, False, 7)
    assert (third["emergency"], third["kept"]) == (True, 0)
    assert "Emergency stop was pressed" in third["explained"]
    assert on_disk(tmp_path / "nothing") == []


@pytest.mark.parametrize(
    ("outcome", "good"),
    [(SOFT, True), (HARD, False), (Outcome("reflex"), False), (Outcome("user stopped"), False)],
)
def test_what_ended_in_a_reflex_or_an_emergency_is_no_demonstration(outcome: Outcome, good: bool) -> None:
    assert shows(outcome) is good
    assert shows(Outcome("time limit"))


def test_a_recording_is_offered_with_how_it_ended(tmp_path: Path) -> None:
    episode = tmp_path / "deployed" / "episode-0003"
    left(episode, Outcome("time limit"), 100.0)
    (episode / "ticks.npz").touch()
    titles = [offer.title for offer in offers(Place(tmp_path / "own", tmp_path))]
    assert "Recording: episode-0003, time limit" in titles
