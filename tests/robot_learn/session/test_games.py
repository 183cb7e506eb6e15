"""Games through the page and in process: results are added once, and told as means."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from robot_learn.alignment.bench import SEED0
from robot_learn.session.headless import games
from robot_learn.session.headless.games import play_games, summary
from robot_learn.session.headless.keyed import Played


def line(system: str, way: str, seed: int, pushes: int) -> dict[str, object]:
    rest = {"stops": 2, "silences": 1, "episodes": 9, "passed": 8, "held_out": 9, "outcome": "satisfied"}
    return {"system": system, "way": way, "seed": seed, "pushes": pushes, **rest}


def test_a_game_with_a_result_is_not_played_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "games.jsonl"
    known = [line("pendulum", way, seed, 3) for way in ("process", "page") for seed in (0, 1)]
    file.write_text("".join(json.dumps(one) + "\n" for one in known[:-1]))
    played: list[tuple[str, int]] = []

    def on_page(system: str, seed: int, *, stepwise: bool) -> tuple[Played, dict[str, object]]:
        played.append((system, seed - SEED0))
        return Played("satisfied", 3, 2, 1, 9, 8, 9), {"held": 0}

    monkeypatch.setattr(games, "_on_page", on_page)
    monkeypatch.setattr(games, "_in_process", lambda *_: pytest.fail("it has a result"))
    ways = ("process", "page")
    found = play_games(("pendulum",), 2, file, lambda text: None, ways)
    assert played == [("pendulum", 1)]
    assert [json.loads(text) for text in file.read_text().splitlines()] == found
    assert len(found) == 4
    assert play_games(("pendulum",), 2, file, pytest.fail, ways) == found


def test_a_summary_has_a_row_for_each_way_with_means_and_standard_errors() -> None:
    lines = [line("pendulum", "page", seed, pushes) for seed, pushes in enumerate((2, 4, 6))]
    (row,) = summary([*lines])
    assert (row["games"], row["taught"], row["held-out passed"], row["of"]) == (3, 3, 24, 27)
    assert row["corrections"] == pytest.approx(6.0)
    assert row["+-"] == pytest.approx(2.0 / 3**0.5)
